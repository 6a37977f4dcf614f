"""Asks an OpenAI-compatible provider, and gives its answer word by word.

The one edge to it: all that can go wrong there ends as an `AssistantFailed` with a reason of ours. What
the provider says about it goes to the log alone, shortened and without the key, never to a visitor.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import count
from typing import NamedTuple

import httpx
import structlog
from httpx_sse import EventSource, ServerSentEvent

from services.workflow.assistant.profiles import Provider, describe
from services.workflow.domain.assistant import UNKNOWN, Prices, Prompt
from services.workflow.domain.completion import Answer, Finished, request
from services.workflow.domain.refusals import Reason, Trouble, failure, retry_after
from services.workflow.settings import WorkflowSettings

log = structlog.get_logger()

#: Time to reach the provider (seconds): shorter than the first word's, so that there is another try.
CONNECT_SECONDS = 5.0
#: How long the usage may take, after the last word (seconds). It does not hold the answer up for longer.
TAIL_SECONDS = 2.0
#: The pause before the second try, doubled for each further one (seconds), and its most.
BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 8.0
#: What a response may have in all (bytes): a line without an end would be gathered for ever.
MAX_RESPONSE = 16 * 1024 * 1024
#: So much of a refusal is read (bytes) and logged (characters).
MAX_REFUSAL = 64 * 1024
MAX_LOGGED = 500


class Piece(NamedTuple):
    """Some more of the answer's text, never empty."""

    text: str


class AssistantFailed(Exception):
    """No answer, or not all of it. ``began``: some of it was given away as pieces.

    ``retry_after``: seconds from now until the provider wants to be asked again, if it said so.
    """

    def __init__(self, reason: Reason, retry_after: float | None = None, began: bool = False) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.retry_after = retry_after
        self.began = began


class Limits(NamedTuple):
    """How long an answer may take (seconds) and be (characters), and how often it is tried."""

    first_token: float = 20.0
    token: float = 10.0
    answer: float = 120.0
    characters: int = 16384
    attempts: int = 3


class AssistantClient:
    """A pool of connections to one provider. ``provider`` None: each question fails with ``no_key``."""

    def __init__(
        self,
        provider: Provider | None,
        limits: Limits,
        prices: Prices = UNKNOWN,
        *,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.provider = provider
        self.prices = prices
        self.limits = limits
        self._chance = chance
        self._clock = clock
        self._http = _pool() if provider is not None else None

    @classmethod
    def of(cls, settings: WorkflowSettings) -> AssistantClient:
        """The client that the settings describe."""
        limits = Limits(
            settings.assistant_first_token_seconds,
            settings.assistant_token_seconds,
            settings.assistant_answer_seconds,
            settings.assistant_answer_characters,
            settings.assistant_attempts,
        )
        prices = Prices(settings.assistant_price_in, settings.assistant_price_out)
        return cls(settings.provider(), limits, prices)

    def describe(self) -> str:
        """Whether there is an assistant, and which: a sentence for the start."""
        return describe(self.provider)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Piece | Finished, None]:
        """The answer as pieces, then one `Finished`. Raises `AssistantFailed`.

        It is tried again only while no piece was given away. Use it with `contextlib.aclosing`: whoever
        stops in the middle closes the provider's stream at once, and pays for no more words.
        """
        if self.provider is None or self._http is None:
            raise AssistantFailed("no_key")
        now = asyncio.get_running_loop().time
        started = now()
        clock = _Clock(
            first=started + min(self.limits.first_token, self.limits.answer),
            whole=started + self.limits.answer,
            token=self.limits.token,
        )
        for attempt in count(1):
            began = False
            try:
                async with aclosing(self._try(self._http, self.provider, prompt, clock)) as answer:
                    async for part in answer:
                        began = began or isinstance(part, Piece)
                        yield part
                return
            except Trouble as trouble:
                pause = self._pause(trouble, attempt)
                last = (
                    began
                    or not trouble.passing
                    or attempt >= self.limits.attempts
                    or now() + pause >= clock.first
                )
                log.warning(
                    "assistant_failed" if last else "assistant_tried_again",
                    reason=trouble.reason,
                    attempt=attempt,
                    began=began,
                    detail=self._loggable(trouble.detail),
                )
                if last:
                    raise AssistantFailed(trouble.reason, trouble.retry_after, began) from None
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Close the connections; what is being streamed breaks off."""
        if self._http is not None:
            await self._http.aclose()

    async def _try(
        self, http: httpx.AsyncClient, provider: Provider, prompt: Prompt, clock: _Clock
    ) -> AsyncGenerator[Piece | Finished, None]:
        """One request, from its beginning to the end of the answer. Raises `Trouble`."""
        answer = Answer(prompt.tools, self.limits.characters)
        model = prompt.model or provider.model
        async with (
            self._opened(http, provider, prompt, model, clock) as response,
            aclosing(EventSource(response).aiter_sse()) as events,
        ):
            while not answer.over:
                if text := answer.take(await _next(events, clock, answer.began)):
                    yield Piece(text)
            if not answer.full:
                await _usage(events, answer)
        yield answer.finished(prompt, model)

    @asynccontextmanager
    async def _opened(
        self, http: httpx.AsyncClient, provider: Provider, prompt: Prompt, model: str, clock: _Clock
    ) -> AsyncIterator[httpx.Response]:
        """The response of a provider that began to stream. Raises `Trouble` where it does not."""
        headers = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",  # words would be held back until a block is full
            **({"Authorization": f"Bearer {provider.key}"} if provider.key else {}),
        }
        try:
            asked = http.build_request(
                "POST", provider.endpoint, headers=headers, json=request(prompt, model, provider.limit)
            )
            async with asyncio.timeout_at(clock.first):
                response = await http.send(asked, stream=True)
        except TimeoutError:
            raise clock.late(began=False) from None
        except httpx.TransportError as error:
            raise Trouble("unavailable", repr(error)) from error
        except (httpx.InvalidURL, ValueError) as error:
            raise Trouble("bad_request", repr(error)) from error
        try:
            response.stream = _Bounded(response.stream, MAX_RESPONSE)
            await self._accept(response, clock)
            yield response
        finally:
            await response.aclose()

    async def _accept(self, response: httpx.Response, clock: _Clock) -> None:
        """Raises `Trouble` unless the response is a stream of events."""
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = response.headers.get("content-encoding", "identity")
        if response.status_code == 200 and kind == "text/event-stream" and encoding == "identity":
            response.encoding = "utf-8"  # by definition, whatever the header says
            return
        body = await _beginning(response, clock)
        if response.status_code == 200:
            shown = body.decode("utf-8", "replace")
            raise Trouble("broken", f"no event stream but {kind or 'no type'} ({encoding}): {shown}")
        wanted = response.headers.get("retry-after")
        raise failure(
            response.status_code, body, retry_after(wanted, self._clock()) if wanted is not None else None
        )

    def _pause(self, trouble: Trouble, attempt: int) -> float:
        """Seconds until the next try: what the provider asks for, else longer each time, and by chance."""
        backoff = min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** (attempt - 1))
        if trouble.retry_after is not None:
            return trouble.retry_after + self._chance() * BACKOFF_SECONDS / 10
        return backoff * (0.5 + self._chance() / 2)

    def _loggable(self, detail: str) -> str:
        if self.provider is not None and self.provider.key:
            detail = detail.replace(self.provider.key, "***")
        return detail[:MAX_LOGGED]


def _pool() -> httpx.AsyncClient:
    return httpx.AsyncClient(
        timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        follow_redirects=False,  # the key belongs to the address that was set
    )


class _Clock(NamedTuple):
    """Until when the first word and the whole answer must have come (the loop's time)."""

    first: float
    whole: float
    token: float  # seconds from one word to the next

    def until(self, began: bool) -> float:
        if not began:
            return self.first
        return min(self.whole, asyncio.get_running_loop().time() + self.token)

    def late(self, began: bool) -> Trouble:
        if asyncio.get_running_loop().time() >= self.whole:
            return Trouble("timeout_whole")
        return Trouble("timeout_between" if began else "timeout_first")


class _Bounded(httpx.AsyncByteStream):
    """A response's bytes, up to a limit."""

    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream, limit: int) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)
        self._stream = stream
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._limit
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise Trouble("broken", f"a response of more than {self._limit} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _next(events: AsyncGenerator[ServerSentEvent, None], clock: _Clock, began: bool) -> str:
    """The next event's data. Comments and empty events keep a connection alive, they are no words."""
    try:
        async with asyncio.timeout_at(clock.until(began)):
            async for event in events:
                if event.data:
                    return event.data
    except TimeoutError:
        raise clock.late(began) from None
    except httpx.TransportError as error:
        raise Trouble("cut", repr(error)) from error
    raise Trouble("cut", "the stream ended before the answer did")


async def _usage(events: AsyncGenerator[ServerSentEvent, None], answer: Answer) -> None:
    """Read what follows the last word: the usage, and the end, so that the connection is used again.

    The answer is whole already: whatever goes wrong here costs only the count.
    """
    try:
        async with asyncio.timeout(TAIL_SECONDS):
            async for event in events:
                if event.data:
                    answer.take(event.data)
    except (TimeoutError, httpx.TransportError, Trouble) as error:
        log.info("assistant_usage_missing", error=type(error).__name__)


async def _beginning(response: httpx.Response, clock: _Clock) -> bytes:
    """So much of a refusal as is worth reading; what came of it where it breaks off."""
    body = b""
    try:
        async with asyncio.timeout_at(clock.first):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) >= MAX_REFUSAL:
                    break
    except (TimeoutError, httpx.TransportError):
        pass
    return body[:MAX_REFUSAL]
