"""Where in a flow a conversation can be handed back to."""

from __future__ import annotations

from typing import Any, NamedTuple

from shared.flow.entry_points import entry_points


class FlowPlaces(NamedTuple):
    """The names of a flow's states in its author's order, and which of them are offered, with titles."""

    states: list[str]
    entry_points: list[tuple[str, str]]


NOWHERE = FlowPlaces([], [])


def places_of(flow: dict[str, Any]) -> FlowPlaces:
    """Those of a flow's JSON."""
    return FlowPlaces([name for name in flow if not name.startswith("$")], list(entry_points(flow)))
