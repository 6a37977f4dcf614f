"""A/B: what a message from a durable costs the process that receives it, by the way it takes.

    python -m tests.bench.deliveries

The lean reader is how the workflow hears of visitors' inputs, FastStream how it hears of due timers. Each
round receives the same messages once each way, on one core, with nothing done for them and nothing
acknowledged. CPU time of the process alone, in microseconds a message; each round is a pair.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

import nats
import uvloop
from faststream import AckPolicy
from faststream.nats import JStream
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import api

from deploy.local.embedded import EmbeddedNats
from deploy.provisioning import declare, workflow_consumer
from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import TextWritten
from shared.eventlog.connection import ConnectionState, connect, disconnect, inbox_prefix, make_broker
from shared.eventlog.live_connection import LiveConnection
from shared.service.broker import UnreadCodec, Watch
from shared.service.chat_log import open_log
from shared.service.health import Health
from tests.bench.measure import cores, pinned
from tests.bench.stage import DEFAULT_SYNC
from tests.conftest import UserSettings

#: So few that they are taken before the server asks whether the receiver lives: it would be cut off.
MESSAGES = 5_000
STREAM = f"{subjects.LOG}-0"  # of one that has no other
ROUNDS = 9
TEXT = "Is there anything that I can do about it? " * 4


class Receiver:
    """Counts messages; knows the CPU time from the first to the last."""

    def __init__(self, messages: int) -> None:
        self._last = messages
        self._began = 0.0
        self._count = 0
        self.all = asyncio.Event()
        self.microseconds = 0.0

    def take(self, message: Msg) -> None:
        self._count += 1
        if self._count == 1:
            self._began = time.process_time()
        elif self._count == self._last:
            self.microseconds = (time.process_time() - self._began) / (self._last - 1) * 1e6
            self.all.set()


async def lean(settings: UserSettings, receiver: Receiver) -> None:
    """Over the feed's connection, as the workflow joins its durable."""
    client = await _plain(settings)
    feed = LiveConnection(client, {}, lambda: None, lambda: None)
    await feed.start()
    await feed.join(subjects.WORKFLOW_DELIVERY, subjects.WORKFLOW_DURABLE, receiver.take)
    await receiver.all.wait()
    await feed.stop()
    await client.close()


async def nats_py(settings: UserSettings, receiver: Receiver) -> None:
    """A callback of nats-py's."""

    async def hear(message: Msg) -> None:
        receiver.take(message)

    client = await _plain(settings)
    await client.subscribe(subjects.WORKFLOW_DELIVERY, queue=subjects.WORKFLOW_DURABLE, cb=hear)
    await receiver.all.wait()
    await client.close()


async def faststream(settings: UserSettings, receiver: Receiver, watched: bool = False) -> None:
    """A push subscriber of FastStream's, as lean as it gets: types not applied, bodies not read."""
    health = Health("bench")
    link = ConnectionState(health)
    broker = make_broker(settings, "bench", link)
    await connect(broker, link)
    if watched:
        broker.add_middleware(Watch(health))

    @broker.subscriber(
        "chat.*.*.visitor",
        queue=subjects.WORKFLOW_DURABLE,
        stream=JStream(STREAM, declare=False),
        ack_policy=AckPolicy.MANUAL,
        codec=UnreadCodec(),
        no_reply=True,
    )
    async def hear(message: Msg) -> None:
        receiver.take(message)

    await broker.start()
    await receiver.all.wait()
    await disconnect(broker)


async def faststream_watched(settings: UserSettings, receiver: Receiver) -> None:
    """The same with the services' middleware."""
    await faststream(settings, receiver, watched=True)


WAYS: dict[str, Callable[[UserSettings, Receiver], Awaitable[None]]] = {
    "lean": lean,
    "nats-py": nats_py,
    "faststream": faststream,
    "faststream watched": faststream_watched,
}


async def _plain(settings: UserSettings) -> Client:
    return await nats.connect(
        settings.nats_url,
        user=settings.nats_user,
        password=settings.nats_password,
        inbox_prefix=inbox_prefix(settings.nats_user).encode(),
    )


async def _fill(server: EmbeddedNats, messages: int) -> None:
    client = await nats.connect(server.url("proxy"), inbox_prefix=inbox_prefix("proxy").encode())
    log = await open_log(client)
    entry = Entry(id="1", facts=(TextWritten(session="s", text=TEXT),))
    for first in range(0, messages, 500):
        numbers = range(first, min(first + 500, messages))
        names = [subjects.conversation_of(str(n), "web") for n in numbers]
        await asyncio.gather(*(log.append(name, "visitor", entry) for name in names))
    await client.close()


async def _consumer(admin: Client) -> None:
    """The workflow's durable anew, without acknowledgements: all messages come once more."""
    manager = admin.jsm()
    await manager.delete_consumer(STREAM, subjects.WORKFLOW_DURABLE)
    wanted = workflow_consumer()
    config = api.ConsumerConfig(
        durable_name=wanted["durable_name"],
        deliver_subject=wanted["deliver_subject"],
        deliver_group=wanted["deliver_group"],
        filter_subjects=wanted["filter_subjects"],
        ack_policy=api.AckPolicy.NONE,
    )
    await manager.add_consumer(STREAM, config)


async def measure(messages: int = MESSAGES, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Microseconds a message for each way and round."""
    measured, other = cores()
    figures: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder:
        server = EmbeddedNats(Path(folder) / "data", sync=DEFAULT_SYNC)
        with pinned(other):
            server.start()
        try:
            admin = await nats.connect(server.url("admin"), inbox_prefix=inbox_prefix("admin").encode())
            await declare(admin, streams=1)
            await _fill(server, messages)
            for _ in range(rounds):
                for way in WAYS:
                    await _consumer(admin)
                    arguments = (way, str(messages), server.url(), server.password("workflow"))
                    with pinned(measured):
                        process = await asyncio.create_subprocess_exec(
                            sys.executable, "-m", "tests.bench.deliveries", *arguments, stdout=-1
                        )
                    out, _ = await process.communicate()
                    figures[way].append(float(out))
            await admin.close()
        finally:
            server.stop()
    return figures


async def receive(way: str, messages: str, url: str, password: str) -> None:
    """The process that is measured."""
    receiver = Receiver(int(messages))
    await WAYS[way](UserSettings(url, "workflow", password), receiver)
    print(receiver.microseconds, flush=True)


def main() -> None:
    if len(sys.argv) > 1:
        uvloop.run(receive(*sys.argv[1:]))
        return
    figures = asyncio.run(measure())
    for way, each in figures.items():
        more = median(b - a for a, b in zip(figures["lean"], each, strict=True))
        times = median(b / a for a, b in zip(figures["lean"], each, strict=True))
        print(f"{way:20} {median(each):6.1f} us a message  {more:+6.1f} us  {times:5.1f} times the lean one")


if __name__ == "__main__":
    main()
