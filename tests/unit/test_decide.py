"""The workflow's decisions, read as dialogues: given these facts, when this happens, then those."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shared.contract.conversation import Conversation, Input
from shared.contract.entry import MAX_ENTRY, Entry
from shared.contract.facts import (
    BotSaid,
    Choice,
    ChoiceAsked,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationReset,
    ConversationResolved,
    ConversationStarted,
    DecisionFailed,
    EditorClosed,
    EditorOpened,
    Fact,
    FlowAdvanced,
    FlowResumed,
    FlowStarted,
    HandoffRequested,
    InputRefused,
)
from shared.flow.decide import Moment, decide, failed, respond
from shared.flow.language.flow import MAX_WALK, Flow, parse
from shared.flow.language.flow_file import MAX_FILE
from shared.flow.language.state import FlowState
from tests import examples
from tests.dialogue import FlowDialogue, asks, choice, flow_of, says, text
from tests.examples import Story

SMALL = parse(examples.FLOW, "small")
MOMENT = Moment(now=examples.FIRST_TIME)
ASKED = ChoiceAsked(
    group="lang",
    question="Which one?",
    choices=(Choice(item="rust", text="Rust"), Choice(item="other", text="Other")),
)
OPENED = EditorOpened(session="fav", prompt="Type it here...", text="The editor is open")
STARTED = ConversationStarted(door="web")
CLAIMED = ConversationClaimed(operator="desk-1")
RESOLVED = ConversationResolved(operator="desk-1")


def handed_back(state: str | None = None) -> ConversationHandedBack:
    return ConversationHandedBack(operator="desk-1", state=state)


# --- the flow ---------------------------------------------------------------------------------


def test_a_new_visitor_is_greeted_and_asked() -> None:
    dialogue = FlowDialogue(SMALL)
    assert dialogue.when(STARTED) == (
        FlowStarted(flow="small", version=SMALL.version),
        FlowAdvanced(path=("hello", "pick")),
        BotSaid(text="Hi!"),
        ASKED,
    )
    assert (dialogue.state.progress.place, dialogue.state.progress.ended) == ("pick", False)


def test_a_choice_leads_to_the_end() -> None:
    dialogue = FlowDialogue(SMALL).given(STARTED)
    assert dialogue.when(choice("rust")) == (
        FlowAdvanced(path=("isRust", "bye"), ended=True),
        BotSaid(text="Great, thanks!"),
    )
    assert (dialogue.state.progress.place, dialogue.state.progress.ended) == ("bye", True)


def test_another_choice_opens_the_editor_and_a_text_closes_it() -> None:
    dialogue = FlowDialogue(SMALL).given(STARTED)
    assert dialogue.when(choice("other")) == (FlowAdvanced(path=("isOther", "ask")), OPENED)
    assert dialogue.when(text()) == (
        FlowAdvanced(path=("got", "close", "bye"), ended=True),
        EditorClosed(session="fav"),
        BotSaid(text="Great, thanks!"),
    )


def test_ids_are_compared_as_text() -> None:
    request = {
        "kind": "ChoiceRequest",
        "groupId": 1,
        "question": "?",
        "choices": [{"itemId": 2, "content": ""}],
    }
    flow = flow_of(
        pick={"sendRequest": request},
        two={"matchResponse": {"kind": "ChoiceResponse", "groupId": "1", "itemId": "2"}, "next": "ask"},
        ask=asks("7"),
        got={"matchResponse": {"kind": "UserText", "sessionId": 7}},
    )
    dialogue = FlowDialogue(flow).given(STARTED)
    assert dialogue.when(choice("2", "1"))[0] == FlowAdvanced(path=("two", "ask"))
    assert dialogue.when(text(session=7)) == (FlowAdvanced(path=("got",), ended=True),)


def test_of_two_answers_the_first_counts() -> None:
    taken = {"matchResponse": {"kind": "UserText", "sessionId": 1}}
    dialogue = FlowDialogue(flow_of(ask=asks(1), first=taken, second=taken)).given(STARTED)
    assert dialogue.when(text(session=1)) == (FlowAdvanced(path=("first",), ended=True),)


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before, now, reason",
    [
        ((STARTED,), text(), "stale_answer"),
        ((STARTED,), choice("rust", group="food"), "stale_answer"),
        ((STARTED,), choice("cobol"), "unknown_choice"),
        ((STARTED, choice("other")), choice("rust"), "stale_answer"),
        ((STARTED, choice("other")), text(session="operator"), "stale_answer"),
        ((STARTED, choice("rust")), choice("rust"), "conversation_ended"),
        ((STARTED, choice("rust")), text(), "conversation_ended"),
        ((), text(), "nothing_asked"),
        ((), choice("rust"), "nothing_asked"),
        ((STARTED, CLAIMED, RESOLVED), choice("rust"), "conversation_resolved"),
    ],
)
def test_what_is_out_of_turn_is_refused_and_changes_nothing(
    before: tuple[Fact, ...], now: Fact, reason: str
) -> None:
    dialogue = FlowDialogue(SMALL).given(*before)
    place = dialogue.state.progress.place
    assert dialogue.when(now) == (InputRefused(reason=reason),)
    assert dialogue.state.progress.place == place


def test_an_answer_that_no_state_takes_is_refused() -> None:
    dialogue = FlowDialogue(flow_of(ask=asks(1))).given(STARTED)
    assert dialogue.when(text(session=1)) == (InputRefused(reason="no_transition"),)


def test_after_a_refusal_the_right_answer_is_still_taken() -> None:
    dialogue = FlowDialogue(SMALL).given(STARTED, choice("cobol"), text())
    assert dialogue.when(choice("rust"))[0] == FlowAdvanced(path=("isRust", "bye"), ended=True)


# --- beginning anew ---------------------------------------------------------------------------


def test_a_reset_begins_with_the_current_flow() -> None:
    dialogue = FlowDialogue(SMALL).given(STARTED, choice("other"))
    dialogue.flow = flow_of(hello=says("New!"))
    assert dialogue.when(ConversationReset()) == (
        FlowStarted(flow="test", version=dialogue.flow.version),
        FlowAdvanced(path=("hello",), ended=True),
        BotSaid(text="New!"),
    )
    assert dialogue.state.progress.version == dialogue.flow.version


def test_a_reset_takes_a_conversation_from_its_operator() -> None:
    assert len(FlowDialogue(SMALL).given(STARTED, CLAIMED).when(ConversationReset())) == 4


# --- persons ----------------------------------------------------------------------------------

DESK = flow_of(
    hello=says("Hi!", "desk"),
    desk={"handoff": {"queue": "orders", "reason": "late"}, "next": "back"},
    back=says("Here I am again.", "ask"),
    ask=asks("fav"),
    got={"matchResponse": {"kind": "UserText", "sessionId": "fav"}, "next": "last"},
    last={"handoff": {"queue": "service"}},
)


def test_a_flow_asks_for_a_person_and_goes_on_after_the_handback() -> None:
    dialogue = FlowDialogue(DESK)
    assert dialogue.when(STARTED)[1:] == (
        FlowAdvanced(path=("hello", "desk")),
        BotSaid(text="Hi!"),
        HandoffRequested(queue="orders", reason="late"),
    )
    assert (dialogue.state.ownership.owner, dialogue.state.progress.place) == ("queue", "desk")
    assert dialogue.when(text()) == ()
    assert dialogue.given(CLAIMED).when(handed_back()) == (
        FlowResumed(),
        FlowAdvanced(path=("back", "ask")),
        BotSaid(text="Here I am again."),
        EditorOpened(session="fav"),
    )


def test_a_handoff_without_next_is_the_end_of_the_flow() -> None:
    dialogue = FlowDialogue(DESK).given(STARTED, CLAIMED, handed_back(), text(), CLAIMED)
    assert dialogue.state.progress.place == "last"
    over = (FlowResumed(), FlowAdvanced(path=(), ended=True))
    assert dialogue.when(handed_back()) == over
    assert dialogue.when(text()) == (InputRefused(reason="conversation_ended"),)
    assert dialogue.given(CLAIMED).when(handed_back()) == over


def test_after_a_takeover_the_question_is_asked_again() -> None:
    dialogue = FlowDialogue(SMALL).given(STARTED, CLAIMED)
    assert dialogue.when(handed_back()) == (FlowResumed(), FlowAdvanced(path=("pick",)), ASKED)
    dialogue.given(choice("other"), CLAIMED)
    assert dialogue.when(handed_back()) == (FlowResumed(), FlowAdvanced(path=("ask",)), OPENED)
    assert isinstance(dialogue.when(text())[0], FlowAdvanced)


def test_the_operator_may_name_where_the_flow_goes_on() -> None:
    dialogue = FlowDialogue(SMALL).given(STARTED, choice("rust"), CLAIMED)
    assert dialogue.when(handed_back("ask")) == (FlowResumed(), FlowAdvanced(path=("ask",)), OPENED)


def test_an_unknown_state_is_as_good_as_none() -> None:
    dialogue = FlowDialogue(SMALL).given(STARTED, CLAIMED)
    assert dialogue.when(handed_back("nowhere")) == (FlowResumed(), FlowAdvanced(path=("pick",)), ASKED)
    dialogue.given(choice("rust"), CLAIMED)
    assert dialogue.when(handed_back("")) == (FlowResumed(), FlowAdvanced(path=(), ended=True))


def test_a_handback_before_the_flow_began_begins_it() -> None:
    story = Story()
    story.visitor(STARTED)
    story.operator(CLAIMED)  # before the bot came to answer
    story.operator(handed_back())
    [item] = story.state.inbox.unanswered
    decided = decide(story.state, item, SMALL, MOMENT)
    assert isinstance(decided, tuple)
    assert decided[0] == FlowStarted(flow="small", version=SMALL.version)


def test_a_text_reopens_what_was_resolved() -> None:
    dialogue = FlowDialogue(DESK).given(STARTED, CLAIMED, RESOLVED)
    assert dialogue.state.ownership.status == "resolved"
    assert dialogue.when(text(session="operator")) == (HandoffRequested(queue="orders", reason="reopened"),)
    assert (dialogue.state.ownership.owner, dialogue.state.ownership.status) == ("queue", "open")
    asked_for_nobody = FlowDialogue(SMALL).given(STARTED, CLAIMED, RESOLVED)
    assert asked_for_nobody.when(text()) == (HandoffRequested(queue="default", reason="reopened"),)
    again = asked_for_nobody.given(CLAIMED).when(handed_back())
    assert again == (FlowResumed(), FlowAdvanced(path=("pick",)), ASKED)


# --- failures ---------------------------------------------------------------------------------


def test_a_flow_that_never_seems_to_end_fails() -> None:
    longest = {str(n): says("", str(n + 1)) for n in range(1, MAX_WALK)}
    fine = flow_of(**longest, **{str(MAX_WALK): {}})
    assert len(FlowDialogue(fine).when(STARTED)) == MAX_WALK + 1
    # The checker lets no such flow through; one that came by another way must not hang the bot.
    last = fine.states[str(MAX_WALK)]
    over = replace(fine, states={**fine.states, last.name: replace(last, next="1")})
    dialogue = FlowDialogue(over)
    assert dialogue.when(STARTED) == (DecisionFailed(reason="endless_flow"),)
    assert dialogue.state.turn == "error"
    assert dialogue.when(text()) == (InputRefused(reason="nothing_asked"),)


def test_an_answer_too_large_fails_and_the_conversation_goes_on() -> None:
    flow = flow_of(
        ask=asks(1),
        got={"matchResponse": {"kind": "UserText", "sessionId": 1}, "next": "large"},
        large=says("\x01" * 1_000),  # JSON writes each of these with six characters
    )
    dialogue = FlowDialogue(flow, max_entry=6_000).given(STARTED)
    for _ in range(2):
        assert dialogue.when(text(session=1)) == (DecisionFailed(reason="too_large"),)
        assert (dialogue.state.progress.place, dialogue.state.turn) == ("ask", "error")


def test_the_longest_answer_of_the_largest_flow_fits() -> None:
    largest = says("x" * (MAX_FILE - 100))
    assert isinstance(FlowDialogue(flow_of(hello=largest)).when(STARTED)[-1], BotSaid)


def test_beyond_what_the_log_takes_no_limit_helps() -> None:
    story = Story()
    story.visitor(STARTED)
    [item] = story.state.inbox.unanswered
    hello = FlowState(name="hello", effect=BotSaid(text="x" * MAX_ENTRY))
    flow = Flow(name="unchecked", version="1", content=b"", states={"hello": hello}, answers={})
    entry = respond(story.state, item, flow, MOMENT, max_entry=2 * MAX_ENTRY)
    assert isinstance(entry, Entry)
    assert entry.facts == failed("too_large")


def test_an_input_of_no_known_kind_is_refused() -> None:
    odd = Input(position=9, id="9", fact=examples.CONVERSATION_RATED)
    assert decide(Conversation(), odd, SMALL, MOMENT) == (InputRefused(reason="nothing_asked"),)
