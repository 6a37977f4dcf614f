"""One state of a flow: its form, and how it is read from the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from services.workflow.domain.flow_file import Member
from services.workflow.domain.problems import Problem, quoted, similar
from shared.contract.facts import (
    BotSaid,
    Choice,
    ChoiceAsked,
    EditorClosed,
    EditorOpened,
    FlowId,
    HandoffRequested,
)

Effect = BotSaid | ChoiceAsked | EditorOpened | EditorClosed | HandoffRequested


class Answer(NamedTuple):
    """What a visitor may answer, ids as text. ``item`` is None for a text in the editor ``asked``."""

    asked: str
    item: str | None = None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """One state. ``effect`` happens on entering it; ``answer`` leads into it."""

    name: str
    effect: Effect | None = None
    answer: Answer | None = None
    next: str | None = None
    line: int = 0

    @property
    def asks(self) -> bool:
        """Whether the conversation waits here for the visitor. With ``next`` it never waits."""
        return self.next is None and isinstance(self.effect, ChoiceAsked | EditorOpened)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Everything that the visitor may answer here."""
        match self.effect:
            case ChoiceAsked(group=group, choices=choices) if self.asks:
                return tuple(Answer(str(group), str(choice.item)) for choice in choices)
            case EditorOpened(session=session) if self.asks:
                return (Answer(str(session)),)
            case _:
                return ()


# The fields of each object of the file and their types; "?" marks those that may be left out.
_Fields = Mapping[str, str]
_STATE: Final[_Fields] = {
    "sendRequest?": "object",
    "matchResponse?": "object",
    "handoff?": "object",
    "next?": "text",
}
_MESSAGES: Final[Mapping[str, _Fields]] = {
    "BotText": {"content": "text"},
    "ChoiceRequest": {"groupId": "id", "question": "text", "choices": "list"},
    "StartChatSession": {"sessionId": "id", "chatPrompt?": "text", "chatText?": "text"},
    "EndChatSession": {"sessionId": "id"},
}
_RESPONSES: Final[Mapping[str, _Fields]] = {
    "ChoiceResponse": {"groupId": "id", "itemId": "id", "content?": "text"},
    "UserText": {"sessionId": "id", "content?": "text"},
}
_CHOICE: Final[_Fields] = {"itemId": "id", "content": "text"}
_HANDOFF: Final[_Fields] = {"queue": "text", "reason?": "text"}

_MEANING: Final = {
    "text": 'a text in "quotes"',
    "id": "a text or a whole number",
    "list": "a list: [...]",
    "object": "an object: {...}",
}
#: Browsers read larger numbers inexactly: the answer would come back with another id.
_LARGEST_ID: Final = 2**53 - 1


def read_state(member: Member, problems: list[Problem], warnings: list[Problem]) -> State:
    """The state; what is wrong with it goes to ``problems`` and is left out of it."""
    return _Reader(member, problems, warnings).read()


class _Reader:
    def __init__(self, member: Member, problems: list[Problem], warnings: list[Problem]) -> None:
        self._member = member
        self._problems = problems
        self._warnings = warnings

    def read(self) -> State:
        name, line = self._member.name, self._member.line
        if not isinstance(self._member.value, dict):
            self._problem("the state must be an object.", 'Write {"sendRequest": {...}, "next": "..."}.')
            return State(name=name, line=line)
        if not name:
            self._problem('a state has the name "".', "Give it a name.")
        state = self._object(self._member.value, "the state", _STATE)
        next = state.pop("next", None)
        if len(state) > 1:
            remedy = f'Split it into several states, joined by "next": one for each of {quoted(state)}.'
            self._problem(f"one state cannot hold {quoted(state)} together.", remedy)
        effect: Effect | None = None
        answer: Answer | None = None
        for key, value in state.items():
            if key == "sendRequest":
                effect = self._message(value)
            elif key == "matchResponse":
                answer = self._response(value)
            else:
                effect = self._handoff(value)
        return State(name=name, effect=effect, answer=answer, next=next, line=line)

    def _message(self, value: dict[str, Any]) -> Effect | None:
        kind, fields = self._tagged(value, "sendRequest", _MESSAGES)
        match kind, fields:
            case "BotText", {"content": text}:
                return BotSaid(text=text)
            case "ChoiceRequest", {"groupId": group, "question": question, "choices": choices}:
                return ChoiceAsked(group=group, question=question, choices=self._choices(choices))
            case "StartChatSession", {"sessionId": session}:
                prompt, text = fields.get("chatPrompt"), fields.get("chatText")
                return EditorOpened(session=session, prompt=prompt, text=text)
            case "EndChatSession", {"sessionId": session}:
                return EditorClosed(session=session)
            case _:
                return None

    def _choices(self, values: list[Any]) -> tuple[Choice, ...]:
        choices: list[Choice] = []
        ids: set[str] = set()
        for number, value in enumerate(values, 1):
            if not isinstance(value, dict):
                self._problem(
                    f"choice {number} must be an object.", 'Write {"itemId": ..., "content": "..."}.'
                )
                continue
            match self._object(value, f"choice {number}", _CHOICE):
                case {"itemId": item, "content": text}:
                    if str(item) in ids:
                        self._warning(f'two choices have the itemId "{item}".', "Give one another itemId.")
                    ids.add(str(item))
                    choices.append(Choice(item=item, text=text))
        if not values:
            self._warning("there are no choices.", "The conversation will stand still here.")
        return tuple(choices)

    def _response(self, value: dict[str, Any]) -> Answer | None:
        kind, fields = self._tagged(value, "matchResponse", _RESPONSES)
        if "content" in fields:
            self._warning('"content" in matchResponse is not compared.', "The ids alone decide; remove it.")
        match kind, fields:
            case "ChoiceResponse", {"groupId": group, "itemId": item}:
                return Answer(str(group), str(item))
            case "UserText", {"sessionId": session}:
                return Answer(str(session))
            case _:
                return None

    def _handoff(self, value: dict[str, Any]) -> Effect | None:
        match self._object(value, "handoff", _HANDOFF):
            case {"queue": ""}:
                self._problem('"queue" in handoff is empty.', "Name the people who are asked for.")
            case {"queue": queue, **fields}:
                return HandoffRequested(queue=queue, reason=fields.get("reason", ""))
        return None

    def _tagged(
        self, value: dict[str, Any], where: str, kinds: Mapping[str, _Fields]
    ) -> tuple[str, dict[str, Any]]:
        """The value's kind and its good fields; ("", {}) if the kind is missing or unknown."""
        kind = value.get("kind")
        if isinstance(kind, str) and kind in kinds:
            return kind, self._object(value, where, {"kind": "text", **kinds[kind]})
        one_of = f"It is one of {quoted(kinds)}."
        if isinstance(kind, str):
            self._problem(f"{where} has the unknown kind {quoted([kind])}.", similar(kind, kinds, one_of))
        else:
            self._problem(f'{where} needs a "kind".', one_of)
        return "", {}

    def _object(self, value: dict[str, Any], where: str, fields: _Fields) -> dict[str, Any]:
        """The members of ``value`` that are as they should be; null stands for "left out"."""
        known = {field.rstrip("?"): kind for field, kind in fields.items()}
        for key in value:
            if key not in known:
                remedy = similar(key, known, f"Known here: {quoted(known)}.")
                self._problem(f"{where} has the unknown key {quoted([key])}.", remedy)
        good = {}
        for key, kind in known.items():
            found = value.get(key)
            if found is None:
                if key in fields:
                    self._problem(f'{where} lacks "{key}".', f"It is {_MEANING[kind]}.")
            elif _is(kind, found):
                good[key] = found
            else:
                self._problem(f'"{key}" in {where} has the wrong type.', f"It must be {_MEANING[kind]}.")
        return good

    def _problem(self, reason: str, remedy: str) -> None:
        self._problems.append(Problem(self._member.name, reason, remedy, self._member.line))

    def _warning(self, reason: str, remedy: str) -> None:
        self._warnings.append(Problem(self._member.name, reason, remedy, self._member.line))


def _is(kind: str, value: object) -> bool:
    match kind:
        case "text":
            return isinstance(value, str)
        case "id":
            return is_id(value)
        case "list":
            return isinstance(value, list)
        case _:
            return isinstance(value, dict)


def is_id(value: object) -> bool:
    """Whether ``value`` may serve as an id: True and False are numbers to Python, but no ids."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= _LARGEST_ID
    return isinstance(value, str)


def same(one: FlowId, other: FlowId) -> bool:
    """Ids are compared as text: ``1`` is ``"1"``."""
    return str(one) == str(other)
