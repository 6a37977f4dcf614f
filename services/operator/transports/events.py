"""Live events: one feed of changes for every open console, as server-sent events.

A listener that does not keep up is dropped rather than buffered for; its browser connects anew and
reads the lists again, as after any break.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import structlog

#: Events that wait for one listener at most.
MAX_WAITING = 1_000
#: So often a heartbeat goes out (seconds). It is an event and no comment, which scripts do not see: a console
#: that hears nothing knows that its link is dead. It answers each, so that it is known to be there: an event
#: wakes it also in a hidden tab, where timers sleep.
PING_SECONDS = 10.0
#: Whoever listens is asked for the right to so often, whatever traffic there is (seconds).
CHECK_SECONDS = 2.0
#: How long one such question may take, and the pause before it is asked again (seconds).
ANSWER_SECONDS = 1.0
AGAIN_SECONDS = 0.25
#: A right that cannot be confirmed for so long counts no more (seconds): it may have ended where we do not
#: hear of it. With this every stream ends within five seconds of its right.
UNCONFIRMED_SECONDS = 4.5

log = structlog.get_logger()

_encoder = msgspec.json.Encoder()


class EventHub:
    """Hands events to every listener."""

    def __init__(self) -> None:
        self._listeners: dict[asyncio.Queue[bytes | None], asyncio.Event] = {}  # and what makes it be asked
        self._consoles: dict[str, asyncio.Queue[bytes | None]] = {}
        self._change = asyncio.Event()

    async def changed(self) -> None:
        """Wait until somebody comes or goes."""
        await self._change.wait()
        self._change.clear()

    def __len__(self) -> int:
        return len(self._listeners)

    def publish(self, event: str, data: msgspec.Struct) -> None:
        """Send an event to all who listen. Never waits."""
        if not self._listeners:
            return
        frame = _frame(event, data)
        for queue in list(self._listeners):
            self._put(queue, frame)

    def has(self, console: str) -> bool:
        """Whether the console with this name listens here."""
        return console in self._consoles

    def tell(self, console: str, event: str, data: msgspec.Struct) -> None:
        """Send an event to one console. Never waits."""
        queue = self._consoles.get(console)
        if queue is not None:
            self._put(queue, _frame(event, data))

    def _put(self, queue: asyncio.Queue[bytes | None], frame: bytes) -> None:
        try:
            queue.put_nowait(frame)
        except asyncio.QueueFull:
            self._end(queue)

    def close(self) -> None:
        """End every stream: the service stops, or the log was replaced."""
        for queue in list(self._listeners):
            self._end(queue)

    def ask(self) -> None:
        """A right ended just now: ask everyone who listens at once."""
        for asked in self._listeners.values():
            asked.set()

    async def listen(
        self, still_welcome: Callable[[], Awaitable[bool]], console: str = ""
    ) -> AsyncIterator[bytes]:
        """The frames for one listener, until it goes, is dropped, or is no longer welcome.

        ``console`` is a name for `tell`; of two listeners with one name the later has it.
        ``still_welcome`` was true when this was called; it raises where that cannot be told.
        """
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING)
        self._listeners[queue] = asyncio.Event()
        if console:
            self._consoles[console] = queue
        self._change.set()
        guard = asyncio.create_task(self._guard(queue, still_welcome))
        loop = asyncio.get_running_loop()
        try:
            yield b"retry: 1000\n: listening\n\n"
            beat = loop.time() + PING_SECONDS
            while True:
                try:
                    async with asyncio.timeout_at(beat):
                        frame = await queue.get()
                except TimeoutError:
                    frame, beat = b"event: heartbeat\ndata: {}\n\n", loop.time() + PING_SECONDS
                if frame is None:
                    return
                yield frame
        finally:
            guard.cancel()
            self._listeners.pop(queue, None)
            if self._consoles.get(console) is queue:
                del self._consoles[console]
            self._change.set()

    async def _guard(
        self, queue: asyncio.Queue[bytes | None], still_welcome: Callable[[], Awaitable[bool]]
    ) -> None:
        """Returns once the listener has no right any more, and has been told nothing further.

        Apart from the listener's own task: that one waits while its client does not read, and is never idle
        while there is much to tell.
        """
        loop = asyncio.get_running_loop()
        asked, confirmed, pause = self._listeners[queue], loop.time(), CHECK_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await asked.wait()
            asked.clear()
            now = loop.time()
            try:
                async with asyncio.timeout_at(min(now + ANSWER_SECONDS, confirmed + UNCONFIRMED_SECONDS)):
                    welcome = await still_welcome()
                confirmed, pause = now, CHECK_SECONDS
            except Exception as error:  # whatever it is, the right is not confirmed
                log.warning("right_unconfirmed", error=str(error) or type(error).__name__)
                pause = AGAIN_SECONDS
                welcome = loop.time() + pause < confirmed + UNCONFIRMED_SECONDS
            if not welcome:
                self._end(queue)
                return

    def _end(self, queue: asyncio.Queue[bytes | None]) -> None:
        self._listeners.pop(queue, None)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)


def _frame(event: str, data: msgspec.Struct) -> bytes:
    return b"event: " + event.encode() + b"\ndata: " + _encoder.encode(data) + b"\n\n"
