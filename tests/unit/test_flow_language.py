"""The checker of what flows can do beyond asking and telling: what it refuses, and what it warns of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.contract.facts import ConversationStarted, DecisionFailed
from shared.flow.decide import CallService
from shared.flow.entry_points import entry_points
from shared.flow.language.flow import Flow, FlowError, parse
from shared.flow.language.flow_file import MAX_FILE
from shared.flow.language.graph import Edge
from shared.flow.language.validation import DEEPEST_CALL
from tests.dialogue import FlowDialogue, asks, got, offers, picked, says

FLOWS = Path(__file__).parents[2] / "services" / "workflow" / "flows"
FORM: dict[str, Any] = json.loads((FLOWS / "flow.schema.json").read_text(encoding="utf-8"))
SCHEMA = jsonschema.Draft202012Validator(FORM)

DESK = {"handoff": {"queue": "q"}}
HELP = {"system": "Help.", "onError": "desk"}


def without_nulls(value: Any) -> Any:
    """The parser takes null for "left out"; the schema has editors complain of it."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def by_schema(states: Any) -> bool:
    return bool(SCHEMA.is_valid(without_nulls(states)))


def parsed(states: Any, **beside: bytes) -> Flow:
    return parse(json.dumps(states).encode(), "test", beside.get)


def problems(states: Any, **beside: bytes) -> list[str]:
    with pytest.raises(FlowError) as caught:
        parsed(states, **beside)
    return [str(problem).replace("line 1: ", "") for problem in caught.value.problems]


def warnings(states: Any) -> list[str]:
    return [str(warning).replace("line 1: ", "") for warning in parsed(states).warnings]


# --- what is right ----------------------------------------------------------------------------

RIGHT: dict[str, dict[str, Any]] = {
    "save": {"ask": asks(), "got": got(save="name")},
    "save a kind": {
        "ask": asks(),
        "got": got(
            save={"as": "day", "kind": "date", "min": "2026-01-31", "invalid": {"en": "No.", "de": "Nein."}}
        ),
    },
    "save a choice": {"pick": offers(1, 2), "got": picked(1, 2, save={"as": "n"})},
    "pattern": {"ask": asks(fallback={"say": "?"}), "got": got(pattern="^a", ignoreCase=False)},
    "words": {
        "ask": asks(fallback={"times": 3, "next": "end"}),
        "got": got(words=["a b", "c"]),
        "end": {"end": True},
    },
    "where words may be": {
        "$settings": {"invalid": {"ambiguous": {"en": "{{ first }} or {{ second }}?"}}},
        "ask": asks(fallback={"say": "?"}),
        "got": got(words=["a"], contains=True),
        "only": got(words=["b"], contains=False),
    },
    "branches": {
        "ask": asks(),
        "got": got(save="n", next=[{"when": "n == 'x'", "next": "ask"}, {"next": "end"}]),
        "end": {"end": True},
    },
    "one branch without a condition": {"a": {"next": [{"next": "b"}]}, "b": {}},
    "after": {"ask": asks(after={"delay": "90s", "say": "?"}), "got": got()},
    "several timers": {
        "desk": {**DESK, "after": [{"delay": "1h", "say": "?"}, {"delay": "1d", "next": "end"}]},
        "end": {"end": True},
    },
    "handoff": {
        "desk": {
            "handoff": {
                "queue": "q",
                "reason": {"en": "r"},
                "waiting": "w",
                "nobody": {"say": "n", "next": "end"},
                "back": "b",
            },
            "next": "end",
        },
        "end": {"end": True},
    },
    "service": {
        "a": {
            "service": {
                "url": "https://shop.example:8080?x={{ visitor.door }}",
                "method": "PUT",
                "headers": {"X-A": "b"},
                "body": {"any": [1, None]},
                "timeout": "25s",
                "save": "x",
                "pick": "a.0.b-c",
                "onError": "b",
            },
            "next": "b",
        },
        "b": says("{{ x.y }}"),
    },
    "service over NATS": {"a": {"service": {"subject": "service.stock.get", "body": None}}},
    "assistant": {
        "help": {
            "assistant": {
                **HELP,
                "goTo": ["bye"],
                "handoff": {"queue": "q"},
                "model": "m",
                "maxTokens": 9,
                "temperature": 0,
                "sessionId": 1,
                "greeting": "Hi",
                "prompt": {"en": "p"},
            },
            "after": {"delay": "5m", "next": "bye"},
        },
        "bye": says("Bye."),
        "desk": DESK,
    },
    "assistant once": {"a": {"assistant": {**HELP, "once": True}, "next": "desk"}, "desk": DESK},
    "call": {
        "a": {"call": "sub", "next": "end"},
        "end": {"end": True},
        "$flows": {"$comment": "", "sub": {"$comment": "", "x": asks(), "got": got()}},
    },
    "languages": {"$settings": {"language": "de"}, "a": says({"en-GB": "Hello", "DE": "Hallo"})},
    "settings": {
        "$settings": {
            "fallback": {"say": "?"},
            "invalid": {"email": "No.", "date": {"en": "No."}},
            "inactivity": "12h",
        },
        "a": {},
    },
}


@pytest.mark.parametrize("states", RIGHT.values(), ids=RIGHT)
def test_what_is_right_is_accepted_by_the_checker_and_by_editors(states: dict[str, Any]) -> None:
    assert warnings(states) == []
    assert by_schema(states), list(SCHEMA.iter_errors(without_nulls(states)))


def test_every_key_is_explained_to_editors() -> None:
    def unexplained(part: Any, at: str) -> list[str]:
        found: list[str] = []
        if isinstance(part, dict):
            for name, key in part.get("properties", {}).items() if part.get("type") == "object" else ():
                target = FORM["$defs"].get(str(key.get("$ref", "")).rpartition("/")[2], {})
                if "description" not in key and "description" not in target:
                    found.append(f"{at}.{name}")
            for name, inner in part.items():
                found += unexplained(inner, f"{at}.{name}")
        elif isinstance(part, list):
            for inner in part:
                found += unexplained(inner, at)
        return found

    assert unexplained(FORM, "") == []


# --- what is wrong ----------------------------------------------------------------------------

#: States, what is said, and whether editors see it, too.
WRONG: dict[str, tuple[dict[str, Any], str, bool]] = {
    "name of a variable": (
        {"ask": asks(), "got": got(save="1st")},
        'got: "as" in save has the wrong type. It must be a name of letters, digits and _',
        True,
    ),
    "reserved name": ({"ask": asks(), "got": got(save="visitor")}, 'got: "as" in save', True),
    "unknown kind": (
        {"ask": asks(), "got": got(save={"as": "x", "kind": "mail"})},
        'got: "kind" in save has the wrong type. It must be one of "text", "email", ',
        True,
    ),
    "limit of a kind without": (
        {"ask": asks(), "got": got(save={"as": "x", "kind": "email", "min": 3})},
        'got: "min" in save means nothing for this kind. Remove it.',
        True,
    ),
    "limit of a number": (
        {"ask": asks(), "got": got(save={"as": "x", "kind": "number", "max": "9"})},
        'got: "max" in save has the wrong type. It must be a number.',
        True,
    ),
    "limit of a day": (
        {"ask": asks(), "got": got(save={"as": "x", "kind": "date", "max": "2026-02-30"})},
        'got: "max" in save is no day. Write it as "2026-12-31".',
        False,
    ),
    "unit of a day": (
        {"ask": asks(), "got": got(save={"as": "x", "kind": "date", "unit": "€"})},
        'got: "unit" in save means nothing for this kind. Remove it.',
        True,
    ),
    "unit that is a figure": (
        {"ask": asks(), "got": got(save={"as": "x", "kind": "number", "unit": ["€", "1,0"]})},
        'got: "unit" in save is no unit. It must be what stands beside the number, as "kg" or ["€", "EUR"].',
        True,
    ),
    "unit that is a list of numbers": (
        {"ask": asks(), "got": got(save={"as": "x", "kind": "number", "unit": [1]})},
        'got: "unit" in save has the wrong type. It must be what stands beside the number, as "kg"',
        True,
    ),
    "region of a number": (
        {"ask": asks(), "got": got(save={"as": "x", "kind": "number", "region": "DE"})},
        'got: "region" in save means nothing for this kind. Remove it.',
        True,
    ),
    "region that is no country": (
        {"ask": asks(), "got": got(save={"as": "x", "kind": "phone", "region": "UK"})},
        'got: "region" in save names no country: "UK". It is "GB".',
        False,
    ),
    "region in small letters": (
        {"ask": asks(), "got": got(save={"as": "x", "kind": "phone", "region": "de"})},
        'got: "region" in save has the wrong type. It must be a country, as "DE" or "US".',
        True,
    ),
    "words for an unclear text": (
        {"ask": asks(), "got": got(save={"as": "x", "ambiguous": "{{ first }}?"})},
        'got: "ambiguous" in save means nothing for this kind. Remove it.',
        True,
    ),
    "limits the wrong way round": (
        {"ask": asks(), "got": got(save={"as": "x", "min": 3, "max": 2})},
        'got: "min" in save is above "max". Swap them.',
        False,
    ),
    "kind of a choice": (
        {"pick": offers(1, 2), "got": picked(1, 2, save={"as": "x", "kind": "number"})},
        'got: "kind" in save means nothing here: it is the choice\'s itemId that is kept. Remove it.',
        True,
    ),
    "pattern": (
        {"ask": asks(), "got": got(pattern="(a")},
        'got: "pattern" cannot be used: missing ): (a.',
        False,
    ),
    "pattern that RE2 has not": (
        {"ask": asks(), "got": got(pattern=r"(a)\1")},
        'got: "pattern" cannot be used: invalid escape sequence: \\1.',
        False,
    ),
    "pattern too long": (
        {"ask": asks(), "got": got(pattern="a" * 1001)},
        'got: "pattern" cannot be used: it has 1001 characters, and may have 1000.',
        True,
    ),
    "group of a pattern": (
        {"ask": asks(), "got": got(pattern="(?P<in>a)")},
        'got: "pattern" has a group with the name "in". It must be a name of',
        False,
    ),
    "pattern and words": (
        {"ask": asks(), "got": got(pattern="a", words=["b"])},
        'got: "pattern" and "words" cannot be together. Make two states of them.',
        True,
    ),
    "case of words": (
        {"ask": asks(), "got": got(words=["b"], ignoreCase=True)},
        'got: "ignoreCase" belongs to a "pattern".',
        True,
    ),
    "where a pattern may be": (
        {"ask": asks(), "got": got(pattern="b", contains=True)},
        'got: "contains" belongs to "words". A pattern is searched for anyway; remove it.',
        True,
    ),
    "no words": ({"ask": asks(), "got": got(words=[])}, 'got: "words" has no word.', True),
    "words without letters": (
        {"ask": asks(), "got": got(words=["?"])},
        'got: "words" cannot be used: a word needs a letter or a digit.',
        False,
    ),
    "condition": (
        {"a": {"next": [{"when": "x ==", "next": "a"}, {"next": "b"}]}, "b": {}},
        'a: "when" in branch 1 of "next" is no condition: column 5: Syntax error: mismatched',
        False,
    ),
    "function of a condition": (
        {"a": {"next": [{"when": "upper('x') == 'X'", "next": "b"}, {"next": "b"}]}, "b": {}},
        'a: "when" in branch 1 of "next" is no condition: there is no function upper.',
        False,
    ),
    "loops of a condition": (
        {"a": {"next": [{"when": "[1].all(x, [2].all(y, x == y))", "next": "b"}, {"next": "b"}]}, "b": {}},
        'a: "when" in branch 1 of "next" is no condition: it has more than one loop',
        False,
    ),
    "condition too long": (
        {"a": {"next": [{"when": "true" + " " * 500, "next": "b"}, {"next": "b"}]}, "b": {}},
        'a: "when" in branch 1 of "next" is no condition: it has 504 characters, and may have 500.',
        True,
    ),
    "unknown variable in a condition": (
        {
            "ask": asks(),
            "got": got(save="email", next=[{"when": "emial == ''", "next": "end"}, {"next": "end"}]),
            "end": {},
        },
        'got: "when" looks at "emial", which nothing saves. Did you mean "email"?',
        False,
    ),
    "no last way": (
        {"a": {"next": [{"when": "true", "next": "b"}]}, "b": {}},
        'a: "next" has no last way out. Add {"next": "..."}, without "when", for when no condition holds.',
        True,
    ),
    "no way": ({"a": {"next": []}}, 'a: "next" has no last way out.', True),
    "a way without a condition before others": (
        {"a": {"next": [{"next": "b"}, {"when": "true", "next": "b"}]}, "b": {}},
        'a: branch 1 of "next" lacks "when". Only the last may do without.',
        False,
    ),
    "branch no object": (
        {"a": {"next": ["b"]}, "b": {}},
        'a: branch 1 of "next" must be an object. Write {"when": "...", "next": "..."}.',
        True,
    ),
    "unknown target of a branch": (
        {"a": {"next": [{"when": "true", "next": "bb"}, {"next": "b"}]}, "b": {}},
        'a: "next" names "bb", which is no state. Did you mean "b"?',
        False,
    ),
    "delay": (
        {"ask": asks(after={"delay": "5 min", "say": "?"}), "got": got()},
        'ask: "delay" in after has the wrong type. It must be a whole number and s, m, h or d',
        True,
    ),
    "delay of more than a year": (
        {"ask": asks(after={"delay": "367d", "say": "?"}), "got": got()},
        'ask: "delay" in after',
        False,
    ),
    "timer that does nothing": (
        {"ask": asks(after=[{"delay": "5m"}]), "got": got()},
        'ask: timer 1 of after does nothing. Give it "say", "next", or both.',
        True,
    ),
    "no timers": (
        {"ask": asks(after=[]), "got": got()},
        'ask: "after" has 0 timers. It may have 1 to 20.',
        True,
    ),
    "timer no object": (
        {"ask": asks(after=["5m"]), "got": got()},
        "ask: timer 1 of after must be an object.",
        True,
    ),
    "timer where nobody is waited for": (
        {"a": {**says("Hi", "b"), "after": {"delay": "5m", "say": "?"}}, "b": {}},
        'a: "after" has nothing to wait for. Put it on a question, an assistant or a handoff.',
        True,
    ),
    "unknown target of a timer": (
        {"ask": asks(after={"delay": "5m", "next": "gto"}), "got": got()},
        'ask: "next" in after names "gto", which is no state. Did you mean "got"?',
        False,
    ),
    "fallback that does nothing": (
        {"ask": asks(fallback={}), "got": got()},
        'ask: fallback does nothing. Give it "say", "next", or both.',
        True,
    ),
    "times that lead nowhere": (
        {"ask": asks(fallback={"say": "?", "times": 2}), "got": got()},
        'ask: "times" in fallback has nowhere to go afterwards. Add a "next".',
        True,
    ),
    "no times": (
        {"ask": asks(fallback={"times": 0, "next": "got"}), "got": got()},
        'ask: "times" in fallback has the wrong type. It must be a whole number from 1.',
        True,
    ),
    "fallback where nothing is asked": (
        {"a": {**says("Hi"), "fallback": {"say": "?"}}},
        'a: "fallback" has no answer to wait for. Put it on a question without a "next".',
        True,
    ),
    "unknown target of a fallback": (
        {"ask": asks(fallback={"next": "desk"}), "got": got()},
        'ask: "next" in fallback names "desk", which is no state.',
        False,
    ),
    "unknown target of the settings' fallback": (
        {"$settings": {"fallback": {"next": "hi"}}, "hello": {}},
        '$settings: "next" in fallback names "hi", which is no state.',
        False,
    ),
    "nobody that does nothing": (
        {"desk": {"handoff": {"queue": "q", "nobody": {}}}},
        'desk: nobody does nothing. Give it "say", "next", or both.',
        True,
    ),
    "unknown target of nobody": (
        {"desk": {"handoff": {"queue": "q", "nobody": {"next": "mail"}}}},
        'desk: "next" in nobody names "mail", which is no state.',
        False,
    ),
    "circle through nobody": (
        {"desk": {"handoff": {"queue": "q", "nobody": {"next": "a"}}}, "a": {"next": "desk"}},
        "desk: the flow would go round for ever: desk -> a -> desk.",
        False,
    ),
    "service of no address": (
        {"a": {"service": {"url": "ftp://x.example"}}},
        'a: "url" in service is no address that can be asked. It begins as "https://shop.example.com/"',
        True,
    ),
    "host from a variable": (
        {"a": {"service": {"url": "https://{{ visitor.user }}.example/"}}},
        'a: "url" in service is no address that can be asked.',
        True,
    ),
    "end of a host from a variable": (
        {"a": {"service": {"url": "https://shop.example{{ visitor.user }}"}}},
        'a: "url" in service is no address that can be asked.',
        True,
    ),
    "port that is none": (
        {"a": {"service": {"url": "https://shop.example:99999/"}}},
        'a: "url" in service is no address that can be asked.',
        False,
    ),
    "host that is none": (
        {"a": {"service": {"url": "http://[::1/"}}},
        'a: "url" in service is no address that can be asked.',
        False,
    ),
    "header of our own": (
        {"a": {"service": {"url": "https://x.example", "headers": {"Content-Length": "5"}}}},
        'a: "Content-Length" in headers is set by Switchboard itself. Remove it.',
        False,
    ),
    "service of nothing": ({"a": {"service": {}}}, 'a: service needs either "url" or "subject".', True),
    "service of two": (
        {"a": {"service": {"url": "https://x.example", "subject": "service.x"}}},
        'a: service needs either "url" or "subject". Give it one of them.',
        True,
    ),
    "another subject": (
        {"a": {"service": {"subject": "chat.x"}}},
        'a: "subject" in service has the wrong type. It must be a subject that begins with service',
        True,
    ),
    "method over NATS": (
        {"a": {"service": {"subject": "service.x", "method": "GET"}}},
        'a: "method" in service belongs to a "url". Remove it.',
        True,
    ),
    "long timeout": (
        {"a": {"service": {"url": "https://x.example", "timeout": "1m"}}},
        'a: "timeout" in service is too long. It may be "25s": a visitor waits.',
        False,
    ),
    "header": (
        {"a": {"service": {"url": "https://x.example", "headers": {"A B": "x"}}}},
        'a: "A B" in headers is no header. Write {"X-Shop": "a text"}.',
        True,
    ),
    "header of two lines": (
        {"a": {"service": {"url": "https://x.example", "headers": {"A": "x\r\nB: y"}}}},
        'a: "A" in headers is no header.',
        False,
    ),
    "unknown target of an error": (
        {"a": {"service": {"url": "https://x.example", "onError": "sorry"}}},
        'a: "onError" names "sorry", which is no state.',
        False,
    ),
    "circle through a service": (
        {"a": {"service": {"subject": "service.a", "onError": "b"}}, "b": {"next": "a"}},
        "a: the flow would go round for ever: a -> b -> a.",
        False,
    ),
    "assistant without a way out": (
        {"a": {"assistant": {"system": "Help."}}},
        'a: assistant lacks "onError". It is a text in "quotes".',
        True,
    ),
    "assistant that goes nowhere": (
        {"a": {"assistant": {**HELP, "goTo": ["dsk"]}}, "desk": DESK},
        'a: "goTo" names "dsk", which is no state. Did you mean "desk"?',
        False,
    ),
    "assistant that stays and goes": (
        {"a": {"assistant": HELP, "next": "desk"}, "desk": DESK},
        'a: "next" is never reached: the assistant stays. Let it go on with "goTo", or',
        True,
    ),
    "greeting of an assistant that speaks once": (
        {"a": {"assistant": {**HELP, "once": True, "greeting": "Hi"}, "next": "desk"}, "desk": DESK},
        'a: "greeting" in assistant means nothing with "once". Remove it.',
        True,
    ),
    "temperature": (
        {"a": {"assistant": {**HELP, "temperature": 3}}, "desk": DESK},
        'a: "temperature" in assistant has the wrong type. It must be a number from 0 to 2.',
        True,
    ),
    "circle through an assistant": (
        {"a": {"assistant": {**HELP, "once": True, "onError": "a"}}},
        "a: the flow would go round for ever: a -> a.",
        False,
    ),
    "unknown sub-flow": (
        {"a": {"call": "contct"}, "$flows": {"contact": {"x": {}}}},
        'a: "call" names "contct", which is no sub-flow. Did you mean "contact"?',
        False,
    ),
    "sub-flow without states": (
        {"a": {"call": "sub"}, "$flows": {"sub": {}}},
        'a: "call" names "sub", which has no state. Write its states.',
        False,
    ),
    "sub-flow no object": (
        {"a": {}, "$flows": {"sub": 5}},
        "sub: a sub-flow must be an object of states.",
        True,
    ),
    "sub-flows no object": ({"a": {}, "$flows": 5}, "$flows: $flows must be an object.", True),
    "name of a sub-flow": (
        {"a": {}, "$flows": {"a/b": {"x": {}}}},
        '$flows: "a/b" is no name for a sub-flow. Take one without "/".',
        True,
    ),
    "names that meet": (
        {"sub/x": {}, "$flows": {"sub": {"x": {}}}},
        'sub/x: a sub-flow has a state of this name, too: "sub/x". Rename one of them.',
        False,
    ),
    "sub-flow that leads out": (
        {"a": {"call": "sub", "next": "b"}, "b": {}, "$flows": {"sub": {"x": {"next": "b"}}}},
        'sub/x: "next" names "b", which is no state. Add that state, or change "next".',
        False,
    ),
    "recursion": (
        {"a": {"call": "one"}, "$flows": {"one": {"x": {"call": "two"}}, "two": {"y": {"call": "one"}}}},
        "two/y: the sub-flows call one another for ever: one -> two -> one. Let one of them return",
        False,
    ),
    "circle through a call": (
        {"a": {"call": "sub", "next": "a"}, "$flows": {"sub": {"x": {"next": "y"}, "y": {}}}},
        "a: the flow would go round for ever: a -> a.",
        False,
    ),
    "circle in a sub-flow": (
        {"a": {"call": "sub"}, "$flows": {"sub": {"x": {"next": "x"}}}},
        "sub/x: the flow would go round for ever: sub/x -> sub/x.",
        False,
    ),
    "end that goes on": (
        {"a": {"end": True, "next": "b"}, "b": {}},
        'a: "end" and "next" contradict one another. Remove one of them.',
        True,
    ),
    "no language": ({"a": says({})}, "a: content has no language. It must be a text", True),
    "text in no language": (
        {"a": says({"en": "Hi", "d e": "Hallo"})},
        'a: "d e" in content is no text in a language.',
        True,
    ),
    "language without text": ({"a": says({"en": 5})}, 'a: "en" in content is no text in a language.', True),
    "the flow's own language is missing": (
        {"$settings": {"language": "de"}, "a": says({"en": "Hi"})},
        'a: content lacks the language "de". It is the one in $settings, for visitors of any other.',
        False,
    ),
    "language of the settings": (
        {"$settings": {"language": "German!"}, "a": {}},
        '$settings: "language" in $settings has the wrong type. It must be a language, as "en" or "pt-BR".',
        True,
    ),
    "two deeds": (
        {"a": {**DESK, "call": "x"}},
        'a: one state cannot hold "handoff", "call" together. Split it into several states',
        True,
    ),
}


@pytest.mark.parametrize("states, message, seen_by_editors", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_with_its_state_and_remedy(
    states: dict[str, Any], message: str, seen_by_editors: bool
) -> None:
    found = problems(states)
    assert any(problem.startswith(message) for problem in found), found
    assert by_schema(states) is not seen_by_editors


def test_every_problem_names_its_own_line_in_sub_flows_too() -> None:
    content = b"""{
      "a": {"call": "sub"},
      "$flows": {
        "sub": {
          "x": {"next": "y"},
          "z": {"sendRequest": {"kind": "BotTxt"}}
        }
      }
    }"""
    with pytest.raises(FlowError) as caught:
        parse(content, "test")
    assert [str(problem) for problem in caught.value.problems] == [
        'line 5: sub/x: "next" names "y", which is no state. Add that state, or change "next".',
        'line 6: sub/z: sendRequest has the unknown kind "BotTxt". Did you mean "BotText"?',
    ]


def test_a_state_written_twice_in_a_sub_flow_is_refused() -> None:
    with pytest.raises(FlowError, match=r'\$flows: "x" is written twice in one object'):
        parse(b'{"a": {"call": "sub"}, "$flows": {"sub": {"x": {}, "x": {}}}}', "test")


def test_calls_nested_too_deep_are_refused() -> None:
    def nested(deep: int) -> dict[str, Any]:
        flows = {f"f{n}": {"x": {"call": f"f{n + 1}"}} for n in range(1, deep)}
        return {"a": {"call": "f1"}, "$flows": {**flows, f"f{deep}": {"x": {}}}}

    assert parsed(nested(DEEPEST_CALL)).first == "a"
    [problem] = problems(nested(DEEPEST_CALL + 1))
    assert problem.startswith(f"a: sub-flows call sub-flows {DEEPEST_CALL + 1} deep.")


def test_the_states_of_called_flows_count_as_states_of_one_go() -> None:
    chain: dict[str, Any] = {f"s{n}": {"next": f"s{n + 1}"} for n in range(499)}
    sub = {**chain, "s499": {}}
    twice = {"a": {"call": "sub", "next": "b"}, "b": {"call": "sub"}, "$flows": {"sub": sub}}
    [problem] = problems(twice)
    assert problem.startswith("a: 1002 states follow one another from here")
    asked = {**twice, "$flows": {"sub": {**sub, "s250": asks()}}}
    assert parsed(asked).first == "a"


@pytest.mark.parametrize("depth", [10, 200, 400, 470, 600, 900])
def test_a_body_nested_however_deep_is_refused_or_sent(depth: int) -> None:
    body = "[" * depth + '"{{ visitor.door }}"' + "]" * depth
    content = b'{"a": {"service": {"subject": "service.x", "body": %s}}}' % body.encode()
    try:
        flow = parse(content, "test")
    except FlowError as error:
        refused = str(error)
    else:
        refused = ""
        answer = FlowDialogue(flow).happens(ConversationStarted(door="rest"))
        assert isinstance(answer, CallService) or answer == (DecisionFailed(reason="too_large"),)
    assert not refused or (depth > 200 and "nested too deeply" in refused)


# --- files beside it --------------------------------------------------------------------------

CONTACT = b"""{"$schema": "./flow.schema.json", "ask": {"call": "deeper", "next": "bye"},
 "bye": {"sendRequest": {"kind": "BotText", "content": "Bye."}}}"""


def test_a_sub_flow_may_be_a_file_beside_it() -> None:
    flow = parsed({"a": {"call": "contact"}}, contact=CONTACT, deeper=b'{"x": {}}')
    assert list(flow.states) == ["a", "contact/ask", "contact/bye", "deeper/x"]
    again = parse(flow.content, "test")
    assert (again.version, again.content) == (flow.version, flow.content)
    other = parsed({"a": {"call": "contact"}}, contact=CONTACT, deeper=b'{"y": {}}')
    assert other.version != flow.version


def test_what_the_file_holds_itself_comes_first() -> None:
    flow = parsed({"a": {"call": "contact"}, "$flows": {"contact": {"own": {}}}}, contact=CONTACT)
    assert list(flow.states) == ["a", "contact/own"]


def test_problems_of_another_file_name_it() -> None:
    assert problems({"a": {"call": "contact"}}, contact=b'{"x":\n {},\n "x": {"next": "y"}}') == [
        "contact.json, line 3: x: there are two states of this name, the first in line 1. "
        "Give one of them another name."
    ]
    found = problems({"a": {"call": "contact"}}, contact=b"{]")
    assert found[0].startswith('a: "call" names "contact", which has no state.')
    assert found[1].startswith("contact.json, the file is not JSON:")


def test_flow_and_sub_flows_together_have_a_largest_size() -> None:
    large = json.dumps({"x": says("x" * (MAX_FILE // 2))}).encode()
    [problem] = problems({"a": {"call": "b", "next": "c"}, "c": {"call": "d"}}, b=large, d=large)
    assert problem.startswith("with its sub-flows the flow has 458,")


# --- warnings ---------------------------------------------------------------------------------


def test_a_variable_that_nothing_saves() -> None:
    states = {"ask": asks(text="Hi {{ nmae | you }}"), "got": got(save="name")}
    assert warnings(states) == [
        'ask: a text names the variable "nmae", which nothing saves. Did you mean "name"?'
    ]


def test_what_is_not_known_of_the_visitor() -> None:
    assert warnings({"ask": asks(text="Hi {{ visitor.name }}"), "got": got(save="x")}) == [
        'ask: nothing is known of the visitor as "name". Known: "language", "door", "flow", "user".'
    ]


def test_braces_are_braces_where_nothing_is_saved() -> None:
    flow = parsed({"a": says("Write {{ name }} and {{ visitor.door }}.")})
    assert [str(warning) for warning in flow.warnings] == [
        'line 1: a: a text is shown with its "{{". '
        'Variables are written "{{ name }}", after a "save"; anything else stays as it is.'
    ]
    assert parsed({"a": says("Write {{ name }}.")}).states["a"].speech is None


def test_texts_that_no_pattern_takes() -> None:
    assert warnings({"ask": asks(), "got": got(words=["yes"])}) == [
        'ask: a text that no pattern or word takes is refused (sessionId "fav"). '
        'Give this state a "fallback".'
    ]


@pytest.mark.parametrize(
    ("yes", "no", "warned"),
    [
        ({"words": ["ใช่"]}, {"words": ["ไม่ใช่"]}, ("ใช่", "ไม่ใช่", "no")),
        ({"words": ["是"]}, {"words": ["不是"]}, ("是", "不是", "no")),
        ({"words": ["네"]}, {"words": ["네이버"]}, ("네", "네이버", "no")),
        ({"words": ["maybe", "Sure"]}, {"words": ["not sure"]}, ("Sure", "not sure", "no")),
        ({"words": ["so"], "contains": True}, {"words": ["also"]}, ("so", "also", "no")),
        ({"words": ["so"]}, {"words": ["also"]}, None),
        ({"words": ["sure"], "contains": False}, {"words": ["not sure"]}, None),
        ({"words": ["yes"]}, {"words": ["no"]}, None),
    ],
)
def test_words_within_another_states_words_are_warned_of(
    yes: dict[str, Any], no: dict[str, Any], warned: tuple[str, str, str] | None
) -> None:
    states = {"ask": asks(fallback={"say": "?"}), "yes": got(**yes), "no": got(**no)}
    expected = []
    if warned:
        shorter, longer, other = warned
        reason = f'yes: "words" has "{shorter}", which is also in "{longer}" of "{other}".'
        remedy = 'A text with both is the longer\'s; with "contains": false a word must be the whole text.'
        expected = [f"{reason} {remedy}"]
    assert warnings(states) == expected


def test_the_same_word_in_two_states_is_warned_of_once() -> None:
    states = {"ask": asks(fallback={"say": "?"}), "one": got(words=["Ja"]), "two": got(words=["x", "ｊａ"])}
    assert warnings(states) == [
        'two: "words" has "ｊａ", and so has "one" before it. Remove it from one of them.'
    ]


def test_words_of_different_questions_are_not_compared() -> None:
    states = {
        "ask": asks("a", fallback={"say": "?", "next": "ask2"}),
        "yes": got("a", words=["sure"], next="ask2"),
        "ask2": asks("b", fallback={"say": "?"}),
        "no": got("b", words=["not sure"]),
    }
    assert warnings(states) == []


def test_a_pattern_behind_a_state_that_takes_everything() -> None:
    assert warnings({"ask": asks(), "all": got(), "yes": got(words=["yes"])}) == [
        'yes: "all" takes the same answer and comes first. Remove one of them.'
    ]


def test_a_sub_flow_that_nothing_calls() -> None:
    assert warnings({"a": {}, "$flows": {"sub": {"x": {"next": "y"}, "y": {}}}}) == [
        'sub/x: nothing calls this sub-flow. Name it in a "call", or remove it.'
    ]


def test_settings_of_others_are_let_pass() -> None:
    assert warnings({"$settings": {"theme": "dark"}, "a": {}}) == [
        '$settings: "theme" is not used. Known here: "fallback", "handback", "inactivity", "invalid", '
        '"language", "region", "thanks".'
    ]
    for region in ("Europe", "XX", 7):
        assert warnings({"$settings": {"region": region}, "a": {}}) == [
            '$settings: "region" in $settings is not used: it is no country, as "DE" or "US". '
            "Write one, or remove it."
        ]
    assert warnings({"$settings": "mine", "a": {}}) == ["$settings: $settings is no object. It is not used."]


REMEDY = 'Write {"menu": "Back to the menu"}: states, and what operators read.'


@pytest.mark.parametrize(
    "handback, warning",
    [
        ({"lost": "Lost property"}, None),
        ("lost", f"$settings: handback in $settings is not used: it is no object. {REMEDY}"),
        ({"lost": " "}, '$settings: "lost" of handback in $settings is not used: it has no title.'),
        ({"lost": "x" * 81}, '$settings: "lost" of handback in $settings is not used: it has no title.'),
        ({"lots": "Lots"}, '$settings: handback in $settings names "lots", which is no state.'),
        ({"got": "Got"}, "got: operators hand back to it, but a matchResponse asks nothing."),
    ],
)
def test_where_operators_may_hand_back_to_is_named_with_titles(handback: Any, warning: str | None) -> None:
    """A state that only operators lead to is not out of reach; files may have had a key of this name."""
    flow = {
        "$settings": {"handback": handback},
        "ask": asks(),
        "got": got(),
        "lost": says("Where was it?"),
    }
    found = warnings(flow)
    unreached = 'lost: nothing leads to this state. Name it in a "next", or remove it.'
    if warning is None:
        assert unreached not in found
        assert list(entry_points(flow)) == [("lost", "Lost property")]
    else:
        assert any(each.startswith(warning) for each in found), found
        assert unreached in found
        assert not [state for state, _ in entry_points(flow) if state != "got"]


# --- the graph --------------------------------------------------------------------------------


def test_every_way_is_part_of_the_graph() -> None:
    flow = parsed(
        {
            "$settings": {"fallback": {"next": "desk"}},
            "pick": offers("n", 1),
            "one": picked("n", 1, "sub"),
            "sub": {"call": "sub", "next": [{"when": "true", "next": "help"}, {"next": "desk"}]},
            "help": {"assistant": {**HELP, "goTo": ["end"]}, "after": {"delay": "1m", "next": "end"}},
            "desk": {"handoff": {"queue": "q", "nobody": {"next": "end"}}},
            "end": {"end": True},
            "$flows": {"sub": {"x": asks(), "got": got()}},
        }
    )
    assert set(flow.ways) == {
        Edge("pick", "one", "answer", "1"),
        Edge("pick", "desk", "fallback"),
        Edge("one", "sub", "next", "", True),
        Edge("sub", "sub/x", "call", "", True),
        Edge("sub", "help", "when", "true", True),
        Edge("sub", "desk", "next", "", True),
        Edge("sub/x", "sub/got", "answer"),
        Edge("sub/x", "desk", "fallback"),
        Edge("help", "desk", "onError"),
        Edge("help", "end", "goTo"),
        Edge("help", "end", "after", "60 s"),
        Edge("desk", "end", "nobody", "", True),
    }
