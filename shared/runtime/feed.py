"""The live feed, read off a NATS connection of its own.

Every service reads every entry here, so this is where a message must cost least: nats-py's way of one
(a dict of all headers, a `Msg`, a queue, a task) takes ten times as long and was a third of a turn.
This reads the client protocol (docs.nats.io/reference/reference-protocols/nats-protocol) and only as
much of it as one subscription needs.

The feed promises nothing, and need not: the follower takes it only where it is contiguous, fetches
what is missing, and asks the stream itself after each loss that is told here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

import msgspec
import structlog
from nats.aio.client import Client

from shared.contract import subjects
from shared.contract.times import parse_time
from shared.runtime.log import Message

log = structlog.get_logger()

#: How long connecting may take (seconds).
CONNECT_SECONDS = 5.0
#: The pause before it connects again, doubled from the first to the last while that fails (seconds).
PAUSE_SECONDS = (0.1, 2.0)
#: The server's lines are shorter, its INFO included; messages are at most 8 MiB (bytes).
LONGEST_LINE = 64 * 1024
LARGEST_MESSAGE = 8 * 1024 * 1024

_SEQUENCE = b"\r\nNats-Sequence: "
_TIME = b"\r\nNats-Time-Stamp: "
_FIRST = b"\r\nNats-Expected-Last-Subject-Sequence: 0\r\n"
_FIRST_OVER = "\r\nNats-Expected-Last-Subject-Sequence-Subject: {}\r\n"


class FeedError(Exception):
    """The server said or did something that ends the connection."""


class Info(msgspec.Struct):
    """What the server says of itself first."""

    tls_required: bool = False


class Reader:
    """The protocol without I/O: bytes in, entries to ``take``, what is to be answered out."""

    def __init__(self, take: Callable[[Message], None]) -> None:
        self._take = take
        self._rest = b""
        self.info: Info | None = None
        self.pongs = 0

    def receive(self, data: bytes) -> bytes:
        """Take what came; what to send back. Raises `FeedError`."""
        data = self._rest + data if self._rest else data
        answer = b""
        at, size = 0, len(data)
        while at < size:
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            behind = end + 2
            if data.startswith((b"HMSG ", b"MSG "), at):
                words = data[at:end].split(b" ")
                behind += int(words[-1]) + 2
                if behind > size:
                    if behind - at > LARGEST_MESSAGE:
                        raise FeedError(f"a message of {behind - at} bytes")
                    break
                if len(words[0]) == 4:  # one without headers is no entry
                    self._entry(words, data[end + 2 : behind - 2])
            elif data.startswith(b"PING", at):
                answer += b"PONG\r\n"
            elif data.startswith(b"PONG", at):
                self.pongs += 1
            elif data.startswith(b"INFO ", at):
                self.info = msgspec.json.decode(data[at + 5 : end], type=Info)
            elif data.startswith(b"-ERR", at):
                raise FeedError(data[at + 4 : end].decode(errors="replace").strip())
            elif not data.startswith(b"+OK", at):
                raise FeedError(f"a line that is no NATS: {data[at : at + 40]!r}")
            at = behind
        self._rest = data[at:]
        if len(self._rest) > LONGEST_LINE and b"\r\n" not in self._rest:
            raise FeedError("a line without an end")
        return answer

    def _entry(self, words: list[bytes], body: bytes) -> None:
        """``HMSG <subject> <sid> [reply] <bytes of headers> <bytes in all>``, then both."""
        length = int(words[-2])
        # Of two headers of one name the last is the server's own: it appends them.
        sequence = body.rfind(_SEQUENCE, 0, length)
        stamp = body.rfind(_TIME, 0, length)
        if sequence < 0 or stamp < 0:
            return  # without the server's marks it is no entry
        sequence += len(_SEQUENCE)
        stamp += len(_TIME)
        position = int(body[sequence : body.index(b"\r", sequence)])
        time = parse_time(body[stamp : body.index(b"\r", stamp)].decode())
        conversation, author = subjects.address(words[1].decode())
        first = body.find(_FIRST, 0, length) > 0 and (
            _FIRST_OVER.format(subjects.everyone(conversation)).encode() in body[:length]
        )
        self._take(Message(position, conversation, author, time, body[length:], first))


class Feed:
    """Calls ``take`` with each entry that is stored from now on, as long as all goes well.

    ``lost`` is called when the connection is lost, ``found`` when it stands again. Where to, and as
    whom, it asks the ``client``, and connects again when that one does.
    """

    def __init__(
        self,
        client: Client,
        take: Callable[[Message], None],
        lost: Callable[[], None],
        found: Callable[[], None],
    ) -> None:
        self._client = client
        self._take = take
        self._lost = lost
        self._found = found
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the server has the subscription: what is stored from here on comes."""
        connected = asyncio.Event()
        self._task = asyncio.create_task(self._run(connected))
        await connected.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, connected: asyncio.Event) -> None:
        pause, longest = PAUSE_SECONDS
        while True:
            connection = _Connection(self._take)
            stood = False
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.open(self._client)
                    await connection.subscribed()
                stood = True
                if connected.is_set():
                    self._found()
                connected.set()
                await connection.closed()
            except Exception as error:  # whatever keeps us out, the way on is to try again
                if self._client.is_connected:
                    log.warning("feed_lost", error=str(error) or type(error).__name__)
            finally:
                connection.abort()
            if stood:
                self._lost()
            pause = PAUSE_SECONDS[0] if stood else min(2 * pause, longest)
            await asyncio.sleep(pause)


class _Connection(asyncio.Protocol):
    """One connection, from its first byte to its end."""

    def __init__(self, take: Callable[[Message], None]) -> None:
        self._reader = Reader(take)
        self._transport: asyncio.Transport | None = None
        self._changed = asyncio.Event()  # set by whatever `_until` may wait for
        self._over: Exception | None = None
        self._heard = True

    async def open(self, client: Client) -> None:
        """Connect to the server to which ``client`` is connected, as the same user, and subscribe."""
        url = client.connected_url
        if url is None or url.hostname is None:
            raise ConnectionError("not connected to NATS")
        loop = asyncio.get_running_loop()
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
            "name": f"{options['name'] or 'switchboard'}-feed",
        }
        user, password = options["user"] or url.username, options["password"] or url.password
        if user:
            hello |= {"user": user, "pass": password}
        subscribe = f"SUB {subjects.LIVE} 1\r\nPING\r\n".encode()
        self._transport.write(b"CONNECT " + msgspec.json.encode(hello) + b"\r\n" + subscribe)
        self._beat(options["ping_interval"])

    async def subscribed(self) -> None:
        """Until the server has taken the subscription, or refused it. Raises what ended it."""
        await self._until(lambda: self._reader.pongs > 0)

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
            self._end(FeedError("the server does not answer"))
            return
        self._heard = False
        self._transport.write(b"PING\r\n")
        asyncio.get_running_loop().call_later(seconds, self._beat, seconds)

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
        except (FeedError, ValueError, msgspec.DecodeError) as error:
            self._end(error)
            return
        if answer and self._transport is not None:
            self._transport.write(answer)
        if pongs != self._reader.pongs or not pongs:
            self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionError("the server closed the connection"))
