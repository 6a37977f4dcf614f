"""A Socket.IO chat client's side of its conversation, without I/O (see docs/socketio.md)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec

from services.proxy.domain import close_codes, plain_text
from services.proxy.domain.limits import MAX_TEXT, MAX_UNANSWERED
from services.proxy.domain.past import Fold, Past, fingerprint, is_erased
from services.proxy.domain.rendering import wordless
from services.proxy.domain.session import Append
from services.proxy.domain.socketio_protocol import Emit, Missing, Output, Talk, error, held
from services.proxy.domain.text_answers import may_be, said_by_text
from shared.contract import cursor as cursors
from shared.contract.conversation import Conversation
from shared.contract.cursor import Cursor
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import (
    AnswerFailed,
    ConversationStarted,
    DecisionFailed,
    Fact,
    InputRefused,
)
from shared.contract.visible import cleaned
from shared.timestamps import format_time

_UUID: Final = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\Z"
_SESSION: Final = re.compile(_UUID)

FAILED: Final = "The answer failed."
TOO_MANY: Final = f"{MAX_UNANSWERED} messages wait for their answers: wait for some of them"
NOT_YOURS: Final = "This connection has another session."


class UserMessage(msgspec.Struct, frozen=True):
    """``user_message``. ``id`` is ours: the same one again is stored once."""

    message: str
    session_id: str | None = None
    id: Annotated[str, msgspec.Meta(pattern=_UUID)] | None = None


def session_id(given: object) -> str | None:
    """A session's id in its one form, or None where ``given`` is none."""
    return given.lower() if isinstance(given, str) and _SESSION.match(given) else None


class Chat(Talk):
    """``cursor`` None: the client knows none; "" or one of ours: it is told its place with each message."""

    def __init__(
        self, session: str, epoch: str, begin: ConversationStarted, cursor: str | None = None
    ) -> None:
        self._session = session
        self._epoch = epoch
        self._begin = begin
        self._cursor = cursor
        self._own: set[str] = set()  # ids of this connection's messages that are unanswered
        self._fold = Fold()
        self._past: Past | None = None  # while the history is told
        self._start: Cursor | None = None  # behind which that begins

    @property
    def state(self) -> Conversation:
        return self._fold.state

    def open(self, past: Past, shared: bool = True) -> list[Output]:
        """The session's id, then what came after the cursor; without one nothing is told again."""
        self._past = past
        self._fold = Fold(past) if shared else Fold.of(past)
        hello: dict[str, Any] = {"session_id": self._session}
        self._start = held(self._cursor or "", self._epoch, past)
        if self._cursor and self._start is None:
            hello["reset"] = True  # what the client shows may never have been
        return [Emit("session_id", hello)]

    @property
    def lacks(self) -> int | None:
        if self._cursor is None:
            return None
        return 0 if self._start is None else self._start.position

    def tell(self, recorded: RecordedEntry) -> list[Output]:
        past, start = self._past, self._start
        if past is None or not past.begins <= recorded.position <= past.state.position:
            return []
        if start is not None and recorded.position <= start.position:
            if recorded.position < start.position:
                return []
            return self._render(recorded, past.effective(recorded), start.fact + 1)
        return self._render(recorded, past.effective(recorded))

    def told(self, new_id: str) -> list[Output]:
        self._past = self._start = None
        if self.state.visit.started:
            return []
        return [Append(Entry(id=new_id, facts=(self._begin,)), expect=self.state.position)]

    def follow(self, recorded: RecordedEntry) -> list[Output]:
        if recorded.position <= self.state.position:
            return []
        owed = self.state.inbox.unanswered
        effective = self._fold.add(recorded)
        if is_erased(effective):
            return [close_codes.STALE]
        output = self._render(recorded, effective)
        for item in owed.at(recorded.cause or 0):
            if item.id in self._own:
                self._own.discard(item.id)
                refusals = (fact for fact in effective if isinstance(fact, InputRefused))
                output += [error(plain_text.refusal(fact.reason)) for fact in refusals]
        return output

    def receive(self, event: str, payload: Any, new_id: Callable[[], str]) -> Append | Emit | Missing:
        if event != "user_message":
            return error(f"unknown event {event[:50]!r}: this chat takes user_message {{message}}")
        try:
            said = msgspec.convert(payload, UserMessage)
        except msgspec.ValidationError as problem:
            return error(f"user_message: {problem}")
        if said.session_id and session_id(said.session_id) != self._session:
            return error(NOT_YOURS)
        message = cleaned(said.message)
        if not message:
            return error("user_message: the message is empty")
        if len(said.message.encode()) > MAX_TEXT:
            return error(f"user_message: the message is longer than {MAX_TEXT // 1024} KiB")
        id = said.id.lower() if said.id else new_id()
        facts = (said_by_text(self.state, "", message),)
        known = self._fold.known(id)
        if known is not None and known.said not in {fingerprint((fact,)) for fact in may_be("", message)}:
            return error("user_message: this id was used before, with another message")
        if known is None and len(self.state.inbox.unanswered) >= MAX_UNANSWERED:
            return error(f"user_message: {TOO_MANY}")
        self._own.add(id)
        return Append(Entry(id=id, facts=facts))

    def _render(self, recorded: RecordedEntry, effective: tuple[Fact, ...], skip: int = 0) -> list[Output]:
        output: list[Output] = []
        for index, fact in enumerate(effective):
            if index < skip or recorded.author == "visitor" or wordless(recorded, fact):
                continue
            if words := plain_text.text(fact):
                output.append(self._message(recorded, index, words))
        if any(isinstance(fact, (DecisionFailed, AnswerFailed)) for fact in effective[skip:]):
            if not any(map(plain_text.text, effective)):
                output.append(self._message(recorded, len(effective) - 1, plain_text.APOLOGY))
            output.append(error(FAILED))
        return output

    def _message(self, recorded: RecordedEntry, index: int, words: str) -> Emit:
        data = {"message": words, "timestamp": format_time(recorded.time)}
        if self._cursor is not None:
            place = Cursor(self._epoch, recorded.position, recorded.time, index)
            data["cursor"] = cursors.encode(place)
        return Emit("bot_message", data)
