"""What flows can do beyond asking and telling, as dialogues: variables, conditions, timers, and so on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.contract.conversation import Input
from shared.contract.entry import needed
from shared.contract.facts import (
    AnswerFailed,
    AskedAgain,
    AssistantSaid,
    BotSaid,
    ChoiceAsked,
    ConditionUntold,
    ConversationClaimed,
    ConversationEnded,
    ConversationHandedBack,
    ConversationReset,
    ConversationStarted,
    DecisionFailed,
    EditorClosed,
    EditorOpened,
    Fact,
    FlowAdvanced,
    FlowResumed,
    FlowStarted,
    HandoffRequested,
    HandoffWithdrawn,
    InputRefused,
    OperatorSaid,
    TimerArmed,
    TimerFired,
    VariableSaved,
)
from shared.flow.decide import (
    MAX_FIRED,
    CallService,
    Generate,
    Generated,
    GenerationFailed,
    GoTo,
    HandoffRequest,
    begins,
    decide,
)
from shared.flow.language.flow import Flow, parse
from shared.flow.turn import MAX_NEEDS, MAX_UNTOLD
from tests.dialogue import FlowDialogue, asks, choice, flow_of, got, offers, path, picked, said, says, text

FLOWS = Path(__file__).parents[2] / "services" / "workflow" / "flows"
STARTED = ConversationStarted(door="websocket")
CLAIMED = ConversationClaimed(operator="desk-1")
BACK = ConversationHandedBack(operator="desk-1")


def typed(words: str) -> Fact:
    """A text from a door that knows text only."""
    return text(words, session="")


def saved(facts: tuple[Fact, ...]) -> dict[str, Any]:
    return {fact.name: fact.value for fact in facts if isinstance(fact, VariableSaved)}


# --- variables --------------------------------------------------------------------------------

CONTACT = flow_of(
    ask=asks("mail", "What is your e-mail address?"),
    got=got("mail", "thanks", save={"as": "email", "kind": "email", "invalid": "That is none."}),
    thanks=says("We write to {{ email }}.", "age"),
    age=asks("age", "How old are you, {{ email }}?"),
    gotAge=got("age", "bye", save={"as": "age", "kind": "number", "min": 18, "max": 120}),
    bye=says("{{ age }} and {{ name | nameless }}"),
)


def test_an_answer_is_kept_and_used_in_texts() -> None:
    dialogue = FlowDialogue(CONTACT).given(STARTED)
    facts = dialogue.when(text(" sam@example.com ", "mail"))
    assert facts == (
        FlowAdvanced(path=("got", "thanks", "age")),
        VariableSaved(name="email", value="sam@example.com"),
        BotSaid(text="We write to sam@example.com."),
        EditorOpened(session="age", text="How old are you, sam@example.com?"),
    )
    assert dialogue.state.progress.variables == {"email": "sam@example.com"}
    assert said(dialogue.when(text("44", "age"))) == ["44 and nameless"]
    assert dialogue.state.progress.variables == {"email": "sam@example.com", "age": 44}


def test_a_wrong_answer_is_asked_again_with_the_reason() -> None:
    dialogue = FlowDialogue(CONTACT).given(STARTED)
    for tries in (1, 2, 3, 4):
        assert dialogue.when(text("sam", "mail")) == (
            AskedAgain(reason="not_an_email", tries=tries),
            BotSaid(text="That is none."),
            EditorOpened(session="mail", text="What is your e-mail address?"),
        )
    assert path(dialogue.when(text("sam@example.com", "mail"))) == ("got", "thanks", "age")
    assert dialogue.state.progress.tries == 0
    again = dialogue.when(text("17", "age"))
    assert again[0] == AskedAgain(reason="too_small", tries=1)
    assert said(again)[1] == "How old are you, sam@example.com?"


def test_what_a_visitor_wrote_is_no_markup() -> None:
    flow = flow_of(
        ask=asks(), got=got(next="hi", save="name"), hi=says("<b>{{ name }}</b>", "more"), more=asks("x", "?")
    )
    assert said(FlowDialogue(flow).given(STARTED).when(text("<script>&")))[0] == "<b>&lt;script&gt;&amp;</b>"


def test_a_prompt_is_no_html_and_needs_no_escape() -> None:
    opens = {"kind": "StartChatSession", "sessionId": 2, "chatPrompt": "{{ name }}", "chatText": "{{ name }}"}
    flow = flow_of(ask=asks(), got=got(next="more", save="name"), more={"sendRequest": opens})
    facts = FlowDialogue(flow).given(STARTED).when(text("a & b"))
    assert facts[-1] == EditorOpened(session=2, prompt="a & b", text="a &amp; b")


def test_a_choice_is_kept_as_it_is_written() -> None:
    flow = flow_of(
        pick=offers("n", 1, "b"),
        one=picked("n", 1, "bye", save="n"),
        other=picked("n", "b", "bye", save={"as": "n"}),
        bye=says("{{ n }}"),
    )
    assert saved(FlowDialogue(flow).given(STARTED).when(choice("1", "n"))) == {"n": 1}
    assert saved(FlowDialogue(flow).given(STARTED).when(choice("b", "n"))) == {"n": "b"}


def test_named_groups_of_a_pattern_are_kept() -> None:
    flow = flow_of(
        ask=asks(),
        order=got(pattern=r"order\s+(?P<number>\d+)( for (?P<who>\w+))?", next="found", save="whole"),
        other=got(next="lost"),
        found=says("{{ number }}{{ who }}"),
        lost=says("?"),
    )
    facts = FlowDialogue(flow).given(STARTED).when(text("Where is my ORDER 417?"))
    assert saved(facts) == {"whole": "Where is my ORDER 417?", "number": "417"}
    assert said(facts) == ["417"]


def test_a_flow_that_begins_anew_has_forgotten_everything() -> None:
    flow = flow_of(hi=says("Hi {{ name | you }}", "ask"), ask=asks(), got=got(next="hi", save="name"))
    dialogue = FlowDialogue(flow).given(STARTED)
    assert said(dialogue.when(text("Sam"))) == ["Hi Sam"]
    assert said(dialogue.when(ConversationReset())) == ["Hi you"]
    assert dialogue.state.progress.variables == {}


def test_texts_that_grow_beyond_all_measure_fail() -> None:
    flow = flow_of(ask=asks(), got=got(next="big", save="x"), big=says("{{ x }}" * 20_000, "ask"))
    dialogue = FlowDialogue(flow).given(STARTED)
    assert dialogue.when(text("x" * 16_000)) == (DecisionFailed(reason="too_large"),)
    assert dialogue.state.progress.place == "ask"


# --- matching texts ---------------------------------------------------------------------------

MATCHING = flow_of(
    ask=asks(fallback={"say": "Pardon?", "times": 2, "next": "lost"}),
    person=got(words=["person", "human being"], next="desk"),
    number=got(pattern=r"^\d+$", next="found"),
    exact=got(pattern="ABC", ignoreCase=False, next="found"),
    desk={"handoff": {"queue": "q"}},
    found=says("Found."),
    lost=says("I give up."),
)


@pytest.mark.parametrize(
    "words, taken_by",
    [
        ("A PERSON, please!", "person"),
        ("no human  being there?", "person"),
        ("417", "number"),
        ("my ABC", "exact"),
    ],
)
def test_the_first_state_that_matches_takes_the_text(words: str, taken_by: str) -> None:
    assert path(FlowDialogue(MATCHING).given(STARTED).when(text(words)))[0] == taken_by


def test_what_nothing_matches_is_asked_again_and_then_given_up() -> None:
    dialogue = FlowDialogue(MATCHING).given(STARTED)
    for tries, words in enumerate(("abc", "personal 417"), 1):
        facts = dialogue.when(text(words))
        assert facts == (
            AskedAgain(reason="no_match", tries=tries),
            BotSaid(text="Pardon?"),
            EditorOpened(session="fav"),
        )
    assert path(dialogue.when(text("humane"))) == ("lost",)


def test_the_settings_fallback_is_for_questions_without_one() -> None:
    flow = flow_of(
        settings={"fallback": {"say": "What?"}},
        ask=asks(),
        got=got(words=["yes"], next="own"),
        own=asks("own", fallback={"next": "end"}),
        gotOwn=got("own", words=["yes"], next="end"),
        end={"end": True},
    )
    dialogue = FlowDialogue(flow).given(STARTED)
    for tries in (1, 2, 3, 4):  # without a way out it asks for ever
        assert dialogue.when(text("no"))[:2] == (
            AskedAgain(reason="no_match", tries=tries),
            BotSaid(text="What?"),
        )
    dialogue.given(text("yes"))
    assert dialogue.when(text("no", "own")) == (
        AskedAgain(reason="no_match", tries=1),
        EditorOpened(session="own"),
    )


def test_wrong_answers_too_lead_to_the_fallback() -> None:
    flow = flow_of(
        ask=asks(fallback={"times": 1, "next": "desk"}),
        got=got(save={"as": "day", "kind": "date"}),
        desk={"handoff": {"queue": "q", "reason": "{{ day | no day }}"}},
    )
    dialogue = FlowDialogue(flow).given(STARTED)
    assert dialogue.when(text("soon"))[0] == AskedAgain(reason="not_a_date", tries=1)
    assert dialogue.when(text("soon"))[-1] == HandoffRequested(queue="q", reason="no day")


def test_without_a_fallback_the_text_is_refused() -> None:
    flow = flow_of(ask=asks(), got=got(words=["yes"]))
    assert FlowDialogue(flow).given(STARTED).when(text("no")) == (InputRefused(reason="no_transition"),)


@pytest.mark.parametrize("words", ["2", "2.", " 2) ", "LARGE", "the large", "The large!", "the <large>"])
def test_a_door_that_knows_text_only_names_a_choice_by_number_id_or_words(words: str) -> None:
    flow = flow_of(
        pick=offers("s", "small", "large"), small=picked("s", "small"), large=picked("s", "large", save="s")
    )
    assert saved(FlowDialogue(flow).given(STARTED).when(typed(words))) == {"s": "large"}


@pytest.mark.parametrize("words", ["0", "3", "", "!", "twofold", "99999999999999999999", "²"])
def test_other_words_are_no_choice(words: str) -> None:
    choices = {
        "pick": offers("s", "small", "large"),
        "one": picked("s", "small"),
        "two": picked("s", "large"),
    }
    assert FlowDialogue(flow_of(**choices)).given(STARTED).when(typed(words)) == (
        InputRefused(reason="unknown_choice"),
    )
    choices["pick"]["fallback"] = {"say": "A number, please."}
    again = FlowDialogue(flow_of(**choices)).given(STARTED).when(typed(words))
    assert again[0] == AskedAgain(reason="no_match", tries=1)
    assert said(again) == ["A number, please.", "Which?"]


def test_a_number_on_the_screen_that_is_another_choices_id_is_asked_back() -> None:
    flow = flow_of(pick=offers("s", 2, 1), a=picked("s", 1, save="s"), b=picked("s", 2, save="s"))
    dialogue = FlowDialogue(flow).given(STARTED)
    assert said(dialogue.when(typed("1")))[0] == "Do you mean “The 2” (#1) or “The 1” (#2)?"
    assert saved(dialogue.when(typed("#1"))) == {"s": 2}


def test_a_door_that_knows_text_only_answers_any_editor() -> None:
    assert path(FlowDialogue(CONTACT).given(STARTED).when(typed("a@b.de"))) == ("got", "thanks", "age")


# --- conditions -------------------------------------------------------------------------------


def amounts(*next: Any) -> Flow:
    return flow_of(
        ask=asks(),
        got=got(next=list(next), save={"as": "amount", "kind": "number"}),
        big=says("big"),
        small=says("small"),
    )


def test_a_condition_chooses_the_way() -> None:
    flow = amounts({"when": "amount > 100", "next": "big"}, {"next": "small"})
    assert said(FlowDialogue(flow).given(STARTED).when(text("100.5"))) == ["big"]
    assert said(FlowDialogue(flow).given(STARTED).when(text("100"))) == ["small"]


def test_what_is_not_saved_yet_is_null() -> None:
    flow = flow_of(
        hi={"next": [{"when": "name == null", "next": "ask"}, {"next": "bye"}]},
        ask=asks(),
        got=got(next="hi", save="name"),
        bye=says("{{ name }}"),
    )
    dialogue = FlowDialogue(flow)
    assert path(dialogue.when(STARTED)) == ("hi", "ask")
    assert said(dialogue.when(text("Sam"))) == ["Sam"]


def test_a_condition_that_cannot_be_told_is_false_and_is_remarked() -> None:
    flow = amounts(
        {"when": "amount.size > 3", "next": "big"}, {"when": "amount", "next": "big"}, {"next": "small"}
    )
    dialogue = FlowDialogue(flow).given(STARTED)
    assert said(dialogue.when(text("5"))) == ["small"]
    assert [remark.state for remark in dialogue.remarks] == ["got", "got"]
    assert "counts as false" in dialogue.remarks[0].reason
    assert "it gives a number, and neither true nor false" in dialogue.remarks[1].reason


def test_a_condition_that_cannot_be_told_is_noted_behind_what_is_said() -> None:
    flow = amounts(
        {"when": "amount.size > 3", "next": "big"}, {"when": "amount + 'x'", "next": "big"}, {"next": "small"}
    )
    facts = FlowDialogue(flow).given(STARTED).when(text("5"))
    kinds = [type(fact) for fact in facts]
    assert kinds.index(BotSaid) < kinds.index(ConditionUntold)
    assert [fact for fact in facts if isinstance(fact, ConditionUntold)] == [
        ConditionUntold(
            state="got",
            condition="amount.size > 3",
            reason="a value is of the wrong type, or nothing is saved yet",
        ),
        ConditionUntold(
            state="got", condition="amount + 'x'", reason="it calculates with a number and a text"
        ),
    ]
    assert needed(facts) == needed((FlowAdvanced(path=()), VariableSaved(name="n", value=1)))
    told = FlowDialogue(amounts({"when": "amount * 4 >= 42", "next": "big"}, {"next": "small"}))
    facts = told.given(STARTED).when(text("10.5"))
    assert said(facts) == ["big"]
    assert not any(isinstance(fact, ConditionUntold) for fact in facts)


def test_untold_conditions_never_make_an_answer_too_large() -> None:
    wide = "'" + "x" * 400 + "'"
    states = {
        f"s{n}": {"next": [{"when": f"amount > {wide}", "next": "end"}, {"next": f"s{n + 1}"}]}
        for n in range(30)
    }
    flow = flow_of(
        ask=asks(),
        got=got(save={"as": "amount", "kind": "number"}, next="s0"),
        **states,
        s30=says("There.", "end"),
        end={"end": True},
    )
    facts = FlowDialogue(flow).given(STARTED).when(text("1"))
    assert sum(isinstance(fact, ConditionUntold) for fact in facts) == MAX_UNTOLD
    short = FlowDialogue(flow, max_entry=1_500).given(STARTED).when(text("1"))
    assert said(short) == ["There."]
    assert not any(isinstance(fact, ConditionUntold) for fact in short)


def test_conditions_know_the_visitor() -> None:
    flow = flow_of(
        hi={
            "next": [
                {"when": "visitor.door == 'rest' && visitor.language == 'de'", "next": "a"},
                {"next": "b"},
            ]
        },
        a=says({"en": "A", "de": "Ä"}),
        b=says("B"),
    )
    assert said(FlowDialogue(flow).when(ConversationStarted(door="rest", language="de-CH, en;q=0.5"))) == [
        "Ä"
    ]
    assert said(FlowDialogue(flow).when(ConversationStarted(door="rest", language="fr"))) == ["B"]


# --- languages --------------------------------------------------------------------------------


def test_every_text_is_in_the_visitors_language() -> None:
    flow = flow_of(
        settings={"language": "de"},
        hi=says({"en": "Hello", "de": "Hallo", "pt-BR": "Oi"}, "pick"),
        pick=offers("g", "x", question={"en": "Which?", "de": "Welche?"}),
        x=picked("g", "x"),
    )
    for language, heard in {
        "en-GB,en;q=0.9": ["Hello", "Which?"],
        "pt-BR, en;q=0.1": ["Oi", "Which?"],
        "fr": ["Hallo", "Welche?"],
        "": ["Hallo", "Welche?"],
        "de;q=0, EN": ["Hello", "Which?"],
    }.items():
        assert said(FlowDialogue(flow).when(ConversationStarted(door="web", language=language))) == heard


def test_a_choice_is_named_in_the_language_it_was_asked_in() -> None:
    words = {"en": "Yes", "de": "Ja"}
    request = {
        "kind": "ChoiceRequest",
        "groupId": 1,
        "question": "?",
        "choices": [{"itemId": "y", "content": words}],
    }
    flow = flow_of(ask={"sendRequest": request}, yes=picked(1, "y"))
    german = FlowDialogue(flow).given(ConversationStarted(door="rest", language="de"))
    assert german.when(typed("yes")) == (InputRefused(reason="unknown_choice"),)
    assert path(german.when(typed("ja"))) == ("yes",)


# --- timers -----------------------------------------------------------------------------------

WAITING = flow_of(
    ask=asks(after=[{"delay": "5m", "say": "Are you there?"}, {"delay": "1h", "say": "Bye.", "next": "end"}]),
    got=got(next="end"),
    end={"end": True},
)


def test_a_question_arms_its_timers() -> None:
    facts = FlowDialogue(WAITING).when(STARTED)
    assert facts[-2:] == (
        TimerArmed(id="after:1:0", at="2023-11-14T22:18:20.000Z"),
        TimerArmed(id="after:1:1", at="2023-11-14T23:13:20.000Z"),
    )


def test_a_reminder_leaves_the_flow_where_it_is() -> None:
    dialogue = FlowDialogue(WAITING).given(STARTED)
    assert dialogue.when(TimerFired(id="after:1:0")) == (BotSaid(text="Are you there?"),)
    assert [timer.id for timer in dialogue.state.timers.armed] == ["after:1:1"]
    assert path(dialogue.when(text("yes"))) == ("got", "end")
    assert dialogue.state.timers.armed == ()


def test_a_timer_leads_on() -> None:
    dialogue = FlowDialogue(WAITING).given(STARTED)
    assert dialogue.when(TimerFired(id="after:1:1")) == (
        FlowAdvanced(path=("end",), ended=True),
        BotSaid(text="Bye."),
    )
    assert dialogue.state.timers.armed == ()


def test_timers_that_lead_round_are_cut_unless_somebody_does_something() -> None:
    flow = flow_of(
        ask=asks(after={"delay": "1s", "next": "again"}),
        again=says("Still there?", next="ask"),
        got=got(next="ask"),
    )
    dialogue = FlowDialogue(flow).given(STARTED)

    def fires() -> tuple[Fact, ...]:
        (timer,) = dialogue.state.timers.armed
        return dialogue.when(TimerFired(id=timer.id))

    for _ in range(MAX_FIRED - 1):
        assert path(fires()) == ("again", "ask")
    dialogue.given(text("yes"))  # from here it is counted anew
    for _ in range(MAX_FIRED):
        assert path(fires()) == ("again", "ask")
    assert fires() == (DecisionFailed(reason="endless_flow"),)
    assert dialogue.state.timers.armed == ()
    assert path(dialogue.when(text("I am back"))) == ("got", "ask")


def test_asking_again_begins_the_wait_anew() -> None:
    flow = flow_of(
        ask=asks(after={"delay": "5m", "next": "end"}),
        got=got(next="end", save={"as": "n", "kind": "number"}),
        end={"end": True},
    )
    dialogue = FlowDialogue(flow).given(STARTED, text("x"))
    assert [(timer.id, timer.at) for timer in dialogue.state.timers.armed] == [
        ("after:3:0", "2023-11-14T22:18:22.000Z")
    ]


@pytest.mark.parametrize("id", ["after:1:7", "after:1", "after:1:x", "after:1:²", "turn:1", "other", ""])
def test_a_timer_that_means_nothing_has_an_outcome_without_facts(id: str) -> None:
    dialogue = FlowDialogue(WAITING).given(STARTED)
    item = Input(position=9, id="9", fact=TimerFired(id=id))
    assert decide(dialogue.state, item, WAITING, dialogue.moment) == ()


# --- persons ----------------------------------------------------------------------------------

DESK = flow_of(
    ask=asks(),
    got=got(next="desk", save="about"),
    desk={
        "handoff": {
            "queue": "orders",
            "reason": "About {{ about }}",
            "waiting": "I get someone for {{ about }}.",
            "nobody": {"say": "Nobody is in; we answer in the morning."},
            "back": "I am here again.",
        },
        "after": [{"delay": "2m", "say": "Still looking."}, {"delay": "10m", "next": "mail"}],
        "next": "more",
    },
    more=asks("more"),
    gotMore=got("more"),
    mail=says("Please write to us."),
)


def test_a_handoff_says_what_is_going_on() -> None:
    dialogue = FlowDialogue(DESK, operators=2).given(STARTED)
    assert dialogue.when(text("<shoes>"))[2:] == (
        HandoffRequested(queue="orders", reason="About <shoes>"),
        BotSaid(text="I get someone for &lt;shoes&gt;."),
        TimerArmed(id="after:3:0", at="2023-11-14T22:15:22.000Z"),
        TimerArmed(id="after:3:1", at="2023-11-14T22:23:22.000Z"),
    )
    dialogue.given(CLAIMED, OperatorSaid(operator="desk-1", text="Hi"))
    assert dialogue.when(BACK) == (
        FlowResumed(),
        FlowAdvanced(path=("more",)),
        BotSaid(text="I am here again."),
        EditorOpened(session="more"),
    )


def test_a_reason_is_one_short_line() -> None:
    asked = FlowDialogue(DESK).given(STARTED).when(text("shoes\nand\tsocks " + "x" * 1_000))[2]
    assert isinstance(asked, HandoffRequested)
    assert asked.reason.startswith("About shoes and socks xxx")
    assert (len(asked.reason), asked.reason[-4:]) == (500, "x...")


def test_when_nobody_is_there_the_visitor_hears_it_and_waits() -> None:
    dialogue = FlowDialogue(DESK, operators=0).given(STARTED)
    assert said(dialogue.when(text("shoes"))) == ["Nobody is in; we answer in the morning."]
    assert dialogue.state.ownership.owner == "queue"


def test_when_nobody_is_there_the_flow_may_go_on() -> None:
    flow = flow_of(
        desk={"handoff": {"queue": "q", "waiting": "...", "nobody": {"say": "Nobody.", "next": "mail"}}},
        mail=says("Write to us."),
    )
    facts = FlowDialogue(flow, operators=0).when(STARTED)
    assert (path(facts), said(facts)) == (("desk", "mail"), ["Nobody.", "Write to us."])
    assert said(FlowDialogue(flow, operators=1).when(STARTED)) == ["..."]
    assert said(FlowDialogue(flow).when(STARTED)) == ["..."]  # unknown: somebody is assumed


def test_who_waited_long_enough_is_led_on() -> None:
    dialogue = FlowDialogue(DESK).given(STARTED, text("shoes"))
    assert dialogue.when(TimerFired(id="after:3:0")) == (BotSaid(text="Still looking."),)
    assert [timer.id for timer in dialogue.state.timers.armed] == ["after:3:1"]
    assert dialogue.when(TimerFired(id="after:3:1")) == (
        HandoffWithdrawn(),
        FlowAdvanced(path=("mail",), ended=True),
        BotSaid(text="Please write to us."),
    )
    assert dialogue.state.ownership.owner == "bot"


def test_no_timer_of_the_wait_survives_the_claim() -> None:
    dialogue = FlowDialogue(DESK).given(STARTED, text("shoes"), CLAIMED)
    assert dialogue.state.timers.armed == ()
    assert dialogue.when(TimerFired(id="after:3:1")) == ()


def test_after_the_handback_from_a_handoff_without_next_the_flow_is_over() -> None:
    flow = flow_of(desk={"handoff": {"queue": "q", "back": "Bye."}})
    assert FlowDialogue(flow).given(STARTED, CLAIMED).when(BACK) == (
        FlowResumed(),
        FlowAdvanced(path=(), ended=True),
        BotSaid(text="Bye."),
    )


# --- sub-flows --------------------------------------------------------------------------------

CALLING = flow_of(
    flows={
        "contact": {
            "ask": asks("mail", "Your e-mail?"),
            "got": got("mail", "sure", save="email"),
            "sure": {"call": "confirm", "next": "done"},
            "done": says("Noted."),
        },
        "confirm": {
            "ask": offers("ok", "yes", "no"),
            "yes": picked("ok", "yes", "fin", save="sure"),
            "no": picked("ok", "no", "fin", save="sure"),
            "fin": {"end": True},
        },
    },
    hi=says("Hi!", "contact"),
    contact={"call": "contact", "next": [{"when": "sure == 'yes'", "next": "bye"}, {"next": "contact"}]},
    bye=says("Bye {{ email }}."),
)


def test_a_sub_flow_is_called_and_returns() -> None:
    dialogue = FlowDialogue(CALLING)
    facts = dialogue.when(STARTED)
    assert facts[1] == FlowAdvanced(path=("hi", "contact", "contact/ask"), stack=("contact",))
    dialogue.given(text("a@b.de", "mail"))
    assert (dialogue.state.progress.place, dialogue.state.progress.stack) == (
        "confirm/ask",
        ("contact", "contact/sure"),
    )
    again = dialogue.when(choice("no", "ok"))
    assert again[0] == FlowAdvanced(
        path=("confirm/no", "confirm/fin", "contact/done", "contact", "contact/ask"), stack=("contact",)
    )
    dialogue.given(text("c@d.de", "mail"))
    assert dialogue.when(choice("yes", "ok"))[0] == FlowAdvanced(
        path=("confirm/yes", "confirm/fin", "contact/done", "bye"), ended=True
    )
    assert dialogue.state.progress.stack == ()


def test_a_takeover_in_a_sub_flow_comes_back_into_it() -> None:
    dialogue = FlowDialogue(CALLING).given(STARTED, text("a@b.de", "mail"), CLAIMED)
    assert dialogue.when(BACK)[1] == FlowAdvanced(path=("confirm/ask",), stack=("contact", "contact/sure"))
    back_at = ConversationHandedBack(operator="desk-1", state="hi")
    assert dialogue.given(CLAIMED).when(back_at)[1] == FlowAdvanced(
        path=("hi", "contact", "contact/ask"), stack=("contact",)
    )


def test_the_settings_fallback_leads_out_of_a_sub_flow() -> None:
    flow = flow_of(
        settings={"fallback": {"times": 1, "next": "desk"}},
        flows={"sub": {"ask": asks(), "got": got(words=["yes"])}},
        start={"call": "sub", "next": "bye"},
        bye=says("Bye."),
        desk={"handoff": {"queue": "q"}, "next": "bye"},
    )
    dialogue = FlowDialogue(flow).given(STARTED, text("no"))
    assert dialogue.when(text("no"))[0] == FlowAdvanced(path=("desk",))


def test_ids_of_a_sub_flow_do_not_meet_those_of_the_flow() -> None:
    flow = flow_of(
        flows={"sub": {"ask": asks(1), "got": got(1, "end"), "end": says("inner")}},
        ask=asks(1),
        got=got(1, "sub"),
        sub={"call": "sub", "next": "end"},
        end=says("outer"),
    )
    dialogue = FlowDialogue(flow).given(STARTED)
    assert path(dialogue.when(text(session=1))) == ("got", "sub", "sub/ask")
    assert said(dialogue.when(text(session=1))) == ["inner", "outer"]


# --- backends ---------------------------------------------------------------------------------

SHOP = flow_of(
    ask=asks(),
    got=got(next="look", save="number"),
    look={
        "service": {
            "url": "https://shop.example/orders/{{ number }}?lang={{ visitor.language }}",
            "headers": {"X-Door": "{{ visitor.door }}"},
            "body": {"order": "{{ number }}", "note": "is {{ number }}", "deep": [{"x": "{{ nothing }}"}, 1]},
            "timeout": "3s",
            "pick": "data.0",
            "save": "order",
            "onError": "sorry",
        },
        "next": [{"when": "order.late", "next": "late"}, {"next": "fine"}],
    },
    late=says("{{ order.item }} is late."),
    fine=says("{{ order.item }} is on its way."),
    sorry=says("I cannot look it up."),
)


def test_a_backend_is_asked_with_what_is_known() -> None:
    dialogue = FlowDialogue(SHOP).given(ConversationStarted(door="rest", language="de-DE"))
    need = dialogue.happens(text("a/b &?"))
    assert isinstance(need, CallService)
    assert need == CallService(
        state="look",
        url="https://shop.example/orders/a%2Fb%20%26%3F?lang=de-DE",
        method="POST",
        headers={"X-Door": "rest"},
        body=need.body,
        timeout=3.0,
        pick="data.0",
    )
    assert json.loads(need.body or b"") == {
        "order": "a/b &?",
        "note": "is a/b &?",
        "deep": [{"x": None}, 1],
    }


def test_its_answer_is_kept_and_leads_on() -> None:
    dialogue = FlowDialogue(SHOP).given(STARTED)
    dialogue.happens(text("417"))
    assert dialogue.served("look", {"item": "Shoes & socks", "late": True}) == (
        FlowAdvanced(path=("got", "look", "late"), ended=True),
        VariableSaved(name="number", value="417"),
        VariableSaved(name="order", value={"item": "Shoes & socks", "late": True}),
        BotSaid(text="Shoes &amp; socks is late."),
    )


def test_a_backend_that_fails_leads_elsewhere() -> None:
    dialogue = FlowDialogue(SHOP).given(STARTED)
    dialogue.happens(text("417"))
    facts = dialogue.served("look", failure="timeout")
    assert isinstance(facts, tuple)
    assert (path(facts), "order" in saved(facts)) == (("got", "look", "sorry"), False)


def test_without_on_error_a_failure_is_null() -> None:
    flow = flow_of(
        look={"service": {"subject": "service.stock", "save": "stock"}, "next": "tell"},
        tell=says("Stock: {{ stock | unknown }}"),
    )
    dialogue = FlowDialogue(flow)
    assert dialogue.happens(STARTED) == CallService(state="look", subject="service.stock")
    facts = dialogue.served("look", failure="no_responders")
    assert isinstance(facts, tuple)
    assert (saved(facts), said(facts)) == ({"stock": None}, ["Stock: unknown"])


def test_more_questions_than_a_turn_may_ask_fail() -> None:
    states: dict[str, Any] = {
        f"s{n}": {"service": {"subject": f"service.s{n}"}, "next": f"s{n + 1}"} for n in range(MAX_NEEDS + 1)
    }
    dialogue = FlowDialogue(flow_of(**states, **{f"s{MAX_NEEDS + 1}": says("Done.")}))
    answer = dialogue.happens(STARTED)
    for number in range(MAX_NEEDS):
        assert isinstance(answer, CallService)
        answer = dialogue.served(f"s{number}")
    assert answer == (DecisionFailed(reason="endless_flow"),)


# --- the assistant ----------------------------------------------------------------------------

HELP: dict[str, Any] = {
    "system": "You help {{ name | the visitor }} & are kind.",
    "model": "small",
    "maxTokens": 200,
    "temperature": 0.5,
    "goTo": ["returns", "bye"],
    "handoff": {"queue": "service", "reason": "The assistant asks.", "waiting": "One moment."},
    "onError": "sorry",
    "greeting": "Ask me anything.",
    "prompt": "Your question",
}
ASSISTED = flow_of(
    ask=asks(),
    got=got(next="help", save="name"),
    help={"assistant": HELP, "after": {"delay": "10m", "next": "bye"}},
    returns=says("Send it back.", "help"),
    bye=says("Bye!"),
    sorry={"handoff": {"queue": "service"}, "next": "help"},
)


def assisted() -> FlowDialogue:
    return FlowDialogue(ASSISTED).given(STARTED, text("Sam & Co"))


def question(words: str = "When do you open?") -> Fact:
    return text(words, "assistant")


def test_the_assistants_editor_opens() -> None:
    facts = FlowDialogue(ASSISTED).given(STARTED).when(text("Sam"))
    assert facts[2:] == (
        EditorOpened(session="assistant", prompt="Your question", text="Ask me anything."),
        TimerArmed(id="after:3:0", at="2023-11-14T22:23:22.000Z"),
    )


def test_each_text_is_answered_by_the_assistant() -> None:
    dialogue = assisted()
    need = Generate(
        state="help",
        system="You help Sam & Co & are kind.",
        model="small",
        max_tokens=200,
        temperature=0.5,
        go_to=("returns", "bye"),
        handoff=True,
    )
    for hour in ("At ten.", "At six."):
        assert dialogue.happens(question()) == need
        result = Generated(
            text=hour, model="small-1", tokens_in=9, tokens_out=2, cost=3, estimated=True, attempt=2
        )
        facts = dialogue.spoken("help", result)
        assert isinstance(facts, tuple)
        assert facts[0] == AssistantSaid(
            text=hour, attempt=2, model="small-1", tokens_in=9, tokens_out=2, cost=3, estimated=True
        )
        assert dialogue.state.progress.place == "help"


def test_each_answer_puts_the_timers_off() -> None:
    dialogue = assisted()
    dialogue.happens(question())
    answered = dialogue.spoken("help", Generated(text="At ten."))
    assert isinstance(answered, tuple)
    assert answered[1:] == (TimerArmed(id="after:3:0", at="2023-11-14T22:23:24.000Z"),)
    assert [timer.id for timer in dialogue.state.timers.armed] == ["after:3:0"]


def test_the_assistant_may_go_to_a_state() -> None:
    dialogue = assisted()
    dialogue.happens(question())
    assert dialogue.spoken("help", Generated(text="I see.", tool=GoTo("bye"))) == (
        FlowAdvanced(path=("bye",), ended=True),
        AssistantSaid(text="I see.", attempt=1),
        EditorClosed(session="assistant"),
        BotSaid(text="Bye!"),
    )


def test_the_assistant_may_ask_for_a_person() -> None:
    dialogue = assisted()
    dialogue.happens(question())
    assert dialogue.spoken("help", Generated(text="", tool=HandoffRequest("is angry"))) == (
        HandoffRequested(queue="service", reason="is angry"),
        BotSaid(text="One moment."),
    )
    assert dialogue.given(CLAIMED).when(BACK)[1:3] == (
        FlowAdvanced(path=("help",)),
        EditorOpened(session="assistant", prompt="Your question", text="Ask me anything."),
    )


@pytest.mark.parametrize(
    "result, reason",
    [
        (GenerationFailed(reason="rate_limited", attempt=3, text="I th"), "rate_limited"),
        (Generated(text="", tool=GoTo("nowhere"), attempt=3), "broken"),
        (Generated(text="", attempt=3), "broken"),
    ],
)
def test_an_assistant_that_fails_leads_elsewhere(result: Generated | GenerationFailed, reason: str) -> None:
    dialogue = assisted()
    dialogue.happens(question())
    assert dialogue.spoken("help", result) == (
        FlowAdvanced(path=("sorry",)),
        AnswerFailed(reason=reason, attempt=3),
        EditorClosed(session="assistant"),
        HandoffRequested(queue="service"),
    )


def test_words_come_before_the_assistant() -> None:
    flow = flow_of(
        help={"assistant": {"system": "Help.", "onError": "desk"}},
        person=got("assistant", words=["person"], next="desk"),
        desk={"handoff": {"queue": "q"}},
    )
    dialogue = FlowDialogue(flow).given(STARTED)
    assert isinstance(dialogue.happens(question()), Generate)
    dialogue.spoken("help", Generated(text="Hm."))
    assert path(dialogue.when(question("A person!"))) == ("person", "desk")


ONCE = flow_of(
    greet={"assistant": {"system": "Greet.", "once": True, "onError": "hello"}, "next": "ask"},
    hello=says("Hello.", "ask"),
    ask=asks(),
    got=got(),
)


def test_the_assistant_may_speak_once_and_go_on() -> None:
    dialogue = FlowDialogue(ONCE)
    assert dialogue.happens(STARTED) == Generate(state="greet", system="Greet.")
    assert dialogue.spoken("greet", Generated(text="Good day!")) == (
        FlowStarted(flow="test", version=ONCE.version),
        FlowAdvanced(path=("greet", "ask")),
        AssistantSaid(text="Good day!", attempt=1),
        EditorOpened(session="fav"),
    )


def test_where_it_fails_the_flow_goes_elsewhere() -> None:
    dialogue = FlowDialogue(ONCE)
    dialogue.happens(STARTED)
    facts = dialogue.spoken("greet", GenerationFailed(reason="no_key"))
    assert isinstance(facts, tuple)
    assert (path(facts), said(facts)) == (("greet", "hello", "ask"), ["Hello."])
    assert AnswerFailed(reason="no_key", attempt=1) in facts


def test_the_assistant_that_speaks_once_may_ask_for_a_person() -> None:
    flow = flow_of(
        judge={
            "assistant": {"system": "Judge.", "once": True, "onError": "end", "handoff": {"queue": "q"}},
            "next": "end",
        },
        end=says("Over."),
    )
    dialogue = FlowDialogue(flow)
    dialogue.happens(STARTED)
    facts = dialogue.spoken("judge", Generated(text="Hm.", tool=HandoffRequest()))
    assert isinstance(facts, tuple)
    assert facts[1:] == (
        FlowAdvanced(path=("judge",)),
        AssistantSaid(text="Hm.", attempt=1),
        HandoffRequested(queue="q"),
    )
    assert path(dialogue.given(CLAIMED).when(BACK)) == ("end",)


# --- the flows that come with it --------------------------------------------------------------


def ours(name: str) -> Flow:
    return parse((FLOWS / f"{name}.json").read_bytes(), name)


def test_the_help_desk_looks_an_order_up() -> None:
    dialogue = FlowDialogue(ours("helpdesk")).given(
        ConversationStarted(door="web", language="de-AT"), choice("order", "topic")
    )
    assert said(dialogue.when(text("keine Ahnung", "order")))[0] == "Darin finde ich keine Bestellnummer."
    need = dialogue.happens(text("es ist ab-12345, bitte", "order"))
    assert isinstance(need, CallService)
    assert json.loads(need.body or b"") == {"order": "ab-12345", "language": "de"}
    facts = dialogue.served("lookUp", {"state": "sent", "days": 2})
    assert isinstance(facts, tuple)
    assert said(facts)[0] == "Die Bestellung ab-12345 ist unterwegs und in etwa 2 Tagen bei Ihnen."


def test_the_help_desk_goes_on_without_its_backend_and_remembers_the_address() -> None:
    dialogue = FlowDialogue(ours("helpdesk"), operators=0).given(STARTED, choice("order", "topic"))
    dialogue.happens(text("AB-12345", "order"))
    facts = dialogue.served("lookUp", failure="timeout")
    assert isinstance(facts, tuple)
    assert path(facts)[-1] == "contact/ask"
    assert said(dialogue.when(text("sam@", "email")))[0].startswith("That is no e-mail address.")
    asked = dialogue.when(text("sam@example.com", "email"))
    reasons = [fact.reason for fact in asked if isinstance(fact, HandoffRequested)]
    assert reasons == ["Order: AB-12345. E-mail: sam@example.com."]
    assert said(asked)[0].endswith("or we write to sam@example.com.")
    again = dialogue.given(CLAIMED, BACK, choice("yes", "more")).when(choice("person", "topic"))
    assert path(again) == ("isPerson", "contact", "contact/known", "contact/done", "desk")


def test_the_help_desk_goes_on_without_an_assistant() -> None:
    dialogue = FlowDialogue(ours("helpdesk")).given(STARTED, choice("question", "topic"))
    assert isinstance(dialogue.happens(text("Do you ship to Oslo?", "assistant")), Generate)
    facts = dialogue.spoken("question", GenerationFailed(reason="no_key"))
    assert isinstance(facts, tuple)
    assert path(facts)[-1] == "contact/ask"


def test_the_shop_tells_the_desk_what_it_was_told() -> None:
    facts = (
        FlowDialogue(ours("default"))
        .given(STARTED, choice("person", "topic"))
        .when(text("My bill", "person"))
    )
    assert HandoffRequested(queue="service", reason="Asks for a person: My bill") in facts


# --- silence ----------------------------------------------------------------------------------

DAY = 86_400


def test_a_conversation_without_a_word_is_ended() -> None:
    dialogue = FlowDialogue(WAITING, inactivity=DAY)
    armed = dialogue.when(STARTED)[-1]
    assert armed == TimerArmed(id="inactivity:1", at="2023-11-15T22:13:20.000Z")
    dialogue.clock = DAY
    assert dialogue.when(TimerFired(id="inactivity:1")) == (ConversationEnded(reason="inactivity"),)
    assert (dialogue.state.ownership.status, dialogue.state.timers.armed) == ("resolved", ())


def test_a_word_puts_the_end_off() -> None:
    dialogue = FlowDialogue(flow_of(ask=asks(), got=got(next="ask")), inactivity=DAY).given(STARTED, text())
    dialogue.clock = DAY - 3
    assert dialogue.when(TimerFired(id="inactivity:1")) == (
        TimerArmed(id="inactivity:5", at="2023-11-15T22:13:22.000Z"),  # a day after the text
    )


def test_who_waits_for_a_person_is_not_ended() -> None:
    dialogue = FlowDialogue(flow_of(desk={"handoff": {"queue": "q"}}), inactivity=DAY).given(STARTED)
    dialogue.clock = 2 * DAY
    [armed] = dialogue.when(TimerFired(id="inactivity:1"))
    assert isinstance(armed, TimerArmed)
    assert dialogue.state.ownership.owner == "queue"


def test_who_waits_for_an_operators_word_is_not_ended_and_who_was_answered_is() -> None:
    """Neither after a claim nor after a word of their own: it is the operator who is silent."""
    ended = ConversationEnded(reason="inactivity")
    claimed = FlowDialogue(WAITING, inactivity=DAY).given(STARTED, CLAIMED)
    claimed.clock = 2 * DAY
    [armed] = claimed.when(TimerFired(id="inactivity:1"))
    assert isinstance(armed, TimerArmed)
    answered = FlowDialogue(WAITING, inactivity=DAY).given(
        STARTED, CLAIMED, OperatorSaid(operator="desk-1", text="?")
    )
    answered.clock = 2 * DAY
    assert answered.when(TimerFired(id="inactivity:1")) == (ended,)
    wrote = FlowDialogue(WAITING, inactivity=DAY).given(
        STARTED, CLAIMED, OperatorSaid(operator="desk-1", text="?"), text("It broke")
    )
    wrote.clock = 2 * DAY
    [armed] = wrote.when(TimerFired(id="inactivity:1"))
    assert isinstance(armed, TimerArmed)


def test_a_flow_may_have_its_own_time() -> None:
    flow = flow_of(settings={"inactivity": "30m"}, ask=asks(), got=got())
    assert FlowDialogue(flow, inactivity=DAY).when(STARTED)[-1] == TimerArmed(
        id="inactivity:1", at="2023-11-14T22:43:20.000Z"
    )
    assert FlowDialogue(flow).when(STARTED)[-1] == TimerArmed(
        id="inactivity:1", at="2023-11-14T22:43:20.000Z"
    )


def test_the_next_word_begins_anew() -> None:
    dialogue = FlowDialogue(CONTACT, inactivity=DAY).given(STARTED, text("a@b.de", "mail"))
    dialogue.clock = DAY
    dialogue.given(TimerFired(id="inactivity:1"))
    dialogue.story.visitor(text("Hello?", "age"))
    [item] = dialogue.state.inbox.unanswered
    assert begins(dialogue.state, item)
    facts = dialogue.answer()
    assert isinstance(facts, tuple)
    assert facts[0] == FlowStarted(flow="test", version=CONTACT.version)
    assert isinstance(facts[-1], TimerArmed)
    assert (
        dialogue.state.ownership.status,
        dialogue.state.progress.place,
        dialogue.state.progress.variables,
    ) == ("open", "ask", {})


def test_a_question_asked_by_the_flow_is_a_choice_again_after_a_handback() -> None:
    flow = flow_of(pick=offers("g", "x", question="{{ visitor.door }}?"), x=picked("g", "x"))
    dialogue = FlowDialogue(flow).given(ConversationStarted(door="rest"), CLAIMED)
    asked = dialogue.when(BACK)[2]
    assert isinstance(asked, ChoiceAsked)
    assert asked.question == "rest?"
