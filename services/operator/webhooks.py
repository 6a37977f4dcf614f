"""Tells other systems by webhooks what happened: each event at least once, however long a receiver is away.

Two steps, each durable. What is appended to the log comes over a consumer of each of its streams; here a job
is made of it for each endpoint that wants it, and only then it is acknowledged. `webhook_sender` delivers the
jobs. Neither has anything to do until `switchboard webhooks add` makes the consumers.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from services.operator.domain.webhook_events import EventOfEntry, events_of, may_have_events
from services.operator.meters import DeskMeter
from services.operator.webhook_store import NATS_ERRORS, WebhookStore, WebhooksUnreadable
from shared.contract import subjects
from shared.contract.codec import entry_of
from shared.contract.conversation import NEW, step
from shared.contract.entry import RecordedEntry
from shared.contract.facts import Fact
from shared.contract.subjects import DESK
from shared.contract.webhooks import WebhookEndpoint, WebhookJob
from shared.eventlog.errors import LogError
from shared.eventlog.messages import StoredMessage, delivered
from shared.service.chat_log import ChatLog

log = structlog.get_logger()

#: How long to wait where NATS or the log is out of reach, or the endpoints cannot be read (seconds).
PAUSE_SECONDS: Final = 5.0
UNREADABLE_SECONDS: Final = 60.0
#: So often an entry is looked for: a replica of its stream may be behind.
MAX_LOOKS: Final = 20


class Webhooks:
    """From the log to jobs, over the service's connection."""

    def __init__(self, client: Client, chat: ChatLog, store: WebhookStore, meter: DeskMeter) -> None:
        self._meter = meter
        self._client = client
        self._log = chat
        self._store = store
        self._subscription: NatsSubscription | None = None

    async def start(self) -> None:
        self._subscription = await self._client.subscribe(
            subjects.WEBHOOKS_DELIVERY, subjects.WEBHOOKS_DURABLE, cb=self._take
        )

    async def stop(self) -> None:
        """What was not acknowledged comes again."""
        if self._subscription is not None:
            with suppress(nats.errors.Error):
                await self._subscription.unsubscribe()

    async def _take(self, message: Msg) -> None:
        pause = PAUSE_SECONDS
        self._meter.redelivered("entry", delivered(message.reply)[2])
        try:
            await self._make_jobs(message)
            await message.ack()
            return
        except WebhooksUnreadable as error:
            log.error("webhooks_wait", error=str(error))
            pause = UNREADABLE_SECONDS
        except EntryNotThere as error:
            if delivered(message.reply)[2] >= MAX_LOOKS:
                await self._leave_out(message)
                return
            log.warning("webhooks_wait", error=str(error))
        except (*NATS_ERRORS, LogError) as error:
            log.warning("webhooks_wait", error=repr(error))
        except Exception:  # a fault of ours: no later try would end otherwise
            await self._leave_out(message)
            return
        with suppress(nats.errors.Error):
            await message.nak(delay=pause)

    async def _leave_out(self, message: Msg) -> None:
        """Nobody is told of this entry, and those behind it go on."""
        log.exception("webhooks_entry_left_out", subject=message.subject)
        self._meter.left_out()
        with suppress(nats.errors.Error):
            await message.term()

    async def _make_jobs(self, message: Msg) -> None:
        sequence, stored_at, _ = delivered(message.reply)
        address = subjects.address(message.subject)
        entry = entry_of(
            StoredMessage(sequence, address.conversation, address.author, stored_at, message.data)
        )
        if not may_have_events(entry):
            return
        endpoints = [
            each
            for each in (await self._store.endpoints()).values()
            if any(each.wants(event.event, entry.time) for event in events_of(entry, entry.facts))
        ]
        if endpoints:
            await self._tell(endpoints, entry, events_of(entry, await self._effective(entry)))

    async def _tell(
        self, endpoints: Sequence[WebhookEndpoint], entry: RecordedEntry, events: Sequence[EventOfEntry]
    ) -> None:
        for event in events:
            job = WebhookJob(entry.conversation, entry.position, event.event)
            for endpoint in endpoints:
                if endpoint.wants(event.event, entry.time):
                    await self._store.begin(endpoint.id, event.id, job)

    async def _effective(self, entry: RecordedEntry) -> tuple[Fact, ...]:
        """Those of its facts that took effect, as every reader of the conversation finds.

        Raises `LogError` where a replica of the stream that is behind has answered.
        """
        if entry.author == DESK:  # that is noted under an expectation, once under one id
            return entry.facts
        state = NEW
        async for window in self._log.entries(entry.conversation):
            for each in window:
                if each.position < entry.position:
                    state, _ = step(state, each)
                elif each.position == entry.position:
                    return step(state, msgspec.structs.replace(each, facts=entry.facts))[1]
        raise EntryNotThere(f"the entry {entry.position} of {entry.conversation} is not there yet")


class EntryNotThere(LogError):
    """A replica of the stream is behind, or the log is another one."""
