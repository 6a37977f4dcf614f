"""The chat button on a page of another origin, by one script tag."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, WebSocket, expect

from tests.journeys.conftest import People
from tests.journeys.pages import ChatPage
from tests.journeys.site import Site
from tests.journeys.stage import Stage
from tests.journeys.tour import BYE, MENU, OPEN, REOPENED, WELCOME
from tests.journeys.watch import PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_one_script_tag_on_a_page_with_a_strict_policy(people: People, stage: Stage) -> None:
    async with Site(stage.proxy.url) as site:
        visitor = await people.visitor(site.url)
        await visitor.hears(WELCOME, MENU)
        await expect(visitor.page.get_by_role("link", name="links")).to_be_visible()  # HTML, by the policy
        await visitor.picks("The editor")
        await visitor.hears(OPEN)
        await visitor.types("Hello from the shop")
        await visitor.hears(REOPENED)
        await visitor.reloads()
        await visitor.sees_the_same()

        elsewhere = ChatPage(await visitor.page.context.new_page())
        await elsewhere.page.goto(stage.proxy.url)  # the same visitor on the proxy's own page
        await elsewhere.opens()
        elsewhere.lines = list(visitor.lines)
        await elsewhere.sees_the_same()


async def test_an_origin_that_is_not_allowed_never_connects(
    browser: Browser, stage: Stage, watch: PageWatch
) -> None:
    refusal = "Error during WebSocket handshake: Unexpected response code: 403"
    watch.allow(refusal)
    strict = stage.service("proxy")  # allows its own pages only
    try:
        await strict.start()
        # Their pages are gone before this proxy is: they would go on asking for it.
        async with Site(strict.url) as site, People(browser, stage, watch) as people:
            page = await people.page()
            frames: list[str | bytes] = []

            def listen(socket: WebSocket) -> None:
                socket.on("framereceived", lambda frame: frames.append(frame))

            page.on("websocket", listen)
            await page.goto(site.url)
            visitor = ChatPage(page)
            await visitor.opens()
            await visitor.sees_dot("offline")
            await expect(visitor.status).to_have_text("Offline")
            assert await visitor.texts.count() == 0
            assert frames == []
            assert watch.errors
            assert all(refusal in error for error in watch.errors)
            assert await page.context.cookies() == []

            own = await people.visitor(strict.url)
            await own.hears(WELCOME, MENU)
            await own.picks("The end")
            await own.hears(BYE)
    finally:
        strict.kill()
