"""How a service that has keys writes entries."""

from __future__ import annotations

from shared.contract import entry as entries
from shared.contract.codec import Stored
from shared.contract.entry import Entry
from shared.eventlog.errors import Unreachable
from shared.service.conversation_keys import ConversationKeys


class SealingCodec:
    """Writes entries with their words sealed. The conversation's key must be at hand then."""

    def __init__(self, keys: ConversationKeys) -> None:
        self._keys = keys

    def encode(self, conversation: str, author: str, entry: Entry, /) -> bytes:
        """The entry's JSON. Raises `EntryTooLarge`."""
        key = self._keys.at_hand(conversation)
        if key is None:
            raise Unreachable("the conversation's key is not at hand")
        return entries.encode_sealed(entry, conversation, author, key)

    def id(self, entry: Entry, /) -> str:
        return entry.id

    async def same(self, stored: Stored, data: bytes, /) -> bool:
        """Whether the facts are the same under another key: whoever tries again after a restart has one.

        Raises `Unreachable` where the words that are ``stored`` cannot be read.
        """
        theirs = (await self._keys.ready([stored]))(stored)
        if theirs.sealed and not theirs.erased:
            raise Unreachable("the words that were stored under this id cannot be read")
        position, time = stored.sequence, stored.time
        own = entries.decode(position, stored.key, stored.author, time, data, self._keys.cached)
        return not theirs.sealed and (own.cause, own.facts) == (theirs.cause, theirs.facts)
