"""The form in which the numbers go out as JSON. Times are RFC 3339 in UTC, durations seconds."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from services.analytics.domain.measures import FAILED
from services.analytics.numbers import FlowNumbers, LogNumbers
from shared.timestamps import format_time

MILLION = 1_000_000

Share = Annotated[float | None, Meta(description="0 to 1; null while there is nothing to share")]
Mean = Annotated[float | None, Meta(description="null while there is none")]
Seconds = Annotated[float | None, Meta(description="in seconds; null while nothing was measured")]


class OpenConversations(Struct):
    """Open conversations by who owns them."""

    bot: int
    queue: int
    operator: int


class Conversations(Struct):
    """Started ones count anew after a reset; the others say how the latest of each visitor stand."""

    started: int
    open: int
    snoozed: int
    resolved: int
    ended: Annotated[int, Meta(description="closed by the bot, since nobody said a word for long")]
    open_by_owner: OpenConversations


class Handoffs(Struct):
    """How often a person was asked for, and how long that took (medians)."""

    total: int
    by_queue: dict[str, int]
    waiting_by_queue: Annotated[dict[str, int], Meta(description="visitors who wait now")]
    rate: Annotated[Share, Meta(description="share of the started conversations with a handoff")]
    withdrawn: Annotated[int, Meta(description="handoffs to which nobody came")]
    claims: int
    resolved: int
    waiting_seconds: Annotated[Seconds, Meta(description="from a handoff to the claim")]
    first_response_seconds: Annotated[
        Seconds, Meta(description="from the handoff (or takeover) to the operator's first words")
    ]
    resolution_seconds: Annotated[Seconds, Meta(description="from the handoff (or takeover) to the end")]


class AssistantSummary(Struct):
    """What the assistant (LLM) did, and what it used."""

    answers: int
    failures: Annotated[dict[str, int], Meta(description="answers that failed, by reason")]
    tokens_in: int
    tokens_out: int
    cost: Annotated[float, Meta(description="in the currency of the configured prices")]


class AnswerTimes(Struct):
    """How long the bot took, from the stored times of the visitor's message and its answer."""

    count: int
    p50: Seconds
    p95: Seconds
    p99: Seconds


class StateSummary(Struct):
    """``stopped`` conversations came no further: still open, or begun anew from here."""

    state: str
    reached: int
    stopped: int
    drop_off: Share


class FlowSummary(Struct):
    """One version of a flow, its states in the order in which they were first reached."""

    flow: str
    version: str
    started: int
    states: list[StateSummary]


class Ratings(Struct):
    """One for each conversation, from 1 to 5: the latest."""

    count: int
    mean: Mean


class Hour(Struct):
    """Conversations started in the hour that begins then."""

    begins: str
    started: int


class Summary(Struct):
    """All numbers up to one position of the log."""

    position: int
    lag: Annotated[int | None, Meta(description="entries of the log not counted yet; null: not known")]
    counted_until: Annotated[str | None, Meta(description="when the newest counted entry was stored")]
    generated: str
    conversations: Conversations
    turns: int
    refusals: Annotated[dict[str, int], Meta(description="inputs refused, by reason; without failures")]
    failures: int
    handoffs: Handoffs
    bot_answer_seconds: AnswerTimes
    assistant: AssistantSummary
    ratings: Ratings
    hours: Annotated[list[Hour], Meta(description="the last 24 hours, the oldest first")]
    flows: Annotated[list[FlowSummary], Meta(description="the one used last first")]


def summarize(numbers: LogNumbers, hours: list[tuple[int, int]], now: int, last: int | None) -> Summary:
    """``now`` in nanoseconds since 1970; ``last`` is how many entries the log has, if known."""
    started = numbers.started
    return Summary(
        position=numbers.position,
        lag=None if last is None else max(0, last - numbers.position),
        counted_until=format_time(numbers.time) if numbers.position else None,
        generated=format_time(now),
        conversations=Conversations(
            started=started,
            open=numbers.statuses["open"],
            snoozed=numbers.statuses["snoozed"],
            resolved=numbers.statuses["resolved"],
            ended=numbers.ended,
            open_by_owner=OpenConversations(
                bot=numbers.open["bot"], queue=numbers.open["queue"], operator=numbers.open["operator"]
            ),
        ),
        turns=numbers.turns,
        refusals={reason: count for reason, count in numbers.refusals.items() if reason != FAILED},
        failures=numbers.refusals[FAILED],
        handoffs=_handoffs(numbers),
        bot_answer_seconds=AnswerTimes(
            count=numbers.answer_times.count,
            p50=_rounded(numbers.answer_times.p50),
            p95=_rounded(numbers.answer_times.p95),
            p99=_rounded(numbers.answer_times.p99),
        ),
        assistant=AssistantSummary(
            answers=numbers.assistant.answers,
            failures=numbers.assistant.failures,
            tokens_in=numbers.assistant.tokens_in,
            tokens_out=numbers.assistant.tokens_out,
            cost=numbers.assistant.cost / MILLION,
        ),
        ratings=Ratings(numbers.ratings, _ratio(numbers.score_sum, numbers.ratings)),
        hours=[Hour(format_time(begin), count) for begin, count in hours],
        flows=[_flow(flow) for flow in numbers.flows],
    )


def _handoffs(numbers: LogNumbers) -> Handoffs:
    return Handoffs(
        total=sum(numbers.handoffs.values()),
        by_queue=numbers.handoffs,
        waiting_by_queue=numbers.waiting,
        rate=_ratio(numbers.handed_off, numbers.started),
        withdrawn=numbers.withdrawn,
        claims=numbers.claims,
        resolved=numbers.resolved,
        waiting_seconds=_rounded(numbers.waiting_times.p50),
        first_response_seconds=_rounded(numbers.first_responses.p50),
        resolution_seconds=_rounded(numbers.resolutions.p50),
    )


def _flow(flow: FlowNumbers) -> FlowSummary:
    states = [
        StateSummary(name, reached, stopped, _ratio(stopped, reached))
        for name, (reached, stopped) in flow.states.items()
    ]
    return FlowSummary(flow.flow, flow.version, flow.started, states)


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 4) if whole else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else float(f"{seconds:.3g}")
