"""The assistant's part of a turn: from what a flow wants to the answer, word by word."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.workflow.assistant.client import Anew, AssistantClient, AssistantFailed, StreamPiece
from services.workflow.domain import assistant
from services.workflow.domain.assistant import Prompt, PromptLine, ToolCall
from services.workflow.domain.completion import Finished
from services.workflow.drafts import DraftPublisher
from shared.flow.decide import Generate, Generated, GenerationFailed, GoTo, HandoffRequest

#: The reason of a failure where no assistant is configured.
NOT_CONFIGURED = "not_configured"


class AssistantRunner:
    """Lets the assistant speak in several conversations at once; the others wait for a place.

    ``budget``: how much of the conversation it is told, ``max_tokens``: how long it may answer, unless
    the flow says otherwise.
    """

    def __init__(
        self,
        client: AssistantClient,
        registry: CollectorRegistry,
        places: int = 50,
        budget: int = 6000,
        max_tokens: int = 800,
    ) -> None:
        self._client = client
        self._places = asyncio.Semaphore(places)
        self._budget = budget
        self._max_tokens = max_tokens
        self._answers = Counter(
            "switchboard_assistant_answers_total",
            "Attempts of the assistant: answered, interrupted, or why there was no answer",
            ["outcome"],
            registry=registry,
        )
        self._tokens = Counter(
            "switchboard_assistant_tokens_total",
            "Tokens sent to the assistant (in) and answered (out)",
            ["direction"],
            registry=registry,
        )
        self._cost = Counter(
            "switchboard_assistant_cost_total",
            "What the assistant's answers cost, in the unit of the prices that are set",
            registry=registry,
        )
        self._draft_pieces = Counter(
            "switchboard_draft_pieces_total",
            "Pieces of answers in the making that were published to whoever reads along",
            registry=registry,
        )
        self._first = Histogram(
            "switchboard_assistant_first_token_seconds",
            "From the question to the assistant's first word",
            registry=registry,
            buckets=(0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20),
        )
        self._busy = Gauge("switchboard_assistant_busy", "Answers that are being made", registry=registry)

    @property
    def configured(self) -> bool:
        return self._client.provider is not None

    def count_piece(self) -> None:
        """A piece of a draft was published."""
        self._draft_pieces.inc()

    def describe(self) -> str:
        """Whether there is an assistant, and which: a sentence for the start."""
        return self._client.describe()

    def none(self, attempt: int) -> GenerationFailed:
        """The answer where no assistant is configured."""
        self._answers.labels(NOT_CONFIGURED).inc()
        return GenerationFailed(reason=NOT_CONFIGURED, attempt=attempt)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of the places to speak from; waits until one is free."""
        async with self._places:
            with self._busy.track_inprogress():
                yield

    async def answer(
        self,
        need: Generate,
        lines: Sequence[PromptLine],
        draft: DraftPublisher,
        anew: Callable[[], Awaitable[DraftPublisher]],
    ) -> Generated | GenerationFailed:
        """Stream the answer into ``draft``. What is returned is exactly what was streamed, at last.

        ``anew`` gives the draft of another attempt, where the words so far turn out to be reasoning; it
        may raise `LogError`. Cancelled, it closes the provider's stream at once, and says nothing more.
        """
        streamed = _Streamed(draft, anew)
        try:
            finished = await self._stream(self._prompt(need, lines), streamed)
            await streamed.draft.flush()
            return self._generated(finished, streamed.draft.attempt)
        except AssistantFailed as error:
            self._answers.labels(error.reason).inc()
            await streamed.draft.flush()
            text = "".join(streamed.pieces)
            return GenerationFailed(reason=error.reason, attempt=streamed.draft.attempt, text=text)
        except asyncio.CancelledError:
            self._answers.labels("interrupted").inc()
            raise
        finally:
            await streamed.stop()

    async def write(self, prompt: Prompt) -> Generated | GenerationFailed:
        """Answer something that no visitor hears. It is paid for like all else, and counted so."""
        try:
            async with aclosing(self._client.stream(prompt)) as parts:
                async for part in parts:
                    if isinstance(part, Finished):
                        return self._paid(part, 0)
        except AssistantFailed as error:
            return GenerationFailed(reason=error.reason, attempt=0)
        return GenerationFailed(reason="cut", attempt=0)

    async def close(self) -> None:
        await self._client.close()

    async def _stream(self, prompt: Prompt, streamed: _Streamed) -> Finished:
        asked = perf_counter()
        async with aclosing(self._client.stream(prompt)) as parts:
            async for part in parts:
                match part:
                    case Finished():
                        return part
                    case Anew():
                        await streamed.anew()
                    case StreamPiece(text):
                        if not streamed.pieces:
                            self._first.observe(perf_counter() - asked)
                        streamed.add(text)
        raise AssistantFailed("cut", began=bool(streamed.pieces))

    def _prompt(self, need: Generate, lines: Sequence[PromptLine]) -> Prompt:
        return Prompt(
            messages=assistant.conversation(need.system, lines, self._budget),
            tools=assistant.tools(need.handoff, need.go_to),
            max_tokens=need.max_tokens or self._max_tokens,
            temperature=need.temperature,
            model=need.model,
        )

    def _generated(self, finished: Finished, attempt: int) -> Generated:
        self._answers.labels("answered").inc()
        return self._paid(finished, attempt)

    def _paid(self, finished: Finished, attempt: int) -> Generated:
        usage = finished.usage
        cost = assistant.cost(usage, self._client.prices)
        self._tokens.labels("in").inc(usage.tokens_in)
        self._tokens.labels("out").inc(usage.tokens_out)
        self._cost.inc(cost / 1_000_000)
        return Generated(
            text=finished.text,
            tool=_tool(finished.tool),
            model=finished.model,
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            cost=cost,
            estimated=usage.estimated,
            attempt=attempt,
        )


class _Streamed:
    """What flows into an attempt's draft, and on into the next one's."""

    def __init__(self, draft: DraftPublisher, another: Callable[[], Awaitable[DraftPublisher]]) -> None:
        self.draft = draft
        self.pieces: list[str] = []
        self._another = another
        self._flowing = asyncio.create_task(draft.flow())

    def add(self, text: str) -> None:
        self.pieces.append(text)
        self.draft.add(text)

    async def anew(self) -> None:
        """All that was added is void."""
        await self.stop()
        self.pieces.clear()
        self.draft = await self._another()
        self._flowing = asyncio.create_task(self.draft.flow())

    async def stop(self) -> None:
        self._flowing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._flowing


def _tool(call: ToolCall | None) -> HandoffRequest | GoTo | None:
    if call is None:
        return None
    if call.name == assistant.GO_TO:
        return GoTo(call.arguments["state"])
    return HandoffRequest(call.arguments.get("reason", ""))
