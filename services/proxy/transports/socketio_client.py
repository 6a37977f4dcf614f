"""One client of a Socket.IO door: its talk, and what is on its way in both directions."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from services.proxy.domain import closings
from services.proxy.domain.closings import Closing
from services.proxy.domain.drafts import Draft
from services.proxy.domain.session import Append
from services.proxy.domain.talk import Emit, Missing, Output, Talk, error
from services.proxy.edge import Edge
from services.proxy.hub import Hub
from shared.contract.entry import EntryTooLarge, Recorded
from shared.runtime.log import Conflict, Full, IdReused, LogError

log = structlog.get_logger()

#: What a client that is too slow may leave unread before it is cut off.
MOST_UNREAD = 2_000
MOST_UNREAD_BYTES = 1024 * 1024
#: How many events are given to python-socketio at once; it is given more when the client took these.
BATCH = 50
#: Events of one client that wait to be stored.
MOST_PENDING = 100

#: What a client hears of an event that could not be stored.
_NOT_STORED = "It could not be stored. Please try again."


class Opening(NamedTuple):
    """A conversation that the client may have: its name and this side of it. ``new``: made just now."""

    conversation: str
    talk: Talk
    new: bool


class Line(Protocol):
    """What carries the client's packets."""

    def emit(self, event: str, data: dict[str, Any]) -> Awaitable[None]:
        """Put an event into the transport's queue."""

    def taken(self) -> Awaitable[None]:
        """Until the transport has taken all that was put."""

    def hang_up(self, closing: Closing) -> Awaitable[None]:
        """Close the transport, not the session: a client comes back by itself."""


class _Event(NamedTuple):
    name: str
    payload: Any
    answer: asyncio.Future[dict[str, Any]]


class Client:
    """Its conversation is the first of ``openings`` that there is, or the last. None: it is ignored."""

    def __init__(
        self,
        hub: Hub,
        edge: Edge,
        door: str,
        line: Line,
        conversation: str,
        openings: list[Opening],
        count: Callable[[str], None],
    ) -> None:
        """``conversation`` is the name as limits count it; ``count`` is told how each append ended."""
        self._hub = hub
        self._edge = edge
        self._door = door
        self._line = line
        self._openings = openings
        self._count = count
        self._talk: Talk | None = None  # None until the history is there
        self._conversation = conversation
        self._early: list[Recorded] = []  # what came live while the history was fetched
        self._inbox: list[_Event] = []  # and what the client sent
        self._unread: list[tuple[Emit, int]] = []
        self._unread_bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self._pending: list[Append] = []
        self._appender: asyncio.Task[None] | None = None
        self._answers: dict[str, list[asyncio.Future[dict[str, Any]]]] = {}
        self._closing: Closing | None = None
        self._opener: asyncio.Task[None] | None = None

    def open(self) -> None:
        if self._openings:
            self._opener = asyncio.create_task(self._open())

    async def _open(self) -> None:
        if not self._hub.serving:
            self.close(closings.NO_LOG)
            return
        try:
            for opening in self._openings:
                self._conversation = opening.conversation
                history = await self._hub.join(opening.conversation, self, opening.new)
                if history or opening is self._openings[-1]:
                    break
                self._hub.leave(opening.conversation, self)
        except LogError:
            self.close(closings.NO_LOG)
            return
        self._talk = opening.talk
        self._act(opening.talk.greet(history, _new_id()))
        for recorded in self._early:
            self._act(opening.talk.follow(recorded))
        self._early.clear()
        inbox, self._inbox = self._inbox, []
        for event in inbox:
            self._take(event, opening.talk)

    # --- what the hub tells ---

    def offer(self, recorded: Recorded) -> None:
        if self._talk is None:
            self._early.append(recorded)
        elif self._closing is None:
            self._act(self._talk.follow(recorded))

    def typing(self) -> None:
        """There is no event for it."""

    def draft(self, draft: Draft) -> None:
        """Only what is committed is told."""

    def stale(self) -> None:
        self.close(closings.STALE)

    # --- what the client sends ---

    async def receive(self, name: str, payload: Any) -> dict[str, Any]:
        """One event. The answer, for clients that ask for one, says whether it is stored."""
        if not self._openings:
            return {"error": "ignored"}
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        event = _Event(name, payload, answer)
        if refusal := self._edge.message(self._conversation, self._door):
            self._refuse(event, refusal.text)
        elif len(self._pending) + len(self._inbox) >= MOST_PENDING:
            self._refuse(event, "too many events at once")
        elif self._talk is None:
            self._inbox.append(event)
        else:
            self._take(event, self._talk)
        return await answer

    def complain(self, problem: str) -> None:
        """What came was no event at all; it counts as a message."""
        if not self._openings:
            return
        refusal = self._edge.message(self._conversation, self._door)
        self._act([error(refusal.text if refusal else problem)])

    def _take(self, event: _Event, talk: Talk) -> None:
        meant = talk.receive(event.name, event.payload, _new_id)
        match meant:
            case Append():
                self._answers.setdefault(meant.entry.id, []).append(event.answer)
                self._act([meant])
            case Emit():
                self._act([meant])
                event.answer.set_result({"error": meant.data["message"]})
            case Missing():
                event.answer.set_result({"error": meant.reason})

    def _refuse(self, event: _Event, reason: str) -> None:
        self._act([error(reason)])
        event.answer.set_result({"error": reason})

    # --- what the talk wants ---

    def _act(self, output: list[Output]) -> None:
        for item in output:
            if isinstance(item, Emit):
                self._write(item)
            else:
                self._pending.append(item)
                if self._appender is None or self._appender.done():
                    self._appender = asyncio.create_task(self._append())

    def _write(self, item: Emit) -> None:
        if self._closing is not None:
            return
        size = len(msgspec.json.encode(item.data))
        self._unread.append((item, size))
        self._unread_bytes += size
        if len(self._unread) > MOST_UNREAD or self._unread_bytes > MOST_UNREAD_BYTES:
            self.close(closings.TOO_SLOW)
        elif self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())

    async def _write_all(self) -> None:
        while self._unread:
            batch, self._unread = self._unread[:BATCH], self._unread[BATCH:]
            for item, size in batch:
                await self._line.emit(*item)
                self._unread_bytes -= size
            await self._line.taken()
        self._writer = None

    async def _append(self) -> None:
        while self._pending:
            append = self._pending[0]
            id, begins = append.entry.id, append.expect is not None
            reason = ""
            try:
                await self._hub.append(self._conversation, append.entry, append.expect)
                outcome = "stored"
            except Conflict:
                outcome = "conflict"  # another connection greeted first: its start is ours too
            except IdReused:
                outcome, reason = "id_reused", "this id was used before, with another message"
            except EntryTooLarge:
                outcome, reason = "too_large", "it is too large to be stored"
            except Full:
                outcome, reason = "full", _NOT_STORED
                if begins:
                    self.close(closings.NO_LOG)
            except LogError as problem:
                # Unknown: neither stored nor refused on a guess. The client comes back and asks again.
                log.warning("append_unknown", conversation=self._conversation, error=str(problem))
                self._count("unknown")
                self._pending.clear()
                self.close(closings.NO_LOG)
                return
            self._count(outcome)
            if reason:
                self._act([error(reason)])
            self._settle(id, {"error": reason} if reason else {"stored": True})
            self._pending.pop(0)

    def _settle(self, id: str, answer: dict[str, Any]) -> None:
        for waiting in self._answers.pop(id, ()):
            if not waiting.done():
                waiting.set_result(answer)

    # --- the end ---

    def close(self, closing: Closing, reason: str = "") -> None:
        """Tell the client why, and close its transport. It may come back."""
        if self._closing is not None:
            return
        self._closing = closing
        if self._writer is not None:
            self._writer.cancel()
        self._unread.clear()
        self._writer = asyncio.create_task(self._hang_up(closing, reason or closing.reason))

    async def _hang_up(self, closing: Closing, reason: str) -> None:
        if closing is not closings.TOO_SLOW:
            await self._line.emit(*error(reason))
        await self._line.hang_up(closing)

    def gone(self) -> None:
        """The client went. What it sent is stored all the same."""
        closing, self._closing = self._closing, closings.RESTARTING
        self._hub.leave(self._conversation, self)
        if self._opener is not None:
            self._opener.cancel()
        if self._writer is not None and closing is None:  # else it is the writer that hangs up
            self._writer.cancel()
        for event in self._inbox:
            event.answer.cancel()
        self._inbox.clear()
        for waiting in self._answers.values():
            for answer in waiting:
                answer.cancel()
        self._answers.clear()

    async def stored(self) -> None:
        """Wait until everything the client sent has its append answered."""
        if self._appender is not None and not self._appender.done():
            await asyncio.wait([self._appender])


def _new_id() -> str:
    """An id in the form of a UUID, cheaper than uuid4."""
    digits = secrets.token_hex(16)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
