"""What a decision may need first: a backend's answer, or the assistant's.

What is heard stays in the mailbox's `TurnProgress`, over conflicts and retries, until the input has its
outcome: neither is asked twice for it, except after a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog
from msgspec.structs import replace

from services.workflow.assistant_runner import AssistantRunner
from services.workflow.backends import Backends
from services.workflow.domain.assistant import PromptLine
from services.workflow.domain.prompt_history import so_far
from services.workflow.drafts import DraftPublisher
from services.workflow.failpoints import FaultPoint, no_fault
from services.workflow.mailboxes import TurnMailbox, TurnProgress
from services.workflow.repository import Repository, interim
from services.workflow.timers import Schedules
from shared.contract.conversation import Conversation, Input
from shared.contract.entry import Entry, EntryTooLarge
from shared.contract.facts import AnswerStarted, ServiceAnswered, TimerArmed
from shared.eventlog.errors import Conflict, LogError
from shared.flow.decide import CallService, Effect, Generate, Generated, GenerationFailed

log = structlog.get_logger()


class EffectRunner:
    """Performs needs. ``turn_seconds``: after how long without a word an answer counts as stuck."""

    def __init__(
        self,
        repository: Repository,
        schedules: Schedules,
        backends: Backends,
        speech: AssistantRunner,
        turn_seconds: int = 30,
        fault: FaultPoint = no_fault,
    ) -> None:
        self._repository = repository
        self._schedules = schedules
        self._backends = backends
        self._speech = speech
        self._turn_seconds = turn_seconds
        self._fault = fault

    async def perform(
        self, mailbox: TurnMailbox, state: Conversation, item: Input, turn: TurnProgress, need: Effect
    ) -> Conversation:
        """Ask for what deciding ``item`` needs; the turn then holds the answer. Raises `LogError`."""
        turn.performed += 1
        if isinstance(need, Generate):
            return await self._speak(mailbox, state, item, turn, need)
        turn.heard = await self._call(mailbox.key, item, need)
        return state

    async def record(self, mailbox: TurnMailbox, state: Conversation, turn: TurnProgress) -> Conversation:
        """Put a backend's answer on the log: after a crash nobody asks it again. Raises `LogError`."""
        heard = turn.heard
        if heard is not None and f"bot:{_id(heard)}" not in state.inbox.ids:
            try:
                await self._fault("before_record", mailbox.key)
                state = await self._repository.append(mailbox.key, interim(_id(heard), heard), state)
            except EntryTooLarge:
                turn.heard = replace(heard, value=None, failure="too_large")
                return state
        turn.heard = None
        return state

    def _draft(self, conversation: str, cause: int, attempt: int) -> DraftPublisher:
        return DraftPublisher(self._repository.client, conversation, cause, attempt, self._speech.count_piece)

    async def _call(self, conversation: str, item: Input, need: CallService) -> ServiceAnswered:
        answer = await self._backends.ask(need, conversation, item.position)
        return ServiceAnswered(
            cause=item.position, state=need.state, value=answer.value, failure=answer.failure
        )

    async def _speak(
        self, mailbox: TurnMailbox, state: Conversation, item: Input, turn: TurnProgress, need: Generate
    ) -> Conversation:
        """Let the assistant speak, for as long as this attempt is the conversation's."""
        if not self._speech.configured:
            turn.attempt = state.answer.attempts
            turn.results[need.state] = self._speech.none(turn.attempt)
            return state
        conversation, cause = mailbox.key, item.position
        async with self._speech.place():
            attempt = (
                state.answer.attempts + 1
            )  # afterwards the fold may tell of another replica's, or of a claim
            state = await self._begin(conversation, cause, state)
            turn.attempt = attempt
            draft = self._draft(conversation, cause, turn.attempt)
            turn.drafts.append(draft)
            try:
                lines = await self._lines(conversation, cause, need)
                await self._fault("before_generation", conversation)

                async def anew() -> DraftPublisher:
                    return await self._anew(conversation, cause, turn)

                result = await self._while_wanted(
                    conversation, cause, turn, self._speech.answer(need, lines, draft, anew)
                )
            except BaseException:
                await turn.drafts[-1].end("interrupted")
                raise
        if result is not None:
            turn.results[need.state] = result
            if isinstance(result, GenerationFailed):
                await turn.drafts[-1].end("failed")
            return await self._repository.fold(conversation)
        await turn.drafts[-1].end("interrupted")
        state = await self._repository.fold(conversation)
        if state.inbox.owes(cause):  # somebody took this lease for lost, and began anew: it is theirs now
            mailbox.drop(item)
        return state

    async def _anew(self, conversation: str, cause: int, turn: TurnProgress) -> DraftPublisher:
        """Another attempt, in the same stream: what was drafted is void. Raises `LogError`."""
        await turn.drafts[-1].end("interrupted")
        before = turn.attempt

        async def decide(state: Conversation) -> Entry:
            answer = state.answer
            if answer.generating is None or (answer.generating.cause, answer.attempts) != (cause, before):
                turn.attempt = before
                raise Conflict("another replica speaks, or a person does")
            turn.attempt = before + 1  # `look` is told of it before we are
            return self._started(cause, before + 1)

        done = await self._repository.execute(conversation, f"answer:{cause}:{before + 1}", decide)
        if not done.sequence:  # an attempt of this number may be another replica's
            turn.attempt = before
            raise Conflict("this attempt was begun already")
        await self._schedule(conversation)
        turn.drafts.append(self._draft(conversation, cause, turn.attempt))
        return turn.drafts[-1]

    async def _begin(self, conversation: str, cause: int, state: Conversation) -> Conversation:
        entry = self._started(cause, state.answer.attempts + 1)
        state = await self._repository.append(conversation, entry, state)
        await self._schedule(conversation)
        return state

    def _started(self, cause: int, attempt: int) -> Entry:
        return interim(
            f"answer:{cause}:{attempt}",
            AnswerStarted(cause=cause, attempt=attempt),
            TimerArmed(id=f"turn:{cause}", at=self._repository.after(self._turn_seconds)),
        )

    async def _schedule(self, conversation: str) -> None:
        try:
            state = await self._repository.fold(conversation)
            await self._schedules.publish(conversation, state.timers.armed)
        except LogError as error:  # the answer does not wait for it: should it get stuck, its lease ends
            log.warning("timer_not_scheduled", conversation=conversation, error=str(error))

    async def _lines(self, conversation: str, cause: int, need: Generate) -> list[PromptLine]:
        if need.asked:
            return [PromptLine("visitor", need.asked)]
        return so_far(await self._repository.history(conversation), cause)

    async def _while_wanted(
        self,
        conversation: str,
        cause: int,
        turn: TurnProgress,
        answer: Coroutine[Any, Any, Generated | GenerationFailed],
    ) -> Generated | GenerationFailed | None:
        """The answer; None as soon as the conversation has moved on without it."""
        speaking = asyncio.create_task(answer)

        def hush() -> None:
            if not speaking.cancelling():  # twice would interrupt the closing of the provider's stream
                speaking.cancel()

        def look(state: Conversation) -> None:
            now = state.answer.generating
            # An attempt that this replica is about to begin (`_anew`) is not on the log yet.
            ours = (turn.attempt, turn.drafts[-1].attempt)
            if now is None or now.cause != cause or now.attempt not in ours:
                hush()

        try:
            with self._repository.folds.watching(conversation, look):
                look(await self._repository.fold(conversation))
                await asyncio.wait([speaking])
            return None if speaking.cancelled() else speaking.result()
        finally:
            hush()


def _id(heard: ServiceAnswered) -> str:
    return f"service:{heard.cause}:{heard.state}"
