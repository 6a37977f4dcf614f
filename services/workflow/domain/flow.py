"""A flow: the state machine that an author wrote as JSON, and the checks before it may run.

The form of the file is described by ``flows/flow.schema.json``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

import msgspec

from services.workflow.domain.flow_file import canonical, faults, read
from services.workflow.domain.problems import FlowError, Problem, quoted, shown, similar
from services.workflow.domain.state import Answer, State, read_state
from shared.contract.facts import ChoiceAsked, HandoffRequested

__all__ = ["Flow", "FlowError", "Problem", "parse"]

#: Beyond these numbers, messages no longer search for similar names or spell a circle out.
_MOST_HINTS = 20
_LONGEST_CIRCLE = 12
_NO_NEXT = 'without a "next"'


#: The most states that one input may lead through.
LONGEST_WALK: Final = 1_000


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A checked flow.

    ``version`` is the hash of ``content``, the file's JSON without white space; ``answers`` names
    the state that each answer leads into.
    """

    name: str
    version: str
    content: bytes
    states: Mapping[str, State]
    answers: Mapping[Answer, str]
    warnings: tuple[Problem, ...] = ()

    @property
    def first(self) -> str:
        """The state where a conversation begins."""
        return next(iter(self.states))


def parse(content: bytes, name: str) -> Flow:
    """Read and check a flow file. Raises `FlowError` with every problem that it has."""
    members = read(content)
    problems, warnings = faults(members), list[Problem]()
    states: dict[str, State] = {}
    for member in members:
        if not member.name.startswith("$") and member.name not in states:
            states[member.name] = read_state(member, problems, warnings)
    if not states:
        remedy = 'Write at least {"hello": {"sendRequest": {"kind": "BotText", "content": "Hi!"}}}.'
        problems.append(Problem("", "the flow has no state.", remedy))
    problems += _unknown_next(states)
    flawed = {problem.state for problem in problems}
    problems += _circles({name: state for name, state in states.items() if name not in flawed})
    if not problems:
        problems += _too_long(states)
    if problems:
        raise FlowError(sorted(problems, key=lambda problem: problem.line))
    answers: dict[Answer, str] = {}
    for state in states.values():
        if state.answer:
            answers.setdefault(state.answer, state.name)
    unmatched = list(_unmatched(states, answers))
    told = {warning.state for warning in unmatched if states[warning.state].answer}  # once is enough
    warnings += unmatched + [more for more in _unreached(states, answers) if more.state not in told]
    kept = canonical(members)
    return Flow(
        name=name,
        version=sha256(kept).hexdigest()[:32],
        content=kept,
        states=states,
        answers=answers,
        warnings=tuple(sorted(warnings, key=lambda warning: warning.line)),
    )


def _unknown_next(states: Mapping[str, State]) -> Iterator[Problem]:
    hints = 0
    for state in states.values():
        if state.next is not None and state.next not in states:
            hints += 1
            options = states if hints <= _MOST_HINTS else ()
            remedy = similar(state.next, options, 'Add that state, or change "next".')
            yield _on(state, f'"next" names {quoted([state.next])}, which is no state.', remedy)


def _circles(states: Mapping[str, State]) -> Iterator[Problem]:
    """Loops through ``next`` alone would never wait for anybody; a handoff waits."""
    seen: set[str] = set()
    for start in states:
        path: list[str] = []
        name: str | None = start
        while name is not None and name in states and name not in seen:
            seen.add(name)
            path.append(name)
            name = None if isinstance(states[name].effect, HandoffRequested) else states[name].next
        if name in path:
            circle = [shown(each) for each in path[path.index(name) :]]
            end = circle[:1] if len(circle) <= _LONGEST_CIRCLE else ["..."]
            reason = f"the flow would go round for ever: {' -> '.join(circle[:_LONGEST_CIRCLE] + end)}."
            yield _on(states[name], reason, f"Let one of these states ask something, {_NO_NEXT}.")


def _too_long(states: Mapping[str, State]) -> Iterator[Problem]:
    """What is said at one go is one message of the log, so it has an end."""
    lengths: dict[str, int] = {}
    for start in states:
        path: list[str] = []
        name: str | None = start
        while name is not None and name not in lengths:
            path.append(name)
            waits = states[name].asks or isinstance(states[name].effect, HandoffRequested)
            name = None if waits else states[name].next
        count = lengths[name] if name is not None else 0
        for each in reversed(path):
            count += 1
            lengths[each] = count
    longest = max(lengths, key=lambda name: lengths[name])
    if lengths[longest] > LONGEST_WALK:
        reason = f"{lengths[longest]} states follow one another from here without waiting for anybody."
        yield _on(states[longest], reason, f"At most {LONGEST_WALK} may: let one of them ask something.")


def _unmatched(states: Mapping[str, State], answers: Mapping[Answer, str]) -> Iterator[Problem]:
    """Questions and answers that do not belong together."""
    asked = {answer for state in states.values() for answer in state.answers}
    for state in states.values():
        if state.answer and answers[state.answer] != state.name:
            first = quoted([answers[state.answer]])
            yield _on(state, f"{first} takes the same answer and comes first.", "Remove one of them.")
        elif state.answer and state.answer not in asked:
            reason = f"nothing asks for this answer ({_spelt(state.answer)})."
            yield _on(state, reason, f"Compare the ids with those of the question, a state {_NO_NEXT}.")
        for answer in state.answers:
            if answer not in answers:
                what = "the choice" if isinstance(state.effect, ChoiceAsked) else "the visitor's text"
                reason = f"no matchResponse takes {what} ({_spelt(answer)})."
                yield _on(state, reason, "Add one; without it the answer is refused.")


def _unreached(states: Mapping[str, State], answers: Mapping[Answer, str]) -> Iterator[Problem]:
    """States that no conversation comes to, and answers that it comes to without being answered."""
    first = next(iter(states))
    reached = _reached(first, states, answers)
    before = {state.next: state.name for state in states.values()}
    for state in states.values():
        if state.name not in reached:
            yield _on(state, "nothing leads to this state.", 'Name it in a "next", or remove it.')
        elif state.answer and (state.name == first or state.name in before):
            came = (
                "the flow begins here"
                if state.name == first
                else f"{quoted([before[state.name]])} leads here"
            )
            remedy = f"The flow passes through at once; put a question before it, a state {_NO_NEXT}."
            yield _on(state, f"{came}, but a matchResponse asks nothing.", remedy)


def _reached(first: str, states: Mapping[str, State], answers: Mapping[Answer, str]) -> set[str]:
    reached: set[str] = set()
    ahead = [first]
    while ahead:
        state = states[ahead.pop()]
        if state.name not in reached:
            reached.add(state.name)
            ahead += [answers[answer] for answer in state.answers if answer in answers]
            ahead += [] if state.next is None else [state.next]
    return reached


def _spelt(answer: Answer) -> str:
    asked = f'sessionId "{shown(answer.asked)}"'
    if answer.item is None:
        return asked
    return f'groupId "{shown(answer.asked)}", itemId "{shown(answer.item)}"'


def _on(state: State, reason: str, remedy: str) -> Problem:
    return Problem(state.name, reason, remedy, state.line)
