"""Notes on the log when most of an agreed time has passed, and when all of it has: each once.

Every replica looks by itself. Of two that find the same one's entry is stored: both give it the same id, and
the expectation of a note refuses the second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from services.operator.desk import Desk, DeskError
from services.operator.desk_commands import DeskCommands, NoteRefused
from services.operator.desk_state import DeskState
from services.operator.domain.agreed_times import TimeMark, marks
from services.operator.domain.desk import ConversationSummary
from services.operator.handlers import Busy, NotFound
from services.operator.meters import DeskMeter
from shared.eventlog.errors import IdReused, LogError

log = structlog.get_logger()

#: How often it is looked what is over (seconds).
LOOK_SECONDS: Final = 5.0
#: So many conversations are looked at: those that wait longest, and those that are for a person longest.
MAX_LOOKED_AT: Final = 2_000
#: After so many there is room for other work.
_BATCH: Final = 50


class NotDueNow(Exception):
    """Somebody did in the meantime what was agreed."""


class AgreedTimeKeeper:
    """One replica's. ``hears`` says whether this replica reads the log; ``now`` gives nanoseconds since 1970,
    UTC.
    """

    def __init__(
        self,
        state: DeskState,
        desk: Desk,
        commands: DeskCommands,
        hears: Callable[[], bool],
        meter: DeskMeter,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._state = state
        self._desk = desk
        self._commands = commands
        self._hears = hears
        self._meter = meter
        self._now = now

    async def run(self) -> None:
        """Look, for as long as the service runs."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except DeskError as error:
                log.warning("agreed_times_not_noted", error=str(error))
            except Exception:  # a fault of ours: it shall be seen, and not be the end of it
                log.exception("agreed_times_not_noted")

    async def look(self) -> None:
        """Note what is to be noted now."""
        if not self._state.settings.agrees or not self._hears():
            return
        for at, summary in enumerate(self._desk.for_people(MAX_LOOKED_AT)):
            if at % _BATCH == 0:
                await asyncio.sleep(0)
            for mark in self._marks(summary):
                await self._note(summary.id, mark)

    def _marks(self, summary: ConversationSummary) -> list[TimeMark]:
        name = summary.state.ownership.queue
        queue = self._state.settings.queue(name)
        return list(marks(summary, name, queue.agreed, queue.hours, self._now()))

    async def _note(self, conversation: str, mark: TimeMark) -> None:
        async def still() -> None:
            found = self._desk.find(conversation)
            if found is None or all(each.id != mark.id for each in self._marks(found)):
                raise NotDueNow

        try:
            await self._commands.note("agreed_time", conversation, mark.fact, still, mark.id)
            self._meter.agreed.inc()
        except NotDueNow:
            pass
        except (LogError, Busy, NotFound, IdReused, NoteRefused) as error:
            log.warning("agreed_times_not_noted", error=str(error))
