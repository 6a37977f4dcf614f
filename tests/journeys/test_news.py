"""Somebody does not look: count, title, preview and sound; and what a visitor takes along."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.journeys.conftest import People
from tests.journeys.pages import HIDDEN, ChatPage, from_operator, note
from tests.journeys.stage import Stage
from tests.journeys.tour import CALLING, MENU, OPEN, REOPENED, WELCOME

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

#: Counts the tones that the page plays.
TONES = """
  window.tones = 0;
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...when) { window.tones += 1; return start.apply(this, when); };
"""


async def in_the_editor(people: People) -> ChatPage:
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("The editor")
    await visitor.hears(OPEN)
    return visitor


async def test_unread_messages_are_counted_and_the_newest_is_shown_beside_the_button(
    people: People, stage: Stage
) -> None:
    visitor = await in_the_editor(people)
    await visitor.page.keyboard.press("Escape")
    await stage.bot_says(await visitor.conversation(), "<p>One</p><p>line</p>", "Two")
    await expect(visitor.unread).to_have_attribute("data-count", "2")
    launcher = visitor.part("launcher")
    await expect(launcher).to_have_attribute("aria-label", "Open the chat: new messages (2)")
    await expect(visitor.part("preview")).to_contain_text("Two")
    await expect(visitor.part("preview")).to_contain_text("Bot")
    await expect(visitor.page).to_have_title("Switchboard")  # the page is in front of somebody

    await visitor.part("dismiss").click()
    await expect(visitor.part("preview")).to_have_count(0)
    await expect(visitor.unread).to_be_visible()  # it is not read yet
    await stage.bot_says(await visitor.conversation(), "Three")
    await visitor.part("preview").get_by_text("Three").click()
    await expect(visitor.dialog).to_be_visible()
    await expect(visitor.unread).to_be_hidden()
    await expect(visitor.part("preview")).to_have_count(0)
    await expect(launcher).to_have_attribute("aria-label", "Close the chat")


async def test_the_pages_title_counts_while_nobody_sees_the_page(people: People, stage: Stage) -> None:
    visitor = await in_the_editor(people)
    page = visitor.page
    await page.evaluate(HIDDEN, True)
    await stage.bot_says(await visitor.conversation(), "One", "Two")
    await expect(page).to_have_title("(2) Switchboard")
    await page.evaluate("document.title = 'Another page'")  # the page's own change is not lost
    await stage.bot_says(await visitor.conversation(), "Three")
    await expect(page).to_have_title("(3) Another page")
    await page.evaluate(HIDDEN, False)
    await expect(page).to_have_title("Another page")


async def test_a_message_that_nobody_sees_sounds_unless_it_is_switched_off(
    people: People, stage: Stage
) -> None:
    page = await people.page()
    await page.add_init_script(TONES)
    await page.goto(stage.proxy.url)
    visitor = ChatPage(page)
    await visitor.opens()
    await visitor.hears(WELCOME, MENU)
    assert await page.evaluate("tones") == 0  # somebody looks
    await page.keyboard.press("Escape")
    await stage.bot_says(await visitor.conversation(), "One")
    await page.wait_for_function("() => window.tones === 2")

    await visitor.opens()
    await visitor.part("more").click()
    await expect(visitor.part("sound")).to_have_attribute("aria-pressed", "true")
    await visitor.part("sound").click()
    await expect(visitor.part("sound")).to_have_attribute("aria-pressed", "false")
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(visitor.dialog).to_be_hidden()
    await stage.bot_says(await visitor.conversation(), "Silence")
    await expect(visitor.unread).to_be_visible()
    assert await page.evaluate("tones") == 2
    await page.reload()  # the visitor's choice is kept
    await visitor.opens()
    await page.keyboard.press("Escape")
    await stage.bot_says(await visitor.conversation(), "Two")
    await expect(visitor.unread).to_be_visible()
    assert await page.evaluate("tones") == 0


async def test_the_head_says_who_speaks(people: People, stage: Stage) -> None:
    visitor = await people.visitor()
    head = visitor.dialog.locator("h2")
    await visitor.hears(WELCOME, MENU)
    await expect(head).to_have_text("Chat")
    await expect(visitor.status).to_have_text("Bot")
    await visitor.picks("A person, and back")
    await visitor.hears(CALLING)
    await expect(visitor.status).to_have_text("Waiting for a person ...")
    ada = await people.operator("ada")
    await ada.looks_at("queue")
    await ada.opens(await visitor.conversation())
    await ada.takes_over()
    await expect(head).to_have_text("Ada")
    await expect(visitor.status).to_have_text("Operator")
    await ada.says("Hello")
    await visitor.sees(note("Ada joined"), from_operator("Hello"))
    await visitor.reloads()
    await visitor.sees()
    await expect(head).to_have_text("Ada")
    await ada.hands_back()
    await expect(head).to_have_text("Chat")
    await expect(visitor.status).to_have_text("Bot")


async def test_each_run_of_messages_shows_its_time_once(people: People, stage: Stage) -> None:
    visitor = await in_the_editor(people)
    await stage.bot_says(await visitor.conversation(), "One", "Two")
    await visitor.hears("One", "Two")
    times = visitor.page.locator("[data-role=message] time")
    await expect(times.filter(visible=True)).to_have_count(3)  # the bot's, the visitor's, the bot's


async def test_the_length_of_a_long_text_is_shown_before_it_is_too_long(people: People) -> None:
    visitor = await in_the_editor(people)
    limit = visitor.part("limit")
    await visitor.editor.fill("é" * 6_000)
    await expect(limit).to_be_hidden()
    await visitor.editor.fill("é" * 7_000)
    await expect(limit).to_have_text("13.7 of 16 KiB")
    await visitor.editor.fill("é" * 9_000)
    await expect(limit).to_have_attribute("data-over", "")
    await visitor.editor.press("Enter")
    await expect(visitor.part("error")).to_contain_text("17.6 KiB")
    await visitor.editor.fill("Short")
    await expect(limit).to_be_hidden()
    await visitor.editor.press("Enter")
    visitor.lines.append(("visitor", "Short"))
    await visitor.hears(REOPENED)


async def test_the_whole_conversation_can_be_saved_also_what_was_long_before(
    people: People, stage: Stage
) -> None:
    visitor = await in_the_editor(people)
    texts = [f"number {number}" for number in range(120)]
    await visitor.page.goto("about:blank")
    await stage.bot_says(await visitor.conversation(), *texts)
    await visitor.page.goto(stage.proxy.url)
    await visitor.opens()
    await expect(visitor.part("earlier")).to_be_visible()
    await visitor.part("more").click()
    async with visitor.page.expect_download() as download:
        await visitor.part("download").click()
    path = await (await download.value).path()
    said = Path(path).read_text()
    paragraphs = said.strip().split("\n\n")
    assert paragraphs[0] == "Chat"
    words = [paragraph.split("\n", 1)[1] for paragraph in paragraphs[1:]]
    assert words == [WELCOME, MENU, "The editor", OPEN, *texts]
    assert [paragraph.split("] ")[1].split(":")[0] for paragraph in paragraphs[1:5]] == [
        "Bot",
        "Bot",
        "You",
        "Bot",
    ]
