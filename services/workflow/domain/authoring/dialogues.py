"""Dialogues that test a flow, as a file holds them: who says what, in order. Pure.

The form is described by ``flows/dialogues.schema.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from services.workflow.domain.authoring.json_positions import JsonNode, parse
from shared.flow.language import schema
from shared.flow.language.diagnostics import Diagnostic, FlowError, quoted, similar
from shared.flow.language.patterns import BadPattern, pattern

#: Any number of utterances, whatever they are.
ANYTHING: Final = "..."


class Says(msgspec.Struct, frozen=True):
    """The visitor says ``words``, or picks the choice that they name."""

    words: str


class Types(msgspec.Struct, frozen=True):
    """The visitor writes a text at a door that knows text only."""

    words: str


class Sends(msgspec.Struct, frozen=True):
    """The visitor's client sends exactly these ids, asked for or not: ``item`` None for a text."""

    asked: str | int
    item: str | int | None = None
    text: str = ""


class Resets(msgspec.Struct, frozen=True):
    """The visitor begins anew."""


class Hears(msgspec.Struct, frozen=True):
    """The bot says something: ``text`` exactly, or something that holds it or matches it.

    ``choices`` are the words or ids of the choices that are offered; None where they do not matter.
    """

    kind: str  # of an `Utterance`
    text: str
    how: str = "is"  # "is", "contains", "matches"
    choices: tuple[str, ...] | None = None


class Waits(msgspec.Struct, frozen=True):
    """Time passes."""

    seconds: int


class Acts(msgspec.Struct, frozen=True):
    """An operator does something; ``words`` is what is said, or the state to go on at."""

    deed: str  # "says", "claims", "handsBack", "resolves"
    words: str = ""


class Present(msgspec.Struct, frozen=True):
    """So many operators are there from now on."""

    count: int


class Serves(msgspec.Struct, frozen=True):
    """The backend that a state asks answers, or fails; ``asked`` is what it must have been asked."""

    state: str
    answer: Any = None
    fails: str = ""
    asked: Mapping[str, Any] = {}


class Speaks(msgspec.Struct, frozen=True):
    """The assistant says something, and perhaps hands off or goes to a state; or it fails."""

    text: str = ""
    hands_off: str | None = None
    goes_to: str = ""
    fails: str = ""


class Stands(msgspec.Struct, frozen=True):
    """The conversation stands at a state; None: the flow is over."""

    state: str | None


class Knows(msgspec.Struct, frozen=True):
    """These variables have these values."""

    variables: Mapping[str, Any]


Act = Says | Types | Sends | Resets | Hears | Waits | Acts | Present | Serves | Speaks | Stands | Knows


class Step(msgspec.Struct, frozen=True):
    line: int
    act: Act


class Dialogue(msgspec.Struct, frozen=True):
    """One conversation from its beginning. ``operators`` -1: unknown, somebody is assumed."""

    name: str
    line: int
    steps: tuple[Step, ...]
    language: str = ""
    door: str = "test"
    operators: int = -1


def read_dialogues(content: bytes) -> list[Dialogue]:
    """The dialogues of a file. Raises `FlowError` with every problem."""
    try:
        whole = parse(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise FlowError([Diagnostic("", "the file is not UTF-8.", "Save it as UTF-8.")]) from None
    except json.JSONDecodeError as error:
        reason = f"the file is not JSON: {error.msg} (column {error.colno})."
        raise FlowError([Diagnostic("", reason, line=error.lineno)]) from None
    except RecursionError:
        raise FlowError([Diagnostic("", "the file is nested too deeply.")]) from None
    reader = _Reader()
    items = whole.items
    if isinstance(whole.value, dict):  # {"$schema": ..., "dialogues": [...]}
        reader.known(whole, ("$schema", "$comment", "dialogues"), "the file")
        listed = whole.members.get("dialogues")
        items = listed.items if listed is not None else ()
    if not items:
        remedy = 'Write [{"name": "...", "dialogue": [{"bot": "Hi!"}, {"visitor": "Hello"}]}].'
        reader.problem(whole, "the file holds no dialogue.", remedy)
    dialogues = [reader.dialogue(item) for item in items]
    if reader.problems:
        raise FlowError(reader.problems)
    return dialogues


class _Reader:
    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []

    def problem(self, at: JsonNode, reason: str, remedy: str = "") -> None:
        self.problems.append(Diagnostic("", reason, remedy, at.line))

    def dialogue(self, at: JsonNode) -> Dialogue:
        keys = ("name", "language", "door", "operators", "dialogue", "$comment")
        if not self._object(at, "a dialogue") or not self.known(at, keys, "the dialogue"):
            return Dialogue("", at.line, ())
        name = self._text(at, "name")
        if not name:
            self.problem(at, "the dialogue has no name.", 'Write "name": "what it shows".')
        listed = at.members.get("dialogue")
        if listed is None or not listed.items:
            self.problem(at, "the dialogue has no steps.", 'Write "dialogue": [{"bot": "Hi!"}, ...].')
        steps = [self._step(item) for item in (listed.items if listed else ())]
        return Dialogue(
            name,
            at.line,
            tuple(step for step in steps if step is not None),
            self._text(at, "language"),
            self._text(at, "door") or "test",
            self._count(at, "operators", -1),
        )

    def _step(self, at: JsonNode) -> Step | None:
        if not self._object(at, "a step"):
            return None
        verbs = [name for name in at.members if name in _VERBS]
        if len(verbs) != 1:
            known = quoted(_VERBS)
            found = next((name for name in at.members if name not in _EXTRAS), "")
            reason = "a step says one thing" if verbs else f"{quoted([found])} is no step"
            self.problem(at, f"{reason}; there are {known}.", similar(found, _VERBS, "") if not verbs else "")
            return None
        verb = verbs[0]
        extras = _EXTRAS_OF.get(verb, ())
        if not self.known(at, (verb, *extras, "$comment"), f'the step "{verb}"'):
            return None
        act = self._act(verb, at.members[verb], at)
        return None if act is None else Step(at.line, act)

    def _act(self, verb: str, at: JsonNode, step: JsonNode) -> Act | None:
        value = at.value
        match verb:
            case "bot":
                return self._hears(at, step)
            case "visitor" if isinstance(value, str):
                return Says(value)
            case "visitor" if isinstance(value, dict) and "groupId" in value and "itemId" in value:
                return Sends(value["groupId"], value["itemId"])
            case "visitor" if isinstance(value, dict) and "sessionId" in value:
                return Sends(value["sessionId"], None, str(value.get("text", "")))
            case "types" | "handoff" | "refused" | "failed" | "ended" if isinstance(value, str):
                return Types(value) if verb == "types" else Hears(verb, value)
            case "withdrawn" | "reset" if value is True:
                return Resets() if verb == "reset" else Hears("withdrawn", "")
            case "wait" if isinstance(value, str) and (seconds := schema.seconds(value)) is not None:
                return Waits(seconds)
            case "operator":
                return self._operator(at)
            case "operators" if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                return Present(value)
            case "service":
                return self._service(at, step)
            case "assistant":
                return self._assistant(at)
            case "at" if value is None or isinstance(value, str):
                return Stands(value)
            case "saved" if isinstance(value, dict):
                return Knows(value)
            case _:
                self.problem(at, f'"{verb}" must be {_VERBS[verb]}.')
                return None

    def _hears(self, at: JsonNode, step: JsonNode) -> Hears | None:
        choices = step.members.get("choices")
        offered: tuple[str, ...] | None = None
        if choices is not None:
            offered = tuple(str(item.value) for item in choices.items)
            if not isinstance(choices.value, list):
                self.problem(choices, '"choices" must be a list of their words or ids.')
        match at.value:
            case str(text):
                return Hears("bot", text, "is", offered)
            case {"contains": str(text)} if len(at.members) == 1:
                return Hears("bot", text, "contains", offered)
            case {"matches": str(text)} if len(at.members) == 1:
                try:
                    pattern(text)
                except BadPattern as error:
                    self.problem(at, f"the pattern cannot be read: {error}.")
                return Hears("bot", text, "matches", offered)
            case _:
                self.problem(at, f'"bot" must be {_VERBS["bot"]}.')
                return None

    def _operator(self, at: JsonNode) -> Acts | None:
        match at.value:
            case str(words):
                return Acts("says", words)
            case {"says": str(words)} if len(at.members) == 1:
                return Acts("says", words)
            case {"claims": True} if len(at.members) == 1:
                return Acts("claims")
            case {"resolves": True} if len(at.members) == 1:
                return Acts("resolves")
            case {"handsBack": True} if len(at.members) == 1:
                return Acts("handsBack")
            case {"handsBack": str(state)} if len(at.members) == 1:
                return Acts("handsBack", state)
            case _:
                self.problem(at, f'"operator" must be {_VERBS["operator"]}.')
                return None

    def _service(self, at: JsonNode, step: JsonNode) -> Serves | None:
        fields = step.members
        if isinstance(at.value, dict):  # all of it in one object
            if not self.known(at, ("state", *_EXTRAS_OF["service"]), "the service"):
                return None
            fields = at.members
            at = at.members.get("state", at)
        asked = fields["asked"].value if "asked" in fields else {}
        fails = fields["fails"].value if "fails" in fields else ""
        if not isinstance(at.value, str) or not isinstance(asked, dict) or not isinstance(fails, str):
            self.problem(at, f'"service" must be {_VERBS["service"]}.')
            return None
        return Serves(at.value, fields["answer"].value if "answer" in fields else None, fails, asked)

    def _assistant(self, at: JsonNode) -> Speaks | None:
        if isinstance(at.value, str):
            return Speaks(at.value)
        if not self._object(at, '"assistant"') or not self.known(
            at, ("says", "handsOff", "goesTo", "fails"), '"assistant"'
        ):
            return None
        off = at.value.get("handsOff")
        return Speaks(
            self._text(at, "says"),
            "" if off is True else off if isinstance(off, str) else None,
            self._text(at, "goesTo"),
            self._text(at, "fails"),
        )

    def _object(self, at: JsonNode, what: str) -> bool:
        if isinstance(at.value, dict):
            return True
        self.problem(at, f"{what} must be an object.")
        return False

    def known(self, at: JsonNode, keys: tuple[str, ...], what: str) -> bool:
        unknown = [name for name in at.members if name not in keys]
        for name in unknown:
            remedy = similar(name, keys, f"Known here: {quoted(keys)}.")
            self.problem(at.members[name], f"{what} has the unknown key {quoted([name])}.", remedy)
        return not unknown

    def _text(self, at: JsonNode, name: str) -> str:
        found = at.members.get(name)
        if found is None:
            return ""
        if not isinstance(found.value, str):
            self.problem(found, f'"{name}" must be a text.')
            return ""
        return found.value

    def _count(self, at: JsonNode, name: str, otherwise: int) -> int:
        found = at.members.get(name)
        if found is None:
            return otherwise
        if not isinstance(found.value, int) or isinstance(found.value, bool) or found.value < 0:
            self.problem(found, f'"{name}" must be a whole number of at least 0.')
            return otherwise
        return found.value


#: Every step, and what its value must be.
_VERBS: Final[Mapping[str, str]] = {
    "bot": 'what the bot says: a text, {"contains": "..."} or {"matches": "..."}; "..." for anything',
    "visitor": 'a text or a choice; {"groupId", "itemId"} or {"sessionId", "text"} for one that is not asked',
    "types": "a text",
    "wait": 'a time: "30s", "10m", "2h", "1d"',
    "handoff": "the queue's name",
    "withdrawn": "true",
    "refused": "the reason",
    "failed": "the reason",
    "ended": "the reason",
    "operator": 'a text, or {"claims": true}, {"handsBack": true or a state}, {"resolves": true}',
    "operators": "how many operators are there",
    "service": 'the state that asks, and beside it "answer" or "fails", and "asked"',
    "assistant": 'a text, or {"says", "handsOff", "goesTo", "fails"}',
    "at": "a state; null where the flow is over",
    "saved": "an object of variables",
    "reset": "true",
}
_EXTRAS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "bot": ("choices",),
    "service": ("answer", "fails", "asked"),
}
_EXTRAS: Final = frozenset({"$comment", *(name for names in _EXTRAS_OF.values() for name in names)})
