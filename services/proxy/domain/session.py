"""One socket's side of a conversation, without I/O (after wsproto's sans-I/O connections).

It is fed with the log's entries and the client's frames, and says what to do: send text, append an
entry, close. What is sent is in the order of the log's positions; an `Ack` takes its place in that
order, since it is made when the stored entry itself comes by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from services.proxy.domain import close_codes, frames, rendering
from services.proxy.domain.close_codes import CloseCode
from services.proxy.domain.flow_ids import Lookup, binds, none_known, unknown
from services.proxy.domain.identity_cache import IdentityCache
from services.proxy.domain.limits import MAX_TEXT, MAX_UNANSWERED
from services.proxy.domain.past import Fold, Known, Past, fingerprint, is_erased, is_reset, refusal
from services.proxy.domain.presence import VisitorTold, told_by
from services.proxy.domain.text_answers import may_be, said_by_text
from shared.contract import cursor as cursors
from shared.contract import facts
from shared.contract.conversation import Conversation, Generating
from shared.contract.cursor import Cursor
from shared.contract.drafts import DraftPiece
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import Fact
from shared.contract.visible import cleaned
from shared.timestamps import format_time


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


class TellPresence(NamedTuple):
    """Remember how things are with the visitor, for operators who look at the conversation."""

    told: VisitorTold


class Listen(NamedTuple):
    """Hear the assistant's words of this answer from here on, or of none any more."""

    generating: Generating | None


class Look(NamedTuple):
    """Read the entries from ``first`` to ``last`` again, and send what `ClientSession.looked` makes of them.

    ``before`` is how the client asked for them, ``earlier`` what it may ask for next.
    """

    before: str
    first: int
    last: int
    earlier: str | None


Output = Send | Append | Typed | TellPresence | Listen | Look | CloseCode

#: How a conversation begins, unless the client asks for more.
BEGIN = facts.ConversationStarted(door="websocket")


#: What is owed an answer.
_OWED = (facts.TextWritten, facts.ChoiceMade)
#: The assistant is at work, and there are no words yet.
_THINKING = Send(frames.encode(frames.Typing(who="assistant")))
#: The link and this service are alive.
_PONG = Send(frames.encode(frames.Pong()))


class ClientSession:
    """``modern`` clients speak ``switchboard.v1``; ``cursor`` is where one wants to resume.

    ``window``: of a history that is told from its beginning only about so many entries, the newest; 0: all.
    ``ids`` gives what the flow of a version asks for, where that is known.
    """

    __slots__ = (  # there are thousands of these, most of them idle
        *("modern", "_epoch", "_cursor", "_latest", "_fold", "_pending", "_shown", "_resetting"),
        *("_past", "_start", "_from", "_window", "_earlier", "_ids"),
    )

    def __init__(
        self,
        epoch: str,
        modern: bool,
        cursor: Cursor | None = None,
        window: int = 0,
        ids: Lookup = none_known,
    ) -> None:
        self._ids = ids
        self._epoch = epoch
        self.modern = modern
        self._cursor = cursor
        self._fold = Fold()
        self._pending: dict[str, tuple[Fact, ...]] = {}
        self._past: Past | None = None  # while the history is told
        self._start: tuple[int, int] | None = None  # position and fact of it behind which that begins
        self._from = 0  # the position of the first entry that is told
        self._window = window if modern else 0
        self._earlier: Past | None = None  # where not all of it was told
        self._shown: frames.State | None = None
        self._resetting: str | None = None
        self._latest = Cursor(epoch, 0, 0, 0)  # how far the client has been told

    @property
    def state(self) -> Conversation:
        return self._fold.state

    # --- what comes from the log ---

    def resume(
        self, history: Iterable[RecordedEntry], new_id: str, begin: facts.ConversationStarted | None = BEGIN
    ) -> list[Output]:
        """Everything that the client lacks; if there is nothing, the conversation starts (as ``new_id``)."""
        entries = tuple(history)
        past = Past()
        for recorded in entries:
            past.add(recorded)
        output = self.open(past, shared=bool(self._window))
        for recorded in entries:
            output += self.tell(recorded)
        return output + self.told(new_id, begin)

    def open(self, past: Past, shared: bool = True) -> list[Output]:
        """The history is known; `tell` is to follow for its entries, in order, then `told`.

        ``shared``: others go on with the same ``past``, which must not change.
        """
        cursor, self._cursor = self._cursor, None
        self._past = past
        self._fold = Fold(past) if shared else Fold.of(past)
        self._start = None
        if cursor is not None and cursor.epoch == self._epoch and past.holds(cursor):
            self._start = cursor.position, cursor.fact
            self._latest = cursor
        if not self.modern:
            return []
        if self._start is not None and cursor is not None:
            # What was told before this socket may have begun in the middle too.
            self._earlier = past if self._window else None
            return [Send(frames.encode(frames.Resumed(cursor=cursors.encode(cursor), reset=False)))]
        earlier: str | msgspec.UnsetType = msgspec.UNSET
        part = past.part(self._window)
        if part is not None and part.more:
            self._earlier, self._from = past, part.first
            earlier = cursors.encode(Cursor(self._epoch, part.first, part.time, 0))
        return [Send(frames.encode(frames.Resumed(cursor=None, reset=True, earlier=earlier)))]

    @property
    def lacks(self) -> int:
        """The position of the first entry that is to be told of the history."""
        begins = self._past.begins if self._past is not None else 0
        return max(begins, self._from, self._start[0] if self._start is not None else 0)

    def tell(self, recorded: RecordedEntry) -> list[Output]:
        """What the client lacks of an entry of the history."""
        past, start = self._past, self._start
        position, cause = recorded.position, recorded.cause
        if past is None or not max(past.begins, self._from) <= position <= past.state.position:
            return []
        output: list[Output] = []
        if start and cause in past.refused and cause <= start[0] < position:
            # The client has the message, not yet that it was refused.
            refused = past.refused[cause]
            output += self.refuse(refused.id, refused.reason)
        if position in past.refused or (start and position < start[0]):
            return output
        skip = start[1] + 1 if start and position == start[0] else 0
        return output + self._render(recorded, past.effective(recorded), skip)

    def told(self, new_id: str, begin: facts.ConversationStarted | None = BEGIN) -> list[Output]:
        """The history is told: how things stand, and how the conversation starts where it has not.

        ``begin`` None: it shall not start.
        """
        self._past = self._start = None
        output: list[Output] = []
        if not self.state.visit.started:
            if begin is None:
                return [close_codes.UNKNOWN]
            output.append(Append(Entry(id=new_id, facts=(begin,)), expect=self.state.position))
        output += self._still_open()
        output += self._state_frame()
        if self.modern and self.state.answer.generating is not None:
            output += [_THINKING, Listen(self.state.answer.generating)]
        return output

    def _still_open(self) -> list[Output]:
        """What the visitor may answer now, where it is older than the part that was told: once more, with
        no cursor, since it is not told in its place."""
        fold = self._fold
        output: list[Output] = []
        if fold.editor is not None and fold.editor[0] < self._from:
            editor = msgspec.structs.replace(fold.editor[1], text=None)
            output.append(Send(frames.encode(rendering.MODERN[facts.EditorOpened]({}, editor, {}))))
        if fold.question is not None and fold.asking == "choice" and fold.question[0] < self._from:
            question = fold.question[1]
            output.append(Send(frames.encode(rendering.MODERN[facts.ChoiceAsked]({}, question, {}))))
        return output

    def follow(self, recorded: RecordedEntry) -> list[Output]:
        """One more entry of the conversation, as it is stored."""
        if recorded.position <= self.state.position:
            return []
        own = recorded.id in self._pending and recorded.author == "visitor"
        owed = self.state.inbox.unanswered
        generating = self.state.answer.generating
        effective = self._fold.add(recorded)
        output: list[Output] = []
        if is_erased(effective):
            return [close_codes.STALE]
        if is_reset(effective):
            self._earlier = None  # what came before is never told again
            if self.modern:
                output.append(Send(frames.encode(frames.Resumed(cursor=None, reset=True))))
            elif not own:
                return [close_codes.STALE]
        if self.modern and self.state.answer.generating != generating:
            output += self._answer_changed(generating, effective)
        if own:
            output += self._settle(recorded.id)
        elif self._resetting is None:
            output += self._render(recorded, effective, 0)
        if self.modern:
            if recorded.cause is not None and (reason := refusal(effective)):
                refused = (item.id for item in owed.at(recorded.cause))
                output += [Send(frames.encode(frames.Refused(id=id, reason=reason))) for id in refused]
            output += self._state_frame()
        return output

    def draft(self, draft: DraftPiece) -> list[Output]:
        """The next words of the answer that is being made. What no longer counts is dropped."""
        generating = self.state.answer.generating
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
            return [
                close_codes.explained(close_codes.NOT_A_FRAME, detail) if detail else close_codes.NOT_A_FRAME
            ]
        if isinstance(frame, frames.TypingNow):
            return [Typed()] if self.state.ownership.owner == "operator" else []
        if isinstance(frame, frames.Ping):
            return [_PONG]
        if isinstance(frame, frames.PresenceTold):
            return [TellPresence(told_by(frame, self._epoch, self.state.position))]
        if isinstance(frame, frames.EarlierAsked):
            return self._look(frame.before)
        id = frame.id if self.modern and frame.id is not None else new_id()
        fact = _fact(frame)
        if isinstance(fact, facts.TextWritten) and not (self.modern and self.state.asked.last == "rating"):
            fact = said_by_text(self.state, fact.session, fact.text)  # for a rating it has buttons
        if frames.written(frame) > MAX_TEXT:
            return self.refuse(id, "text_too_long")
        return self._submit(id, (fact,))

    def _look(self, before: str) -> list[Output]:
        cursor = cursors.decode(before)
        if cursor is None:
            return [close_codes.explained(close_codes.NOT_A_FRAME, "`before` is no cursor")]
        past = self._earlier
        if past is None or cursor.epoch != self._epoch or not past.holds(cursor):
            return [Send(frames.encode(frames.Earlier(before=before, frames=[], earlier=None)))]
        part = past.part(self._window, cursor.position)
        if part is None:
            return [Send(frames.encode(frames.Earlier(before=before, frames=[], earlier=None)))]
        earlier = cursors.encode(Cursor(self._epoch, part.first, part.time, 0)) if part.more else None
        return [Look(before, part.first, part.last, earlier)]

    def looked(self, look: Look, entries: Iterable[RecordedEntry]) -> list[Output]:
        """The next part of the answer: some of the entries that ``look`` names, in order."""
        past, latest, position = self._earlier, self._latest, 0
        if past is None:
            return []
        told: list[msgspec.Raw] = []
        for recorded in entries:
            position = recorded.position
            if position not in past.refused:
                output = self._render(recorded, past.effective(recorded), 0)
                told += [msgspec.Raw(item.text.encode()) for item in output if isinstance(item, Send)]
        self._latest = latest  # what the client has been told of last is another
        earlier = look.earlier if position >= look.last else msgspec.UNSET
        return [Send(frames.encode(frames.Earlier(before=look.before, frames=told, earlier=earlier)))]

    def _submit(self, id: str, said: tuple[Fact, ...]) -> list[Output]:
        earlier = self._pending.get(id)
        known = self._fold.known(id)
        if known is not None:
            same = known.said in {fingerprint(each) for each in _as_before(said)}
            return self._acknowledge(id, known) if same else self.refuse(id, "id_reused")
        if earlier is not None:  # on its way; its Ack will come
            return [] if earlier == said else self.refuse(id, "id_reused")
        if isinstance(said[0], _OWED) and len(self.state.inbox.unanswered) >= MAX_UNANSWERED:
            return self.refuse(id, "too_many_unanswered")
        bound = self._resetting is None and binds(self.state, said[0])
        version = self.state.progress.version if bound else ""
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
            output.append(close_codes.STALE)
        return output

    # --- inside ---

    def _settle(self, id: str) -> list[Output]:
        """The client's own message came by: acknowledge it, or say that its id had been used."""
        said = self._pending.pop(id)
        if self._resetting == id:
            self._resetting = None
        known = self._fold.known(id)
        if known is None or known.said != fingerprint(said):
            return self.refuse(id, "id_reused")
        return self._acknowledge(id, known)

    def _acknowledge(self, id: str, known: Known) -> list[Output]:
        if not self.modern:
            return []
        # Acknowledged again: the cursor does not go back behind what the client has already.
        if known.position > self._latest.position:
            self._latest = Cursor(self._epoch, known.position, known.time, 0)
        output: list[Output] = [Send(frames.encode(frames.Ack(id=id, cursor=cursors.encode(self._latest))))]
        if reason := self._fold.outcome(id):
            output.append(Send(frames.encode(frames.Refused(id=id, reason=reason))))
        return output

    def _render(self, recorded: RecordedEntry, effective: tuple[Fact, ...], skip: int) -> list[Output]:
        output: list[Output] = []
        table = rendering.MODERN if self.modern else rendering.BARE
        for index, fact in enumerate(effective):
            make = table.get(type(fact))
            if make is None or index < skip or rendering.unseen(fact) or rendering.wordless(recorded, fact):
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
            output.append(Send(frames.encode(make(self._fold.choices, fact, marks))))
        return output

    def _answer_changed(self, before: Generating | None, effective: tuple[Fact, ...]) -> list[Output]:
        """Another answer is being made, or none; what was heard of one that was cut is told to be none."""
        now = self.state.answer.generating
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
        if state.ownership.owner == "queue":
            waiting = "person"
        elif state.ownership.owner == "bot" and state.ownership.status == "open":
            over = state.progress.ended and not state.inbox.unanswered
            waiting = "end" if over else None if state.progress.ended else self._fold.asking
        frame = frames.State(
            owner=state.ownership.owner,
            status=state.ownership.status,
            waiting=waiting,
            rating=state.asked.rating or msgspec.UNSET,
        )
        if frame == self._shown:
            return []
        self._shown = frame
        return [Send(frames.encode(frame))]


def _as_before(said: tuple[Fact, ...]) -> list[tuple[Fact, ...]]:
    """What a client may have meant that sends this once more: the same words may have been an answer then."""
    fact = said[0]
    if isinstance(fact, facts.TextWritten):
        return [(each,) for each in may_be(fact.session, fact.text)]
    return [said]


def _bare_of(fact: Fact) -> Send:
    """What a bare client is sent of a bot's fact: the same in every conversation."""
    return Send(frames.encode(rendering.BARE[type(fact)]({}, fact, {})))


_bare = IdentityCache(_bare_of)


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
