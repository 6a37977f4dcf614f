"""A service's keys: those that it needs at hand, and unused ones for what begins.

A key's id is its block's name and its number there (`shared.eventlog.key_blocks`). What a key is used for is
the caller's to say, and so is what ``K`` is.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from nats.aio.client import Client

from shared.eventlog.key_blocks import BLOCK_KEYS, NAME_BYTES, Block, KeyBlocks
from shared.eventlog.master_keys import MasterKeys

K = TypeVar("K")

#: Keys kept at hand: an evicted one is fetched again. About 3 KB each.
CAPACITY = 10_000
#: Blocks kept at hand, for those of its keys that come next. About 4 KB each.
MAX_BLOCKS = 1_000
#: The next block is made when fewer unused keys are left than this: nobody who begins waits for it.
LOW = BLOCK_KEYS // 2


class Keyring(Generic[K]):
    """Keys by id. ``make`` makes one of its id and its secret (bytes both)."""

    def __init__(
        self,
        client: Client,
        masters: MasterKeys,
        make: Callable[[bytes, bytes], K],
        capacity: int = CAPACITY,
    ) -> None:
        self._blocks = KeyBlocks(client, masters)
        self._make = make
        self._capacity = capacity
        self._keys: OrderedDict[bytes, K] = OrderedDict()
        self._loaded: OrderedDict[bytes, Block] = OrderedDict()
        self._loading: dict[bytes, asyncio.Task[Block]] = {}
        self._unused: deque[tuple[bytes, bytes]] = deque()
        self._making: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Whether the master key opens what is there. Raises `WrongMasterKey` or `KeysUnreachable`."""
        await self._blocks.newest()

    def cached(self, id: bytes) -> K | None:
        """The key, if it is at hand."""
        key = self._keys.get(id)
        if key is not None:
            self._keys.move_to_end(id)
        return key

    async def get(self, id: bytes) -> K:
        """The key. Raises `KeyDestroyed`, `KeyLost`, `WrongMasterKey` or `KeysUnreachable`."""
        key = self.cached(id)
        if key is None:
            name, number = id[:NAME_BYTES], id[NAME_BYTES]
            block = self._loaded.get(name)
            if block is None:
                block = await self._load(name)
            else:
                self._loaded.move_to_end(name)
            key = self._keep(id, block.secret(number))
        return key

    def unused(self) -> K | None:
        """A key that nobody uses, on disk already; None where none is at hand: ask `new`."""
        if len(self._unused) <= LOW:
            self._make_more()
        if not self._unused:
            return None
        return self._keep(*self._unused.popleft())

    async def new(self) -> K:
        """The same, however long it takes. Raises `KeysUnreachable`."""
        while (key := self.unused()) is None:
            await asyncio.shield(self._make_more())
        return key

    def forget(self, id: bytes) -> None:
        """Keep nothing of a key that was destroyed. Whatever else of its block is needed is fetched again."""
        self._keys.pop(id, None)
        self._loaded.pop(id[:NAME_BYTES], None)

    def reset(self) -> None:
        """Keep nothing at all: the store was replaced, and may lack what was written since it was copied."""
        self._keys.clear()
        self._loaded.clear()
        self._unused = deque()  # what is being made at this moment still goes into the one before
        self._loading.clear()
        self._making = None

    def _keep(self, id: bytes, secret: bytes) -> K:
        key = self._keys[id] = self._make(id, secret)
        if len(self._keys) > self._capacity:
            self._keys.popitem(last=False)
        return key

    async def _load(self, name: bytes) -> Block:
        """Fetch a block once, for all who wait for it."""
        task = self._loading.get(name)
        if task is None:
            task = self._loading[name] = asyncio.create_task(self._blocks.load(name))
            task.add_done_callback(_told)
        try:
            block = await asyncio.shield(task)
        finally:
            if task.done() and self._loading.get(name) is task:
                del self._loading[name]
        if len(self._loaded) >= MAX_BLOCKS:
            self._loaded.popitem(last=False)
        self._loaded[name] = block
        return block

    def _make_more(self) -> asyncio.Task[None]:
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._more())
            self._making.add_done_callback(_told)
        return self._making

    async def _more(self) -> None:
        unused = self._unused
        block = await self._blocks.create()
        unused.extend((block.name + bytes([number]), block.secret(number)) for number in range(BLOCK_KEYS))


def _told(task: asyncio.Task[Any]) -> None:
    """Whoever needs a key asks again, and is told then why there is none."""
    if not task.cancelled():
        task.exception()
