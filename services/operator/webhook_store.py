"""What NATS keeps of webhooks: the endpoints, and which webhooks are due, now or later, or dead."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.api import RawStreamMsg
from nats.js.kv import KeyValue

from shared.contract import subjects
from shared.contract.webhooks import WebhookEndpoint, WebhookJob
from shared.timestamps import format_time

#: How long what is known of the endpoints is taken for true (seconds).
FRESH_SECONDS: Final = 3.0
_TRIES: Final = 5

#: What NATS may answer, or not answer. Trouble of this kind is no attempt.
NATS_ERRORS: Final = (nats.errors.Error, nats.js.errors.Error, TimeoutError)

#: What becomes of the endpoints. It may raise.
EndpointChange = Callable[[tuple[WebhookEndpoint, ...]], tuple[WebhookEndpoint, ...]]


class WebhooksUnreadable(Exception):
    """The endpoints are no endpoints: somebody else wrote there."""


class DeadWebhook(NamedTuple):
    """A webhook that no attempt delivered.

    ``sequence`` is its place in the stream, ``at`` since when it is dead.
    """

    endpoint: str
    id: str
    job: WebhookJob
    sequence: int
    at: datetime | None


class WebhookStore:
    """Its methods raise `NATS_ERRORS`, where nothing else is said."""

    def __init__(self, client: Client) -> None:
        self._js = client.jetstream(timeout=2.0)
        self._bucket = KeyValue(
            name=subjects.WEBHOOK_ENDPOINTS,
            stream=f"KV_{subjects.WEBHOOK_ENDPOINTS}",
            pre=f"$KV.{subjects.WEBHOOK_ENDPOINTS}.",
            js=self._js,
            direct=False,
        )
        self._known: dict[str, WebhookEndpoint] = {}
        self._read_at = float("-inf")

    async def endpoints(self) -> dict[str, WebhookEndpoint]:
        """By their ids, as they were at most `FRESH_SECONDS` ago. Raises `WebhooksUnreadable`, too."""
        now = time.monotonic()
        if now - self._read_at > FRESH_SECONDS:
            found, _ = await self._read()
            self._known = {each.id: each for each in found}
            self._read_at = now
        return self._known

    async def newest(self) -> dict[str, WebhookEndpoint]:
        """By their ids, as they are now. Raises `WebhooksUnreadable`, too."""
        self._read_at = float("-inf")
        return await self.endpoints()

    async def change(self, change: EndpointChange) -> None:
        """Put what ``change`` makes of the newest endpoints in their place.

        Raises `WebhooksUnreadable` and what ``change`` raises, too.
        """
        for left in reversed(range(_TRIES)):
            found, revision = await self._read()
            document = msgspec.json.encode(change(found))
            try:
                await self._bucket.update(subjects.WEBHOOK_ENDPOINTS_KEY, document, last=revision)
            except nats.js.errors.KeyWrongLastSequenceError:
                if not left:
                    raise
            else:
                self._read_at = float("-inf")
                return

    async def _read(self) -> tuple[tuple[WebhookEndpoint, ...], int]:
        try:
            entry = await self._bucket.get(subjects.WEBHOOK_ENDPOINTS_KEY)
        except nats.js.errors.KeyNotFoundError:
            return (), 0
        try:
            return _endpoints.decode(entry.value or b"[]"), entry.revision or 0
        except msgspec.DecodeError as error:
            raise WebhooksUnreadable(f"the webhooks' endpoints cannot be read: {error}") from error

    async def begin(self, endpoint: str, id: str, job: WebhookJob) -> None:
        """Have it delivered. Whoever was interrupted may do so again: within ten minutes it is one."""
        await self._put(subjects.webhook_due(endpoint, id), job, f"{endpoint}.{id}")

    async def later(self, endpoint: str, id: str, job: WebhookJob, seconds: float) -> None:
        """Have it delivered after a while. Once more, and it is put off anew."""
        at = format_time(time.time_ns() + int(seconds * 10**9))
        headers = {
            "Nats-Schedule": f"@at {at}",
            "Nats-Schedule-Target": subjects.webhook_due(endpoint, id),
        }
        await self._js.publish(subjects.webhook_at(endpoint, id), msgspec.json.encode(job), headers=headers)

    async def bury(self, endpoint: str, id: str, job: WebhookJob) -> None:
        """Keep it as dead. The same one twice is listed as one."""
        await self._js.publish(subjects.webhook_dead(endpoint, id), msgspec.json.encode(job))

    async def dead(self, endpoint: str = "*", id: str = "*") -> AsyncIterator[DeadWebhook]:
        """Those that are dead, the oldest first."""
        sequence, pattern = 1, subjects.webhook_dead(endpoint, id)
        while True:
            try:
                found = await self._js.get_msg(subjects.WEBHOOKS, sequence, subject=pattern, next=True)
            except nats.js.errors.NotFoundError:
                return
            sequence = (found.seq or 0) + 1
            if (one := _dead(found)) is not None:
                yield one

    async def resend(self, one: DeadWebhook) -> None:
        """Have a dead one delivered once more, with all attempts before it."""
        job = msgspec.structs.replace(one.job, attempt=1, why="")
        # Under an id of its own: the first one's may be known yet. With the place it is the same, and counts
        # once, where this is cut short and done again.
        await self._put(
            subjects.webhook_due(one.endpoint, one.id), job, f"{one.endpoint}.{one.id}.{one.sequence}"
        )
        await self.drop(one)

    async def drop(self, one: DeadWebhook) -> None:
        """Forget a dead one."""
        try:
            await self._js.delete_msg(subjects.WEBHOOKS, one.sequence)
        except nats.js.errors.APIError as error:
            if error.err_code not in _NO_MESSAGE:
                raise

    async def _put(self, subject: str, job: WebhookJob, id: str) -> None:
        await self._js.publish(subject, msgspec.json.encode(job), headers={"Nats-Msg-Id": id})


def _dead(found: RawStreamMsg) -> DeadWebhook | None:
    endpoint, id = subjects.webhook_of(found.subject or "")
    try:
        job = jobs.decode(found.data or b"")
    except msgspec.DecodeError:
        return None
    return DeadWebhook(endpoint, id, job, found.seq or 0, found.time)


#: Not there (any more): 10037 and 10057.
_NO_MESSAGE: Final = (10037, 10057)
_endpoints = msgspec.json.Decoder(tuple[WebhookEndpoint, ...])
jobs: Final = msgspec.json.Decoder(WebhookJob)
