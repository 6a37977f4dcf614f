"""A link that swallows everything without closing: the pages say so, and catch up when it is over."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, WebSocket, WebSocketRoute, expect

from shared.contract.facts import TextWritten
from tests.journeys.conftest import People
from tests.journeys.pages import ChatPage, ConsolePage, from_bot, from_visitor
from tests.journeys.stage import Stage
from tests.journeys.tour import BYE, MENU, OPEN, REOPENED, WELCOME
from tests.journeys.watch import NETWORK, PageWatch
from tests.journeys.wire import BrowserWire

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

#: Longer than a page takes to notice by itself would be this much of its own time (ms).
HEARTBEAT = 15_000
#: A page that has a reason to doubt its link says so long before its next heartbeat (ms).
AT_ONCE = 10_000
#: Longer than the page waits for an answer to its doubt, and then before it connects again (ms).
GIVES_UP, TRIES_AGAIN = 6_000, 1_000


@pytest.fixture(autouse=True)
def broken_on_purpose(watch: PageWatch) -> None:
    watch.allow(NETWORK)


async def opened(page: Page, url: str) -> ChatPage:
    """A chat on a page whose clock the test can turn on."""
    await page.clock.install()
    await page.goto(url)
    chat = ChatPage(page)
    await chat.opens()
    await chat.hears(WELCOME, MENU)
    await chat.sees_dot("connected")
    return chat


async def comes_back(visitor: ChatPage) -> None:
    """The dead socket is given up, and another one opened: each of the two waits is over."""
    await visitor.page.clock.fast_forward(GIVES_UP)
    await visitor.page.clock.fast_forward(TRIES_AGAIN)
    await visitor.sees_dot("connected")


async def test_a_silent_link_is_noticed_and_what_was_missed_comes(people: People, stage: Stage) -> None:
    async with BrowserWire(stage.proxy.port) as wire:
        visitor = await opened(await people.page(), wire.url)
        wire.falls_silent()
        other = ChatPage(await visitor.page.context.new_page())  # the same visitor, on a link that works
        await other.page.goto(stage.proxy.url)
        await other.opens()
        other.lines = list(visitor.lines)
        await other.picks("The end")
        await other.hears(BYE)
        assert await visitor.texts.count() == 2

        await visitor.page.clock.fast_forward(HEARTBEAT)
        await visitor.page.clock.fast_forward(2_000)
        await visitor.sees_dot("connecting")
        await expect(visitor.status).to_have_text("Connecting ...")
        wire.recovers()
        await visitor.page.clock.fast_forward(15_000)
        await visitor.sees(from_visitor("The end"), from_bot(BYE))
        await visitor.sees_dot("connected")


async def test_a_quiet_link_that_is_alive_stays_connected(people: People, stage: Stage) -> None:
    page = await people.page()
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))
    visitor = await opened(page, stage.proxy.url)
    for _ in range(3):
        async with sockets[0].expect_event("framereceived", lambda frame: "Pong" in str(frame)):
            await page.clock.fast_forward(HEARTBEAT)
    await visitor.sees_dot("connected")
    assert len(sockets) == 1


@pytest.mark.parametrize(
    "stir",
    [
        "window.dispatchEvent(new Event('online'))",
        "window.dispatchEvent(new Event('focus'))",
        "window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))",
        "document.dispatchEvent(new Event('visibilitychange'))",
        "document.dispatchEvent(new Event('resume'))",
    ],
)
async def test_the_link_is_doubted_at_once_when_the_page_is_looked_at(
    people: People, stage: Stage, stir: str
) -> None:
    async with BrowserWire(stage.proxy.port) as wire:
        visitor = await opened(await people.page(), wire.url)
        wire.falls_silent()
        await visitor.page.evaluate(stir)
        await visitor.page.clock.fast_forward(AT_ONCE)
        await visitor.sees_dot("connecting")
        wire.recovers()
        await comes_back(visitor)
        await visitor.sees_the_same()


async def test_a_message_without_an_acknowledgement_is_sent_again(people: People, stage: Stage) -> None:
    async with BrowserWire(stage.proxy.port) as wire:
        visitor = await opened(await people.page(), wire.url)
        await visitor.picks("The editor")
        await visitor.hears(OPEN)
        wire.falls_silent()
        await visitor.types("Into the void")
        await expect(visitor.pending).to_have_text(["Into the void"])
        await visitor.page.clock.fast_forward(5_000)
        await visitor.sees_dot("connecting")
        await visitor.page.clock.fast_forward(AT_ONCE)  # and it asked whether the link is alive
        wire.recovers()
        await comes_back(visitor)
        await visitor.hears(REOPENED)
        await visitor.sees_the_same()
        written = await stage.facts(await visitor.conversation(), TextWritten)
        assert [fact.text for fact in written if isinstance(fact, TextWritten)] == ["Into the void"]


async def test_a_message_that_the_log_does_not_confirm_shows_connecting(people: People, stage: Stage) -> None:
    """The link is alive, and yet nobody can say that the message is stored."""
    page = await people.page()
    swallowed: list[str] = []

    def swallow(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            if '"Ping"' in str(message) or '"Presence"' in str(message):
                server.send(message)
            else:
                swallowed.append(str(message))

        route.on_message(pass_on)

    await page.route_web_socket("**/ws*", swallow)
    visitor = await opened(page, stage.proxy.url)
    await visitor.picks("The end")
    await visitor.page.clock.fast_forward(5_500)
    await visitor.sees_dot("connecting")
    assert len(swallowed) == 1


async def test_a_server_that_knows_no_ping_is_asked_no_more(people: People, stage: Stage) -> None:
    page = await people.page()
    pings: list[str] = []

    def older(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        async def heard(message: str | bytes) -> None:
            if '"Ping"' in str(message):
                pings.append(str(message))
                await route.close(code=1007, reason="not JSON of a known form")
            else:
                server.send(message)

        route.on_message(heard)

    await page.route_web_socket("**/ws*", older)
    visitor = await opened(page, stage.proxy.url)
    await page.clock.fast_forward(HEARTBEAT)
    await visitor.sees_dot("connecting")
    await page.clock.fast_forward(2_000)
    await visitor.sees_dot("connected")
    await page.clock.fast_forward(HEARTBEAT)
    await visitor.picks("The end")
    await visitor.hears(BYE)
    assert len(pings) == 1


async def console(page: Page, url: str) -> ConsolePage:
    await page.clock.install()
    await page.goto(url)
    desk = ConsolePage(page)
    await desk.logs_in("ada")
    return desk


@pytest.mark.parametrize("stir", ["", "window.dispatchEvent(new Event('online'))"])
async def test_the_console_notices_a_silent_link_and_catches_up(
    people: People, stage: Stage, stir: str
) -> None:
    async with BrowserWire(stage.operator.port) as wire:
        desk = await console(await people.page(), wire.url)
        visitor = await people.visitor()
        await visitor.hears(WELCOME, MENU)
        conversation = await visitor.conversation()
        await desk.looks_at("live")
        await expect(desk.row(conversation)).to_be_visible()
        wire.falls_silent()
        await visitor.picks("The end")
        await visitor.hears(BYE)
        if stir:
            await desk.page.evaluate(stir)
        else:
            await desk.page.clock.fast_forward(23_000)
        await expect(desk.connection).to_have_text("Connecting …", timeout=AT_ONCE)
        wire.recovers()
        await desk.page.clock.fast_forward(12_000)
        await desk.page.clock.fast_forward(4_000)
        await expect(desk.connection).to_have_text("")
        await expect(desk.row(conversation)).to_contain_text(BYE)
