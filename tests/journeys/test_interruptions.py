"""Processes are killed (-9) while people talk: nothing is lost, nothing is doubled."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from time import time

import pytest
import pytest_asyncio
from playwright.async_api import Browser, WebSocket, expect

from shared.contract.facts import ConversationStarted, OperatorSaid, TextWritten
from tests.journeys.conftest import People
from tests.journeys.pages import ChatPage, from_bot, from_operator, from_visitor, note
from tests.journeys.stage import Stage
from tests.journeys.tour import CLOSED, MENU, MENU_AT_DESK, OPEN, REOPENED, WELCOME, WELCOME_AT_DESK
from tests.journeys.watch import NETWORK, PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with Stage(tmp_path_factory.mktemp("interrupted")) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def stage(own_stage: Stage, watch: PageWatch) -> Stage:
    """A stage of this module's own, whole again for each test."""
    watch.allow(NETWORK)
    await own_stage.up()
    return own_stage


async def in_the_editor(people: People) -> ChatPage:
    """A visitor whom the flow has asked for a text."""
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("The editor")
    await visitor.hears(OPEN)
    return visitor


async def said(stage: Stage, visitor: ChatPage) -> list[str]:
    """The texts of the visitor that the log holds."""
    written = await stage.facts(await visitor.conversation(), TextWritten)
    return [fact.text for fact in written if isinstance(fact, TextWritten)]


async def goes_on_to_the_menu(stage: Stage, visitor: ChatPage, said_so_far: str) -> None:
    """The rest of the conversation is as if nothing had happened, and so is what a reload shows."""
    await visitor.types("And now?")
    await visitor.hears(CLOSED, MENU)
    assert await said(stage, visitor) == [said_so_far, "And now?"]
    await visitor.sees_dot("connected")
    await visitor.reloads()
    await visitor.sees_the_same()
    assert len(await stage.facts(await visitor.conversation(), ConversationStarted)) == 1


async def test_the_proxy_is_killed_while_the_visitor_types(people: People, stage: Stage) -> None:
    visitor = await in_the_editor(people)
    stage.proxy.kill()
    await visitor.sees_dot("connecting", "offline")
    await visitor.types("Are you still there?")
    await visitor.sees()
    await expect(visitor.pending).to_have_text(["Are you still there?"])
    assert await said(stage, visitor) == []

    await stage.up()
    await visitor.hears(REOPENED)
    await visitor.sees_dot("connected")
    await visitor.sees_the_same()
    await goes_on_to_the_menu(stage, visitor, "Are you still there?")


@pytest.mark.parametrize("frozen", ["proxy", "nats"])
async def test_the_proxy_is_killed_with_a_message_that_is_not_acknowledged(
    people: People, stage: Stage, frozen: str
) -> None:
    """With the proxy frozen the message is lost with it; with NATS frozen it may well be stored."""
    page = await people.page()
    sockets: list[WebSocket] = []
    page.on("websocket", lambda socket: sockets.append(socket))
    await page.goto(stage.proxy.url)
    visitor = ChatPage(page)
    await visitor.opens()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("The editor")
    await visitor.hears(OPEN)

    halted = stage.proxy.process if frozen == "proxy" else stage.nats.process
    assert halted is not None
    halted.send_signal(signal.SIGSTOP)
    async with sockets[-1].expect_event("framesent"):
        await visitor.types("Sent once")
    await expect(visitor.pending).to_have_text(["Sent once"])
    stage.proxy.kill()
    await visitor.sees_dot("connecting", "offline")
    if frozen == "nats":
        halted.send_signal(signal.SIGCONT)

    await stage.up()
    await visitor.hears(REOPENED)
    await visitor.sees_the_same()
    await goes_on_to_the_menu(stage, visitor, "Sent once")


async def test_the_workflow_is_killed_in_mid_conversation(people: People, stage: Stage) -> None:
    visitor = await in_the_editor(people)
    stage.workflow.kill()
    await visitor.types("Is the bot asleep?")
    await visitor.sees_the_same()  # stored, and not answered yet
    assert await said(stage, visitor) == ["Is the bot asleep?"]
    await visitor.sees_dot("connected")

    await stage.up()
    await visitor.hears(REOPENED)
    await goes_on_to_the_menu(stage, visitor, "Is the bot asleep?")


async def test_the_nats_server_is_killed_in_mid_conversation(people: People, stage: Stage) -> None:
    visitor = await in_the_editor(people)
    stage.nats.kill()
    await visitor.types("Where is the log?")
    await expect(visitor.pending).to_have_text(["Where is the log?"])

    await stage.up()
    await visitor.hears(REOPENED)
    await visitor.sees_the_same()
    await goes_on_to_the_menu(stage, visitor, "Where is the log?")


async def test_everything_is_killed_at_once(people: People, stage: Stage) -> None:
    visitor = await in_the_editor(people)
    stage.nats.kill()
    for service in (stage.proxy, stage.workflow, stage.operator):
        service.kill()
    await visitor.types("Hello? Hello?")
    await visitor.sees_dot("connecting", "offline")
    await expect(visitor.pending).to_have_text(["Hello? Hello?"])

    await stage.up()
    await visitor.hears(REOPENED)
    await visitor.sees_the_same()
    await goes_on_to_the_menu(stage, visitor, "Hello? Hello?")


async def test_the_operator_service_is_killed_while_a_person_talks(people: People, stage: Stage) -> None:
    ada = await people.operator("ada")
    visitor = await in_the_editor(people)
    conversation = await visitor.conversation()
    await ada.looks_at("live")
    await ada.opens(conversation)
    await ada.takes_over()
    await visitor.sees(note("Ada joined"))

    await ada.page.clock.install()
    stage.operator.kill()
    await expect(ada.connection).to_have_text("Connecting …")
    await ada.says("One moment, please.")  # sent again until the service is back
    # The console gives up after 8 s. However long the start takes here, for her it is one second.
    await ada.page.clock.pause_at(datetime.fromtimestamp(time() + 1, UTC))
    await visitor.types("Take your time")
    await visitor.sees_the_same()
    await stage.up()
    await ada.page.clock.resume()
    await expect(ada.connection).to_have_text("")  # still logged in
    await visitor.sees(from_operator("One moment, please."))
    assert len(await stage.facts(conversation, OperatorSaid)) == 1
    ada.lines.clear()
    await ada.sees(
        from_bot(WELCOME_AT_DESK, MENU_AT_DESK),
        from_visitor("The editor"),
        from_bot(OPEN),
        note("Ada took over"),
        from_visitor("Take your time"),
        from_operator("One moment, please."),
    )

    await ada.hands_back()
    await visitor.sees(note("Ada left"), from_bot(OPEN))
    await visitor.types("Back with the bot")
    await visitor.hears(REOPENED)
    await ada.sees(
        note("Ada handed back to the bot"),
        from_bot(OPEN),
        from_visitor("Back with the bot"),
        from_bot(REOPENED),
    )
