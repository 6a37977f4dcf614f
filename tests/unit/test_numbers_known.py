"""Known logs, and what each number of them is, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec.structs import replace

from services.analytics import questions
from services.analytics.domain.definitions import BY_NAME, CURRENT, DEFINITIONS
from services.analytics.domain.periods import Period, days, read_moment
from services.analytics.domain.working_time import WorkingTime
from services.analytics.questions import NotAGroup, Question, Value
from services.analytics.store import NumbersStore
from shared.contract.desk_facts import AgreedTimeReached, ConversationSnoozed, SnoozeEnded
from shared.contract.desk_settings import read_settings
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AnswerFailed,
    AskedAgain,
    AssistantSaid,
    Author,
    BotSaid,
    Choice,
    ChoiceAsked,
    ChoiceMade,
    ConversationClaimed,
    ConversationEnded,
    ConversationErased,
    ConversationHandedBack,
    ConversationRated,
    ConversationReset,
    ConversationResolved,
    ConversationStarted,
    ConversationTransferred,
    EditorOpened,
    Fact,
    FlowAdvanced,
    FlowResumed,
    FlowStarted,
    HandoffRequested,
    HandoffWithdrawn,
    InputRefused,
    OperatorSaid,
    TextWritten,
    ThanksHeard,
)
from shared.contract.subjects import conversation_of
from tests.examples import recorded

UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")

TEXT = TextWritten(session="s", text="Where is it?")
FLOW = FlowStarted(flow="shop", version="v1")
ASK = EditorOpened(session="s")
PICK = ChoiceAsked(group="g", question="Which?", choices=(Choice(item="a", text="A"),))
HANDOFF = HandoffRequested(queue="sales")


class KnownLog:
    """A conversation whose entries are stored at times of 2 June 2026, UTC, as they are given."""

    def __init__(self, visitor: str = "one", door: str = "web") -> None:
        self.conversation = conversation_of(visitor, door)
        self.entries: list[RecordedEntry] = []

    def visitor(self, at: str, *facts: Fact) -> int:
        return self._add(at, "visitor", facts)

    def bot(self, at: str, *facts: Fact, to: int | None = None) -> int:
        return self._add(at, "bot", facts, to)

    def operator(self, at: str, *facts: Fact) -> int:
        return self._add(at, "operator", facts)

    def desk(self, at: str, *facts: Fact) -> int:
        return self._add(at, "desk", facts)

    def eraser(self, at: str) -> int:
        return self._add(at, "eraser", (ConversationErased(by="ada"),))

    def _add(self, at: str, author: Author, facts: tuple[Fact, ...], cause: int | None = None) -> int:
        position = len(self.entries) + 1
        entry = recorded(position, author, *facts, cause=cause, conversation=self.conversation)
        self.entries.append(replace(entry, time=moment(at), id=f"{self.conversation} {position}"))
        return position

    # --- what happens often -------------------------------------------------------------------

    def begins(self, at: str, *last: Fact, place: str = "hello", door: str = "web") -> None:
        """A visitor comes, and the bot greets them with these facts."""
        came = self.visitor(at, ConversationStarted(door=door))
        self.bot(at, FLOW, FlowAdvanced(path=(place,)), *last, to=came)

    def asks_for_a_person(self, at: str, queue: str = "sales") -> None:
        asked = self.visitor(at, TEXT)
        self.bot(at, FlowAdvanced(path=("person",)), HandoffRequested(queue=queue), to=asked)

    def claims(self, at: str, who: str = "ann") -> None:
        self.operator(at, ConversationClaimed(operator=who))

    def says(self, at: str, who: str = "ann") -> None:
        self.operator(at, OperatorSaid(operator=who, text="I look"))

    def resolves(self, at: str, who: str = "ann") -> None:
        self.operator(at, ConversationResolved(operator=who))


def moment(at: str, zone: ZoneInfo = UTC) -> int:
    """``12:30``, ``12:30:15`` of the day, or a whole date and time."""
    return read_moment(at if "-" in at else f"2026-06-02T{at}", zone)


DAY = days(date(2026, 6, 2), date(2026, 6, 2), UTC)


class AskedLog:
    """A store with these logs, and short ways to ask it."""

    def __init__(self, *logs: KnownLog, period: Period = DAY) -> None:
        self._entries = [entry for log in logs for entry in log.entries]
        self._period = period

    def __call__(self, id: str, version: int | None = None, **only: str) -> Value:
        definition = BY_NAME[id, version] if version else CURRENT[id]
        with _store(self._entries) as store, store.reading() as reading:
            return questions.value(reading, definition, Question(self._period, only))  # type: ignore[arg-type]

    def by(self, id: str, group: str) -> dict[str, float | None]:
        with _store(self._entries) as store, store.reading() as reading:
            found = questions.groups(reading, CURRENT[id], Question(self._period), group)  # type: ignore[arg-type]
            return {name: value.value for name, value in found.items()}


def _store(entries: Sequence[RecordedEntry]) -> NumbersStore:
    store = NumbersStore(None)
    store.write(entries, None)
    return store


# --- conversations and matters -------------------------------------------------------------------


def test_who_only_opens_the_chat_has_a_conversation_and_no_matter() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    asked = AskedLog(log)
    assert (asked("conversations").value, asked("matters").value) == (1, 0)
    assert asked("containment") == Value(None, 0, 0)


def test_a_thanks_after_resolving_is_no_second_matter() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.asks_for_a_person("10:01")
    log.claims("10:02")
    log.says("10:03")
    log.resolves("10:04")
    thanks = log.visitor("10:05", TextWritten(session="", text="Thanks!"))
    log.bot("10:05", ThanksHeard(), BotSaid(text="Welcome"), to=thanks)
    asked = AskedLog(log)
    assert (asked("matters").value, asked("reopened").value, asked("turns").value) == (1, 0, 1)
    again = log.visitor("10:30", TextWritten(session="", text="It broke"))
    log.bot("10:30", HandoffRequested(queue="sales", reason="reopened"), to=again)
    asked = AskedLog(log)
    assert (asked("matters").value, asked("reopened").value, asked("conversations").value) == (2, 1, 1)
    assert asked.by("reopened", "reason") == {"person": 1}
    assert asked("handoff_rate").value == 1.0


def test_after_silence_another_matter_begins_with_the_flow() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    first = log.visitor("10:01", TEXT)
    log.bot("10:01", FlowAdvanced(path=("more",)), ASK, to=first)
    log.bot("11:00", ConversationEnded(reason="inactivity"))
    again = log.visitor("12:00", TEXT)
    log.bot("12:00:05", FLOW, FlowAdvanced(path=("hello",)), ASK, to=again)
    asked = AskedLog(log)
    assert (asked("matters").value, asked("turns").value) == (2, 2)
    assert asked.by("matters", "outcome") == {"": 1, "silence": 1}
    # The second began with the visitor's words, not with the flow that answered them.
    assert AskedLog(log, period=Period(moment("12:00"), moment("12:00:01")))("matters").value == 1


# --- handoff rate, containment, bot resolution ----------------------------------------------------


def test_how_matters_end() -> None:
    done, left, silent, helped, erased, open = (KnownLog(name) for name in "abcdef")
    for log in (done, left, silent, helped, erased, open):
        log.begins("10:00", ASK)
        said = log.visitor("10:01", TEXT)
        log.bot("10:02", FlowAdvanced(path=("more",)), ASK, to=said)
    done.bot("10:03", FlowAdvanced(path=("bye",), ended=True), to=done.visitor("10:03", TEXT))
    left.visitor("10:03", ConversationReset())
    silent.bot("11:00", ConversationEnded(reason="inactivity"))
    helped.asks_for_a_person("10:04")
    helped.claims("10:05")
    helped.resolves("10:06")
    erased.eraser("10:07")
    asked = AskedLog(done, left, silent, helped, erased, open)
    assert asked.by("matters", "outcome") == {
        "": 1,
        "completed": 1,
        "erased": 1,
        "left": 1,
        "person": 1,
        "silence": 1,
    }
    # Four are over and not erased; three of these without a person.
    assert asked("containment") == Value(0.75, 4, 3)
    assert asked.by("containment", "outcome") == {
        "completed": 1.0,
        "left": 1.0,
        "person": 0.0,
        "silence": 1.0,
    }
    for one in ("bot_resolution", "left", "silence"):
        assert asked(one) == Value(0.25, 4, 1)
    assert asked("handoff_rate") == Value(1 / 6, 6, 1)
    # Version 1 asks of conversations: whoever started over has a second, and said nothing in it.
    assert asked("handoff_rate", 1) == Value(1 / 7, 7, 1)
    assert asked("flow_time").value == 180.0


def test_whoever_writes_nothing_for_a_day_has_left() -> None:
    quiet, later = KnownLog("a"), KnownLog("b")
    quiet.begins("10:00", ASK)
    quiet.bot("10:01", FlowAdvanced(path=("more",)), PICK, to=quiet.visitor("10:01", TEXT))
    later.begins("2026-06-03T10:00:59", ASK)
    assert AskedLog(quiet, later).by("matters", "outcome") == {"": 1}
    later.visitor("2026-06-03T10:01:01", TEXT)
    asked = AskedLog(quiet, later)
    assert asked.by("matters", "outcome") == {"left": 1}
    assert asked("left").value == 1.0
    assert asked.by("drop_off", "state") == {"hello": 0.0, "more": 1.0}


def test_a_flow_that_came_to_its_end_stays_completed_when_silence_closes_it() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.bot("10:01", FlowAdvanced(path=("bye",), ended=True), to=log.visitor("10:01", TEXT))
    log.bot("11:00", ConversationEnded(reason="inactivity"))
    assert AskedLog(log).by("matters", "outcome") == {"completed": 1}


def test_a_wait_in_vain_is_no_containment() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.asks_for_a_person("10:01")
    log.bot("10:06", HandoffWithdrawn(), FlowAdvanced(path=("bye",), ended=True))
    asked = AskedLog(log)
    assert asked("containment") == Value(0.0, 1, 0)
    assert asked("abandonment") == Value(1.0, 1, 1)
    assert asked("waiting_time").value == 300.0


# --- questions -----------------------------------------------------------------------------------


def test_drop_off_is_of_questions_and_not_of_messages_or_matchers() -> None:
    log = KnownLog()
    came = log.visitor("10:00", ConversationStarted(door="web"))
    log.bot("10:00", FLOW, FlowAdvanced(path=("hello", "which")), BotSaid(text="Hi"), PICK, to=came)
    picked = log.visitor("10:01", ChoiceMade(group="g", item="a"))
    log.bot("10:01", FlowAdvanced(path=("picked", "address")), ASK, to=picked)
    log.visitor("10:05", ConversationReset())
    asked = AskedLog(log)
    assert asked.by("drop_off", "state") == {"address": 1.0, "which": 0.0}
    assert asked("drop_off") == Value(0.5, 2, 1)


def test_what_does_not_fit_is_no_answer_and_asking_again_no_second_question() -> None:
    log = KnownLog()
    log.begins("10:00", ASK, place="address")
    wrong = log.visitor("10:01", TEXT)
    log.bot("10:01", AskedAgain(reason="not_an_email", tries=1), ASK, to=wrong)
    late = log.visitor("10:02", TEXT)
    log.bot("10:02", InputRefused(reason="stale_answer"), to=late)
    asked = AskedLog(log)
    assert asked("drop_off") == Value(None, 0, 0)  # it waits for its answer still
    log.bot("11:00", ConversationEnded(reason="inactivity"))
    assert AskedLog(log)("drop_off") == Value(1.0, 1, 1)
    assert AskedLog(log).by("refusals", "reason") == {"stale_answer": 1}


def test_a_question_that_a_person_takes_over_was_not_dropped() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.claims("10:01")
    log.operator("10:02", ConversationHandedBack(operator="ann"))
    log.bot("10:02", FlowResumed(), ASK, to=4)
    asked = AskedLog(log)
    assert asked("drop_off") == Value(None, 0, 0)
    log.visitor("10:03", ConversationReset())
    assert AskedLog(log)("drop_off") == Value(1.0, 1, 1)


def test_a_question_that_the_flow_leaves_behind_was_dropped() -> None:
    log = KnownLog()
    log.begins("10:00", ASK, place="code")
    log.bot("10:10", FlowAdvanced(path=("other",)), PICK)
    assert AskedLog(log).by("drop_off", "state") == {"code": 1.0}


# --- people's times ------------------------------------------------------------------------------


def test_a_handoff_a_transfer_and_the_credit() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.asks_for_a_person("10:00")
    log.claims("10:02")  # waited 120 s
    log.says("10:03")  # first response after 180 s, by ann
    log.visitor("10:04", TEXT)
    log.visitor("10:05", TEXT)
    log.operator("10:06", ConversationTransferred(operator="ann", to="bob"))
    log.says("10:07", "bob")  # next response: 180 s since the first word that nobody answered
    log.says("10:08", "bob")  # nobody waited for this one
    log.resolves("10:20", "bob")  # 1,200 s
    log.visitor("10:21", ConversationRated(score=2))
    asked = AskedLog(log)
    assert asked("waiting_time").value == 120.0
    assert asked.by("first_response", "operator") == {"ann": 180.0}
    assert asked.by("next_response", "operator") == {"bob": 180.0}
    assert asked("next_response").rows == 1
    assert asked.by("resolution", "operator") == {"bob": 1200.0}
    assert asked.by("rating", "operator") == {"bob": 2.0}
    assert (asked("claims").value, asked("said").value, asked("resolved").value) == (1, 3, 1)
    assert asked("first_response", queue="sales").rows == 1
    assert asked("first_response", queue="other").rows == 0
    assert asked("first_response", operator="bob").rows == 0


def test_a_resolution_is_credited_to_whoever_spoke_not_to_whoever_closed() -> None:
    spoken, silent = KnownLog("a"), KnownLog("b")
    for log in (spoken, silent):
        log.begins("10:00", ASK)
        log.asks_for_a_person("10:00")
        log.claims("10:01")
        if log is spoken:
            log.says("10:02")
        log.operator("10:03", ConversationTransferred(operator="ann", to="eve"))
        log.resolves("10:04", "eve")
    assert AskedLog(spoken).by("resolution", "operator") == {"ann": 240.0}
    assert AskedLog(silent).by("resolution", "operator") == {"eve": 240.0}


def test_the_bots_time_between_a_handback_and_the_next_handoff_is_left_out() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.claims("10:01")
    log.says("10:01:30")
    back = log.operator("10:02", ConversationHandedBack(operator="ann"))
    log.bot("10:02", FlowResumed(), ASK, to=back)
    log.asks_for_a_person("11:00")
    log.claims("11:00:10", "bob")
    log.says("11:00:40", "bob")
    log.resolves("11:01", "bob")
    asked = AskedLog(log)
    assert asked.by("first_response", "operator") == {"ann": 30.0, "bob": 40.0}
    assert asked("resolution").value == 60.0


def test_whoever_is_put_back_into_a_queue_waits_anew_and_whoever_waits_now_counts() -> None:
    log, clock = KnownLog(), KnownLog("other")
    log.begins("10:00", ASK)
    log.claims("10:01")
    log.operator("10:10", ConversationTransferred(operator="ann", queue="night"))
    clock.begins("10:15", ASK)
    asked = AskedLog(log, clock)
    assert asked("waiting_time").value == 300.0
    assert asked.by("waiting_time", "queue") == {"night": 300.0}
    assert asked.by("waiting_time", "outcome") == {"waits": 300.0}
    assert asked("abandonment") == Value(None, 0, 0)


def test_whoever_waits_already_goes_on_waiting_when_the_flow_asks_again() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.asks_for_a_person("10:00", "sales")
    log.bot("10:05", HandoffRequested(queue="support"))
    log.claims("10:07")
    log.says("10:08")
    asked = AskedLog(log)
    assert asked.by("waiting_time", "queue") == {"support": 420.0}
    assert asked.by("first_response", "queue") == {"support": 480.0}
    assert asked("handoffs").value == 2


def test_a_reopening_restarts_the_persons_times() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.asks_for_a_person("10:00")
    log.claims("10:01")
    log.says("10:02")
    log.resolves("10:03")
    again = log.visitor("15:00", TextWritten(session="", text="Still broken"))
    log.bot("15:00", HandoffRequested(queue="sales", reason="reopened"), to=again)
    log.claims("15:01")
    log.says("15:10")
    log.resolves("15:20")
    asked = AskedLog(log)
    assert asked("first_response").rows == 2
    assert asked("resolution").p95 == 1200.0  # and not since the morning
    assert asked("waiting_time").value == 60.0


def test_snoozing_changes_no_number() -> None:
    log, same = KnownLog("a"), KnownLog("a")
    for each in (log, same):
        each.begins("10:00", ASK)
        each.asks_for_a_person("10:00")
        if each is log:
            each.desk("10:01", ConversationSnoozed(operator="ann", until="2026-06-02T12:00:00Z"))
            each.desk("10:02", SnoozeEnded(operator="ann"))
        each.claims("10:05")
        each.says("10:06")
    first, second = AskedLog(log), AskedLog(same)
    for definition in DEFINITIONS:
        assert first(definition.id, definition.version) == second(definition.id, definition.version)


def test_a_broken_agreement_counts_once_and_a_mark_does_not() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.asks_for_a_person("10:00")
    due = "2026-06-02T10:05:00Z"
    log.desk("10:04", AgreedTimeReached(goal="first_response", queue="sales", due=due))
    over = AgreedTimeReached(goal="first_response", queue="sales", due=due, over=True)
    log.desk("10:05", over)
    again = replace(log.entries[-1], position=len(log.entries) + 1)  # another replica noted it, too
    log.entries.append(again)
    asked = AskedLog(log)
    assert asked.by("breaches", "goal") == {"first_response": 1}
    assert asked("breaches", door="web").value == 1


# --- the assistant -------------------------------------------------------------------------------


def test_tokens_and_cost() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    said = AssistantSaid(text="Soon", tokens_in=100, tokens_out=20, cost=1_500_000)
    log.bot("10:01", said, to=log.visitor("10:00:58", TEXT))
    log.bot("10:02", AnswerFailed(reason="timeout"), BotSaid(text="Sorry"), to=log.visitor("10:02", TEXT))
    asked = AskedLog(log)
    assert (asked("answers").value, asked("tokens").value, asked("cost").value) == (1, 120, 1.5)
    assert asked.by("tokens", "reason") == {"read": 100.0, "written": 20.0}
    assert asked.by("answer_failures", "reason") == {"timeout": 1}
    assert asked("answer_time").p95 == 2.0


# --- erased, clocks, streams, calendars -----------------------------------------------------------


def test_an_erased_conversation_keeps_its_numbers_and_a_visitor_who_returns_is_another() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.asks_for_a_person("10:00")
    log.claims("10:01")
    log.says("10:02")
    log.resolves("10:03")
    log.visitor("10:04", ConversationRated(score=5))
    before = {each.id: AskedLog(log)(each.id) for each in DEFINITIONS}
    log.eraser("10:10")
    assert {each.id: AskedLog(log)(each.id) for each in DEFINITIONS} == before
    log.begins("10:20", ASK)
    assert AskedLog(log)("conversations").value == 2


def test_an_erasure_ends_a_wait_that_nobody_is_blamed_for() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.asks_for_a_person("10:00")
    log.eraser("10:05")
    asked = AskedLog(log)
    assert asked.by("waiting_time", "outcome") == {"erased": 300.0}
    assert asked("abandonment") == Value(None, 0, 0)


def test_clocks_that_go_back_give_no_negative_times() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.asks_for_a_person("10:00")
    log.claims("09:59")
    log.says("09:58")
    log.resolves("09:57")
    asked = AskedLog(log)
    for id in ("waiting_time", "first_response", "resolution"):
        assert asked(id).value == 0.0, id


def test_entries_of_several_streams_may_come_in_any_order() -> None:
    logs = [KnownLog(name) for name in "abc"]
    for log in logs:
        log.begins("10:00", ASK)
        log.asks_for_a_person("10:01")
        log.claims("10:02")
        log.says("10:03")
    entries = [entry for log in logs for entry in log.entries]
    alternating = sorted(entries, key=lambda entry: entry.position)
    mixed = KnownLog()
    mixed.entries = alternating
    for definition in DEFINITIONS:
        one = AskedLog(*logs)(definition.id, definition.version)
        assert one == AskedLog(mixed)(definition.id, definition.version), definition.id


def test_midnight_is_the_zones() -> None:
    log, late = KnownLog("a"), KnownLog("b")
    log.begins("21:59", ASK)  # 23:59 in Berlin
    late.begins("22:01", ASK)  # the next day there
    berlin = days(date(2026, 6, 2), date(2026, 6, 3), BERLIN)
    with _store([*log.entries, *late.entries]) as store, store.reading() as reading:
        found = questions.series(reading, CURRENT["conversations"], Question(berlin), "day", BERLIN)
        hours = questions.week(reading, CURRENT["conversations"], Question(berlin), BERLIN)
    assert [(point.begin, point.value.value) for point in found] == [
        (moment("2026-06-02T00:00+02:00"), 1),
        (moment("2026-06-03T00:00+02:00"), 1),
    ]
    assert {at: value.value for at, value in hours.items()} == {(2, 23): 1, (3, 0): 1}


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 3, 30), 24), (date(2026, 10, 25), 25)]
)
def test_a_day_on_which_clocks_change_has_its_own_length(day: date, hours: int) -> None:
    log = KnownLog()
    log.begins(f"{day}T01:30+01:00", ASK)
    period = days(day, day, BERLIN)
    with _store(log.entries) as store, store.reading() as reading:
        found = questions.series(reading, CURRENT["conversations"], Question(period), "hour", BERLIN)
    assert len(found) == hours == (period.until - period.since) // (3600 * 10**9)
    assert sum(point.value.rows for point in found) == 1


# --- questions -----------------------------------------------------------------------------------


def test_a_number_that_cannot_be_told_by_something_says_by_what_it_can() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    with pytest.raises(NotAGroup, match="turns cannot be told by operator; possible are door, flow"):
        AskedLog(log)("turns", operator="ann")


def test_a_number_leads_to_what_it_is_made_of() -> None:
    logs = [KnownLog(name) for name in "abc"]
    for number, log in enumerate(logs):
        log.begins("10:00", ASK)
        log.asks_for_a_person("10:00")
        log.claims(f"10:0{number + 1}")
        log.says(f"10:0{number + 4}")
    with _store([entry for log in logs for entry in log.entries]) as store, store.reading() as reading:
        rows = questions.behind(reading, CURRENT["first_response"], Question(DAY))
        asked = questions.behind(reading, CURRENT["handoff_rate"], Question(DAY), parts=True)
    assert [(row.conversation, row.position, row.value) for row in rows] == [
        (log.conversation, 6, 60.0 * (number + 4)) for number, log in reversed([*enumerate(logs)])
    ]
    assert {row.conversation for row in asked} == {log.conversation for log in logs}


def test_every_definition_can_be_asked_in_every_way() -> None:
    log = KnownLog()
    log.begins("10:00", ASK)
    log.asks_for_a_person("10:00")
    with _store(log.entries) as store, store.reading() as reading:
        for definition in DEFINITIONS:
            question = Question(DAY)
            whole = questions.value(reading, definition, question)
            points = questions.series(reading, definition, question, "hour", BERLIN)
            assert sum(point.value.rows for point in points) == whole.rows, definition.id
            cells = questions.week(reading, definition, question, BERLIN)
            assert sum(value.rows for value in cells.values()) == whole.rows, definition.id
            assert len(questions.behind(reading, definition, question)) == whole.rows, definition.id
            for group in definition.groups:
                found = questions.groups(reading, definition, question, group)
                assert sum(value.rows for value in found.values()) == whole.rows, (definition.id, group)
                for name, value in found.items():
                    narrowed = questions.value(reading, definition, Question(DAY, {group: name}))
                    assert narrowed == value, (definition.id, group, name)


def test_each_version_of_a_definition_is_there_once() -> None:
    assert len(BY_NAME) == len(DEFINITIONS)
    for (id, version), definition in BY_NAME.items():
        assert version == 1 or (id, version - 1) in BY_NAME
        assert CURRENT[id].version >= version
        assert definition.says.endswith(".")


def test_the_period_before_is_as_long() -> None:
    period = Period(100, 130)
    assert period.before == Period(70, 100)
    assert datetime.fromtimestamp(DAY.since // 10**9, UTC).hour == 0


# --- working time --------------------------------------------------------------------------------

DESK = {
    "zone": "Europe/Berlin",
    "hours": {"monday": ["09:00-17:00"], "tuesday": ["09:00-12:00", "13:00-17:00"]},
    "queues": {"sales": {}, "night": {"hours": {"sunday": ["00:00-01:00"]}}},
}


def working(id: str, *logs: KnownLog) -> Value:
    hours = WorkingTime(read_settings(msgspec.json.encode(DESK)))
    with _store([entry for log in logs for entry in log.entries]) as store, store.reading() as reading:
        return questions.value(reading, CURRENT[id], Question(WEEK, working=hours))


WEEK = days(date(2026, 5, 31), date(2026, 6, 7), UTC)


def test_a_night_and_a_lunch_are_no_waiting_in_working_time() -> None:
    """1 June 2026 is a Monday. In summer Berlin is two hours ahead of UTC."""
    log = KnownLog()
    log.begins("2026-06-01T14:00", ASK)
    log.asks_for_a_person("2026-06-01T14:30")  # 16:30 in Berlin: 30 minutes are left of the day
    log.claims("2026-06-02T11:15")  # 13:15: three hours of the morning, and 15 minutes
    log.says("2026-06-02T11:30")
    log.resolves("2026-06-03T08:00")  # Wednesday: nobody works
    assert working("waiting_time", log).value == (30 + 180 + 15) * 60
    assert working("first_response", log).value == (30 + 180 + 30) * 60
    assert working("resolution", log).value == (30 + 180 + 240) * 60
    asked = AskedLog(log, period=WEEK)
    assert asked("waiting_time").value == (20 * 60 + 45) * 60


def test_working_time_of_queues_that_are_closed_or_that_the_settings_do_not_name() -> None:
    never, always = KnownLog("a"), KnownLog("b")
    for log, queue in ((never, "night"), (always, "other")):
        log.begins("10:00", ASK)
        log.asks_for_a_person("10:00", queue)
        log.claims("10:05")
    assert working("waiting_time", never).value == 0.0
    assert working("waiting_time", always).value == 300.0
    assert working("turns", always).value == 1
    assert working("waiting_time").value is None
