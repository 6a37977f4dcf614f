"""Visitors with long conversations, each of whom has it told on twenty sockets at once."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from typing import NamedTuple

import msgspec
from nats.aio.client import Client

from deploy.local.embedded import EmbeddedNats
from shared.contract import subjects
from shared.service.chat_log import open_log
from tests.conftest import connected, declare
from tests.faults.checker import Violation, bounded, in_time
from tests.faults.lab import Lab, memory
from tests.faults.run import LawBroken, Trial, quantile
from tests.faults.scenarios.strangers import (
    LIMITS,
    MAX_SECONDS,
    PAUSE,
    apart,
    closed,
    no_collector,
    offend,
)
from tests.long_histories import write_long

#: What the others' p99 should stay under, as a multiple of what it is undisturbed. Told, not demanded: see
#: `strangers.GOAL`.
GOAL = 2.0
ROUNDS = 4
#: What the proxy may grow by (MiB). The two histories have 30 MB and 20,000 entries, on twenty sockets.
MAX_GROWTH = 150.0


class Long(NamedTuple):
    """A conversation: its texts, each with an answer, and the characters of each."""

    name: str
    turns: int
    size: int
    secret: str


async def told(trial: Trial) -> None:
    """All of it is told and nobody is closed; memory stays bounded, the others are served."""
    seconds, rounds = trial.of(4, 3), trial.of(ROUNDS, 1)
    long = [
        Long("30 MB", 1_000, 15_000, random.Random(1).randbytes(16).hex()),
        Long("20,000 entries", 10_000, 50, random.Random(2).randbytes(16).hex()),
    ]
    server = EmbeddedNats(trial.folder / "data", sync="2m")
    await asyncio.to_thread(server.start)
    await _write(server, long)
    async with Lab(trial, server=server, clerks=0, operators=0, analytics=0) as lab:
        proxy = lab.make("proxy", **LIMITS)
        lab.use("proxy", [proxy])
        await lab.restart([proxy])
        guests = await lab.invite(trial.of(60, 16))
        assert proxy.process is not None
        violations: list[Violation] = []

        async def turns(during: asyncio.Task[float] | None = None) -> list[float]:
            gc.collect()
            work = lab.talk(guests, 10**6, pause=PAUSE)
            await asyncio.sleep(2 * PAUSE[1])
            begun = time.monotonic()
            await asyncio.sleep(seconds)
            if during is not None:
                await asyncio.wait_for(asyncio.shield(during), 60)
            await lab.stop(work)
            await asyncio.gather(*(guest.question() for guest in guests))
            return [s for g in guests for at, s in g.turns if at + s >= begun]

        with apart([*lab.services, lab.server]), no_collector():
            await turns()
            before = memory(proxy.process.pid)
            for each in long:
                alone, beside, rates = list[float](), list[float](), []
                for _ in range(rounds):
                    alone += await turns()
                    offence = asyncio.create_task(offend("readers", proxy.url, seconds, each.secret))
                    beside += await turns(offence)
                    rates.append(offence.result())
                peak = memory(proxy.process.pid)
                usual, now = quantile(alone, 0.99), quantile(beside, 0.99)
                line = (
                    f"p99 {now * 1000:.1f} ms beside {usual * 1000:.1f} undisturbed, {now / usual:.2f} times"
                )
                rate = sum(rates) / len(rates)
                busy = not rate  # the readers run at the lowest priority
                line += ", the machine is too busy" if busy else ""
                line += ", within" if now <= GOAL * usual else ", NOT within"
                line += f" {GOAL}; {rate / 1e6:.1f} MB/s told, {peak:.0f} MiB"
                trial.say(f"{each.name}: {line}")
                trial.figure(each.name, line)
                violations += bounded(f"proxy ({each.name})", before, peak, MAX_GROWTH)
                violations += in_time(f"the others' p99 beside {each.name}", now, MAX_SECONDS)
            for code, count in (await closed(proxy.url)).items():
                violations.append(Violation("closings", "", f"{count:.0f} sockets were closed with {code}"))
            if "feed_lost" in proxy.output:
                violations.append(Violation("connection", "", "the proxy lost its connection to the log"))
        await lab.verdict(replay=False)
        if violations:
            raise LawBroken(violations)


async def _write(server: EmbeddedNats, long: list[Long]) -> None:
    clients: list[Client] = [await connected(server, user) for user in ("admin", "proxy", "workflow")]
    admin, visitor, bot = clients
    await declare(admin, max_bytes=1024**3)
    for each in long:
        conversation = subjects.conversation_of(each.secret, "websocket")
        await write_long(visitor, bot, conversation, each.turns, each.size)
    # All of it has its outcome: nothing is the workflow's to do.
    for stream in (await open_log(admin)).streams:
        address = f"$JS.API.CONSUMER.RESET.{stream.name}.{subjects.WORKFLOW_DURABLE}"
        last = (await stream.tail()).last
        await admin.request(address, msgspec.json.encode({"seq": last + 1}), timeout=10)
    for client in clients:
        await client.close()
