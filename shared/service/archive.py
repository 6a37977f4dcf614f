"""Conversations that have left the hot log: each a single message of the log ``ARCHIVE``, as it was.

``archive.<shard>.<bucket>.archive`` holds a conversation's stay: all its entries, their bytes unchanged, so
sealed words stay sealed under the same data key. The server keeps every subject of a stream in memory for
ever. So many conversations share a bucket, and there are no more subjects than `BUCKETS`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec
from nats.aio.client import Client

from shared.contract import entry
from shared.eventlog.layout import Layout
from shared.eventlog.log import Log, open_as
from shared.eventlog.messages import StoredMessage

#: The archive's name, what its subjects begin with, and how they end.
NAME: Final = "ARCHIVE"
PREFIX: Final = "archive"
AUTHOR: Final = "archive"
#: The archive's only layout. It is written seldom, by one command.
LAYOUT: Final = Layout(NAME, PREFIX, 1)
#: How many buckets there are. Fixed for ever, since a conversation is looked for in its own.
BUCKETS: Final = 65_536
#: A larger stay does not fit into one message (bytes).
MAX_STAY: Final = entry.MAX_SEALED


class ArchivedEntry(msgspec.Struct, frozen=True, array_like=True):
    """A stored message as it was in the hot log. ``time`` in nanoseconds since 1970, UTC."""

    sequence: int
    author: str
    time: int
    data: bytes


class Stay(msgspec.Struct, frozen=True, array_like=True):
    """A conversation from its first entry in the hot log to its last.

    ``began`` is when the first was stored first (nanoseconds since 1970, UTC). It names the stay: a copy of
    the log changes positions, and keeps that time.
    """

    conversation: str
    began: int
    entries: tuple[ArchivedEntry, ...]


class StayCodec:
    """Writes stays: see `shared.eventlog.append.Codec`."""

    def encode(self, bucket: str, author: str, stay: Stay, /) -> bytes:
        return encode(stay)

    def id(self, stay: Stay, /) -> str:
        return f"{stay.conversation}:{blake2b(encode(stay), digest_size=16).hexdigest()}"

    async def same(self, stored: StoredMessage, data: bytes, /) -> bool:
        return False  # the id is of the content


class Archive(Log[Stay]):
    """The archive: its keys are buckets, and each of its entries is a stay."""

    def __init__(self, client: Client, layout: Layout = LAYOUT) -> None:
        super().__init__(client, layout, StayCodec())

    async def stays(self, conversation: str) -> list[Stay]:
        """The conversation's stays in the order of their archiving. Raises `Unreachable`."""
        found: dict[int, Stay] = {}
        async for window in self.windows(bucket_of(conversation)):
            for message in window:
                stay = decode(message.data)
                if stay.conversation == conversation:
                    found[stay.began] = stay  # one that grew before it left is archived again, whole
        return list(found.values())

    async def messages(self, conversation: str) -> list[StoredMessage]:
        """What the conversation's entries were in the hot log; empty where none left it.

        Raises `Unreachable`.
        """
        return [
            StoredMessage(each.sequence, conversation, each.author, each.time, each.data)
            for stay in await self.stays(conversation)
            for each in stay.entries
        ]


async def open_archive(client: Client) -> Archive:
    """The archive as it stands. Raises `Unreachable`."""
    return await open_as(lambda layout: Archive(client, layout), client, LAYOUT)


def bucket_of(conversation: str) -> str:
    """The bucket that holds the conversation: four hexadecimal digits."""
    return blake2b(conversation.encode(), digest_size=2).hexdigest()


def encode(stay: Stay) -> bytes:
    """As MessagePack: the entries' bytes stand in it unchanged."""
    return _encoder.encode(stay)


def decode(data: bytes) -> Stay:
    """Raises `msgspec.DecodeError` for what is no stay."""
    return _decoder.decode(data)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Stay)
