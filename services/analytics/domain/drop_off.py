"""Where conversations stop: for each state of a flow, how often it was reached and who stayed there."""

from __future__ import annotations

from typing import Final

#: The flow versions kept: those in which a conversation began last.
MAX_VERSIONS: Final = 20
#: The states kept for each version; all others count as `OTHER`.
MAX_STATES: Final = 200
OTHER: Final = "other"


class StateNumbers:
    """``reached``: how often the flow came here. ``stopped``: conversations that came no further."""

    __slots__ = ("reached", "stopped")

    def __init__(self) -> None:
        self.reached = 0
        self.stopped = 0


class FlowNumbers:
    """One version of a flow: how many conversations began in it, and its states."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = 0
        self.states: dict[str, StateNumbers] = {}

    def state(self, name: str) -> StateNumbers:
        found = self.states.get(name)
        if found is None:
            name = name if len(self.states) < MAX_STATES else OTHER
            found = self.states.setdefault(name, StateNumbers())
        return found


class DropOff:
    """The numbers of the flow versions in use."""

    def __init__(self) -> None:
        self.versions: dict[str, FlowNumbers] = {}

    def begin(self, name: str, version: str) -> None:
        """A conversation began in this version, which is thereby the newest in use."""
        numbers = self.versions.pop(version, None) or FlowNumbers(name)
        numbers.started += 1
        self.versions[version] = numbers
        if len(self.versions) > MAX_VERSIONS:
            del self.versions[next(iter(self.versions))]

    def pass_through(self, version: str, path: tuple[str, ...]) -> None:
        numbers = self.versions.get(version)
        if numbers is not None:
            for name in path:
                numbers.state(name).reached += 1

    def at(self, version: str, place: str) -> StateNumbers | None:
        """The numbers of a state; None for a version that is not kept."""
        numbers = self.versions.get(version)
        return None if numbers is None else numbers.state(place)
