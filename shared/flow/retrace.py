"""Why the bot did what it did at one entry of a conversation: that decision again, and if it comes out alike.

Pure. An explanation is made when somebody asks for it, from the log alone, so it is there for conversations
of any age. That it is one is shown by the outcome, which must be the recorded one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final, Literal

import msgspec

from shared.contract import sealing
from shared.contract.conversation import Conversation, Input
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    ConditionUntold,
    DecisionFailed,
    Fact,
    FlowAdvanced,
    FlowStarted,
    InputRefused,
    TimerArmed,
)
from shared.contract.left_out import NeedsWords
from shared.flow.again import decided_again, is_of_silence, is_own
from shared.flow.considered import Considered
from shared.flow.decide import begins
from shared.flow.language.flow import Flow
from shared.timestamps import parse_time

#: ``same``: it decides what it decided then. ``other``: it does not. ``untold``: nobody can tell, without
#: the words or the flow. ``own``: it was no decision of the flow's.
Verdict = Literal["same", "other", "untold", "own"]

#: An outcome is stored so long after its timers were set, at most (ns), and clocks differ.
_LATE: Final = 10_000_000_000


class Retraced(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, made again.

    ``cause`` is the position of what it answers, ``place`` the state at which the flow stood, None before it
    has begun. ``looked`` are the rules that it looked at, as far as it came; of an ``other`` decision they
    are those of now. ``why`` says what differs, or why nobody can tell.
    """

    cause: int
    place: str | None
    verdict: Verdict
    why: str = ""
    looked: tuple[Considered, ...] = ()


def is_decision(before: Conversation, recorded: RecordedEntry) -> bool:
    """Whether the entry is the outcome of an input, and takes effect. ``before`` is the state without it."""
    return _item(before, recorded) is not None


def flow_of(before: Conversation, recorded: RecordedEntry) -> tuple[str, str]:
    """Name and version of the flow by which an entry of the bot was decided; "" where that is not known."""
    started = next((fact for fact in recorded.facts if isinstance(fact, FlowStarted)), None)
    if started is not None:
        return started.flow, started.version
    item = _item(before, recorded)
    if item is not None and begins(before, item):  # it failed, so nothing says with which one it began
        return "", ""
    return before.progress.flow, before.progress.version


def retraced(
    before: Conversation, recorded: RecordedEntry, flow: Flow | None, words: bool = True
) -> Retraced | None:
    """The decision of an entry again; None where it `is_decision` of nothing.

    ``flow`` is that of `flow_of`, or another in its place. Without ``words`` some were left out of this entry
    or of those before it (`shared.contract.left_out`): texts are then not compared.
    """
    item = _item(before, recorded)
    if item is None:
        return None
    place = before.progress.place
    if is_own(item.fact, recorded.facts):
        return Retraced(cause=item.position, place=place, verdict="own")
    if flow is None:
        why = "the flow that decided is not known here"
        return Retraced(cause=item.position, place=place, verdict="untold", why=why)
    if not words and any(fact == DecisionFailed(reason="too_large") for fact in recorded.facts):
        why = "it depends on the length of words that were left out"
        return Retraced(cause=item.position, place=place, verdict="untold", why=why)
    verdict, why, looked = _decision(before, item, flow, recorded, words)
    return Retraced(cause=item.position, place=place, verdict=verdict, why=why, looked=tuple(looked))


def _decision(
    before: Conversation, item: Input, flow: Flow, recorded: RecordedEntry, words: bool
) -> tuple[Verdict, str, list[Considered]]:
    found: list[tuple[str, list[Considered]]] = []
    for operators in (-1, 0):  # how many were there is not on the log: nobody, if that explains it
        looked: list[Considered] = []
        try:
            decided = decided_again(before, item, flow, recorded, operators, words=words, looked=looked)
        except NeedsWords as error:
            return "untold", f"{error}, and that was left out", looked
        if isinstance(decided, str):
            if operators < 0:
                return "other", f"it {decided}", looked
            continue
        why = difference(recorded.facts, decided, words)
        if not why:
            return "same", "", looked
        found.append((why, looked))
    return "other", *found[0]


def difference(then: Sequence[Fact], now: Sequence[Fact], words: bool = True) -> str:
    """The first thing in which two outcomes differ, in words that quote none of a visitor's; "" for nothing.

    What follows from the service's settings and the clock is not compared: the timer that ends silent
    conversations, and by some seconds when the others were set. Nor are remarks for the flow's author.
    """
    before, after = _compared(then), _compared(now)
    ways = [fact.path for facts in (before, after) for fact in facts if isinstance(fact, FlowAdvanced)]
    if len(ways) == 2 and ways[0] != ways[1]:
        return f"it goes {_way(ways[1])}; then it went {_way(ways[0])}"
    for old, new in zip_longest(before, after):
        if old is None or new is None or type(old) is not type(new):
            return f"{_named(new)} comes where {_named(old)} came"
        if isinstance(old, TimerArmed) and isinstance(new, TimerArmed):
            if _purpose(old.id) != _purpose(new.id):
                return "it sets another timer"
        elif not _alike(old, new, words):
            return f"{_named(new)} says something else than then"
    late = [
        parse_time(new.at) - parse_time(old.at)
        for old, new in zip(before, after, strict=True)
        if isinstance(old, TimerArmed) and isinstance(new, TimerArmed)
    ]
    if late and (max(late) - min(late) > 1_000_000 or not -_LATE <= late[0] <= _LATE):
        return "it sets a timer to another time"
    return ""


def _item(before: Conversation, recorded: RecordedEntry) -> Input | None:
    if recorded.author != "bot" or recorded.cause is None or before.ownership.owner == "operator":
        return None
    return next(iter(before.inbox.unanswered.at(recorded.cause)), None)


def _compared(facts: Sequence[Fact]) -> list[Fact]:
    return [fact for fact in facts if not (isinstance(fact, ConditionUntold) or is_of_silence(fact))]


_encode = msgspec.json.Encoder(enc_hook=str).encode


def _alike(old: Fact, new: Fact, words: bool) -> bool:
    if isinstance(old, FlowStarted) and isinstance(new, FlowStarted):
        return old.flow == new.flow  # another version is what may be asked about
    if not words:
        old, new = sealing.bare(old), sealing.bare(new)
    return old == new or _encode(old) == _encode(new)  # a tuple is a list once it is written


def _purpose(timer: str) -> tuple[str, str]:
    """What a timer is for; the position in its id is another in a log that was copied."""
    purpose, _, rest = timer.partition(":")
    return purpose, rest.partition(":")[2]


def _way(path: tuple[str, ...]) -> str:
    return " → ".join(f"“{name}”" for name in path) or "nowhere"


def _named(fact: Fact | None) -> str:
    match fact:
        case None:
            return "nothing"
        case InputRefused(reason=reason) | DecisionFailed(reason=reason):
            return f"{type(fact).__name__} ({reason})"
        case _:
            return type(fact).__name__


__all__ = ["Retraced", "Verdict", "difference", "flow_of", "is_decision", "retraced"]
