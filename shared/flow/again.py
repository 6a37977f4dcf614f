"""Deciding an input again, as the log has it: the same state, the same answers from outside. Pure.

What backends and the assistant answered is on the log. Not on the log is how many operators were there, and
after how long a silence the service ends a conversation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shared.contract.conversation import Conversation, Input
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import (
    AnswerFailed,
    AssistantSaid,
    DecisionFailed,
    Fact,
    FlowAdvanced,
    HandoffRequested,
    QueueChecked,
    ThanksHeard,
    TimerArmed,
    TimerFired,
)
from shared.contract.queue_figures import QueueFigures
from shared.flow.considered import Considered
from shared.flow.decide import decide, failed, respond
from shared.flow.effects import (
    CallService,
    Generate,
    Generated,
    GenerationFailed,
    GoTo,
    HandoffRequest,
    Moment,
)
from shared.flow.language.flow import Flow
from shared.flow.language.schema import MAX_DELAY
from shared.flow.turn import MAX_NEEDS

#: Failures that say nothing about the flow.
_MACHINERY: Final = frozenset({"session_timeout", "too_many_deliveries", "internal", "flow_missing"})


def is_own(fact: Fact, facts: Iterable[Fact]) -> bool:
    """Whether the outcome of an input is none of the flow's: silence for long, or a failed service."""
    if isinstance(fact, TimerFired) and is_of_silence(fact):
        return True
    return any(isinstance(each, DecisionFailed) and each.reason in _MACHINERY for each in facts)


def is_of_silence(fact: Fact) -> bool:
    """Whether it is of the timer that ends silent conversations: that follows the service's settings."""
    return isinstance(fact, TimerArmed | TimerFired) and fact.id.startswith("inactivity:")


def decided_again(
    state: Conversation,
    item: Input,
    flow: Flow,
    recorded: RecordedEntry,
    operators: int = -1,
    *,
    words: bool = True,
    looked: list[Considered] | None = None,
) -> tuple[Fact, ...] | str:
    """What ``flow`` decides about ``item``, with the answers of ``recorded``, its outcome then.

    A text says what it would have to know from outside that nobody was asked then. ``looked`` gets the rules
    that it looked at. Without ``words`` some were left out: raises `NeedsWords` where it looks at these.
    """
    queues = {
        fact.queue: QueueFigures(fact.available, fact.waiting, fact.wait)
        for fact in recorded.facts
        if isinstance(fact, QueueChecked)
    }
    # As the service was set then: the flow's own setting goes before it.
    thanks = MAX_DELAY if any(isinstance(fact, ThanksHeard) for fact in recorded.facts) else 0
    moment = Moment(recorded.time, operators, thanks=thanks, queues=queues)
    results: dict[str, Generated | GenerationFailed] = {}
    spoken = [fact for fact in recorded.facts if isinstance(fact, AssistantSaid | AnswerFailed)]
    for _ in range(MAX_NEEDS + 1):
        if looked is not None:
            looked.clear()
        # How large an answer is nobody knows without its words.
        answer = respond if words else decide
        match answer(state, item, flow, moment, results, looked=looked):
            case Entry(facts=facts):
                return facts
            case tuple() as facts:
                return facts
            case CallService(state=at):
                return f'asks the backend of "{at}", which was not asked then'
            case Generate(state=at) as need:
                result = _result(need, spoken, recorded.facts)
                if result is None:
                    return f'asks the assistant of "{at}", which was not asked then'
                results[at] = result
    return failed("endless_flow")


def _result(
    need: Generate, spoken: list[AssistantSaid | AnswerFailed], facts: tuple[Fact, ...]
) -> Generated | GenerationFailed | None:
    """What the assistant said in the record, the next of it."""
    said = spoken.pop(0) if spoken else None
    if isinstance(said, AnswerFailed):
        return GenerationFailed(reason=said.reason, attempt=said.attempt)
    tool: GoTo | HandoffRequest | None = None
    for fact in facts:  # which tool it called is told by what followed
        if isinstance(fact, FlowAdvanced) and (following := _behind(need.state, fact.path)) in need.go_to:
            tool = GoTo(following)
        elif isinstance(fact, HandoffRequested) and need.handoff and not isinstance(tool, GoTo):
            tool = HandoffRequest(fact.reason)
    if said is None:
        return None if tool is None else Generated(text="", tool=tool)
    return Generated(
        text=said.text or "…",  # what says nothing is not recorded, so its words were left out
        tool=tool,
        model=said.model,
        tokens_in=said.tokens_in,
        tokens_out=said.tokens_out,
        cost=said.cost,
        estimated=said.estimated,
        attempt=said.attempt,
    )


def _behind(state: str, path: tuple[str, ...]) -> str:
    """Where the flow went from ``state``: it is on the path, or it stood there before."""
    following = path[path.index(state) + 1 :] if state in path else path
    return following[0] if following else ""
