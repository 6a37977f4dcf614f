"""The totals of a log, counted once more by another path, and held against what analytics tells.

`tally` reads one conversation's entries and shares nothing with analytics but the fold, which says what took
effect: no measures, no file, no SQL. Whoever changes one of the two must change the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from services.analytics.domain.measures import DEFAULT_QUEUE, FAILED, MAX_QUEUES, OTHER, REASONS
from shared.contract.conversation import NEW, step
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AssistantSaid,
    ChoiceMade,
    ConversationClaimed,
    ConversationEnded,
    ConversationErased,
    ConversationRated,
    ConversationReset,
    ConversationResolved,
    ConversationStarted,
    DecisionFailed,
    Fact,
    FlowStarted,
    HandoffRequested,
    HandoffWithdrawn,
    InputRefused,
    OperatorSaid,
    TextWritten,
    ThanksHeard,
)
from shared.contract.subjects import DESK

#: A total: the metric's name, and its label's value ("" without one).
Total = tuple[str, str]

#: What each fact adds to, where its label does not matter.
_PLAIN: Final[Mapping[type, str]] = {
    ConversationStarted: "conversations_started",
    ConversationReset: "conversations_started",
    HandoffWithdrawn: "handoffs_withdrawn",
    ConversationEnded: "conversations_ended",
    ConversationClaimed: "claims",
    ConversationResolved: "conversations_resolved",
    OperatorSaid: "operator_messages",
    AssistantSaid: "assistant_messages",
}
#: What was asked before is of before, or a person takes care of it.
_ANEW: Final = (
    *(ConversationStarted, ConversationReset, ConversationErased),
    *(HandoffRequested, ConversationClaimed),
)
#: All that are compared.
_NAMES: Final = frozenset(
    {*_PLAIN.values(), "turns", "refusals", "handoffs", "ratings", "flows_started", "conversations_open"}
)
#: Those that are told without their labels: their sum is compared.
_SUMS: Final = ("conversations_resolved", "operator_messages", "assistant_messages")
#: What the summary calls the totals.
_SUMMARY: Final[Mapping[str, tuple[str, ...]]] = {
    "conversations_started": ("conversations", "started"),
    "conversations_ended": ("conversations", "ended"),
    "turns": ("turns",),
    "claims": ("handoffs", "claims"),
    "conversations_resolved": ("handoffs", "resolved"),
    "handoffs_withdrawn": ("handoffs", "withdrawn"),
    "assistant_messages": ("assistant", "answers"),
}


class TotalDifference(NamedTuple):
    """``where`` tells ``told`` of a total that is ``counted`` (None: it does not tell it)."""

    where: str
    total: Total
    counted: int
    told: int | None

    def __str__(self) -> str:
        name, label = self.total
        return (
            f"{name}{f' of {label!r}' if label else ''}: the log has {self.counted}, {self.where} tells"
            f" {'nothing' if self.told is None else self.told}"
        )


def tally(entries: Iterable[RecordedEntry]) -> Counter[Total]:
    """The totals of one conversation, and how it stands; words are not needed."""
    found: Counter[Total] = Counter()
    state = NEW
    inputs: set[int] = set()  # texts and choices that nobody has taken care of
    for entry in entries:
        if entry.author == DESK:
            continue
        before = state
        state, facts = step(state, entry)
        if state.engagement is not None:
            continue
        kinds = {type(fact) for fact in facts}
        if entry.author == "bot" and entry.cause in inputs and before.inbox.owes(entry.cause or 0):
            inputs.discard(entry.cause or 0)
            if not kinds & {InputRefused, DecisionFailed, ThanksHeard} and kinds != {HandoffRequested}:
                found["turns", ""] += 1
        for fact in facts:
            _add(found, fact)
            if isinstance(fact, _ANEW):
                inputs.clear()
            if isinstance(fact, TextWritten | ChoiceMade) and state.inbox.owes(entry.position):
                inputs.add(entry.position)
    if state.visit.started and state.engagement is None and state.ownership.status == "open":
        found["conversations_open", state.ownership.owner] += 1
    return found


def _add(found: Counter[Total], fact: Fact) -> None:
    if name := _PLAIN.get(type(fact)):
        found[name, ""] += 1
    match fact:
        case InputRefused():
            found["refusals", fact.reason if fact.reason in REASONS else OTHER] += 1
        case DecisionFailed():
            found["refusals", FAILED] += 1
        case HandoffRequested():
            found["handoffs", fact.queue or DEFAULT_QUEUE] += 1
        case ConversationRated():
            found["ratings", str(fact.score)] += 1
        case FlowStarted():
            found["flows_started", fact.flow] += 1
        case _:
            pass


def differences(counted: Counter[Total], summary: Mapping[str, Any], metrics: str) -> list[TotalDifference]:
    """Where the summary or the metrics (Prometheus' text form) tell something else."""
    return [*_in_summary(counted, summary), *_in_metrics(counted, metrics)]


def _in_summary(counted: Counter[Total], summary: Mapping[str, Any]) -> Iterable[TotalDifference]:
    for name, path in _SUMMARY.items():
        told: Any = summary
        for part in path:
            told = told[part]
        if told != counted[name, ""]:
            yield TotalDifference("the summary", (name, ""), counted[name, ""], told)


def _in_metrics(counted: Counter[Total], metrics: str) -> Iterable[TotalDifference]:
    told: Counter[Total] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            name = sample.name.removeprefix("switchboard_").removesuffix("_total")
            label = "" if name in _SUMS else next(iter(sample.labels.values()), "")
            told[name, label] += int(sample.value)
    wanted = _bounded(counted, told)
    for total in sorted({*wanted, *(each for each in told if each[0] in _NAMES)}):
        if wanted[total] != told[total]:
            yield TotalDifference("the metrics", total, wanted[total], told.get(total))


def _bounded(counted: Counter[Total], told: Counter[Total]) -> Counter[Total]:
    """The totals with names that are not told by themselves as `OTHER`, where so many are told."""
    found: Counter[Total] = Counter()
    for (name, label), count in counted.items():
        others = (name, OTHER) in told and (name, label) not in told
        found[name, OTHER if others and _told(told, name) > MAX_QUEUES else label] += count
    return found


def _told(told: Counter[Total], name: str) -> int:
    return sum(each == name for each, _ in told)
