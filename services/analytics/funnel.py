"""How conversations went through a flow: how many reached each state, and who left at its question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from services.analytics.domain.definition import Definition
from services.analytics.questions import Value

#: States of a flow that are told, those that were reached most.
MAX_STATES: Final = 1_000

#: Their groups are those of the funnel alone: it is no number that people choose.
REACHED: Final = Definition(
    id="reached",
    name="Reached",
    topic="bot",
    unit="count",
    says="How often conversations came to a state.",
    of=("FlowAdvanced",),
    where="e.kind = 'reached'",
    columns={"state": "e.name", "version": "e.version"},
)
BEGUN: Final = Definition(
    id="begun",
    name="Begun",
    topic="bot",
    unit="count",
    says="How often a version of a flow was begun.",
    of=("FlowStarted",),
    where="e.kind = 'flow'",
    # A version has a name, which goes with it.
    columns={"flow": "e.name", "version": "e.version", "state": "e.version || ' ' || e.name"},
)


class StateNumbers(msgspec.Struct, frozen=True):
    """``asked``: how often its question was asked, and answered or left; ``left`` of them never answered.

    ``drop_off`` is None where nothing was asked.
    """

    state: str
    reached: int
    asked: int
    left: int
    drop_off: float | None


def state_numbers(reached: Mapping[str, Value], drop_off: Mapping[str, Value]) -> list[StateNumbers]:
    """Of each state, those that were reached most first."""
    nothing = Value(None, 0, 0)
    return [
        StateNumbers(state, reached.get(state, nothing).rows, asked.rows, asked.parts, asked.value)
        for state in dict.fromkeys((*reached, *drop_off))
        for asked in (drop_off.get(state, nothing),)
    ]
