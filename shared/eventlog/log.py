"""The log as a service sees it: append an entry, read the entries of a key.

An entry is appended for a key by an author. All entries of one key are in one stream, in order; which one,
the layout says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.eventlog.api import append_error, publish
from shared.eventlog.append import APPEND_SECONDS, TRY_SECONDS, Appender, Codec
from shared.eventlog.errors import NoAnswer, Unknown
from shared.eventlog.layout import Layout
from shared.eventlog.merging import in_order
from shared.eventlog.messages import StoredMessage
from shared.eventlog.meters import AppendMeter
from shared.eventlog.read_budget import ReadBudget
from shared.eventlog.request_multiplexer import RequestChannel, RequestMultiplexer
from shared.eventlog.stream import MAX_IN_FLIGHT, Stream, Tail
from shared.eventlog.windows import Windows

E = TypeVar("E")
L = TypeVar("L", bound="Log[Any]")

#: How often the first stream is asked for the layout before the log counts as out of reach.
OPEN_TRIES: Final = 5

#: Makes the streams of a log; tests put one here that hesitates.
MakeStream = Callable[[Client, str, int, RequestMultiplexer, ReadBudget], Stream]


class Log(Generic[E]):
    """The streams of one layout over a NATS connection. `open_log` finds the layout."""

    def __init__(
        self, client: Client, layout: Layout, codec: Codec[E], make_stream: MakeStream = Stream
    ) -> None:
        self.client = client
        self.layout = layout
        self._requests = RequestMultiplexer(client)
        self._budget = ReadBudget(MAX_IN_FLIGHT)
        #: By their numbers.
        self.streams = tuple(
            make_stream(client, name, number, self._requests, self._budget)
            for number, name in enumerate(layout.names)
        )
        self._appender = Appender(client, self._requests, layout, self.streams, codec)

    def goes_over(self, line: RequestChannel) -> None:
        """Appends and reads go over ``line`` from now on, while it stands."""
        self._requests.go_over(line)
        for stream in self.streams:
            stream.goes_over(line)

    def count_appends(self, meter: AppendMeter) -> None:
        """Have ``meter`` count what is appended from now on."""
        self._appender.meter = meter

    def append(
        self,
        key: str,
        author: str,
        entry: E,
        expect: int | None = None,
        deadline: float = APPEND_SECONDS,
    ) -> asyncio.Future[int]:
        """Append ``entry``; the future is its sequence in the key's stream: see `Appender.append`."""
        return self._appender.append(key, author, entry, expect, deadline)

    @property
    def unused(self) -> int:
        """How much more may be on its way to readers (bytes)."""
        return self._budget.left

    def stream_of(self, key: str) -> Stream:
        return self.streams[self.layout.stream_of(key)]

    async def tails(self, timeout: float = 2.0) -> list[Tail]:
        """The ends of each stream. Raises `Unreachable`."""
        return await asyncio.gather(*(stream.tail(timeout) for stream in self.streams))

    async def ends(self, timeout: float = 2.0) -> tuple[int, ...]:
        """The last sequence of each stream. Raises `Unreachable`."""
        return tuple(tail.last for tail in await self.tails(timeout))

    async def length(self, timeout: float = 2.0) -> int:
        """How many entries were ever stored, in all streams. Raises `Unreachable`."""
        return sum(tail.length for tail in await self.tails(timeout))

    async def read(
        self, starts: Sequence[int] = (), ends: Sequence[int] = ()
    ) -> AsyncIterator[list[StoredMessage]]:
        """All entries, in the order of stored time, stream and sequence, and those of one key in their own.

        From the sequences ``starts`` to ``ends`` of the streams; from the first, and to what is the last now,
        where none are given. Raises `Unreachable`.
        """
        starts = starts or [1] * len(self.streams)
        ends = ends or await self.ends()
        async for batch in in_order([stream.read for stream in self.streams], starts, ends):
            yield batch

    async def last(self, key: str, asides: bool = False) -> int:
        """The sequence of the key's last entry as the leader knows it, 0 for none. Raises `Unreachable`.

        With ``asides`` that of the last entry or aside.
        """
        return await self.stream_of(key).last(self._filter(key, asides))

    def windows(self, key: str, after: int = 0, asides: bool = False) -> Windows:
        """The key's entries behind the sequence ``after``, to be read one window after the other.

        With ``asides`` these are among them.
        """
        return Windows(self.stream_of(key), self._filter(key, asides), after)

    async def fetch(self, key: str, after: int = 0, asides: bool = False) -> list[StoredMessage]:
        """The key's entries behind ``after``, in order and complete. Raises `Unreachable`.

        For what is known to be short, or needed as a whole; else see `windows`.
        """
        return [message async for window in self.windows(key, after, asides) for message in window]

    def _filter(self, key: str, asides: bool) -> str:
        return self.layout.everything(key) if asides else self.layout.everyone(key)

    async def acknowledge(self, message: Msg) -> None:
        """Tell a consumer that its message need not come again. The server does not answer that."""
        if not self._requests.publish(message.reply, b"+ACK"):
            await message.ack()

    async def store(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> int:
        """Store a message in whichever other stream takes ``subject``; its sequence there.

        Raises `Unknown` where nobody answers: store it again, if a second one does no harm; another
        `LogError` where the server refuses it.
        """
        try:
            ack = await publish(self.client, self._requests, subject, data, headers or {}, TRY_SECONDS)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unknown(f"no answer from {subject}: {error!r}") from error
        if ack.error is not None:
            raise append_error(ack.error)
        return ack.seq


async def open_log(
    client: Client, name: str, prefix: str, codec: Codec[E], make_stream: MakeStream = Stream
) -> Log[E]:
    """The log ``name``, with as many streams as it has. Raises `Unreachable`."""
    layout = Layout(name, prefix)
    return await open_as(lambda found: Log(client, found, codec, make_stream), client, layout)


async def open_as(make: Callable[[Layout], L], client: Client, layout: Layout) -> L:
    """The same, as a log of another kind, which ``make`` makes.

    How many streams it has, its first one says, whatever ``layout`` does: whoever provisions a log writes it
    there.
    """
    tail = await _first_tail(Stream(client, layout.names[0]))
    log = make(replace(layout, streams=tail.streams))
    for stream in log.streams:
        stream.replicated = tail.replicated
    return log


async def _first_tail(stream: Stream) -> Tail:
    """The stream's tail, asked for again where it does not answer: a disk may stand still for seconds."""
    for _ in range(OPEN_TRIES - 1):
        with suppress(NoAnswer):
            return await stream.tail()
    return await stream.tail()
