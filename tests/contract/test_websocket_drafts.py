"""The assistant's words on the WebSocket while they are made; the workflow is played by the test."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import (
    AnswerFailed,
    AnswerStarted,
    AssistantSaid,
    BotSaid,
    ConversationClaimed,
    EditorOpened,
    Fact,
    FlowAdvanced,
)
from shared.contract.subjects import conversation_of
from tests.conftest import Connections, Services, flushed
from tests.contract.test_websocket import ProductStage, cookie_of, nothing_more, tell

QUESTION = {"kind": "UserText", "sessionId": "ask", "content": "When does it arrive?"}


class PlayedWorkflow:
    """Plays the workflow: opens an editor for whoever comes, and answers as the tests say."""

    def __init__(self, stage: ProductStage, connections: Connections) -> None:
        self.stage = stage
        self.connections = connections
        self.cause = 0

    async def start(self) -> None:
        self._log = await self.connections.log("workflow")
        self._operator = await self.connections.log("operator")

    async def asked(self, socket: ClientConnection) -> str:
        """The visitor of a new socket is greeted and asks; the conversation."""
        conversation = conversation_of(cookie_of(socket).split("=")[1], "websocket")
        await self.until(conversation, 1)
        opened: tuple[Fact, ...] = (FlowAdvanced(path=("ask",)), EditorOpened(session="ask"))
        await self._log.append(conversation, "bot", Entry(id="1", cause=1, facts=opened))
        await tell(socket, QUESTION)
        self.cause = await self.until(conversation, 3)
        return conversation

    async def until(self, conversation: str, count: int) -> int:
        """The position of the conversation's entry number ``count``."""
        async with asyncio.timeout(10):
            while len(entries := await self._log.fetch(conversation)) < count:
                await asyncio.sleep(0.01)
        return entries[count - 1].sequence

    async def begins(self, conversation: str, attempt: int = 1) -> None:
        fact = AnswerStarted(cause=self.cause, attempt=attempt)
        await self._log.append(conversation, "bot", Entry(id=f"answer:{self.cause}:{attempt}", facts=(fact,)))

    async def drafts(self, conversation: str, offset: int, text: str, attempt: int = 1) -> None:
        draft = {"cause": self.cause, "attempt": attempt, "offset": offset, "text": text}
        await self._log.client.publish(subjects.draft(conversation), json.dumps(draft).encode())
        await flushed(self._log.client)

    async def ends(self, conversation: str, *facts: Fact) -> None:
        entry = Entry(id=str(self.cause), cause=self.cause, facts=facts)
        await self._log.append(conversation, "bot", entry)

    async def claimed(self, conversation: str) -> None:
        fact = ConversationClaimed(operator="ann", name="Ann")
        await self._operator.append(conversation, "operator", Entry(id="claim", facts=(fact,)))

    async def followed(self, count: int) -> None:
        """The proxy listens to the drafts of so many answers."""
        async with httpx.AsyncClient() as client, asyncio.timeout(10):
            while True:
                metrics = (await client.get(f"{self.stage.proxy.url}/metrics")).text
                if f"switchboard_drafts_followed {count}.0" in metrics:
                    return
                await asyncio.sleep(0.02)


@pytest.fixture
async def assistant(services: Services, connections: Connections) -> PlayedWorkflow:
    proxy = await services.start("proxy")
    assistant = PlayedWorkflow(ProductStage(services, proxy, proxy), connections)
    await assistant.start()
    return assistant


async def heard(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next frame of this kind."""
    async with asyncio.timeout(10):
        while True:
            frame: dict[str, Any] = json.loads(await socket.recv())
            if frame["kind"] == kind:
                return frame


async def written(socket: ClientConnection, length: int) -> str:
    """The drafts' words, in order, until there are so many characters."""
    text = ""
    while len(text) < length:
        draft = await heard(socket, "Draft")
        assert draft["offset"] == len(text)
        text += draft["text"]
    return text


async def test_words_come_as_they_are_made_and_the_committed_message_replaces_them(
    assistant: PlayedWorkflow,
) -> None:
    async with assistant.stage.modern() as socket, assistant.stage.bare(cookie_of(socket)) as bare:
        conversation = await assistant.asked(socket)
        assert (await heard(bare, "UserText"))["content"] == QUESTION["content"]
        await assistant.followed(0)
        await assistant.begins(conversation)
        await assistant.followed(1)
        for offset, word in ((0, "It "), (3, "arrives "), (11, "< Monday")):
            await assistant.drafts(conversation, offset, word)
        assert await written(socket, 19) == "It arrives < Monday"
        said = AssistantSaid(text="It arrives < Monday", attempt=1)
        await assistant.ends(conversation, said)
        committed = await heard(socket, "BotText")
        assert committed["content"] == "It arrives &lt; Monday"
        assert committed["turn"] == str(assistant.cause)
        await assistant.followed(0)
        await assistant.drafts(conversation, 19, "too late")
        await nothing_more(socket)
        async with asyncio.timeout(10):
            assert json.loads(await bare.recv()) == {"kind": "BotText", "content": "It arrives &lt; Monday"}
        await nothing_more(bare)


async def test_who_comes_in_the_middle_hears_what_was_said_before(assistant: PlayedWorkflow) -> None:
    async with assistant.stage.modern() as first:
        conversation = await assistant.asked(first)
        cookie = cookie_of(first)
    await assistant.begins(conversation)
    await assistant.drafts(conversation, 0, "It ")
    await assistant.drafts(conversation, 3, "arrives ")
    async with assistant.stage.modern(cookie) as one:
        assert await written(one, 11) == "It arrives "
        async with assistant.stage.modern(cookie) as two:
            assert (await heard(two, "Draft"))["text"] == "It arrives "
            await assistant.drafts(conversation, 11, "today")
            assert (await heard(two, "Draft"))["text"] == "today"
        assert (await heard(one, "Draft"))["text"] == "today"
        await assistant.followed(1)
    await assistant.followed(0)


async def test_what_was_lost_on_the_way_is_fetched(assistant: PlayedWorkflow) -> None:
    async with assistant.stage.modern() as socket:
        conversation = await assistant.asked(socket)
        await assistant.begins(conversation)
        await assistant.followed(1)
        await assistant.drafts(conversation, 3, "arrives ")
        await assistant.drafts(conversation, 0, "It ")
        assert await written(socket, 11) == "It arrives "


async def test_another_attempt_begins_anew_and_the_one_before_is_not_heard_any_more(
    assistant: PlayedWorkflow,
) -> None:
    async with assistant.stage.modern() as socket:
        conversation = await assistant.asked(socket)
        await assistant.begins(conversation)
        await assistant.drafts(conversation, 0, "It ")
        assert await written(socket, 3) == "It "
        await assistant.begins(conversation, attempt=2)
        await assistant.drafts(conversation, 0, "Tomorrow", attempt=2)
        draft = await heard(socket, "Draft")  # now the proxy has read of the second attempt
        assert (draft["attempt"], draft["offset"], draft["text"]) == (2, 0, "Tomorrow")
        await assistant.drafts(conversation, 3, "of the dead", attempt=1)
        await assistant.drafts(conversation, 8, " at noon", attempt=2)
        draft = await heard(socket, "Draft")
        assert (draft["attempt"], draft["offset"], draft["text"]) == (2, 8, " at noon")


async def test_after_a_takeover_no_word_comes_through(assistant: PlayedWorkflow) -> None:
    async with assistant.stage.modern() as socket:
        conversation = await assistant.asked(socket)
        await assistant.begins(conversation)
        await assistant.drafts(conversation, 0, "It ")
        assert await written(socket, 3) == "It "
        await assistant.claimed(conversation)
        end = await heard(socket, "Draft")
        assert (end["turn"], end["text"], end["end"]) == (str(assistant.cause), "", "interrupted")
        await heard(socket, "OperatorJoined")
        await assistant.followed(0)
        await assistant.drafts(conversation, 3, "arrives")
        await assistant.ends(conversation, AssistantSaid(text="It arrives", attempt=1))
        await assistant.until(conversation, 6)
        await nothing_more_than_the_state(socket)


async def nothing_more_than_the_state(socket: ClientConnection) -> None:
    assert (await heard(socket, "State"))["owner"] == "operator"
    await nothing_more(socket)


async def test_an_answer_that_failed_is_taken_back(assistant: PlayedWorkflow) -> None:
    async with assistant.stage.modern() as socket:
        conversation = await assistant.asked(socket)
        await assistant.begins(conversation)
        await assistant.drafts(conversation, 0, "It ")
        assert await written(socket, 3) == "It "
        await assistant.ends(conversation, AnswerFailed(reason="cut"), BotSaid(text="Sorry."))
        assert (await heard(socket, "Draft"))["end"] == "failed"
        assert (await heard(socket, "BotText"))["content"] == "Sorry."


async def test_what_is_no_draft_is_ignored(assistant: PlayedWorkflow) -> None:
    async with assistant.stage.modern() as socket:
        conversation = await assistant.asked(socket)
        await assistant.begins(conversation)
        await assistant.followed(1)
        client = await assistant.connections.client("workflow")
        for nonsense in (b"", b"[]", b"{}", b'{"cause":"x"}', b"\xff"):
            await client.publish(subjects.draft(conversation), nonsense)
        await flushed(client)
        await assistant.drafts(conversation, 0, "It ")
        assert await written(socket, 3) == "It "
    assert '"level":"error"' not in assistant.stage.proxy.output
