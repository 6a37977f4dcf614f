"""Why the bot did what it did, decided again from the log alone; and conversations replayed as tests."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from services.workflow.domain.authoring.simulator import Simulator
from shared.contract.conversation import NEW, step
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AssistantSaid,
    BotSaid,
    ChoiceMade,
    ConversationClaimed,
    ConversationStarted,
    DecisionFailed,
    FlowAdvanced,
    TextWritten,
    TimerArmed,
    VariableSaved,
)
from shared.contract.left_out import LEFT_OUT, WordsLeftOut
from shared.flow.bundle import BadBundle, BundleReport, BundleWriter, replayed
from shared.flow.language.flow import Flow, parse
from shared.flow.retrace import Retraced, flow_of, is_decision, retraced
from tests import examples
from tests.unit.test_backtest import OLD, changed, choice, every
from tests.unit.test_backtest import flow as shop

AGES: dict[str, Any] = {
    "ask": {"sendRequest": {"kind": "StartChatSession", "sessionId": "age", "chatText": "How old are you?"}},
    "stop": {
        "matchResponse": {"kind": "UserText", "sessionId": "age", "words": ["stop"]},
        "next": "bye",
    },
    "got": {
        "matchResponse": {"kind": "UserText", "sessionId": "age", "save": {"as": "age", "kind": "number"}},
        "next": [
            {"when": "age >= 65", "next": "senior"},
            {"when": "age >= 18", "next": "adult"},
            {"next": "minor"},
        ],
    },
    "senior": {"sendRequest": {"kind": "BotText", "content": "Half price."}, "next": "bye"},
    "adult": {"sendRequest": {"kind": "BotText", "content": "Full price, {{ age }}."}, "next": "bye"},
    "minor": {"sendRequest": {"kind": "BotText", "content": "Free."}, "next": "bye"},
    "bye": {"sendRequest": {"kind": "StartChatSession", "sessionId": "name", "chatText": "Your name?"}},
    "named": {"matchResponse": {"kind": "UserText", "sessionId": "name", "save": "name"}, "next": "done"},
    "done": {"sendRequest": {"kind": "BotText", "content": "Thanks, {{ name }}!"}},
}


def ages(**states: Any) -> Flow:
    return parse(json.dumps({**AGES, **states}).encode(), "ages")


def visit(*texts: tuple[str, str]) -> list[RecordedEntry]:
    """A conversation with the flow: each is what the visitor wrote, in which editor."""
    simulator = Simulator(ages(), now=examples.FIRST_TIME)
    simulator.begin()
    for session, text in texts:
        simulator.visitor(TextWritten(session=session, text=text))
    return simulator.entries


def explained(entries: list[RecordedEntry], flow: Flow, words: bool = True) -> list[Retraced]:
    """Every decision of a conversation again."""
    state, found = NEW, []
    for entry in entries:
        if (again := retraced(state, entry, flow, words)) is not None:
            found.append(again)
        assert is_decision(state, entry) is (again is not None)
        state, _ = step(state, entry)
    return found


def bundle(entries: list[RecordedEntry], *flows: Flow, words: bool = True) -> list[bytes]:
    writer = BundleWriter(words)
    head = writer.head(entries[0].conversation, entries[-1].position, "1.0", "2026-11-27T12:00:00.000Z")
    kept = [writer.flow(flow.name, flow.version, flow.content) for flow in flows]
    return [head, *kept, *(writer.entry(entry) for entry in entries), writer.end()]


# --- explanations -----------------------------------------------------------------------------


def test_a_turn_is_explained_by_the_rules_it_looked_at_with_their_values() -> None:
    """Given a visitor of 21, when the answer is explained, then each condition says what it saw."""
    _, turn = explained(visit(("age", "21")), ages())
    assert (turn.verdict, turn.place, turn.why) == ("same", "ask", "")
    told = [(each.state, each.rule, each.text, each.holds, each.to) for each in turn.looked]
    assert told == [
        ("stop", "words", "stop", False, "stop"),
        ("got", "text", "", True, "got"),
        ("got", "value", "number", True, None),
        ("got", "condition", "age >= 65", False, "senior"),
        ("got", "condition", "age >= 18", True, "adult"),
    ]
    assert [each.values for each in turn.looked[-2:]] == [{"age": 21}, {"age": 21}]


def test_a_condition_that_cannot_be_told_says_why_and_what_came_instead() -> None:
    flow = ages(got={**AGES["got"], "next": [{"when": "age.year > 3", "next": "adult"}, {"next": "minor"}]})
    simulator = Simulator(flow, now=examples.FIRST_TIME)
    simulator.begin()
    simulator.visitor(TextWritten(session="age", text="21"))
    turn = explained(simulator.entries, flow)[-1]
    condition, otherwise = turn.looked[-2:]
    assert (condition.holds, condition.to) == (None, "adult")
    assert condition.why
    assert (otherwise.rule, otherwise.to) == ("otherwise", "minor")
    assert turn.verdict == "same"


def test_an_answer_that_does_not_fit_is_explained() -> None:
    turn = explained(visit(("age", "old")), ages())[-1]
    assert [(each.rule, each.holds, each.why) for each in turn.looked][-1] == ("value", False, "not_a_number")


@pytest.mark.parametrize("number", range(7))
def test_every_kind_of_turn_comes_out_the_same(number: int) -> None:
    """Backends, the assistant, timers, operators or none of them: the log says all that it takes."""
    found = explained(every()[number], shop(OLD))
    assert found
    assert {each.verdict for each in found} <= {"same", "own"}, found


def test_a_choice_and_what_a_backend_and_the_assistant_said_are_among_the_rules() -> None:
    served, failed, spoken = (
        [each for turn in explained(entries, shop(OLD)) for each in turn.looked] for entries in every()[:3]
    )
    assert ("choice", True, "") in [(each.rule, each.holds, each.why) for each in served]
    assert ("backend", True, "") in [(each.rule, each.holds, each.why) for each in served]
    assert ("backend", False, "timeout") in [(each.rule, each.holds, each.why) for each in failed]
    assert ("assistant", "order") in [(each.rule, each.to) for each in spoken]


def test_whether_somebody_was_there_is_told_by_what_came_of_it() -> None:
    """How many operators were there is not on the log."""
    somebody, nobody = every()[3], every()[5]
    for entries, there in ((somebody, True), (nobody, False)):
        looked = [each for turn in explained(entries, shop(OLD)) for each in turn.looked]
        assert ("person", "people", there) in [(each.state, each.rule, each.holds) for each in looked]


def test_another_decision_is_told_as_such_and_not_as_an_explanation() -> None:
    """Given a flow with another limit, when the turn is decided again, it says what differs."""
    other = ages(got={**AGES["got"], "next": [{"when": "age >= 30", "next": "adult"}, {"next": "minor"}]})
    turn = explained(visit(("age", "21")), other)[-1]
    assert turn.verdict == "other"
    assert turn.why == "it goes “got” → “minor” → “bye”; then it went “got” → “adult” → “bye”"


def test_without_its_flow_a_turn_cannot_be_explained() -> None:
    entries = visit()
    found = retraced(NEW, entries[0], None)
    assert found is None, "the visitor's own entry is no decision"
    state, _ = step(NEW, entries[0])
    assert flow_of(state, entries[1]) == ("ages", ages().version)
    assert retraced(state, entries[1], None) == Retraced(
        cause=1, place=None, verdict="untold", why="the flow that decided is not known here"
    )


def test_what_the_service_decided_by_itself_is_no_decision_of_the_flow() -> None:
    entries = visit(("age", "21"))
    failed = replace(entries[-1], facts=(DecisionFailed(reason="session_timeout"),))
    assert explained([*entries[:-1], failed], ages())[-1].verdict == "own"


def test_what_the_bot_said_while_a_person_spoke_was_no_decision() -> None:
    entries = visit(("age", "21"))
    claim = replace(entries[2], author="operator", id="c", facts=(ConversationClaimed(operator="ann"),))
    late = replace(entries[3], position=5)
    assert len(explained([*entries[:3], replace(claim, position=4), late], ages())) == 1


def test_timers_may_be_late_by_seconds_and_by_no_more() -> None:
    waited = every()[4]

    def moved(seconds: int) -> list[RecordedEntry]:
        at = f"2026-01-01T00:{seconds // 60:02d}:{seconds % 60:02d}.000Z"
        return [
            replace(
                entry,
                facts=tuple(
                    replace(fact, at=at) if isinstance(fact, TimerArmed) and "after" in fact.id else fact
                    for fact in entry.facts
                ),
            )
            for entry in waited
        ]

    assert explained(waited, shop(OLD))[0].verdict == "same"
    assert explained(moved(5), shop(OLD))[0].why == "it sets a timer to another time"


# --- words that were left out -------------------------------------------------------------------


def test_without_words_what_looks_at_them_is_untold_and_the_rest_is_told() -> None:
    """Nothing is guessed: a number that nobody knows is neither above 18 nor below."""
    left_out = WordsLeftOut()
    entries = [left_out.entry(entry) for entry in visit(("age", "21"), ("name", "Ann"))]
    began, aged, named = explained(entries, ages(), words=False)
    assert (began.verdict, named.verdict) == ("same", "same"), "any text may be a name"
    assert aged.verdict == "untold"
    assert aged.why == 'the state "stop" compares what the visitor wrote, and that was left out'


def test_a_condition_on_what_was_left_out_is_untold() -> None:
    flow = ages(named={**AGES["named"], "next": [{"when": "age > 3", "next": "done"}, {"next": "bye"}]})
    simulator = Simulator(flow, now=examples.FIRST_TIME)
    simulator.begin()
    for session, text in (("age", "21"), ("name", "Ann")):
        simulator.visitor(TextWritten(session=session, text=text))
    left_out = WordsLeftOut()
    turn = explained([left_out.entry(entry) for entry in simulator.entries], flow, words=False)[-1]
    assert turn.verdict == "untold"
    assert turn.why == 'the condition "age > 3" looks at "age", and that was left out'


def test_what_is_left_out_is_every_word_and_no_choice_of_the_flow() -> None:
    served = every()[0]
    left_out = WordsLeftOut()
    facts = [fact for entry in served for fact in left_out.entry(entry).facts]
    assert [fact.item for fact in facts if isinstance(fact, ChoiceMade)] == ["order"]
    assert {fact.text for fact in facts if isinstance(fact, TextWritten | BotSaid)} == {LEFT_OUT}
    assert {fact.value for fact in facts if isinstance(fact, VariableSaved)} == {LEFT_OUT}
    strange = replace(served[2], facts=(choice("my own words"),))
    [made] = left_out.entry(strange).facts
    assert isinstance(made, ChoiceMade)
    assert made.item == LEFT_OUT, "what the bot never offered may be anything"


def test_sealed_words_are_left_out_whoever_asks() -> None:
    """Given an entry whose key is lost, then nobody says what its text would have matched."""
    entries = visit(("age", "21"))
    lost = replace(entries[2], sealed=True, facts=(TextWritten(session="", text=""),))
    left_out = WordsLeftOut(wanted=False)
    marked = [left_out.entry(entry) for entry in [*entries[:2], lost, *entries[3:]]]
    assert left_out.some
    assert marked[1] is entries[1]
    assert explained(marked, ages(), words=False)[-1].verdict == "untold"


# --- bundles ----------------------------------------------------------------------------------


def test_a_bundle_replays_as_it_went() -> None:
    report = replayed(bundle(visit(("age", "21"), ("name", "Ann")), ages()))
    assert (report.entries, report.same, report.untold, report.difference) == (6, 3, 0, None)


@pytest.mark.parametrize("number", range(7))
def test_a_bundle_of_every_kind_replays_with_words_and_without(number: int) -> None:
    entries = every()[number]
    whole = replayed(bundle(entries, shop(OLD)))
    assert (whole.difference, whole.untold) == (None, 0)
    bare = replayed(bundle(entries, shop(OLD), words=False))
    assert bare.difference is None
    assert bare.same + bare.untold + bare.own == whole.same + whole.own


def test_a_bundle_without_words_holds_none() -> None:
    text = b"".join(bundle(visit(("age", "21"), ("name", "Zebulon")), ages(), words=False)).decode()
    assert "Zebulon" not in text
    assert "21" not in json.dumps([json.loads(line).get("facts") for line in text.splitlines()])


def test_another_flow_in_its_place_names_the_first_difference() -> None:
    other = ages(got={**AGES["got"], "next": "minor"})
    report = replayed(bundle(visit(("age", "21"), ("name", "Ann")), ages()), instead=other)
    assert report.position == 4
    assert report.difference is not None
    assert report.difference.place == "ask"
    assert (report.same, report.instead) == (1, 2)


def test_other_words_are_a_difference_where_words_are_there() -> None:
    other = ages(ask={"sendRequest": {**AGES["ask"]["sendRequest"], "chatText": "Your age?"}})
    entries = visit()
    found = replayed(bundle(entries, ages()), instead=other).difference
    assert found is not None
    assert found.why == "EditorOpened says something else than then"
    assert replayed(bundle(entries, ages(), words=False), instead=other).difference is None


def test_the_shop_with_a_changed_menu_differs() -> None:
    entries = every()[0]
    report = replayed(bundle(entries, shop(OLD)), instead=changed(got=None, look=None, done=None))
    assert report.difference is not None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda lines: [], "line 1: this is no bundle"),
        (lambda lines: [lines[0].replace(b'"bundle":1', b'"bundle":9'), *lines[1:]], "line 1: form 9"),
        (lambda lines: lines[:-1], "it was cut off"),
        (lambda lines: [*lines[:2], *lines[3:]], "line 6: 4 entries are named, 3 are there"),
        (lambda lines: [*lines, lines[2]], "line 8: nothing may follow the end"),
        (lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]], "position 1 comes behind 2"),
        (lambda lines: [lines[0], lines[1].replace(b"How old", b"How new"), *lines[2:]], "it was changed"),
        (lambda lines: [lines[0], b'{"position": "x"}', *lines[1:]], "line 2: neither a flow nor an entry"),
        (lambda lines: [*lines[:2], lines[2].replace(b'"stored"', b'"needs":99,"stored"')], "newer program"),
    ],
)
def test_a_file_that_is_no_bundle_is_refused_with_the_line(spoil: Any, said: str) -> None:
    lines = bundle(visit(("age", "21")), ages())
    assert len(lines) == 7
    with pytest.raises(BadBundle, match=said):
        replayed(spoil(lines))


def test_a_flow_that_is_not_there_leaves_the_decisions_untold() -> None:
    report = replayed(bundle(visit(("age", "21"))))
    assert (report.same, report.untold) == (0, 2)
    assert report.named[0].why == "the flow that decided is not known here"
    assert msgspec.json.decode(msgspec.json.encode(report), type=BundleReport) == report


def test_the_assistants_words_are_taken_from_the_log() -> None:
    spoken = every()[2]
    assert any(isinstance(fact, AssistantSaid) for entry in spoken for fact in entry.facts)
    other = [
        replace(
            entry,
            facts=tuple(
                replace(fact, path=(*fact.path, "menu")) if isinstance(fact, FlowAdvanced) else fact
                for fact in entry.facts
            ),
        )
        if any(isinstance(fact, AssistantSaid) for fact in entry.facts)
        else entry
        for entry in spoken
    ]
    assert replayed(bundle(spoken, shop(OLD))).difference is None
    assert replayed(bundle(other, shop(OLD))).difference is not None


def test_the_visitors_language_is_a_word_too() -> None:
    left_out = WordsLeftOut()
    began = replace(visit()[0], facts=(ConversationStarted(door="ws", language="de"),))
    [started] = left_out.entry(began).facts
    assert isinstance(started, ConversationStarted)
    assert (started.door, started.language) == ("ws", LEFT_OUT)
