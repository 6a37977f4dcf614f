"""Moving a live conversation to another version of its flow. Pure.

States of the same name are the same place, unless a map says otherwise. Who is asked something else
there than before is asked again; while a person owns the conversation nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from shared.contract.conversation import Conversation, Input
from shared.contract.entry import Entry, needed
from shared.contract.facts import ConversationHandedBack, EditorClosed, EditorOpened, Fact, FlowMigrated
from shared.flow.effects import NO_RESULTS, Moment
from shared.flow.language.diagnostics import shown
from shared.flow.language.flow import Flow
from shared.flow.language.state import FlowState
from shared.flow.language.templates import TooLong
from shared.flow.turn import Endless, Needed, TurnBuilder


class NoPlace(Exception):
    """The conversation has no place to go; the text says why."""


class FlowPlace(msgspec.Struct, frozen=True):
    """Where a conversation stands, and the states that called the sub-flows it stands in."""

    state: str
    stack: tuple[str, ...] = ()


def unknown_states(places: Mapping[str, str], new: Flow) -> list[str]:
    """What a map leads to that the new version does not have."""
    return [target for target in dict.fromkeys(places.values()) if target not in new.states]


def destination(state: Conversation, new: Flow, places: Mapping[str, str]) -> FlowPlace:
    """Where the conversation goes in the new version. Raises `NoPlace`."""
    if state.progress.place is None:
        raise NoPlace("it stands nowhere yet")
    target = _known(places.get(state.progress.place, state.progress.place), new)
    if not target.scope:
        return FlowPlace(target.name)
    callers = [_known(places.get(name, name), new) for name in state.progress.stack]
    if not callers or callers[0].scope:
        raise NoPlace(f'nothing says where the sub-flow "{shown(target.scope)}" returns to')
    for caller, scope in zip(callers, [*(each.scope for each in callers[1:]), target.scope], strict=True):
        if caller.calls is None or new.states[caller.calls].scope != scope:
            raise NoPlace(f'"{shown(caller.name)}" does not call the sub-flow "{shown(scope)}"')
    return FlowPlace(target.name, tuple(caller.name for caller in callers))


def migrated(
    state: Conversation, old: Flow | None, new: Flow, places: Mapping[str, str], moment: Moment
) -> Entry:
    """The entry that moves the conversation, to be appended right behind ``state``. Raises `NoPlace`.

    Its id is the same for every try at this position. ``old`` is the version that it leaves, None if
    that cannot be read any more.
    """
    place = destination(state, new, places)
    move = FlowMigrated(
        flow=state.progress.flow,
        version=new.version,
        before=state.progress.version,
        place=place.state,
        stack=place.stack,
    )
    facts = _facts(state, old, new, place, move, moment)
    return Entry(id=f"migrate:{new.version}:{state.position}", needs=needed(facts), facts=facts)


def _facts(
    state: Conversation, old: Flow | None, new: Flow, place: FlowPlace, move: FlowMigrated, moment: Moment
) -> tuple[Fact, ...]:
    target = new.states[place.state]
    turn = _turn(state, new, place.stack, moment)
    if state.ownership.owner == "operator":
        return (move,)
    if state.ownership.owner == "queue":  # no word to who waits for a person
        return (move, *(turn.timers(target) if target.desk else ()))
    try:
        if not target.asks:
            return turn.walk(target.name, move)
        question = turn.effect(target)
        before = _question(state, old, moment)
    except Needed:
        raise NoPlace(f'"{shown(target.name)}" asks a backend or the assistant first') from None
    except (Endless, TooLong):
        raise NoPlace(f'from "{shown(target.name)}" the flow says too much at once') from None
    if question == before:
        return (move, *turn.timers(target))
    closing: tuple[Fact, ...] = ()
    if isinstance(before, EditorOpened) and not (
        isinstance(question, EditorOpened) and str(question.session) == str(before.session)
    ):
        closing = (EditorClosed(session=before.session),)
    return (move, *closing, question, *turn.timers(target))


def _question(state: Conversation, old: Flow | None, moment: Moment) -> Fact | None:
    """What the visitor is asked now."""
    if old is None or state.progress.place is None or (place := old.states.get(state.progress.place)) is None:
        return None
    return _turn(state, old, state.progress.stack, moment).effect(place) if place.asks else None


def _turn(state: Conversation, flow: Flow, stack: tuple[str, ...], moment: Moment) -> TurnBuilder:
    """A decision as after a handback: nobody has said anything that is to be answered."""
    item = Input(state.position, "", ConversationHandedBack(operator=""))
    turn = TurnBuilder(state, item, flow, moment, NO_RESULTS, None)
    turn.stack = list(stack)
    return turn


def _known(name: str, flow: Flow) -> FlowState:
    found = flow.states.get(name)
    if found is None:
        raise NoPlace(f'the new version has no state "{shown(name)}"')
    return found
