"""uvicorn's WebSocket with what it lacks against strangers: bounded memory, and no peer waited for for ever.

Only public methods are overridden; ``tests/contract/test_websocket_frames.py`` speaks to the result over bare
sockets. Seen with uvicorn 0.54.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import Frame
from websockets.http11 import Request

from shared.service.http_hardening import LINGER_SECONDS, last_words

#: What may lie unwritten on a connection before a peer that keeps pinging is cut off (bytes).
MAX_UNWRITTEN = 1024 * 1024
#: Fragments of one message that are kept apart.
MAX_FRAGMENTS = 64

_NO_UPGRADE = last_words(
    "400 Bad Request", "the head of the request is too large for an upgrade, or not well-formed"
)

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
