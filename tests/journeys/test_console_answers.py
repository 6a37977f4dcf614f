"""Canned answers in the console."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.journeys.conftest import People
from tests.journeys.pages import from_operator, note
from tests.journeys.stage import Stage
from tests.journeys.test_console_desk import looks_at_waiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_an_answer_is_made_used_and_removed(people: People, stage: Stage) -> None:
    ada, bob = await people.operator("ada"), await people.operator("bob")
    visitor, conversation = await looks_at_waiting(people, ada)
    await stage.saves(conversation, email="grace@example.org")
    await ada.takes_over()
    await visitor.sees(note("Ada joined"))
    await ada.part("answers").click()
    await ada.part("answer-new").click()
    await ada.part("answer-title").fill("Refund sent")
    await ada.part("answer-text").fill("Mailed to {{email}}. Order {{order}} is done, says {{me}}.")
    await ada.part("answer-shared").check()
    await ada.part("answer-save").click()
    await expect(ada.part("answer")).to_have_count(1)
    await ada.page.keyboard.press("Escape")
    await expect(ada.part("variables")).to_contain_text("grace@example.org")

    await ada.editor.press_sequentially("/sent")
    await expect(ada.part("canned-answer")).to_have_count(1)
    await ada.editor.press("Enter")
    await expect(ada.editor).to_have_value("Mailed to grace@example.org. Order {{order}} is done, says Ada.")
    await ada.page.keyboard.type("A-7")  # what was not known is selected
    await expect(ada.editor).to_have_value("Mailed to grace@example.org. Order A-7 is done, says Ada.")
    await ada.editor.press("Enter")
    await visitor.sees(from_operator("Mailed to grace@example.org. Order A-7 is done, says Ada."))

    await ada.editor.press_sequentially("/sent")
    await ada.editor.press("Escape")
    await expect(ada.part("canned-answer")).to_have_count(0)
    await ada.editor.press("Enter")  # whoever means it may say it
    await visitor.sees(from_operator("/sent"))

    await looks_at_waiting(people, bob)
    await bob.takes_over()
    await bob.part("answers").click()  # it is everybody's
    await bob.part("answer-remove").click()
    await expect(bob.part("answer")).to_have_count(0)
    await bob.page.keyboard.press("Escape")
    await bob.editor.press_sequentially("/sent")
    await expect(bob.part("canned-answer")).to_have_count(0)
