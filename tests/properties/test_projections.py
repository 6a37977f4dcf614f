"""Laws of the numbers: they hold for every history."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analytics.domain.projections import MAX_QUEUES, REASONS, Projection
from services.analytics.transports.metrics import families
from services.analytics.transports.summary import summarize
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    ChoiceMade,
    ConversationClaimed,
    ConversationRated,
    Fact,
    FlowAdvanced,
    FlowStarted,
    HandoffRequested,
    InputRefused,
)
from shared.contract.sealing import take_out
from tests.examples import BOT_FACTS, EXAMPLES, FIRST_TIME, OPERATOR_FACTS, SECOND, VISITOR_FACTS

quick = settings(max_examples=200, deadline=None)

texts = st.text(max_size=5)
places = st.sampled_from(["a", "b", "c"])
any_facts: st.SearchStrategy[Fact] = st.one_of(
    st.sampled_from(list(EXAMPLES.values())),
    st.builds(FlowStarted, flow=texts, version=places),
    st.builds(FlowAdvanced, path=st.lists(places, max_size=3).map(tuple), ended=st.booleans()),
    st.builds(HandoffRequested, queue=texts),
    st.builds(InputRefused, reason=texts | st.sampled_from(REASONS)),
    st.builds(ConversationClaimed, operator=places),
    st.builds(ConversationRated, score=st.integers(1, 5)),
    st.builds(ChoiceMade, group=places, item=places),
)
times = st.integers(-FIRST_TIME, 2 * FIRST_TIME) | st.integers(FIRST_TIME, FIRST_TIME + 100 * SECOND)
conversations = st.sampled_from(["a" * 32, "b" * 32, "c" * 32, ""])


@st.composite
def wild(draw: st.DrawFn) -> RecordedEntry:
    """Any entry at all, whoever wrote it."""
    return RecordedEntry(
        position=draw(st.integers(0, 20)),
        conversation=draw(conversations),
        author=draw(st.sampled_from(["visitor", "bot", "operator", "stranger", ""])),
        time=draw(times),
        id=draw(st.sampled_from(["", "1", "2"])),
        cause=draw(st.none() | st.integers(0, 20)),
        facts=tuple(draw(st.lists(any_facts, max_size=3))),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[RecordedEntry]:
    """A log that goes on as real ones do: rising positions, outcomes of inputs that were there."""
    history: list[RecordedEntry] = []
    inputs: list[int] = []
    for position in range(1, draw(st.integers(1, 25)) + 1):
        author, its = draw(
            st.sampled_from(
                [
                    ("visitor", VISITOR_FACTS),
                    ("visitor", VISITOR_FACTS),
                    ("bot", BOT_FACTS),
                    ("operator", OPERATOR_FACTS),
                ]
            )
        )
        if author == "visitor":
            inputs.append(position)
        facts = draw(st.lists(st.sampled_from(its), min_size=1, max_size=3))
        history.append(
            RecordedEntry(
                position=position,
                conversation=draw(st.sampled_from(["a" * 32, "b" * 32])),
                author=author,
                time=FIRST_TIME + draw(st.integers(0, 10**6)) * SECOND,
                id=str(position),
                cause=draw(st.sampled_from(inputs)) if author == "bot" and inputs else None,
                facts=tuple(facts),
            )
        )
    return history


def fold(projection: Projection, history: list[RecordedEntry]) -> Projection:
    for entry in history:
        projection.fold(entry)
    return projection


def shown(projection: Projection) -> Any:
    """Everything that anyone is ever told."""
    samples = [sample for family in families(projection) for sample in family.samples]
    summary = summarize(projection, FIRST_TIME + 10**6 * SECOND, last=None)
    return msgspec.to_builtins(summary), samples


@given(histories(), st.integers(0, 25))
@quick
def test_reading_the_log_in_two_parts_gives_the_same_numbers(history: list[RecordedEntry], cut: int) -> None:
    parts = fold(fold(Projection(), history[:cut]), history[cut:])
    assert shown(parts) == shown(fold(Projection(), history))


@given(histories(), st.integers(0, 25), st.integers(0, 25))
@quick
def test_entries_that_come_again_change_nothing(history: list[RecordedEntry], at: int, back: int) -> None:
    again = [*history[:at], *history[max(0, at - back) : at], *history[at:]]
    assert shown(fold(Projection(), again)) == shown(fold(Projection(), history))


@given(histories(), st.randoms(use_true_random=False))
@quick
def test_conversations_of_several_streams_may_come_in_any_order(
    history: list[RecordedEntry], chance: Random
) -> None:
    left = [[entry for entry in history if entry.conversation == of * 32] for of in "ab"]
    mixed = []
    while any(left):
        mixed.append(chance.choice([entries for entries in left if entries]).pop(0))
    assert shown(fold(Projection(), mixed)) == shown(fold(Projection(), history))


@given(st.lists(wild(), max_size=25))
@quick
def test_no_history_is_refused_and_the_numbers_make_sense(history: list[RecordedEntry]) -> None:
    projection = Projection()
    for entry in history:
        projection.fold(entry)
        shown(projection)
        _make_sense(projection)


@given(histories())
@quick
def test_the_numbers_of_a_likely_history_make_sense(history: list[RecordedEntry]) -> None:
    _make_sense(fold(Projection(), history))


def _make_sense(projection: Projection) -> None:
    assert sum(projection.open.values()) == projection.statuses["open"]
    assert sum(projection.waiting().values()) == projection.open["queue"]
    assert projection.answers.cumulative()[-1] == projection.answer_times.count == projection.turns
    assert sum(projection.statuses.values()) <= max(projection.started, 0)
    assert projection.ratings <= projection.score_sum <= 5 * projection.ratings
    assert len(projection.waiting()) <= MAX_QUEUES + 1
    assert set(projection.refusals) == set(REASONS)
    counts = [
        *projection.open.values(),
        *projection.statuses.values(),
        *projection.waiting().values(),
        *(stopped for _, flow in projection.drop_off.newest() for _, stopped in flow.states().values()),
    ]
    assert min(counts) >= 0


@given(histories() | st.lists(wild(), max_size=20))
@quick
def test_without_any_key_the_numbers_are_the_same(history: list[RecordedEntry]) -> None:
    sealed = [
        msgspec.structs.replace(entry, facts=take_out(entry.facts)[0], sealed=True) for entry in history
    ]
    assert shown(fold(Projection(), sealed)) == shown(fold(Projection(), history))
