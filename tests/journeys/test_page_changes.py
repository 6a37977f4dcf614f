"""Pages that change without being left: the tag always gives exactly one working button."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from shared.contract.facts import ConversationStarted
from tests.journeys.conftest import People
from tests.journeys.pages import ChatPage
from tests.journeys.site import NO_POLICY, Site
from tests.journeys.stage import Stage
from tests.journeys.tour import MENU, OPEN, REOPENED, WELCOME

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

#: Runs the tag once more, as a router does with the scripts of a body that it puts in.
TAG = """
  const tag = document.createElement("script");
  tag.src = document.querySelector('script[src*="widget.js"]')?.src ?? window.widget;
  const ran = new Promise((done) => (tag.onload = done));
"""
BODY = "const body = document.createElement('body'); body.innerHTML = '<h1>Another page</h1>';"
OTHER = "<head></head><body><h1>Another page</h1></body>"
CHANGES = {
    "turbo": f"""{BODY} {TAG}
      document.documentElement.replaceChild(body, document.body);
      body.append(tag);
      await ran;""",
    "the body is another": f"{BODY} document.body = body;",
    "the body is emptied": "document.body.replaceChildren(); document.body.innerHTML = '<p>Other</p>';",
    "the root's children are others": f"document.documentElement.innerHTML = '{OTHER}';",
    "the root is another": f"""
      const root = document.createElement("html");
      root.innerHTML = "{OTHER}";
      document.replaceChild(root, document.documentElement);""",
    "the document is written anew": """
      document.open();
      document.write("<!doctype html><title>Other</title><h1>Other</h1>");
      document.write(`<script src="${window.widget}" defer><\\/script>`);
      document.close();
      await new Promise((done) => setTimeout(done, 50));""",
    "a clean-up takes what it does not know": "document.querySelector('switchboard-chat').remove();",
    "the page moves on in its history": """
      history.pushState({}, "", "/elsewhere");
      dispatchEvent(new Event("popstate"));""",
    "the tag runs twice more": f"""{TAG}
      document.head.append(tag);
      await ran;
      document.body.append(tag.cloneNode());""",
}


async def one_button(page: Page) -> None:
    await expect(page.locator("switchboard-chat")).to_have_count(1)
    await expect(page.locator("[data-role=launcher]")).to_have_count(1)
    await expect(page.locator("[data-role=launcher]")).to_be_visible()


@pytest.mark.parametrize("change", CHANGES)
async def test_the_conversation_and_a_half_typed_message_survive(
    people: People, stage: Stage, change: str
) -> None:
    async with Site(stage.proxy.url, NO_POLICY) as site:
        visitor = await people.visitor(site.url)
        page = visitor.page
        await visitor.hears(WELCOME, MENU)
        await visitor.picks("The editor")
        await visitor.hears(OPEN)
        await visitor.editor.press_sequentially("Half a ")
        await page.evaluate("window.widget = document.querySelector('script[src*=\"widget.js\"]').src")

        await page.evaluate(f"(async () => {{ {CHANGES[change]} }})()")
        await one_button(page)
        if not await visitor.dialog.is_visible():
            await visitor.opens()
        await expect(visitor.editor).to_have_value("Half a ")
        await visitor.editor.press_sequentially("message")
        await visitor.editor.press("Enter")
        visitor.lines.append(("visitor", "Half a message"))
        await visitor.hears(REOPENED)
        await visitor.sees_dot("connected")
        assert len(await stage.facts(await visitor.conversation(), ConversationStarted)) == 1

        # It goes on watching: the same once more.
        await page.evaluate(f"(async () => {{ {BODY} document.body = body; }})()")
        await one_button(page)
        await visitor.sees_the_same()


async def test_a_body_that_is_replaced_before_the_chat_was_opened(people: People, stage: Stage) -> None:
    async with Site(stage.proxy.url, NO_POLICY) as site:
        page = await people.page()
        await page.goto(site.url)
        await one_button(page)
        for _ in range(3):
            await page.evaluate(f"(async () => {{ {CHANGES['turbo']} }})()")
            await one_button(page)
        visitor = ChatPage(page)
        await visitor.opens()
        await visitor.hears(WELCOME, MENU)


@pytest.mark.parametrize(
    "head",
    [
        '<script src="{proxy}/widget.js"></script>',
        '<script src="{proxy}/widget.js" async></script><script src="{proxy}/widget.js" defer></script>',
        '<script src="{proxy}/widget.js" type="module"></script>',
        "<switchboard-chat></switchboard-chat><switchboard-chat></switchboard-chat>",
    ],
)
async def test_several_tags_give_one_button(people: People, stage: Stage, head: str) -> None:
    async with Site(stage.proxy.url, NO_POLICY, head=head.format(proxy=stage.proxy.url)) as site:
        visitor = await people.visitor(site.url)
        await one_button(visitor.page)
        await visitor.hears(WELCOME, MENU)


async def test_a_button_that_is_taken_away_twice_stays_away_until_the_tag_runs(
    people: People, stage: Stage
) -> None:
    async with Site(stage.proxy.url, NO_POLICY) as site:
        visitor = await people.visitor(site.url)
        await visitor.hears(WELCOME, MENU)
        page = visitor.page
        await page.evaluate(CHANGES["a clean-up takes what it does not know"])
        await one_button(page)
        await page.evaluate(CHANGES["a clean-up takes what it does not know"])
        await expect(page.locator("switchboard-chat")).to_have_count(0)
        await page.evaluate(f"(async () => {{ {TAG} document.body.append(tag); await ran; }})()")
        await one_button(page)
        await visitor.sees_dot("connected")
        await visitor.sees_the_same()


async def test_going_back_to_a_page_shows_the_conversation(people: People, stage: Stage) -> None:
    async with Site(stage.proxy.url, NO_POLICY) as site:
        visitor = await people.visitor(site.url)
        await visitor.hears(WELCOME, MENU)
        await visitor.page.goto(f"{site.url}/?next")
        await visitor.page.go_back()
        await one_button(visitor.page)
        if not await visitor.dialog.is_visible():  # restored as it was, or loaded afresh
            await visitor.opens()
        await visitor.sees_the_same()
        await visitor.sees_dot("connected")
