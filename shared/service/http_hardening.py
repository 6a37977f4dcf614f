"""uvicorn's two protocols with what they lack against strangers: time limits and bounded memory.

Only public methods are overridden; ``tests/contract/test_websocket_frames.py`` and ``test_edge.py``
speak to the result over bare sockets. Seen with uvicorn 0.54.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame
from websockets.http11 import Request

#: How large the head of a request may be (bytes).
MAX_HEAD = 32 * 1024
#: What may lie unwritten on a connection before a peer that keeps pinging is cut off (bytes).
MAX_UNWRITTEN = 1024 * 1024
#: Fragments of one message that are kept apart.
MAX_FRAGMENTS = 64
#: How many connections become WebSockets in one round of the event loop.
AT_ONCE = 8
#: How long a peer may leave an answer unread before it is cut off (seconds).
UNREAD_SECONDS = 30.0
#: Closing waits until the peer has read what was written; for one that never does, so long (seconds).
LINGER_SECONDS = 10.0


def _last_words(status: str, error: str, more: str = "") -> bytes:
    """A whole answer, after which the connection is closed; ``more`` are header lines."""
    body = b'{"error":"%b"}' % error.encode()
    head = f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\n{more}"
    return b"%bcontent-length: %d\r\n\r\n%b" % (head.encode(), len(body), body)


_LATE = _last_words("408 Request Timeout", "the request did not come in time")
_MALFORMED = _last_words("400 Bad Request", "this is not a well-formed request of HTTP/1.1")
_LARGE_HEAD = _last_words(
    "431 Request Header Fields Too Large",
    f"the head of the request is larger than {MAX_HEAD // 1024} KiB",
)
_NO_UPGRADE = _last_words(
    "400 Bad Request", "the head of the request is too large for an upgrade, or not well-formed"
)
#: An offer to go over to what is not spoken here, such as h2c or TLS. A server may ignore it (RFC 9110,
#: section 7.8); the parser would stop behind the head and lose the body.
_OTHER_UPGRADE = re.compile(rb"(?i)\r\nupgrade:(?![ \t]*websocket[ \t]*\r\n)[^\r\n]*(?=\r\n)")


class _BadHead(Exception):
    """A head that the parser takes, and we do not. The parser makes an error of its own of it."""


def _too_many(seconds: int) -> bytes:
    error = f"too many connects; come back in {seconds} s"
    return _last_words("429 Too Many Requests", error, f"retry-after: {seconds}\r\n")


def _nobody(host: str) -> int:
    return 0


class Turnstile:
    """Lets connections become WebSockets, at most `AT_ONCE` in each round of the event loop.

    To open one takes longer than to answer a message. Of a crowd that comes at once each would keep all
    who are there already waiting for the whole crowd.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._entered = 0  # in this round

    def enter(self, loop: asyncio.AbstractEventLoop, upgrade: Callable[[], None]) -> bool:
        """Call ``upgrade``, now or in a later round; whether it was now."""
        if self._entered == AT_ONCE:
            self._waiting.append(upgrade)
            return False
        if not self._entered:
            loop.call_soon(self._turn, loop)
        self._entered += 1
        upgrade()
        return True

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """The next round; who came before goes first, each in a callback of its own."""
        self._entered = min(len(self._waiting), AT_ONCE)
        if self._entered:
            loop.call_soon(self._turn, loop)
        for _ in range(self._entered):
            loop.call_soon(self._waiting.popleft())


def punctual(
    seconds: float, unread_seconds: float = UNREAD_SECONDS, turned_away: Callable[[str], int] = _nobody
) -> type[HttpToolsProtocol]:
    """HTTP/1.1 where a whole request must come within ``seconds``: head and body, or an upgrade.

    ``turned_away`` says of a peer's address when it may open a WebSocket again (seconds), 0 for at once.

    uvicorn waits for ever, so whoever sends a byte now and then, or never reads an answer, holds
    connections for nothing ("slow loris", "slow read"). Nor does its parser bound a head, or look at
    how many hosts one names: exactly one (RFC 9112, section 3.2).
    """

    turnstile = Turnstile()

    class Punctual(HttpToolsProtocol):
        _deadline: asyncio.TimerHandle | None = None  # for the request
        _patience: asyncio.TimerHandle | None = None  # for the answer's reader
        _lost = False
        _entering = False  # waits to become a WebSocket
        _heading = True  # a head is awaited, or the rest of one
        _head_bytes = 0
        _refusal = _MALFORMED

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._expect()

        def data_received(self, data: bytes) -> None:
            if self._entering:  # nobody speaks before the answer: one connection becomes one WebSocket
                self.transport.close()
                return
            if self._heading and b"pgrade" in data:
                head, end, rest = data.partition(b"\r\n\r\n")
                data = b"".join((_OTHER_UPGRADE.sub(b"", head + end[:2]), end[2:], rest))
            self._head_bytes += len(data)
            super().data_received(data)
            if not self._heading or not self._head_bytes or self.transport.is_closing():
                return
            self._expect()  # empty lines before a request are none, and take no time for ever either
            if self._head_bytes > MAX_HEAD:
                self._refusal = _LARGE_HEAD
                self.send_400_response("too large")

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._expect()

        def on_headers_complete(self) -> None:
            self._heading = False
            hosts = 0
            size = len(self.url)
            for name, value in self.headers:
                size += len(name) + len(value) + 4
                hosts += name == b"host"
            if size > MAX_HEAD:
                self._refusal = _LARGE_HEAD
                raise _BadHead
            if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
                raise _BadHead
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self._heading = True
            self._head_bytes = 0
            self._in_time()

        def send_400_response(self, msg: str) -> None:
            self.transport.write(self._refusal)
            self.transport.close()
            self._linger()

        def connection_lost(self, exc: Exception | None) -> None:
            self._lost = True
            self._in_time()
            self._read()
            super().connection_lost(exc)

        def handle_websocket_upgrade(self) -> None:
            # Who is turned away goes at once: a storm of them would keep the others waiting.
            if self._turned_away():
                return
            if not turnstile.enter(self.loop, self._upgrade):
                self._entering = True
                self.flow.pause_reading()  # what comes next is for the WebSocket
                self._expect()

        def _upgrade(self) -> None:
            if self.transport.is_closing():
                return
            self._in_time()
            self._entering = False
            self.flow.resume_reading()
            if self._turned_away():
                return
            super().handle_websocket_upgrade()
            # They hold each other: thousands would wait for the collector.
            self.parser = None  # type: ignore[assignment]

        def _turned_away(self) -> bool:
            wait = turned_away(self.client[0] if self.client else "")
            if wait:
                self._in_time()
                self.transport.write(_too_many(wait))
                self.transport.close()
            return wait > 0

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._patience is None:
                self._patience = self.loop.call_later(unread_seconds, self._cut_off)

        def resume_writing(self) -> None:
            self._read()
            super().resume_writing()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._linger()

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            self._linger()

        def _expect(self) -> None:
            if self._deadline is None:
                self._deadline = self.loop.call_later(seconds, self._late)

        def _in_time(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _read(self) -> None:
            if self._patience is not None:
                self._patience.cancel()
                self._patience = None

        def _late(self) -> None:
            self._deadline = None
            if self.transport.is_closing():
                return
            if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
                self.transport.write(_LATE)
            self.transport.close()
            self._linger()

        def _linger(self) -> None:
            if self.transport.is_closing() and not self._lost and self.transport.get_write_buffer_size():
                self.loop.call_later(LINGER_SECONDS, self._cut_off)

        def _cut_off(self) -> None:
            if not self._lost:
                self.transport.abort()

    return Punctual


#: Under this name an application finds a `Direct` among the extensions of a WebSocket's scope.
DIRECT = "switchboard.direct"


class Direct(Protocol):
    """A quicker way to and from a WebSocket than ASGI's events: no task is woken, no queue is passed.

    ``hear`` is called with each text that comes once all before it have been received the usual way; it
    must not wait. What is no text, and the end, is received as ever.
    """

    hear: Callable[[str], None] | None

    def write(self, texts: Iterable[str]) -> bool:
        """Send these in one piece; False, and nothing is sent, where the usual way would wait or raise."""
        ...


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket on which no peer can pile up memory, and no bad text leaves a trace in the log."""

    hear: Callable[[str], None] | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            self.scope["extensions"][DIRECT] = self  # type: ignore[assignment]  # ASGI: a dict for each

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.hear = None
        if self.handshake_initiated and self.response.status_code == 101:
            self.scope["extensions"].clear()  # a circle would live until the next collection

    def write(self, texts: Iterable[str]) -> bool:
        """See `Direct`."""
        if self.close_sent or self.disconnected or not self.handshake_complete or not self.writable.is_set():
            return False
        try:
            for text in texts:
                self.conn.send_text(text.encode())
        except InvalidState:  # the peer is closing
            return False
        self.transport.write(b"".join(self.conn.data_to_send()))
        return True

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # What HTTP's parser lets through, such as a line over 8 KiB, may be too much for websockets. uvicorn
        # does not ask whether it was: no answer, and a connection that no limit counts.
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            if not self.transport.is_closing():
                self.transport.write(_NO_UPGRADE)
            self.transport.close()
            self._linger()

    def handle_cont(self, event: Frame) -> None:
        # Fragments may be empty, and each costs a place in a list: their size alone is no bound.
        if len(self.frames) >= MAX_FRAGMENTS:
            self.frames = [b"".join(self.frames)]
        super().handle_cont(event)

    def handle_ping(self) -> None:
        super().handle_ping()
        # A pong is written at once, whether the peer reads or not.
        if self.transport.get_write_buffer_size() > MAX_UNWRITTEN:
            self.transport.abort()

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
            self.frames = [data]
            try:
                text = data.decode()
            except UnicodeDecodeError as error:
                self._fail(1007, f"not UTF-8: {error.reason} at byte {error.start}")
                return
            if self.hear is not None and self.queue.empty():
                self.frames = []
                try:
                    self.hear(text)
                except Exception:
                    self.logger.exception("a text could not be heard")
                    self._fail(1011, "internal error")
                return
        super().send_receive_event_to_app()

    def _fail(self, code: int, reason: str) -> None:
        self.frames = []
        self.conn.fail(code, reason)
        self.handle_parser_exception()

    async def send(self, message: Any) -> None:
        await self.writable.wait()
        if self.close_sent:  # by the server itself, of which the application knows nothing yet
            raise ClientDisconnected
        await super().send(message)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._linger()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self._linger()

    def _linger(self) -> None:
        if not self.disconnected:
            self.loop.call_later(LINGER_SECONDS, self._cut_off)

    def _cut_off(self) -> None:
        if not self.disconnected:
            self.transport.abort()
