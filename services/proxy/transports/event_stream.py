"""One open stream of server-sent events: tells a session's turns until nothing more is to come.

It holds nothing but its place. A reader that is slow falls behind the conversation, not its memory;
one that does not read at all is cut off by the server (`shared.service.http_hardening`), and resumes by
`Last-Event-ID`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from services.proxy.domain import sse_events
from services.proxy.domain.sse_events import SseEvent, StreamPlace
from services.proxy.rest_sessions import RestSession
from shared.service.health import Receive, Scope, Send

#: How often a comment is sent while there is nothing to tell, so that nobody in between gives up (seconds).
KEEP_ALIVE_SECONDS = 15.0
#: Events that are written at once: what lies unread is not much more.
MAX_AT_ONCE = 200
#: How long the word that the right has ended may take (seconds).
FAREWELL_SECONDS = 1.0
#: It has no id: whoever comes back goes on behind the last event that has one.
_EXPIRED = b"event: error\ndata: the token has expired\n\n"

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the events back
    (b"x-content-type-options", b"nosniff"),
]
_EMPTY = [(b"cache-control", b"no-store")]


class EventStream:
    """An ASGI application for one request: 200 and the events, or 204 where nothing will follow.

    ``last_event_id`` is where the client stands, "" for before the newest turn. ``left`` is called in
    the end, whatever happens; ``ending`` says whether the service is shutting down. ``until`` is when the
    right to listen ends (seconds since 1970; None: never).
    """

    def __init__(
        self,
        room: RestSession,
        session: str,
        epoch: str,
        last_event_id: str,
        ending: Callable[[], bool],
        left: Callable[[], None],
        until: float | None = None,
    ) -> None:
        self._room = room
        self._session = session
        self._epoch = epoch
        self._last_event_id = last_event_id
        self._ending = ending
        self._left = left
        self._until = until
        self._gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            events, place, more = self._begin()
            over = self._over(events, more, answered=False)
            if over and not events:
                await send({"type": "http.response.start", "status": 204, "headers": _EMPTY})
                await send({"type": "http.response.body"})
                return
            with contextlib.suppress(OSError):  # the client went
                await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
                try:
                    async with asyncio.timeout(self._remaining()) as right:
                        await self._tell_all(receive, send, events, place, over)
                except TimeoutError:
                    if not right.expired():
                        raise
                    # A reader that takes nothing need not hear it: without it the server hangs up.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(FAREWELL_SECONDS):
                            await _send(send, _EXPIRED, more=False)
        finally:
            self._left()

    async def _tell_all(
        self, receive: Receive, send: Send, events: list[SseEvent], place: StreamPlace, over: bool
    ) -> None:
        if events:
            await self._write(send, events, over)
        if not over:
            watching = asyncio.create_task(self._watch(receive))
            try:
                await self._tell(send, place, _answered(events))
            finally:
                watching.cancel()

    def _remaining(self) -> float | None:
        """For how many seconds there is a right to listen."""
        return None if self._until is None else max(self._until - time.time(), 0.0)

    def _begin(self) -> tuple[list[SseEvent], StreamPlace, bool]:
        turns = self._room.turns
        place = sse_events.place_of(self._last_event_id, self._epoch, turns)
        return sse_events.part(turns, place or sse_events.newest(turns), self._session, MAX_AT_ONCE)

    def _over(self, events: list[SseEvent], more: bool, answered: bool) -> bool:
        """Whether the stream ends with these: no turn is open, and no person's word is awaited."""
        if self._gone or self._room.gone or self._ending():
            return True
        if more:
            return False
        turns = self._room.turns
        return turns.open is None and (answered or _answered(events) or not turns.with_person)

    async def _watch(self, receive: Receive) -> None:
        """Notice that the client has gone."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._room.notify()

    async def _tell(self, send: Send, place: StreamPlace, answered: bool) -> None:
        while True:
            if self._room.overdue:
                # Nothing on the log says so. Whoever comes back later is told what came of it.
                event = SseEvent("error", "Session timeout", place)
                await self._write(send, [event], over=True)
                return
            await asyncio.sleep(0)  # who is told of thousands of turns lets the others in between
            events, place, more = sse_events.part(self._room.turns, place, self._session, MAX_AT_ONCE)
            # Nothing may be awaited between the look and the wait, or a change could go unseen.
            over = self._over(events, more, answered)
            answered = answered or _answered(events)
            if events or over:
                await self._write(send, events, over)
                if over:
                    return
            else:
                await self._wait(send)

    async def _wait(self, send: Send) -> None:
        try:
            async with asyncio.timeout(min(KEEP_ALIVE_SECONDS, self._room.turn_seconds)):
                await self._room.changed()
        except TimeoutError:
            await _send(send, b": nothing new\n\n", more=True)

    async def _write(self, send: Send, events: list[SseEvent], over: bool) -> None:
        for start in range(0, len(events) or 1, MAX_AT_ONCE):
            some = events[start : start + MAX_AT_ONCE]
            last = over and start + MAX_AT_ONCE >= len(events)
            await _send(send, sse_events.encode(some, self._epoch), more=not last)


def _answered(events: list[SseEvent]) -> bool:
    return any(event.kind == "commit_done" for event in events)


async def _send(send: Send, body: bytes, more: bool) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})
