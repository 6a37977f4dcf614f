"""A login ends while the operator is in the middle of a sentence."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.journeys.conftest import People
from tests.journeys.pages import ConsolePage
from tests.journeys.stage import Stage
from tests.journeys.tour import CALLING, MENU, WELCOME
from tests.journeys.watch import PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

DRAFT = "Let me look that up for y"
#: The browser's notes about the stream and the command that a login's end refuses.
REFUSED = r"status of 401"


async def with_a_visitor(people: People) -> tuple[ConsolePage, str]:
    """Ada has a conversation, and has begun to write."""
    ada = await people.operator("ada")
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("A person, and back")
    await visitor.hears(CALLING)
    conversation = await visitor.conversation()
    await ada.looks_at("queue")
    await ada.opens(conversation)
    await ada.takes_over()
    await ada.editor.press_sequentially(DRAFT)
    return ada, conversation


async def test_the_console_says_that_the_login_ended_and_keeps_what_was_being_written(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow(REFUSED)
    ada, _ = await with_a_visitor(people)
    await stage.new_password("ada")
    await expect(ada.part("login")).to_be_visible()
    await expect(ada.part("desk")).to_be_hidden()
    await expect(ada.part("login-error")).to_have_text(
        "Your login has ended. Log in to go on. What you were writing is kept."
    )
    assert await ada.rows.count() == 0  # the visitor's words are off the page
    await ada.logs_in("ada")
    await expect(ada.editor).to_be_enabled()
    await expect(ada.editor).to_have_value(DRAFT)
    await expect(ada.part("login-error")).to_have_count(0)


async def test_what_was_being_written_is_not_shown_to_another_operator(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow(REFUSED)
    ada, conversation = await with_a_visitor(people)
    await stage.new_password("ada")
    await expect(ada.part("login")).to_be_visible()
    await ada.logs_in("bob")
    await ada.looks_at("live")
    await ada.opens(conversation)
    await expect(ada.owner).to_have_text("With Ada")
    await expect(ada.editor).to_have_value("")
    assert DRAFT not in str(await ada.page.evaluate("JSON.stringify(sessionStorage)"))


async def test_who_logs_out_leaves_nothing_behind(people: People, stage: Stage, watch: PageWatch) -> None:
    watch.allow(REFUSED)
    ada, _ = await with_a_visitor(people)
    await ada.part("logout").click()
    await ada.part("leave-anyway").click()
    await expect(ada.part("login")).to_be_visible()
    await expect(ada.part("login-error")).to_have_text("")
    await expect(ada.part("login-name")).to_be_focused()
    assert DRAFT not in await ada.page.content()
    assert DRAFT not in str(await ada.page.evaluate("JSON.stringify(sessionStorage)"))
