"""How far a durable consumer is, asked of the server: an acknowledgement is not answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import msgspec
from nats.aio.client import Client
from nats.js.api import ConsumerInfo

from shared.contract import subjects


async def unfinished(client: Client, stream: str, durable: str) -> int:
    """How many of the stream's messages the consumer has before it or in hand.

    nats-server counts what is pending a moment after it has confirmed that it is stored: a message that it
    has not delivered nor counted is one more here.
    """
    info = await client.jsm().consumer_info(stream, durable)
    count = (info.num_pending or 0) + (info.num_ack_pending or 0)
    if count:
        return count
    delivered = info.delivered.stream_seq if info.delivered else 0
    return int(await _last(client, stream, info) > delivered)


async def finished(
    client: Client, streams: Iterable[str], durable: str, but: int = 0, seconds: float = 20
) -> None:
    """Until no more than ``but`` messages are left to be done."""
    async with asyncio.timeout(seconds):
        while sum([await unfinished(client, stream, durable) for stream in streams]) > but:
            await asyncio.sleep(0.02)


async def _last(client: Client, stream: str, info: ConsumerInfo) -> int:
    """The sequence of the newest message that is the consumer's; 0: there is none."""
    if stream == subjects.TIMERS:  # what is due there the server itself stores: no one waits for its answer
        return 0
    newest = 0
    for subject in filter(None, [info.config.filter_subject, *(info.config.filter_subjects or ())]):
        wanted = msgspec.json.encode({"last_by_subj": subject})
        reply = await client.request(f"$JS.API.DIRECT.GET.{stream}", wanted, timeout=5)
        newest = max(newest, int((reply.headers or {}).get("Nats-Sequence", 0)))
    return newest
