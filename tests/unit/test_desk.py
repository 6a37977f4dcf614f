"""The operators' desk: what its lists show, what operators may do, how a transcript reads."""

from __future__ import annotations

import re
import time
from pathlib import Path

import msgspec
import pytest

from services.operator.desk import Desk
from services.operator.domain import decisions
from services.operator.domain.aliases import alias
from services.operator.domain.decisions import NotYours, Operator
from services.operator.domain.desk import View
from services.operator.domain.limits import MAX_KEYS, NETWORK_FACTOR, Failures, LoginLimit
from services.operator.domain.transcript import MAX_TALKS, PastTalks, lines, transcript
from shared.contract.conversation import NEW
from shared.contract.desk_facts import ConversationSnoozed
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    BotSaid,
    ChoiceMade,
    ConversationClaimed,
    ConversationEnded,
    ConversationErased,
    ConversationHandedBack,
    ConversationReset,
    ConversationResolved,
    ConversationStarted,
    ConversationTransferred,
    Fact,
    FlowAdvanced,
    HandoffRequested,
    InputRefused,
    OperatorSaid,
    ServiceAnswered,
    TextWritten,
    VariableSaved,
)
from shared.contract.html_text import plain
from shared.timestamps import format_time
from tests import examples
from tests.examples import (
    CHOICE_ASKED,
    CONVERSATION,
    CONVERSATION_STARTED,
    FIRST_TIME,
    FLOW_STARTED,
    OTHER_CONVERSATION,
    SECOND,
    Story,
    recorded,
)

ADA = Operator("ada", "Ada")
BOB = Operator("bob", "Bob")
CLAIMED = ConversationClaimed(operator="ada", name="Ada")


def desk_of(*entries: RecordedEntry) -> Desk:
    desk = Desk()
    for entry in entries:
        desk.apply(entry)
    return desk


def shown(desk: Desk, view: View, operator: str = "ada") -> list[str]:
    return [row.id for row in desk.page(view, operator, 100).conversations]


def story() -> Story:
    """A visitor who was greeted and then waits for a person."""
    story = Story()
    story.visitor(CONVERSATION_STARTED)
    story.bot(FLOW_STARTED, FlowAdvanced(path=("hello",)), BotSaid(text="<p>Hi &amp; hello</p>"), cause=1)
    story.visitor(TextWritten(session="s", text="<b>help</b>"))
    story.bot(HandoffRequested(queue="sales"), cause=3)
    return story


def test_a_conversation_moves_between_the_lists() -> None:
    told = story()
    desk = desk_of(*told.entries)
    assert shown(desk, "queue") == shown(desk, "live") == [CONVERSATION]
    assert shown(desk, "mine") == shown(desk, "resolved") == []
    desk.apply(told.operator(CLAIMED))
    assert shown(desk, "mine") == shown(desk, "live") == [CONVERSATION]
    assert shown(desk, "queue") == shown(desk, "mine", "bob") == []
    desk.apply(told.operator(ConversationResolved(operator="ada")))
    assert shown(desk, "resolved") == [CONVERSATION]
    assert shown(desk, "live") == shown(desk, "mine") == []


def test_a_row_tells_the_state_and_what_was_said_last() -> None:
    row = desk_of(*story().entries).find(CONVERSATION)
    assert row is not None
    assert row.state.ownership.owner == "queue"
    assert row.state.progress.place == "hello"
    assert row.last_line == "<b>help</b>"  # a visitor's words are text, never HTML
    assert row.started == FIRST_TIME
    assert row.updated == FIRST_TIME + 3 * SECOND


def past(told: Story, wanted: int | None = None) -> PastTalks:
    talks = PastTalks(wanted)
    for entry in told.entries:
        talks.add(entry)
    return talks


def test_what_was_said_before_the_visitor_began_anew_can_be_read() -> None:
    told = story()
    assert list(past(told).talks) == []
    told.visitor(ConversationReset())
    told.visitor(ConversationReset())  # nothing was said in between
    told.visitor(TextWritten(session="s", text="once more"))
    told.visitor(ConversationReset())
    first, second = past(told).talks
    assert (first.number, first.last_line, first.lines) == (0, "<b>help</b>", 3)
    assert (first.started, first.ended) == (FIRST_TIME + SECOND, FIRST_TIME + 3 * SECOND)
    assert (second.number, second.last_line, second.lines) == (2, "once more", 1)
    assert [line.text for line in past(told, 0).lines][:2] == ["Hi & hello", "<b>help</b>"]
    assert past(told, 1).lines == past(told, 3).lines == []


def test_what_was_erased_is_no_earlier_talk() -> None:
    told = story()
    told.visitor(ConversationReset())
    told.eraser(ConversationErased(by="ada"))
    told.visitor(CONVERSATION_STARTED)
    told.visitor(TextWritten(session="s", text="as if new"))
    told.visitor(ConversationReset())
    assert [talk.last_line for talk in past(told, 0).talks] == ["as if new"]
    assert past(told, 0).lines == []


def test_of_many_talks_the_latest_are_told() -> None:
    told = story()
    for number in range(MAX_TALKS + 10):
        told.visitor(TextWritten(session="s", text=str(number)))
        told.visitor(ConversationReset())
    talks = past(told).talks
    assert len(talks) == MAX_TALKS
    assert talks[-1].last_line == str(MAX_TALKS + 9)


def test_other_conversations_are_of_whom_the_same_door_calls_the_same() -> None:
    begun = {
        "a": ConversationStarted(door="rest", user="sam"),
        "b": ConversationStarted(door="rest", user="sam"),
        "c": ConversationStarted(door="rest", user="pat"),
        "d": ConversationStarted(door="other", user="sam"),
        "e": ConversationStarted(door="rest"),
        "f": ConversationStarted(door="rest"),
    }
    desk = desk_of(
        *(
            recorded(position, "visitor", fact, conversation=name * 32)
            for position, (name, fact) in enumerate(begun.items(), 1)
        )
    )

    def others(name: str) -> list[str]:
        found = desk.find(name * 32)
        return [other.id[0] for other in desk.others_of(found, 20)] if found is not None else []

    assert [others(name) for name in begun] == [["b"], ["a"], [], [], [], []]
    desk.apply(recorded(10, "eraser", ConversationErased(by="ada"), conversation="b" * 32))
    desk.flush()
    assert others("a") == []


def test_who_waits_for_a_person_and_since_when() -> None:
    told = story()
    desk = desk_of(*told.entries)
    row = desk.find(CONVERSATION)
    assert row is not None
    assert row.waiting == FIRST_TIME + 3 * SECOND
    desk.apply(told.operator(CLAIMED))
    assert row.waiting == FIRST_TIME + 3 * SECOND  # a claim is no answer yet
    desk.apply(told.operator(OperatorSaid(operator="ada", text="Hello")))
    assert row.waiting == 0
    desk.apply(told.visitor(TextWritten(session="s", text="one")))
    desk.apply(told.visitor(TextWritten(session="s", text="two")))
    assert row.waiting == FIRST_TIME + 6 * SECOND
    desk.apply(told.operator(ConversationHandedBack(operator="ada")))
    assert row.waiting == 0


def test_who_is_taken_from_the_bot_waits_for_the_operators_word() -> None:
    told = Story()
    told.visitor(CONVERSATION_STARTED)
    desk = desk_of(*told.entries, claimed := told.operator(CLAIMED))
    row = desk.find(CONVERSATION)
    assert row is not None
    assert row.waiting == claimed.time
    desk.apply(passed := told.operator(ConversationTransferred(operator="ada", to="bob", name="Bob")))
    assert row.waiting == claimed.time < passed.time  # whoever has it
    desk.apply(told.operator(OperatorSaid(operator="bob", text="Hello")))
    assert row.waiting == 0
    desk.apply(back := told.operator(ConversationTransferred(operator="bob", queue="sales")))
    assert row.waiting == back.time


@pytest.mark.parametrize(
    ("entries", "ending"),
    [
        ((("operator", CLAIMED), ("operator", ConversationResolved(operator="ada"))), "operator"),
        ((("bot", ConversationEnded(reason="inactivity")),), "silence"),
        (
            (
                ("bot", FlowAdvanced(path=("bye",), ended=True)),
                ("bot", ConversationEnded(reason="inactivity")),
            ),
            "visitor",
        ),
    ],
)
def test_how_a_conversation_ended(entries: tuple[tuple[str, Fact], ...], ending: str) -> None:
    told = Story()
    told.visitor(CONVERSATION_STARTED)
    for author, fact in entries:
        told.bot_alone(fact) if author == "bot" else told.operator(fact)
    desk = desk_of(*told.entries)
    row = desk.find(CONVERSATION)
    assert row is not None
    assert (row.ending, row.state.ownership.status) == (ending, "resolved")
    desk.apply(told.operator(CLAIMED))
    assert row.ending is None  # it is open again


def test_a_visitor_is_called_as_the_flow_was_told_or_by_an_alias() -> None:
    named = desk_of(*story().entries).find(CONVERSATION)
    assert named is not None
    assert (named.visitor, named.known) == (CONVERSATION_STARTED.user, True)  # the door was told
    told = Story()
    told.visitor(ConversationStarted(door="websocket"))
    desk = desk_of(*told.entries)
    row = desk.find(CONVERSATION)
    assert row is not None
    assert (row.visitor, row.known) == (alias(CONVERSATION), False)
    for name, value, called in [
        ("order", "A-1", alias(CONVERSATION)),
        ("email", "grace@example.org", "grace@example.org"),
        ("Name", " Grace\n Hopper\u0007 ", "Grace Hopper"),
        ("name", 7, "grace@example.org"),  # a number is no name
        ("name", "\u200b", "grace@example.org"),  # nor is what nobody can see
        ("name", "x" * 500, "x" * 80),
    ]:
        desk.apply(told.bot_alone(VariableSaved(name=name, value=value)))
        assert row.visitor == called, (name, value)


def test_an_alias_is_the_same_for_ever_and_hardly_ever_somebody_elses() -> None:
    assert alias("00" * 16) == "Magenta Bison 25"
    names = [alias(f"{number:032x}") for number in range(400)]
    assert len(set(names)) >= 398


def test_what_is_snoozed_is_neither_in_the_queue_nor_mine_until_its_time_has_come() -> None:
    """By the wall's clock: the file is asked, not a timer."""
    later = format_time(time.time_ns() + 3600 * SECOND)
    told = story()
    snoozed = told.desk(ConversationSnoozed(operator="ada", until=later))
    desk = desk_of(*told.entries, snoozed)
    assert shown(desk, "queue") == []
    assert shown(desk, "snoozed") == shown(desk, "live") == [CONVERSATION]
    past = format_time(time.time_ns() - SECOND)
    desk.apply(told.desk(ConversationSnoozed(operator="ada", until=past)))
    assert (shown(desk, "queue"), shown(desk, "snoozed")) == ([CONVERSATION], [])
    desk.apply(told.operator(CLAIMED))
    desk.apply(told.desk(ConversationSnoozed(operator="ada", until=later)))
    assert (shown(desk, "mine"), shown(desk, "snoozed")) == ([], [CONVERSATION])
    assert desk.owned("ada", 10) == [CONVERSATION]  # if ada is gone, it is not hers for longer


def test_a_snooze_beyond_all_numbers_of_the_file_is_kept_there() -> None:
    told = story()
    desk = desk_of(
        *told.entries, told.desk(ConversationSnoozed(operator="ada", until="2999-01-01T00:00:00Z"))
    )
    assert (shown(desk, "queue"), shown(desk, "snoozed")) == ([], [CONVERSATION])


def test_a_lapsed_lease_wakes_nothing() -> None:
    later = format_time(time.time_ns() + 3600 * SECOND)
    told = story()
    told.operator(CLAIMED)
    told.desk(ConversationSnoozed(operator="ada", until=later))
    told.operator(ConversationTransferred(operator="ada", queue="sales", lapsed=True))
    desk = desk_of(*told.entries)
    assert (shown(desk, "queue"), shown(desk, "snoozed")) == ([], [CONVERSATION])


def test_the_queue_begins_with_who_waits_longest_and_the_rest_with_the_latest() -> None:
    first, second = CONVERSATION, OTHER_CONVERSATION
    desk = desk_of(
        recorded(1, "visitor", CONVERSATION_STARTED, conversation=first),
        recorded(2, "visitor", CONVERSATION_STARTED, conversation=second),
        recorded(3, "bot", HandoffRequested(queue="q"), cause=1, conversation=first),
        recorded(4, "bot", HandoffRequested(queue="q"), cause=2, conversation=second),
        recorded(5, "visitor", TextWritten(session="s", text="still here"), conversation=first),
    )
    assert shown(desk, "queue") == [first, second]
    assert shown(desk, "live") == [first, second]
    desk.apply(recorded(6, "visitor", TextWritten(session="s", text="me too"), conversation=second))
    assert shown(desk, "queue") == [first, second]
    assert shown(desk, "live") == [second, first]


@pytest.mark.parametrize("view", ["queue", "live"])
def test_pages_cover_a_view_once(view: View) -> None:
    desk = Desk()
    ids = [f"{number:032x}" for number in range(25)]
    for number, id in enumerate(ids):
        desk.apply(recorded(2 * number + 1, "visitor", CONVERSATION_STARTED, conversation=id))
        handoff = HandoffRequested(queue="q")
        desk.apply(recorded(2 * number + 2, "bot", handoff, cause=2 * number + 1, conversation=id))
    seen: list[str] = []
    before = None
    for _ in range(3):
        page = desk.page(view, "ada", 10, before)
        seen += [row.id for row in page.conversations]
        before = page.next
    assert before is None
    assert seen == (ids if view == "queue" else ids[::-1])


def test_the_lists_are_ordered_by_when_things_were_stored_not_by_when_they_came() -> None:
    """Entries of different streams come in any order; positions of theirs say nothing of each other."""
    first, second = CONVERSATION, OTHER_CONVERSATION
    later = recorded(1, "visitor", CONVERSATION_STARTED, conversation=second)
    desk = desk_of(
        recorded(7, "visitor", CONVERSATION_STARTED, conversation=first),
        later,
        recorded(8, "bot", HandoffRequested(queue="q"), cause=7, conversation=first),
        recorded(2, "bot", HandoffRequested(queue="q"), cause=1, conversation=second),
    )
    assert shown(desk, "live") == [first, second]
    assert shown(desk, "queue") == [second, first]
    page = desk.page("live", "ada", 1)
    assert [row.id for row in desk.page("live", "ada", 1, page.next).conversations] == [second]


def test_what_comes_at_one_moment_is_on_one_page() -> None:
    """The place of a page is a moment: what has the same one would be on none."""
    entries = [
        msgspec.structs.replace(
            recorded(1, "visitor", CONVERSATION_STARTED, conversation=f"{number:032x}"), time=FIRST_TIME
        )
        for number in range(3)
    ]
    page = desk_of(*entries).page("live", "ada", 2)
    assert (len(page.conversations), page.next) == (3, None)


def test_what_was_never_started_does_not_show() -> None:
    desk = desk_of(recorded(1, "visitor", TextWritten(session="s", text="hm")))
    assert desk.find(CONVERSATION) is None
    assert shown(desk, "live") == []


def test_an_engagement_of_an_agent_is_hidden() -> None:
    desk = desk_of(recorded(1, "visitor", examples.ENGAGEMENT_BEGAN))
    assert desk.find(CONVERSATION) is None
    assert shown(desk, "live") == []


def test_a_handoff_to_which_nobody_came_waits_no_longer() -> None:
    waiting = story()
    waiting.bot_alone(examples.HANDOFF_WITHDRAWN)
    desk = desk_of(*waiting.entries)
    row = desk.find(CONVERSATION)
    assert row is not None
    assert (row.waiting, shown(desk, "queue"), shown(desk, "live")) == (0, [], [CONVERSATION])


def test_a_transcript_tells_the_assistant_from_the_bot_and_says_what_went_wrong() -> None:
    told = story()
    told.bot_alone(examples.HANDOFF_WITHDRAWN)
    told.visitor(TextWritten(session="assistant", text="When?"))
    cause = told.entries[-1].position
    told.bot_alone(ServiceAnswered(cause=cause, state="stock", failure="timeout"))
    told.bot(examples.VARIABLE_SAVED, examples.ASSISTANT_SAID, cause=cause)
    told.visitor(TextWritten(session="assistant", text="Sure?"))
    told.bot(examples.ANSWER_FAILED, examples.CONVERSATION_ENDED, cause=told.entries[-1].position)
    lines = [(line.who, line.text) for line in transcript(told.entries)][-8:]
    assert lines == [
        ("system", "Nobody came; the bot goes on"),
        ("visitor", "When?"),
        ("system", "No answer from the service of “stock”: timeout"),
        ("system", "email: sam@example.com"),
        ("assistant", "It arrives < Monday."),
        ("visitor", "Sure?"),
        ("system", "The assistant could not answer: rate_limited"),
        ("system", "Ended by the bot: inactivity"),
    ]


def test_a_transcript_says_which_condition_could_not_be_told() -> None:
    told = Story()
    told.visitor(CONVERSATION_STARTED)
    told.bot(examples.FLOW_ADVANCED, examples.BOT_SAID, examples.CONDITION_UNTOLD, cause=1)
    last = transcript(told.entries)[-1]
    assert (last.who, last.text) == (
        "system",
        "“kilos > 'x'” at “weigh” counts as false: of the wrong type",
    )


def test_a_reset_begins_anew() -> None:
    told = story()
    desk = desk_of(*told.entries)
    desk.apply(told.visitor(ConversationReset()))
    row = desk.find(CONVERSATION)
    assert row is not None
    assert (row.state.ownership.owner, row.waiting, row.last_line) == ("bot", 0, "")
    assert row.started == FIRST_TIME + 4 * SECOND
    assert shown(desk, "queue") == []
    assert shown(desk, "live") == [CONVERSATION]
    assert transcript(told.entries) == []


def test_a_repeated_entry_changes_nothing() -> None:
    entries = story().entries
    once, twice = desk_of(*entries), desk_of(*entries, *entries)
    assert once.find(CONVERSATION) == twice.find(CONVERSATION)


def test_of_two_claims_the_second_is_told_who() -> None:
    state = story().state
    assert decisions.claim(state, ADA) == (CLAIMED,)
    told = story()
    told.operator(CLAIMED)
    assert decisions.claim(told.state, ADA) == ()
    refusal = decisions.claim(told.state, BOB)
    assert isinstance(refusal, NotYours)
    assert (refusal.operator, refusal.operator_name) == ("ada", "Ada")
    assert "Ada" in refusal.error


def test_only_the_owner_may_speak_hand_back_and_resolve() -> None:
    told = story()
    for decide in (
        lambda state, who: decisions.say(state, who, "hi"),
        lambda state, who: decisions.hand_back(state, who, None),
        decisions.resolve,
        decisions.may_type,
    ):
        assert isinstance(decide(NEW, ADA), NotYours)
        assert isinstance(decide(story().state, ADA), NotYours)
        told = story()
        told.operator(CLAIMED)
        assert isinstance(decide(told.state, BOB), NotYours)
        assert not isinstance(decide(told.state, ADA), NotYours)
    assert decisions.say(told.state, ADA, "hi") == (OperatorSaid(operator="ada", text="hi", name="Ada"),)


def test_a_transcript_is_plain_text_and_leaves_out_what_did_not_count() -> None:
    told = story()
    told.operator(CLAIMED)
    told.operator(OperatorSaid(operator="ada", text="<i>yes?</i>", name="Ada"), id="once")
    told.operator(OperatorSaid(operator="ada", text="again", name="Ada"), id="once")
    told.operator(OperatorSaid(operator="bob", text="not mine", name="Bob"))
    told.operator(ConversationHandedBack(operator="ada", state="pick"))
    told.bot(CHOICE_ASKED, cause=9)
    told.visitor(ChoiceMade(group="lang", item="rust"))
    told.bot(InputRefused(reason="stale"), cause=11)
    assert [(line.who, line.text) for line in transcript(told.entries)] == [
        ("bot", "Hi & hello"),
        ("visitor", "<b>help</b>"),
        ("system", "Waiting for a person in “sales”"),
        ("system", "Ada took over"),
        ("operator", "<i>yes?</i>"),
        ("system", "Ada handed back to the bot at “pick”"),
        ("bot", "Which one?\n• Rust\n• Other"),
        ("visitor", "Rust"),
        ("system", "Not accepted by the bot: stale"),
    ]


def test_live_lines_equal_the_transcript() -> None:
    told = story()
    told.operator(CLAIMED)
    told.operator(ConversationHandedBack(operator="ada"))
    told.bot(CHOICE_ASKED, cause=6)
    told.visitor(ChoiceMade(group="lang", item=2))
    desk = Desk()
    live = [line for entry in told.entries for line in lines(desk.apply(entry))]
    assert live == transcript(told.entries)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a < b", "a < b"),
        ("<p>one</p><p>two<br>three</p>", "one\n\ntwo\nthree"),
        ("<a href='https://example.com'>here</a>", "here"),
        ("x<script>alert(1)</script>y", "xy"),
        ("&lt;b&gt; &amp; &eacute;", "<b> & é"),
        ("<b>open", "open"),
        ("<ul><li>1<li>2</ul>", "1\n2"),
    ],
)
def test_html_becomes_plain_text(html: str, text: str) -> None:
    assert plain(html) == text


def test_failed_logins_are_limited_within_a_minute() -> None:
    failures = Failures(2)
    assert failures.wait("ada", 0.0) == 0
    failures.add("ada", 0.0)
    failures.add("ada", 10.0)
    assert failures.wait("ada", 20.0) == 40.0
    assert failures.wait("bob", 20.0) == 0
    failures.take_back("ada", 10.0)
    assert failures.wait("ada", 20.0) == 0
    failures.add("ada", 30.0)
    assert failures.wait("ada", 61.0) == 0


def test_nobody_is_kept_out_by_failures_elsewhere() -> None:
    limit = LoginLimit(2)
    for _ in range(2):
        limit.add("ada", "198.51.100.7", 0.0)
        limit.add("ada", "2001:db8::1", 0.0)
    assert limit.wait("ada", "198.51.100.7", 1.0) == 59.0
    assert limit.wait("ada", "::ffff:198.51.100.7", 1.0) == 59.0  # the same address
    assert limit.wait("ada", "2001:db8::2", 1.0) == 59.0  # whoever has one has all of the /64
    assert limit.wait("ada", "2001:db8:0:1::1", 1.0) == 0
    assert limit.wait("ada", "198.51.100.8", 1.0) == 0  # a colleague of the same network
    assert limit.wait("bob", "198.51.100.7", 1.0) == 0


def test_many_names_from_one_network_are_seen_and_fill_no_memory() -> None:
    limit = LoginLimit(2)
    for number in range(2 * NETWORK_FACTOR):
        assert limit.wait(f"name-{number}", "198.51.100.7", 0.0) == 0
        limit.add(f"name-{number}", "198.51.100.7", 0.0)
    assert limit.wait("another", "198.51.100.200", 0.0) == 60.0
    assert limit.wait("another", "198.51.101.1", 0.0) == 0
    failures = Failures(2)
    for number in range(MAX_KEYS + 10):
        failures.wait(f"asked-{number}", 0.0)
        failures.add(f"tried-{number}", 0.0)
    assert len(failures) == MAX_KEYS
    failures.take_back(f"tried-{MAX_KEYS}", 0.0)
    assert len(failures) == MAX_KEYS - 1


def test_a_conversation_that_was_put_back_waits_from_then_on() -> None:
    told = story()
    told.operator(CLAIMED)
    told.operator(OperatorSaid(operator="ada", text="One moment", name="Ada"))
    back = told.operator(ConversationTransferred(operator="ada", queue="orders"))
    desk = desk_of(*told.entries)
    (row,) = desk.page("queue", "ada", 10).conversations
    assert (row.state.ownership.queue, row.waiting) == ("orders", back.time)


def test_a_conversation_that_was_passed_on_is_the_other_ones() -> None:
    told = story()
    told.operator(CLAIMED)
    told.operator(ConversationTransferred(operator="ada", to="bob", name="Bob"))
    desk = desk_of(*told.entries)
    assert (shown(desk, "mine", "ada"), shown(desk, "mine", "bob")) == ([], [told.entries[0].conversation])
    said = [line.text for line in transcript(told.entries)]
    assert said[-2:] == ["Ada took over", "Ada passed this on to Bob"]


def test_what_is_noted_moves_a_conversation_in_no_list() -> None:
    """Nothing was said: whoever waits waits as long as before, and no retention begins anew."""
    desk = desk_of(*story().entries)
    before = msgspec.structs.replace(desk.page("live", "ada", 1).conversations[0])
    change = desk.apply(recorded(99, "desk", examples.LABEL_ADDED, examples.CONVERSATION_ASSIGNED))
    after = desk.page("live", "ada", 1).conversations[0]
    assert (change.facts, lines(change)) == ((), [])
    assert (after.notes.labels, after.notes.position) == (("refund",), 99)
    assert msgspec.structs.replace(after, notes=before.notes) == before
    assert after.updated == before.updated < recorded(99, "desk").time


def test_an_entry_that_comes_again_changes_nothing() -> None:
    entries = story().entries
    desk = desk_of(*entries)
    before = desk.page("queue", "ada", 10)
    change = desk.apply(entries[0])
    assert (change.facts, desk.page("queue", "ada", 10)) == ((), before)
    assert desk.find(entries[0].conversation).updated == entries[-1].time  # type: ignore[union-attr]


#: The indexes of those conversations in which somebody has something to do.
FEW = {"by_queue", "by_waiting", "by_wanted", "by_given", "by_mail", "by_operator", "by_snooze"}


def test_what_is_asked_every_few_seconds_reads_none_of_the_conversations_that_it_is_not_about(
    tmp_path: Path,
) -> None:
    """A busy bot may have 200,000 live conversations: to go through these holds up everything else."""
    path = tmp_path / "desk.sqlite"
    desk = Desk(path)
    asked: list[str] = []
    desk._file.set_trace_callback(asked.append)
    desk.owners()
    desk.loads()
    desk.waits()
    desk.gifts()
    desk.unanswered(10)
    desk.to_mail(1, 2, 10)
    desk.for_people(10)
    for view in ("queue", "mine", "snoozed"):
        desk.page(view, "ada", 10, None)
    desk._file.set_trace_callback(None)
    questions = [each for each in asked if each.startswith("SELECT") and "FROM conversations" in each]
    assert len(questions) >= 9
    for question in questions:
        plan = [row[3] for row in desk._file.execute(f"EXPLAIN QUERY PLAN {question}")]
        for step in plan:
            read = re.search(r"(?:SCAN|SEARCH) conversations(?: USING (?:COVERING )?INDEX (\w+))?", step)
            assert read is None or read[1] in FEW, (question, plan)
    desk.close()
