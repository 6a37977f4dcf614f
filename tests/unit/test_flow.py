"""The flow checker: what it refuses and warns of, in words that the flow's author understands."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.contract.facts import BotSaid, EditorOpened, HandoffRequested
from shared.flow.language.flow import FlowError, parse
from shared.flow.language.flow_file import MAX_FILE
from shared.flow.language.state import ExpectedAnswer
from tests import examples

FLOWS = Path(__file__).parents[2] / "services" / "workflow" / "flows"
SCHEMA = json.loads((FLOWS / "flow.schema.json").read_text(encoding="utf-8"))

HI = {"sendRequest": {"kind": "BotText", "content": "Hi!"}}
ASK = {"sendRequest": {"kind": "StartChatSession", "sessionId": "fav"}}
GOT = {"matchResponse": {"kind": "UserText", "sessionId": "fav"}}
PICK = {
    "sendRequest": {
        "kind": "ChoiceRequest",
        "groupId": 1,
        "question": "Which?",
        "choices": [{"itemId": 1, "content": "One"}, {"itemId": 2, "content": "Two"}],
    }
}
ONE = {"matchResponse": {"kind": "ChoiceResponse", "groupId": "1", "itemId": "1"}}
TWO = {"matchResponse": {"kind": "ChoiceResponse", "groupId": "1", "itemId": 2}}


def to_json(states: dict[str, Any]) -> bytes:
    return json.dumps(states).encode()


def problems(content: bytes) -> list[str]:
    with pytest.raises(FlowError) as caught:
        parse(content, "test")
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return [str(problem) for problem in caught.value.problems]


def warnings(states: dict[str, Any]) -> list[str]:
    return [str(warning).removeprefix("line 1: ") for warning in parse(to_json(states), "test").warnings]


def accepted_by_schema(states: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(states))


# --- good files -------------------------------------------------------------------------------


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", ["default", "tour", "helpdesk"])
def test_our_flows_are_without_fault(name: str) -> None:
    content = (FLOWS / f"{name}.json").read_bytes()
    flow = parse(content, name)
    assert flow.warnings == ()
    assert flow.name == name
    jsonschema.validate(json.loads(content), SCHEMA, jsonschema.Draft202012Validator)
    assert json.loads(content)["$schema"] == f"./{FLOWS.joinpath('flow.schema.json').name}"


def test_the_tour_uses_every_kind_of_state() -> None:
    text = (FLOWS / "tour.json").read_text(encoding="utf-8")
    kinds = ("BotText", "ChoiceRequest", "StartChatSession", "EndChatSession", "ChoiceResponse", "UserText")
    assert [kind for kind in (*kinds, "handoff") if f'"{kind}"' not in text] == []


def test_states_hold_what_happens_on_entering_them() -> None:
    flow = parse(examples.FLOW, "small")
    assert flow.first == "hello"
    assert flow.states["hello"].effect == BotSaid(text="Hi!")
    assert flow.states["hello"].next == "pick"
    assert flow.states["pick"].asks
    assert not flow.states["bye"].asks
    assert flow.states["ask"].effect == EditorOpened(
        session="fav", prompt="Type it here...", text="The editor is open"
    )
    assert flow.answers[ExpectedAnswer("lang", "rust")] == "isRust"
    assert flow.answers[ExpectedAnswer("fav")] == "got"
    assert flow.warnings == ()


def test_a_person_may_be_asked_for() -> None:
    flow = parse(
        to_json({"desk": {"handoff": {"queue": "orders", "reason": "late"}, "next": "bye"}, "bye": HI}), ""
    )
    assert flow.states["desk"].effect == HandoffRequested(queue="orders", reason="late")
    assert flow.warnings == ()


def test_keys_with_a_dollar_are_no_states() -> None:
    content = b'{"$comment": 1, "$comment": [2], "$settings": {"a": {}}, "hello": {}}'
    assert list(parse(content, "").states) == ["hello"]


def test_null_is_the_same_as_left_out() -> None:
    states = {"ask": {**ASK, "matchResponse": None, "next": None}, "got": {**GOT, "handoff": None}}
    assert parse(to_json(states), "").states["ask"].asks


def test_the_version_is_the_content_without_white_space() -> None:
    flow = parse(examples.FLOW, "small")
    again = parse(b"\xef\xbb\xbf" + examples.FLOW.replace(b"\n", b"\r\n  "), "other")
    assert flow.version == again.version
    assert parse(flow.content, "small").version == flow.version
    assert len(flow.version) == 32
    assert b"\n" not in flow.content
    assert parse(examples.FLOW.replace(b"Hi!", b"Hello!"), "small").version != flow.version
    swapped = to_json({"b": {}, "a": {"next": "b"}}), to_json({"a": {"next": "b"}, "b": {}})
    assert parse(swapped[0], "").version != parse(swapped[1], "").version


# --- refused files ----------------------------------------------------------------------------


def test_an_unknown_next() -> None:
    [problem] = problems(to_json({"pick": {"next": "helo"}, "hello": HI}))
    assert problem == 'line 1: pick: "next" names "helo", which is no state. Did you mean "hello"?'
    [problem] = problems(to_json({"pick": {"next": "zzz"}}))
    assert problem == 'line 1: pick: "next" names "zzz", which is no state. Add that state, or change "next".'


def test_every_problem_is_told_with_its_line() -> None:
    content = b"""{
      "a": {"next": "b2"},
      "b": {"sendRequest": {"kind": "BotText"},
            "nxt": "c"},
      "c": {"next": "c"},
      "b": {}
    }"""
    assert problems(content) == [
        'line 2: a: "next" names "b2", which is no state. Did you mean "b"?',
        'line 3: b: the state has the unknown key "nxt". Did you mean "next"?',
        'line 3: b: sendRequest lacks "content". It is a text in "quotes", or one for each language: '
        '{"en": "..."}.',
        "line 5: c: the flow would go round for ever: c -> c. "
        'Let one of these states ask something, without a "next".',
        "line 6: b: there are two states of this name, the first in line 3. Give one of them another name.",
    ]


def test_a_loop_that_never_waits_is_named() -> None:
    loop = {"a": {"next": "b"}, "b": {**PICK, "next": "c"}, "c": {**ONE, "next": "b"}}
    [problem] = problems(to_json(loop))
    assert "b: the flow would go round for ever: b -> c -> b." in problem


def test_a_very_long_loop_is_cut() -> None:
    [problem] = problems(to_json({str(n): {"next": str((n + 1) % 500)} for n in range(500)}))
    assert problem.startswith("line 1: 0: the flow would go round for ever: 0 -> 1 -> ")
    assert len(problem) < 200


@pytest.mark.parametrize(
    "waiting", [{"a": {"handoff": {"queue": "q"}, "next": "a"}}, {"a": {**ASK}, "b": {**GOT, "next": "a"}}]
)
def test_a_loop_that_waits_is_fine(waiting: dict[str, Any]) -> None:
    assert parse(to_json(waiting), "").first == "a"


MALFORMED = {
    "unknown key": ({**HI, "text": 1}, 'the state has the unknown key "text". Did you mean "next"?'),
    "no object": (5, 'the state must be an object. Write {"sendRequest": {...}, "next": "..."}.'),
    "wrong next": (
        {"next": 5},
        '"next" in the state has the wrong type. It must be the name of a state, or a list: ',
    ),
    "wrong request": ({"sendRequest": "Hi"}, '"sendRequest" in the state has the wrong type.'),
    "unknown kind": (
        {"sendRequest": {"kind": "BotTxt", "content": ""}},
        'sendRequest has the unknown kind "BotTxt". Did you mean "BotText"?',
    ),
    "no kind": ({"sendRequest": {"content": "Hi"}}, 'sendRequest needs a "kind". It is one of "BotText", '),
    "kind of an answer": (
        {"matchResponse": {"kind": "BotText"}},
        'matchResponse has the unknown kind "BotText". It is one of "ChoiceResponse", "UserText".',
    ),
    "missing field": ({"sendRequest": {"kind": "EndChatSession"}}, 'sendRequest lacks "sessionId".'),
    "unknown field": (
        {"matchResponse": {"kind": "UserText", "sessionId": 1, "sesionId": 1}},
        'matchResponse has the unknown key "sesionId". Did you mean "sessionId"?',
    ),
    "true as id": (
        {"matchResponse": {"kind": "UserText", "sessionId": True}},
        '"sessionId" in matchResponse has the wrong type. It must be a text or a whole number.',
    ),
    "fraction as id": (
        {"matchResponse": {"kind": "UserText", "sessionId": 1.5}},
        '"sessionId" in matchResponse',
    ),
    "inexact id": (
        {"matchResponse": {"kind": "UserText", "sessionId": 2**53}},
        '"sessionId" in matchResponse',
    ),
    "choices no list": (
        {"sendRequest": {"kind": "ChoiceRequest", "groupId": 1, "question": "?", "choices": {}}},
        '"choices" in sendRequest has the wrong type. It must be a list: [...].',
    ),
    "choice no object": (
        {"sendRequest": {"kind": "ChoiceRequest", "groupId": 1, "question": "?", "choices": ["a"]}},
        "choice 1 must be an object.",
    ),
    "choice lacks": (
        {"sendRequest": {"kind": "ChoiceRequest", "groupId": 1, "question": "?", "choices": [{"itemId": 1}]}},
        'choice 1 lacks "content".',
    ),
    "handoff lacks": ({"handoff": {"reason": "late"}}, 'handoff lacks "queue".'),
    "no queue": ({"handoff": {"queue": ""}}, '"queue" in handoff is empty.'),
    "two in one": ({**HI, **GOT}, 'one state cannot hold "sendRequest", "matchResponse" together. Split it'),
    "three in one": (
        {**HI, **GOT, "handoff": {"queue": "q"}},
        'one state cannot hold "sendRequest", "matchResponse", "handoff" together.',
    ),
}


@pytest.mark.parametrize("state, message", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_state(state: Any, message: str) -> None:
    found = problems(to_json({"hello": {}, "odd one": state}))
    assert any(problem.startswith(f"line 1: odd one: {message}") for problem in found), found
    assert not accepted_by_schema({"hello": {}, "odd one": state})


def test_an_empty_flow() -> None:
    for empty in (b"{}", b'{"$schema": "./flow.schema.json"}'):
        [problem] = problems(empty)
        assert problem.startswith("the flow has no state. Write at least")
        assert not accepted_by_schema(json.loads(empty))


def test_a_state_without_a_name() -> None:
    assert problems(b'{"": {}}') == ['line 1: a state has the name "". Give it a name.']


def test_a_key_written_twice() -> None:
    content = b'{"a": {"next": "b",\n "next": "b"},\n "b": {}}'
    assert problems(content) == ['line 1: a: "next" is written twice in one object. Remove one of them.']


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "line 1: the file is not JSON: Expecting value (column 1)."),
        (b'{"a": {},\n  "b" {}}', "line 2: the file is not JSON: Expecting ':' delimiter (column 7)."),
        (b'{"a": {}} {}', "line 1: the file is not JSON: Extra data (column 11)."),
        (b'{"a":\n NaN}', "the file is not JSON: NaN is no JSON value."),
        (b'{"$a": 1e999}', "the file is not JSON: Out of range"),
        (b"[" * 100_000, "the file is not JSON: it is nested too deeply."),
        (b'{"$a": ' + b"9" * 5000 + b"}", "the file is not JSON: "),
        (b'["a"]', "the file must hold a JSON object. Write"),
        (b"null", "the file must hold a JSON object. Write"),
        (b'{"a":\n "\xff"}', "line 2: the file is not UTF-8. Save it as UTF-8."),
        ('{"a": {}}'.encode("utf-16"), "line 1: the file is not UTF-8."),
        (
            b'{"a": {"sendRequest": {"kind": "BotText", "content": "\\ud83d"}}}',
            "line 1: a: a text holds half",
        ),
        (b'{"\\udfff": {}}', "line 1: \\udfff: a text holds half a character"),
        (
            b'{"a": "' + b"x" * MAX_FILE + b'"}',
            "the file has 458,761 bytes; a flow may have 458,752 (448 KiB).",
        ),
    ],
)
def test_what_is_no_flow_file(content: bytes, message: str) -> None:
    assert any(problem.startswith(message) for problem in problems(content)), problems(content)


@pytest.mark.parametrize("depth", range(900, 1000, 7))
def test_depth_is_refused_or_taken_never_a_crash(depth: int) -> None:
    with suppress(FlowError):
        parse(b'{"$deep": ' + b"[" * depth + b"]" * depth + b', "a": {}}', "")


def test_a_message_is_safe_to_print() -> None:
    [problem] = problems(to_json({"a\x1b[31m\n": {"next": "x" * 1_000}}))
    assert problem.isprintable()
    assert len(problem) < 200


# --- warnings ---------------------------------------------------------------------------------


def test_timers_that_lead_round_are_told() -> None:
    ask = {**ASK, "after": [{"delay": "1m", "say": "Hello?"}, {"delay": "5m", "next": "again"}]}
    [warning] = warnings({"ask": ask, "got": GOT, "again": {**HI, "next": "ask"}})
    assert warning == (
        "ask: timers alone lead round, for as long as nobody answers: ask -> again -> ask. "
        "Let one of these states wait without such a timer."
    )


def test_timers_that_come_to_a_rest_are_fine() -> None:
    ask = {**ASK, "after": {"delay": "5m", "next": "pick"}}
    takers = {"got": {**GOT, "next": "ask"}, "one": {**ONE, "next": "ask"}, "two": {**TWO, "next": "ask"}}
    assert warnings({"ask": ask, "pick": PICK, **takers}) == []


def test_an_answer_that_nothing_asks() -> None:
    assert warnings({"hello": HI, "got": GOT}) == [
        'got: nothing asks for this answer (sessionId "fav"). '
        'Compare the ids with those of the question, a state without a "next".'
    ]


def test_a_question_that_goes_on_asks_nothing() -> None:
    [warning] = warnings({"ask": {**ASK, "next": "bye"}, "got": GOT, "bye": HI})
    assert warning.startswith("got: nothing asks for this answer")


def test_a_choice_that_nothing_matches() -> None:
    assert warnings({"pick": PICK, "one": ONE}) == [
        'pick: no matchResponse takes the choice (groupId "1", itemId "2"). '
        "Add one; without it the answer is refused."
    ]


def test_a_text_that_nothing_matches() -> None:
    [warning] = warnings({"ask": ASK})
    assert warning.startswith('ask: no matchResponse takes the visitor\'s text (sessionId "fav").')


def test_a_state_that_nothing_reaches() -> None:
    assert warnings({"hello": HI, "lost": {"next": "more"}, "more": HI}) == [
        'lost: nothing leads to this state. Name it in a "next", or remove it.',
        'more: nothing leads to this state. Name it in a "next", or remove it.',
    ]


def test_states_behind_a_handoff_are_reached() -> None:
    assert warnings({"desk": {"handoff": {"queue": "q"}, "next": "bye"}, "bye": HI}) == []


def test_two_answers_that_match_the_same() -> None:
    assert warnings({"ask": ASK, "got": GOT, "too": GOT}) == [
        'too: "got" takes the same answer and comes first. Remove one of them.'
    ]


def test_two_choices_of_one_id() -> None:
    twice = [{"itemId": 1, "content": "One"}, {"itemId": "1", "content": "Uno"}]
    states = {"pick": {"sendRequest": {**PICK["sendRequest"], "choices": twice}}, "one": ONE}
    assert warnings(states) == ['pick: two choices have the itemId "1". Give one another itemId.']


def test_no_choices() -> None:
    states = {"pick": {"sendRequest": {**PICK["sendRequest"], "choices": []}}}
    assert warnings(states) == ["pick: there are no choices. The conversation will stand still here."]


def test_content_in_an_answer() -> None:
    one = {"matchResponse": {**ONE["matchResponse"], "content": "One"}}
    assert warnings({"pick": PICK, "one": one, "two": TWO}) == [
        'one: "content" in matchResponse is not compared. The ids alone decide; remove it.'
    ]


@pytest.mark.parametrize(
    "states, message",
    [
        ({"got": {**GOT, "next": "ask"}, "ask": ASK}, "got: the flow begins here, but"),
        ({"ask": ASK, "got": {**GOT, "next": "one"}, "one": GOT}, 'one: "got" takes the same answer'),
        (
            {"a": {"next": "one"}, "one": {**ONE, "next": "pick"}, "pick": PICK, "two": TWO},
            'one: "a" leads here, but a matchResponse asks nothing. The flow passes through at once; ',
        ),
    ],
)
def test_an_answer_state_entered_without_an_answer(states: dict[str, Any], message: str) -> None:
    [warning] = warnings(states)
    assert warning.startswith(message)


def test_more_states_at_one_go_than_an_answer_may_hold() -> None:
    chain: dict[str, Any] = {f"s{n}": {**HI, "next": f"s{n + 1}"} for n in range(1000)}
    (problem,) = problems(to_json({**chain, "s1000": HI}))
    assert problem.startswith("line 1: s0: 1001 states follow one another from here")
    assert parse(to_json({**chain, "s1000": ASK, "got": GOT, "s500": ASK}), "test").first == "s0"
