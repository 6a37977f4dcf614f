"""The append path: an entry out, its position back, or what is known of its fate."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Generic, Protocol, TypeVar

from nats.aio.client import Client

from shared.eventlog.api import NO_ANSWER, PubAck, acknowledged, append_error, publish
from shared.eventlog.errors import IdReused, LogError, Unknown
from shared.eventlog.layout import Layout
from shared.eventlog.messages import StoredMessage
from shared.eventlog.meters import AppendMeter
from shared.eventlog.request_multiplexer import Reply, RequestMultiplexer
from shared.eventlog.stream import Stream
from shared.eventlog.witness import Appended

E_contra = TypeVar("E_contra", contravariant=True)
E = TypeVar("E")

#: How long one try of an append waits for the server's answer (seconds).
TRY_SECONDS: Final = 2.0
#: How long all tries of an append may take before its outcome is reported as unknown (seconds).
APPEND_SECONDS: Final = 10.0

EXPECT: Final = "Nats-Expected-Last-Subject-Sequence"
_EXPECT_OVER: Final = "Nats-Expected-Last-Subject-Sequence-Subject"


class Codec(Protocol[E_contra]):
    """How the entries of a log are written."""

    def encode(self, key: str, author: str, entry: E_contra, /) -> bytes:
        """What is stored. May raise: nothing is sent then."""

    def id(self, entry: E_contra, /) -> str:
        """The entry's id: unique for its author and key, for ever. The same entry again has the same."""

    async def same(self, stored: StoredMessage, data: bytes, /) -> bool:
        """Whether ``stored`` says the same as ``data``, though its bytes differ. Raises `LogError`."""


class Appender(Generic[E]):
    """Appends to the streams of a log, over the requests' quickest way."""

    def __init__(
        self,
        client: Client,
        requests: RequestMultiplexer,
        layout: Layout,
        streams: Sequence[Stream],
        codec: Codec[E],
    ) -> None:
        self._client = client
        self._requests = requests
        self._layout = layout
        self._streams = streams
        self._codec = codec
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        #: Counts the appends, where somebody looks.
        self.meter: AppendMeter | None = None

    def append(
        self,
        key: str,
        author: str,
        entry: E,
        expect: int | None = None,
        deadline: float = APPEND_SECONDS,
    ) -> asyncio.Future[int]:
        """Append ``entry``; the future is its sequence. A repeat of a stored id has the original's.

        ``expect`` is the sequence of the key's last entry (0: it has none), and for an aside that of the last
        entry or aside. The future fails with `Conflict`,
        `IdReused`, `Full`, `Unknown`, or with what the codec raises, before anything is sent.
        A timeout is unknown: the same id is sent again until the server answers, by the client's own way:
        the quicker one may be what does not answer.

        A plain call: nearly every append is answered at the first try, and needs no task.
        """
        sequence: asyncio.Future[int] = self._loop.create_future()
        if self.meter is not None:
            self.meter.begin(author, sequence)
        try:
            self._append(sequence, key, author, entry, expect, deadline)
        except Exception as error:
            sequence.set_exception(error)
        return sequence

    def _append(
        self,
        sequence: asyncio.Future[int],
        key: str,
        author: str,
        entry: E,
        expect: int | None,
        deadline: float,
    ) -> None:
        data = self._codec.encode(key, author, entry)
        layout = self._layout
        # Ids are stream-wide on the server, so they carry author and key.
        headers = {"Nats-Msg-Id": f"{author}:{key}:{self._codec.id(entry)}"}
        if expect is not None:
            headers[EXPECT] = str(expect)
            guarded = layout.everything if author == layout.aside else layout.everyone
            headers[_EXPECT_OVER] = guarded(key)
        subject = layout.subject(key, author)
        appended = Appended(key, author, data)
        timeout = min(TRY_SECONDS, deadline)
        end = self._loop.time() + deadline

        def take(reply: Reply | None) -> None:
            try:
                ack = acknowledged(reply)
            except NO_ANSWER as error:
                self._spawn(sequence, self._insist(sequence, subject, appended, headers, timeout, end, error))
                return
            if ack.duplicate:
                self._spawn(sequence, self._compare(sequence, ack, appended))
            else:
                self._settle(sequence, ack, appended)

        if not self._client.is_connected or not self._requests.ask(subject, data, headers, timeout, take):
            self._spawn(sequence, self._insist(sequence, subject, appended, headers, timeout, end))

    async def _insist(
        self,
        sequence: asyncio.Future[int],
        subject: str,
        appended: Appended,
        headers: dict[str, str],
        timeout: float,
        end: float,
        failure: Exception | None = None,
    ) -> None:
        """Try, after a ``failure`` again, until the server answers, or nobody waits, or it is ``end``."""
        while not sequence.done():
            if failure is not None and self._loop.time() >= end:
                unknown = Unknown(f"no answer to the append: {failure!r}")
                unknown.__cause__ = failure
                sequence.set_exception(unknown)
                return
            if failure is not None:
                await asyncio.sleep(0.1)
            try:
                ack = await publish(
                    *(self._client, self._requests, subject, appended.data, headers, timeout),
                    again=failure is not None,
                )
            except NO_ANSWER as error:
                failure = error
            else:
                await self._compare(sequence, ack, appended)

    async def _compare(self, sequence: asyncio.Future[int], ack: PubAck, appended: Appended) -> None:
        """Settle ``sequence``; what is taken for a duplicate must have the content of ``appended``."""
        try:
            if ack.duplicate:
                original = await self._stream(appended).at(ack.seq)
                if original is None or (
                    original.data != appended.data and not await self._codec.same(original, appended.data)
                ):
                    raise IdReused("this id was used before, with another content")
                appended = appended._replace(data=original.data)
                if self.meter is not None:
                    self.meter.repeated(appended.author)
        except LogError as error:
            if not sequence.done():
                sequence.set_exception(error)
        else:
            self._settle(sequence, ack, appended)

    def _settle(self, sequence: asyncio.Future[int], ack: PubAck, appended: Appended) -> None:
        if sequence.done():
            return
        if ack.error is not None:
            sequence.set_exception(append_error(ack.error))
            return
        witness = self._stream(appended).witness
        if witness is not None:
            witness.stored(ack.seq, appended)
        sequence.set_result(ack.seq)

    def _spawn(self, sequence: asyncio.Future[int], work: Coroutine[Any, Any, None]) -> None:
        """Let ``work`` settle ``sequence``: it always completes, even if the task is cancelled."""

        def over(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            error = None if task.cancelled() else task.exception()
            if not sequence.done():
                sequence.set_exception(error or Unknown("the append was given up"))

        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(over)

    def _stream(self, appended: Appended) -> Stream:
        return self._streams[self._layout.stream_of(appended.key)]
