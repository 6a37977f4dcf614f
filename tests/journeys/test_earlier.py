"""A long conversation shows its newest part, and what was before when somebody looks back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from tests.journeys.conftest import People
from tests.journeys.pages import HIDDEN, ChatPage, from_bot, from_visitor
from tests.journeys.stage import Stage
from tests.journeys.tour import MENU, OPEN, REOPENED, WELCOME
from tests.journeys.watch import NETWORK, PageWatch
from tests.journeys.wire import BrowserWire

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WINDOW = 50
#: What the visitor sees of `talked` before the bot's texts.
BEGINNING = from_bot(WELCOME, MENU) + from_visitor("The editor") + from_bot(OPEN)


async def talked(people: People, stage: Stage, count: int, url: str = "") -> tuple[ChatPage, list[str]]:
    """A visitor whose editor is open, and to whom the bot said so many texts since."""
    visitor = await people.visitor(url)
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("The editor")
    await visitor.hears(OPEN)
    texts = [f"number {number}" for number in range(count)]
    await visitor.page.goto("about:blank")
    await stage.bot_says(await visitor.conversation(), *texts)
    visitor.lines.clear()
    return visitor, texts


async def comes_back(visitor: ChatPage, url: str) -> None:
    await visitor.page.goto(url)
    await visitor.opens()


def more(visitor: ChatPage) -> Any:
    return visitor.part("earlier")


async def looks_back(visitor: ChatPage) -> None:
    """Press the button where it is. A click of the mouse scrolls to it first, and that alone looks back."""
    await expect(more(visitor)).to_be_visible()
    await more(visitor).dispatch_event("click")


async def test_a_conversation_of_hundreds_of_messages_is_read_back_to_its_beginning(
    people: People, stage: Stage
) -> None:
    visitor, texts = await talked(people, stage, 230)
    await comes_back(visitor, stage.proxy.url)
    await visitor.hears(*texts[-WINDOW:])
    await expect(visitor.editor).to_be_enabled()  # it was opened long before
    log = visitor.part("log")
    assert await log.evaluate("log => log.scrollHeight - log.clientHeight - log.scrollTop") < 2

    # Looked at the first that is shown: it stays where it is while more comes above it.
    row = visitor.texts.filter(has_text=f"number {230 - WINDOW}")
    await log.evaluate("log => { log.scrollTop = 30 }")
    await visitor.page.wait_for_function(
        "row => row.getBoundingClientRect().top > 0", arg=await row.element_handle()
    )
    await expect(visitor.texts).to_have_count(2 * WINDOW)
    place = await row.evaluate(
        """row => {
          const top = (element) => element.getBoundingClientRect().top;
          return top(row) - top(row.closest("[data-role=log]"));
        }"""
    )
    assert 0 < place < 100
    visitor.lines = from_bot(*texts[-2 * WINDOW :])
    await visitor.sees()

    # The same by the keyboard, until nothing is before.
    for _ in range(3):
        await more(visitor).evaluate("button => button.focus({ preventScroll: true })")
        count = await visitor.texts.count()
        await visitor.page.keyboard.press("Enter")
        await expect(visitor.texts).not_to_have_count(count)
    await expect(more(visitor)).to_be_hidden()
    assert (
        await visitor.page.evaluate(
            "document.querySelector('switchboard-chat').shadowRoot.activeElement.dataset.role"
        )
        == "log"
    )
    visitor.lines = BEGINNING + from_bot(*texts)
    await visitor.sees()
    await expect(visitor.choices.filter(visible=True)).to_have_count(0)
    await expect(visitor.avatar).to_have_count(1)
    assert await visitor.texts.last.evaluate("text => Boolean(text.parentNode.querySelector('.avatar'))")
    # It goes on below.
    await visitor.types("Still there?")
    await visitor.hears(REOPENED)


async def test_choices_that_the_visitor_answered_in_the_newest_part_are_not_offered_again(
    people: People, stage: Stage
) -> None:
    visitor, texts = await talked(people, stage, WINDOW - 2)
    await comes_back(visitor, stage.proxy.url)
    await visitor.sees(from_visitor("The editor"), from_bot(OPEN, *texts))
    await looks_back(visitor)
    visitor.lines = BEGINNING + from_bot(*texts)
    await visitor.sees()
    await expect(visitor.choices.filter(visible=True)).to_have_count(0)


async def test_choices_that_are_older_than_the_newest_part_can_be_picked(
    people: People, stage: Stage
) -> None:
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.page.goto("about:blank")
    texts = [f"number {number}" for number in range(WINDOW + 3)]
    await stage.bot_says(await visitor.conversation(), *texts)
    visitor.lines.clear()
    await comes_back(visitor, stage.proxy.url)
    await visitor.hears(*texts[-WINDOW:], MENU)
    await looks_back(visitor)
    visitor.lines = from_bot(WELCOME, MENU, *texts, MENU)
    await visitor.sees()
    await visitor.picks("The editor")
    await visitor.hears(OPEN)


async def test_a_short_conversation_offers_nothing_earlier(people: People, stage: Stage) -> None:
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.reloads()
    await visitor.sees()
    await expect(more(visitor)).to_be_hidden()


async def test_looking_back_leaves_what_is_read_and_what_is_written_alone(
    people: People, stage: Stage
) -> None:
    visitor, texts = await talked(people, stage, 120)
    await visitor.page.goto(stage.proxy.url)
    await visitor.sees_dot("connected")
    await expect(visitor.unread).to_be_visible()
    await visitor.opens()
    await expect(visitor.unread).to_be_hidden()
    await visitor.editor.fill("Half a mess")
    await visitor.page.evaluate(HIDDEN, True)
    await looks_back(visitor)
    await expect(visitor.texts).to_have_count(2 * WINDOW)
    await expect(visitor.unread).to_be_hidden()
    await expect(visitor.editor).to_have_value("Half a mess")
    await stage.bot_says(await visitor.conversation(), "something new")
    await expect(visitor.unread).to_be_visible()
    visitor.lines = from_bot(*texts[-2 * WINDOW :], "something new")
    await visitor.sees()


async def test_what_was_asked_for_comes_when_a_silent_link_was_noticed(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow(NETWORK)
    assert stage.proxy.port
    async with BrowserWire(stage.proxy.port) as wire:
        visitor, texts = await talked(people, stage, 130, wire.url)
        await comes_back(visitor, wire.url)
        await visitor.hears(*texts[-WINDOW:])
        wire.falls_silent()
        await looks_back(visitor)
        await expect(more(visitor)).to_have_text("Loading ...")
        await more(visitor).press("Enter")  # once is enough
        await visitor.sees_dot("connecting")
        wire.recovers()
        visitor.lines = from_bot(*texts[-2 * WINDOW :])
        await visitor.sees()
        await expect(more(visitor)).to_have_text("Earlier messages")
        await looks_back(visitor)
        visitor.lines = BEGINNING + from_bot(*texts)
        await visitor.sees()


async def test_what_comes_of_a_conversation_that_began_anew_is_not_mixed_with_the_old(
    people: People, stage: Stage
) -> None:
    visitor, texts = await talked(people, stage, 130)
    await comes_back(visitor, stage.proxy.url)
    await visitor.hears(*texts[-WINDOW:])
    await visitor.starts_over()
    await visitor.hears(WELCOME, MENU)
    await expect(more(visitor)).to_be_hidden()


async def aged(page: Page) -> None:
    """Every fact's time is so many days ago as its number says, 40 of one day."""

    def older(frame: dict[str, Any]) -> None:
        for each in frame.get("frames", []):
            older(each)
        if "time" in frame:
            word = str(frame.get("content", "")).rpartition(" ")[2]
            days = (139 - int(word)) // 40 if word.isdigit() else 3
            then = datetime.fromtimestamp(time(), UTC) - timedelta(days=days)
            frame["time"] = then.isoformat().replace("+00:00", "Z")

    def pass_on(route: WebSocketRoute) -> None:
        def changed(message: str | bytes) -> None:
            frame = json.loads(message)
            older(frame)
            route.send(json.dumps(frame))

        route.connect_to_server().on_message(changed)

    await page.route_web_socket("**/ws*", pass_on)


async def test_each_day_has_one_line_however_it_came(people: People, stage: Stage) -> None:
    visitor, _ = await talked(people, stage, 140)
    await aged(visitor.page)
    await comes_back(visitor, stage.proxy.url)
    days = visitor.page.locator("[data-role=day]")
    await expect(visitor.texts).to_have_count(WINDOW)
    await expect(days).to_have_text(["yesterday", "today"])
    await looks_back(visitor)
    await expect(visitor.texts).to_have_count(2 * WINDOW)
    await expect(days).to_have_count(3)
    await looks_back(visitor)
    await expect(visitor.texts).to_have_count(len(BEGINNING) + 140)
    await expect(days).to_have_count(4)
    first = await visitor.page.locator(
        "[data-role=day] + [data-role=message] [part=bubble]"
    ).all_inner_texts()
    assert first == [WELCOME, "number 20", "number 60", "number 100"]
