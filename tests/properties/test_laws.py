"""Laws that hold for every history, every flow and every visitor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contract.conversation import NEW, Conversation, Input, evolve, step
from shared.contract.entry import Entry, RecordedEntry, decode, encode
from shared.contract.facts import (
    BotSaid,
    Choice,
    ChoiceAsked,
    ChoiceMade,
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
    OperatorSaid,
    TextWritten,
    TimerFired,
)
from shared.flow.decide import Moment, decide, respond
from shared.flow.language.flow import Flow, FlowError, parse
from tests import examples
from tests.examples import Story, recorded

quick = settings(max_examples=200, deadline=None)
MOMENT = Moment(now=examples.FIRST_TIME)

# --- what there may be ------------------------------------------------------------------------

#: Few ids, so that they meet; 1 and "1" are the same.
ids = st.sampled_from([1, "1", 2, "a"])
operators = st.sampled_from(["desk-1", "desk-2"])
names = st.sampled_from([f"s{number}" for number in range(6)] + ["nowhere"])
texts = st.text(max_size=5)

facts: st.SearchStrategy[Fact] = st.one_of(
    st.sampled_from(list(examples.EXAMPLES.values())),
    st.builds(TextWritten, session=ids, text=texts),
    st.builds(ChoiceMade, group=ids, item=ids),
    st.builds(FlowAdvanced, path=st.lists(names, max_size=3).map(tuple), ended=st.booleans()),
    st.builds(HandoffRequested, queue=texts),
    st.builds(ConversationClaimed, operator=operators),
    st.builds(OperatorSaid, operator=operators, text=texts),
    st.builds(ConversationHandedBack, operator=operators, state=st.none() | names),
    st.builds(ConversationResolved, operator=operators, unjoined=st.booleans()),
)
positions = st.integers(min_value=0, max_value=12)
entries = st.builds(
    lambda position, author, facts, id, cause: recorded(position, author, *facts, id=id, cause=cause),
    positions,
    st.sampled_from(["visitor", "bot", "operator", "desk", "stranger", ""]),
    st.lists(facts, max_size=3),
    st.sampled_from(["", "a", "b"]) | texts,
    st.none() | positions,
)
histories = st.lists(entries, max_size=12)


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """Any valid flow of up to nine states. ``next`` goes back only behind an answer or a handoff."""
    plain = [f"s{number}" for number in range(draw(st.integers(1, 6)))]
    states: dict[str, Any] = {}
    for number, name in enumerate(plain):
        effect = draw(st.sampled_from(["text", "choice", "editor", "close", "handoff", "jump"]))
        states[name] = _effect(draw, effect)
        later = plain if effect == "handoff" else plain[number + 1 :]
        if draw(st.booleans()) and later:
            states[name]["next"] = draw(st.sampled_from(later))
    for number in range(draw(st.integers(0, 3))):
        answer = draw(
            st.fixed_dictionaries({"kind": st.just("ChoiceResponse"), "groupId": ids, "itemId": ids})
            | st.fixed_dictionaries({"kind": st.just("UserText"), "sessionId": ids})
        )
        states[f"m{number}"] = {"matchResponse": answer}
        if draw(st.booleans()):
            states[f"m{number}"]["next"] = draw(st.sampled_from(plain))
    return parse(json.dumps(states).encode(), "any")


def _effect(draw: st.DrawFn, effect: str) -> dict[str, Any]:
    match effect:
        case "text":
            return {"sendRequest": {"kind": "BotText", "content": draw(texts)}}
        case "choice":
            choices = [{"itemId": item, "content": "?"} for item in draw(st.lists(ids, max_size=3))]
            asked = {"kind": "ChoiceRequest", "groupId": draw(ids), "question": "?", "choices": choices}
            return {"sendRequest": asked}
        case "editor":
            return {"sendRequest": {"kind": "StartChatSession", "sessionId": draw(ids)}}
        case "close":
            return {"sendRequest": {"kind": "EndChatSession", "sessionId": draw(ids)}}
        case "handoff":
            return {"handoff": {"queue": "q"}}
        case _:
            return {}


def fold(history: Sequence[RecordedEntry], state: Conversation = NEW) -> Conversation:
    for entry in history:
        state = evolve(state, entry)
    return state


# --- the fold ---------------------------------------------------------------------------------


@given(histories, st.integers(min_value=0, max_value=12))
@quick
def test_replay_may_stop_anywhere_and_go_on(history: list[RecordedEntry], cut: int) -> None:
    assert fold(history[cut:], fold(history[:cut])) == fold(history)


@given(histories, st.data())
@quick
def test_an_entry_that_comes_again_changes_nothing(history: list[RecordedEntry], data: st.DataObject) -> None:
    state = fold(history)
    for entry in history:
        assert step(state, entry) == (state, ())
    at = data.draw(st.integers(0, len(history)))
    again = [*history[:at], *history[max(0, at - 3) : at], *history[at:]]
    assert fold(again) == state


@given(histories)
@quick
def test_the_fold_never_fails_and_its_state_makes_sense(history: list[RecordedEntry]) -> None:
    state = NEW
    for entry in history:
        before = state
        state, effective = step(state, entry)
        noted = entry.author == "desk"  # what is noted is no part of it
        assert state.position == (before.position if noted else max(before.position, entry.position))
        assert set(map(id, effective)) <= set(map(id, entry.facts))
        assert before.inbox.ids <= state.inbox.ids
        assert state.ownership.owner != "operator" or state.ownership.operator
        waiting = [item.position for item in state.inbox.unanswered]
        assert waiting == sorted(waiting)


@given(st.lists(facts, max_size=4), st.sampled_from(["visitor", "bot", "operator"]), st.binary(max_size=40))
@quick
def test_the_wire_is_read_without_fail(some: list[Fact], author: str, noise: bytes) -> None:
    data = encode(Entry(id="1", cause=2, facts=tuple(some)))
    for damaged in (data, noise, data[: len(data) // 2], data.replace(b'"kind"', noise)):
        decode(1, examples.CONVERSATION, author, 0, damaged)


# --- flows and decisions ----------------------------------------------------------------------


def parse_or_refuse(content: bytes) -> Flow | None:
    """Nothing else may happen, and no refusal is without a word."""
    try:
        return parse(content, "any")
    except FlowError as error:
        if not error.problems or not all(str(problem).isprintable() for problem in error.problems):
            raise
        return None


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@quick
def test_a_file_is_parsed_or_refused(content: bytes) -> None:
    parse_or_refuse(content)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | ids,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
words = st.sampled_from(["kind", "next", "content", "groupId", "choices", "itemId", "sessionId", "queue"])
kinds = st.sampled_from(["BotText", "ChoiceRequest", "StartChatSession", "UserText", "ChoiceResponse"])
odd_objects = st.dictionaries(words, json_values | kinds, max_size=5)
odd_states = st.dictionaries(
    st.sampled_from(["sendRequest", "matchResponse", "handoff", "next", "more"]),
    odd_objects | names | json_values,
)


@given(st.dictionaries(names, odd_states | json_values, max_size=4))
@quick
def test_an_odd_flow_is_refused_and_any_other_can_be_stored(states: dict[str, Any]) -> None:
    flow = parse_or_refuse(json.dumps(states).encode())
    if flow:
        again = parse(flow.content, "any")
        assert (again.states.keys(), again.version) == (flow.states.keys(), flow.version)


@given(flows(), histories, facts)
@quick
def test_there_is_a_decision_for_everything(flow: Flow, history: list[RecordedEntry], fact: Fact) -> None:
    state = fold(history)
    item = Input(position=state.position + 1, id="x", fact=fact)
    decided = decide(state, item, flow, MOMENT)
    assert decided or isinstance(fact, TimerFired)  # what means nothing any more has no consequence
    assert decided == decide(state, item, flow, MOMENT)
    entry = respond(state, item, flow, MOMENT)
    assert isinstance(entry, Entry)
    assert entry.facts == decided
    encode(entry)


# --- whole conversations ----------------------------------------------------------------------

SPEECH = (BotSaid, ChoiceAsked, EditorOpened, EditorClosed)

moves = st.one_of(
    st.tuples(st.just("visitor"), st.builds(TextWritten, session=ids, text=texts)),
    st.tuples(st.just("visitor"), st.builds(ChoiceMade, group=ids, item=ids)),
    st.tuples(st.just("answer as asked"), st.none()),
    st.tuples(st.just("answer as asked"), st.none()),
    st.tuples(st.just("visitor"), st.just(ConversationReset())),
    st.tuples(st.just("bot"), st.none()),
    st.tuples(st.just("bot"), st.none()),
    st.tuples(st.just("bot too late"), st.none()),
    st.tuples(st.just("operator"), st.builds(ConversationClaimed, operator=operators)),
    st.tuples(st.just("operator"), st.builds(OperatorSaid, operator=operators, text=texts)),
    st.tuples(
        st.just("operator"), st.builds(ConversationHandedBack, operator=operators, state=st.none() | names)
    ),
    st.tuples(
        st.just("operator"), st.builds(ConversationResolved, operator=operators, unjoined=st.booleans())
    ),
)


class Simulation(Story):
    """Visitors, operators and the bot act in any order; the bot may be slow, and answer twice.

    Beside the log it keeps a second, simple account of who speaks and of every input's outcome.
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.flow = flow
        self.late: list[Entry] = []  # decided, but overtaken before they landed
        self.owner = "bot"
        self.outcomes: dict[int, list[str]] = {}

    def play(self, move: str, fact: Fact | None) -> None:
        """One move."""
        if move == "bot":
            self.bot_answers_oldest()
        elif move == "bot too late" and self.late:
            self.append("bot", *self.late[0].facts, cause=self.late[0].cause)
        elif move == "answer as asked":
            self.append("visitor", self.fitting_answer())
        elif fact is not None:
            self.append(move, fact)

    def bot_answers_oldest(self) -> None:
        """As a mailbox of the workflow does."""
        if self.state.inbox.unanswered:
            entry = respond(self.state, self.state.inbox.unanswered[0], self.flow, MOMENT)
            assert isinstance(entry, Entry)
            self.append("bot", *entry.facts, cause=entry.cause)
            self.late.append(entry)

    def fitting_answer(self) -> Fact:
        """What a visitor who looks at the page would answer."""
        place = self.flow.states.get(self.state.progress.place or "")
        match place.effect if place else None:
            case ChoiceAsked(group=group, choices=(Choice(item=item), *_)):
                return ChoiceMade(group=group, item=item)
            case EditorOpened(session=session):
                return TextWritten(session=session, text="hello")
            case _:
                return TextWritten(session="operator", text="hello")

    def append(self, author: str, *facts: Fact, cause: int | None = None) -> None:
        """Append, fold, and keep the account."""
        entry = recorded(len(self.entries) + 1, author, *facts, cause=cause)
        self.entries.append(entry)
        waiting = [item.position for item in self.state.inbox.unanswered]
        self.state, effective = step(self.state, entry)
        if author == "bot" and effective:
            assert cause is not None
            assert not (self.owner == "operator" and any(isinstance(fact, SPEECH) for fact in effective))
            self.outcomes[cause].append("answered")
        elif author == "visitor":
            self.outcomes[entry.position] = ["handed over"] if self.owner != "bot" else []
        for fact in effective:
            self._account(entry.position, cause, waiting, fact)

    def _account(self, position: int, cause: int | None, waiting: list[int], fact: Fact) -> None:
        match fact:
            case ConversationReset():
                self._all(waiting, "forgotten")
                self.outcomes[position] = []
                self.owner = "bot"
            case HandoffRequested():
                self._all([each for each in waiting if each != cause], "handed over")
                self.owner = "queue"
            case ConversationClaimed():
                self._all(waiting, "handed over")
                self.owner = "operator"
            case ConversationHandedBack():
                self.outcomes[position] = []
                self.owner = "bot"
            case ConversationResolved(unjoined=unjoined):
                if unjoined:
                    self._all(waiting, "handed over")
                self.owner = "bot"
            case _:
                pass

    def _all(self, positions: list[int], outcome: str) -> None:
        for position in positions:
            self.outcomes[position].append(outcome)


@given(flows(), st.lists(moves, max_size=25))
@settings(max_examples=300, deadline=None)
def test_every_input_has_exactly_one_outcome_and_one_speaks(
    flow: Flow, played: list[tuple[str, Fact | None]]
) -> None:
    talk = Simulation(flow)
    talk.append("visitor", ConversationStarted(door="web"))
    for move, fact in played:
        talk.play(move, fact)
        assert talk.state.ownership.owner == talk.owner
        assert talk.state.progress.place is None or talk.state.progress.place in flow.states
    while talk.state.inbox.unanswered:
        talk.bot_answers_oldest()
    assert {position: len(found) for position, found in talk.outcomes.items()} == dict.fromkeys(
        talk.outcomes, 1
    )
    assert fold(talk.entries) == talk.state


@given(flows(), st.lists(moves, max_size=25))
@quick
def test_what_the_bot_says_has_one_form(flow: Flow, played: list[tuple[str, Fact | None]]) -> None:
    talk = Simulation(flow)
    talk.append("visitor", ConversationStarted(door="web"))
    for move, fact in played:
        talk.play(move, fact)
    for entry in talk.entries:
        if entry.author == "bot":
            form = [type(fact) for fact in entry.facts]
            if form[0] in (InputRefused, DecisionFailed) or form == [HandoffRequested]:
                assert len(form) == 1
                continue
            opening = form.index(FlowAdvanced)
            assert form[:opening] in ([], [FlowStarted], [FlowResumed])
            assert all(kind in (*SPEECH, HandoffRequested) for kind in form[opening + 1 :])
            assert HandoffRequested not in form[:-1]
