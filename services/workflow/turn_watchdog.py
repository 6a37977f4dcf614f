"""Answers that take too long: left alone while words still flow, else ended as failed.

Apart from the mailboxes, since a mailbox may be what is stuck.
"""

from __future__ import annotations

import asyncio

import structlog

from services.workflow.drafts import last_word
from services.workflow.mailboxes import Firing
from services.workflow.repository import SECOND, Repository, interim
from services.workflow.timers import Schedules
from shared.contract.conversation import Conversation
from shared.contract.entry import LEVEL, Entry, needed
from shared.contract.facts import TimerArmed
from shared.eventlog.errors import LogError
from shared.flow.decide import failed

log = structlog.get_logger()

#: How long to pause when the log cannot be reached (seconds).
PAUSE_SECONDS = 0.5
#: How long a conversation that only a newer program may decide is left to another replica (seconds).
NEWER_SECONDS = 5.0


class TurnWatchdog:
    """Looks after the timers ``turn:<cause>``. ``turn_seconds``: how long without a word is too long."""

    def __init__(self, repository: Repository, schedules: Schedules, turn_seconds: int = 30) -> None:
        self._repository = repository
        self._schedules = schedules
        self._turn_seconds = turn_seconds

    async def look(self, firing: Firing) -> bool:
        """See to one firing, until it is acknowledged or given back; whether it ended an answer."""
        while True:
            try:
                ended = await self._see_to(firing)
            except _NewerDecides:
                await firing.give_back(NEWER_SECONDS)
                return False
            except LogError as error:
                log.warning("turn_waits", conversation=firing.conversation, error=str(error))
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                await firing.done()
                return ended

    async def _see_to(self, firing: Firing) -> bool:
        """End the answer, or arm the timer anew where words still flow; whether it was ended."""
        conversation, ending = firing.conversation, False

        async def decide(state: Conversation) -> Entry | None:
            nonlocal ending
            if state.needs > LEVEL:
                raise _NewerDecides
            answer = state.answer.generating
            if not firing.armed(state) or answer is None:
                return None
            spoke = await last_word(self._repository.client, conversation, answer.cause, answer.attempt)
            ending = self._repository.now() - spoke >= self._turn_seconds * SECOND
            if not ending:
                again = TimerArmed(id=firing.timer, at=self._repository.after(self._turn_seconds))
                return interim(f"{again.id}:{again.at}", again)
            facts = failed("session_timeout")
            return Entry(id=str(answer.cause), cause=answer.cause, needs=needed(facts), facts=facts)

        # Whether there is something to do the armed timer says, not an id.
        done = await self._repository.execute(conversation, "", decide)
        if done.sequence and ending:
            log.warning("turn_stuck", conversation=conversation, timer=firing.timer)
            return True
        # Also if nothing was appended now: an earlier try, or another replica, may have come no further than
        # that. Nobody would be woken for this answer again.
        state = await self._repository.fold(conversation)
        await self._schedules.publish(conversation, state.timers.armed)
        return False


class _NewerDecides(Exception):
    """Only a newer program may decide this conversation."""
