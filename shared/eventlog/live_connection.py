"""The live feed, over a NATS connection of its own; a service's busiest other traffic goes over it too:
requests to the log, and what consumers push.

The feed promises nothing, and need not: a follower takes it only where it is contiguous, fetches
what is missing, and asks the stream itself after each loss that is told here. Nor does a request: one
whose answer is lost with the connection has none, which to an append means unknown. What was delivered
and is lost comes again, since nobody acknowledged it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.eventlog.protocol_reader import ANSWERS, Live, ProtocolError, ProtocolReader, TakeLive
from shared.eventlog.request_multiplexer import Push, Reply

log = structlog.get_logger()

#: How long connecting may take (seconds).
CONNECT_SECONDS = 5.0
#: How long it is waited at the end for the server to have read what was said (seconds).
FLUSH_SECONDS = 1.0
#: The pause before it connects again, doubled from the first to the last while that fails (seconds).
PAUSE_SECONDS = (0.1, 2.0)

#: How long what asks for no answer may wait for company (seconds).
IDLE_SECONDS = 0.01
#: What may lie unwritten before requests go another way (bytes).
MAX_UNWRITTEN = 1024 * 1024

#: The name of the subscription that is shared with a queue group.
_SHARED = b"3"
_BREAKS = frozenset("\r\n")


class LiveConnection:
    """Calls each of ``lives`` with the entries that are stored below its subject from now on, as long as all
    goes well. Each subject is that of a stream, ``live.<stream>...``, in the order of the streams.

    ``lost`` is called when the connection is lost, ``found`` when it stands again. Where to, and as
    whom, it asks the ``client``, and connects again when that one does.

    `request` goes over the same connection. ``on_reply`` and ``on_break`` are the `Log`'s to set: they
    are told the answers, and that those which have not come will not come any more.
    """

    def __init__(
        self,
        client: Client,
        lives: Mapping[str, TakeLive],
        lost: Callable[[], None],
        found: Callable[[], None],
    ) -> None:
        self._client = client
        self._lives = {b"L%d" % stream: Live(stream, take) for stream, take in enumerate(lives.values())}
        self._subjects = dict(zip(lives, self._lives, strict=True))
        self._replays = itertools.count()
        self._lost = lost
        self._found = found
        self._task: asyncio.Task[None] | None = None
        self._connection: _Connection | None = None  # while it stands
        self._shared: tuple[str, str] | None = None  # subject and queue group
        self._push: Callable[[Msg], None] = lambda message: None
        self._pushes: dict[bytes, Push] = {_SHARED: self._pushed}
        self.on_reply: Callable[[str, Reply], None] = lambda subject, reply: None
        self.on_break: Callable[[], None] = lambda: None
        #: The subject of an answer is this and whatever name the request gave it.
        self.inbox = client.new_inbox() + "."

    async def start(self) -> None:
        """Returns when the server has the subscription: what is stored from here on comes."""
        connected = asyncio.Event()
        self._task = asyncio.create_task(self._run(connected))
        await connected.wait()

    async def stop(self) -> None:
        if self._connection is not None:
            await self._flushed(self._connection, FLUSH_SECONDS)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def join(self, subject: str, queue: str, push: Callable[[Msg], None]) -> None:
        """Share what comes on ``subject`` with the others of ``queue``, over every loss, until `leave`.

        ``push`` must not wait. At most one subject. Returns when the server knows, if it can be reached.
        """
        self._shared, self._push = (subject, queue), push
        if self._connection is not None:
            self._connection.subscribe(subject, _SHARED, queue)
            await self._flushed(self._connection)

    async def leave(self) -> None:
        """Once this has returned, nothing more comes of what is shared with the other replicas."""
        self._shared = None
        if self._connection is not None:
            self._connection.unsubscribe(_SHARED)
            await self._flushed(self._connection)

    @contextlib.asynccontextmanager
    async def hearing(self, subject: str, push: Push) -> AsyncIterator[None]:
        """Within the block, ``push`` is given what comes on ``subject`` until the connection is lost.

        Raises ConnectionError.
        """
        connection = self._connection
        if connection is None:
            raise ConnectionError("the feed is not connected")
        name = b"R%d" % next(self._replays)
        self._pushes[name] = push
        connection.subscribe(subject, name)
        try:
            await self._flushed(connection)
            yield
        finally:
            del self._pushes[name]
            connection.unsubscribe(name)

    async def _flushed(self, connection: _Connection, seconds: float = CONNECT_SECONDS) -> None:
        with contextlib.suppress(Exception):  # it is lost, and the next one begins as things stand then
            async with asyncio.timeout(seconds):
                await connection.flush()

    def request(self, subject: str, name: str, data: bytes, headers: Mapping[str, str]) -> bool:
        """Publish, to be answered to `inbox` and ``name``; False if it cannot be done here and now.

        With no ``name`` nothing is answered. Raises ValueError for a header that is more than one line.
        """
        answer = f"{self.inbox}{name} " if name else ""
        return self._connection is not None and self._connection.publish(subject, answer, data, headers)

    async def _run(self, connected: asyncio.Event) -> None:
        pause, longest = PAUSE_SECONDS
        while True:
            connection = _Connection(ProtocolReader(self._lives, self._replied, self._pushes))
            stood = False
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.open(self._client, {**self._subjects, f"{self.inbox}*": ANSWERS})
                    await connection.subscribed()
                stood = True
                self._connection = connection
                if self._shared is not None:
                    subject, queue = self._shared
                    connection.subscribe(subject, _SHARED, queue)
                if connected.is_set():
                    self._found()
                connected.set()
                await connection.closed()
            except Exception as error:  # whatever keeps us out, the way on is to try again
                if self._client.is_connected:
                    log.warning("feed_lost", error=str(error) or type(error).__name__)
            finally:
                self._connection = None
                connection.abort()
            if stood:
                self.on_break()
                self._lost()
            pause = PAUSE_SECONDS[0] if stood else min(2 * pause, longest)
            await asyncio.sleep(pause)

    def _replied(self, subject: str, reply: Reply) -> None:
        self.on_reply(subject[len(self.inbox) :], reply)

    def _pushed(self, subject: str, answer: str, data: bytes) -> None:
        try:
            self._push(Msg(self._client, subject, answer, data))
        except Exception:  # it comes again; everything else must go on
            log.exception("delivery_failed", subject=subject)


class _Connection(asyncio.Protocol):
    """One connection, from its first byte to its end."""

    def __init__(self, reader: ProtocolReader) -> None:
        self._reader = reader
        self._pings = 1  # sent, the first with the subscriptions
        self._transport: asyncio.Transport | None = None
        self._changed = asyncio.Event()  # set by whatever `_until` may wait for
        self._over: Exception | None = None
        self._heard = True
        self._loop = asyncio.get_running_loop()
        self._unwritten: list[bytes] = []
        self._hurried = 0  # how many that wait for an answer were gathered so far
        self._alone = False  # the last to be gathered was the only one
        self._idle: asyncio.TimerHandle | None = None

    async def open(self, client: Client, subscriptions: Mapping[str, bytes]) -> None:
        """Connect to the server to which ``client`` is connected, as the same user, and subscribe.

        ``subscriptions``: the subjects, and the names of the subscriptions to them.
        """
        url = client.connected_url
        if url is None or url.hostname is None:
            raise ConnectionError("not connected to NATS")
        loop = self._loop
        await loop.create_connection(lambda: self, url.hostname, url.port or 4222)
        await self._until(lambda: self._reader.info is not None)
        assert self._transport is not None
        assert self._reader.info is not None
        if self._reader.info.tls_required or url.scheme == "tls":
            secured = await loop.start_tls(
                self._transport, self, client.ssl_context, server_hostname=url.hostname
            )
            self._transport = cast(asyncio.Transport, secured)
        options = client.options
        hello: dict[str, Any] = {
            "verbose": False,
            "pedantic": False,
            "lang": "python",
            "version": "0",
            "protocol": 0,
            "headers": True,
            "no_responders": True,
            "name": f"{options['name'] or 'switchboard'}-feed",
        }
        user, password = options["user"] or url.username, options["password"] or url.password
        if user:
            hello |= {"user": user, "pass": password}
        subscribe = b"".join(b"SUB %b %b\r\n" % (s.encode(), name) for s, name in subscriptions.items())
        self._transport.write(b"CONNECT " + msgspec.json.encode(hello) + b"\r\n" + subscribe + b"PING\r\n")
        self._beat(options["ping_interval"])

    async def subscribed(self) -> None:
        """Until the server has taken the subscription, or refused it. Raises what ended it."""
        await self._until(lambda: self._reader.pongs > 0)

    def subscribe(self, subject: str, name: bytes, queue: str = "") -> None:
        self._say(f"SUB {subject} {queue} ".encode() + name)

    def unsubscribe(self, name: bytes) -> None:
        self._say(b"UNSUB " + name)

    async def flush(self) -> None:
        """Until the server has read all that was said. Raises what ended the connection."""
        self._ping()
        sent = self._pings
        await self._until(lambda: self._reader.pongs >= sent)

    def _ping(self) -> None:
        self._pings += 1
        self._say(b"PING")

    def _say(self, line: bytes) -> None:
        self._unwritten.append(line + b"\r\n")
        self._write()

    def publish(self, subject: str, answer: str, data: bytes, headers: Mapping[str, str]) -> bool:
        """Whether it was handed to the connection, in one piece."""
        transport, info = self._transport, self._reader.info
        if transport is None or info is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > MAX_UNWRITTEN:
            return False
        head = ""
        for name, value in headers.items():
            if not _BREAKS.isdisjoint(value):
                raise ValueError(f"the header {name} has more than one line")
            head += f"{name}: {value}\r\n"
        lines = f"NATS/1.0\r\n{head}\r\n".encode() if head else b""
        size = len(lines) + len(data)
        if size > info.max_payload:
            return False
        verb = f"HPUB {subject} {answer}{len(lines)} {size}" if head else f"PUB {subject} {answer}{size}"
        self._unwritten.append(b"%b\r\n%b%b\r\n" % (verb.encode(), lines, data))
        if answer:
            self._hurry()
        elif self._idle is None:  # nobody waits for what has no answer: it goes with what comes next
            self._idle = self._loop.call_later(IDLE_SECONDS, self._idled)
        return True

    def _hurry(self) -> None:
        """Write two rounds of the loop from now: whoever was woken together writes together.

        Written one by one, the server reads, answers and republishes them one by one as well, which
        costs it twice as much, and everyone who reads these a third more. While each finds itself alone,
        though, the first one need not wait for others.
        """
        self._hurried += 1
        if self._hurried > 1:
            return
        if self._alone:
            self._write()
            self._loop.call_soon(self._gathered)
        else:
            self._loop.call_soon(self._loop.call_soon, self._gathered)

    def _gathered(self) -> None:
        self._alone = self._hurried == 1
        self._hurried = 0
        self._write()

    def _idled(self) -> None:
        self._idle = None
        self._write()

    def _write(self) -> None:
        if self._unwritten and self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._unwritten))
        self._unwritten.clear()

    async def closed(self) -> None:
        """Until the end, which it raises."""
        await self._until(lambda: False)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            if self._over is not None:
                raise self._over
            self._changed.clear()
            await self._changed.wait()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _beat(self, seconds: float) -> None:
        """A link that is dead says nothing: not even an answer to the last PING."""
        if self._transport is None or self._transport.is_closing():
            return
        if not self._heard:
            self._end(ProtocolError("the server does not answer"))
            return
        self._heard = False
        self._ping()
        self._loop.call_later(seconds, self._beat, seconds)

    def _end(self, error: Exception) -> None:
        self._over = self._over or error
        self._changed.set()
        self.abort()

    # --- what the event loop tells ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        pongs = self._reader.pongs
        try:
            answer = self._reader.receive(data)
        except (ProtocolError, ValueError, msgspec.DecodeError) as error:
            self._end(error)
            return
        if answer and self._transport is not None:
            self._transport.write(answer)
        if pongs != self._reader.pongs or not pongs:
            self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionError("the server closed the connection"))
