"""Timers: which are armed, and how many led on with nobody doing anything."""

from __future__ import annotations

from typing import Final

import msgspec

from shared.contract.conversation.rule import Rules
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AskedAgain,
    ConversationClaimed,
    ConversationEnded,
    ConversationErased,
    ConversationReset,
    ConversationResolved,
    Fact,
    FlowAdvanced,
    FlowMigrated,
    FlowStarted,
    HandoffRequested,
    TimerArmed,
    TimerFired,
)


class Timer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An armed timer; ``at`` in RFC 3339, UTC."""

    id: str
    at: str

    @property
    def purpose(self) -> str:
        return self.id.partition(":")[0]


class Timers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="contract", tag="timers/1"):
    """The timers that may fire. The oldest that was armed stands first."""

    armed: tuple[Timer, ...] = ()
    fired: int = 0  # how many of the flow's timers in a row led on, with nobody doing anything

    def is_armed(self, id: str) -> bool:
        """Whether this timer may still fire."""
        return any(timer.id == id for timer in self.armed)

    def without(self, id: str) -> tuple[Timer, ...]:
        """The armed timers but this one."""
        return tuple(timer for timer in self.armed if timer.id != id)


def settled(state: Timers) -> Timers:
    """The input has its outcome: nobody waits for a stuck turn any more."""
    return Timers(tuple(timer for timer in state.armed if timer.purpose != "turn"), state.fired)


def interrupted(state: Timers) -> Timers:
    """Somebody did something."""
    return Timers(state.armed)


def _reset(state: Timers, recorded: RecordedEntry, fact: Fact) -> Timers:
    return Timers()


def _waited(state: Timers, recorded: RecordedEntry, fact: Fact) -> Timers:
    """What was to happen while the flow waited where it stood means nothing where it stands now."""
    if not state.armed:
        return state
    return Timers(tuple(timer for timer in state.armed if timer.purpose == "inactivity"), state.fired)


def _closed(state: Timers, recorded: RecordedEntry, fact: Fact) -> Timers:
    return Timers((), state.fired)


def _armed(state: Timers, recorded: RecordedEntry, fact: TimerArmed) -> Timers:
    return Timers((*state.without(fact.id), Timer(fact.id, fact.at)), state.fired)


def _fired(state: Timers, recorded: RecordedEntry, fact: TimerFired) -> Timers:
    return Timers(state.without(fact.id), state.fired + 1)


RULES: Final[Rules[Timers]] = {
    ConversationReset: _reset,
    ConversationErased: _reset,
    FlowStarted: _waited,
    FlowAdvanced: _waited,
    FlowMigrated: _waited,
    AskedAgain: _waited,
    HandoffRequested: _waited,
    ConversationClaimed: _waited,
    ConversationResolved: _closed,
    ConversationEnded: _closed,
    TimerArmed: _armed,
    TimerFired: _fired,
}
