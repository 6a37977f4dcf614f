"""A visitor and the bot: a whole conversation, reloads, two tabs."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.journeys.conftest import People
from tests.journeys.pages import HIDDEN, ChatPage, from_bot, from_visitor
from tests.journeys.tour import BYE, CLOSED, MENU, OPEN, REOPENED, WELCOME

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def wears_avatar_on_the_last_bot_message(visitor: ChatPage) -> None:
    bot = visitor.rows.and_(visitor.page.locator("[data-from=bot]"))
    await expect(visitor.avatar).to_have_count(1)
    await expect(bot.last.locator(visitor.avatar)).to_have_count(1)


async def test_a_whole_conversation_and_the_same_after_a_reload(people: People) -> None:
    visitor = await people.visitor()
    await visitor.sees_dot("connected")
    await visitor.hears(WELCOME, MENU)
    await visitor.sees_prompt("Choose an option", open=False)
    await wears_avatar_on_the_last_bot_message(visitor)

    await visitor.picks("The editor")
    await visitor.hears(OPEN)  # the flow's `chatText`
    await visitor.sees_prompt("Type anything ...", open=True)
    await expect(visitor.choices).to_have_count(3)
    await expect(visitor.choices.first).to_be_hidden()

    await visitor.types("A first text, <b>as it is</b> & in Ελληνικά 👋")
    await visitor.hears(REOPENED)
    await visitor.sees_prompt("Type question here ...", open=True)

    await visitor.types("A second one")
    await visitor.hears(CLOSED, MENU)
    await visitor.sees_prompt("Choose an option", open=False)
    await wears_avatar_on_the_last_bot_message(visitor)

    await visitor.picks("The end")
    await visitor.hears(BYE)
    await visitor.sees_prompt("Choose an option", open=False)
    await expect(visitor.part("restart")).to_be_visible()  # no dead end
    await expect(visitor.pending).to_have_count(0)
    await wears_avatar_on_the_last_bot_message(visitor)

    await visitor.reloads()
    await visitor.sees_dot("connected")
    await visitor.sees_the_same()
    await visitor.sees_prompt("Choose an option", open=False)
    await wears_avatar_on_the_last_bot_message(visitor)


async def test_a_reload_in_the_middle_of_a_question(people: People) -> None:
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.reloads()
    await visitor.sees_the_same()
    await visitor.picks("The editor")
    await visitor.hears(OPEN)
    await visitor.reloads()
    await visitor.sees_the_same()
    await visitor.sees_prompt("Type anything ...", open=True)
    await visitor.types("After two reloads")
    await visitor.hears(REOPENED)


async def test_a_closed_chat_says_that_there_is_something_new(people: People) -> None:
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    other = await people.tab(visitor)
    await other.hears(WELCOME, MENU)
    await other.page.keyboard.press("Escape")
    await expect(other.dialog).to_be_hidden()
    await expect(other.unread).to_be_hidden()

    await visitor.page.evaluate(HIDDEN, True)  # else it would be read there
    await visitor.picks("The end")
    await visitor.hears(BYE)
    await expect(other.unread).to_be_visible()
    await other.opens()
    await expect(other.unread).to_be_hidden()


async def test_two_tabs_hold_one_conversation(people: People) -> None:
    left = await people.visitor()
    await left.hears(WELCOME, MENU)
    right = await people.tab(left)
    await right.hears(WELCOME, MENU)  # greeted once

    await left.picks("The editor")
    await left.hears(OPEN)
    await right.sees(from_visitor("The editor"), from_bot(OPEN))

    await right.types("From the right")
    await right.hears(REOPENED)
    await left.sees(from_visitor("From the right"), from_bot(REOPENED))

    await left.starts_over()
    await left.hears(WELCOME, MENU)
    right.lines.clear()
    await right.hears(WELCOME, MENU)
    await right.sees_prompt("Choose an option", open=False)

    await right.picks("The end")
    await right.hears(BYE)
    await left.sees(from_visitor("The end"), from_bot(BYE))
    await left.reloads()
    await left.sees_the_same()
