"""A flow: the state machine that an author wrote as JSON, and what it is once it may run.

The form of the file is described by ``flows/flow.schema.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from shared.contract.facts import BotSaid, ChoiceAsked, EditorOpened
from shared.flow.language.compiler import FlowCompiler
from shared.flow.language.diagnostics import Diagnostic, FlowError, quoted
from shared.flow.language.field_reader import FlowSettings, Notes, saves_anything
from shared.flow.language.flow_file import FLOWS, MAX_FILE, JsonMember, canonical, faults, read
from shared.flow.language.graph import Edge, ways
from shared.flow.language.state import ExpectedAnswer, Fallback, FlowState
from shared.flow.language.templates import Text
from shared.flow.language.thanks import Thanks
from shared.flow.language.validation import MAX_WALK, Checks

__all__ = ["MAX_WALK", "Diagnostic", "Flow", "FlowError", "parse"]

#: Gives the content of a flow file that lies beside the one that is read, None if there is none.
Find = Callable[[str], bytes | None]


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A checked flow.

    ``version`` is the hash of ``content``, the file's JSON without white space, with the sub-flows that
    it calls; ``answers`` names the state that each answer leads into, ``takers`` all states that take
    texts of an editor, in the file's order.
    """

    name: str
    version: str
    content: bytes
    states: Mapping[str, FlowState]
    answers: Mapping[ExpectedAnswer, str]
    takers: Mapping[ExpectedAnswer, tuple[FlowState, ...]] = {}
    fallback: Fallback | None = None  # for questions without one of their own
    ambiguous: Text | None = None  # what is asked where an answer may mean two things
    inactivity: int | None = None  # seconds; None leaves it to the service
    thanks: Thanks = Thanks()  # what a visitor may write who wants nothing more
    languages: tuple[str, ...] = ()  # all that its texts are written in, its own first
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def first(self) -> str:
        """The state where a conversation begins."""
        return next(iter(self.states))

    @property
    def said_to_all(self) -> tuple[BotSaid | ChoiceAsked | EditorOpened, ...]:
        """What is the same for every visitor, whatever they answered: nobody's words but the author's."""
        return tuple(
            state.effect
            for state in self.states.values()
            if state.speech is None and isinstance(state.effect, BotSaid | ChoiceAsked | EditorOpened)
        )

    @property
    def ways(self) -> tuple[Edge, ...]:
        """All ways from state to state."""
        takers: dict[ExpectedAnswer, list[str]] = {answer: [name] for answer, name in self.answers.items()}
        takers |= {answer: [state.name for state in states] for answer, states in self.takers.items()}
        return tuple(ways(self.states, takers, self.fallback.next if self.fallback else None))


def parse(content: bytes, name: str, find: Find | None = None) -> Flow:
    """Read and check a flow file. Raises `FlowError` with every problem that it has.

    ``find`` gives the files beside it: a sub-flow that the file calls and does not hold is taken from
    the file of that name, and is part of the flow from then on.
    """
    try:
        return _parse(content, name, find)
    except RecursionError:  # JSON that could be read, but is too deep to be walked
        raise FlowError([Diagnostic("", "the file is nested too deeply.")]) from None


def _parse(content: bytes, name: str, find: Find | None) -> Flow:
    members = read(content)
    notes = Notes(faults(members), [])
    subflows = _subflows(members, find, notes.problems)
    if any(each.file for each in subflows.values()):
        members = [member for member in members if member.name != FLOWS]
        members.append(JsonMember(FLOWS, {each.name: _values(each.members) for each in subflows.values()}, 0))
    reading = _Reading(members, subflows, notes)
    states, settings = reading.states, reading.settings
    if not any(state.scope == "" for state in states.values()):
        remedy = 'Write at least {"hello": {"sendRequest": {"kind": "BotText", "content": "Hi!"}}}.'
        notes.problems.append(Diagnostic("", "the flow has no state.", remedy))
    takers = _takers(states)
    checks = Checks(states, takers, reading.firsts, settings)
    notes.problems += checks.problems({problem.state for problem in notes.problems})
    kept = b"" if notes.problems else canonical(members)
    if len(kept) > MAX_FILE:
        reason = f"with its sub-flows the flow has {len(kept):,} bytes; it may have {MAX_FILE:,} (448 KiB)."
        notes.problems.append(Diagnostic("", reason, "Shorten it, or split it into two flows."))
    if notes.problems:
        raise FlowError(sorted(notes.problems, key=lambda problem: (problem.file, problem.line)))
    notes.warnings += checks.warnings()
    return Flow(
        name=name,
        version=sha256(kept).hexdigest()[:32],
        content=kept,
        states=states,
        answers={answer: taken[0].name for answer, taken in takers.items()},
        takers={answer: taken for answer, taken in takers.items() if answer.item is None},
        fallback=settings.fallback,
        ambiguous=settings.ambiguous,
        inactivity=settings.inactivity,
        thanks=settings.thanks,
        languages=_languages(states, settings),
        warnings=tuple(sorted(notes.warnings, key=lambda warning: (warning.file, warning.line))),
    )


class _Subflow(msgspec.Struct, frozen=True):
    """A sub-flow's states; ``file`` is "" where the flow's own file holds it."""

    name: str
    members: tuple[JsonMember, ...]
    line: int = 0
    file: str = ""


class _Reading:
    """All states, those of the flow itself first."""

    def __init__(self, members: list[JsonMember], subflows: Mapping[str, _Subflow], notes: Notes) -> None:
        saved = saves_anything({member.name: member.value for member in members})
        self.settings = FlowSettings()
        for member in members:
            if member.name == "$settings":
                self.settings = FlowCompiler(member, notes, self.settings, saved).settings()
        self.states: dict[str, FlowState] = {}
        self.firsts: dict[str, str] = {}
        for member in members:
            self._read(FlowCompiler(member, notes, self.settings, saved), member, notes)
        for each in subflows.values():
            self.firsts[each.name] = f"{each.name}/"
            for member in each.members:
                reader = FlowCompiler(member, notes, self.settings, saved, each.name, each.file)
                if (state := self._read(reader, member, notes)) and self.firsts[each.name].endswith("/"):
                    self.firsts[each.name] = state.name
        for state in list(self.states.values()):
            if state.calls is not None and (first := self.firsts.get(state.calls[:-1])):
                self.states[state.name] = replace(state, calls=first)

    def _read(self, reader: FlowCompiler, member: JsonMember, notes: Notes) -> FlowState | None:
        if member.name.startswith("$"):
            return None
        if (before := self.states.get(reader.name)) is not None:
            if before.scope != reader.scope:
                reason = f"a sub-flow has a state of this name, too: {quoted([reader.name])}."
                notes.problems.append(Diagnostic(before.name, reason, "Rename one of them.", before.line))
            return None  # two of one name: `faults` has told it
        state = self.states[reader.name] = reader.state()
        return state


def _subflows(
    members: list[JsonMember], find: Find | None, problems: list[Diagnostic]
) -> dict[str, _Subflow]:
    """The sub-flows that the file holds, and those that it or they call and that lie beside it."""
    found: dict[str, _Subflow] = {}
    for holder in (member for member in members if member.name == FLOWS):
        if not isinstance(holder.value, dict):
            remedy = 'Write {"name of the sub-flow": {"its first state": {...}}}.'
            problems.append(Diagnostic(FLOWS, "$flows must be an object.", remedy, holder.line))
        if holder.twice:
            reason = f"{quoted(holder.twice)} is written twice in one object."
            problems.append(Diagnostic(FLOWS, reason, "Remove one of them.", holder.line))
        for member in holder.members:
            if member.name.startswith("$"):
                continue
            if not isinstance(member.value, dict):
                problems.append(
                    Diagnostic(member.name, "a sub-flow must be an object of states.", "", member.line)
                )
            if not member.name or "/" in member.name:
                reason = f"{quoted([member.name])} is no name for a sub-flow."
                problems.append(Diagnostic(FLOWS, reason, 'Take one without "/".', member.line))
            found[member.name] = _Subflow(member.name, member.members, member.line)
    ahead = [*_called(members), *(name for each in found.values() for name in _called(each.members))]
    while ahead and find is not None:
        name = ahead.pop()
        if name in found or not name or "/" in name or (content := find(name)) is None:
            continue
        file = f"{name}.json"
        try:
            inside = tuple(member for member in read(content) if not member.name.startswith("$"))
        except FlowError as error:
            problems += [replace(problem, file=file) for problem in error.problems]
            inside = ()
        problems += [replace(problem, file=file) for problem in faults(list(inside))]
        found[name] = _Subflow(name, inside, 0, file)
        ahead += _called(inside)
    return found


def _called(members: list[JsonMember] | tuple[JsonMember, ...]) -> list[str]:
    values = (member.value for member in members if isinstance(member.value, dict))
    return [value["call"] for value in values if isinstance(value.get("call"), str)]


def _values(members: tuple[JsonMember, ...]) -> dict[str, Any]:
    return {member.name: member.value for member in members}


def _takers(states: Mapping[str, FlowState]) -> dict[ExpectedAnswer, tuple[FlowState, ...]]:
    takers: dict[ExpectedAnswer, tuple[FlowState, ...]] = {}
    for state in states.values():
        if state.answer:
            takers[state.answer] = (*takers.get(state.answer, ()), state)
    return takers


def _languages(states: Mapping[str, FlowState], settings: FlowSettings) -> tuple[str, ...]:
    own = [settings.language] if settings.language else []
    tags = (tag for state in states.values() for text in state.texts for tag in text.languages)
    return tuple({tag.lower(): tag for tag in [*own, *tags] if tag}.values())
