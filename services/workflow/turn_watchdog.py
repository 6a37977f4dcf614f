"""Answers that take too long: left alone while words still flow, else ended as failed.

Apart from the mailboxes, since a mailbox may be what is stuck.
"""

from __future__ import annotations

import asyncio

import structlog

from services.workflow.domain.decide import failed
from services.workflow.drafts import last_word
from services.workflow.mailboxes import Firing
from services.workflow.repository import SECOND, Repository, interim
from services.workflow.timers import Schedules
from shared.contract.conversation import Conversation, Generating
from shared.contract.entry import LEVEL, Entry, needed
from shared.contract.facts import TimerArmed
from shared.eventlog.errors import Conflict, LogError

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
                state = await self._repository.catch_up(firing.conversation)
                if state.needs > LEVEL:
                    await firing.give_back(NEWER_SECONDS)
                    return False
                ended = False
                if firing.armed(state) and state.answer.generating is not None:
                    ended = await self._ended(firing, state, state.answer.generating)
                await firing.done()
                return ended
            except Conflict:
                continue
            except LogError as error:
                log.warning("turn_waits", conversation=firing.conversation, error=str(error))
                await asyncio.sleep(PAUSE_SECONDS)

    async def _ended(self, firing: Firing, state: Conversation, answer: Generating) -> bool:
        """End the answer; False if words still flow, and the timer is armed anew instead."""
        conversation = firing.conversation
        spoke = await last_word(self._repository.client, conversation, answer.cause, answer.attempt)
        if self._repository.now() - spoke < self._turn_seconds * SECOND:
            again = TimerArmed(id=firing.timer, at=self._repository.after(self._turn_seconds))
            state = await self._repository.append(
                conversation, interim(f"{again.id}:{again.at}", again), state
            )
            await self._schedules.publish(conversation, state.timers.armed)
            return False
        facts = failed("session_timeout")
        outcome = Entry(id=str(answer.cause), cause=answer.cause, needs=needed(facts), facts=facts)
        await self._repository.append(conversation, outcome, state)
        log.warning("turn_stuck", conversation=conversation, position=answer.cause, attempt=answer.attempt)
        return True
