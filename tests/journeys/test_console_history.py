"""An operator steps through a conversation, and sees why the bot did what it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from deploy.cli.main import main
from tests.journeys.conftest import People
from tests.journeys.pages import ConsolePage
from tests.journeys.stage import Stage
from tests.journeys.test_console_desk import looks_at_waiting
from tests.journeys.tour import MENU
from tests.journeys.watch import PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def stands_at(ada: ConsolePage, number: int, total: int) -> None:
    await expect(ada.part("history-at")).to_contain_text(f"Entry {number} of {total},")


async def test_a_conversation_is_stepped_through_by_keys_and_saved_as_a_test(
    people: People, stage: Stage, tmp_path: Path
) -> None:
    """Given a visitor who asked for a person, when Ada looks back, she sees how it stood and why."""
    ada = await people.operator("ada")
    _, conversation = await looks_at_waiting(people, ada)
    await stage.saves(conversation, order="A-1017")
    await ada.takes_over()
    total = len(await stage.entries(conversation))

    await ada.page.keyboard.press("Escape")  # out of the editor: letters are keys
    await ada.page.keyboard.press("w")
    await stands_at(ada, total, total)
    state, variables = ada.part("history-state"), ada.part("history-variables")
    await expect(state).to_contain_text("With you changed here")
    await expect(variables).to_contain_text("A-1017")
    await expect(ada.part("history-forth")).to_be_disabled()

    await expect(ada.part("history-slider")).to_be_focused()
    await ada.page.keyboard.press("ArrowLeft")
    await stands_at(ada, total - 1, total)
    await expect(variables).to_contain_text("saved here")
    await expect(state).to_contain_text("Waiting in “tour”")

    await ada.page.keyboard.press("ArrowLeft")  # the bot's answer to the choice
    await expect(ada.part("history-verdict")).to_have_attribute("data-verdict", "same")
    await expect(ada.part("history-path")).to_have_text("menu → isPerson → calling → person")
    await expect(ada.part("history-rules")).to_contain_text("Yes menu: the choice 2 → isPerson")

    async with ada.page.expect_download() as waits:
        await ada.part("history-bundle").click()
    bundle = tmp_path / "visit.bundle.jsonl"
    await (await waits.value).save_as(bundle)
    assert main(["replay-bundle", str(bundle)]) == 0
    assert len(bundle.read_text().splitlines()) == total - 2 + 3, "entries, head, flow and end"

    await ada.page.keyboard.press("Tab")  # on, to where the slider is left
    await ada.part("history-slider").focus()
    await ada.page.keyboard.press("Home")
    await stands_at(ada, 1, total)
    await expect(variables).to_have_count(0)
    await ada.page.keyboard.press("Escape")
    await expect(ada.part("history-dialog")).to_be_hidden()
    await ada.page.locator("[data-role=line]", has_text=MENU).first.hover()
    await ada.page.locator("[data-role=line]", has_text=MENU).first.locator("[data-role=why]").click()
    await stands_at(ada, 2, total)
    await expect(ada.part("history-lines")).to_contain_text(MENU)


async def test_of_an_erased_conversation_nothing_is_left_in_the_dialog(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow("status of 404")  # that it was read may be said just when it is erased
    ada = await people.operator("ada")
    _, conversation = await looks_at_waiting(people, ada)
    await ada.part("history").click()
    await expect(ada.part("history-lines")).to_be_visible()
    await stage.erases(conversation)
    await expect(ada.part("history-dialog")).to_be_hidden()
    await expect(ada.part("history-lines")).to_have_count(0)
