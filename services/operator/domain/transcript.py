"""A conversation as lines to read: who said what, and what happened in between.

All of it is plain text, except what the assistant said: that is the Markdown it wrote.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Literal

import msgspec

from services.operator.domain.absent import marked
from shared.contract.conversation import NEW, Conversation, step
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AddressAsked,
    AddressGiven,
    AnswerFailed,
    AssistantSaid,
    BotSaid,
    ChoiceAsked,
    ChoiceMade,
    ConditionUntold,
    ConversationClaimed,
    ConversationEnded,
    ConversationErased,
    ConversationHandedBack,
    ConversationRated,
    ConversationReset,
    ConversationResolved,
    ConversationTransferred,
    DecisionFailed,
    EditorOpened,
    Fact,
    FlowMigrated,
    HandoffRequested,
    HandoffWithdrawn,
    InputRefused,
    MailEnded,
    MailStopped,
    OperatorSaid,
    RatingAsked,
    ServiceAnswered,
    TextWritten,
    ThanksHeard,
    VariableSaved,
)
from shared.contract.html_text import plain

Who = Literal["visitor", "bot", "assistant", "operator", "system"]

#: What ends that choices are on offer.
_CHOSEN = frozenset({ChoiceMade, ConversationReset, ConversationErased})
#: Of so many talks before the present one is told.
MAX_TALKS = 50
#: As much of a saved value as a line shows (characters).
MAX_OF_A_VALUE = 200


class TranscriptEntry(msgspec.Struct, frozen=True):
    """One line. ``time`` in nanoseconds since 1970, UTC; ``name`` is an operator's.

    ``id`` is that of an operator's entry: whoever sent it finds it by that.
    """

    position: int
    time: int
    who: Who
    text: str
    name: str = ""
    id: str = ""


class Change(msgspec.Struct, frozen=True):
    """What one entry did to a conversation: those of its facts that took effect, and the state before."""

    entry: RecordedEntry
    before: Conversation
    facts: tuple[Fact, ...]
    asked: ChoiceAsked | None = None  # the choices last offered before this entry


def lines(change: Change) -> list[TranscriptEntry]:
    """The lines that an entry adds to the transcript."""
    added = []
    asked = change.asked
    for fact in change.facts:
        said = _line(change, fact, asked)
        asked = still_asked(fact, asked)
        if said is not None:
            who, text, name = said
            id = change.entry.id if who == "operator" else ""
            added.append(TranscriptEntry(change.entry.position, change.entry.time, who, text, name, id))
    return added


class Transcript:
    """The lines of a conversation since the visitor last began anew, entry by entry."""

    def __init__(self) -> None:
        self.lines: list[TranscriptEntry] = []
        self.state = NEW
        self._asked: ChoiceAsked | None = None

    def add(self, entry: RecordedEntry) -> None:
        before = self.state
        self.state, facts = step(before, entry)
        facts = marked(entry, facts)
        if self.state.visit.session != before.visit.session:
            self.lines = []
        self.lines.extend(lines(Change(entry, before, facts, self._asked)))
        for fact in facts:
            self._asked = still_asked(fact, self._asked)


class PastTalk(msgspec.Struct, frozen=True):
    """What was said before the visitor began anew. ``number`` counts how often that had happened by then.

    ``started`` and ``ended`` are the times of its first and last line (nanoseconds since 1970, UTC).
    """

    number: int
    started: int
    ended: int
    lines: int
    last_line: str


class PastTalks:
    """A conversation's talks before the present one, entry by entry: the latest `MAX_TALKS`, oldest first.

    ``lines`` are those of the talk ``wanted``. What was erased is none of it.
    """

    def __init__(self, wanted: int | None = None) -> None:
        self.talks: deque[PastTalk] = deque(maxlen=MAX_TALKS)
        self.lines: list[TranscriptEntry] = []
        self._wanted = wanted
        self._told = Transcript()

    def add(self, entry: RecordedEntry) -> None:
        number, said = self._told.state.visit.session, self._told.lines
        self._told.add(entry)
        if self._told.state.visit.session == number:
            return
        if not self._told.state.visit.started:  # erased
            self.talks.clear()
            self.lines = []
        elif said:
            words = [line.text for line in said if line.who != "system"]
            last = words[-1] if words else ""
            self.talks.append(PastTalk(number, said[0].time, said[-1].time, len(said), last))
            if number == self._wanted:
                self.lines = said


def transcript(entries: Iterable[RecordedEntry]) -> list[TranscriptEntry]:
    """The lines of a whole conversation."""
    told = Transcript()
    for entry in entries:
        told.add(entry)
    return told.lines


def still_asked(fact: Fact, asked: ChoiceAsked | None) -> ChoiceAsked | None:
    """The choices on offer after ``fact``."""
    if isinstance(fact, ChoiceAsked):
        return fact
    return None if type(fact) in _CHOSEN else asked


def spoken(fact: Fact, asked: ChoiceAsked | None) -> str | None:
    """The words of a fact that the visitor, the bot or an operator said; None if it is none."""
    match fact:
        case TextWritten() | OperatorSaid() | AssistantSaid() | AddressAsked():
            return fact.text
        case AddressGiven():
            return fact.address
        case ChoiceMade():
            return plain(fact.text) or _choice(fact, asked)
        case BotSaid():
            return plain(fact.text, addresses=True)
        case ChoiceAsked():
            texts = [fact.question, *(f"• {choice.text}" for choice in fact.choices)]
            return "\n".join(plain(text, addresses=True) for text in texts)
        case EditorOpened():
            return plain(fact.text, addresses=True) if fact.text else None
        case _:
            return None


def _choice(made: ChoiceMade, asked: ChoiceAsked | None) -> str:
    """The words of a choice that came without them."""
    for choice in asked.choices if asked is not None else ():
        if str(choice.item) == str(made.item):
            return plain(choice.text)
    return str(made.item)


def _line(change: Change, fact: Fact, asked: ChoiceAsked | None) -> tuple[Who, str, str] | None:
    text = spoken(fact, asked)
    if text is not None:
        if isinstance(fact, OperatorSaid | AddressAsked):
            return "operator", text, fact.name or fact.operator
        if isinstance(fact, AssistantSaid):
            return "assistant", text, ""
        return ("visitor" if change.entry.author == "visitor" else "bot"), text, ""
    told = _told(change.before, fact)
    return ("system", told, "") if told is not None else None


def _told(before: Conversation, fact: Fact) -> str | None:
    """A happening in words."""
    who = before.ownership.operator_name or before.ownership.operator
    match fact:
        case HandoffRequested():
            return f"Waiting for a person in “{fact.queue}”" + (f": {fact.reason}" if fact.reason else "")
        case ConversationClaimed(by=by) if by:
            return f"{by} gave this to {fact.name or fact.operator}"
        case ConversationTransferred(by=by, to=to, name=name) if by:
            return f"{by} gave this to {name or to}"
        case ConversationClaimed(automatic=True):
            return f"{fact.name or fact.operator} was given this, as the next who was free"
        case ConversationTransferred(missed=True):
            return f"{who} did not answer: this is back in “{fact.queue}”"
        case ConversationClaimed():
            return f"{fact.name or fact.operator} took over"
        case ConversationHandedBack():
            at = f" at “{fact.state}”" if fact.state else ""
            return f"{who} handed back to the bot{at}"
        case ConversationTransferred(lapsed=True):
            return f"{who} was away for long: this is back in “{fact.queue}”"
        case ConversationTransferred(to=to, name=name, note=note):
            where = f"passed this on to {name or to}" if to else f"put this back into “{fact.queue}”"
            return f"{who} {where}" + (f": {note}" if note else "")
        case ConversationResolved(unjoined=True):
            return f"{fact.operator} marked this as resolved"
        case ConversationResolved():
            return f"{who} marked this as resolved"
        case MailEnded(outcome="mailed"):
            return "What was said was mailed to the visitor"
        case MailEnded(outcome="failed", reason=reason):
            return "What was said could not be mailed" + (f": {reason}" if reason else "")
        case MailEnded(outcome="unknown"):
            return "What was said was perhaps mailed: the mail server broke off twice"
        case MailStopped():
            return "The visitor wants no more e-mails of this"
        case RatingAsked():
            return f"{fact.name or fact.operator} asked for a rating"
        case ThanksHeard():
            return "Taken as thanks: this stays resolved"
        case InputRefused():
            return f"Not accepted by the bot: {fact.reason}"
        case DecisionFailed():
            return f"The bot could not answer: {fact.reason}"
        case HandoffWithdrawn():
            return "Nobody came; the bot goes on"
        case ConversationEnded():
            return f"Ended by the bot: {fact.reason}"
        case AnswerFailed():
            return f"The assistant could not answer: {fact.reason}"
        case ServiceAnswered(failure=failure) if failure:
            return f"No answer from the service of “{fact.state}”: {failure}"
        case ConditionUntold():
            return f"“{fact.condition}” at “{fact.state}” counts as false: {fact.reason}"
        case VariableSaved():
            return f"{fact.name}: {fact.value}"[:MAX_OF_A_VALUE]
        case FlowMigrated():
            return f"Moved to version {fact.version[:8]} of the flow “{fact.flow}”"
        case ConversationErased():
            return "What was said before was erased"
        case ConversationRated():
            return f"Rated {fact.score} of 5" + (f": {fact.comment}" if fact.comment else "")
        case _:
            return None
