"""What the numbers of the analytics service mean."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Metric, generate_latest

from services.analytics.domain.measures import MAX_QUEUES
from services.analytics.numbers import (
    ANSWER_BOUNDS,
    HOUR,
    MAX_STATES,
    MAX_VERSIONS,
    Durations,
    LogNumbers,
    per_hour,
)
from services.analytics.numbers import numbers as all_numbers
from services.analytics.read_model import ReadModel
from services.analytics.store import NumbersStore
from services.analytics.transports.metrics import NumbersCollector, families
from services.analytics.transports.summary import Summary, summarize
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    BotSaid,
    ChoiceMade,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationRated,
    ConversationReset,
    ConversationResolved,
    ConversationStarted,
    ConversationTransferred,
    DecisionFailed,
    FlowAdvanced,
    FlowStarted,
    HandoffRequested,
    InputRefused,
    OperatorSaid,
    TextWritten,
)
from shared.service.health import Health
from tests import examples
from tests.examples import FIRST_TIME, SECOND, Story, recorded

START = ConversationStarted(door="web")
TEXT = TextWritten(session="s", text="Hello")
CHOICE = ChoiceMade(group="g", item="i")
ANSWER = BotSaid(text="Yes")
FLOW = FlowStarted(flow="shop", version="v1")
CLAIM = ConversationClaimed(operator="desk-1")
SAY = OperatorSaid(operator="desk-1", text="Hello")
HAND_BACK = ConversationHandedBack(operator="desk-1")
RESOLVE = ConversationResolved(operator="desk-1")


def numbers(entries: Iterable[RecordedEntry]) -> LogNumbers:
    with NumbersStore(None) as store:
        store.write([*entries], None)
        with store.reading() as reading:
            return all_numbers(reading)


def summary(story: Story) -> Summary:
    return summarize(numbers(story.entries), [], FIRST_TIME, last=None)


def begun() -> Story:
    """A conversation that the bot has greeted (positions 1 and 2)."""
    story = Story()
    story.visitor(START)
    story.bot(FLOW, FlowAdvanced(path=("hello", "pick")), ANSWER, cause=1)
    return story


# --- turns, refusals, failures ------------------------------------------------------------------


def test_a_greeting_is_no_turn() -> None:
    result = numbers(begun().entries)
    assert (result.started, result.turns, result.answers.cumulative[-1]) == (1, 0, 0)


def test_a_turn_is_an_answered_text_or_choice() -> None:
    story = begun()
    story.visitor(TEXT)
    story.bot(ANSWER, cause=3)
    story.visitor(CHOICE)
    result = numbers(story.entries)
    assert (result.turns, result.answers.cumulative[-1], result.answers.sum) == (1, 1, 1.0)
    story.bot(ANSWER, cause=5)
    assert numbers(story.entries).turns == 2


def test_refusals_and_failures_are_no_turns() -> None:
    story = begun()
    for outcome in (
        InputRefused(reason="stale_answer"),
        InputRefused(reason="something of a newer program"),
        DecisionFailed(reason="too_large"),
    ):
        story.bot(outcome, cause=story.visitor(TEXT).position)
    result = numbers(story.entries)
    assert result.turns == 0
    counted = {reason: count for reason, count in result.refusals.items() if count}
    assert counted == {"stale_answer": 1, "other": 1, "failed": 1}
    shown = summary(story)
    assert (shown.failures, "failed" in shown.refusals) == (1, False)


def test_an_answer_that_leads_to_a_person_is_a_turn_and_a_bare_handoff_is_none() -> None:
    story = begun()
    story.visitor(TEXT)
    story.bot(FlowAdvanced(path=("person",)), HandoffRequested(queue="sales"), cause=3)
    assert numbers(story.entries).turns == 1
    story.operator(CLAIM)
    story.operator(RESOLVE)
    story.visitor(TEXT)
    story.bot(HandoffRequested(queue="sales", reason="reopened"), cause=7)
    result = numbers(story.entries)
    assert (result.turns, result.handoffs["sales"], result.handed_off) == (1, 2, 1)


def test_a_second_answer_and_a_repeated_id_do_not_count() -> None:
    story = begun()
    story.visitor(TEXT, id="same")
    story.bot(ANSWER, cause=3)
    story.bot(ANSWER, cause=3)
    story.visitor(TEXT, id="same")
    story.bot(ANSWER, cause=6)
    assert numbers(story.entries).turns == 1


def test_what_a_person_answers_is_no_turn_of_the_bot() -> None:
    story = begun()
    story.visitor(TEXT)
    story.operator(CLAIM)
    story.bot(ANSWER, cause=3)  # decided before the claim: it may not land, and does not count
    story.visitor(TEXT)
    story.operator(SAY)
    result = numbers(story.entries)
    assert (result.turns, result.claims) == (0, 1)


# --- where conversations are --------------------------------------------------------------------


def test_open_conversations_move_between_owners() -> None:
    story = begun()

    def now() -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        result = numbers(story.entries)
        return result.open, result.waiting, result.statuses

    opened = {"open": 1, "snoozed": 0, "resolved": 0}
    assert now() == ({"bot": 1, "queue": 0, "operator": 0}, {}, opened)
    story.visitor(TEXT)
    story.bot(HandoffRequested(queue=""), cause=3)
    assert now() == ({"bot": 0, "queue": 1, "operator": 0}, {"default": 1}, opened)
    story.operator(CLAIM)
    assert now() == ({"bot": 0, "queue": 0, "operator": 1}, {"default": 0}, opened)
    story.operator(RESOLVE)
    resolved = {"open": 0, "snoozed": 0, "resolved": 1}
    assert now() == ({"bot": 0, "queue": 0, "operator": 0}, {"default": 0}, resolved)
    story.visitor(ConversationReset())
    assert now() == ({"bot": 1, "queue": 0, "operator": 0}, {"default": 0}, opened)


def test_a_reset_begins_another_conversation() -> None:
    story = begun()
    story.visitor(TEXT)
    story.bot(HandoffRequested(queue="sales"), cause=3)
    story.visitor(ConversationReset())
    story.bot(FLOW, FlowAdvanced(path=("hello", "pick")), cause=5)
    result = numbers(story.entries)
    assert (result.started, sum(result.open.values()), result.waiting) == (2, 1, {"sales": 0})
    assert summary(story).handoffs.rate == 0.5


def test_more_queues_than_labels_become_other() -> None:
    entries = []
    for number in range(MAX_QUEUES + 10):
        conversation = f"{number:032x}"
        at = 3 * number
        asked = HandoffRequested(queue=f"q{number}")
        entries += [
            recorded(at + 1, "visitor", START, conversation=conversation),
            recorded(at + 2, "bot", asked, cause=at + 1, conversation=conversation),
        ]
    result = numbers(entries)
    assert len(result.handoffs) == MAX_QUEUES + 1
    assert result.handoffs["other"] == result.waiting["other"] == 10
    last = f"{MAX_QUEUES + 9:032x}"
    claimed = recorded(1000, "operator", CLAIM, conversation=last)
    assert numbers([*entries, claimed]).waiting["other"] == 9


# --- persons' times: each entry of a story is a second after the one before ----------------------


def test_the_persons_clock_starts_at_the_handoff() -> None:
    story = begun()
    story.visitor(TEXT)
    story.bot(HandoffRequested(queue="sales"), cause=3)
    story.visitor(TEXT)
    story.operator(CLAIM)
    story.operator(SAY)
    story.operator(SAY)
    story.operator(RESOLVE)
    shown = summary(story).handoffs
    assert shown.waiting_seconds == pytest.approx(2, rel=0.03)
    assert shown.first_response_seconds == pytest.approx(3, rel=0.03)
    assert shown.resolution_seconds == pytest.approx(5, rel=0.03)


def test_a_takeover_starts_the_clock_and_nobody_waited() -> None:
    story = begun()
    story.operator(CLAIM)
    story.operator(SAY)
    story.operator(RESOLVE)
    shown = summary(story).handoffs
    assert (shown.claims, shown.total, shown.rate, shown.waiting_seconds) == (1, 0, 0.0, None)
    assert shown.first_response_seconds == pytest.approx(1, rel=0.03)
    assert shown.resolution_seconds == pytest.approx(2, rel=0.03)


def test_the_bots_time_is_left_out_and_a_reopening_starts_anew() -> None:
    story = begun()
    story.operator(CLAIM)
    story.operator(HAND_BACK)
    for _ in range(20):  # the bot's time
        story.bot(ANSWER, cause=story.visitor(TEXT).position)
    story.operator(CLAIM)
    story.operator(RESOLVE)
    story.visitor(TEXT)
    story.bot(HandoffRequested(queue="", reason="reopened"), cause=len(story.entries))
    story.operator(CLAIM)
    story.operator(SAY)
    story.operator(RESOLVE)
    result = numbers(story.entries)
    assert (result.resolved, result.resolutions.count, result.first_responses.count) == (2, 2, 1)
    assert result.resolutions.p99 == 3


def test_who_is_put_back_waits_anew_and_who_is_passed_on_does_not() -> None:
    story = begun()
    story.operator(CLAIM)
    story.operator(SAY)
    story.operator(ConversationTransferred(operator="desk-1", to="desk-2"))
    story.operator(ConversationTransferred(operator="desk-2", queue="sales"))
    result = numbers(story.entries)
    assert (result.waiting_times.count, result.open["queue"]) == (0, 1)
    story.operator(CLAIM)
    result = numbers(story.entries)
    assert (result.waiting_times.count, result.waiting_times.p50, result.claims) == (1, 1.0, 2)


# --- ratings, hours, drop-off -------------------------------------------------------------------


def test_a_new_rating_replaces_the_old_one_until_a_reset() -> None:
    story = begun()
    story.visitor(ConversationRated(score=1))
    story.visitor(ConversationRated(score=5))
    story.visitor(ConversationReset())
    story.visitor(ConversationRated(score=4))
    shown = summary(story).ratings
    assert (shown.count, shown.mean) == (2, 4.5)


def test_conversations_of_each_of_the_last_24_hours() -> None:
    first = FIRST_TIME // HOUR
    entries = [  # 100 hours, two in each
        replace(
            recorded(number + 1, "visitor", START, conversation=f"{number:032x}"),
            time=(first + number // 2) * HOUR + 5 * SECOND,
        )
        for number in range(200)
    ]
    now = (first + 100) * HOUR + 17
    with NumbersStore(None) as store:
        store.write(entries, None)
        with store.reading() as reading:
            hours = per_hour(reading, now)
    assert [count for _, count in hours] == [2] * 23 + [0]
    assert [begin for begin, _ in hours] == [(first + 77 + index) * HOUR for index in range(24)]


def test_drop_off_counts_who_came_no_further() -> None:
    story = begun()
    story.visitor(CHOICE)
    story.bot(FlowAdvanced(path=("picked", "ask")), cause=3)
    flow = summary(story).flows[0]
    assert (flow.flow, flow.version, flow.started) == ("shop", "v1", 1)
    assert [(state.state, state.reached, state.stopped) for state in flow.states] == [
        ("hello", 1, 0),
        ("pick", 1, 0),
        ("picked", 1, 0),
        ("ask", 1, 1),
    ]
    story.visitor(ConversationReset())  # stopped at "ask" for good
    story.bot(FLOW, FlowAdvanced(path=("hello", "pick")), cause=5)
    story.visitor(CHOICE)
    story.bot(FlowAdvanced(path=("bye",), ended=True), cause=7)
    states = {state.state: (state.reached, state.stopped) for state in summary(story).flows[0].states}
    assert states == {"hello": (2, 0), "pick": (2, 0), "picked": (1, 0), "ask": (1, 1), "bye": (1, 0)}


def test_a_conversation_with_a_person_has_not_dropped_off() -> None:
    story = begun()
    story.operator(CLAIM)
    assert all(state.stopped == 0 for state in summary(story).flows[0].states)
    story.operator(HAND_BACK)
    assert [state.stopped for state in summary(story).flows[0].states] == [0, 1]


def test_states_and_versions_are_bounded() -> None:
    entries = []
    for number in range(MAX_VERSIONS + 5):
        conversation, at = f"{number:032x}", 2 * number
        path = tuple(f"state {index}" for index in range(MAX_STATES + 50))
        facts = (FlowStarted(flow="f", version=f"v{number}"), FlowAdvanced(path=path))
        entries.append(recorded(at + 1, "visitor", START, conversation=conversation))
        entries.append(recorded(at + 2, "bot", *facts, cause=at + 1, conversation=conversation))
    flows = numbers(entries).flows
    assert [flow.version for flow in flows] == [f"v{number}" for number in range(MAX_VERSIONS + 4, 4, -1)]
    assert all(len(flow.states) == MAX_STATES + 1 for flow in flows)
    assert flows[-1].states["other"] == (50, 1)
    assert list(flows[-1].states)[:3] == ["state 0", "state 1", "state 2"]


def test_states_stand_in_the_order_in_which_they_were_stored_whatever_came_first() -> None:
    """Two conversations of two streams: a replay may read them in another order than the live feed."""
    early = (FLOW, FlowAdvanced(path=("hello", "pick")))
    late = (FLOW, FlowAdvanced(path=("ask", "pick")))
    first = recorded(3, "bot", *early, conversation="a" * 32)
    second = recorded(7, "bot", *late, conversation="b" * 32)
    for order in ([first, second], [second, first]):
        (flow,) = numbers(order).flows
        assert list(flow.states) == ["hello", "pick", "ask"]


def test_the_queues_shown_are_those_that_were_stored_first_whatever_came_first() -> None:
    asked = [
        recorded(at + 1, "bot", HandoffRequested(queue=f"q{at}"), conversation=f"{at:032x}")
        for at in range(MAX_QUEUES + 1)
    ]
    expected = [*(f"q{at}" for at in range(MAX_QUEUES)), "other"]
    assert list(numbers(asked).handoffs) == expected
    assert list(numbers(asked[::-1]).handoffs) == expected


# --- durations ----------------------------------------------------------------------------------


def test_durations_are_told_by_their_quantiles_and_in_a_histogram() -> None:
    """A hundred answers, after 0.1 s to 10 s."""
    entries = list(begun().entries)
    for number in range(1, 101):
        asked = replace(recorded(2 * number + 1, "visitor", TEXT), time=FIRST_TIME + number * HOUR)
        answer = recorded(2 * number + 2, "bot", ANSWER, cause=asked.position)
        entries += [asked, replace(answer, time=asked.time + number * SECOND // 10)]
    result = numbers(entries)
    assert result.answer_times == Durations(count=100, p50=5.0, p95=9.5, p99=9.9)
    below = dict(zip(ANSWER_BOUNDS, result.answers.cumulative, strict=False))
    assert (below[0.05], below[0.1], below[1.0], below[60.0]) == (0, 1, 10, 100)
    assert result.answers.sum == 505.0


def test_a_clock_set_back_gives_no_negative_time() -> None:
    story = begun()
    story.visitor(TEXT)
    answer = story.bot(ANSWER, cause=3)
    result = numbers([*story.entries[:-1], replace(answer, time=FIRST_TIME)])
    assert (result.turns, result.answers.sum) == (1, 0.0)


# --- what goes out ------------------------------------------------------------------------------

NAMES = {
    "switchboard_conversations_started": ("counter", ()),
    "switchboard_turns": ("counter", ()),
    "switchboard_refusals": ("counter", ("reason",)),
    "switchboard_handoffs": ("counter", ("queue",)),
    "switchboard_claims": ("counter", ()),
    "switchboard_handoffs_withdrawn": ("counter", ()),
    "switchboard_conversations_ended": ("counter", ()),
    "switchboard_bot_answer_seconds": ("histogram", ("le",)),
    "switchboard_conversations_open": ("gauge", ("owner",)),
    "switchboard_conversations_waiting": ("gauge", ("queue",)),
}


def test_the_metrics_have_the_promised_names_and_labels() -> None:
    story = begun()
    story.visitor(TEXT)
    story.bot(HandoffRequested(queue="sales"), cause=3)

    def labels(metric: Metric) -> tuple[str, ...]:
        return tuple(sorted({label for sample in metric.samples for label in sample.labels}))

    made = {metric.name: (metric.type, labels(metric)) for metric in families(numbers(story.entries))}
    assert made == NAMES


def test_an_engagement_of_an_agent_is_no_conversation() -> None:
    story = Story()
    story.visitor(examples.ENGAGEMENT_BEGAN)
    story.bot(examples.INTERJECTED, cause=1)
    story.visitor(examples.REQUEST_MADE)
    story.bot(examples.REQUEST_ANSWERED, cause=3)
    numbers = summary(story)
    assert (numbers.conversations.started, numbers.conversations.open, numbers.turns) == (0, 0, 0)


def test_what_the_assistant_did_and_used() -> None:
    story = begun()
    story.visitor(TEXT)
    story.bot(examples.ASSISTANT_SAID, cause=3)
    story.visitor(TEXT)
    story.bot(examples.ANSWER_FAILED, ANSWER, cause=5)
    used = summary(story).assistant
    assert (used.answers, used.failures) == (1, {"rate_limited": 1})
    assert (used.tokens_in, used.tokens_out, used.cost) == (120, 7, 0.000042)


def test_a_handoff_to_which_nobody_came_stops_the_persons_clock() -> None:
    story = begun()
    story.visitor(TEXT)
    story.bot(HandoffRequested(queue="sales"), cause=3)
    story.bot_alone(examples.HANDOFF_WITHDRAWN)
    handoffs = summary(story).handoffs
    assert (handoffs.withdrawn, handoffs.waiting_by_queue) == (1, {"sales": 0})
    story.operator(CLAIM)
    assert summary(story).handoffs.waiting_seconds is None


def test_a_conversation_ended_by_silence_is_no_longer_open() -> None:
    story = begun()
    story.bot_alone(examples.CONVERSATION_ENDED)
    conversations = summary(story).conversations
    assert (conversations.ended, conversations.open, conversations.resolved) == (1, 0, 1)


def test_no_numbers_are_shown_before_the_log_is_read(health: Health) -> None:
    with NumbersStore(None) as store:
        model = ReadModel(store, health)
        registry = CollectorRegistry()
        registry.register(NumbersCollector(lambda: model))
        assert not model.complete()
        assert generate_latest(registry) == b""


def test_entries_of_different_streams_may_have_one_position() -> None:
    first = examples.recorded(1, "visitor", examples.CONVERSATION_STARTED)
    other = examples.recorded(
        1, "visitor", examples.CONVERSATION_STARTED, conversation=examples.OTHER_CONVERSATION
    )
    result = numbers([first, other, first])  # the last is the first one again
    assert (result.started, result.position) == (2, 2)
