"""The product in containers, as docker-compose.yml describes it: ``make containers``.

It needs buildah, podman and Chromium, and takes some minutes: every container is the real one.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright, expect

from tests.containers.compose import CONSOLE, NUMBERS, PROXY, SERVICES, Compose
from tests.journeys.conftest import LIGHT, SWITCHES, WHOLE, chromium
from tests.journeys.pages import ChatPage, ConsolePage

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not (shutil.which("podman") and shutil.which("buildah")),
        reason="NO PODMAN: containers are not tested. Install the packages podman and buildah.",
    ),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def compose(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Compose]:
    compose = Compose(tmp_path_factory.mktemp("compose"))
    compose.build()
    try:
        await compose.up()
        await compose.account("ada", "Ada")
        yield compose
    finally:
        await compose.down("-v")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=60_000)
    async with async_playwright() as playwright:
        path = chromium(LIGHT, *WHOLE)
        browser = await playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chat(compose: Compose, browser: Browser) -> AsyncIterator[ChatPage]:
    """A visitor on the demo page, who has opened the chat."""
    context = await browser.new_context(reduced_motion="reduce")
    chat = ChatPage(await context.new_page())
    await chat.page.goto(PROXY)
    await chat.opens()
    yield chat
    await context.close()


async def test_a_conversation_from_the_browser_to_an_operator_and_back(
    compose: Compose, chat: ChatPage, browser: Browser
) -> None:
    await chat.picks("talk to a person")
    await chat.types("It is about my order")
    context = await browser.new_context(reduced_motion="reduce")
    page = await context.new_page()
    await page.goto(CONSOLE)
    desk = ConsolePage(page)
    await desk.logs_in("ada")
    conversation = await chat.conversation()
    await desk.row(conversation).click()
    await desk.takes_over()
    await desk.editor.fill("Ada here, how can I help?")
    await desk.editor.press("Enter")
    await expect(chat.page.get_by_text("Ada here, how can I help?")).to_be_visible()
    await chat.editor.fill("My parcel is late")
    await chat.editor.press("Enter")
    await expect(page.locator("[data-role=line]").filter(has_text="My parcel is late")).to_be_visible()
    await desk.resolves()
    await expect(desk.row(conversation)).to_have_count(0)
    await context.close()


@pytest.mark.parametrize("name", ["nats", *SERVICES])
async def test_a_container_that_is_killed_comes_back_and_nothing_is_lost(
    compose: Compose, chat: ChatPage, name: str
) -> None:
    words = f"Written while {name} was killed"
    await compose.kill(name)
    await expect(chat.editor).to_be_enabled()
    await chat.editor.fill(words)
    await chat.editor.press("Enter")
    await compose.ready()
    await expect(chat.page.locator("[data-role=message]").filter(has_text=words)).to_have_count(1)
    await expect(chat.pending).to_have_count(0)


async def test_all_is_there_again_after_the_whole_was_taken_down(compose: Compose, chat: ChatPage) -> None:
    async with httpx.AsyncClient() as http:
        before = (await http.get(f"{NUMBERS}/api/summary")).json()
    await compose.down()
    await compose.up()
    await chat.page.reload()
    await chat.opens()
    for name in ("nats", *SERVICES):
        written = f"Written while {name} was killed"
        await expect(chat.page.locator("[data-role=message]").filter(has_text=written)).to_have_count(1)
    async with httpx.AsyncClient() as http:
        after = (await http.get(f"{NUMBERS}/api/summary")).json()
    assert after["conversations"]["started"] == before["conversations"]["started"] == 1
    assert after["handoffs"]["claims"] == before["handoffs"]["claims"] == 1


async def test_containers_run_as_they_should(compose: Compose) -> None:
    for name in SERVICES:
        told = await compose.logs(name)
        assert "Traceback" not in told, name
