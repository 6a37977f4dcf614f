"""How the log's messages become entries, and entries messages."""

from __future__ import annotations

from typing import Protocol

from shared.contract import entry
from shared.contract.entry import Entry, RecordedEntry


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


def entry_of(message: Stored) -> RecordedEntry:
    """The entry that the message holds. Never raises: history is never refused."""
    return entry.decode(message.sequence, message.key, message.author, message.time, message.data)


class EntryCodec:
    """What the log is given to write entries: see `shared.eventlog.append.Codec`."""

    def encode(self, entry_: Entry, /) -> bytes:
        """The entry's JSON. Raises `EntryTooLarge`."""
        return entry.encode(entry_)

    def id(self, entry_: Entry, /) -> str:
        return entry_.id
