"""What the bot answers: pure, and total for every flow that `flow.parse` accepts."""

from __future__ import annotations

from typing import Literal

from services.workflow.domain.flow import LONGEST_WALK, Flow
from services.workflow.domain.state import Answer, State, same
from shared.contract.conversation import Conversation, Input
from shared.contract.entry import MAX_ENTRY, Entry, EntryTooLarge, encode
from shared.contract.facts import (
    ChoiceAsked,
    ChoiceMade,
    ConversationHandedBack,
    ConversationReset,
    ConversationStarted,
    DecisionFailed,
    EditorOpened,
    Fact,
    FlowAdvanced,
    FlowResumed,
    FlowStarted,
    HandoffRequested,
    InputRefused,
    TextWritten,
)

Refusal = Literal[
    "nothing_asked",  # the flow waits for no answer
    "stale_answer",  # the flow waits for the answer to another question
    "unknown_choice",  # the question that is open has no such choice
    "no_transition",  # the flow has no state that takes this answer
    "conversation_ended",  # the flow is over
    "conversation_resolved",  # an operator closed the conversation; a text would reopen it
]
Failure = Literal[
    "endless_flow",  # one input led through more than `LONGEST_WALK` states
    "too_large",  # the answer does not fit into one message of the log
]


def respond(state: Conversation, item: Input, flow: Flow, max_entry: int = MAX_ENTRY) -> Entry:
    """The entry that answers ``item``: what `decide` says, if it fits into ``max_entry`` bytes."""
    entry = _entry(item, decide(state, item, flow))
    try:
        fits = len(encode(entry)) <= max_entry
    except EntryTooLarge:
        fits = False
    return entry if fits else _entry(item, failed("too_large"))


def decide(state: Conversation, item: Input, flow: Flow) -> tuple[Fact, ...]:
    """The outcome of ``item``: an answer, a refusal, a handoff, or a failure.

    ``flow`` is the one that the conversation is bound to (``state.version``); where it is bound to
    none, and for a `ConversationReset`, the one that it shall begin with.
    """
    match item.fact:
        case ConversationStarted() | ConversationReset():
            return _begin(flow)
        case ConversationHandedBack(state=wanted):
            return _resume(state, wanted, flow) if state.version else _begin(flow)
        case TextWritten() | ChoiceMade():
            return _take(state, item.fact, flow)
        case _:
            return _refused("nothing_asked")


def failed(reason: Failure | str) -> tuple[Fact, ...]:
    """The outcome of an input for which nothing could be decided or stored."""
    return (DecisionFailed(reason=reason),)


def _begin(flow: Flow) -> tuple[Fact, ...]:
    return _walk(flow, flow.first, FlowStarted(flow=flow.name, version=flow.version))


def _resume(state: Conversation, wanted: str | None, flow: Flow) -> tuple[Fact, ...]:
    """After a handback: from the state the operator named, else from where the flow was."""
    if wanted is not None and wanted in flow.states:
        return _walk(flow, wanted, FlowResumed())
    if state.ended:
        return (FlowResumed(), FlowAdvanced(path=(), ended=True))
    place = _place(state, flow) or flow.states[flow.first]
    if not isinstance(place.effect, HandoffRequested):
        return _walk(flow, place.name, FlowResumed())  # a question is asked again
    if place.next is None:
        return (FlowResumed(), FlowAdvanced(path=(), ended=True))
    return _walk(flow, place.next, FlowResumed())


def _take(state: Conversation, fact: TextWritten | ChoiceMade, flow: Flow) -> tuple[Fact, ...]:
    """Accept only the answer that the conversation now waits for."""
    if state.status == "resolved":
        if isinstance(fact, ChoiceMade):
            return _refused("conversation_resolved")
        return (HandoffRequested(queue=state.queue or "default", reason="reopened"),)
    if state.ended:
        return _refused("conversation_ended")
    place = _place(state, flow)
    if place is None or not place.asks:
        return _refused("nothing_asked")
    match place.effect, fact:
        case EditorOpened(session=session), TextWritten() if same(session, fact.session):
            answer = Answer(str(session))
        case ChoiceAsked(group=group, choices=choices), ChoiceMade() if same(group, fact.group):
            if not any(same(choice.item, fact.item) for choice in choices):
                return _refused("unknown_choice")
            answer = Answer(str(group), str(fact.item))
        case _:
            return _refused("stale_answer")
    taken_by = flow.answers.get(answer)
    return _refused("no_transition") if taken_by is None else _walk(flow, taken_by)


def _place(state: Conversation, flow: Flow) -> State | None:
    return None if state.place is None else flow.states.get(state.place)


def _walk(flow: Flow, start: str, *before: Fact) -> tuple[Fact, ...]:
    """``before``, then what happens from ``start`` until the flow waits or ends.

    `FlowAdvanced` comes before what the states do, so that the place is right when a handoff takes
    the conversation out of the flow's hands.
    """
    path: list[str] = []
    effects: list[Fact] = []
    name: str | None = start
    while name is not None:
        if len(path) == LONGEST_WALK:
            return failed("endless_flow")
        state = flow.states[name]
        path.append(name)
        effects += [state.effect] if state.effect else []
        waits = state.asks or isinstance(state.effect, HandoffRequested)
        name = None if waits else state.next
    return (*before, FlowAdvanced(path=tuple(path), ended=not waits), *effects)


def _refused(reason: Refusal) -> tuple[Fact, ...]:
    return (InputRefused(reason=reason),)


def _entry(item: Input, facts: tuple[Fact, ...]) -> Entry:
    return Entry(id=str(item.position), cause=item.position, facts=facts)
