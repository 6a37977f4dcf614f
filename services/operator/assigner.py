"""Queues give their conversations out by themselves, where the desk's settings say so.

What goes to whom is decided by `domain.assignment`; it is carried out by the same append as a person's claim,
so of two replicas that both give a conversation out, or of one and an operator, one does. One replica at a
time does this (`lead`), so that nobody gets more at once than they can.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from services.operator.accounts import Accounts
from services.operator.buckets import Unavailable
from services.operator.desk import Desk, DeskError
from services.operator.desk_state import DeskState
from services.operator.domain.assignment import assign, to_give
from services.operator.domain.desk import ConversationSummary
from services.operator.handlers import Busy, Handlers, NotFound, Still
from services.operator.lead import Lead
from services.operator.meters import DeskMeter
from services.operator.team import DeskTeam
from shared.eventlog.errors import LogError

log = structlog.get_logger()

#: How often it is looked whether something can be given out (seconds).
LOOK_SECONDS: Final = 1.0
#: So many conversations are looked at, those that wait longest.
MAX_LOOKED_AT: Final = 500


class NotNow(Exception):
    """What was decided does not hold any more."""


class Assigner:
    """One replica's. ``hears`` says whether this replica reads the log, and hears who is there; ``now`` gives
    nanoseconds since 1970, UTC.
    """

    def __init__(
        self,
        lead: Lead,
        state: DeskState,
        team: DeskTeam,
        accounts: Accounts,
        desk: Desk,
        handlers: Handlers,
        hears: Callable[[], bool],
        meter: DeskMeter,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._lead = lead
        self._state = state
        self._team = team
        self._accounts = accounts
        self._desk = desk
        self._handlers = handlers
        self._hears = hears
        self._meter = meter
        self._now = now

    async def run(self) -> None:
        """Give out what waits, for as long as the service runs."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except (DeskError, Unavailable) as error:
                log.warning("not_given_out", error=str(error))
            except Exception:  # a fault of ours: it shall be seen, and not be the end of it
                log.exception("not_given_out")

    async def look(self) -> None:
        """Take back what was not answered, and give out what can be given now, if this replica leads."""
        if not self._state.settings.assigns or not self._hears() or not await self._lead.take():
            return
        for summary in self._desk.unanswered(MAX_LOOKED_AT):
            queue = self._state.settings.queue(summary.state.ownership.queue)
            if queue.automatic and self._now() - summary.given >= queue.answer:
                await self._take_back(summary)
        while await self._give():
            pass

    async def _take_back(self, summary: ConversationSummary) -> None:
        """Whoever did not answer is away: else they would get the next one, and that would wait, too."""
        account, given = summary.state.ownership.operator, summary.given

        async def still() -> None:
            found = self._desk.find(summary.id)
            if not self._lead.held or found is None or found.given != given:
                raise NotNow

        await self._state.choose(account, "away")
        if await self._tried(self._handlers.miss(summary.id, account, still)):
            self._meter.missed.inc()

    async def _give(self) -> bool:
        """One round: at most one conversation for each operator. Whether something was given."""
        people, operators = await self._team.people(), await self._team.operators()
        waiting = [
            found
            for summary in self._desk.page("queue", "", MAX_LOOKED_AT).conversations
            if (found := to_give(summary)) is not None
        ]
        given = False
        for conversation, account in assign(waiting, operators, self._state.settings):
            if await self._tried(
                self._handlers.give_out(conversation, people[account], self._still(account))
            ):
                self._meter.given.inc()
                given = True
        return given

    def _still(self, account: str) -> Still:
        """Whether the operator may get a conversation at this moment: it is asked right before the append."""

        async def still() -> None:
            room = self._state.settings.skills(account).capacity or math.inf
            if (
                not self._lead.held
                or self._team.available(account) != "online"
                or self._desk.loads().get(account, 0) >= room
                or await self._accounts.find(account) is None
            ):
                raise NotNow

        return still

    async def _tried(self, work: Awaitable[None]) -> bool:
        """Whether it was done. What cannot be done now is tried again the next time."""
        try:
            await work
        except NotNow:
            return False
        except (LogError, Busy, NotFound) as error:
            log.warning("not_given_out", error=str(error))
            return False
        return True
