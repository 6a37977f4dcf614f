"""A conversation in one line, as operators see it in their lists: `fold` makes it, entry by entry."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from services.operator.domain.absent import marked
from services.operator.domain.aliases import alias
from services.operator.domain.noted import NotedConversation, step_noted
from services.operator.domain.notes import DeskNotes
from services.operator.domain.transcript import Change, spoken, still_asked
from shared.contract.conversation import NEW, Conversation
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AddressAsked,
    AddressGiven,
    AssistantSaid,
    BotSaid,
    ChoiceAsked,
    ChoiceMade,
    ConversationClaimed,
    ConversationEnded,
    ConversationErased,
    ConversationRated,
    ConversationResolved,
    ConversationTransferred,
    EditorOpened,
    Fact,
    HandoffRequested,
    OperatorSaid,
    TextWritten,
)
from shared.contract.markdown import plain_markdown
from shared.contract.visible import cleaned

View = Literal["queue", "mine", "live", "snoozed", "resolved"]
VIEWS: tuple[View, ...] = get_args(View)

Shelf = Literal[0, 1, 2]
NOWHERE: Final = 0
LIVE: Final = 1
RESOLVED: Final = 2

#: Raise it when `fold` makes something else of an entry: what was kept before is then made anew.
VERSION: Final = 7

_SPOKEN = frozenset(
    {
        *(TextWritten, ChoiceMade, BotSaid, AssistantSaid, ChoiceAsked, EditorOpened, OperatorSaid),
        *(AddressAsked, AddressGiven),
    }
)
_VISITORS = frozenset({TextWritten, ChoiceMade, AddressGiven})
#: How a resolved conversation ended: an operator closed it; the visitor had come to the flow's end, and was
#: silent; the visitor was silent before that.
Ending = Literal["operator", "visitor", "silence"]
#: Variables of a flow that say who the visitor is, the better one first.
WHO: Final = ("name", "full_name", "first_name", "email", "e_mail", "mail")
MAX_WHO: Final = 80


class ConversationSummary(msgspec.Struct):
    """What the desk knows of one conversation. Times in nanoseconds since 1970, UTC."""

    id: str
    state: Conversation = NEW
    notes: DeskNotes = DeskNotes()
    started: int = 0
    updated: int = 0
    ending: Ending | None = None  # how it ended, while it is resolved
    rating: int = 0  # the visitor's last; 0: there is none
    last: Fact | None = None  # the last fact with words in it
    last_asked: ChoiceAsked | None = None  # the choices on offer when that was said
    asked: ChoiceAsked | None = None
    wanted: int = 0  # since when it is for a person, and not for the bot; 0: it is not
    answered: bool = False  # a person has said something since then
    given: int = (
        0  # when it was given out to its operator, who has said nothing since; 0: it was not, or they have
    )

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
    def waiting(self) -> int:
        """Since when the visitor waits for a person's word (0: does not)."""
        return self.state.ownership.waiting

    @property
    def door_user(self) -> str:
        """Whom the door names, behind its own name: two doors may mean different people. "": nobody."""
        begun = self.state.visit.begun
        return f"{begun.door}:{begun.user}" if begun.user else ""

    @property
    def visitor(self) -> str:
        """Who the visitor is, as far as the flow has asked or the door was told; else an alias."""
        return self._name or alias(self.id)

    @property
    def known(self) -> bool:
        """Whether that is more than an alias."""
        return bool(self._name)

    @property
    def _name(self) -> str:
        variables = {name.lower(): value for name, value in self.state.progress.variables.items()}
        for found in (*(variables.get(name) for name in WHO), self.state.visit.begun.user):
            if isinstance(found, str) and (words := " ".join(cleaned(found).split())):
                return words[:MAX_WHO]
        return ""

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
        summary.last = summary.last_asked = summary.asked = summary.ending = None
    elif after.visit.started and (not before.visit.started or after.visit.session != before.visit.session):
        summary.started, summary.last = entry.time, None
    # Who waits in the queue is told apart by the visitor's own words, not by the bot's farewell.
    farewell = type(summary.last) in _VISITORS and any(type(fact) is HandoffRequested for fact in facts)
    for fact in facts:
        kind = type(fact)
        if kind in _SPOKEN and not farewell and not (isinstance(fact, EditorOpened) and not fact.text):
            summary.last, summary.last_asked = fact, summary.asked
        if kind is ConversationEnded:
            summary.ending = "visitor" if before.progress.ended else "silence"
        elif kind is ConversationResolved:
            summary.ending = "operator"
        elif isinstance(fact, ConversationClaimed):
            summary.given = entry.time if fact.automatic else 0
        elif kind is OperatorSaid or kind is ConversationTransferred:
            summary.given = 0
        elif isinstance(fact, ConversationRated):
            summary.rating = fact.score
        summary.asked = still_asked(fact, summary.asked)
    if after.ownership.status == "open":
        summary.ending = None
    if after.ownership.owner == "bot":
        summary.wanted, summary.answered, summary.given = 0, False, 0
    else:
        summary.wanted = summary.wanted or entry.time
        summary.answered = summary.answered or any(type(fact) is OperatorSaid for fact in facts)
    return Change(entry, before, facts, asked)
