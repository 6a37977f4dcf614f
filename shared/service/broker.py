"""What the services' FastStream subscribers have in common: how messages are read, watched and counted.

FastStream (0.7) catches whatever a handler raises, and with `logger=None` says nothing of it. So `Watch`
does: a handler that fails shows in the log and in a metric, and the next message comes all the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog
from faststream import BaseMiddleware
from prometheus_client import Counter

if TYPE_CHECKING:
    from types import TracebackType

    from faststream import ContextRepo, StreamMessage
    from faststream.nats import NatsBroker

    from shared.eventlog.observer import Observer

log = structlog.get_logger()

#: Between two tries to start a subscriber (seconds).
AGAIN_SECONDS = 1.0


class _Subscriber(Protocol):
    async def start(self) -> None: ...
    def get_log_context(self, message: None) -> dict[str, str]: ...


async def listen(broker: NatsBroker, health: Observer) -> None:
    """Start the broker's subscribers, each as soon as it can; returns when all have started.

    A durable consumer that is missing holds up its own subscriber alone, and shows in readiness. It is
    never made here: the services' users may not, and `switchboard setup` does.
    """

    async def start(subscriber: _Subscriber) -> None:
        part = f"subscription {subscriber.get_log_context(None)['subject']}"
        while True:
            try:
                await subscriber.start()
            except Exception as error:
                health.unready(part, f"cannot begin ({error!r}); run `switchboard setup`")
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return health.ready(part)

    await asyncio.gather(*map(start, broker.subscribers))


class JsonCodec:
    """The codec for messages that are JSON of one type: the handler is given a value of that type."""

    def __init__(self, kind: type[Any]) -> None:
        self._decoder = msgspec.json.Decoder(kind)

    async def decode(self, message: StreamMessage[Any]) -> Any:
        """Raises `msgspec.DecodeError`; the handler is not called then."""
        return self._decoder.decode(message.body)

    async def encode(self, message: Any, serializer: object = None) -> tuple[bytes, str | None]:
        return msgspec.json.encode(message), "application/json"


class UnreadCodec:
    """The codec where the subject says it all, or the handler acknowledges: it is given NATS's message."""

    async def decode(self, message: StreamMessage[Any]) -> Any:
        return message.raw_message

    async def encode(self, message: Any, serializer: object = None) -> tuple[bytes, str | None]:
        return bytes(message), None


class Watch:
    """FastStream middleware: counts messages and logs failures, by what was subscribed to.

    FastStream's own metrics are labelled with the concrete subject: a series for each conversation.
    """

    def __init__(self, health: Observer) -> None:
        self._messages = Counter(
            "switchboard_subscriber_messages_total",
            "Messages that came through FastStream's subscribers, and how their handling ended",
            ["subscription", "outcome"],
            registry=health.registry,
        )

    def __call__(self, message: Any, /, *, context: ContextRepo) -> BaseMiddleware:
        return _Watched(message, context=context, messages=self._messages)


class _Watched(BaseMiddleware):
    def __init__(self, message: Any, /, *, context: ContextRepo, messages: Counter) -> None:
        super().__init__(message, context=context)
        self._messages = messages

    async def after_processed(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> bool | None:
        subscription = self.context.get_local("handler_").get_log_context(None)["subject"]
        self._messages.labels(subscription, "handled" if exc_val is None else "failed").inc()
        if exc_val is not None:
            log.error("message_failed", subscription=subscription, exc_info=exc_val)
        return await super().after_processed(exc_type, exc_val, exc_tb)
