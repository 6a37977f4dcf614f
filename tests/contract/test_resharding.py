"""`switchboard reshard` against the real server: the same conversations in other streams, nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace
from nats.aio.client import Client

from deploy import provisioning, resharding
from deploy.cli.main import main
from deploy.log_copy import ReshardError
from deploy.provisioning import NEXT, PREVIOUS
from shared.contract import entry, sealing
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import (
    AnswerStarted,
    BotSaid,
    ConversationClaimed,
    ConversationStarted,
    ServiceAnswered,
    TextWritten,
    TimerArmed,
)
from shared.contract.sealing import DataKey
from shared.eventlog.errors import Unreachable
from shared.eventlog.key_blocks import NAME_BYTES, KeyBlocks
from shared.eventlog.keyring import Keyring
from shared.eventlog.layout import MAX_STREAMS, Layout
from shared.eventlog.log import Log
from shared.eventlog.master_keys import KeyringError, MasterKeys, new_master_key
from shared.eventlog.provisioning import DeclareError, find_layout, stream_config
from shared.service.chat_log import ChatLog
from tests.conftest import Connections
from tests.processes import ROOT
from tests.replica import Replica, answered, causes, greet, text, until

#: Conversations in shards of all kinds.
NAMES = [f"{number:032x}" for number in range(12)]
OWNED, UNANSWERED, TIMED, SEALED, ERASED = (f"{number:032x}" for number in range(100, 105))
MASTER = new_master_key()


class SealingCodec:
    """The codec of a log whose words are sealed."""

    def __init__(self, key: DataKey, conversation: str, author: Any) -> None:
        self._how = conversation, author, key

    def encode(self, each: Entry, /) -> bytes:
        return entry.encode_sealed(each, *self._how)

    def id(self, each: Entry, /) -> str:
        return each.id


class Told(NamedTuple):
    """What a conversation tells, wherever it is."""

    author: str
    id: str
    time: int
    cause: int | None
    facts: tuple[object, ...]
    sealed: bool


class World:
    """A log of so many streams, and whoever writes there."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.lines: list[str] = []

    async def begin(self, streams: int) -> None:
        self.admin = await self.connections.client("admin")
        await self.again(streams)
        self.masters = MasterKeys.parse(MASTER)

    async def again(self, streams: int) -> None:
        await provisioning.wipe(self.admin)
        await provisioning.declare(self.admin, max_bytes=1024**3, streams=streams)

    async def log(self, user: str) -> ChatLog:
        return await self.connections.log(user)

    async def fill(self) -> None:
        """Conversations that the bot has answered, all at the same time."""
        visitor, bot = await self.log("proxy"), await self.log("workflow")
        for turn in range(4):
            for name in NAMES:
                if turn == 0:
                    said: Any = ConversationStarted(door="web")
                else:
                    said = TextWritten(session="s", text=f"{name} {turn}")
                cause = await visitor.append(name, "visitor", Entry(id=f"v{turn}", facts=(said,)))
                await bot.append(
                    name, "bot", Entry(id=str(cause), cause=cause, facts=(BotSaid(text=f"{turn}!"),))
                )
        await self.stop(visitor, bot)

    async def seal(self, name: str) -> DataKey:
        """A conversation whose words are sealed, with all that names a position."""
        proxy, workflow = await self.connections.client("proxy"), await self.connections.client("workflow")
        ring = Keyring(proxy, self.masters, DataKey)
        key = await ring.new()
        layout = await find_layout(self.admin, "CHAT", "chat")
        assert layout is not None
        visitor: ChatLog = Log(proxy, layout, SealingCodec(key, name, "visitor"))
        bot: ChatLog = Log(workflow, layout, SealingCodec(key, name, "bot"))
        for n in range(3):
            asked = Entry(id=f"v{n}", facts=(TextWritten(session="s", text=f"Where is {n}?"),))
            cause = await visitor.append(name, "visitor", asked)
            for id, fact in (
                (f"service:{cause}:look", ServiceAnswered(cause=cause, state="look", value={"at": 1.50})),
                (f"answer:{cause}:1", AnswerStarted(cause=cause, attempt=1)),
            ):
                await bot.append(name, "bot", Entry(id=id, facts=(fact,)))
            said = Entry(
                id=str(cause),
                cause=cause,
                facts=(
                    BotSaid(text="Here."),
                    TimerArmed(id=f"inactivity:{cause}", at="2999-01-01T00:00:00Z"),
                ),
            )
            await bot.append(name, "bot", said)
        await proxy.close()
        await workflow.close()
        return key

    async def destroy(self, key: DataKey) -> None:
        await KeyBlocks(self.admin, self.masters).destroy(key.id[:NAME_BYTES], [key.id[NAME_BYTES]])

    async def stop(self, *logs: ChatLog) -> None:
        for log in logs:
            await log.client.close()

    async def reshard(self, streams: int, client: Client | None = None) -> bool:
        self.lines.clear()
        return await resharding.reshard(
            client or self.admin,
            streams,
            lambda: self.masters,
            1024**3,
            1,
            self.lines.append,
            lambda what, done, total: None,
        )

    async def told(self) -> dict[str, list[Told]]:
        """Every conversation, with the place of an entry in it instead of its position."""
        log = await self.connections.log("reader")
        ring = Keyring(self.admin, self.masters, DataKey)
        found: dict[str, list[RecordedEntry]] = {}
        async for batch in log.read():
            for message in batch:
                id = sealing.key_id(message.data)
                if id is not None:
                    with contextlib.suppress(KeyringError):
                        await ring.get(id)
                args = message.sequence, message.key, message.author, message.time, message.data
                found.setdefault(message.key, []).append(entry.decode(*args, ring.cached))
        await log.client.close()
        return {name: _told(entries) for name, entries in found.items()}


def _told(entries: Sequence[RecordedEntry]) -> list[Told]:
    places = {each.position: place for place, each in enumerate(entries)}

    def placed(fact: Any) -> Any:
        return replace(fact, cause=places[fact.cause]) if hasattr(fact, "cause") else fact

    return [
        Told(
            each.author,
            each.id,
            each.time,
            None if each.cause is None else places[each.cause],
            tuple(map(placed, each.facts)),
            each.sealed,
        )
        for each in entries
    ]


@pytest.fixture
async def world(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(resharding, "CONNECTIONS_SECONDS", 0.1)
    return World(connections)


CHANGES = pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (4, 8), (8, 3)])


@CHANGES
async def test_every_conversation_is_the_same_in_other_streams(world: World, before: int, after: int) -> None:
    await world.begin(before)
    await world.fill()
    await world.seal(SEALED)
    await world.destroy(await world.seal(ERASED))
    await world.told()  # this process wrote it, and reads its own words once without their key
    then = await world.told()
    assert then[SEALED][1].facts == (ServiceAnswered(cause=0, state="look", value={"at": 1.5}),)
    assert then[ERASED][1].sealed

    assert await world.reshard(after)

    assert await world.told() == then
    layout = await find_layout(world.admin, "CHAT", "chat")
    assert layout == Layout("CHAT", "chat", after)
    log = await world.log("reader")
    assert await log.length() == sum(map(len, then.values()))
    for name in then:
        assert await log.last(name) == (await log.fetch(name))[-1].sequence
    for number in range(MAX_STREAMS):
        assert (await stream_config(world.admin, f"CHAT-{number}") is not None) == (number < after)
        assert (await stream_config(world.admin, f"{PREVIOUS}-{number}") is not None) == (number < before)
        assert await stream_config(world.admin, f"{NEXT}-{number}") is None
    # The server's settings are those of a log that was made so.
    await provisioning.declare(world.admin, max_bytes=1024**3, streams=after)
    await resharding.drop_old(world.admin)
    assert await stream_config(world.admin, f"{PREVIOUS}-0") is None


async def test_what_was_not_answered_is_answered_once_and_nothing_again(world: World) -> None:
    """Services go on where they stood: unanswered inputs, a person's conversation, armed timers."""
    await world.begin(1)
    replica = await Replica(world.connections).start()
    visitor, operator = await world.log("proxy"), await world.log("operator")
    for name in (*NAMES, OWNED, UNANSWERED):
        await greet(visitor, name)
        await answered(visitor, conversation=name)
        await visitor.append(name, "visitor", text("one"))
        await answered(visitor, conversation=name)
    await replica.crash()
    replica = await Replica(world.connections).start(inactivity=2)
    await greet(visitor, TIMED)
    await until(visitor, lambda state: bool(state.timers.armed), conversation=TIMED)
    await replica.crash()
    claim = Entry(id="c", facts=(ConversationClaimed(operator="ann", name="Ann"),))
    await operator.append(OWNED, "operator", claim)
    await visitor.append(OWNED, "visitor", text("to a person"))
    await visitor.append(UNANSWERED, "visitor", text("two"))
    await visitor.append(UNANSWERED, "visitor", text("three"))
    await world.stop(visitor, operator)
    then = await world.told()

    await world.reshard(4)

    replica = await Replica(world.connections).start(inactivity=2)
    visitor = await world.log("proxy")
    entries = await answered(visitor, conversation=UNANSWERED)
    assert len(set(causes(entries))) == len(causes(entries)) == 4
    # A timer that was armed before fires, and its conversation ends.
    await until(visitor, lambda state: state.ownership.status == "resolved", conversation=TIMED)
    for name in NAMES:
        await visitor.append(name, "visitor", text("again"))
        await answered(visitor, conversation=name)
    now = await world.told()
    assert now[OWNED][: len(then[OWNED])] == then[OWNED]
    assert not [
        each for each in now[OWNED][len(then[OWNED]) :] if each.author == "bot" and each.cause is not None
    ]
    for name, told in then.items():
        assert now[name][: len(told)] == told
        outcomes = [each.cause for each in now[name] if each.cause is not None]
        assert len(outcomes) == len(set(outcomes)), name
    await replica.crash()
