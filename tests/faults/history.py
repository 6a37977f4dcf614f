"""What each client did and learned, in its own words: the checker holds it against the log."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Literal, NamedTuple

#: ``ok``: it was told that it is done; ``fail``: that it is not; ``unknown``: neither.
Outcome = Literal["ok", "fail", "unknown"]


class Deed(NamedTuple):
    """One thing that a client asked for. ``id`` is "" where the client cannot name it.

    ``begun`` and ``ended`` are monotonic seconds; ``who`` is the operator's account or "visitor".
    """

    who: str
    conversation: str
    action: str
    id: str
    outcome: Outcome
    begun: float
    ended: float
    reason: str = ""


class Deeds:
    """The deeds of all clients. One that never ended is unknown."""

    def __init__(self) -> None:
        self._deeds: list[Deed] = []

    def invoke(self, who: str, conversation: str, action: str, id: str = "") -> int:
        """A deed begins; its number."""
        now = time.monotonic()
        self._deeds.append(Deed(who, conversation, action, id, "unknown", now, 0.0))
        return len(self._deeds) - 1

    def end(self, number: int, outcome: Outcome, reason: str = "") -> None:
        """The deed ended. What was ok stays ok: a later word takes nothing back."""
        deed = self._deeds[number]
        if deed.outcome == "unknown":
            self._deeds[number] = deed._replace(outcome=outcome, ended=time.monotonic(), reason=reason)

    def deeds(self) -> list[Deed]:
        return list(self._deeds)

    def write(self, path: Path) -> None:
        """As JSON lines: each deed as an invocation and its end, in the order of time."""
        events: list[dict[str, Any]] = []
        for deed in self._deeds:
            what = {"who": deed.who, "conversation": deed.conversation, "action": deed.action, "id": deed.id}
            events.append({"time": deed.begun, "event": "invoke", **what})
            if deed.outcome != "unknown" or deed.ended:
                events.append({"time": deed.ended, "event": deed.outcome, **what, "reason": deed.reason})
        events.sort(key=lambda event: event["time"])
        path.write_text("".join(json.dumps(event) + "\n" for event in events))
