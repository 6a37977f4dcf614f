"""Erasure against the real server: keys are destroyed for good, and whoever dies over it is followed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from nats.aio.client import Client
from prometheus_client import CollectorRegistry

from services.operator.erasure import Eraser, destroy_keys, erased
from shared.contract.codec import entry_of
from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.entry import Entry, encode_sealed
from shared.contract.facts import ConversationErased, ConversationStarted, TextWritten
from shared.contract.sealing import DataKey
from shared.contract.subjects import ERASER_DURABLE, chat
from shared.eventlog.connection import ConnectionState
from shared.eventlog.errors import Unreachable
from shared.eventlog.key_blocks import NAME_BYTES, KeyBlocks, KeyDestroyed
from shared.eventlog.keyring import Keyring
from shared.eventlog.log import Log
from shared.eventlog.master_keys import MasterKeys, new_master_key
from shared.eventlog.observer import LoggingObserver
from shared.service.chat_log import open_log
from tests import examples
from tests.conftest import LAYOUT, Connections
from tests.consumers import finished
from tests.contract.test_keyring import CutShort, KilledClient

C, OTHER = examples.CONVERSATION, examples.OTHER_CONVERSATION
MASTERS = MasterKeys.parse(new_master_key())
WORDS = "marmalade on toast"


class SealedLog:
    """Conversations whose words are sealed as the services seal them."""

    def __init__(self, connections: Connections, visitor: Client, eraser: Client) -> None:
        self._connections = connections
        self._visitor = visitor
        self._eraser = eraser
        self.ring = Keyring(visitor, MASTERS, DataKey)
        self.registry = CollectorRegistry()

    async def says(self, conversation: str, id: str, key: DataKey | None = None) -> DataKey:
        """The visitor's words, under a key of their own unless one is given."""
        key = key or await self.ring.new()
        fact = TextWritten(session="s", text=f"{WORDS} {id}")
        data = encode_sealed(Entry(id=id, facts=(fact,)), conversation, "visitor", key)
        await self._visitor.jetstream().publish(chat(conversation, "visitor"), data)
        return key

    async def notes(self, conversation: str, id: str) -> DataKey:
        """An operator's note, written where the conversation's key was not known: under one of its own."""
        key = await self.ring.new()
        data = encode_sealed(Entry(id=id, facts=(examples.NOTE_WRITTEN,)), conversation, "desk", key)
        operator = await self._connections.client("operator")
        await operator.jetstream().publish(LAYOUT.subject(conversation, "desk"), data)
        return key

    async def erase(self, conversation: str = C, by: str = "ada") -> int:
        """Say that it is erased; the position of that."""
        log = await open_log(self._eraser)
        entry = Entry(id="erase", needs=4, facts=(ConversationErased(by=by),))
        return await log.append(conversation, "eraser", entry)

    @asynccontextmanager
    async def eraser(self) -> AsyncIterator[Eraser]:
        health = LoggingObserver()
        log = await open_log(self._eraser)
        eraser = Eraser(log, self._eraser, MASTERS, ConnectionState(health), health, CollectorRegistry())
        await eraser.start()
        yield eraser
        await eraser.stop(5)

    async def is_gone(self, key: DataKey) -> bool:
        try:
            await Keyring(self._visitor, MASTERS, DataKey).get(key.id)
        except KeyDestroyed:
            return True
        return False

    async def acknowledged(self) -> None:
        """Until every erasure is done."""
        await finished(await self._connections.client("admin"), LAYOUT.names, ERASER_DURABLE)


@pytest.fixture
async def sealed(connections: Connections) -> SealedLog:
    return SealedLog(connections, await connections.client("proxy"), await connections.client("eraser"))


async def test_all_keys_of_what_was_said_are_destroyed_and_no_others(sealed: SealedLog) -> None:
    first, second = await sealed.says(C, "1"), await sealed.says(C, "2")  # two who began at once
    neighbour = await sealed.says(OTHER, "3")
    assert first.id[:NAME_BYTES] == neighbour.id[:NAME_BYTES]  # of one block
    async with sealed.eraser():
        await sealed.erase()
        await sealed.acknowledged()
    after = await sealed.says(C, "4")
    assert [await sealed.is_gone(key) for key in (first, second, neighbour, after)] == [
        True,
        True,
        False,
        False,
    ]


async def test_the_keys_of_what_was_noted_go_with_it(sealed: SealedLog) -> None:
    said, noted = await sealed.says(C, "1"), await sealed.notes(C, "2")
    elsewhere = await sealed.notes(OTHER, "3")
    async with sealed.eraser():
        await sealed.erase()
        await sealed.acknowledged()
    assert [await sealed.is_gone(key) for key in (said, noted, elsewhere)] == [True, True, False]


async def test_what_is_said_after_it_keeps_its_key(sealed: SealedLog) -> None:
    old = await sealed.says(C, "1")
    await sealed.erase()
    new = await sealed.says(C, "2")
    async with sealed.eraser():
        await sealed.acknowledged()
    assert (await sealed.is_gone(old), await sealed.is_gone(new)) == (True, False)


async def test_it_is_done_though_nobody_was_there_and_once_more_does_no_harm(sealed: SealedLog) -> None:
    key = await sealed.says(C, "1")
    await sealed.erase()
    assert not await sealed.is_gone(key)
    async with sealed.eraser(), sealed.eraser():
        await sealed.acknowledged()
    assert await sealed.is_gone(key)
    async with sealed.eraser():
        await sealed.acknowledged()


async def test_killed_at_any_request_it_is_done_by_the_next(
    sealed: SealedLog, connections: Connections
) -> None:
    """Each run survives one request more than the one before, until one ends."""
    keys = [await sealed.says(C, str(n)) for n in range(3)]
    position = await sealed.erase()
    client, log = await connections.client("eraser"), await connections.log("eraser")
    for survives in range(100):
        blocks = KeyBlocks(KilledClient(client, survives), MASTERS)
        try:
            assert await destroy_keys(log, blocks, C, position) == 3
        except CutShort:
            continue
        break
    assert survives > 3
    assert all([await sealed.is_gone(key) for key in keys])
    assert (await KeyBlocks(await connections.client("admin"), MASTERS).audit()).leftover == 0


async def test_a_wrong_master_key_destroys_nothing_and_says_so(
    sealed: SealedLog, connections: Connections
) -> None:
    key = await sealed.says(C, "1")
    position = await sealed.erase()
    blocks = KeyBlocks(await connections.client("eraser"), MasterKeys.parse(new_master_key()))
    with pytest.raises(Unreachable, match="cannot be destroyed"):
        await destroy_keys(await connections.log("eraser"), blocks, C, position)
    assert not await sealed.is_gone(key)


async def folded(log: Log[Entry], conversation: str) -> Conversation:
    state = NEW
    for message in await log.fetch(conversation):
        state = evolve(state, entry_of(message))
    return state


async def test_what_has_been_silent_is_erased_unless_somebody_speaks(
    sealed: SealedLog, connections: Connections
) -> None:
    visitor = await connections.log("proxy")
    started = Entry(id="a", facts=(ConversationStarted(door="web"),))
    for conversation in (C, OTHER):
        await visitor.append(conversation, "visitor", started)
    silent = [(conversation, await folded(visitor, conversation)) for conversation in (C, OTHER)]
    await visitor.append(OTHER, "visitor", Entry(id="b", facts=(examples.TEXT_WRITTEN,)))
    async with sealed.eraser() as eraser:
        assert await eraser.forget_silent(silent, "no word for 400 days") == 1
        assert await eraser.forget_silent(silent, "no word for 400 days") == 0  # another replica's sweep
        await sealed.acknowledged()
    assert not (await folded(visitor, C)).visit.started
    assert (await folded(visitor, OTHER)).visit.started
    (*_, last) = await visitor.fetch(C)
    assert last.author == "eraser"


def test_of_what_never_began_there_is_nothing_to_erase() -> None:
    assert erased(NEW, "ada", "") is None
