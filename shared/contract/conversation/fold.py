"""The fold: one entry through all sub-folds. Every service reads a conversation by it.

`step` is total and silent: history is never refused. What does not count (a second outcome of the
same input, an id seen before, a word of an operator who does not own the conversation) takes no
effect and is left out of the facts that `step` returns, so that every reader drops the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from msgspec.structs import force_setattr, replace

from shared.contract.conversation import (
    answer,
    asked,
    engagement,
    inbox,
    mail,
    ownership,
    progress,
    timers,
    visit,
)
from shared.contract.conversation.guards import COUNTS, OWED, Guard
from shared.contract.conversation.state import Conversation
from shared.contract.entry import RecordedEntry
from shared.contract.facts import SILENT, Fact
from shared.contract.subjects import DESK

#: The sub-folds' rules, by the name of their state in `Conversation`.
RULES: Final[Mapping[str, Mapping[type, Callable[[Any, RecordedEntry, Any], Any]]]] = {
    "visit": visit.RULES,
    "ownership": ownership.RULES,
    "inbox": inbox.RULES,
    "progress": progress.RULES,
    "answer": answer.RULES,
    "timers": timers.RULES,
    "asked": asked.RULES,
    "mail": mail.RULES,
    "engagement": engagement.RULES,
}


class _Effect(NamedTuple):
    """Everything about one type of fact: one look-up for each fact of the log, instead of nine."""

    counts: Guard | None
    owed: Guard | None
    rules: tuple[tuple[str, Callable[[Any, RecordedEntry, Any], Any]], ...]


_EFFECTS: Final = {
    kind: _Effect(
        COUNTS.get(kind),
        OWED.get(kind),
        tuple((name, rules[kind]) for name, rules in RULES.items() if kind in rules),
    )
    for kind in {*COUNTS, *OWED, *(kind for rules in RULES.values() for kind in rules)}
}


def evolve(state: Conversation, recorded: RecordedEntry) -> Conversation:
    """The state after one more entry."""
    return step(state, recorded)[0]


def step(state: Conversation, recorded: RecordedEntry) -> tuple[Conversation, tuple[Fact, ...]]:
    """The state after one more entry, and those of its facts that took effect."""
    if recorded.position <= state.position or recorded.author == DESK:
        return state, ()  # what is noted about a conversation is no part of it: no expectation covers it
    author = recorded.author
    if author == "bot" and state.ownership.owner == "operator" and not _silent(recorded):  # one speaker
        return replace(state, position=recorded.position), ()
    received = inbox.received(state.inbox, recorded)
    if received is None:
        return replace(state, position=recorded.position), ()
    # From here `after` is changed in place: nobody else has seen it yet, and a copy for each fact would
    # cost more than the rules themselves.
    after = replace(
        state,
        position=recorded.position,
        needs=max(state.needs, recorded.needs),
        active=recorded.time if author != "bot" else state.active,
        inbox=received,
    )
    if author == "bot" and recorded.cause is not None and state.answer.begun:
        # What was noted of the answer in the making was for this input.
        force_setattr(after, "answer", answer.settled(state.answer))
        force_setattr(after, "timers", timers.settled(state.timers))
    if author != "operator" and state.answer.failed:
        force_setattr(after, "answer", answer.tried_again(after.answer))
    if author != "bot" and state.timers.fired:
        force_setattr(after, "timers", timers.interrupted(state.timers))
    effective = []
    for fact in recorded.facts:
        effect = _EFFECTS.get(type(fact))
        if effect is not None:
            counts, owed, rules = effect
            if counts is not None and not counts(after, fact):
                continue
            owes = owed is not None and owed(after, fact)
            for name, rule in rules:
                force_setattr(after, name, rule(getattr(after, name), recorded, fact))
            if owes:
                force_setattr(after, "inbox", inbox.owing(after.inbox, recorded, fact))
        effective.append(fact)
    return after, tuple(effective)


def _silent(recorded: RecordedEntry) -> bool:
    return bool(recorded.facts) and all(type(fact) in SILENT for fact in recorded.facts)
