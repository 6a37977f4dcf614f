"""What an operator looks at, has chosen and writes survives what happens to the link."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Route, expect

from tests.journeys.conftest import People
from tests.journeys.pages import ChatPage, ConsolePage
from tests.journeys.stage import Stage
from tests.journeys.tour import CALLING, MENU, WELCOME

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

END = "list => list.scrollHeight - list.clientHeight - list.scrollTop"
ONLINE = "dispatchEvent(new Event('online'))"


async def long_talk(people: People, stage: Stage) -> tuple[ConsolePage, ChatPage, str]:
    """Ada has taken over a conversation that is longer than her window is high."""
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    conversation = await visitor.conversation()
    await stage.bot_says(conversation, *(f"number {number}" for number in range(40)))
    await visitor.picks("A person, and back")
    await expect(visitor.texts.filter(has_text=CALLING)).to_be_visible()
    ada = await people.operator("ada")
    await ada.page.set_viewport_size({"width": 390, "height": 700})
    await ada.looks_at("queue")
    await ada.opens(conversation)
    await ada.takes_over()
    return ada, visitor, conversation


async def comes_back(ada: ConsolePage, conversation: str) -> None:
    """The feed begins again, and with it the conversation is read once more."""
    async with ada.page.expect_response(f"**/api/conversations/{conversation}") as read:
        await ada.page.evaluate(ONLINE)
    await (await read.value).finished()
    await ada.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def test_a_new_feed_leaves_the_place_and_the_chosen_state_as_they_were(
    people: People, stage: Stage
) -> None:
    ada, _, conversation = await long_talk(people, stage)
    transcript = ada.part("transcript")
    states = ada.part("handback-state")
    chosen = await states.locator("option").nth(2).get_attribute("value")
    assert chosen
    await states.select_option(chosen)
    await transcript.evaluate("list => { list.scrollTop = 120 }")
    await comes_back(ada, conversation)
    assert await transcript.evaluate("list => list.scrollTop") == 120
    await expect(states).to_have_value(chosen)
    await transcript.evaluate("list => { list.scrollTop = list.scrollHeight }")
    await comes_back(ada, conversation)
    assert await transcript.evaluate(END) < 2


async def test_a_conversation_opens_at_its_end(people: People, stage: Stage) -> None:
    ada, _, conversation = await long_talk(people, stage)
    await ada.part("back").click()
    await ada.page.reload()
    await ada.looks_at("mine")
    await ada.opens(conversation)
    await expect(ada.part("resolve")).to_be_visible()
    assert await ada.part("transcript").evaluate(END) < 2


async def test_a_conversation_that_is_chosen_twice_at_once_is_shown_once(
    people: People, stage: Stage
) -> None:
    """The page may read it again, too, while it reads it: after a login, or a break of the feed."""
    ada, _, conversation = await long_talk(people, stage)
    await ada.page.reload()
    await ada.looks_at("mine")
    read: list[Route] = []
    both = asyncio.Event()

    async def hold(route: Route) -> None:
        read.append(route)
        if len(read) == 2:
            both.set()

    await ada.page.route(f"**/api/conversations/{conversation}", hold)
    await ada.row(conversation).evaluate("row => { row.click(); row.click(); }")
    await both.wait()
    for route in read:
        async with ada.page.expect_event("requestfinished"):
            await route.continue_()
    await expect(ada.part("resolve")).to_be_visible()
    assert await ada.part("transcript").evaluate(END) < 2


async def test_everything_can_be_reached_in_a_small_or_much_enlarged_window(
    people: People, stage: Stage
) -> None:
    ada, _, _ = await long_talk(people, stage)
    await ada.page.set_viewport_size({"width": 320, "height": 256})
    for part in ("logout", "resolve", "say-send"):
        await ada.part(part).scroll_into_view_if_needed()
        await ada.part(part).click(trial=True)
    await expect(ada.editor).to_be_editable()
    box = await ada.part("transcript").bounding_box()
    assert box is not None
    assert box["height"] >= 100
    assert await ada.page.evaluate("document.documentElement.scrollWidth") <= 320
