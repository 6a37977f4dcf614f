"""Visitors of the other doors, for the load generator: server-sent events, and Socket.IO over WebSocket.

Like the generator itself they speak only as much of their protocols as they need. A turn is what it
is at the WebSocket: an answer is sent, and the flow's next question arrives.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from time import perf_counter
from typing import Final

from tests.bench.load import Counts, Job, Socket, text_frame

#: What a visitor of the default flow answers to its two questions, in turn for ever.
ANSWERS: Final = ("hours", "yes")
#: The last choice of each of the questions: with it the bot has said everything.
LAST_LINES: Final = (b"5. I'd like to talk to a person", b"3. No, that was all")


class _Visit:
    """Counts the turns of a visit: is greeted, answers ``left`` times, and goes."""

    def __init__(self, job: Job, counts: Counts, left: int, after: Callable[[], None]) -> None:
        self._job = job
        self._counts = counts
        self._left = left
        self._after = after
        self._greeted = False
        self._leaving = False
        self._answers = 0
        self.since = perf_counter()  # since when it waits for the server, 0.0 while it does not

    def send(self, answer: str) -> None:
        """Send a message."""
        raise NotImplementedError

    def leave(self) -> None:
        """Say goodbye."""
        raise NotImplementedError

    def answered(self) -> None:
        """The turn is over; the next one begins, or the visit ends."""
        counts = self._counts
        (counts.times if self._greeted else counts.greetings).append(perf_counter() - self.since)
        self._greeted = True
        counts.turns += 1
        self.since = 0.0
        if not self._left:
            counts.visits += 1
            self._leaving = True
            self.leave()
            self._after()
            return
        self._left -= 1
        if self._job.think:
            pause = self._job.think * (0.5 + random.random())
            asyncio.get_running_loop().call_later(pause, self.next)
        else:
            self.next()

    def next(self) -> None:
        if not self._counts.over:
            self.since = perf_counter()
            self._answers += 1
            self.send(ANSWERS[(self._answers - 1) % 2])

    def gone(self) -> None:
        if not self._leaving and not self._counts.over:
            self._counts.lost += 1


class SseVisitor(_Visit, asyncio.Protocol):
    """Posts a message and reads its answer as events, over one connection that is kept."""

    _transport: asyncio.Transport | None = None
    _session = ""
    _posting = True
    _heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's own is no subclass
        self.next()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if self._posting:
            head, _, body = self._heard.partition(b"\r\n\r\n")
            if not body.endswith(b"}"):
                return
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"no answer: {self._heard[:300]!r}")
            self._session = json.loads(body)["session_id"]
            self._posting, self._heard = False, b""
            self._write(f"GET /sessions/{self._session}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        elif self._heard.endswith(b"0\r\n\r\n"):
            if b"event: commit_done" not in self._heard:
                raise RuntimeError(f"no answer: {self._heard[-300:]!r}")
            self._posting, self._heard = True, b""
            self.answered()

    def send(self, answer: str) -> None:
        session = {"session_id": self._session} if self._session else {}
        body = json.dumps({"user_id": "sam", "message": answer, **session}).encode()
        head = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._write(b"POST /sessions/sam/messages HTTP/1.1\r\n" + head.encode() + body)

    def leave(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


class SocketIoVisitor(_Visit, Socket):
    """Speaks Engine.IO 4 over WebSocket, and the default namespace of Socket.IO 5."""

    def __init__(self, job: Job, counts: Counts, left: int, after: Callable[[], None]) -> None:
        Socket.__init__(self, job.port, path="/socket.io/?EIO=4&transport=websocket")
        _Visit.__init__(self, job, counts, left, after)

    def heard(self, text: bytes) -> None:
        if text.startswith(b"0{"):
            self._write(b"40")
        elif text == b"2":
            self._write(b"3")
        elif text.startswith(b'42["bot_message"') and any(line in text for line in LAST_LINES):
            self.answered()

    def lost(self) -> None:
        self.gone()

    def leave(self) -> None:
        Socket.leave(self)

    def send(self, answer: str) -> None:
        self._write(b'42["user_message",{"message":"' + answer.encode() + b'"}]')

    def _write(self, packet: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(text_frame(packet))


VISITORS: Final[dict[str, type[SseVisitor] | type[SocketIoVisitor]]] = {
    "sse": SseVisitor,
    "socketio": SocketIoVisitor,
}
