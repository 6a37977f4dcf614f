"""Laws of the numbers: they hold for every history."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analytics import questions
from services.analytics.domain.counting import TrackedConversation, count
from services.analytics.domain.definitions import DEFINITIONS
from services.analytics.domain.measures import REASONS, Matter, Measure
from services.analytics.domain.periods import Period
from services.analytics.numbers import LogNumbers
from services.analytics.questions import Question
from services.analytics.store import NumbersStore
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
from tests.numbers import make_sense, numbers_of

quick = settings(max_examples=200, deadline=None)
stored = settings(max_examples=25, deadline=None)

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


Rows = tuple[Counter[Measure], dict[tuple[str, int], Matter], dict[str, TrackedConversation]]


def counted(history: list[RecordedEntry], before: Rows | None = None) -> Rows:
    """The rows that a store holds afterwards: all numbers are made of these."""
    measures, matters, tracked = before or (Counter(), {}, {})
    measures, matters, tracked = Counter(measures), {**matters}, {**tracked}
    for entry in history:
        result = count(tracked.get(entry.conversation, TrackedConversation()), entry)
        if result is not None:
            tracked[entry.conversation] = result.after
            measures.update(result.measures)
            matters.update({(entry.conversation, each.number): each for each in result.matters})
    return measures, matters, tracked


def shown(numbers: LogNumbers) -> Any:
    """Everything that anyone is ever told."""
    samples = [sample for family in families(numbers) for sample in family.samples]
    return msgspec.to_builtins(summarize(numbers, [], FIRST_TIME, last=None)), samples


@given(histories(), st.integers(0, 25))
@quick
def test_reading_the_log_in_two_parts_gives_the_same_numbers(history: list[RecordedEntry], cut: int) -> None:
    assert counted(history[cut:], counted(history[:cut])) == counted(history)


@given(histories(), st.integers(0, 25), st.integers(0, 25))
@quick
def test_entries_that_come_again_change_nothing(history: list[RecordedEntry], at: int, back: int) -> None:
    again = [*history[:at], *history[max(0, at - back) : at], *history[at:]]
    assert counted(again) == counted(history)


@given(histories(), st.randoms(use_true_random=False))
@quick
def test_conversations_of_several_streams_may_come_in_any_order(
    history: list[RecordedEntry], chance: Random
) -> None:
    assert counted(mixed(history, chance)) == counted(history)


@given(st.lists(wild(), max_size=25))
@quick
def test_no_history_is_refused(history: list[RecordedEntry]) -> None:
    counted(history)


@given(histories() | st.lists(wild(), max_size=20))
@quick
def test_without_any_key_the_numbers_are_the_same(history: list[RecordedEntry]) -> None:
    sealed = [
        msgspec.structs.replace(entry, facts=take_out(entry.facts)[0], sealed=True) for entry in history
    ]
    measures, matters, _ = counted(sealed)
    assert (measures, matters) == counted(history)[:2]


# --- and as the store tells them ---------------------------------------------------------------


@given(histories() | st.lists(wild(), max_size=25), st.integers(0, 25), st.randoms(use_true_random=False))
@stored
def test_however_it_is_written_the_store_tells_the_same_and_it_makes_sense(
    history: list[RecordedEntry], cut: int, chance: Random
) -> None:
    numbers = numbers_of(history)
    make_sense(numbers)
    assert shown(numbers_of(history[:cut], history[max(0, cut - 3) :])) == shown(numbers)
    if len({(entry.conversation, entry.position) for entry in history}) == len(history):
        assert shown(numbers_of(mixed(history, chance))) == shown(numbers)


def mixed(history: list[RecordedEntry], chance: Random) -> list[RecordedEntry]:
    """The same, each conversation in its order."""
    names = {entry.conversation for entry in history}
    left = [[entry for entry in history if entry.conversation == name] for name in sorted(names)]
    order = []
    while any(left):
        order.append(chance.choice([entries for entries in left if entries]).pop(0))
    return order


# --- matters, questions, waits -------------------------------------------------------------------


@given(histories() | st.lists(wild(), max_size=25))
@quick
def test_each_question_and_each_wait_has_one_end_or_stands(history: list[RecordedEntry]) -> None:
    measures, matters, _ = counted(history)
    asked = Counter((each.conversation, each.matter, each.name) for each in measures if each.kind == "asked")
    ended = Counter(
        (each.conversation, each.matter, each.name)
        for each in measures
        if each.kind in ("answered", "unanswered")
    )
    stands = Counter(
        (conversation, number, matter.question)
        for (conversation, number), matter in matters.items()
        if matter.question is not None
    )
    assert asked == ended + stands
    waits = [matter for matter in matters.values() if matter.waits]
    assert all(matter.current and matter.owner == "queue" for matter in waits)


@given(histories() | st.lists(wild(), max_size=25))
@quick
def test_matters_follow_one_another(history: list[RecordedEntry]) -> None:
    """One of a conversation is current at most, and whatever is behind it is over."""
    _, matters, tracked = counted(history)
    for name, each in tracked.items():
        its = [matter for (conversation, _), matter in sorted(matters.items()) if conversation == name]
        assert [matter.number for matter in its] == list(range(1, len(its) + 1))
        assert sum(matter.current for matter in its) <= 1
        assert all(matter.outcome for matter in its if not matter.current)
        assert all(bool(matter.outcome) == bool(matter.closed) for matter in its)
        if its and its[-1].current:
            assert its[-1] == each.matter
            assert each.state.visit.started
        assert sum(measure.kind == "reopened" for measure in measures_of(history, name)) == sum(
            before.talk == matter.talk for before, matter in pairwise(its)
        )


def measures_of(history: list[RecordedEntry], conversation: str) -> list[Measure]:
    return [each for each in counted(history)[0].elements() if each.conversation == conversation]


@given(histories() | st.lists(wild(), max_size=25), st.integers(0, 25))
@stored
def test_every_number_is_the_sum_of_its_groups_however_it_was_written(
    history: list[RecordedEntry], cut: int
) -> None:
    always = Question(Period(-(2**62), 2**62))
    with NumbersStore(None) as store, NumbersStore(None) as other:
        store.write(history, None)
        other.write(history[:cut], None)
        other.write(history[max(0, cut - 3) :], None)
        with store.reading() as reading, other.reading() as again:
            for definition in DEFINITIONS:
                whole = questions.value(reading, definition, always)
                assert whole == questions.value(again, definition, always)
                assert 0 <= whole.parts <= whole.rows
                for group in definition.groups:
                    found = questions.groups(reading, definition, always, group)
                    assert sum(value.rows for value in found.values()) == whole.rows
                    assert sum(value.parts for value in found.values()) == whole.parts
