"""Where conversations stop: for each state of a flow, how often it was reached and who stayed there."""

from __future__ import annotations

from typing import Final

from services.analytics.domain.labels import Labels, Moment

#: The flow versions shown: those in which a conversation began last.
MAX_VERSIONS: Final = 20
#: The states shown for each version; all others count as `OTHER`.
MAX_STATES: Final = 200


class FlowNumbers:
    """One version of a flow: how many conversations began in it, and its states."""

    def __init__(self) -> None:
        self.name = ""
        self.started = 0
        self.used: Moment | None = None  # when a conversation began in it last
        self._labels = Labels(MAX_STATES)
        self._reached: dict[str, int] = {}
        self._stopped: dict[str, int] = {}

    def begin(self, name: str, at: Moment) -> None:
        self.started += 1
        if self.used is None or at > self.used:
            self.name, self.used = name, at

    def reach(self, state: str, at: Moment) -> None:
        self._labels.note(state, at)
        self._reached[state] = self._reached.get(state, 0) + 1

    def stop(self, state: str, at: Moment, by: int) -> None:
        """One conversation more that came no further than here, or one less (``by`` 1 or -1)."""
        self._labels.note(state, at)
        self._stopped[state] = self._stopped.get(state, 0) + by

    def states(self) -> dict[str, tuple[int, int]]:
        """How often each state was reached, and how many stopped there; the first one first."""
        stopped = self._labels.group(self._stopped)
        return {state: (count, stopped[state]) for state, count in self._labels.group(self._reached).items()}


class DropOff:
    """The numbers of all flow versions. Only those in which a conversation began are shown."""

    def __init__(self) -> None:
        self._versions: dict[str, FlowNumbers] = {}

    def of(self, version: str) -> FlowNumbers:
        found = self._versions.get(version)
        if found is None:
            found = self._versions[version] = FlowNumbers()
        return found

    def newest(self) -> list[tuple[str, FlowNumbers]]:
        """The versions that are shown, the one used last first."""
        used = [(numbers.used, version) for version, numbers in self._versions.items() if numbers.used]
        return [(version, self.of(version)) for _, version in sorted(used, reverse=True)[:MAX_VERSIONS]]
