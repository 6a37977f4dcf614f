"""The keys of conversations' words, as one service has them: to seal what it writes, to open what it reads.

A conversation's words are sealed with the key with which its newest words that were read or written here are
sealed; where none are known, with an unused one. So two who begin a conversation at once may use two keys,
and whoever forgets a conversation must destroy every key that its entries name.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final, TypeAlias

import structlog
from msgspec.structs import replace
from nats.aio.client import Client

from shared.contract.codec import Stored, entry_of
from shared.contract.entry import RecordedEntry
from shared.contract.sealing import DataKey, FindKey, key_id
from shared.eventlog.connection import ConnectionState
from shared.eventlog.errors import Unreachable
from shared.eventlog.key_blocks import KeyDestroyed, KeyLost
from shared.eventlog.keyring import Keyring
from shared.eventlog.master_keys import BadMasterKey, KeyringError, MasterKeys
from shared.eventlog.observer import Observer
from shared.service.settings import Sealing, SettingError, variable

log = structlog.get_logger()

#: Conversations of which it is remembered with which key they are sealed. About 250 bytes each.
MAX_CONVERSATIONS: Final = 50_000
#: Keys of which it is remembered that they are gone.
MAX_GONE: Final = 50_000
#: How long a key counts as lost before it is looked for again (seconds).
LOST_SECONDS: Final = 5.0
#: How long to wait before the stream of keys is asked again (seconds).
PAUSE_SECONDS: Final = 1.0

#: Reads a message whose key is at hand.
Decode: TypeAlias = Callable[[Stored], RecordedEntry]


def masters_of(settings: Sealing) -> MasterKeys | None:
    """The master keys of a service; None where it has none, and seals nothing. Raises `SettingError`."""
    name = variable("master_key")
    if settings.master_key:
        try:
            return MasterKeys.parse(settings.master_key)
        except BadMasterKey as error:
            raise SettingError(f"{name}: {error}.") from error
    if settings.sealing:
        raise SettingError(
            f"{name} is not set: without it no word of a conversation can be written or read. Make one with "
            "`openssl rand -hex 64`, give the same to proxy, workflow and operator, and keep a copy apart "
            "from the store's copies: docs/keys.md."
        )
    return None


def keys_of(
    client: Client, masters: MasterKeys | None, link: ConnectionState, health: Observer, sealing: bool = True
) -> ConversationKeys | None:
    """What a service seals and opens words with; None without a master key."""
    if masters is None:
        return None
    keys = ConversationKeys(Keyring(client, masters, DataKey), health, sealing)
    link.on_loss(keys.reset)
    return keys


class ConversationKeys:
    """Keys by the entries that they seal. ``sealing``: what is written is sealed, not only read."""

    def __init__(self, ring: Keyring[DataKey], health: Observer, sealing: bool = True) -> None:
        self._ring = ring
        self._health = health
        self.sealing = sealing
        # Of each conversation the position and the key id of its newest sealed entry that was read; behind an
        # erasure its position, and b"".
        self._newest: OrderedDict[str, tuple[int, bytes]] = OrderedDict()
        self._destroyed: set[bytes] = set()  # ids of keys
        self._lost: dict[bytes, float] = {}  # and of those that are not there: when that was found
        self._watching: asyncio.Task[None] | None = None

    async def usable(self) -> None:
        """Wait until keys can be read with the master key that was given; meanwhile health says why not."""
        while not await self._check():
            await asyncio.sleep(PAUSE_SECONDS)

    def reset(self) -> None:
        """Keep no key: the connection was lost, and the store may have been put back from an older copy.

        A key that is used from here on has been found there, or made anew.
        """
        self._ring.reset()
        self._destroyed.clear()
        self._lost.clear()

    # --- reading ------------------------------------------------------------------------------------

    def opened(self, message: Stored) -> RecordedEntry | None:
        """The entry; None where its key must be fetched first: see `ready`."""
        recorded = entry_of(message, self._ring.cached)
        if recorded.sealed and self._to_fetch(recorded.key):
            return None
        return self._marked(recorded)

    async def ready(self, messages: Iterable[Stored]) -> Decode:
        """Fetch the keys of these messages; what reads them.

        Entries whose key was destroyed are read as erased. Those whose key is lost, or does not open them,
        stay sealed: what they hold cannot be told. Raises `Unreachable`.
        """
        find = await self.fetched(messages)
        return lambda message: self._marked(entry_of(message, find))

    async def fetched(self, messages: Iterable[Stored]) -> FindKey:
        """Fetch the keys of these messages; what finds those that are not gone. Raises `Unreachable`."""
        found: dict[bytes, DataKey] = {}
        for message in messages:
            id = key_id(message.data)
            if id is not None and id not in found and not self._is_gone(id):
                key = await self._get(id)
                if key is not None:
                    found[id] = key
        return found.get

    def _to_fetch(self, id: bytes) -> bool:
        """False also for what no key opens: an entry of a newer form, or one that was changed."""
        return id != b"" and not self._is_gone(id) and self._ring.cached(id) is None

    def _is_gone(self, id: bytes) -> bool:
        """A lost one is looked for again after a while: the stream may be put back from a copy."""
        if id in self._destroyed:
            return True
        found = self._lost.get(id)
        return found is not None and monotonic() - found < LOST_SECONDS

    def _marked(self, recorded: RecordedEntry) -> RecordedEntry:
        """Say what was erased, and remember the conversation's key: behind an erasure, one of its own."""
        if not recorded.key:
            if recorded.author == "eraser":
                self._forget(recorded)
            return recorded
        if recorded.sealed:
            return replace(recorded, erased=True) if recorded.key in self._destroyed else recorded
        known = self._newest.get(recorded.conversation)
        if known is None or (known[1] != recorded.key and known[0] < recorded.position):
            self._remember(recorded.conversation, recorded.position, recorded.key)
        return recorded

    def _forget(self, erased: RecordedEntry) -> None:
        """What is said behind this is sealed with another key: that of before is going to be destroyed.

        Whoever reads the history once more must not take the old key for the newest again.
        """
        position, id = self._newest.get(erased.conversation, (0, b""))
        if position > erased.position:
            return
        self._remember(erased.conversation, erased.position, b"")
        if id:
            self._ring.forget(id)
            self._note_destroyed(id)

    def _note_destroyed(self, id: bytes) -> None:
        if len(self._destroyed) >= MAX_GONE:
            self._destroyed.clear()
        self._destroyed.add(id)

    async def _get(self, id: bytes) -> DataKey | None:
        """The key; None where it is gone. Raises `Unreachable`."""
        try:
            return await self._ring.get(id)
        except KeyDestroyed:
            self._note_destroyed(id)
        except KeyLost as error:
            if len(self._lost) >= MAX_GONE:
                self._lost.clear()
            if id not in self._lost:
                log.error("key_lost", error=str(error))
            self._lost[id] = monotonic()
        except KeyringError as error:
            raise self._unreachable(error) from error
        return None

    def cached(self, id: bytes) -> DataKey | None:
        """The key of this id, if it is at hand."""
        return self._ring.cached(id)

    # --- writing ------------------------------------------------------------------------------------

    def at_hand(self, conversation: str) -> DataKey | None:
        """The key to seal the conversation's words with; None where it must be fetched: see `fetch`."""
        position, id = self._newest.get(conversation, (0, b""))
        if id:
            return self._ring.cached(id)
        key = self._ring.unused()
        if key is not None:
            self._remember(conversation, position, key.id)
        return key

    async def fetch(self, conversation: str) -> None:
        """Have that key at hand. Raises `Unreachable`."""
        position, id = self._newest.get(conversation, (0, b""))
        if id and await self._get(id) is not None:
            return
        try:
            self._remember(conversation, position, (await self._ring.new()).id)
        except KeyringError as error:
            raise self._unreachable(error) from error

    def _remember(self, conversation: str, position: int, id: bytes) -> None:
        self._newest[conversation] = position, id
        self._newest.move_to_end(conversation)
        if len(self._newest) > MAX_CONVERSATIONS:
            self._newest.popitem(last=False)

    # --- health -------------------------------------------------------------------------------------

    def _unreachable(self, error: KeyringError) -> Unreachable:
        """Nothing can be read or written for now: say so until the keys can be used again."""
        self._health.unready("keys", str(error))
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        return Unreachable(str(error))

    async def _watch(self) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        await self.usable()

    async def _check(self) -> bool:
        try:
            await self._ring.check()
        except KeyringError as error:
            self._health.unready("keys", str(error))
            return False
        self._health.ready("keys")
        return True
