"""Fixtures: one Chromium and one stage for all journeys, new people for each of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.journeys.pages import ChatPage, ConsolePage
from tests.journeys.stage import Stage
from tests.journeys.watch import PageWatch

PATIENCE = 30_000  # ms, for a slow machine
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


#: A browser with all that people have, and one without what nobody sees: it starts and draws sooner.
WHOLE = ("chromium", "chromium-browser", "google-chrome")
LIGHT = "chromium-headless-shell"


def chromium(*names: str) -> str:
    """The first of ``names`` that this machine has. Skips without one, and fails where that may not be."""
    path = os.environ.get("SWITCHBOARD_TEST_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        reason = "NO CHROMIUM: the journeys in the browser are not tested. Install the package chromium."
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = chromium(LIGHT, *WHOLE)
    expect.set_options(timeout=PATIENCE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """The product with the tour's flow. Journeys that break it bring a stage of their own."""
    async with Stage(tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def watch() -> AsyncIterator[PageWatch]:
    watch = PageWatch()
    yield watch
    assert watch.problems == []


class People:
    """Visitors and operators, each with a browser profile of their own."""

    def __init__(self, browser: Browser, stage: Stage, watch: PageWatch) -> None:
        self._browser = browser
        self._stage = stage
        self._watch = watch
        self._contexts: list[BrowserContext] = []

    async def page(self) -> Page:
        """An empty page of somebody new."""
        context = await self._browser.new_context(reduced_motion="reduce")
        self._contexts.append(context)
        context.set_default_timeout(PATIENCE)
        self._watch.over(context)
        return await context.new_page()

    async def visitor(self, url: str = "") -> ChatPage:
        """Somebody new on a page with the chat button (the proxy's own), who has opened it."""
        page = await self.page()
        await page.goto(url or self._stage.proxy.url)
        chat = ChatPage(page)
        await chat.opens()
        return chat

    async def tab(self, chat: ChatPage) -> ChatPage:
        """One more tab of the same visitor, on the same page."""
        page = await chat.page.context.new_page()
        await page.goto(chat.page.url)
        other = ChatPage(page)
        await other.opens()
        return other

    async def operator(self, name: str) -> ConsolePage:
        """An operator at the console, logged in."""
        page = await self.page()
        await page.goto(self._stage.operator.url)
        desk = ConsolePage(page)
        await desk.logs_in(name)
        return desk

    async def __aenter__(self) -> People:
        return self

    async def __aexit__(self, *_: object) -> None:
        for context in self._contexts:
            await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def people(browser: Browser, stage: Stage, watch: PageWatch) -> AsyncIterator[People]:
    async with People(browser, stage, watch) as people:
        yield people
