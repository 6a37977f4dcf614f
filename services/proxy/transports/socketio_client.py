"""One client of a Socket.IO door: its talk, and what is on its way in both directions."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Iterable
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from services.proxy.admission import Admission
from services.proxy.domain import close_codes
from services.proxy.domain.close_codes import CloseCode
from services.proxy.domain.session import Append
from services.proxy.domain.socketio_protocol import Emit, Missing, Output, Talk, error
from services.proxy.door_queues import MAX_PENDING, ClientInbox, Outbox, Outcome, Unread
from services.proxy.history import History
from services.proxy.hub import Hub
from shared.contract.drafts import DraftPiece
from shared.contract.entry import RecordedEntry
from shared.eventlog.errors import LogError

log = structlog.get_logger()

#: What a client hears of an event that could not be stored.
#: Messages that a client is given before it has taken them. One that polls gets all that wait in one answer,
#: and python-socketio's gives up on more than 16 packets, pings and acknowledgements included.
MAX_AT_ONCE = 10

_REASONS: dict[Outcome, str] = {
    "id_reused": "this id was used before, with another message",
    "too_large": "it is too large to be stored",
    "full": "It could not be stored. Please try again.",
}


class Opening(NamedTuple):
    """A conversation that the client may have: its name and this side of it. ``new``: made just now."""

    conversation: str
    talk: Talk
    new: bool


class SocketLine(Protocol):
    """What carries the client's packets."""

    def emit(self, event: str, data: dict[str, Any]) -> Awaitable[None]:
        """Put an event into the transport's queue."""

    def taken(self) -> Awaitable[None]:
        """Until the transport has taken all that was put."""

    def hang_up(self, closing: CloseCode) -> Awaitable[None]:
        """Close the transport, not the session: a client comes back by itself."""


class _Event(NamedTuple):
    name: str
    payload: Any
    answer: asyncio.Future[dict[str, Any]]


class SocketioClient:
    """Its conversation is the first of ``openings`` that there is, or the last. None: it is ignored."""

    def __init__(
        self,
        hub: Hub,
        admission: Admission,
        door: str,
        line: SocketLine,
        conversation: str,
        openings: list[Opening],
    ) -> None:
        """``conversation`` is the name as limits count it."""
        self._hub = hub
        self._admission = admission
        self.door = door
        self._line = line
        self._openings = openings
        self._talk: Talk | None = None  # None until the history is told
        self._conversation = conversation
        self._inbox: ClientInbox[_Event] = ClientInbox()
        self._outbox: Outbox | None = None  # with the talk
        self._unread: Unread[Emit] = Unread(
            self._give, lambda: self.close(close_codes.TOO_SLOW), lambda: self.close(close_codes.NO_LOG)
        )
        self._answers: dict[str, list[asyncio.Future[dict[str, Any]]]] = {}
        self._closing: CloseCode | None = None
        self._opener: asyncio.Task[None] | None = None
        self._closer: asyncio.Task[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None

    def expire(self, seconds: float) -> None:
        """Close in so many seconds: the right that let the client in ends then."""
        loop = asyncio.get_running_loop()
        self._expiry = loop.call_later(max(seconds, 0.0), self.close, close_codes.EXPIRED)

    def open(self) -> None:
        if self._openings:
            self._opener = asyncio.create_task(self._open())

    async def _open(self) -> None:
        if not self._hub.serving:
            self.close(close_codes.NO_LOG)
            return
        try:
            for opening in self._openings:
                self._conversation = opening.conversation
                history = await self._hub.join(opening.conversation, self, opening.new)
                if history.whole != [] or opening is self._openings[-1]:
                    break
                self._hub.leave(opening.conversation, self)
            await self._greet(opening.talk, history)
        except LogError:
            self.close(close_codes.NO_LOG)
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # by us: the client went
                raise
            # What it waited for was cancelled, not this.
            log.warning("history_not_told", conversation=self._conversation, exc_info=error)
            self.close(close_codes.NO_LOG)

    async def _greet(self, talk: Talk, history: History) -> None:
        """Tell what the client lacks, at its own pace; what comes meanwhile waits its turn."""
        self._outbox = Outbox(self._hub, self._conversation, self._appended)
        if history.whole is not None:
            output = talk.greet(history.whole, _new_id())
        else:
            output = await self._tell(talk, history)
        self._act(output)
        await self._inbox.catch_up(
            self._hub,
            self._conversation,
            lambda: talk.state.position,
            lambda recorded: self._act(talk.follow(recorded)),
        )
        self._talk = talk
        events, self._inbox.said = self._inbox.said, []
        for event in events:
            self._take(event, talk)

    async def _tell(self, talk: Talk, history: History) -> list[Output]:
        """Window by window; what is left to say behind it."""
        told = talk.open(await history.past())

        def tell(recorded: RecordedEntry) -> None:
            told.extend(talk.tell(recorded))

        if talk.lacks is not None:
            async for window in history.windows(talk.lacks):
                async for _ in self._hub.pace.through(window, tell):
                    await self._give([item for item in told if isinstance(item, Emit)])
                    told.clear()
        self._inbox.behind = True  # of what was stored meanwhile nobody kept track
        return told + talk.told(_new_id())

    # --- what the hub tells ---

    def on_entry(self, recorded: RecordedEntry) -> None:
        if self._talk is None:
            self._inbox.on_entry(recorded)
        elif self._closing is None:
            self._act(self._talk.follow(recorded))

    def typing(self) -> None:
        """There is no event for it."""

    def draft(self, draft: DraftPiece) -> None:
        """Only what is committed is told."""

    def on_reset(self) -> None:
        self.close(close_codes.STALE)

    def lost(self) -> None:
        self.close(close_codes.NO_LOG)

    # --- what the client sends ---

    async def receive(self, name: str, payload: Any) -> dict[str, Any]:
        """One event. The answer, for clients that ask for one, says whether it is stored."""
        if not self._openings:
            return {"error": "ignored"}
        if self._closing is not None:  # its right may have ended, and its transport not yet
            return {"error": self._closing.reason}
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        event = _Event(name, payload, answer)
        if refusal := self._admission.message(self._conversation, self.door):
            self._refuse(event, refusal.text)
        elif len(self._outbox or ()) + len(self._inbox.said) >= MAX_PENDING:
            self._refuse(event, "too many events at once")
        elif self._talk is None:
            self._inbox.said.append(event)
        else:
            self._take(event, self._talk)
        return await answer

    def complain(self, problem: str) -> None:
        """What came was no event at all; it counts as a message."""
        if not self._openings:
            return
        refusal = self._admission.message(self._conversation, self.door)
        self._act([error(refusal.text if refusal else problem)])

    def _take(self, event: _Event, talk: Talk) -> None:
        if self._closing is not None:
            event.answer.set_result({"error": self._closing.reason})
            return
        try:
            meant = talk.receive(event.name, event.payload, _new_id)
        except Exception as error:
            log.warning("event_not_taken", conversation=self._conversation, exc_info=error)
            self.close(close_codes.NO_LOG)
            event.answer.set_result({"error": close_codes.NO_LOG.reason})
            return
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

    def _act(self, output: Iterable[Output]) -> None:
        for item in output:
            if isinstance(item, Emit):
                self._write(item)
            elif isinstance(item, CloseCode):
                self.close(item)
            elif self._outbox is not None:
                self._outbox.put(item)

    def _write(self, item: Emit) -> None:
        if self._closing is None:
            self._unread.put(item, len(msgspec.json.encode(item.data)))

    async def _give(self, items: list[Emit]) -> None:
        """Returns when the client has taken them: python-socketio's queue has no bound."""
        for start in range(0, len(items), MAX_AT_ONCE):
            for item in items[start : start + MAX_AT_ONCE]:
                await self._line.emit(*item)
            await self._line.taken()

    def _appended(self, append: Append, outcome: Outcome, reason: str) -> None:
        """See to how an append ended. "conflict": another connection greeted first; its start is ours too."""
        self._admission.appended(self.door, outcome)
        if outcome == "unknown" or (outcome == "full" and append.expect is not None):
            self.close(close_codes.NO_LOG)
        if outcome == "unknown":
            return
        told = reason or _REASONS.get(outcome)
        if told:
            self._act([error(told)])
        self._settle(append.entry.id, {"error": told} if told else {"stored": True})

    def _settle(self, id: str, answer: dict[str, Any]) -> None:
        for waiting in self._answers.pop(id, ()):
            if not waiting.done():
                waiting.set_result(answer)

    # --- the end ---

    def close(self, closing: CloseCode, reason: str = "") -> None:
        """Tell the client why, and close its transport. It may come back."""
        if self._closing is not None:
            return
        self._closing = closing
        self._unread.stop()
        if self._opener is not None and self._opener is not asyncio.current_task():
            self._opener.cancel()
        self._closer = asyncio.create_task(self._hang_up(closing, reason or closing.reason))

    async def _hang_up(self, closing: CloseCode, reason: str) -> None:
        if closing is not close_codes.TOO_SLOW:
            await self._line.emit(*error(reason))
        await self._line.hang_up(closing)

    def gone(self) -> None:
        """The client went. What it sent is stored all the same."""
        self._closing = self._closing or close_codes.RESTARTING
        self._hub.leave(self._conversation, self)
        if self._expiry is not None:
            self._expiry.cancel()
        if self._opener is not None:
            self._opener.cancel()
        self._unread.stop()
        for event in self._inbox.said:
            event.answer.cancel()
        self._inbox.said.clear()
        for waiting in self._answers.values():
            for answer in waiting:
                answer.cancel()
        self._answers.clear()

    async def stored(self) -> None:
        """Wait until everything the client sent has its append answered."""
        if self._outbox is not None:
            await self._outbox.stored()


def _new_id() -> str:
    """An id in the form of a UUID, cheaper than uuid4."""
    digits = secrets.token_hex(16)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
