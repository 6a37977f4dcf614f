"""Laws of who gets what: never too much, never to somebody who is not there, never out of turn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from services.operator.domain.assignment import DeskOperator, Gift, WaitingConversation, assign, to_give
from services.operator.domain.desk import ConversationSummary
from services.operator.domain.notes import Assignment, DeskNotes
from shared.contract.conversation import NEW
from shared.contract.conversation.ownership import Ownership
from shared.contract.desk_settings import DeskSettings, Queue, Skills
from shared.contract.working_hours import WorkingHours
from tests.unit.test_agreed_times import BERLIN

ACCOUNTS = ("ada", "bob", "cleo", "dan")
QUEUES = ("sales", "support", "by hand")
LANGUAGES = ("de", "en", "")
URGENCY = ("urgent", "high", "normal", "low")

skills = st.builds(
    Skills, capacity=st.integers(0, 3), languages=st.frozensets(st.sampled_from(LANGUAGES[:2]))
)


@st.composite
def desks(draw: st.DrawFn) -> DeskSettings:
    members = st.none() | st.frozensets(st.sampled_from(ACCOUNTS), min_size=1)
    always = WorkingHours(BERLIN)
    return DeskSettings(
        queues={name: Queue(always, members=draw(members), automatic=name != "by hand") for name in QUEUES},
        operators=draw(st.dictionaries(st.sampled_from(ACCOUNTS), skills)),
        others=draw(skills),
    )


waiting = st.lists(
    st.builds(
        WaitingConversation,
        id=st.uuids().map(str),
        queue=st.sampled_from((*QUEUES, "unheard of")),
        since=st.integers(1, 5),
        priority=st.sampled_from(URGENCY),
        language=st.sampled_from(LANGUAGES),
    ),
    max_size=8,
    unique_by=lambda each: each.id,
)
operators = st.lists(
    st.builds(
        DeskOperator,
        account=st.sampled_from(ACCOUNTS),
        availability=st.sampled_from(("online", "online", "busy", "away")),
        conversations=st.integers(0, 3),
        given=st.integers(0, 3),
    ),
    unique_by=lambda each: each.account,
)


def may(who: DeskOperator, conversation: WaitingConversation, settings: DeskSettings) -> bool:
    queue, capacity = settings.queue(conversation.queue), settings.skills(who.account).capacity
    return (
        who.availability == "online"
        and queue.automatic
        and queue.is_served_by(who.account)
        and (capacity == 0 or who.conversations < capacity)
    )


@given(waiting, operators, desks())
def test_only_who_may_gets_something_and_one_thing_at_a_time(
    waiting: list[WaitingConversation], operators: list[DeskOperator], settings: DeskSettings
) -> None:
    gifts = assign(waiting, operators, settings)
    people = {who.account: who for who in operators}
    conversations = {each.id: each for each in waiting}
    assert len({gift.conversation for gift in gifts}) == len({gift.account for gift in gifts}) == len(gifts)
    assert all(may(people[gift.account], conversations[gift.conversation], settings) for gift in gifts)


@given(waiting, operators, desks(), st.randoms(use_true_random=False))
def test_the_order_in_which_they_are_named_does_not_matter(
    waiting: list[WaitingConversation], operators: list[DeskOperator], settings: DeskSettings, chance: object
) -> None:
    gifts = assign(waiting, operators, settings)
    chance.shuffle(waiting)  # type: ignore[attr-defined]
    chance.shuffle(operators)  # type: ignore[attr-defined]
    assert assign(waiting, operators, settings) == gifts


@given(waiting, operators, desks())
def test_nobody_is_passed_over(
    waiting: list[WaitingConversation], operators: list[DeskOperator], settings: DeskSettings
) -> None:
    """Whoever gets nothing could have been served by nobody, but for those who serve somebody before them."""
    order = {each.id: (URGENCY.index(each.priority), each.since, each.id) for each in waiting}
    gifts = assign(waiting, operators, settings)
    assert [order[gift.conversation] for gift in gifts] == sorted(order[gift.conversation] for gift in gifts)
    given_to = {gift.account: gift.conversation for gift in gifts}
    for each in waiting:
        if each.id in given_to.values():
            continue
        for who in operators:
            if may(who, each, settings):
                assert order[given_to[who.account]] < order[each.id]


@given(waiting, operators, desks())
def test_all_are_served_in_the_end(
    waiting: list[WaitingConversation], operators: list[DeskOperator], settings: DeskSettings
) -> None:
    """Round for round, where those who serve are done with it each time."""
    left = list(waiting)
    for _ in waiting:
        got = {gift.conversation for gift in assign(left, operators, settings)}
        left = [each for each in left if each.id not in got]
    assert not any(may(who, each, settings) for who in operators for each in left)


SALES = DeskSettings(
    queues={"sales": Queue(WorkingHours(BERLIN), automatic=True)},
    operators={"ada": Skills(5, frozenset({"de"}))},
    others=Skills(5),
)


def first(*operators: DeskOperator, language: str = "") -> list[Gift]:
    return assign([WaitingConversation("c", "sales", 1, language=language)], operators, SALES)


def test_who_speaks_the_language_then_has_least_to_do_then_was_idle_longest() -> None:
    ada, bob = DeskOperator("ada", "online", 3, 9), DeskOperator("bob", "online", 1, 8)
    cleo = DeskOperator("cleo", "online", 1, 7)
    assert first(ada, bob, cleo, language="de-AT,de;q=0.9") == [("c", "ada")]
    assert first(ada, bob, cleo, language="en") == [("c", "cleo")]
    assert first(ada, bob) == [("c", "bob")]


def test_what_is_meant_for_somebody_or_spam_is_not_given_out() -> None:
    queued = ConversationSummary(
        "c", replace(NEW, ownership=Ownership(owner="queue", queue="sales", waiting=7))
    )
    assert to_give(queued) == WaitingConversation("c", "sales", 7)
    for notes in (DeskNotes(spam=True), DeskNotes(assigned=Assignment("ada", to="bob"))):
        assert to_give(ConversationSummary("c", queued.state, notes)) is None
    for_queue = DeskNotes(assigned=Assignment("ada", queue="sales"), priority="urgent")
    found = to_give(ConversationSummary("c", queued.state, for_queue))
    assert found is not None
    assert found.priority == "urgent"
    assert to_give(ConversationSummary("c")) is None


def test_who_waits_longest_comes_first_whatever_their_names() -> None:
    later, earlier = WaitingConversation("a", "sales", 2), WaitingConversation("b", "sales", 1)
    ada = DeskOperator("ada", "online", 0, 0)
    assert assign([later, earlier], [ada], SALES) == [("b", "ada")]
    assert assign([replace(later, priority="urgent"), earlier], [ada], SALES) == [("a", "ada")]
