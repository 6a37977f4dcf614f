"""What many verdicts come to: by state, and in rates with what nobody can know. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from services.workflow.domain.authoring.backtest import START, Divergence, Verdict
from shared.contract.facts import ConditionUntold

#: Conversations that are named for each divergence.
MAX_EXAMPLES: Final = 3


class Difference(msgspec.Struct):
    """One kind of divergence at a state, and how often it is the first."""

    said: str
    then: str
    now: str
    kind: str
    count: int = 0
    examples: list[str] = []


class BacktestRow(msgspec.Struct):
    """A state: conversations that came by, and those that diverge here.

    ``left_before`` and ``left_after`` count those that ended here too early, of all whose end is known
    with the new version.
    """

    state: str
    visited: int = 0
    diverged: int = 0
    stuck: int = 0
    unknown: int = 0
    reworded: int = 0
    left_before: int = 0
    left_after: int = 0
    ways: list[Difference] = []


class Untold(msgspec.Struct):
    """A condition that says neither yes nor no, and in how many conversations it did and would."""

    state: str
    condition: str
    reason: str
    then: int = 0
    now: int = 0


class ReplayRate(msgspec.Struct, frozen=True):
    """A share of all conversations: what it was, and between what it would be (0 to 1)."""

    before: float
    least: float
    most: float


class BacktestReport(msgspec.Struct):
    """``unknown`` are the conversations whose outcome nobody can know with the new version."""

    conversations: int
    same: int
    diverged: int
    stuck: int
    unknown: int
    handoffs: ReplayRate
    left: ReplayRate
    states: list[BacktestRow]
    untold: list[Untold] = []


def report(verdicts: Iterable[Verdict]) -> BacktestReport:
    """The report over all verdicts; its states with the most divergences first."""
    rows: dict[str, BacktestRow] = {}
    ways: dict[tuple[str, Divergence], Difference] = {}
    untold: dict[ConditionUntold, Untold] = {}
    total: Counter[str] = Counter()

    def row(state: str) -> BacktestRow:
        if state not in rows:
            rows[state] = BacktestRow(state, ways=[])
        return rows[state]

    def conditions(fact: ConditionUntold) -> Untold:
        return untold.setdefault(fact, Untold(fact.state, fact.condition, fact.reason))

    for verdict in verdicts:
        total["all"] += 1
        for state in verdict.visited:
            row(state).visited += 1
        for state in verdict.reworded:
            row(state).reworded += 1
        for fact in verdict.untold_then:
            conditions(fact).then += 1
        for fact in verdict.untold_now:
            conditions(fact).now += 1
        total["handed off"] += verdict.before.handed_off
        total["left"] += verdict.before.left_at is not None
        after = verdict.after
        if after is None:
            total["unknown"] += 1
        else:
            total["would be handed off"] += after.handed_off
            if verdict.before.left_at is not None:
                row(verdict.before.left_at).left_before += 1
            if after.left_at is not None:
                total["would be left"] += 1
                row(after.left_at).left_after += 1
        if (divergence := verdict.divergence) is not None:
            total[divergence.kind] += 1
            total["diverged"] += 1
            at = row(divergence.state)
            at.diverged += 1
            at.stuck += divergence.kind == "stuck"
            at.unknown += divergence.kind == "unknown"
            way = ways.get((divergence.state, divergence))
            if way is None:
                way = ways[divergence.state, divergence] = Difference(
                    divergence.said, divergence.then, divergence.now, divergence.kind, examples=[]
                )
                at.ways.append(way)
            way.count += 1
            if len(way.examples) < MAX_EXAMPLES:
                way.examples.append(verdict.conversation)
    for each in rows.values():
        each.ways.sort(key=lambda way: -way.count)
    order = sorted(rows.values(), key=lambda row: (-row.diverged, row.state != START))
    return BacktestReport(
        conversations=total["all"],
        same=total["all"] - total["diverged"],
        diverged=total["diverged"],
        stuck=total["stuck"],
        unknown=total["unknown"],
        handoffs=_rate(total, "handed off", "would be handed off"),
        left=_rate(total, "left", "would be left"),
        states=order,
        untold=sorted(untold.values(), key=lambda each: -(each.then + each.now)),
    )


def _rate(total: Counter[str], before: str, after: str) -> ReplayRate:
    count = total["all"] or 1
    least = total[after] / count
    return ReplayRate(total[before] / count, least, least + total["unknown"] / count)


def lines(found: BacktestReport) -> list[str]:
    """The report as text."""
    if not found.conversations:
        return ["There is no recorded conversation of this flow."]
    text = [
        f"{found.conversations:,} conversations: {found.same:,} go as they went,"
        f" {found.diverged:,} diverge, of them {found.stuck:,} get stuck."
    ]
    text += [f"  handed off   {_percents(found.handoffs)}", f"  left early   {_percents(found.left)}"]
    diverging = [row for row in found.states if row.diverged]
    if diverging:
        text += ["", "Where they diverge first:"]
    for row in diverging:
        share = f" of {row.visited:,} that came by" if row.visited else ""
        text.append(
            f"  {row.state}: {row.diverged:,}{share}" + (f", {row.stuck:,} stuck" if row.stuck else "")
        )
        for way in row.ways:
            mark = "!" if way.kind == "stuck" else "?" if way.kind == "unknown" else " "
            text.append(f"   {mark} {way.count:>6,}  {way.said}: {way.then}; now {way.now}")
            text.append(f"             such as {', '.join(way.examples)}")
    reworded = [f"{row.state} ({row.reworded:,})" for row in found.states if row.reworded]
    if reworded:
        text += ["", f"The same in other words at: {', '.join(reworded)}."]
    if found.untold:
        text += [
            "",
            "Conditions that say neither yes nor no, and count as false (conversations then -> now):",
        ]
    for each in found.untold:
        text.append(f"  {each.state}: {each.condition}")
        text.append(f"   {each.then:>7,} -> {each.now:,}  {each.reason}")
    moved = [row for row in found.states if row.left_before != row.left_after]
    if moved:
        text += ["", "Left early, by state (where it is known):"]
        text += [f"  {row.state:<24} {row.left_before:>7,} -> {row.left_after:,}" for row in moved]
    return text


def _percents(rate: ReplayRate) -> str:
    after = f"{rate.least:.1%}" if rate.least == rate.most else f"{rate.least:.1%} to {rate.most:.1%}"
    return f"{rate.before:.1%} -> {after}"


def as_json(found: BacktestReport) -> dict[str, Any]:
    """The report as plain values."""
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain
