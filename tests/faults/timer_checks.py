"""The timers of one conversation as the checker reads them: each takes effect once, in time, or not at all.

A timer is armed by `TimerArmed`, and means nothing any more once the conversation has moved on. What is
armed and due must fire; what fires must be armed and due.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

#: What ends every wait of the flow, and so its timers; the one for a silent visitor goes on.
MOVED = {
    *("FlowStarted", "FlowAdvanced", "FlowMigrated", "AskedAgain"),
    *("HandoffRequested", "ConversationClaimed"),
}
#: What ends everything.
OVER = {"ConversationReset", "ConversationResolved", "ConversationEnded"}
#: A clock may be read a little before the one that it is compared with (seconds).
EARLY = 0.25


class Armed:
    """``late`` (seconds) is how long after its time a timer may fire. ``faults`` is what was wrong."""

    def __init__(self, late: float) -> None:
        self._late = late
        self._armed: dict[str, float] = {}  # when each is due, in seconds since 1970
        self.faults: list[str] = []
        self.lateness: list[float] = []  # of those that fired (seconds)

    def __len__(self) -> int:
        """How many are armed."""
        return len(self._armed)

    def outcome(self, time: float) -> None:
        """An input was answered: no answer is stuck any more."""
        self._drop([id for id in self._armed if id.startswith("turn:")], time)

    def take(self, fact: dict[str, Any], time: float) -> bool:
        """One more fact, stored at ``time``; whether a timer took effect."""
        kind, id = fact["kind"], str(fact.get("id"))
        if kind == "TimerArmed":
            self._drop([id], time)
            self._armed[id] = datetime.fromisoformat(str(fact.get("at"))).timestamp()
        elif kind in OVER:
            self._drop(list(self._armed), time)
        elif kind in MOVED:
            self._drop([id for id in self._armed if not id.startswith("inactivity:")], time)
        elif kind == "TimerFired":
            due = self._armed.pop(id, None)
            if due is None:
                self.faults.append(f"{id} fired, and was not armed")
                return False
            self.lateness.append(time - due)
            if time < due - EARLY:
                self.faults.append(f"{id} fired {due - time:.1f} s early")
            self._overdue(id, due, time)
            return True
        return False

    def end(self, now: float) -> None:
        """The log ends here, at the time ``now``."""
        self._drop(list(self._armed), now)

    def _drop(self, ids: list[str], time: float) -> None:
        for id in ids:
            due = self._armed.pop(id, None)
            if due is not None:
                self._overdue(id, due, time)

    def _overdue(self, id: str, due: float, time: float) -> None:
        if time - due > self._late:
            self.faults.append(f"{id} was due {time - due:.1f} s before, allowed {self._late:.1f} s")
