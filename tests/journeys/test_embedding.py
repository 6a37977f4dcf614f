"""One tag on a page: in two steps, by hash, under a policy, in a place of its own, by its interface."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from services.proxy.transports.pages import manifest
from shared.contract.facts import ConversationStarted
from tests.journeys.conftest import People
from tests.journeys.pages import ChatPage
from tests.journeys.site import NO_POLICY, Site
from tests.journeys.stage import Stage
from tests.journeys.tour import BYE, MENU, WELCOME
from tests.journeys.watch import NETWORK, PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

#: Nothing but what has the nonce, and what that loads; nothing inline.
NONCE = (
    "default-src 'none'; script-src 'nonce-of-this-page'; connect-src {ws}; "
    "base-uri 'none'; require-trusted-types-for 'script'; trusted-types switchboard"
)
#: The page's own name for its one policy: none of the chat's.
OTHER_POLICY = "script-src {http}; connect-src {ws}; require-trusted-types-for 'script'; trusted-types shop"


def versioned(content: str = "") -> str:
    """The tag's attributes for the address that never changes."""
    return f'integrity="{content or manifest().integrity}" crossorigin'


async def scripts(page: Page) -> list[str]:
    """The names of the scripts that were loaded, in order."""
    names: list[str] = await page.evaluate(
        "performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname.split('/').at(-1))"
    )
    return [name for name in dict.fromkeys(names) if name.endswith(".js")]


async def test_the_button_comes_first_and_the_rest_when_it_is_opened(people: People, stage: Stage) -> None:
    async with Site(stage.proxy.url) as site:
        page = await people.page()
        await page.goto(site.url)
        visitor = ChatPage(page)
        await expect(visitor.part("launcher")).to_be_visible()
        await page.wait_for_load_state("networkidle")
        assert await scripts(page) == ["widget.js"]
        assert await page.evaluate(
            "document.querySelector('switchboard-chat').shadowRoot.querySelectorAll('*').length < 20"
        )
        await visitor.opens()
        await visitor.hears(WELCOME, MENU)
        assert await scripts(page) == ["widget.js", "chat.js"]

        await page.reload()  # now there is a conversation: it is followed without being opened
        await visitor.sees_dot("connected")


async def test_the_rest_that_cannot_be_had_is_asked_for_again(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow(NETWORK)
    async with Site(stage.proxy.url) as site:
        page = await people.page()

        asked: list[str] = []

        async def gone(route: Route) -> None:
            await route.abort()

        page.on("request", lambda request: asked.append(request.url))

        await page.route("**/chat.js*", gone)
        await page.goto(site.url)
        visitor = ChatPage(page)
        await visitor.part("launcher").click()
        await expect(visitor.unread).to_have_attribute("data-count", "!")
        await page.unroute("**/chat.js*")
        await visitor.opens()
        await visitor.hears(WELCOME, MENU)
        await expect(visitor.unread).to_be_hidden()
        first, *_, last = [url for url in asked if "/chat.js" in url]
        assert first != last  # some browsers remember that a module failed


@pytest.mark.parametrize("policy", [NONCE, OTHER_POLICY], ids=["nonce", "another trusted types policy"])
async def test_a_strict_policy_of_the_page(
    people: People, stage: Stage, watch: PageWatch, policy: str
) -> None:
    watch.allow("Creating a TrustedTypePolicy named 'switchboard' violates")
    watch.allow("This document requires 'Trusted")
    async with Site(stage.proxy.url, policy, 'nonce="of-this-page" data-lang="de"') as site:
        visitor = await people.visitor(site.url)
        await expect(visitor.texts).to_have_count(2)
        await visitor.sees_prompt("Bitte eine Möglichkeit wählen", open=False)
        await visitor.part("more").click()
        async with visitor.page.expect_download() as download:
            await visitor.part("download").click()
        assert (await download.value).suggested_filename == "Chat.txt"


async def test_the_versioned_address_is_taken_by_its_hash(people: People, stage: Stage) -> None:
    address = f"/widget/{manifest().version}/widget.js"
    async with Site(stage.proxy.url, attributes=versioned(), script=address) as site:
        visitor = await people.visitor(site.url)
        await visitor.hears(WELCOME, MENU)


async def test_another_script_than_the_hash_says_is_not_run(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow("integrity|Failed to find a valid digest")
    async with Site(stage.proxy.url) as site:
        page = await people.page()

        async def changed(route: Route) -> None:
            answer = await route.fetch()
            await route.fulfill(response=answer, body=await answer.text() + ";document.title = 'taken'")

        await page.route("**/chat.js*", changed)
        await page.goto(site.url)
        visitor = ChatPage(page)
        await visitor.part("launcher").click()
        await expect(visitor.unread).to_have_attribute("data-count", "!")
        assert await page.title() != "taken"


async def test_in_a_place_of_the_pages_own(people: People, stage: Stage) -> None:
    head = '<div id="here" style="width: 500px; height: 520px"></div>'
    async with Site(stage.proxy.url, NO_POLICY, 'data-attach="#here"', head=head) as site:
        page = await people.page()
        await page.goto(site.url)
        visitor = ChatPage(page)
        await visitor.hears(WELCOME, MENU)
        await expect(visitor.part("launcher")).to_be_hidden()
        await expect(visitor.part("close")).to_be_hidden()
        box = await visitor.dialog.bounding_box()
        assert box is not None
        assert (box["width"], box["height"]) == (500, 520)
        assert await page.evaluate("document.activeElement === document.body")  # the page's focus is its own
        await visitor.part("log").focus()
        await page.keyboard.press("Escape")
        await expect(visitor.dialog).to_be_visible()

        # The place goes and comes, as in an application of one page.
        await page.evaluate("window.place = document.querySelector('#here'); place.remove()")
        await expect(visitor.dialog).to_have_count(0)
        await page.evaluate("place.replaceChildren(); document.body.append(place)")
        await visitor.sees_the_same()
        await visitor.sees_dot("connected")
        await visitor.picks("The end")
        await visitor.hears(BYE)


async def test_as_the_whole_page(people: People, stage: Stage) -> None:
    async with Site(stage.proxy.url, NO_POLICY, "data-full-page") as site:
        page = await people.page()
        await page.goto(site.url)
        visitor = ChatPage(page)
        await visitor.hears(WELCOME, MENU)
        view = page.viewport_size
        assert view is not None
        assert await visitor.dialog.bounding_box() == {"x": 0, "y": 0, **view}
        await visitor.picks("The end")
        await visitor.hears(BYE)


async def test_it_greets_and_opens_by_itself_once_in_a_visit(people: People, stage: Stage) -> None:
    attributes = 'data-greeting="Can I help?" data-open-after="3"'
    async with Site(stage.proxy.url, NO_POLICY, attributes) as site:
        page = await people.page()
        await page.goto(site.url)
        visitor = ChatPage(page)
        await expect(visitor.part("preview")).to_have_text("Can I help?")
        assert await page.context.cookies() == []  # nothing has begun
        await visitor.hears(WELCOME, MENU)  # it opened
        assert await page.evaluate("document.activeElement === document.body")
        await page.evaluate("window.switchboard.close()")
        await page.reload()
        await visitor.sees_dot("connected")
        await page.wait_for_timeout(4_000)  # nothing must happen
        await expect(visitor.dialog).to_be_hidden()
        await expect(visitor.part("preview")).to_have_count(0)


async def test_a_greeting_that_was_dismissed_does_not_come_again(people: People, stage: Stage) -> None:
    async with Site(stage.proxy.url, NO_POLICY, 'data-greeting="Can I help?"') as site:
        page = await people.page()
        await page.goto(site.url)
        visitor = ChatPage(page)
        await visitor.part("dismiss").click()
        await expect(visitor.part("preview")).to_have_count(0)
        await page.reload()
        await expect(visitor.dialog).to_have_count(1)  # the rest is there, which would greet
        await expect(visitor.part("preview")).to_have_count(0)
        other = await people.page()  # somebody else
        await other.goto(site.url)
        await expect(ChatPage(other).part("preview")).to_have_text("Can I help?")


async def test_what_is_wrong_with_the_tag_is_told_to_its_author(people: People, stage: Stage) -> None:
    async with Site(stage.proxy.url, NO_POLICY, 'data-side="top" data-color="colourful"') as site:
        page = await people.page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        await page.goto(site.url)
        visitor = ChatPage(page)
        await visitor.opens()
        await visitor.hears(WELCOME, MENU)
        assert 'Switchboard: data-side="top" is not understood: it may be left or right.' in said
        assert any('data-color="colourful" is not understood' in text for text in said)


LISTEN = """
  window.heard = [];
  window.switchboard = { ready: (chat) => {
    for (const name of ["open", "close", "message", "unread", "speaker"]) {
      chat.on(name, (data) => window.heard.push([name, data]));
    }
  } };
"""


async def heard(page: Page, name: str) -> list[Any]:
    events: list[Any] = await page.evaluate(
        "name => heard.filter(([one]) => one === name).map(([, data]) => data)", name
    )
    return events


async def test_the_pages_interface(people: People, stage: Stage) -> None:
    head = f"<script>{LISTEN}</script>"
    async with Site(stage.proxy.url, NO_POLICY, head=head) as site:
        page = await people.page()
        await page.goto(site.url)
        visitor = ChatPage(page)
        await expect(visitor.part("launcher")).to_be_visible()
        assert await page.evaluate("switchboard.version") == manifest().version
        await page.evaluate("switchboard.reset()")  # there is nothing to reset
        await page.evaluate("switchboard.setPage({ title: 'Ask us', side: 'left', color: '#00695c' })")
        await page.evaluate("switchboard.toggle()")
        await visitor.hears(WELCOME, MENU)
        await expect(visitor.dialog).to_have_attribute("aria-label", "Ask us")
        box = await visitor.part("launcher").bounding_box()
        assert box is not None
        assert box["x"] == 20
        await expect(visitor.part("launcher")).to_have_css("background-color", "rgb(0, 105, 92)")
        await visitor.picks("The editor")
        await expect(visitor.editor).to_be_enabled()
        await page.evaluate("switchboard.toggle()")
        await expect(visitor.dialog).to_be_hidden()
        await page.wait_for_function("heard.some(([one]) => one === 'close')")  # the browser tells it later
        await page.evaluate("switchboard.open()")
        await page.evaluate("switchboard.reset()")
        visitor.lines.clear()
        await visitor.hears(WELCOME, MENU)
        assert len(await heard(page, "open")) == 2
        assert len(await heard(page, "close")) == 1
        messages = await heard(page, "message")
        assert [(each["from"], each["text"]) for each in messages[:3]] == [
            ("bot", WELCOME),
            ("bot", MENU),
            ("visitor", "The editor"),
        ]

        # Another language: the same conversation in other words.
        await page.evaluate("switchboard.setPage({ language: 'de', title: null })")
        await visitor.sees_prompt("Bitte eine Möglichkeit wählen", open=False)
        await visitor.sees_the_same()
        await expect(page.locator("switchboard-chat")).to_have_count(1)
        assert len(await stage.facts(await visitor.conversation(), ConversationStarted)) == 1


async def test_the_flow_that_the_page_names_later_is_the_new_conversations(
    people: People, stage: Stage
) -> None:
    async with Site(stage.proxy.url, NO_POLICY) as site:
        page = await people.page()
        await page.goto(site.url)
        visitor = ChatPage(page)
        await expect(visitor.part("launcher")).to_be_visible()
        await page.evaluate("switchboard.setPage({ flow: 'tour', language: 'en' })")
        await visitor.opens()
        await visitor.hears(WELCOME, MENU)
        (started,) = await stage.facts(await visitor.conversation(), ConversationStarted)
        assert isinstance(started, ConversationStarted)
        assert (started.flow, str(started.language).split(",")[0]) == ("tour", "en")
