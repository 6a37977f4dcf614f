"""Laws of the flow language: whatever is accepted can be led through by anybody, and never raises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contract.conversation import Begun, Input
from shared.contract.entry import MAX_ENTRY, Entry, decode, encode, needed
from shared.contract.facts import (
    AnswerStarted,
    ChoiceMade,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationReset,
    ConversationStarted,
    FlowAdvanced,
    TextWritten,
    TimerFired,
)
from shared.flow.bundle import replayed
from shared.flow.decide import (
    CallService,
    Effect,
    Generated,
    GenerationFailed,
    GoTo,
    HandoffRequest,
    Moment,
    respond,
)
from shared.flow.language.flow import Flow, FlowError, parse
from shared.flow.language.locales import lookup, wishes
from shared.flow.language.templates import Voice, html, plain, template, url
from shared.flow.language.values import Kind, Misfit, Save, captured, found, written
from tests import examples
from tests.dialogue import FlowDialogue
from tests.unit.test_retrace import bundle

quick = settings(max_examples=200, deadline=None)
FLOWS = Path(__file__).parents[2] / "services" / "workflow" / "flows"
SCHEMA = jsonschema.Draft202012Validator(json.loads((FLOWS / "flow.schema.json").read_bytes()))

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)

# --- flows ------------------------------------------------------------------------------------

NAMES = [f"s{number}" for number in range(8)]
names = st.sampled_from(NAMES)
variables = st.sampled_from(["a", "b", "c"])
texts = st.sampled_from(
    [
        "Hi",
        "{{ a }} and {{ b.c | nothing }}",
        "{{ visitor.language }} {{ c.0 }}",
        {"en": "{{ a }}", "de": "{{ b }}!"},
        {"de": "Ja"},
    ]
)
conditions = st.sampled_from(
    [
        "a == null",
        "b > 3",
        "visitor.door == 'web'",
        "c.size() > 1",
        "a.d.e",
        "[1, 2].exists(x, x == b)",
        "1/0 == 1",
        "a * 4 >= b + 0.5",
        "c[a % 2] == b / 2",
    ]
)
sessions = st.sampled_from([1, "2", "assistant"])
delays = st.sampled_from(["1s", "5m", "1d"])


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


saves = (
    variables
    | st.fixed_dictionaries(
        {"as": variables, "kind": st.sampled_from(["text", "email", "number", "phone", "date"])},
        optional={"invalid": texts},
    )
    | st.one_of(
        st.fixed_dictionaries(
            {"as": variables, "kind": st.just("number")},
            optional={"ambiguous": texts, "unit": st.sampled_from(["kg", ["€", "EUR"]])},
        ),
        st.fixed_dictionaries(
            {"as": variables, "kind": st.just("phone")}, optional={"region": st.sampled_from(["DE", "US"])}
        ),
    )
)
nexts = names | st.builds(
    lambda branches, last: [{"when": when, "next": next} for when, next in branches] + [{"next": last}],
    st.lists(st.tuples(conditions, names), min_size=1, max_size=2),
    names,
)
timers = st.lists(
    st.fixed_dictionaries({"delay": delays, "say": texts}, optional={"next": names}), min_size=1, max_size=2
)
fallbacks = st.fixed_dictionaries(
    {"say": texts, "times": st.integers(1, 2), "next": names}
) | st.fixed_dictionaries({"say": texts})
nobody = st.fixed_dictionaries({"say": texts}, optional={"next": names})
desks = st.fixed_dictionaries(
    {"queue": st.just("q"), "reason": texts}, optional={"waiting": texts, "back": texts, "nobody": nobody}
)
choices = st.lists(st.fixed_dictionaries({"itemId": sessions, "content": texts}), min_size=1, max_size=3)
questions = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("ChoiceRequest"), "groupId": sessions, "question": texts, "choices": choices}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("StartChatSession"), "sessionId": sessions}, optional={"chatText": texts}
    ),
)
services = st.fixed_dictionaries(
    {"url": st.sampled_from(["https://a.example/{{ a }}", "http://b.example?x={{ b }}"])},
    optional={
        "body": st.sampled_from(["{{ a }}", {"x": ["{{ b.c }}", "y{{ c }}"]}]),
        "headers": st.just({"X-A": "{{ a }}"}),
        "save": variables,
        "pick": st.sampled_from(["a", "a.0"]),
        "onError": names,
    },
)
assistants = st.fixed_dictionaries(
    {"system": texts, "onError": names},
    optional={"goTo": st.lists(names, max_size=2), "handoff": desks, "greeting": texts},
)
answers = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("ChoiceResponse"), "groupId": sessions, "itemId": sessions},
        optional={"save": variables},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("UserText"), "sessionId": sessions},
        optional={"save": saves, "words": st.sampled_from([["yes", "no way"], ["はい"], ["ใช่", "네"]])},
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("UserText"),
            "sessionId": sessions,
            "words": st.just(["no", "不"]),
            "contains": st.booleans(),
        },
        optional={"save": saves},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("UserText"), "sessionId": sessions, "pattern": st.just(r"(?P<c>\d+)|y")},
    ),
)
states = st.one_of(
    st.fixed_dictionaries(
        {"sendRequest": st.fixed_dictionaries({"kind": st.just("BotText"), "content": texts}), "next": nexts}
    ),
    st.fixed_dictionaries({"sendRequest": questions}, optional={"fallback": fallbacks, "after": timers}),
    st.fixed_dictionaries({"sendRequest": questions}, optional={"fallback": fallbacks, "after": timers}),
    st.fixed_dictionaries({"handoff": desks}, optional={"after": timers, "next": nexts}),
    st.fixed_dictionaries({"service": services, "next": nexts}),
    st.fixed_dictionaries({"assistant": assistants}, optional={"after": timers}),
    st.fixed_dictionaries(
        {
            "assistant": st.fixed_dictionaries({"system": texts, "onError": names, "once": st.just(True)}),
            "next": nexts,
        }
    ),
    st.fixed_dictionaries({"call": st.sampled_from(["one", "two"])}, optional={"next": nexts}),
    st.just({"end": True}),
)
answer_states = st.fixed_dictionaries({"matchResponse": answers, "next": nexts})
bodies = st.tuples(*(states if number < 5 else answer_states for number in range(len(NAMES)))).map(
    lambda each: dict(zip(NAMES, each, strict=True))
)
files = st.builds(
    lambda main, one, two, extra: {**main, "$flows": {"one": one, "two": two}, "$settings": extra},
    bodies,
    bodies,
    bodies,
    st.fixed_dictionaries(
        {},
        optional={
            "language": st.just("de"),
            "fallback": fallbacks,
            "inactivity": delays,
            "region": st.just("DE"),
            "invalid": st.fixed_dictionaries({"ambiguous": texts}),
        },
    ),
)


def mended(file: dict[str, Any]) -> Flow | None:
    """The flow, with everything that the checker objects to taken out of it, as an author would."""
    for _ in range(60):
        try:
            return parse(json.dumps(file).encode(), "any")
        except FlowError as error:
            for problem in error.problems:
                scope, _, name = problem.state.rpartition("/")
                holder = file["$flows"].get(scope, {}) if scope else file
                if problem.state == "$settings":
                    file["$settings"] = {}
                elif name in holder:
                    holder[name] = {"sendRequest": {"kind": "StartChatSession", "sessionId": 1}}
                else:
                    return None
    return None


def parsed(file: dict[str, Any]) -> Flow | None:
    """The flow; None where it is refused, which is never without a word."""
    try:
        return parse(json.dumps(file).encode(), "any")
    except FlowError as error:
        if not error.problems or not all(str(problem).isprintable() for problem in error.problems):
            raise
        return None


# --- visitors ---------------------------------------------------------------------------------

results = st.one_of(
    st.builds(Generated, text=st.sampled_from(["Yes.", ""]), tool=st.none() | st.builds(GoTo, names)),
    st.builds(Generated, text=st.sampled_from(["Yes.", ""]), tool=st.none() | st.just(HandoffRequest("why"))),
    st.builds(GenerationFailed, reason=st.sampled_from(["cut", "no_key"])),
)
moves = st.one_of(
    st.builds(
        TextWritten,
        session=sessions | st.just(""),
        text=st.sampled_from(["yes", "1", "7", "a@b.de", "1,000", "3/4/2026", "?", ""]),
    ),
    st.builds(
        TextWritten, session=st.just(""), text=st.sampled_from(["yes", "1", "7", "a@b.de", "2026-01-31"])
    ),
    st.builds(ChoiceMade, group=sessions, item=sessions),
    st.just(ConversationReset()),
    st.just(ConversationClaimed(operator="o")),
    st.builds(ConversationHandedBack, operator=st.just("o"), state=st.none() | names),
    st.integers(0, 3),  # a timer fires
    *[st.sampled_from(["yes", "1", "417", "a@b.de", "2026-01-31"])] * 3,  # what is asked is answered
)


def decided(dialogue: FlowDialogue, answer: Any, data: st.DataObject) -> tuple[Any, ...]:
    """Give the flow what it needs, until it has decided."""
    for _ in range(20):
        if isinstance(answer, tuple):
            return answer
        if isinstance(answer, CallService):
            assert answer.url.startswith(("https://a.example/", "http://b.example?"))
            assert answer.body is None or msgspec.json.decode(answer.body) is not Ellipsis
            answer = dialogue.served(
                answer.state, data.draw(json_values), data.draw(st.sampled_from(["", "timeout"]))
            )
        else:
            cause = dialogue.state.inbox.unanswered[0].position
            dialogue.interim(
                AnswerStarted(cause=cause, attempt=1), id=f"answer:{cause}:{len(dialogue.results)}"
            )
            answer = dialogue.spoken(answer.state, data.draw(results))
    raise AssertionError("it needs more and more")


@given(files, st.lists(moves, max_size=8), st.sampled_from([-1, 0, 2]), st.data())
@settings(max_examples=300, deadline=None)
def test_whoever_talks_to_whatever_flow_gets_outcomes(
    file: dict[str, Any], played: list[Any], operators: int, data: st.DataObject
) -> None:
    flow = mended(file)
    if flow is None:
        return
    dialogue = FlowDialogue(flow, operators=operators, inactivity=data.draw(st.sampled_from([0, 600])))
    decided(dialogue, dialogue.happens(ConversationStarted(door="web", language="de,en")), data)
    for move in played:
        if isinstance(move, int):
            if move >= len(dialogue.state.timers.armed):
                continue
            dialogue.clock += data.draw(st.sampled_from([0, 1000]))
            move = TimerFired(id=dialogue.state.timers.armed[move].id)
        elif isinstance(move, str):
            move = TextWritten(session="", text=move)
        facts = decided(dialogue, dialogue.happens(move), data)
        state = dialogue.state
        assert state.progress.place is None or state.progress.place in flow.states
        assert all(flow.states[name].calls is not None for name in state.progress.stack)
        for fact in facts:
            if isinstance(fact, FlowAdvanced):
                assert all(name in flow.states for name in fact.path)
        if (
            not state.progress.ended
            and state.ownership.owner == "bot"
            and state.ownership.status == "open"
            and state.progress.place is not None
        ):
            assert flow.states[state.progress.place].waits  # it never stands where nothing is to come
    if not dialogue.clock:  # the entries' times are those of the decisions
        for words in (True, False):
            report = replayed(bundle(dialogue.story.entries, flow, words=words))
            assert report.difference is None, report
            assert words is False or not report.untold


@given(files)
@quick
def test_an_accepted_flow_is_the_same_when_it_is_read_again(file: dict[str, Any]) -> None:
    flow = mended(file)
    if flow is not None:
        again = parse(flow.content, "any")
        assert (again.version, list(again.states), again.warnings) == (
            flow.version,
            list(flow.states),
            tuple(msgspec.structs.replace(warning, line=1) for warning in flow.warnings),
        )


@given(files)
@quick
def test_editors_complain_of_no_accepted_flow(file: dict[str, Any]) -> None:
    flow = mended(file)
    if flow is not None:
        assert [error.message for error in SCHEMA.iter_errors(json.loads(flow.content))] == []


keys = st.sampled_from(
    [
        "kind",
        "next",
        "content",
        "groupId",
        "choices",
        "itemId",
        "sessionId",
        "queue",
        "when",
        "save",
        "as",
        "min",
        "max",
        "invalid",
        "pattern",
        "words",
        "contains",
        "delay",
        "say",
        "times",
        "url",
        "subject",
        "body",
        "headers",
        "timeout",
        "pick",
        "onError",
        "system",
        "goTo",
        "once",
        "handoff",
        "nobody",
        "greeting",
        "language",
    ]
)
odd = st.dictionaries(
    keys, json_values | names | texts | st.sampled_from(["UserText", "BotText", "5m"]), max_size=5
)
odd_states = st.dictionaries(
    st.sampled_from(
        [
            "sendRequest",
            "matchResponse",
            "handoff",
            "service",
            "assistant",
            "call",
            "end",
            "next",
            "fallback",
            "after",
        ]
    ),
    odd
    | st.lists(odd, max_size=2)
    | json_values
    | st.fixed_dictionaries({"nobody": odd, "handoff": odd, "save": odd}),
    max_size=3,
)


@given(
    st.dictionaries(names | st.sampled_from(["$settings"]), odd_states | odd, max_size=3),
    st.dictionaries(
        st.sampled_from(["one", "a/b", ""]), st.dictionaries(names, odd_states, max_size=2) | json_values
    ),
)
@settings(max_examples=400, deadline=None)
def test_an_odd_file_is_refused_with_words_or_can_run(states: dict[str, Any], flows: dict[str, Any]) -> None:
    flow = parsed({**states, "$flows": flows})
    if flow is None:
        return
    dialogue = FlowDialogue(flow)
    answer: tuple[Any, ...] | Effect = dialogue.happens(ConversationStarted(door="web"))
    assert isinstance(answer, tuple) or answer.state in flow.states


# --- parts ------------------------------------------------------------------------------------


@given(
    st.text(max_size=40) | st.text(alphabet="0123456789٣１.,'/-:+ xT年月日@<>€", max_size=20),
    st.sampled_from(["text", "email", "number", "phone", "date"]),
    st.sampled_from([(), ("en",), ("de",), ("fr", "en"), ("th",), ("he",), ("zh-Hant-TW",), ("x-y",)]),
)
@settings(max_examples=600, deadline=None)
def test_what_a_visitor_writes_is_kept_or_misfits(words: str, kind: Kind, languages: tuple[str, ...]) -> None:
    save = Save("x", kind, units=("€",))
    value = captured(save, words, languages)
    if isinstance(value, Misfit):
        assert (value.reason == "ambiguous") == (len(value.meanings) == 2)
    elif kind == "number":
        assert type(value) in (int, float)
        assert abs(value) < 2**53
    else:
        assert captured(save, written(value)) == value  # kept values are of their own kind


@given(json_values, st.lists(st.text(max_size=3) | st.just("0"), max_size=4).map(tuple))
@quick
def test_looking_into_values_never_fails(value: Any, path: tuple[str, ...]) -> None:
    assert isinstance(written(found(value, path)), str)


@given(st.text(max_size=60))
@quick
def test_what_is_no_placeholder_stays_as_it_is(words: str) -> None:
    text = template(words)
    voice = Voice(Begun(), {}, ())
    if text.constant:
        assert text.said(voice, plain) == words
    assert isinstance(text.said(voice), str)


@given(st.text(max_size=40))
@quick
def test_no_value_breaks_out_of_its_place(value: str) -> None:
    assert not set(html(value)) & set("<>\"'")
    assert set(url(value)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%")


@given(st.text(alphabet="abcDE-_;,=q01. *", max_size=40), st.lists(st.sampled_from(["a", "ab-c", "de", "B"])))
@quick
def test_a_header_of_languages_is_never_trouble(header: str, tags: list[str]) -> None:
    chosen = lookup(wishes(header), tags)
    assert chosen is None or chosen in tags


@given(files, st.data())
@settings(max_examples=60, deadline=None)
def test_entries_of_these_flows_are_readable_and_ask_for_those_who_understand_them(
    file: dict[str, Any], data: st.DataObject
) -> None:
    flow = mended(file)
    if flow is None:
        return
    item = Input(position=1, id="1", fact=ConversationStarted(door="web"))
    dialogue = FlowDialogue(flow)
    entry = respond(dialogue.state, item, flow, Moment(now=examples.FIRST_TIME, inactivity=60))
    if isinstance(entry, Entry):
        encoded = encode(entry)
        assert len(encoded) <= MAX_ENTRY
        read = decode(2, examples.CONVERSATION, "bot", 0, encoded)
        assert (read.facts, read.needs) == (entry.facts, needed(entry.facts))
