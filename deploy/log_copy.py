"""The parts of a copy of the log into other streams: keys, numbers, what is compared, and what writes."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final

import msgspec
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.contract import relocation, sealing
from shared.contract.relocation import NewPosition
from shared.contract.sealing import DataKey
from shared.eventlog.api import PubAck, append_error
from shared.eventlog.errors import LogError
from shared.eventlog.key_blocks import KeyDestroyed
from shared.eventlog.keyring import Keyring
from shared.eventlog.master_keys import MasterKeys
from shared.eventlog.messages import StoredMessage
from shared.eventlog.stream import Tail

#: Entries on their way to the copies, and their bytes.
MAX_PENDING: Final = 500
MAX_PENDING_BYTES: Final = 4 * 1024 * 1024
#: How long nothing may happen (seconds): no acknowledgement, no progress of a mirror.
STALLED_SECONDS: Final = 30.0

_pub_ack = msgspec.json.Decoder(PubAck)


class ReshardError(Exception):
    """The log cannot be copied; the text says why and what to do."""


class Keys:
    """The keys of sealed words, fetched before they are needed."""

    def __init__(self, client: Client, masters: Callable[[], MasterKeys]) -> None:
        self._client = client
        self._masters = masters
        self._ring: Keyring[DataKey] | None = None
        self._destroyed: set[bytes] = set()

    async def load(self, batch: Sequence[StoredMessage]) -> None:
        """Fetch the keys of these, except those that were destroyed. Raises `KeyringError`."""
        for message in batch:
            id = sealing.key_id(message.data)
            if id is None or id in self._destroyed:
                continue
            if self._ring is None:
                self._ring = Keyring(self._client, self._masters(), DataKey)
            try:
                await self._ring.get(id)
            except KeyDestroyed:
                self._destroyed.add(id)

    def find(self, id: bytes) -> DataKey | None:
        return self._ring.cached(id) if self._ring is not None else None


class Numbers:
    """A number for each entry of a log, by its stream and sequence."""

    def __init__(self, firsts: Sequence[int], lengths: Sequence[int]) -> None:
        self._firsts = firsts
        self._numbers = [array("Q", bytes(8 * length)) for length in lengths]
        self._owners = [array("I", bytes(4 * length)) for length in lengths]
        self._keys: dict[str, int] = {}

    def put(self, message: StoredMessage, number: int) -> None:
        at = message.sequence - self._firsts[message.stream]
        self._numbers[message.stream][at] = number
        self._owners[message.stream][at] = self._keys.setdefault(message.key, len(self._keys) + 1)

    def of(self, message: StoredMessage) -> NewPosition:
        """The numbers of the earlier entries of the message's conversation; others keep their sequence."""
        first, numbers = self._firsts[message.stream], self._numbers[message.stream]
        owners, owner = self._owners[message.stream], self._keys.get(message.key, 0)

        def number(sequence: int) -> int:
            at = sequence - first
            known = 0 <= at < len(numbers) and owner and owners[at] == owner
            return numbers[at] if known else sequence

        return number


class Contents:
    """How many entries each conversation has, and a digest of what they say."""

    def __init__(self, tails: Sequence[Tail], keys: Keys) -> None:
        self._find = keys.find
        self._numbers = Numbers([tail.first for tail in tails], [tail.length for tail in tails])
        self._digests: dict[str, tuple[int, bytes]] = {}

    def add(self, message: StoredMessage) -> None:
        count, digest = self._digests.get(message.key, (0, b""))
        said = relocation.content(
            message.data,
            message.key,
            message.author,
            message.time,
            self._numbers.of(message),
            self._find,
        )
        self._numbers.put(message, count + 1)
        self._digests[message.key] = count + 1, blake2b(digest + said, digest_size=16).digest()

    def compare(self, copy: Contents) -> None:
        """Raises `ReshardError` where a conversation is not the same in the copy."""
        for key in self._digests.keys() | copy._digests.keys():
            wanted, found = self._digests.get(key, (0, b"")), copy._digests.get(key, (0, b""))
            if wanted != found:
                raise ReshardError(
                    f"the conversation {key} has {wanted[0]} entries, and its copy has {found[0]}, or "
                    "others. The log is as it was. Run this again; if it happens again, it is a defect."
                )


class Writer:
    """Writes into the copies, many at once; each entry must get the sequence that it is meant to have."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._pending: dict[str, tuple[int, int]] = {}  # the sequence, and the size
        self._bytes = 0
        self._count = 0
        self._moved = asyncio.Event()
        self._failure: Exception | None = None

    async def start(self) -> None:
        self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._acknowledged)

    async def stop(self) -> None:
        if not self._client.is_closed:
            await self._subscription.unsubscribe()

    async def write(self, subject: str, data: bytes, sequence: int) -> None:
        """Raises `LogError` or `ReshardError`, of this entry or of one before it."""
        await self._until(MAX_PENDING - 1, MAX_PENDING_BYTES)
        self._count += 1
        self._pending[str(self._count)] = sequence, len(data)
        self._bytes += len(data)
        try:
            await self._client.publish(subject, data, reply=f"{self._inbox}.{self._count}")
        except nats.errors.Error as error:
            raise ReshardError(
                f"what is copied cannot be sent to NATS: {error!r}. The log is as it was: run this again."
            ) from error

    async def finish(self) -> None:
        """Once all is stored."""
        await self._until(0, 0)

    async def _until(self, count: int, size: int) -> None:
        while self._failure is None and (len(self._pending) > count or self._bytes > size):
            self._moved.clear()
            try:
                async with asyncio.timeout(STALLED_SECONDS):
                    await self._moved.wait()
            except TimeoutError as error:
                raise ReshardError(
                    "NATS does not store what is copied (is its volume full?). The log is as it was."
                ) from error
        if self._failure is not None:
            raise self._failure

    async def _acknowledged(self, reply: Msg) -> None:
        sequence, size = self._pending.pop(reply.subject.rpartition(".")[2], (0, 0))
        self._bytes -= size
        self._moved.set()
        try:
            ack = _pub_ack.decode(reply.data)
        except msgspec.MsgspecError:
            self._failure = LogError("nothing takes what is copied: the copy was removed by something else")
            return
        if ack.error is not None:
            self._failure = append_error(ack.error)
        elif ack.seq != sequence:
            self._failure = ReshardError(
                "entries of the copy are not where they belong (was the connection lost?). The log is as "
                "it was: run this again."
            )
