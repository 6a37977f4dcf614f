"""What a conversation's entries come to for those who show it: the fold, and what to show of its history.

The fold of a long history is made once, for all the sockets that ask for it at the same time.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from services.proxy.domain.identity_cache import IdentityCache
from shared.contract import facts
from shared.contract.conversation import NEW, Conversation, step
from shared.contract.cursor import Cursor
from shared.contract.entry import RecordedEntry
from shared.contract.facts import Fact

_RESETS = frozenset({facts.ConversationReset, facts.ConversationErased})

_encoder = msgspec.json.Encoder()


class Known(NamedTuple):
    """A visitor's entry that is on the log: where, and what it said, as `fingerprint` has it."""

    position: int
    time: int
    said: bytes


def fingerprint(said: tuple[Fact, ...]) -> bytes:
    """Tells contents apart. Kept in place of them: a visitor may have said many megabytes."""
    return blake2b(_encoder.encode(said), digest_size=16).digest()


class Fold:
    """A conversation as it is known so far. ``older`` is a part that others share: it is only looked at."""

    __slots__ = ("_known", "_older", "_outcomes", "asking", "choices", "editor", "question", "state")

    def __init__(self, older: Fold | None = None) -> None:
        self._older = older
        self._known: dict[str, Known] = {}
        self._outcomes: dict[str, str] = {}
        self.state: Conversation = NEW if older is None else older.state
        #: The words of each item of each group.
        self.choices: dict[str, dict[str, str]] = {} if older is None else dict(older.choices)
        self.asking: str | None = None if older is None else older.asking
        #: The editor that is open, and the choices asked last, each with its position.
        self.editor: tuple[int, facts.EditorOpened] | None = None if older is None else older.editor
        self.question: tuple[int, facts.ChoiceAsked] | None = None if older is None else older.question

    @classmethod
    def of(cls, past: Past) -> Fold:
        """Go on from ``past``, which nobody else uses any more."""
        fold = cls()
        fold._known, fold._outcomes = past._known, past._outcomes
        fold.state, fold.choices, fold.asking = past.state, past.choices, past.asking
        fold.editor, fold.question = past.editor, past.question
        return fold

    def known(self, id: str) -> Known | None:
        """The visitor's entry with this id, if it is on the log."""
        found = self._known.get(id)
        return self._older.known(id) if found is None and self._older is not None else found

    def outcome(self, id: str) -> str | None:
        """Why the visitor's entry with this id was refused, if it was."""
        found = self._outcomes.get(id)
        return self._older.outcome(id) if found is None and self._older is not None else found

    def add(self, recorded: RecordedEntry) -> tuple[Fact, ...]:
        """One more entry; those of its facts that took effect."""
        before = self.state
        self.state, effective = step(before, recorded)
        if not effective:
            return effective
        if is_reset(effective):
            self.asking = self.editor = self.question = None
            self.choices.clear()
        if recorded.author == "visitor":
            said = fingerprint(recorded.facts)
            self._known[recorded.id] = Known(recorded.position, recorded.time, said)
            return effective
        for fact in effective:
            kind = type(fact)
            if kind is facts.FlowAdvanced:
                self.asking = None
            elif isinstance(fact, facts.EditorOpened):
                self.asking = "text"
                self.editor = recorded.position, fact
            elif isinstance(fact, facts.EditorClosed):
                if self.editor is not None and str(self.editor[1].session) == str(fact.session):
                    self.editor = None
            elif isinstance(fact, facts.ChoiceAsked):
                self.asking = "choice"
                self.question = None if recorded.sealed else (recorded.position, fact)
                self.choices[str(fact.group)] = _words(fact)
            elif kind is facts.InputRefused or kind is facts.DecisionFailed:
                reason = refusal(effective)
                refused = (item.id for item in before.inbox.unanswered.at(recorded.cause or 0))
                self._outcomes.update((id, reason) for id in refused)
        return effective


class RefusedInput(NamedTuple):
    """An input of the history that has no effect: its id, and why."""

    id: str
    reason: str


class Part(NamedTuple):
    """Entries from ``first``, which was stored at ``time``, to ``last``; ``more``: there are earlier ones."""

    first: int
    time: int
    last: int
    more: bool


class Past(Fold):
    """A history that is to be shown. Once all of it was added, it can be gone through once more, in parts."""

    __slots__ = ("_partly", "_positions", "_times", "begins", "refused")

    def __init__(self) -> None:
        super().__init__()
        #: Where the history begins: what was before the last reset, or was erased, is shown no more.
        self.begins = 0
        #: By the position of the input.
        self.refused: dict[int, RefusedInput] = {}
        self._partly: dict[int, tuple[Fact, ...]] = {}  # entries of which not all facts took effect
        self._positions = array("Q")
        self._times = array("Q")

    def add(self, recorded: RecordedEntry) -> tuple[Fact, ...]:
        owed = self.state.inbox.unanswered
        effective = super().add(recorded)
        if is_reset(effective):
            self.begins = recorded.position
            self.refused.clear()
            self._partly.clear()
            del self._positions[:], self._times[:]
        if recorded.cause is not None and (reason := refusal(effective)):
            id = next((item.id for item in owed.at(recorded.cause)), "")
            self.refused[recorded.cause] = RefusedInput(id, reason)
        if len(effective) != len(recorded.facts):
            self._partly[recorded.position] = effective
        self._positions.append(recorded.position)
        self._times.append(recorded.time)
        return effective

    def effective(self, recorded: RecordedEntry) -> tuple[Fact, ...]:
        """Those facts of an entry that was added which took effect."""
        return self._partly.get(recorded.position, recorded.facts)

    def holds(self, cursor: Cursor) -> bool:
        """Whether the cursor's entry is one that is shown."""
        at = bisect_left(self._positions, cursor.position)
        found = at < len(self._positions) and self._positions[at] == cursor.position
        return found and self._times[at] == cursor.time

    def part(self, count: int, before: int | None = None) -> Part | None:
        """The newest ``count`` entries, or those of them that are before that position; None for none."""
        end = len(self._positions) if before is None else bisect_left(self._positions, before)
        begin = max(0, end - count)
        if begin == end:
            return None
        return Part(self._positions[begin], self._times[begin], self._positions[end - 1], begin > 0)


def is_reset(effective: tuple[Fact, ...]) -> bool:
    """Whether what came before is shown no more. Such an entry holds one fact."""
    return bool(effective) and type(effective[0]) in _RESETS


def is_erased(effective: tuple[Fact, ...]) -> bool:
    """Whether all that came before is forgotten: who shows it must begin anew."""
    return bool(effective) and type(effective[0]) is facts.ConversationErased


def refusal(effective: tuple[Fact, ...]) -> str:
    """Why the entry refuses its cause, or "" where it does not."""
    for fact in effective:
        if isinstance(fact, facts.InputRefused):
            return fact.reason
        if isinstance(fact, facts.DecisionFailed):
            return f"failed_{fact.reason}"
    return ""


def _words_of(fact: facts.ChoiceAsked) -> dict[str, str]:
    return {str(choice.item): choice.text for choice in fact.choices}


_words = IdentityCache(_words_of)
