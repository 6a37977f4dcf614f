"""One entry's measures, and the matter that they belong to. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from services.analytics.domain.measures import (
    MAX_VALUE,
    Kind,
    Matter,
    Measure,
    Outcome,
    Unanswered,
    WaitEnd,
)
from shared.contract.entry import RecordedEntry


class Ledger:
    """What was measured of an entry so far. ``matter`` is the one that it speaks of now."""

    def __init__(self, entry: RecordedEntry, matter: Matter) -> None:
        self._entry = entry
        self.matter = matter
        self.fact = 0  # the number of the fact that is being counted
        self.measures: list[Measure] = []
        self.closed: Outcome = ""  # how the entry itself closed the matter
        #: Those that the entry leaves behind it.
        self.left: list[Matter] = []

    def add(
        self, kind: Kind, name: str = "", detail: str = "", version: str = "", value: int = 0, part: int = 0
    ) -> None:
        entry, matter = self._entry, self.matter
        self.measures.append(
            Measure(
                kind,
                entry.time,
                entry.conversation,
                matter.talk,
                matter.number,
                entry.position,
                self.fact,
                part,
                name,
                detail,
                version,
                max(-MAX_VALUE, min(value, MAX_VALUE)),
            )
        )

    def since(self, begin: int) -> int:
        """Nanoseconds. Never negative: the server's clock may have been set back in between."""
        return max(0, self._entry.time - begin)

    # --- matters ------------------------------------------------------------------------------

    def talk(self, door: str) -> None:
        """The visitor comes, or starts over."""
        self.leave("left")
        before = self.matter
        self.matter = Matter(
            number=before.number + 1,
            talk=before.talk + 1,
            opened=self._entry.time,
            door=door or before.door,
            current=True,
        )

    def reopen(self, begun: int = 0) -> None:
        """Another matter of the same talk. ``begun``: when the visitor wrote what it begins with."""
        before = self.matter
        if not before.current:  # nobody came yet
            return
        outcome, closed = before.outcome or self.closed, before.closed or self._entry.time
        self.left.append(replace(before, current=False, outcome=outcome, closed=closed))
        self.matter = Matter(
            number=before.number + 1,
            talk=before.talk,
            opened=self._entry.time,
            begun=begun,
            door=before.door,
            current=True,
        )
        self.add("reopened", name="person" if outcome == "person" else "bot")

    def erase(self) -> None:
        """The words go, the numbers stay."""
        self.leave("erased")
        before = self.matter
        self.matter = Matter(number=before.number, talk=before.talk, door=before.door)

    def leave(self, how: Literal["left", "erased"]) -> None:
        """The matter stays where it stood."""
        self.settle_question(how)
        self.settle_wait(how)
        matter = self.matter
        if matter.current:
            outcome, closed = matter.outcome or how, matter.closed or self._entry.time
            self.left.append(replace(matter, current=False, outcome=outcome, closed=closed))

    def begin(self) -> None:
        """Something is wanted in this matter."""
        if not self.matter.begun:
            self.matter = replace(self.matter, begun=self._entry.time)

    def join(self) -> None:
        """A person takes care of it."""
        self.begin()
        if not self.matter.joined:
            self.matter = replace(self.matter, joined=self._entry.time)

    # --- waiting ------------------------------------------------------------------------------

    def wait(self, queue: str) -> None:
        """The visitor waits for a person, from now on if they did not already."""
        self.matter = replace(self.matter, queue=queue, waits=self.matter.waits or self._entry.time)

    def settle_wait(self, how: WaitEnd) -> None:
        """The wait is over, if there is one."""
        matter = self.matter
        if matter.waits:
            self.add("waited", name=matter.queue, detail=how, value=self.since(matter.waits))
            self.matter = replace(matter, waits=0)

    # --- questions ----------------------------------------------------------------------------

    def ask(self, place: str | None, version: str) -> None:
        """A state of the flow asks something: once, in however many words, and however often."""
        if not self.matter.current:  # nobody came yet
            return
        if place is None or self.matter.question == place:
            return
        self.settle_question("passed")
        self.matter = replace(self.matter, question=place, asked=self._entry.time)
        self.add("asked", name=place, version=version)

    def settle_question(self, why: Unanswered | Literal[""]) -> None:
        """The question that waits, if there is one, was answered (""), or never will be."""
        matter = self.matter
        if matter.question is None:
            return
        kind: Kind = "unanswered" if why else "answered"
        time = self.since(matter.asked)
        self.add(kind, name=matter.question, detail=why, version=matter.version, value=time)
        self.matter = replace(matter, question=None, asked=0)
