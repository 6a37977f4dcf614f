"""One socket's side of a conversation, without I/O (after wsproto's sans-I/O connections).

It is fed with the log's entries and the client's frames, and says what to do: send text, append an
entry, close. What is sent is in the order of the log's positions; an `Ack` takes its place in that
order, since it is made when the stored entry itself comes by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from services.proxy.domain import closings, frames, rendering
from services.proxy.domain.closings import Closing
from services.proxy.domain.drafts import Draft
from services.proxy.domain.flow_ids import Lookup, binds, none_known, unknown
from services.proxy.domain.kept import Kept
from services.proxy.domain.limits import LARGEST_TEXT
from shared.contract import cursor as cursors
from shared.contract import facts
from shared.contract.conversation import NEW, Conversation, Generating, step
from shared.contract.cursor import Cursor
from shared.contract.entry import Entry, Recorded
from shared.contract.facts import Fact
from shared.contract.times import format_time
from shared.contract.visible import cleaned


class Send(NamedTuple):
    """Send this text frame."""

    text: str


class Append(NamedTuple):
    """Append this entry as the visitor; tell the session if that fails.

    With a ``version`` only if the flow of this version knows what it names.
    """

    entry: Entry
    expect: int | None = None
    version: str = ""


class Typed(NamedTuple):
    """Tell the operator that the visitor is typing."""


class Listen(NamedTuple):
    """Hear the assistant's words of this answer from here on, or of none any more."""

    generating: Generating | None


Output = Send | Append | Typed | Listen | Closing

#: How a conversation begins, unless the client asks for more.
BEGIN = facts.ConversationStarted(door="websocket")


#: The assistant is at work, and there are no words yet.
_THINKING = Send(frames.encode(frames.Typing(who="assistant")))


class _Known(NamedTuple):
    """A visitor's entry that is on the log: where, and what it said."""

    position: int
    time: int
    facts: tuple[Fact, ...]


class Session:
    """``modern`` clients speak ``switchboard.v1``; ``cursor`` is where one wants to resume.

    ``ids`` gives what the flow of a version asks for, where that is known.
    """

    __slots__ = (  # there are thousands of these, most of them idle
        *("state", "modern", "_epoch", "_cursor", "_latest", "_known", "_pending", "_outcomes"),
        *("_choices", "_asking", "_shown", "_resetting", "_ids"),
    )

    def __init__(
        self, epoch: str, modern: bool, cursor: Cursor | None = None, ids: Lookup = none_known
    ) -> None:
        self.state: Conversation = NEW
        self._ids = ids
        self._epoch = epoch
        self.modern = modern
        self._cursor = cursor
        self._known: dict[str, _Known] = {}
        self._pending: dict[str, tuple[Fact, ...]] = {}
        self._outcomes: dict[str, str] = {}  # id -> why it was refused
        self._choices: dict[str, dict[str, str]] = {}  # group -> item -> its words
        self._asking: str | None = None
        self._shown: frames.State | None = None
        self._resetting: str | None = None
        self._latest = Cursor(epoch, 0, 0, 0)  # how far the client has been told

    # --- what comes from the log ---

    def resume(
        self, history: Iterable[Recorded], new_id: str, begin: facts.ConversationStarted = BEGIN
    ) -> list[Output]:
        """Everything that the client lacks; if there is nothing, the conversation starts (as ``new_id``)."""
        shown: list[tuple[Recorded, tuple[Fact, ...]]] = []
        refused: dict[int, str] = {}
        for recorded in history:
            effective = self._fold(recorded)
            if _is_reset(effective):
                shown.clear()
            if recorded.cause is not None and (reason := _refusal(effective)):
                refused[recorded.cause] = reason
            shown.append((recorded, effective))
        start = self._start(shown)
        if start is not None and self._cursor is not None:
            self._latest = self._cursor
        output: list[Output] = []
        if self.modern:
            echo = cursors.encode(self._cursor) if self._cursor and start is not None else None
            output.append(Send(frames.encode(frames.Resumed(cursor=echo, reset=start is None))))
        ids = {recorded.position: recorded.id for recorded, _ in shown}
        for recorded, effective in shown:
            cause = recorded.cause
            if start and cause in refused and cause <= start[0] < recorded.position:
                # The client has the message, not yet that it was refused.
                output += self.refuse(ids[cause], refused[cause])
            if recorded.position in refused or (start and recorded.position < start[0]):
                continue
            skip = start[1] + 1 if start and recorded.position == start[0] else 0
            output += self._render(recorded, effective, skip)
        if not self.state.started:
            output.append(Append(Entry(id=new_id, facts=(begin,)), expect=0))
        output += self._state_frame()
        if self.modern and self.state.generating is not None:
            output += [_THINKING, Listen(self.state.generating)]
        self._cursor = None
        return output

    def follow(self, recorded: Recorded) -> list[Output]:
        """One more entry of the conversation, as it is stored."""
        if recorded.position <= self.state.position:
            return []
        own = recorded.id in self._pending and recorded.author == "visitor"
        owed = self.state.unanswered
        generating = self.state.generating
        effective = self._fold(recorded)
        output: list[Output] = []
        if _is_reset(effective):
            if self.modern:
                output.append(Send(frames.encode(frames.Resumed(cursor=None, reset=True))))
            elif not own:
                return [closings.STALE]
        if self.modern and self.state.generating != generating:
            output += self._answer_changed(generating, effective)
        if own:
            output += self._settle(recorded.id)
        elif self._resetting is None:
            output += self._render(recorded, effective, 0)
        if self.modern:
            if recorded.cause is not None and (reason := _refusal(effective)):
                refused = (item.id for item in owed.at(recorded.cause))
                output += [Send(frames.encode(frames.Refused(id=id, reason=reason))) for id in refused]
            output += self._state_frame()
        return output

    def draft(self, draft: Draft) -> list[Output]:
        """The next words of the answer that is being made. What no longer counts is dropped."""
        generating = self.state.generating
        if generating is None or (generating.cause, generating.attempt) != (draft.cause, draft.attempt):
            return []
        frame = frames.Draft(
            turn=str(draft.cause), attempt=draft.attempt, offset=draft.offset, text=draft.text
        )
        return [Send(frames.encode(frame))]

    # --- what comes from the client ---

    def receive(self, text: str, new_id: Callable[[], str]) -> list[Output]:
        """One text frame. ``new_id`` makes a name for a message to which the client gave none."""
        decoder = frames.modern_input if self.modern else frames.bare_input
        try:
            frame: frames.Input = decoder.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            detail = str(error) if isinstance(error, msgspec.ValidationError) else ""
            return [closings.explained(closings.NOT_A_FRAME, detail) if detail else closings.NOT_A_FRAME]
        if isinstance(frame, frames.TypingNow):
            return [Typed()] if self.state.owner == "operator" else []
        id = frame.id if self.modern and frame.id is not None else new_id()
        fact = _fact(frame)
        if frames.written(frame) > LARGEST_TEXT:
            return self.refuse(id, "text_too_long")
        return self._submit(id, (fact,))

    def _submit(self, id: str, said: tuple[Fact, ...]) -> list[Output]:
        earlier = self._pending.get(id)
        known = self._known.get(id)
        if known is not None:
            return self._acknowledge(id, known) if known.facts == said else self.refuse(id, "id_reused")
        if earlier is not None:  # on its way; its Ack will come
            return [] if earlier == said else self.refuse(id, "id_reused")
        version = self.state.version if self._resetting is None and binds(self.state, said[0]) else ""
        ids = self._ids(version) if version else None
        if ids != "unread" and (reason := unknown(said[0], ids)):
            return self.refuse(id, reason)
        self._pending[id] = said
        if isinstance(said[0], facts.ConversationReset):
            self._resetting = id
        return [Append(Entry(id=id, facts=said), version=version if ids == "unread" else "")]

    def refuse(self, id: str, reason: str) -> list[Output]:
        """The message was not stored. A bare client is told nothing."""
        self._pending.pop(id, None)
        output: list[Output] = []
        if self.modern:
            output.append(Send(frames.encode(frames.Refused(id=id, reason=reason))))
        if self._resetting == id:  # what came meanwhile was held back: the client must ask again
            output.append(closings.STALE)
        return output

    # --- inside ---

    def _fold(self, recorded: Recorded) -> tuple[Fact, ...]:
        before = self.state
        self.state, effective = step(before, recorded)
        if not effective:
            return effective
        if recorded.author == "visitor":
            self._known[recorded.id] = _Known(recorded.position, recorded.time, recorded.facts)
            if _is_reset(effective):
                self._asking = None
                self._choices.clear()
            return effective
        for fact in effective:
            kind = type(fact)
            if kind is facts.FlowAdvanced:
                self._asking = None
            elif kind is facts.EditorOpened:
                self._asking = "text"
            elif isinstance(fact, facts.ChoiceAsked):
                self._asking = "choice"
                self._choices[str(fact.group)] = _words(fact)
            elif kind is facts.InputRefused or kind is facts.DecisionFailed:
                reason = _refusal(effective)
                refused = (item.id for item in before.unanswered.at(recorded.cause or 0))
                self._outcomes.update((id, reason) for id in refused)
        return effective

    def _start(self, shown: list[tuple[Recorded, tuple[Fact, ...]]]) -> tuple[int, int] | None:
        """Position and fact after which to go on, or None where the cursor does not hold."""
        cursor = self._cursor
        if cursor is None or cursor.epoch != self._epoch:
            return None
        for recorded, _ in shown:
            if recorded.position == cursor.position and recorded.time == cursor.time:
                return cursor.position, cursor.fact
        return None

    def _settle(self, id: str) -> list[Output]:
        """The client's own message came by: acknowledge it, or say that its id had been used."""
        said = self._pending.pop(id)
        if self._resetting == id:
            self._resetting = None
        known = self._known.get(id)
        if known is None or known.facts != said:
            return self.refuse(id, "id_reused")
        return self._acknowledge(id, known)

    def _acknowledge(self, id: str, known: _Known) -> list[Output]:
        if not self.modern:
            return []
        # Acknowledged again: the cursor does not go back behind what the client has already.
        if known.position > self._latest.position:
            self._latest = Cursor(self._epoch, known.position, known.time, 0)
        output: list[Output] = [Send(frames.encode(frames.Ack(id=id, cursor=cursors.encode(self._latest))))]
        if reason := self._outcomes.get(id):
            output.append(Send(frames.encode(frames.Refused(id=id, reason=reason))))
        return output

    def _render(self, recorded: Recorded, effective: tuple[Fact, ...], skip: int) -> list[Output]:
        output: list[Output] = []
        table = rendering.MODERN if self.modern else rendering.BARE
        for index, fact in enumerate(effective):
            make = table.get(type(fact))
            if make is None or index < skip:
                continue
            if not self.modern and recorded.author == "bot":
                output.append(_bare(fact))
                continue
            marks: dict[str, str] = {}
            if self.modern:
                self._latest = Cursor(self._epoch, recorded.position, recorded.time, index)
                marks = {"cursor": cursors.encode(self._latest), "time": format_time(recorded.time)}
                if recorded.author == "visitor":
                    marks["id"] = recorded.id
                elif type(fact) is facts.AssistantSaid:
                    marks["turn"] = str(recorded.cause)
            output.append(Send(frames.encode(make(self._choices, fact, marks))))
        return output

    def _answer_changed(self, before: Generating | None, effective: tuple[Fact, ...]) -> list[Output]:
        """Another answer is being made, or none; what was heard of one that was cut is told to be none."""
        now = self.state.generating
        output: list[Output] = []
        if before is not None and (now is None or now.cause != before.cause):
            kinds = {type(fact) for fact in effective}
            if facts.AssistantSaid not in kinds and facts.ConversationReset not in kinds:
                end = "failed" if facts.AnswerFailed in kinds else "interrupted"
                turn, attempt = str(before.cause), before.attempt
                frame = frames.Draft(turn=turn, attempt=attempt, offset=0, text="", end=end)
                output.append(Send(frames.encode(frame)))
        if now is not None:
            output.append(_THINKING)
        output.append(Listen(now))
        return output

    def _state_frame(self) -> list[Output]:
        """The conversation's state for a modern client, when it is another than the last told."""
        if not self.modern:
            return []
        state = self.state
        waiting: str | None = None
        if state.owner == "queue":
            waiting = "person"
        elif state.owner == "bot" and state.status == "open":
            over = state.ended and not state.unanswered
            waiting = "end" if over else None if state.ended else self._asking
        frame = frames.State(owner=state.owner, status=state.status, waiting=waiting)
        if frame == self._shown:
            return []
        self._shown = frame
        return [Send(frames.encode(frame))]


def _words_of(fact: facts.ChoiceAsked) -> dict[str, str]:
    """The words of each item."""
    return {str(choice.item): choice.text for choice in fact.choices}


def _bare_of(fact: Fact) -> Send:
    """What a bare client is sent of a bot's fact: the same in every conversation."""
    return Send(frames.encode(rendering.BARE[type(fact)]({}, fact, {})))


_words = Kept(_words_of)
_bare = Kept(_bare_of)


def _is_reset(effective: tuple[Fact, ...]) -> bool:
    """A visitor's entry holds one fact."""
    return bool(effective) and type(effective[0]) is facts.ConversationReset


def _refusal(effective: tuple[Fact, ...]) -> str:
    """Why the entry refuses its cause, or "" where it does not."""
    for fact in effective:
        if isinstance(fact, facts.InputRefused):
            return fact.reason
        if isinstance(fact, facts.DecisionFailed):
            return f"failed_{fact.reason}"
    return ""


def _fact(frame: frames.Input) -> Fact:
    match frame:
        case frames.ChoiceAnswer():
            return facts.ChoiceMade(group=frame.groupId, item=frame.itemId, text=cleaned(frame.content or ""))
        case frames.TextAnswer():
            return facts.TextWritten(session=frame.sessionId, text=cleaned(frame.content))
        case frames.Rate():
            return facts.ConversationRated(score=frame.score, comment=cleaned(frame.comment or ""))
        case _:
            return facts.ConversationReset()
