"""Answers operators who ask the assistant for a draft, or for a summary. Nothing of it goes on the log."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter

from services.workflow.assistant_runner import AssistantRunner
from services.workflow.domain.prompt_history import said
from services.workflow.domain.suggesting import prompt
from shared.contract.suggestions import BUSY, EMPTY, LOG, NOT_CONFIGURED, Suggestion, SuggestionAsked
from shared.eventlog.errors import LogError
from shared.flow.decide import GenerationFailed
from shared.service.chat_log import ChatLog

log = structlog.get_logger()

#: Made at once by one replica. More are refused: visitors' answers come first, and each costs money.
PLACES: Final = 4


class Suggestions:
    """``allowed``: operators may ask at all. ``budget``: how much of the conversation is told (tokens)."""

    def __init__(
        self, speech: AssistantRunner, registry: CollectorRegistry, allowed: bool, budget: int
    ) -> None:
        self._speech = speech
        self._allowed = allowed
        self._budget = budget
        self._log: ChatLog | None = None
        self._busy = 0
        self._count = Counter(
            "switchboard_suggestions_total",
            "Drafts and summaries that operators asked the assistant for, and what became of them",
            ["kind", "outcome"],
            registry=registry,
        )

    @property
    def offered(self) -> bool:
        """Whether anything can come of asking."""
        return self._allowed and self._speech.configured

    def begin(self, chat: ChatLog) -> None:
        """Conversations are read from here."""
        self._log = chat

    async def suggest(self, asked: SuggestionAsked) -> Suggestion:
        """What the assistant suggests, or why it does not. Never raises."""
        if not self.offered:
            found = Suggestion(failure=NOT_CONFIGURED)
        elif self._busy >= PLACES:
            found = Suggestion(failure=BUSY)
        else:
            self._busy += 1
            try:
                found = await self._made(asked)
            finally:
                self._busy -= 1
        self._count.labels(asked.kind, found.failure or "made").inc()
        return found

    async def _made(self, asked: SuggestionAsked) -> Suggestion:
        try:
            assert self._log is not None
            entries = [entry async for window in self._log.entries(asked.conversation) for entry in window]
        except LogError as error:
            log.warning("suggestion_not_made", conversation=asked.conversation, error=str(error))
            return Suggestion(failure=LOG)
        # Many steps of the fold for a long conversation: the visitors' turns go on meanwhile.
        question = await asyncio.to_thread(lambda: prompt(asked, said(entries), self._budget))
        if question is None:
            return Suggestion(failure=EMPTY)
        made = await self._speech.write(question)
        if isinstance(made, GenerationFailed):
            return Suggestion(failure=made.reason)
        return Suggestion(made.text.strip(), entries[-1].position, made.model)
