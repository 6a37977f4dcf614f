"""One decision in the making: a walk through the flow, from where it stands to where it waits again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Never

from shared.contract.conversation import Conversation, Input
from shared.contract.facts import (
    AnswerFailed,
    AssistantSaid,
    BotSaid,
    ConditionUntold,
    EditorClosed,
    EditorOpened,
    Fact,
    FlowAdvanced,
    HandoffRequested,
    QueueChecked,
    ServiceAnswered,
    TimerArmed,
    VariableSaved,
)
from shared.contract.queue_figures import QueueFigures, figures_of
from shared.flow.considered import Considered, Rule
from shared.flow.effects import (
    CallService,
    Effect,
    Generate,
    Generated,
    GenerationFailed,
    GoTo,
    HandoffRequest,
    Moment,
    Results,
)
from shared.flow.language.conditions import Unclear
from shared.flow.language.diagnostics import Diagnostic, shown
from shared.flow.language.flow import Flow
from shared.flow.language.state import Branch, FlowState, HandoffSpec, ServiceSpec
from shared.flow.language.templates import Text, Voice, header, plain, url
from shared.flow.language.validation import MAX_WALK, queues_of
from shared.timestamps import format_time

#: The most questions to backends and the assistant that one input may lead to.
MAX_NEEDS: Final = 8

#: Of so many queues one decision knows how they stand.
MAX_QUEUES: Final = 50

#: The most conditions without a yes or no that one entry names: they shall never be what makes it too large.
MAX_UNTOLD: Final = 8

#: What operators read in a list is cut beyond (characters); all that was said is in the conversation.
MAX_REASON: Final = 500

_SECOND: Final = 1_000_000_000
_NO_VALUES: Final[Mapping[str, Any]] = {}


class Endless(Exception):
    """One input led through too many states, or to too many questions."""


class Needed(Exception):
    """The decision takes something from outside first."""

    def __init__(self, need: Effect) -> None:
        super().__init__(need)
        self.need = need


class TurnBuilder:
    """The flow at work on one input. ``effects`` are the facts so far, in their order.

    ``stack`` are the states that called the sub-flows it stands in; ``waits`` says whether it has come to
    where somebody is waited for. ``untold`` are the conditions that said neither yes nor no: facts for the
    flow's author, who is told the same in ``remarks``. ``looked`` gets the rules that were looked at.
    """

    __slots__ = (
        "_voice",
        "effects",
        "flow",
        "item",
        "looked",
        "moment",
        "remarks",
        "results",
        "stack",
        "state",
        "untold",
        "waits",
    )

    def __init__(
        self,
        state: Conversation,
        item: Input,
        flow: Flow,
        moment: Moment,
        results: Results,
        remarks: list[Diagnostic] | None,
        looked: list[Considered] | None = None,
    ) -> None:
        self.state = state
        self.item = item
        self.flow = flow
        self.moment = moment
        self.results = results
        self.remarks = remarks
        self.looked = looked
        self.effects: list[Fact] = []
        self.untold: dict[ConditionUntold, None] = {}
        self.stack: list[str] = []
        self.waits = False
        self._voice: Voice | None = None

    @property
    def voice(self) -> Voice:
        """To whom the flow speaks. Made when it is first needed: most texts are the same for everyone."""
        if self._voice is None:
            self._voice = Voice(self.state.visit.begun, self.state.progress.variables, self.flow.languages)
        return self._voice

    @property
    def language(self) -> str:
        """In which the flow speaks to this visitor; "" where nobody said."""
        return self.voice.visitor["language"]

    def forget(self) -> None:
        """The flow begins: nothing is known from the visitor."""
        self.voice.variables = {}

    # --- walking ------------------------------------------------------------------------------

    def walk(self, start: str | None, *before: Fact) -> tuple[Fact, ...]:
        """``before``, then what happens from ``start`` until the flow waits or ends.

        `FlowAdvanced` comes before what the states do, so that the place is right when a handoff takes
        the conversation out of the flow's hands. None for ``start`` is the end.
        Raises `Needed`, `Endless` and `TooLong`.
        """
        states, effects = self.flow.states, self.effects
        path: list[str] = []
        name = start
        state: FlowState | None = None
        while name is not None:
            if len(path) == MAX_WALK:
                raise Endless
            state = states[name]
            path.append(name)
            if state.simple:
                if state.effect is not None:
                    effects.append(state.effect)
                self.waits = state.asks
                name = None if self.waits else self.onward(state)
            else:
                name = self._pass(state)
        stack = tuple(self.stack) if self.waits else ()
        timers = self.timers(state) if self.waits and state is not None and state.after else ()
        advanced = FlowAdvanced(path=tuple(path), ended=not self.waits, stack=stack)
        # Behind what is said: a reader that does not know them counts the rest as before.
        return (*before, advanced, *effects, *self.untold, *timers)

    def onward(self, state: FlowState) -> str | None:
        """Where the flow goes on behind a state; at the end of a sub-flow, behind its call."""
        following = self._chosen(state)
        while following is None and self.stack:
            caller = self.flow.states.get(self.stack.pop())
            following = None if caller is None else self._chosen(caller)
        return following

    def _chosen(self, state: FlowState) -> str | None:
        for branch in state.branches:
            if "handoff" in branch.when.names:
                self._look_at_queues()
            holds: bool | None
            why = ""
            try:
                holds = branch.when.holds(self.voice)
            except Unclear as error:
                holds, why = None, str(error)
                self._cannot_tell(state, branch, why)
            if self.looked is not None:
                values = branch.when.values(self.voice)
                self.look(state, "condition", branch.when.source, holds, why, values, branch.next)
            if holds:
                return branch.next
        if state.branches:
            self.look(state, "otherwise", to=state.next)
        return state.next

    def look(
        self,
        state: FlowState,
        rule: Rule,
        text: str = "",
        holds: bool | None = True,
        why: str = "",
        values: Mapping[str, Any] = _NO_VALUES,
        to: str | None = None,
    ) -> None:
        """A rule was looked at, if anybody wants to know."""
        if self.looked is not None:
            self.looked.append(
                Considered(state=state.name, rule=rule, text=text, holds=holds, why=why, values=values, to=to)
            )

    def _look_at_queues(self) -> None:
        """Let conditions know of the flow's queues. What they were told is noted, to decide it again."""
        if self.voice.handoff is not None:
            return
        queues = queues_of(self.flow.states)
        if queues:
            figures = {name: self._checked(name) for name in queues[:MAX_QUEUES]}
            self.voice.handoff = {
                name: {"available": each.available, "waiting": each.waiting, "wait": each.wait}
                for name, each in figures.items()
            }

    def _checked(self, queue: str) -> QueueFigures:
        """How a queue stands, noted."""
        figures = figures_of(self.moment.queues, queue)
        fact = QueueChecked(
            queue=queue, available=figures.available, waiting=figures.waiting, wait=figures.wait
        )
        if fact not in self.effects:
            self.effects.append(fact)
        return figures

    def _place_in_line(self, greeting: Text | None, queue: str) -> dict[str, Any]:
        """What a handoff's greeting may name, if it does."""
        if greeting is None or all(variable.path[0] != "handoff" for variable in greeting.variables):
            return {}
        if not queues_of(self.flow.states):  # the flow has saved something else by this name
            return {}
        figures = self._checked(queue)
        place = None if figures.waiting is None else figures.waiting + 1
        minutes = None if figures.wait is None else max(1, -(-figures.wait // 60))
        return {"handoff": {"place": place, "minutes": minutes}}

    def _cannot_tell(self, state: FlowState, branch: Branch, why: str) -> None:
        """A condition that cannot be told counts as false, but not in silence."""
        source = branch.when.source
        if len(self.untold) < MAX_UNTOLD:
            self.untold[ConditionUntold(state=state.name, condition=source, reason=why)] = None
        if self.remarks is not None:
            reason = f'"when": "{shown(source)}" counts as false: {why}.'
            self.remarks.append(Diagnostic(state.name, reason, line=state.line, file=state.file))

    def _pass(self, state: FlowState) -> str | None:
        """Do what a state does; where the flow goes on, None where it ends or waits."""
        if state.calls is not None:
            self.stack.append(state.name)
            return state.calls
        if state.desk is not None:
            return self.hand_over(state, state.desk)
        if state.service is not None:
            return self._served(state, state.service)
        if state.assistant is not None and state.assistant.once:
            return self._spoke(state)
        self.effects.append(self.effect(state))
        self.waits = state.asks
        return None if self.waits else self.onward(state)

    def effect(self, state: FlowState) -> Fact:
        """What is said on entering a state that says something, to this visitor."""
        if state.speech is not None:
            return state.speech.fact(self.voice)
        assert state.effect is not None
        return state.effect

    # --- what states do -----------------------------------------------------------------------

    def say(self, text: Text | None, **more: Any) -> None:
        """Say a text, which may name what is known here alone (``more``)."""
        if text is not None:
            voice = self.voice.knowing(**more) if more else self.voice
            self.effects.append(BotSaid(text=text.said(voice)))

    def save(self, name: str, value: object) -> None:
        self.effects.append(VariableSaved(name=name, value=value))
        self.voice.variables = {**self.voice.variables, name: value}

    def hand_over(self, state: FlowState, desk: HandoffSpec, reason: str = "") -> str | None:
        """Ask for a person; where the flow goes instead, if nobody is there and it wants to go on."""
        greeting = desk.waiting
        if desk.nobody is not None:
            self.look(state, "people", holds=self.moment.operators != 0)
        if desk.nobody is not None and self.moment.operators == 0:
            if desk.nobody.next is not None:
                self.say(desk.nobody.say, **self._place_in_line(desk.nobody.say, desk.queue))
                return desk.nobody.next
            greeting = desk.nobody.say or greeting
        reason = reason or desk.reason.said(self.voice, plain)
        in_line = self._place_in_line(greeting, desk.queue)
        self.effects.append(HandoffRequested(queue=desk.queue, reason=shortened(reason)))
        self.say(greeting, **in_line)
        self.waits = True
        return None

    def timers(self, state: FlowState) -> Iterator[TimerArmed]:
        """What shall happen when nothing happens at this state."""
        for number, timer in enumerate(state.after):
            yield self.timer("after", timer.seconds * _SECOND, f":{number}")

    def _put_off(self, state: FlowState) -> Iterator[TimerArmed]:
        """The same counted from now, where the flow stays: a timer that is armed yet gets another time."""
        armed = {_number(timer.id): timer.id for timer in self.state.timers.armed if timer.purpose == "after"}
        for timer in self.timers(state):
            yield TimerArmed(id=armed.get(_number(timer.id), timer.id), at=timer.at)

    def timer(self, purpose: str, delay: int, number: str = "") -> TimerArmed:
        """A timer that fires so many nanoseconds from now."""
        at = format_time(self.moment.now + delay)
        return TimerArmed(id=f"{purpose}:{self.item.position}{number}", at=at)

    def _served(self, state: FlowState, service: ServiceSpec) -> str | None:
        answers = self.state.answer.services
        answer = next((each for each in answers if self._is_mine(each) and each.state == state.name), None)
        if answer is None:
            self._need(
                CallService(
                    state=state.name,
                    url=service.url.said(self.voice, url) if service.url else "",
                    subject=service.subject,
                    method=service.method,
                    headers={name: text.said(self.voice, header) for name, text in service.headers.items()},
                    body=service.body.said(self.voice) if service.body else None,
                    timeout=service.timeout,
                    pick=service.pick,
                )
            )
        answered = {"answer": answer.value}
        self.look(state, "backend", "", not answer.failure, answer.failure, answered)
        if answer.failure and service.on_error is not None:
            return service.on_error
        if service.save:
            self.save(service.save, None if answer.failure else answer.value)
        return self.onward(state)

    # --- the assistant ------------------------------------------------------------------------

    def speak(self, state: FlowState) -> tuple[Fact, ...]:
        """The assistant's answer to a text that the visitor wrote to it; it stays unless it goes."""
        assert state.assistant is not None
        following = self._assist(state)
        if following is not None:
            if isinstance(state.effect, EditorOpened):
                self.effects.append(EditorClosed(session=state.effect.session))
            return self.walk(following)
        return (*self.effects, *(() if self.waits else self._put_off(state)))

    def _spoke(self, state: FlowState) -> str | None:
        following = self._assist(state)
        return following if following is not None or self.waits else self.onward(state)

    def _assist(self, state: FlowState) -> str | None:
        """What the assistant says or does; where the flow goes on by its wish or for its failure."""
        assistant = state.assistant
        assert assistant is not None
        result = self.results.get(state.name)
        if result is None:
            self._need(
                Generate(
                    state=state.name,
                    system=assistant.system.said(self.voice, plain),
                    model=assistant.model,
                    max_tokens=assistant.max_tokens,
                    temperature=assistant.temperature,
                    go_to=assistant.go_to,
                    handoff=assistant.desk is not None,
                )
            )
        match result:
            case GenerationFailed(reason=reason, attempt=attempt):
                self.look(state, "assistant", "", False, reason, to=assistant.on_error)
                return self._could_not(assistant.on_error, reason, attempt)
            case Generated(tool=GoTo(state=wanted)) if wanted in assistant.go_to:
                self.look(state, "assistant", to=wanted)
                self._said(result)
                return wanted
            case Generated(tool=HandoffRequest(reason=reason)) if assistant.desk is not None:
                self.look(state, "assistant")
                self._said(result)
                return self.hand_over(state, assistant.desk, reason)
            case Generated(tool=None) if result.text:
                self.look(state, "assistant")
                self._said(result)
                return None
            case _:  # it called what it was not given, or said nothing
                self.look(state, "assistant", "", False, "broken", to=assistant.on_error)
                return self._could_not(assistant.on_error, "broken", result.attempt)

    def _could_not(self, on_error: str, reason: str, attempt: int) -> str:
        self.effects.append(AnswerFailed(reason=reason, attempt=attempt))
        return on_error

    def _said(self, result: Generated) -> None:
        if result.text:
            self.effects.append(
                AssistantSaid(
                    text=result.text,
                    attempt=result.attempt,
                    model=result.model,
                    tokens_in=result.tokens_in,
                    tokens_out=result.tokens_out,
                    cost=result.cost,
                    estimated=result.estimated,
                )
            )

    def _need(self, need: Effect) -> Never:
        asked = sum(map(self._is_mine, self.state.answer.services)) + len(self.results)
        if asked >= MAX_NEEDS:
            raise Endless
        raise Needed(need)

    def _is_mine(self, answer: ServiceAnswered) -> bool:
        return answer.cause == self.item.position


def _number(id: str) -> str:
    """Which of a state's timers a timer's id means."""
    return id.rpartition(":")[2]


def shortened(reason: str) -> str:
    """A handoff's reason on one line, which a visitor's own long text may be part of."""
    line = " ".join(reason.split())
    return line if len(line) <= MAX_REASON else f"{line[: MAX_REASON - 3]}..."
