"""Armed timers become schedules of the server.

The fact `TimerArmed` is the truth; a schedule only wakes somebody at that time, who looks whether the
timer still means something. So nothing is ever cancelled, and a schedule too many does no harm.
(Message schedules: NATS ADR-51. Publishing to the same subject replaces; what is past fires at once.)
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Sequence

import structlog

from services.workflow.failpoints import FaultPoint, no_fault
from shared.contract import subjects
from shared.contract.conversation import Timer
from shared.eventlog.errors import LogError, Unreachable
from shared.service.chat_log import ChatLog
from shared.timestamps import parse_time

log = structlog.get_logger()

#: Schedules that this replica remembers to have published.
MAX_REMEMBERED = 50_000

_ID = re.compile(r"[A-Za-z0-9:_-]+")


class Schedules:
    """Publishes schedules, and remembers which the server has answered for."""

    def __init__(self, stream: ChatLog, fault: FaultPoint = no_fault) -> None:
        self._log = stream
        self._fault = fault
        self._published: OrderedDict[tuple[str, str], str] = OrderedDict()

    def known(self, conversation: str, armed: Sequence[Timer]) -> bool:
        """Whether the server has answered for all of them: so it is in nearly every turn."""
        return all(self._published.get((conversation, timer.id)) == timer.at for timer in armed)

    async def publish(self, conversation: str, armed: Sequence[Timer], anew: bool = False) -> None:
        """Have a schedule for each armed timer, on the server's word. Raises `Unreachable`.

        ``anew``: also for those that this replica remembers; a redelivery may mean that they were lost.
        """
        wanted = [
            timer
            for timer in armed
            if anew or self._published.get((conversation, timer.id)) != timer.at
            if _possible(conversation, timer)
        ]
        if not wanted:
            return
        await self._fault("before_schedule", conversation)
        await asyncio.gather(*(self._publish(conversation, timer) for timer in wanted))
        await self._fault("after_schedule", conversation)

    async def _publish(self, conversation: str, timer: Timer) -> None:
        headers = {
            "Nats-Schedule": f"@at {timer.at}",
            "Nats-Schedule-Target": subjects.timer_due(conversation, timer.id),
        }
        try:
            await self._log.store(subjects.timer_at(conversation, timer.id), timer.at.encode(), headers)
        except LogError as error:
            raise Unreachable(f"no timer can be scheduled: {error}") from error
        self._published[conversation, timer.id] = timer.at
        self._published.move_to_end((conversation, timer.id))
        if len(self._published) > MAX_REMEMBERED:
            self._published.popitem(last=False)

    def forget(self) -> None:
        """The log is another: so may the schedules be."""
        self._published.clear()


def _possible(conversation: str, timer: Timer) -> bool:
    """Whether the server would take it: one that it never takes must not hold up the conversation."""
    try:
        parse_time(timer.at)
        good = _ID.fullmatch(timer.id) is not None
    except ValueError:
        good = False
    if not good:
        log.error("timer_impossible", conversation=conversation, timer=timer.id, at=timer.at)
    return good
