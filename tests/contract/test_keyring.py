"""Keys against the real server: made before they are used, read by whoever may, and destroyed for good."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import nats.errors
import pytest
from nats.aio.client import Client

from deploy.local.embedded import EmbeddedNats
from shared.eventlog import keyring as module
from shared.eventlog.key_blocks import (
    BLOCK_KEYS,
    NAME_BYTES,
    Block,
    KeyBlocks,
    KeyDestroyed,
    KeyLost,
    KeysUnreachable,
)
from shared.eventlog.keyring import Keyring
from shared.eventlog.master_keys import BadMasterKey, KeyringError, MasterKeys, WrongMasterKey, new_master_key
from tests.conftest import Connections

OLD, NEW = new_master_key(), new_master_key()
MASTERS = MasterKeys.parse(OLD)

Pair = tuple[bytes, bytes]


def pair(id: bytes, secret: bytes) -> Pair:
    return id, secret


async def ring(connections: Connections, user: str, masters: MasterKeys = MASTERS) -> Keyring[Pair]:
    return Keyring(await connections.client(user), masters, pair)


async def blocks(connections: Connections, masters: MasterKeys = MASTERS) -> KeyBlocks:
    return KeyBlocks(await connections.client("admin"), masters)


async def wrapped(connections: Connections) -> list[bytes]:
    """All that the stream holds, oldest first."""
    client = await connections.client("admin")
    found: list[bytes] = []
    position = 0
    while True:
        wanted = msgspec.json.encode({"seq": position + 1, "next_by_subj": "key.>"})
        reply = await client.request("$JS.API.DIRECT.GET.KEYS", wanted)
        if not reply.headers or "Nats-Sequence" not in reply.headers:
            return found
        position = int(reply.headers["Nats-Sequence"])
        found.append(reply.data)


def on_disk(server: EmbeddedNats, data: bytes) -> bool:
    """Whether any file of the server's folder holds a part of ``data``."""
    part = data[32:96]
    return any(part in path.read_bytes() for path in server.folder.rglob("*") if path.is_file())


class CutShort(Exception):
    """The process is killed here."""


class KilledClient(Client):
    """A client whose process is killed before its request number ``survives + 1``."""

    def __init__(self, client: Client, survives: int) -> None:
        self._client = client
        self.left = survives

    async def request(self, *arguments: Any, **options: Any) -> Any:
        if self.left == 0:
            raise CutShort
        self.left -= 1
        return await self._client.request(*arguments, **options)


async def killed_and_started(connections: Connections) -> None:
    """The server is killed with -9, and started anew; clients of before are closed."""
    await connections.close()
    connections.server.kill()
    connections.server.start()


# --- making and reading -----------------------------------------------------------------------


async def test_every_service_that_speaks_reads_the_key_that_one_made(connections: Connections) -> None:
    key = await (await ring(connections, "proxy")).new()
    for user in ("proxy", "workflow", "operator"):
        assert await (await ring(connections, user)).get(key[0]) == key


async def test_a_key_is_on_disk_before_it_is_used(connections: Connections, declared: EmbeddedNats) -> None:
    key = await (await ring(connections, "proxy")).new()
    await killed_and_started(connections)
    assert await (await ring(connections, "workflow")).get(key[0]) == key


async def test_no_two_keys_are_the_same_and_the_next_block_is_made_ahead(connections: Connections) -> None:
    keys = await ring(connections, "proxy")
    made = [await keys.new()]
    while keys._making is not None and not keys._making.done():
        await keys._making
    for _ in range(3 * BLOCK_KEYS):
        key = keys.unused()
        assert key is not None, "a new conversation waited for its key"
        made.append(key)
        if keys._making is not None:
            await keys._making
    assert len({id for id, _ in made}) == len({secret for _, secret in made}) == len(made)


async def test_a_keyring_is_bounded_and_fetches_what_it_dropped(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BLOCKS", 1)
    maker = await ring(connections, "proxy")
    made = [await maker.new() for _ in range(2 * BLOCK_KEYS)]
    reader = Keyring(await connections.client("operator"), MASTERS, pair, capacity=3)
    for id, secret in (*made, *made):
        assert await reader.get(id) == (id, secret)
    assert sum(reader.cached(id) is not None for id, _ in made) == 3


async def test_many_who_want_keys_of_one_block_fetch_it_once(connections: Connections) -> None:
    maker = await ring(connections, "proxy")
    made = [await maker.new() for _ in range(20)]
    client = KilledClient(await connections.client("operator"), survives=1)
    reader = Keyring(client, MASTERS, pair)
    assert await asyncio.gather(*(reader.get(id) for id, _ in made)) == made


async def test_a_service_can_add_keys_and_change_none(connections: Connections) -> None:
    key = await (await ring(connections, "proxy")).new()
    client = await connections.client("workflow")
    block = key[0][:NAME_BYTES].hex()
    answer = msgspec.json.decode((await client.request(f"key.{block}.0", b"forged")).data)
    assert answer["error"]["description"] == "maximum messages per subject exceeded"
    with pytest.raises(nats.errors.TimeoutError):
        await client.request(f"key.{block}.1", b"forged", timeout=0.3)
    assert await (await ring(connections, "operator")).get(key[0]) == key


# --- what is lost -----------------------------------------------------------------------------


async def test_a_wrong_master_key_is_told_at_once_with_what_can_still_be_read(
    connections: Connections,
) -> None:
    right = await ring(connections, "proxy")
    await right.check()
    key = await right.new()
    wrong = await ring(connections, "proxy", MasterKeys.parse(NEW))
    for attempt in (wrong.check(), wrong.get(key[0])):
        with pytest.raises(WrongMasterKey, match=r"by the master key [0-9a-f]{16}, .* can be read without"):
            await attempt
    await right.check()


async def test_a_lost_key_is_told_from_a_destroyed_one(connections: Connections) -> None:
    keys = await ring(connections, "proxy")
    id, _ = await keys.new()
    await (await blocks(connections)).destroy(id[:NAME_BYTES], [id[NAME_BYTES]])
    with pytest.raises(KeyDestroyed, match="forgotten"):
        await (await ring(connections, "operator")).get(id)
    with pytest.raises(KeyLost, match=r"cannot be read\. States, .* from a copy"):
        await (await ring(connections, "operator")).get(bytes(NAME_BYTES) + b"\x00")


async def test_while_nats_is_away_nothing_is_said_of_a_key(
    connections: Connections, declared: EmbeddedNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = await ring(connections, "proxy")
    key = await keys.new()
    reader = await ring(connections, "workflow")
    stopped = declared.process
    assert stopped is not None
    stopped.send_signal(signal.SIGSTOP)
    await asyncio.to_thread(os.waitid, os.P_PID, stopped.pid, os.WSTOPPED)
    monkeypatch.setattr("shared.eventlog.key_blocks.TIMEOUT", 0.2)
    try:
        with pytest.raises(KeysUnreachable):
            await reader.get(key[0])
    finally:
        stopped.send_signal(signal.SIGCONT)
    monkeypatch.undo()
    assert await reader.get(key[0]) == key


async def test_after_the_store_was_replaced_no_key_of_the_one_before_is_used(
    connections: Connections,
) -> None:
    keys = await ring(connections, "proxy")
    first = await keys.new()
    keys.reset()
    assert keys.cached(first[0]) is None
    assert (await keys.new())[0][:NAME_BYTES] != first[0][:NAME_BYTES]


# --- forgetting -------------------------------------------------------------------------------


async def test_a_destroyed_key_is_in_no_file_of_the_server_and_the_others_of_its_block_stay(
    connections: Connections, declared: EmbeddedNats
) -> None:
    keys = await ring(connections, "proxy")
    made = [await keys.new() for _ in range(10)]
    [before] = await wrapped(connections)
    assert on_disk(declared, before), "looked for in the wrong place"
    victim = made[3][0]
    await (await blocks(connections)).destroy(victim[:NAME_BYTES], [victim[NAME_BYTES]])
    [after] = await wrapped(connections)
    for _ in range(2):
        assert on_disk(declared, after)
        assert not on_disk(declared, before)
        reader = await ring(connections, "operator")
        for key in made:
            if key[0] != victim:
                assert await reader.get(key[0]) == key
        with pytest.raises(KeyDestroyed):
            await reader.get(victim)
        await killed_and_started(connections)


async def test_a_forgotten_key_is_not_kept_at_hand(connections: Connections) -> None:
    keys = await ring(connections, "proxy")
    id, _ = await keys.new()
    reader = await ring(connections, "operator")
    await reader.get(id)
    await (await blocks(connections)).destroy(id[:NAME_BYTES], [id[NAME_BYTES]])
    for each in (keys, reader):
        each.forget(id)
        with pytest.raises(KeyDestroyed):
            await each.get(id)


async def test_destroying_is_done_again_wherever_it_was_cut_short(
    connections: Connections, declared: EmbeddedNats
) -> None:
    keys = await ring(connections, "proxy")
    cut = 0

    async def made() -> Pair:
        keys.reset()
        return await keys.new()

    survives = 0
    while True:
        id, _ = await made()
        before = (await wrapped(connections))[-1]
        killed = KilledClient(await connections.client("admin"), survives)
        try:
            await KeyBlocks(killed, MASTERS).destroy(id[:NAME_BYTES], [id[NAME_BYTES]])
        except CutShort:
            cut += 1
            await (await blocks(connections)).destroy(id[:NAME_BYTES], [id[NAME_BYTES]])
        assert not on_disk(declared, before), f"after {survives} requests"
        with pytest.raises(KeyDestroyed):
            await (await ring(connections, "operator")).get(id)
        if killed.left:
            break
        survives += 1
    assert cut >= 4


async def test_many_who_destroy_keys_of_one_block_at_once_destroy_them_all(
    connections: Connections, declared: EmbeddedNats
) -> None:
    keys = await ring(connections, "proxy")
    made = [await keys.new() for _ in range(8)]
    store = [await blocks(connections) for _ in made[:6]]
    await asyncio.gather(
        *(
            each.destroy(id[:NAME_BYTES], [id[NAME_BYTES]])
            for each, (id, _) in zip(store, made[:6], strict=True)
        )
    )
    reader = await ring(connections, "operator")
    for id, _ in made[:6]:
        with pytest.raises(KeyDestroyed):
            await reader.get(id)
    assert [await reader.get(id) for id, _ in made[6:]] == made[6:]
    assert len(await wrapped(connections)) == 1
    assert (await store[0].audit())[:4] == (1, 6, 0, 0)


class OvertakenClient(Client):
    """A client that others overtake, once, between its first request and its second."""

    def __init__(self, client: Client, overtake: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._overtake = overtake
        self._asked = 0

    async def request(self, *arguments: Any, **options: Any) -> Any:
        self._asked += 1
        if self._asked == 2:
            await self._overtake()
        return await self._client.request(*arguments, **options)


async def test_who_is_overtaken_brings_no_destroyed_key_back(connections: Connections) -> None:
    keys = await ring(connections, "proxy")
    made = [await keys.new() for _ in range(4)]
    name = made[0][0][:NAME_BYTES]
    others = await blocks(connections)

    async def overtake() -> None:
        """Two more revisions, and the one between erased: its subject is free again."""
        await others.destroy(name, [made[0][0][NAME_BYTES]])
        await others.destroy(name, [made[1][0][NAME_BYTES]])

    slow = OvertakenClient(await connections.client("admin"), overtake)
    await KeyBlocks(slow, MASTERS).destroy(name, [made[2][0][NAME_BYTES]])
    reader = await ring(connections, "operator")
    for id, _ in made[:3]:
        with pytest.raises(KeyDestroyed):
            await reader.get(id)
    assert await reader.get(made[3][0]) == made[3]


async def test_destroying_what_is_not_there_is_no_error(connections: Connections) -> None:
    await (await blocks(connections)).destroy(bytes(NAME_BYTES), [0])


# --- rotation ---------------------------------------------------------------------------------


async def test_a_rotation_may_be_killed_anywhere_and_is_done_again(
    connections: Connections, declared: EmbeddedNats
) -> None:
    both = MasterKeys.parse(f"{NEW},{OLD}")
    keys = await ring(connections, "proxy")
    made = []
    for _ in range(3):
        made += [await keys.new() for _ in range(2)]
        keys.reset()
    await (await blocks(connections)).destroy(made[0][0][:NAME_BYTES], [made[0][0][NAME_BYTES]])
    before = await wrapped(connections)
    admin = await connections.client("admin")
    survives = 0
    while True:
        killed = KilledClient(admin, survives)
        try:
            async for _ in KeyBlocks(killed, both).rotate():
                pass
            break
        except CutShort:  # all can be read in between by a service that knows both
            survives += 1
            reader = await ring(connections, "operator", both)
            assert [await reader.get(id) for id, _ in made[1:]] == made[1:]
    assert survives >= 3, "the rotations before have left nothing to do"
    for data in before:
        assert not on_disk(declared, data)
    reader = await ring(connections, "operator", MasterKeys.parse(NEW))
    assert [await reader.get(id) for id, _ in made[1:]] == made[1:]
    with pytest.raises(KeyDestroyed):
        await reader.get(made[0][0])
    with pytest.raises(WrongMasterKey):
        await (await ring(connections, "operator")).get(made[1][0])
    assert await (await blocks(connections, both)).audit() == (3, 1, 0, 0, ())


async def test_an_audit_says_what_cannot_be_opened(connections: Connections) -> None:
    first = await ring(connections, "proxy")
    await first.new()
    await (await ring(connections, "proxy", MasterKeys.parse(NEW))).new()
    found = await (await blocks(connections, MasterKeys.parse(NEW))).audit()
    assert found[:4] == (2, 0, 0, 0)
    assert [MASTERS.id in why for why in found.broken] == [True]
    found = await (await blocks(connections, MasterKeys.parse(f"{NEW} {OLD}"))).audit()
    assert found == (2, 0, 1, 0, ())


# --- master keys ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", " ", "12", "x" * 128, "1" * 127, OLD + ",12"])
def test_what_is_no_master_key_is_told(text: str) -> None:
    with pytest.raises(BadMasterKey):
        MasterKeys.parse(text)


def test_what_was_changed_is_told() -> None:
    data = bytearray(MASTERS.wrap(b"secret", b"block"))
    assert MASTERS.unwrap(bytes(data), b"block") == b"secret"
    with pytest.raises(KeyringError, match="was changed"):
        MASTERS.unwrap(bytes(data), b"another block")
    data[-1] ^= 1
    with pytest.raises(KeyringError, match="was changed"):
        MASTERS.unwrap(bytes(data), b"block")
    with pytest.raises(KeyringError, match="no wrapped key"):
        MASTERS.unwrap(b"\x01short", b"block")


def test_a_block_without_a_key_says_so() -> None:
    block = Block(b"12345678", 0, 1, bytes(range(64)) * BLOCK_KEYS)
    assert block.secret(2) == bytes(range(64))
    for numbers in ([2], [2, 3]):
        with pytest.raises(KeyDestroyed):
            block._replace(keys=block.without(numbers)).secret(2)
    with pytest.raises(KeyDestroyed):
        block.secret(BLOCK_KEYS)
