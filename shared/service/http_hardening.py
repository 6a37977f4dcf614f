"""uvicorn's HTTP with what it lacks against strangers: time limits, bounded heads, and a turnstile.

Only public methods are overridden; ``tests/contract/test_admission.py`` speaks to the result over bare
sockets. Seen with uvicorn 0.54.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: How large the head of a request may be (bytes).
MAX_HEAD = 32 * 1024
#: How many connections become WebSockets in one round of the event loop.
AT_ONCE = 8
#: How long a peer may leave an answer unread before it is cut off (seconds).
UNREAD_SECONDS = 30.0
#: Closing waits until the peer has read what was written; for one that never does, so long (seconds).
LINGER_SECONDS = 10.0


def last_words(status: str, error: str, more: str = "") -> bytes:
    """A whole answer, after which the connection is closed; ``more`` are header lines."""
    body = b'{"error":"%b"}' % error.encode()
    head = f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: application/json\r\n{more}"
    return b"%bcontent-length: %d\r\n\r\n%b" % (head.encode(), len(body), body)


_LATE = last_words("408 Request Timeout", "the request did not come in time")
_MALFORMED = last_words("400 Bad Request", "this is not a well-formed request of HTTP/1.1")
_LARGE_HEAD = last_words(
    "431 Request Header Fields Too Large",
    f"the head of the request is larger than {MAX_HEAD // 1024} KiB",
)
#: An offer to go over to what is not spoken here, such as h2c or TLS. A server may ignore it (RFC 9110,
#: section 7.8); the parser would stop behind the head and lose the body.
_OTHER_UPGRADE = re.compile(rb"(?i)\r\nupgrade:(?![ \t]*websocket[ \t]*\r\n)[^\r\n]*(?=\r\n)")


class _BadHead(Exception):
    """A head that the parser takes, and we do not. The parser makes an error of its own of it."""


def _too_many(seconds: int) -> bytes:
    error = f"too many connects; come back in {seconds} s"
    return last_words("429 Too Many Requests", error, f"retry-after: {seconds}\r\n")


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
