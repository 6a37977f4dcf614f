"""A conversation in one line, as operators see it in their lists: `fold` makes it, entry by entry."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from services.operator.domain.absent import marked
from services.operator.domain.noted import NotedConversation, step_noted
from services.operator.domain.notes import DeskNotes
from services.operator.domain.transcript import Change, spoken, still_asked
from shared.contract.conversation import NEW, Conversation
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AssistantSaid,
    BotSaid,
    ChoiceAsked,
    ChoiceMade,
    ConversationEnded,
    ConversationErased,
    ConversationHandedBack,
    ConversationReset,
    ConversationResolved,
    ConversationTransferred,
    EditorOpened,
    Fact,
    HandoffRequested,
    HandoffWithdrawn,
    OperatorSaid,
    TextWritten,
)
from shared.contract.markdown import plain_markdown

View = Literal["queue", "mine", "live", "resolved"]
VIEWS: tuple[View, ...] = get_args(View)

Shelf = Literal[0, 1, 2]
NOWHERE: Final = 0
LIVE: Final = 1
RESOLVED: Final = 2

#: Raise it when `fold` makes something else of an entry: what was kept before is then made anew.
VERSION: Final = 3

_SPOKEN = frozenset(
    {TextWritten, ChoiceMade, BotSaid, AssistantSaid, ChoiceAsked, EditorOpened, OperatorSaid}
)
_VISITORS = frozenset({TextWritten, ChoiceMade})
_ANSWERED = frozenset(
    {
        *(OperatorSaid, ConversationHandedBack, ConversationResolved, ConversationReset),
        *(HandoffWithdrawn, ConversationEnded),
    }
)


class ConversationSummary(msgspec.Struct):
    """What the desk knows of one conversation. Times in nanoseconds since 1970, UTC.

    ``waiting`` is since when the visitor waits for a person's word (0: does not).
    """

    id: str
    state: Conversation = NEW
    notes: DeskNotes = DeskNotes()
    started: int = 0
    updated: int = 0
    waiting: int = 0
    last: Fact | None = None  # the last fact with words in it
    last_asked: ChoiceAsked | None = None  # the choices on offer when that was said
    asked: ChoiceAsked | None = None

    @property
    def noted(self) -> NotedConversation:
        """What a note is decided on."""
        return NotedConversation(self.state, self.notes)

    @property
    def shelf(self) -> Shelf:
        """In which lists it is. An agent's engagement is not for operators."""
        if not self.state.visit.started or self.state.engagement is not None:
            return NOWHERE
        return RESOLVED if self.state.ownership.status == "resolved" else LIVE

    @property
    def last_line(self) -> str:
        """The last thing said, in plain text."""
        if isinstance(self.last, AssistantSaid):
            return plain_markdown(self.last.text)
        return (self.last is not None and spoken(self.last, self.last_asked)) or ""


def fold(summary: ConversationSummary, entry: RecordedEntry) -> Change:
    """Bring the summary up to date. An entry that was folded before changes nothing.

    What operators note changes only `notes`: it is nothing that happened in the conversation.
    """
    before, asked = summary.state, summary.asked
    noted, facts = step_noted(summary.noted, entry)
    after = summary.state = noted.conversation
    summary.notes = noted.notes
    if after is before:
        return Change(entry, before, ())
    facts = marked(entry, facts)
    summary.updated = entry.time
    if any(type(fact) is ConversationErased for fact in facts):
        summary.last = summary.last_asked = summary.asked = None
        summary.waiting = 0
    elif after.visit.started and (not before.visit.started or after.visit.session != before.visit.session):
        summary.started, summary.last = entry.time, None
    # Who waits in the queue is told apart by the visitor's own words, not by the bot's farewell.
    farewell = type(summary.last) in _VISITORS and any(type(fact) is HandoffRequested for fact in facts)
    for fact in facts:
        kind = type(fact)
        if kind in _SPOKEN and not farewell and not (isinstance(fact, EditorOpened) and not fact.text):
            summary.last, summary.last_asked = fact, summary.asked
        released = isinstance(fact, ConversationTransferred) and not fact.to
        spoke = kind in _VISITORS and after.ownership.owner == "operator"
        if released or spoke or kind is HandoffRequested:
            if not summary.waiting:
                summary.waiting = entry.time
        elif kind in _ANSWERED:
            summary.waiting = 0
        summary.asked = still_asked(fact, summary.asked)
    return Change(entry, before, facts, asked)
