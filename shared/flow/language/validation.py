"""What a flow's states must be to one another before it may run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Final

from shared.contract.facts import ChoiceAsked
from shared.flow.language.diagnostics import Diagnostic, quoted, shown, similar
from shared.flow.language.field_reader import FlowSettings
from shared.flow.language.graph import Edge, named, reached, walked, ways
from shared.flow.language.state import ExpectedAnswer, FlowState
from shared.flow.language.templates import PLACE_IN_LINE, VISITOR
from shared.flow.language.values import MEANINGS
from shared.flow.language.words import Words, overlap, shared

#: The most states that one input may lead through.
MAX_WALK: Final = 1_000
#: How deep sub-flows may call sub-flows.
DEEPEST_CALL: Final = 16

#: Beyond these numbers, messages no longer search for similar names or spell a circle out.
_MAX_HINTS: Final = 20
_MAX_CIRCLE: Final = 12
#: How many words of one question are compared with one another: it takes the square of their number.
_MAX_WORDS: Final = 200
_NO_NEXT: Final = 'without a "next"'

_KEYS: Final = {
    "next": '"next"',
    "when": '"next"',
    "fallback": '"next" in fallback',
    "after": '"next" in after',
    "nobody": '"next" in nobody',
    "onError": '"onError"',
    "goTo": '"goTo"',
}


class Checks:
    """The checks of one flow. ``firsts`` holds the first state of each sub-flow."""

    def __init__(
        self,
        states: Mapping[str, FlowState],
        takers: Mapping[ExpectedAnswer, tuple[FlowState, ...]],
        firsts: Mapping[str, str],
        settings: FlowSettings,
    ) -> None:
        self._states = states
        self._takers = takers
        self._firsts = firsts
        self._settings = settings
        self._hints = 0

    # --- errors -------------------------------------------------------------------------------

    def problems(self, flawed: set[str]) -> Iterator[Diagnostic]:
        """What forbids the flow to run; ``flawed`` states have been found fault with already."""
        unknown = [*self._unknown_targets(), *self._unknown_variables()]
        yield from unknown
        recursion = list(self._recursion())
        yield from recursion
        flawed = flawed | {problem.state for problem in unknown}
        if recursion:
            return
        sound = {name: state for name, state in self._states.items() if name not in flawed}
        circles = list(self._circles(sound))
        yield from circles
        if not flawed and not circles:
            yield from self._too_long()

    def _unknown_targets(self) -> Iterator[Diagnostic]:
        for state in self._states.values():
            for target, key in dict.fromkeys((way.target, _KEYS[way.kind]) for way in named(state)):
                if target not in self._states:
                    yield self._unknown(state, key, target)
            if state.calls is not None and state.calls not in self._states:
                yield self._unknown_call(state, state.calls.removesuffix("/"))
        fallback = self._settings.fallback
        if fallback and fallback.next is not None and fallback.next not in self._states:
            remedy = similar(fallback.next, self._states, "Name a state of the flow.")
            reason = f'"next" in fallback names {quoted([fallback.next])}, which is no state.'
            yield Diagnostic("$settings", reason, remedy, self._settings.line)

    def _unknown_entry_points(self) -> Iterator[Diagnostic]:
        for name in self._settings.handback:
            if name not in self._states:
                remedy = similar(name, self._states, "Name a state of the flow.")
                reason = f"handback in $settings names {quoted([name])}, which is no state."
                yield Diagnostic("$settings", reason, remedy, self._settings.line)

    def _unknown(self, state: FlowState, key: str, target: str) -> Diagnostic:
        self._hints += 1
        near = (each for each in self._states.values() if each.scope == state.scope)
        options = [_local(each) for each in near] if self._hints <= _MAX_HINTS else []
        name = target.removeprefix(f"{state.scope}/") if state.scope else target
        remedy = similar(name, options, f"Add that state, or change {key}.")
        return _on(state, f"{key} names {quoted([name])}, which is no state.", remedy)

    def _unknown_call(self, state: FlowState, name: str) -> Diagnostic:
        if name in self._firsts:
            return _on(state, f'"call" names {quoted([name])}, which has no state.', "Write its states.")
        otherwise = f'Write it into "$flows", or into a file {shown(name)}.json beside this one.'
        remedy = similar(name, self._firsts, otherwise)
        return _on(state, f'"call" names {quoted([name])}, which is no sub-flow.', remedy)

    def _unknown_variables(self) -> Iterator[Diagnostic]:
        known = {*self._saved(), "visitor", *(["handoff"] if queues_of(self._states) else [])}
        for state in self._states.values():
            for branch in state.branches:
                for name in branch.when.names:
                    if name not in known:
                        reason = f'"when" looks at {quoted([name])}, which nothing saves.'
                        yield _on(
                            state, reason, similar(name, known, 'Let an answer or a service "save" it.')
                        )

    def _recursion(self) -> Iterator[Diagnostic]:
        calls: dict[str, dict[str, FlowState]] = {}  # by sub-flow: those that it calls, and where
        for state in self._states.values():
            if state.calls is not None and state.calls in self._states:
                calls.setdefault(state.scope, {}).setdefault(self._states[state.calls].scope, state)
        order, circles = walked(list(calls), lambda scope: calls.get(scope, {}))
        for circle in circles:
            caller = calls[circle[-1]][circle[0]]
            reason = f"the sub-flows call one another for ever: {_spelt_circle(circle)}."
            yield _on(caller, reason, "Let one of them return without a call.")
        if not circles:
            depth: dict[str, int] = {}
            for scope in order:
                depth[scope] = 1 + max((depth.get(callee, 0) for callee in calls.get(scope, {})), default=-1)
            for scope, deep in depth.items():
                if deep > DEEPEST_CALL and scope == "":
                    caller = next(iter(calls[scope].values()))
                    reason = f"sub-flows call sub-flows {deep} deep."
                    yield _on(caller, reason, f"At most {DEEPEST_CALL} may.")

    def _circles(self, states: Mapping[str, FlowState]) -> Iterator[Diagnostic]:
        """Ways that are taken at once and lead back would never wait for anybody."""
        returns = self._returns(states)

        def onward(name: str) -> Iterator[str]:
            return (way.target for way in _at_once(states, name, returns) if way.target in states)

        for circle in walked(states, onward)[1]:
            reason = f"the flow would go round for ever: {_spelt_circle(circle)}."
            yield _on(states[circle[0]], reason, f"Let one of these states ask something, {_NO_NEXT}.")

    def _returns(self, states: Mapping[str, FlowState]) -> Mapping[str, bool]:
        """By first state of each sub-flow, whether it may end without waiting for anybody."""
        known: dict[str, bool] = {}

        def ends(first: str) -> bool:  # as deep as sub-flows call one another, which is bounded
            if first not in known:
                known[first] = False
                seen: set[str] = set()
                ahead = [first]
                while ahead:
                    name = ahead.pop()
                    if name in seen or name not in states:
                        continue
                    seen.add(name)
                    state = states[name]
                    calls = state.calls
                    if state.waits or (calls is not None and not ends(calls)):
                        ahead += [way.target for way in named(state) if way.at_once and way.kind == "nobody"]
                        continue
                    if state.next is None and not state.branches:
                        known[first] = True
                    ahead += [way.target for way in named(state) if way.at_once]
            return known[first]

        for state in states.values():
            if state.calls is not None:
                ends(state.calls)
        return known

    def _too_long(self) -> Iterator[Diagnostic]:
        """What is said at one go is one message of the log, so it has an end."""
        states = self._states
        returns = self._returns(states)
        order, _ = walked(states, lambda name: (way.target for way in _at_once(states, name, returns)))
        waiting: dict[str, int] = {}  # the longest way from here to where somebody is waited for
        ending: dict[str, int] = {}  # the longest way to an end, -1 for none
        for name in order:
            state = states[name]
            inner = (waiting[state.calls], ending[state.calls]) if state.calls else (-1, 0)
            onward = [way.target for way in named(state) if way.at_once]
            to_wait = max(
                [0 if state.waits else -1, *(waiting[target] for target in onward if target in waiting)]
            )
            to_end = max((ending[target] for target in onward if target in ending), default=-1)
            if not state.waits and state.next is None and not state.branches:
                to_end = max(to_end, 0)
            through = inner[1] >= 0
            waiting[name] = 1 + max(inner[0], inner[1] + to_wait if through and to_wait >= 0 else -1, -2)
            ending[name] = 1 + inner[1] + to_end if through and to_end >= 0 else -1
        lengths = {name: max(waiting[name], ending[name]) for name in states}
        longest = max(lengths, key=lambda name: lengths[name])
        if lengths[longest] > MAX_WALK:
            reason = f"{lengths[longest]} states follow one another from here without waiting for anybody."
            remedy = f"At most {MAX_WALK} may: let one of them ask something."
            yield _on(states[longest], reason, remedy)

    # --- warnings -----------------------------------------------------------------------------

    def warnings(self) -> Iterator[Diagnostic]:
        """What an author should know of, though the flow can run."""
        unmatched = list(self._unmatched())
        told = {
            warning.state for warning in unmatched if self._states[warning.state].answer
        }  # once is enough
        yield from unmatched
        yield from self._unknown_entry_points()
        yield from (more for more in self._unreached() if more.state not in told)
        yield from self._unsaved()
        yield from self._clockwork()
        yield from self._overlapping()

    def _overlapping(self) -> Iterator[Diagnostic]:
        """Words of one state that are also within another's, for the same question."""
        for takers in self._takers.values():
            worded: list[tuple[FlowState, Words]] = []
            left = _MAX_WORDS
            for taker in takers:
                if taker.match is not None and taker.match.words is not None:
                    worded.append((taker, taker.match.words))
                    left -= len(taker.match.words.options)
                if left < 0:
                    break
            for (first, words), (second, theirs) in itertools.combinations(worded, 2):
                if found := shared(words, theirs):
                    reason = f'"words" has {quoted([found])}, and so has {quoted([_local(first)])} before it.'
                    yield _on(second, reason, "Remove it from one of them.")
                yield from self._within(first, words, second, theirs)
                yield from self._within(second, theirs, first, words)

    def _within(
        self, state: FlowState, words: Words, other: FlowState, theirs: Words
    ) -> Iterator[Diagnostic]:
        if words.contains is not False and (found := overlap(words, theirs)):
            shorter, longer = quoted([found[0]]), quoted([found[1]])
            reason = f'"words" has {shorter}, which is also in {longer} of {quoted([_local(other)])}.'
            remedy = (
                'A text with both is the longer\'s; with "contains": false a word must be the whole text.'
            )
            yield _on(state, reason, remedy)

    def _clockwork(self) -> Iterator[Diagnostic]:
        """Timers that lead round write to the log for ever, to a visitor who may have left."""
        states = self._states
        returns = self._returns(states)

        def onward(name: str) -> Iterator[str]:
            timers = (way for way in named(states[name]) if way.kind == "after")
            every = itertools.chain(_at_once(states, name, returns), timers)
            return (way.target for way in every if way.target in states)

        for circle in walked(states, onward)[1]:
            reason = f"timers alone lead round, for as long as nobody answers: {_spelt_circle(circle)}."
            yield _on(states[circle[0]], reason, "Let one of these states wait without such a timer.")

    def _unmatched(self) -> Iterator[Diagnostic]:
        """Questions and answers that do not belong together."""
        asked = {answer for state in self._states.values() for answer in state.answers}
        for state in self._states.values():
            if state.answer and (before := self._before(state, state.answer)):
                reason = f"{quoted([before])} takes the same answer and comes first."
                yield _on(state, reason, "Remove one of them.")
            elif state.answer and state.answer not in asked:
                reason = f"nothing asks for this answer ({_spelt(state.answer)})."
                yield _on(state, reason, f"Compare the ids with those of the question, a state {_NO_NEXT}.")
            if state.assistant:
                continue
            for answer in state.answers:
                takers = self._takers.get(answer, ())
                if not takers:
                    what = "the choice" if isinstance(state.effect, ChoiceAsked) else "the visitor's text"
                    reason = f"no matchResponse takes {what} ({_spelt(answer)})."
                    yield _on(state, reason, "Add one; without it the answer is refused.")
                elif all(taker.match for taker in takers) and not (state.fallback or self._settings.fallback):
                    reason = f"a text that no pattern or word takes is refused ({_spelt(answer)})."
                    yield _on(state, reason, 'Give this state a "fallback".')

    def _before(self, state: FlowState, answer: ExpectedAnswer) -> str | None:
        """The state that takes everything that ``state`` would take."""
        for taker in self._takers[answer]:
            if taker is state:
                return None
            if taker.match is None:
                return _local(taker)
        return None

    def _comes_to(self, name: str, before: Mapping[str, str]) -> str:
        """By what way a conversation comes to a state without an answer, in words; "" for none."""
        if name == next(iter(self._states)):
            return "the flow begins here"
        if name in before:
            return f"{quoted([before[name]])} leads here"
        return "operators hand back to it" if name in self._settings.handback else ""

    def _unreached(self) -> Iterator[Diagnostic]:
        """States that no conversation comes to, and answers that it comes to without being answered."""
        first = next(iter(self._states))
        takers = {answer: [each.name for each in taken] for answer, taken in self._takers.items()}
        fallback = self._settings.fallback
        every = list(ways(self._states, takers, fallback.next if fallback else None))
        known = reached(first, every)
        for name in self._settings.handback:
            if name in self._states:
                known |= reached(name, every)
        before = {way.target: way.source for way in every if way.kind != "answer"}
        for state in self._states.values():
            if state.name not in known:
                if state.scope and self._firsts[state.scope] not in known:
                    if state.name == self._firsts[state.scope]:
                        yield _on(state, "nothing calls this sub-flow.", 'Name it in a "call", or remove it.')
                else:
                    yield _on(state, "nothing leads to this state.", 'Name it in a "next", or remove it.')
            elif state.answer and (came := self._comes_to(state.name, before)):
                remedy = f"The flow passes through at once; put a question before it, a state {_NO_NEXT}."
                yield _on(state, f"{came}, but a matchResponse asks nothing.", remedy)

    def _unsaved(self) -> Iterator[Diagnostic]:
        """Variables in texts for which there will never be anything."""
        known = self._saved()
        for state in self._states.values():
            names = dict.fromkeys(variable.path for text in state.texts for variable in text.variables)
            greetings = state.handoff.greetings if state.handoff else ()
            in_line = {
                variable.path
                for text in greetings
                for variable in text.variables
                if variable.path[0] == "handoff"
            }
            for path in names:
                if path[0] == "visitor":
                    if path[1:2] and path[1] not in VISITOR:
                        reason = f'nothing is known of the visitor as "{shown(path[1])}".'
                        yield _on(state, reason, f"Known: {quoted(VISITOR)}.")
                elif path in in_line and path[1:2] and path[1] in PLACE_IN_LINE:
                    continue
                elif path[0] not in known and not (path[0] in MEANINGS and state.ambiguous is not None):
                    reason = f'a text names the variable "{shown(path[0])}", which nothing saves.'
                    yield _on(state, reason, similar(path[0], known, 'Let an answer or a service "save" it.'))

    def _saved(self) -> set[str]:
        return {name for state in self._states.values() for name in state.saves}


def queues_of(states: Mapping[str, FlowState]) -> tuple[str, ...]:
    """The queues that conditions may look at: those of the flow's handoffs, unless it saves something by the
    name ``handoff`` itself.
    """
    if any("handoff" in state.saves for state in states.values()):
        return ()
    return tuple(dict.fromkeys(state.handoff.queue for state in states.values() if state.handoff))


def _at_once(states: Mapping[str, FlowState], name: str, returns: Mapping[str, bool]) -> Iterator[Edge]:
    """The ways that are taken from a state without waiting."""
    state = states[name]
    if state.calls is not None:
        yield Edge(name, state.calls, "call", "", True)
        if not returns.get(state.calls):
            return
    yield from (way for way in named(state) if way.at_once)


def _local(state: FlowState) -> str:
    """A state's name as its own file has it."""
    return state.name.removeprefix(f"{state.scope}/") if state.scope else state.name


def _spelt_circle(circle: list[str]) -> str:
    names = [shown(each or "the flow") for each in circle]
    end = names[:1] if len(names) <= _MAX_CIRCLE else ["..."]
    return " -> ".join(names[:_MAX_CIRCLE] + end)


def _spelt(answer: ExpectedAnswer) -> str:
    asked = f'sessionId "{shown(answer.asked)}"'
    if answer.item is None:
        return asked
    return f'groupId "{shown(answer.asked)}", itemId "{shown(answer.item)}"'


def _on(state: FlowState, reason: str, remedy: str) -> Diagnostic:
    return Diagnostic(state.name, reason, remedy, state.line, state.file)
