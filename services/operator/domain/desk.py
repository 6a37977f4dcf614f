"""The desk: every conversation in one line, on the shelves where operators look for it.

`Desk.apply` is the fold. Entries come nearly in the order in which they were stored, so the conversation an
entry belongs to goes to the end of its shelf, and a shelf read backwards is ordered by what happened last.
One on which an entry of another stream came too late is sorted when it is next read.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Literal, get_args

import msgspec

from services.operator.domain.absent import marked
from services.operator.domain.transcript import Change, spoken, still_asked
from shared.contract.conversation import NEW, Conversation, step
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
    started: int = 0
    updated: int = 0
    waiting: int = 0
    last: Fact | None = None  # the last fact with words in it
    last_asked: ChoiceAsked | None = None  # the choices on offer when that was said
    asked: ChoiceAsked | None = None
    shelves: tuple[str, ...] = ()

    @property
    def last_line(self) -> str:
        """The last thing said, in plain text."""
        if isinstance(self.last, AssistantSaid):
            return plain_markdown(self.last.text)
        return (self.last is not None and spoken(self.last, self.last_asked)) or ""


class Page(msgspec.Struct, frozen=True):
    """Some conversations of a view. ``next`` goes on behind them; None: there are no more.

    It is the microsecond at which the last of them comes: JavaScript has no larger whole numbers.
    """

    conversations: list[ConversationSummary]
    next: int | None


class Desk:
    """All conversations, folded from the log."""

    def __init__(self) -> None:
        self._all: dict[str, ConversationSummary] = {}
        self._shelves: dict[str, dict[str, ConversationSummary]] = {}
        self._newest: dict[str, int] = {}  # when the conversation at the end of a shelf came there
        self._disordered: set[str] = set()

    def clear(self) -> None:
        """Forget everything: the log is another one."""
        self._all.clear()
        self._shelves.clear()
        self._newest.clear()
        self._disordered.clear()

    def find(self, conversation: str) -> ConversationSummary | None:
        """The conversation, if its start is known and operators may see it."""
        summary = self._all.get(conversation)
        return summary if summary is not None and _shelves(summary.state) else None

    def apply(self, entry: RecordedEntry) -> Change:
        """Fold one entry."""
        summary = self._all.get(entry.conversation)
        if summary is None:
            summary = self._all[entry.conversation] = ConversationSummary(entry.conversation)
        change = _fold(summary, entry)
        self._shelve(summary)
        return change

    def silent_since(self, time: int) -> list[tuple[str, Conversation]]:
        """What was begun and has had no entry since ``time`` (nanoseconds since 1970), agents' too."""
        return [
            (summary.id, summary.state)
            for summary in self._all.values()
            if summary.state.visit.started and summary.updated < time
        ]

    def count(self, view: View) -> int:
        return len(self._shelves.get(view, ()))

    def page(self, view: View, operator: str, limit: int, before: int | None = None) -> Page:
        """About ``limit`` conversations of a view, behind the ``next`` of an earlier page.

        The queue begins with who waits longest, the other views with what happened last. More than ``limit``
        where several come at the same microsecond: the next page begins at another.
        """
        shelf = self._shelf(_mine(operator) if view == "mine" else view)
        found: Iterator[tuple[int, ConversationSummary]]
        if view == "queue":
            waiting = sorted(shelf.values(), key=lambda row: row.waiting)
            found = ((row.waiting // 1000, row) for row in waiting)
            found = (each for each in found if before is None or each[0] > before)
        else:
            found = ((row.updated // 1000, row) for row in reversed(shelf.values()))
            found = (each for each in found if before is None or each[0] < before)
        page = list(islice(found, limit))
        for each in found:
            if each[0] != page[-1][0]:
                return Page([row for _, row in page], page[-1][0])
            page.append(each)
        return Page([row for _, row in page], None)

    def _shelf(self, name: str) -> dict[str, ConversationSummary]:
        """The conversations there, ordered by what happened last in each."""
        if name in self._disordered:
            self._disordered.remove(name)
            rows = sorted(self._shelves[name].values(), key=lambda row: row.updated)
            self._shelves[name] = {row.id: row for row in rows}
        return self._shelves.get(name, {})

    def _shelve(self, summary: ConversationSummary) -> None:
        for name in summary.shelves:
            del self._shelves[name][summary.id]
        summary.shelves = _shelves(summary.state)
        for name in summary.shelves:
            self._shelves.setdefault(name, {})[summary.id] = summary
            if summary.updated < self._newest.get(name, 0):
                self._disordered.add(name)
            else:
                self._newest[name] = summary.updated


def _mine(operator: str) -> str:
    return f"mine:{operator}"


def _shelves(state: Conversation) -> tuple[str, ...]:
    if not state.visit.started or state.engagement is not None:  # an agent's engagement is not for operators
        return ()
    if state.ownership.status == "resolved":
        return ("resolved",)
    if state.ownership.owner == "queue":
        return ("live", "queue")
    if state.ownership.owner == "operator":
        return ("live", _mine(state.ownership.operator))
    return ("live",)


def _fold(summary: ConversationSummary, entry: RecordedEntry) -> Change:
    """Bring the summary up to date."""
    before, asked = summary.state, summary.asked
    after, facts = step(before, entry)
    facts = marked(entry, facts)
    summary.state = after
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
        if kind is HandoffRequested or (kind in _VISITORS and after.ownership.owner == "operator"):
            if not summary.waiting:
                summary.waiting = entry.time
        elif kind in _ANSWERED:
            summary.waiting = 0
        summary.asked = still_asked(fact, summary.asked)
    return Change(entry, before, facts, asked)
