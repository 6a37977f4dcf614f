"""Delivers webhooks that are due: one is acknowledged when it was delivered, put off, or is dead.

One that failed leaves the queue until its next attempt, so that only trouble with NATS brings the same
message again, and that is no attempt. Each endpoint has a lane of its own: one that is slow or gone holds up
no other.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from contextlib import suppress
from typing import Final

import msgspec
import nats.errors
import structlog
from msgspec.structs import replace
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription
from prometheus_client import CollectorRegistry, Counter, Gauge

from services.operator.domain.webhook_delivery import delay_after
from services.operator.domain.webhook_events import body_of, events_of
from services.operator.meters import DeskMeter
from services.operator.webhook_posts import WebhookOutcome, WebhookPoster
from services.operator.webhook_store import NATS_ERRORS, WebhookStore, WebhooksUnreadable, jobs
from shared.contract import subjects
from shared.contract.facts import ConversationErased
from shared.contract.webhooks import WebhookEndpoint, WebhookJob
from shared.eventlog.errors import LogError
from shared.eventlog.messages import delivered
from shared.service.chat_log import ChatLog
from shared.service.tasks import end

log = structlog.get_logger()

#: Requests to one endpoint at once, and how many of its webhooks may wait here for their turn.
LANE: Final = 4
MAX_WAITING: Final = 250
#: What finds no place comes again after so long (seconds, and as much again by chance).
PUT_OFF_SECONDS: Final = 120.0
#: How often the server is told that a job is still at work (seconds): well within its consumer's ack_wait.
AT_WORK_SECONDS: Final = 8.0
#: How long the server has to say how many are kept (seconds).
LOOK_SECONDS: Final = 2.0
#: How long to wait where NATS or the log is out of reach (seconds).
PAUSE_SECONDS: Final = 5.0
#: So often an entry is looked for: a replica of the stream may be behind.
MAX_LOOKS: Final = 5


class _Lane:
    """What is at work for one endpoint."""

    def __init__(self) -> None:
        self.room = asyncio.Semaphore(LANE)
        self.waiting = 0


class WebhookSender:
    """From jobs to receivers, over the service's connection."""

    def __init__(
        self,
        client: Client,
        chat: ChatLog,
        store: WebhookStore,
        poster: WebhookPoster,
        registry: CollectorRegistry,
        meter: DeskMeter,
    ) -> None:
        self._client = client
        self._meter = meter
        self._log = chat
        self._store = store
        self._poster = poster
        self._lanes: defaultdict[str, _Lane] = defaultdict(_Lane)
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: dict[str, Msg] = {}
        self._beat: asyncio.Task[None] | None = None
        self._subscription: NatsSubscription | None = None
        self._count = Counter(
            "switchboard_webhooks_total",
            "Attempts to deliver a webhook, and how they ended",
            ["outcome"],
            registry=registry,
        )
        # All at once: a counter that appears with its first event shows no increase.
        for outcome in ("delivered", "gone", "refused", "failed", "lost", "dead"):
            self._count.labels(outcome)
        Gauge(
            "switchboard_webhooks_in_hand",
            "Webhooks that this replica delivers, or that wait here for their turn",
            registry=registry,
        ).set_function(lambda: float(len(self._held)))
        self._kept = Gauge(
            "switchboard_webhooks_kept",
            "Webhooks on the server: due now (due), and all with those put off and dead (all); every replica "
            "shows the same",
            ["which"],
            registry=registry,
        )

    async def start(self) -> None:
        self._beat = asyncio.create_task(self._at_work())
        self._subscription = await self._client.subscribe(
            subjects.WEBHOOKS_DUE_DELIVERY, subjects.WEBHOOKS_DUE_DURABLE, cb=self._begin
        )

    async def stop(self) -> None:
        """What is at work is cut short, and comes again."""
        if self._subscription is not None:
            with suppress(nats.errors.Error):
                await self._subscription.unsubscribe()
        await end(self._tasks)
        if self._beat is not None:
            await end([self._beat])
        await self._poster.close()

    async def _begin(self, message: Msg) -> None:
        task = asyncio.create_task(self._work(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _at_work(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(AT_WORK_SECONDS)
            for message in tuple(self._held.values()):
                with suppress(nats.errors.Error):
                    await message.in_progress()

    async def _look(self) -> None:
        """How many are kept. Where the server does not say, the last word stands: an older set of permissions
        allows no question."""
        js = self._client.jsm(timeout=LOOK_SECONDS)
        with suppress(*NATS_ERRORS):
            due = await js.consumer_info(subjects.WEBHOOKS, subjects.WEBHOOKS_DUE_DURABLE)
            self._kept.labels("due").set((due.num_pending or 0) + (due.num_ack_pending or 0))
            self._kept.labels("all").set((await js.stream_info(subjects.WEBHOOKS)).state.messages)

    async def _work(self, message: Msg) -> None:
        self._meter.redelivered("webhook", delivered(message.reply)[2])
        endpoint, id = subjects.webhook_of(message.subject)
        lane, key = self._lanes[endpoint], message.reply
        lane.waiting += 1
        self._held[key] = message
        try:
            job = jobs.decode(message.data)
            if lane.waiting > MAX_WAITING:
                await self._store.later(endpoint, id, job, PUT_OFF_SECONDS * (1 + random.random()))
            else:
                async with lane.room:
                    await self._handle(message, endpoint, id, job)
            await message.ack()
        except asyncio.CancelledError:
            with suppress(nats.errors.Error):
                await message.nak()  # another replica need not wait until this one counts as dead
            raise
        except msgspec.DecodeError as error:
            log.error("webhook_unreadable", subject=message.subject, error=str(error))
            with suppress(nats.errors.Error):
                await message.term()  # it will be none the next time, either
        except (*NATS_ERRORS, LogError, WebhooksUnreadable) as error:
            log.warning("webhook_waits", error=repr(error))
            with suppress(nats.errors.Error):
                await message.nak(delay=PAUSE_SECONDS)
        finally:
            self._held.pop(key, None)
            lane.waiting -= 1
            if not lane.waiting:
                self._lanes.pop(endpoint, None)

    async def _handle(self, message: Msg, endpoint_id: str, id: str, job: WebhookJob) -> None:
        """Whatever happens is kept before this ends; the message may be acknowledged then."""
        endpoint = (await self._store.endpoints()).get(endpoint_id)
        if endpoint is None:  # it was removed since, or another replica has read that it was added
            endpoint = (await self._store.newest()).get(endpoint_id)
        if endpoint is None:
            return
        if endpoint.disabled:
            await self._bury(endpoint_id, id, replace(job, why=f"the endpoint is off: {endpoint.disabled}"))
            return
        try:
            body = await self._body(job, id, endpoint.words)
            if body is None:
                if delivered(message.reply)[2] < MAX_LOOKS:
                    raise EntryMissing(f"the entry of the webhook {id} is not on the log")
                self._count.labels("lost").inc()
                log.error("webhook_lost", endpoint=endpoint_id, webhook=id, why="its entry is not on the log")
                return
            outcome = await self._poster.post(endpoint, id, body)
        except (*NATS_ERRORS, LogError):
            raise
        except Exception:  # a fault of ours, or a value that is none: it counts as an attempt, so it ends
            log.exception("webhook_failed", endpoint=endpoint_id, webhook=id)
            outcome = WebhookOutcome("failed", "a fault of the service: see its log")
        self._count.labels(outcome.result).inc()
        if outcome.result != "delivered":
            await self._failed(endpoint, id, replace(job, why=outcome.why), outcome)

    async def _failed(
        self, endpoint: WebhookEndpoint, id: str, job: WebhookJob, outcome: WebhookOutcome
    ) -> None:
        delay = delay_after(job.attempt, random.random())
        if outcome.result == "gone":
            await self._disable(endpoint)
        if outcome.result == "gone" or delay is None:
            await self._bury(endpoint.id, id, job)
        else:
            await self._store.later(endpoint.id, id, replace(job, attempt=job.attempt + 1), delay)

    async def _bury(self, endpoint: str, id: str, job: WebhookJob) -> None:
        await self._store.bury(endpoint, id, job)
        self._count.labels("dead").inc()
        log.warning("webhook_dead", endpoint=endpoint, webhook=id, why=job.why)

    async def _body(self, job: WebhookJob, id: str, words: bool) -> bytes | None:
        """Made at the very moment that it is sent: what was erased since is not among it."""
        found, erased = None, False
        async for window in self._log.entries(job.conversation, job.position - 1, desk=True):
            for entry in window:
                if found is None:  # which facts took effect was looked at before
                    events = events_of(entry, entry.facts)
                    found = next(((entry, event) for event in events if event.id == id), None)
                erased = erased or any(isinstance(fact, ConversationErased) for fact in entry.facts)
        if found is None:
            return None
        entry, event = found
        return body_of(replace(entry, erased=entry.erased or erased), event, words)

    async def _disable(self, gone: WebhookEndpoint) -> None:
        def change(endpoints: tuple[WebhookEndpoint, ...]) -> tuple[WebhookEndpoint, ...]:
            return tuple(
                replace(each, disabled="its receiver answered 410 Gone")
                if (each.id, each.url) == (gone.id, gone.url)
                else each
                for each in endpoints
            )

        await self._store.change(change)
        log.warning("webhook_disabled", endpoint=gone.id)


class EntryMissing(LogError):
    """The entry of a webhook is not found, yet or any more."""
