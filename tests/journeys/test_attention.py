"""What a visitor types, reads and sees over several pages and tabs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from time import time

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from tests.journeys.conftest import People
from tests.journeys.pages import HIDDEN, ChatPage, from_bot, from_operator, from_visitor, note
from tests.journeys.stage import Stage
from tests.journeys.tour import BYE, MENU, OPEN, REOPENED, WELCOME

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def in_the_editor(people: People) -> ChatPage:
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("The editor")
    await visitor.hears(OPEN)
    return visitor


@pytest.mark.parametrize(
    "words", ["Half a mess", "first line\nsecond\n\n  indented", "שלום, מה", "👩‍👩‍👧 “a” & <b>"]
)
async def test_a_half_typed_message_goes_along_to_the_next_page(
    people: People, stage: Stage, words: str
) -> None:
    visitor = await in_the_editor(people)
    await visitor.editor.fill(words)
    await visitor.page.goto(f"{stage.proxy.url}/?next")  # a link to another page
    await visitor.opens()
    await expect(visitor.editor).to_have_value(words)
    await visitor.page.reload()
    await visitor.opens()
    await expect(visitor.editor).to_have_value(words)
    await visitor.editor.press("Enter")
    visitor.lines += from_visitor(words.strip())
    await visitor.hears(REOPENED)
    await visitor.reloads()
    await expect(visitor.editor).to_have_value("")  # it was sent


async def test_an_answer_in_a_hidden_tab_is_not_read(people: People, stage: Stage) -> None:
    visitor = await in_the_editor(people)
    await visitor.page.evaluate(HIDDEN, True)
    await visitor.types("Tell me later")
    await visitor.hears(REOPENED)
    await visitor.page.reload()  # nobody looked
    await visitor.sees_dot("connected")
    await expect(visitor.unread).to_be_visible()
    await visitor.opens()
    await expect(visitor.unread).to_be_hidden()
    await visitor.page.reload()
    await visitor.sees_dot("connected")
    await expect(visitor.texts).to_have_count(len(visitor.lines))
    await expect(visitor.unread).to_be_hidden()


async def test_an_answer_is_read_when_the_tab_is_seen_again(people: People) -> None:
    visitor = await in_the_editor(people)
    await visitor.page.evaluate(HIDDEN, True)
    await visitor.types("Tell me later")
    await visitor.hears(REOPENED)
    await expect(visitor.unread).to_be_visible()
    await visitor.page.evaluate(HIDDEN, False)
    await expect(visitor.unread).to_be_hidden()


async def test_what_one_tab_has_shown_is_unread_in_none(people: People) -> None:
    one = await people.visitor()
    await one.hears(WELCOME, MENU)
    other, third = await people.tab(one), await people.tab(one)
    for tab in (one, other, third):
        await tab.page.keyboard.press("Escape")
        await expect(tab.dialog).to_be_hidden()
        await expect(tab.unread).to_be_hidden()
    await one.page.evaluate(HIDDEN, True)
    await one.opens()
    await one.picks("The end")
    await one.hears(BYE)
    for tab in (one, other, third):
        await expect(tab.unread).to_be_visible()
    await other.opens()
    for tab in (one, other, third):
        await expect(tab.unread).to_be_hidden()


async def dated(page: Page, days: list[int]) -> None:
    """The facts come with the times of so many days ago, one after the other."""
    left = iter(days)

    def older(route: WebSocketRoute) -> None:
        def pass_on(message: str | bytes) -> None:
            frame = json.loads(message)
            if "time" in frame:
                then = datetime.fromtimestamp(time(), UTC) - timedelta(days=next(left))
                frame["time"] = then.isoformat().replace("+00:00", "Z")
            route.send(json.dumps(frame))

        route.connect_to_server().on_message(pass_on)

    await page.route_web_socket("**/ws*", older)


async def test_days_are_told_apart(people: People, stage: Stage) -> None:
    page = await people.page()
    await dated(page, [400, 1, 0])
    await page.goto(stage.proxy.url)
    visitor = ChatPage(page)
    await visitor.opens()
    await visitor.hears(WELCOME, MENU)
    days = page.locator("[data-role=day]")
    long_ago = datetime.fromtimestamp(time(), UTC).astimezone() - timedelta(days=400)
    await expect(days).to_have_text([f"{long_ago:%A, %B} {long_ago.day}, {long_ago.year}", "yesterday"])
    title = await visitor.texts.first.get_attribute("title")
    assert title is not None
    assert str(long_ago.year) in title
    await visitor.picks("The editor")  # today
    await expect(days).to_have_count(3)
    await expect(days.last).to_have_text("today")


async def test_a_conversation_of_today_shows_no_day(people: People) -> None:
    visitor = await in_the_editor(people)
    await expect(visitor.page.locator("[data-role=day]")).to_have_count(0)


DIRECTION = """bubble => {
  const range = document.createRange();
  return [...bubble.innerText.split("\\n").keys()].map((line) => {
    const nodes = bubble.firstChild;
    const text = nodes.data;
    const start = text.split("\\n").slice(0, line).join("\\n").length + (line ? 1 : 0);
    range.setStart(nodes, start);
    range.setEnd(nodes, start + 1);
    const place = range.getBoundingClientRect();
    const box = bubble.getBoundingClientRect();
    return place.left - box.left > box.width / 2 ? "right" : "left";
  });
}"""


async def test_each_paragraph_has_the_direction_of_its_script(people: People) -> None:
    visitor = await in_the_editor(people)
    await visitor.types("A line from left to right, which is long enough\nשלום\nمرحبا\nAnd left")
    await visitor.hears(REOPENED)
    bubble = visitor.texts.nth(4)
    assert await bubble.evaluate(DIRECTION) == ["left", "right", "right", "left"]


async def test_a_name_of_another_script_leaves_the_sentence_as_it_is(people: People, stage: Stage) -> None:
    name = "אבי (3)"
    await stage.account("avi", name)
    visitor = await in_the_editor(people)
    avi = await people.operator("avi")
    await avi.looks_at("live")
    await avi.opens(await visitor.conversation())
    await avi.takes_over()
    line = visitor.page.locator("[data-role=message][data-from=system]")
    await expect(line).to_have_text(f"{name} joined")
    order = await line.evaluate(
        """line => {
          const name = line.querySelector("bdi").getBoundingClientRect();
          const rest = document.createRange();
          rest.selectNode(line.querySelector("bdi").nextSibling);
          return name.left < rest.getBoundingClientRect().left;
        }"""
    )
    assert order
    await avi.says("שלום")
    await visitor.sees(note(f"{name} joined"), from_operator("שלום"))
    assert await avi.texts.last.get_attribute("dir") == "auto"


async def test_a_page_written_from_right_to_left_has_such_a_chat(people: People, stage: Stage) -> None:
    page = await people.page()
    await page.add_init_script(
        "document.addEventListener('readystatechange', () => document.documentElement.dir = 'rtl')"
    )
    await page.goto(stage.proxy.url)
    visitor = ChatPage(page)
    await visitor.opens()
    await visitor.sees(from_bot(WELCOME, MENU))
    box, close = await visitor.dialog.bounding_box(), await visitor.part("close").bounding_box()
    assert box is not None
    assert close is not None
    assert close["x"] - box["x"] < box["width"] / 2  # at the line's end
