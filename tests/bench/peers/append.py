"""Raw nats-py: a turn's two appends with the headers of the product, and nothing else.

Each worker appends a visitor's entry, and when that is stored the bot's, which expects it to be the
last. Two connections, as in the product. Prints one line of JSON.

    python -m tests.bench.peers.append <url of the proxy's user> <url of the workflow's> <workers> <seconds>
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sys
from time import perf_counter

import msgspec
import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.contract import subjects
from shared.contract.entry import Entry, encode
from shared.contract.facts import Author, BotSaid, Choice, ChoiceAsked, ChoiceMade, FlowAdvanced
from shared.eventlog.connection import inbox_prefix
from shared.eventlog.layout import Layout
from tests.bench.measure import percentile

CHOICES = tuple(Choice(item=name, text=f"Yes, {name} please") for name in ("yes", "person", "no"))
ANSWER = (
    FlowAdvanced(path=("isHours", "hoursText", "more")),
    BotSaid(text="The shop is open " * 12),
    ChoiceAsked(group="more", question="Is there anything else?", choices=CHOICES),
)

LAYOUT = Layout(subjects.LOG, subjects.PREFIX)


class PipelinedAppender:
    """Pipelined appends over one connection: many on their way, each awaited by who made it."""

    def __init__(self, client: Client, author: Author) -> None:
        self._client = client
        self._author = author
        self._inbox = client.new_inbox() + "."
        self._numbers = itertools.count()
        self._open: dict[str, asyncio.Future[int]] = {}

    async def start(self) -> None:
        await self._client.subscribe(self._inbox + "*", cb=self._answered)

    async def _answered(self, reply: Msg) -> None:
        answer = msgspec.json.decode(reply.data)
        future = self._open.pop(reply.subject)
        if "seq" in answer:
            future.set_result(answer["seq"])
        else:
            future.set_exception(RuntimeError(str(answer)))

    async def append(self, conversation: str, entry: Entry, expect: int | None) -> int:
        headers = {"Nats-Msg-Id": f"{self._author}:{conversation}:{entry.id}"}
        if expect is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(expect)
            headers["Nats-Expected-Last-Subject-Sequence-Subject"] = LAYOUT.everyone(conversation)
        reply = f"{self._inbox}{next(self._numbers)}"
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._open[reply] = future
        subject = subjects.chat(conversation, self._author)
        await self._client.publish(subject, encode(entry), reply=reply, headers=headers)
        return await future


async def run(
    visitor: PipelinedAppender, bot: PipelinedAppender, workers: int, seconds: float
) -> dict[str, float]:
    """Appends each second, of both kinds together."""
    end = perf_counter() + seconds
    count = 0

    async def work() -> None:
        nonlocal count
        conversation = secrets.token_hex(16)
        while perf_counter() < end:
            said = ChoiceMade(group="topic", item="hours")
            position = await visitor.append(
                conversation, Entry(id=secrets.token_hex(16), facts=(said,)), None
            )
            entry = Entry(id=str(position), cause=position, facts=ANSWER)
            await bot.append(conversation, entry, position)
            count += 2

    began = perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    return {"appends_per_s": count / (perf_counter() - began)}


async def hops(visitor: PipelinedAppender, client: Client, count: int) -> dict[str, float]:
    """From a publish to the republished entry at a subscriber, one at a time (ms)."""
    arrived = asyncio.Event()

    async def heard(_: Msg) -> None:
        arrived.set()

    # Of every stream, however many the log has.
    subscription = await client.subscribe("live.>", cb=heard)
    await client.flush()
    conversation = secrets.token_hex(16)
    times: list[float] = []
    for _ in range(count):
        arrived.clear()
        began = perf_counter()
        stored = asyncio.ensure_future(
            visitor.append(
                conversation,
                Entry(id=secrets.token_hex(16), facts=(ChoiceMade(group="topic", item="hours"),)),
                None,
            )
        )
        await arrived.wait()
        times.append(perf_counter() - began)
        await stored
    await subscription.unsubscribe()
    times.sort()
    return {"hop_p50_ms": percentile(times, 0.5) * 1000, "hop_p99_ms": percentile(times, 0.99) * 1000}


async def main() -> None:
    addresses, workers, seconds = sys.argv[1:3], int(sys.argv[3]), float(sys.argv[4])
    clients = [
        await nats.connect(url, inbox_prefix=inbox_prefix(user).encode())
        for url, user in zip(addresses, ("proxy", "workflow"), strict=True)
    ]
    visitor, bot = PipelinedAppender(clients[0], "visitor"), PipelinedAppender(clients[1], "bot")
    await visitor.start()
    await bot.start()
    figures = await hops(visitor, clients[1], 100)
    figures |= await run(visitor, bot, workers, seconds)
    print(msgspec.json.encode(figures).decode())
    for client in clients:
        await client.close()


if __name__ == "__main__":
    uvloop.run(main())
