"""Performs a dialogue with a flow: the first step that comes otherwise is told. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from services.workflow.domain.authoring.dialogues import (
    ANYTHING,
    Act,
    Acts,
    Dialogue,
    Hears,
    Knows,
    Present,
    Resets,
    Says,
    Sends,
    Serves,
    Speaks,
    Stands,
    Step,
    Types,
    Waits,
)
from services.workflow.domain.authoring.rendered_messages import (
    RenderedQuestion,
    Utterance,
    asking,
    meant,
    utterances,
)
from services.workflow.domain.authoring.simulator import RehearsalError, Simulator
from shared.contract.facts import (
    ChoiceMade,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationReset,
    ConversationResolved,
    Fact,
    OperatorSaid,
    TextWritten,
)
from shared.contract.html_text import plain
from shared.flow.effects import (
    CallService,
    Generate,
    Generated,
    GenerationFailed,
    GoTo,
    HandoffRequest,
)
from shared.flow.language.flow import Flow
from shared.flow.language.patterns import pattern

OPERATOR = "operator"


class Mismatch(msgspec.Struct, frozen=True):
    """Where a dialogue and the flow part. ``before`` is what went well, a line each."""

    line: int
    expected: str
    instead: str
    before: tuple[str, ...] = ()


class _Differs(Exception):
    def __init__(self, expected: str, instead: str) -> None:
        super().__init__(expected, instead)
        self.expected = expected
        self.instead = instead


def perform(dialogue: Dialogue, flow: Flow, now: int) -> Mismatch | None:
    """Where the flow does not do what the dialogue says, None if it does all of it."""
    performance = _Performance(dialogue, flow, now)
    line = dialogue.line
    try:
        performance.begin()
        for step in dialogue.steps:
            line = step.line
            performance.take(step)
        performance.end()
    except _Differs as differs:
        return Mismatch(line, differs.expected, differs.instead, tuple(performance.told))
    return None


class _Performance:
    def __init__(self, dialogue: Dialogue, flow: Flow, now: int) -> None:
        self.told: list[str] = []
        self._dialogue = dialogue
        self._rehearsal = Simulator(flow, now=now, operators=dialogue.operators)
        self._heard: list[Utterance] = []
        self._asking = RenderedQuestion()
        self._anything = False

    def begin(self) -> None:
        self._hear(self._rehearsal.begin(self._dialogue.language, self._dialogue.door))

    def take(self, step: Step) -> None:
        act = step.act
        if isinstance(act, Hears):
            self._hears(act)
        elif isinstance(act, Stands | Knows):
            self._look(act)
        else:
            self._silence(f"{_words(act)}")
            try:
                self._do(act)
            except RehearsalError as error:
                raise _Differs(_words(act), str(error)) from None
        self.told.append(_words(act))

    def end(self) -> None:
        self._silence("the dialogue ends")

    def _hears(self, act: Hears) -> None:
        if act.kind == "bot" and act.text == ANYTHING and act.choices is None:
            self._anything = True
            return
        while self._heard:
            utterance = self._heard.pop(0)
            if _fits(act, utterance):
                self._anything = False
                return
            if not self._anything:
                raise _Differs(_words(act), _shown(utterance))
        raise _Differs(_words(act), self._nothing())

    def _silence(self, expected: str) -> None:
        if self._heard and not self._anything:
            raise _Differs(expected, _shown(self._heard[0]))
        self._heard.clear()
        self._anything = False

    def _nothing(self) -> str:
        match self._rehearsal.need:
            case CallService(state=state):
                return f'(nothing: the backend that "{state}" asks has to answer first)'
            case Generate(state=state):
                return f'(nothing: the assistant of "{state}" has to speak first)'
            case None:
                return "(nothing is said)"

    def _look(self, act: Stands | Knows) -> None:
        state = self._rehearsal.state
        if isinstance(act, Knows):
            known = {name: state.progress.variables.get(name) for name in act.variables}
            if known != act.variables:
                raise _Differs(_words(act), f"saved     {_json(known)}")
            return
        place = None if state.progress.ended else state.progress.place
        if place != act.state:
            raise _Differs(_words(act), f"at        {_json(place)}")

    def _do(self, act: Act) -> None:
        rehearsal = self._rehearsal
        match act:
            case Says(words=words):
                fact = meant(rehearsal.state, self._asking, words)
                if fact is None:
                    offered = ", ".join(f'"{plain(each.text)}"' for each in self._asking.choices)
                    raise _Differs(_words(act), f"(no such choice is offered; there are {offered})")
                self._hear(rehearsal.visitor(fact))
            case Types(words=words):
                self._hear(rehearsal.visitor(TextWritten(session="", text=words)))
            case Sends(asked=asked, item=None, text=text):
                self._hear(rehearsal.visitor(TextWritten(session=asked, text=text)))
            case Sends(asked=asked, item=item) if item is not None:
                self._hear(rehearsal.visitor(ChoiceMade(group=asked, item=item)))
            case Resets():
                self._hear(rehearsal.visitor(ConversationReset()))
            case Waits(seconds=seconds):
                self._hear(rehearsal.wait(seconds))
            case Present(count=count):
                rehearsal.operators = count
            case Acts():
                self._operate(act)
            case Serves():
                self._serve(act)
            case Speaks():
                self._speak(act)
            case _:
                raise AssertionError(act)

    def _operate(self, act: Acts) -> None:
        rehearsal = self._rehearsal
        if rehearsal.state.ownership.owner != "operator":
            if act.deed in ("handsBack", "resolves"):
                raise RehearsalError("no operator has the conversation.")
            self._hear(rehearsal.operator(ConversationClaimed(operator=OPERATOR)))
        match act.deed:
            case "says":
                self._hear(rehearsal.operator(OperatorSaid(operator=OPERATOR, text=act.words)))
            case "handsBack":
                state = act.words or None
                self._hear(rehearsal.operator(ConversationHandedBack(operator=OPERATOR, state=state)))
            case "resolves":
                self._hear(rehearsal.operator(ConversationResolved(operator=OPERATOR)))
            case _:
                pass

    def _serve(self, act: Serves) -> None:
        need = self._rehearsal.need
        if not isinstance(need, CallService) or need.state != act.state:
            raise RehearsalError(
                f'no backend is asked by "{act.state}" now.' if need is None else self._nothing()
            )
        asked = _asked(need)
        differing = {name: asked.get(name) for name in act.asked if asked.get(name) != act.asked[name]}
        if differing:
            raise _Differs(f"asked     {_json(dict(act.asked))}", f"asked     {_json(differing)}")
        self._hear(self._rehearsal.served(act.answer, act.fails))

    def _speak(self, act: Speaks) -> None:
        result: Generated | GenerationFailed
        if act.fails:
            result = GenerationFailed(reason=act.fails)
        else:
            tool = GoTo(act.goes_to) if act.goes_to else None
            result = Generated(
                text=act.text, tool=HandoffRequest(act.hands_off) if act.hands_off is not None else tool
            )
        facts = self._rehearsal.spoke(result)
        # What it says is part of the dialogue already.
        self._asking = asking(self._asking, facts)
        self._heard += [each for each in utterances(facts) if each.kind != "assistant"]

    def _hear(self, facts: tuple[Fact, ...]) -> None:
        self._asking = asking(self._asking, facts)
        self._heard += utterances(facts)


def _fits(act: Hears, utterance: Utterance) -> bool:
    if act.kind != utterance.kind:
        return False
    said = plain(utterance.text)
    if act.choices is not None:
        offered = utterance.choices
        if len(offered) != len(act.choices):
            return False
        for wanted, choice in zip(act.choices, offered, strict=True):
            if wanted not in (str(choice.item), choice.text, plain(choice.text)):
                return False
    match act.how:
        case "contains":
            return act.text in said or act.text in utterance.text
        case "matches":
            return pattern(act.text).takes(said) is not None
        case _:
            return act.text in (said, utterance.text)


def _asked(need: CallService) -> Mapping[str, Any]:
    body: Any = None
    if need.body is not None:
        try:
            body = json.loads(need.body)
        except ValueError:
            body = need.body.decode(errors="replace")
    return {
        "url": need.url,
        "subject": need.subject,
        "method": need.method,
        "headers": dict(need.headers),
        "body": body,
    }


def _words(act: Act) -> str:
    """A step as a line of a transcript."""
    match act:
        case Hears(kind=kind, text=text, how=how, choices=choices):
            offered = f"  {_json(list(choices))}" if choices is not None else ""
            how = "" if how == "is" else f"{how} "
            return f"{kind:<9} {how}{_json(text)}{offered}"
        case Says(words=words) | Types(words=words):
            return f"visitor   {_json(words)}"
        case Sends(asked=asked, item=item, text=text):
            return f"visitor   {_json(asked)}: {_json(text if item is None else item)}"
        case Resets():
            return "visitor   begins anew"
        case Waits(seconds=seconds):
            return f"wait      {seconds} s"
        case Acts(deed=deed, words=words):
            return f"operator  {deed} {_json(words) if words else ''}".rstrip()
        case Present(count=count):
            return f"operators {count}"
        case Serves(state=state, answer=answer, fails=fails):
            return f"service   {_json(state)}: {fails or _json(answer)}"
        case Speaks(text=text, hands_off=off, goes_to=goes_to, fails=fails):
            deed = f" goes to {_json(goes_to)}" if goes_to else " hands off" if off is not None else ""
            return f"assistant {fails or _json(text)}{deed}"
        case Stands(state=state):
            return f"at        {_json(state)}"
        case Knows(variables=variables):
            return f"saved     {_json(dict(variables))}"


def _shown(utterance: Utterance) -> str:
    offered = f"  {_json([plain(each.text) for each in utterance.choices])}" if utterance.choices else ""
    return f"{utterance.kind:<9} {_json(plain(utterance.text))}{offered}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
