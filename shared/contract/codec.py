"""How the log's messages become entries, and entries messages."""

from __future__ import annotations

from typing import Protocol

from shared.contract import entry
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.sealing import FindKey


class Stored(Protocol):
    """A message of the log. ``key`` is the conversation, ``time`` in nanoseconds since 1970, UTC."""

    @property
    def sequence(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def author(self) -> str: ...
    @property
    def time(self) -> int: ...
    @property
    def data(self) -> bytes: ...


def entry_of(message: Stored, find: FindKey | None = None) -> RecordedEntry:
    """The entry that the message holds; its sealed words, too, where ``find`` knows their key.

    Never raises: history is never refused.
    """
    return entry.decode(message.sequence, message.key, message.author, message.time, message.data, find)


class EntryCodec:
    """Writes entries with their words in the open: see `shared.eventlog.append.Codec`."""

    def encode(self, conversation: str, author: str, entry_: Entry, /) -> bytes:
        """The entry's JSON. Raises `EntryTooLarge`."""
        return entry.encode(entry_)

    def id(self, entry_: Entry, /) -> str:
        return entry_.id

    async def same(self, stored: Stored, data: bytes, /) -> bool:
        return False  # other bytes are other words
