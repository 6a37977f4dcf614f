"""Asks an OpenAI-compatible provider, and gives its answer word by word.

The one edge to it: all that can go wrong there ends as an `AssistantFailed` with a reason of ours. What
the provider says about it goes to the log alone, shortened and without the key, never to a visitor.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Literal, NamedTuple

import httpx
import structlog
from httpx_sse import EventSource, ServerSentEvent

from services.workflow.assistant.profiles import Provider, describe
from services.workflow.domain.assistant import UNKNOWN, Prices, Prompt
from services.workflow.domain.completion import Completion, Finished, request
from services.workflow.domain.manners import Manner, adapted
from services.workflow.domain.provider_errors import Reason, Trouble, failure, retry_after
from services.workflow.domain.reasoners import begins_as_reasoning, is_known_to_reason
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
#: For so long the first words of a model are held back that was never heard to the end (seconds): if they
#: are reasoning whose beginning is not marked, its end may come with them.
GRACE_SECONDS = 0.3
#: So much of the time for the first word may pass while words are held only because they look like
#: reasoning; then they are given away, or an answer that is long would never be one.
DOUBT = 0.75
#: So many ways of writing a request are tried for one question, and so many models are remembered.
MAX_MANNERS = 6
MAX_MODELS = 256
#: How a stream of events begins, after white space (WHATWG HTML, 9.2.5).
_EVENTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_MAX_SIGN = max(map(len, _EVENTS))


class StreamPiece(NamedTuple):
    """Some more of the answer's text, never empty."""

    text: str


class Anew(NamedTuple):
    """All pieces so far were the model's reasoning: they are void, the answer begins with the next one."""


Part = StreamPiece | Anew | Finished
#: Whether the models leave out the mark with which their reasoning begins; "auto" for finding out.
Reasoning = Literal["auto", "yes", "no"]


class _Known(NamedTuple):
    """What was learned about a model of this provider."""

    manner: Manner
    heard: bool = False  # to the end, at least once
    bare: bool = False  # it leaves out the beginning of its reasoning


class AssistantFailed(Exception):
    """No answer, or not all of it. ``began``: some of it was given away as pieces.

    ``retry_after``: seconds from now until the provider wants to be asked again, if it said so.
    """

    def __init__(self, reason: Reason, retry_after: float | None = None, began: bool = False) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.retry_after = retry_after
        self.began = began


class AssistantLimits(NamedTuple):
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
        limits: AssistantLimits,
        prices: Prices = UNKNOWN,
        *,
        reasoning: Reasoning = "auto",
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.provider = provider
        self.prices = prices
        self.limits = limits
        self.reasoning = reasoning
        self._chance = chance
        self._clock = clock
        self._http = _pool() if provider is not None else None
        self._known: OrderedDict[str, _Known] = OrderedDict()  # by the model, the oldest first

    @classmethod
    def of(cls, settings: WorkflowSettings) -> AssistantClient:
        """The client that the settings describe."""
        limits = AssistantLimits(
            settings.assistant_first_token_seconds,
            settings.assistant_token_seconds,
            settings.assistant_answer_seconds,
            settings.assistant_answer_characters,
            settings.assistant_attempts,
        )
        prices = Prices(settings.assistant_price_in, settings.assistant_price_out)
        return cls(settings.provider(), limits, prices, reasoning=settings.assistant_reasoning)

    def describe(self) -> str:
        """Whether there is an assistant, and which: a sentence for the start."""
        return describe(self.provider)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Part, None]:
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
        model = prompt.model or self.provider.model
        manners = [self._of(model).manner]
        attempt = 1
        while True:
            began = False
            try:
                asking = self._try(self._http, self.provider, prompt, model, manners[-1], clock)
                async with aclosing(asking) as answer:
                    async for part in answer:
                        began = began or isinstance(part, StreamPiece)
                        yield part
                return
            except Trouble as trouble:
                if not began and (manner := self._other(prompt, model, manners, trouble)) is not None:
                    manners.append(manner)
                    continue
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
            attempt += 1
            await asyncio.sleep(pause)

    async def close(self) -> None:
        """Close the connections; what is being streamed breaks off."""
        if self._http is not None:
            await self._http.aclose()

    async def _try(
        self,
        http: httpx.AsyncClient,
        provider: Provider,
        prompt: Prompt,
        model: str,
        manner: Manner,
        clock: _Clock,
    ) -> AsyncGenerator[Part, None]:
        """One request, from its beginning to the end of the answer. Raises `Trouble`."""
        known = self._of(model)
        always, never = self.reasoning == "yes", self.reasoning == "no"
        new = not (known.heard or always or never)
        bare = always or (known.bare and not never)
        answer = Completion(
            prompt.tools, self.limits.characters, bare or (new and is_known_to_reason(model)), new
        )
        body = request(prompt, model, manner)
        async with self._opened(http, provider, body, clock) as (response, streamed):
            if not streamed:
                if text := answer.whole(await _whole(response, clock)):
                    yield StreamPiece(text)
            else:
                async with aclosing(EventSource(response).aiter_sse()) as events:
                    grace = GRACE_SECONDS if new else 0.0
                    trusted = math.inf if bare else clock.share(DOUBT)
                    async with aclosing(_pieces(events, answer, clock, grace, trusted)) as pieces:
                        async for part in pieces:
                            yield part
                    if not answer.full:
                        await _usage(events, answer)
        self._learn(model, manner, answer)
        yield answer.finished(prompt, model)

    def _of(self, model: str) -> _Known:
        assert self.provider is not None
        return self._known.get(model) or _Known(Manner(limit=self.provider.limit))

    def _other(self, prompt: Prompt, model: str, manners: list[Manner], trouble: Trouble) -> Manner | None:
        """Another way to write a request that was refused for its form; None where there is none."""
        if trouble.status is None or trouble.reason == "too_long" or len(manners) >= MAX_MANNERS:
            return None
        refused = request(prompt, model, manners[-1])
        for manner in adapted(manners[-1], trouble.status, trouble.detail):
            if manner not in manners and request(prompt, model, manner) != refused:
                log.info(
                    "assistant_asked_otherwise",
                    model=model,
                    detail=self._loggable(trouble.detail),
                    **manner._asdict(),
                )
                return manner
        return None

    def _learn(self, model: str, manner: Manner, answer: Completion) -> None:
        """Remember what an answer has shown, so that the next one is right from its beginning."""
        before = self._of(model)
        bare = answer.unopened
        known = _Known(manner, heard=True, bare=bare)
        if manner != before.manner or bare != before.bare:
            log.warning("assistant_learned", model=model, bare_reasoning=bare, **manner._asdict())
        self._known[model] = known
        self._known.move_to_end(model)
        while len(self._known) > MAX_MODELS:
            self._known.popitem(last=False)

    @asynccontextmanager
    async def _opened(
        self, http: httpx.AsyncClient, provider: Provider, body: dict[str, Any], clock: _Clock
    ) -> AsyncIterator[tuple[httpx.Response, bool]]:
        """The response of a provider that answers, and whether it streams. Raises `Trouble` for a refusal."""
        headers = {
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",  # words would be held back until a block is full
            **({"Authorization": f"Bearer {provider.key}"} if provider.key else {}),
        }
        try:
            asked = http.build_request("POST", provider.endpoint, headers=headers, json=body)
            async with asyncio.timeout_at(clock.first):
                response = await http.send(asked, stream=True)
        except TimeoutError:
            raise clock.late(began=False) from None
        except httpx.TransportError as error:
            raise Trouble("unavailable", repr(error)) from error
        except (httpx.InvalidURL, ValueError) as error:
            raise Trouble("bad_request", repr(error)) from error
        try:
            stream = _Bounded(response.stream, MAX_RESPONSE)
            response.stream = stream
            yield response, await self._accept(response, stream, clock)
        finally:
            await response.aclose()

    async def _accept(self, response: httpx.Response, stream: _Bounded, clock: _Clock) -> bool:
        """Whether the response is a stream of events; False for a whole answer. Raises `Trouble`.

        What it is, is seen by its beginning: proxies in between and small servers name wrong types.
        """
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = response.headers.get("content-encoding", "identity")
        if response.is_success and encoding == "identity":
            try:
                async with asyncio.timeout_at(clock.first):
                    beginning = await stream.beginning()
            except TimeoutError:
                raise clock.late(began=False) from None
            except httpx.TransportError as error:
                raise Trouble("cut", repr(error)) from error
            if beginning.startswith((b"{", b"[")):
                return False
            if kind == "text/event-stream" or beginning.startswith(_EVENTS):
                response.encoding = "utf-8"  # by definition, whatever the header says
                response.headers["content-type"] = "text/event-stream"
                return True
        body = await _beginning(response, clock)
        if response.is_success:
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

    def share(self, part: float) -> float:
        """When this part of the time until the first word, as it is left now, will have passed."""
        now = asyncio.get_running_loop().time()
        return now + part * (self.first - now)

    def until(self, began: bool) -> float:
        if not began:
            return self.first
        return min(self.whole, asyncio.get_running_loop().time() + self.token)

    def late(self, began: bool) -> Trouble:
        if asyncio.get_running_loop().time() >= self.whole:
            return Trouble("timeout_whole")
        return Trouble("timeout_between" if began else "timeout_first")


class _Bounded(httpx.AsyncByteStream):
    """A response's bytes, up to a limit. `beginning` looks at the first of them."""

    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream, limit: int) -> None:
        assert isinstance(stream, httpx.AsyncByteStream)
        self._stream = stream
        self._chunks = aiter(stream)
        self._seen: list[bytes] = []
        self._left = limit
        self._limit = limit

    async def beginning(self) -> bytes:
        """The first bytes that are no white space; b"" for none. They come again with the others."""
        beginning = b""
        while len(beginning) < _MAX_SIGN:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                break
            self._seen.append(self._counted(chunk))
            beginning = (beginning + chunk).removeprefix(b"\xef\xbb\xbf").lstrip()
            if beginning.startswith((b"{", b"[", b":")):
                break
        return beginning

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._seen:
            yield self._seen.pop(0)
        async for chunk in self._chunks:
            yield self._counted(chunk)

    def _counted(self, chunk: bytes) -> bytes:
        self._left -= len(chunk)
        if self._left < 0:
            raise Trouble("broken", f"a response of more than {self._limit} bytes")
        return chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _pieces(
    events: AsyncGenerator[ServerSentEvent, None],
    answer: Completion,
    clock: _Clock,
    grace: float,
    trusted: float,
) -> AsyncGenerator[StreamPiece | Anew, None]:
    """The answer's pieces as they come; the first ones after ``grace`` seconds, unless it ends before.

    ``trusted``: from then on (the loop's time) nothing is held because it looks like reasoning, by the
    model's name or by its first words.
    """
    held: list[StreamPiece] = []
    given = False
    until = 0.0
    now = asyncio.get_running_loop().time
    reading: asyncio.Task[str] | None = None

    def doubtful() -> bool:
        return grace > 0 and now() < trusted and begins_as_reasoning("".join(piece.text for piece in held))

    try:
        while not answer.over:
            if held:
                reading = asyncio.create_task(_read(events, answer))
                await asyncio.wait([reading], timeout=max(0.0, until - now()))
                while not reading.done() and doubtful():
                    until = trusted
                    await asyncio.wait([reading], timeout=max(0.0, until - now()))
                if reading.done() and now() >= until and doubtful():
                    until = trusted
                elif now() >= until or not reading.done():
                    grace = 0.0
                    given = True
                    for piece in held:
                        yield piece
                    held.clear()
                # Only now: a reader who takes time over the pieces is no stall of the provider.
                await asyncio.wait([reading], timeout=max(0.0, clock.until(answer.began) - now()))
                if not reading.done():
                    raise clock.late(answer.began)
                data = await reading
                reading = None
            else:
                data = await _next(events, clock, answer)
            text = answer.take(data)
            if answer.doubted and not answer.over and now() >= trusted:
                text += answer.trust()
            if answer.anew:
                answer.anew = False
                held.clear()
                if given:
                    yield Anew()
            if not text:
                continue
            held.append(StreamPiece(text))
            if grace and not answer.opened:
                until = until or now() + grace
                continue
            given = True
            for piece in held:
                yield piece
            held.clear()
        if answer.cut and doubtful():
            held.clear()
            raise Trouble("empty", f"reasoning without an end, finish_reason {answer.finish_reason}")
        for piece in held:
            yield piece
    except Trouble:
        if not doubtful():
            for piece in held:
                yield piece
        raise
    finally:
        if reading is not None:
            reading.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await reading


async def _next(events: AsyncGenerator[ServerSentEvent, None], clock: _Clock, answer: Completion) -> str:
    """The next event's data, within its time."""
    try:
        async with asyncio.timeout_at(clock.until(answer.began)):
            return await _read(events, answer)
    except TimeoutError:
        raise clock.late(answer.began) from None


async def _read(events: AsyncGenerator[ServerSentEvent, None], answer: Completion) -> str:
    """The next event's data. Comments and empty events keep a connection alive, they are no words."""
    try:
        async for event in events:
            if event.data:
                return event.data
    except httpx.TransportError as error:
        raise Trouble("cut", repr(error)) from error
    raise answer.broken_off()


async def _whole(response: httpx.Response, clock: _Clock) -> str:
    """The body of an answer in one piece: it is whole within the time for the first word, or it is late."""
    body = b""
    try:
        async with asyncio.timeout_at(clock.first):
            async for chunk in response.aiter_raw():
                body += chunk
    except TimeoutError:
        raise clock.late(began=False) from None
    except httpx.TransportError as error:
        raise Trouble("cut", repr(error)) from error
    return body.decode("utf-8-sig", "replace")


async def _usage(events: AsyncGenerator[ServerSentEvent, None], answer: Completion) -> None:
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
