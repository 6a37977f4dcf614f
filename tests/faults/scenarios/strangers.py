"""Clients that misbehave: one that never reads, one that floods, a storm of connects."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import httpx

from deploy.local.embedded import EmbeddedNats
from tests.faults.checker import Violation, bounded, in_time
from tests.faults.lab import Lab, memory
from tests.faults.run import LawBroken, Trial, quantile
from tests.processes import ROOT, Service

#: What the others' p99 should stay under, as a multiple of what it is undisturbed. It is told, not
#: demanded: a busy machine moves a p99 by more than that.
GOAL = 1.1
#: Undisturbed and disturbed take turns so often; each figure is of all such rounds together: the worst
#: hundredth of one round is a handful of turns.
ROUNDS = 4
#: How long the others pause between turns (seconds): what is measured is an answer, not a queue.
PAUSE = (0.1, 0.4)
#: What it must stay under (seconds).
MAX_SECONDS = 1.0
#: What a process may grow by (MiB).
MAX_GROWTH = 100.0
#: The proxy's limits: a visitor's tabs may say enough for one that never reads to be the first that is
#: closed; `flood` says more. A small firm's worth of connects from one address; a storm is more.
LIMITS = {
    "SWITCHBOARD_MESSAGES_PER_MINUTE": "600",
    "SWITCHBOARD_MESSAGE_BURST": "600",
    "SWITCHBOARD_CONNECTS_PER_MINUTE": "600",
    "SWITCHBOARD_CONNECT_BURST": "200",
}


class Kind(NamedTuple):
    """An offender: the code it is closed with, and how much it must get done a second to be one."""

    name: str
    code: str
    rate: int


KINDS = (
    Kind("deaf", "4008", 0),
    Kind("flood", "4029", 300),
    Kind("tabs", "4029", 250),
    Kind("storm", "4029", 250),
)


async def strangers(trial: Trial) -> None:
    """Each offender is closed with the right code; memory stays bounded, the others are served."""
    seconds, rounds = trial.of(4, 2), trial.of(ROUNDS, 1)
    # The server's own sync: a disk that is written to after each message has worse moods than any offender.
    server = EmbeddedNats(trial.folder / "data", sync="2m")
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
            await asyncio.sleep(2 * PAUSE[1])  # they begin all at once: a crowd of their own
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
            for kind in KINDS:
                before_it = await closed(proxy.url)
                alone, beside, rates = list[float](), list[float](), []
                for _ in range(rounds):
                    alone += await turns()
                    offence = asyncio.create_task(offend(kind.name, proxy.url, seconds))
                    beside += await turns(offence)
                    rates.append(offence.result())
                after = await closed(proxy.url)
                peak = memory(proxy.process.pid)
                usual, now = quantile(alone, 0.99), quantile(beside, 0.99)
                ratio = now / usual
                busy = statistics.median(rates) < kind.rate
                told = f"p99 {now * 1000:.1f} ms beside {usual * 1000:.1f} undisturbed, {ratio:.2f} times"
                told += ", " + (
                    "the machine is too busy" if busy else "within" if ratio <= GOAL else "NOT within"
                )
                trial.say(f"{kind.name}: {told} {GOAL}; {statistics.median(rates):.0f}/s, {peak:.0f} MiB")
                trial.figure(kind.name, f"{told} {GOAL}, {peak:.0f} MiB")
                if after.get(kind.code, 0) <= before_it.get(kind.code, 0) and not busy:
                    detail = f"{kind.name}: nobody was closed with {kind.code}: {after}"
                    violations.append(Violation("closings", "", detail))
                violations += bounded(f"proxy ({kind.name})", before, peak, MAX_GROWTH)
                violations += in_time(f"the others' p99 beside {kind.name}", now, MAX_SECONDS)
        await lab.verdict(replay=False)
        if violations:
            raise LawBroken(violations)


async def offend(kind: str, url: str, seconds: float, *more: str) -> float:
    """Let an offender do its work; how much it got done a second."""
    offender = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.offender", kind, url, str(seconds), *more),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await offender.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):  # it is gone, unless the scenario was given up
            offender.kill()
    assert offender.returncode == 0, f"{kind}: exit code {offender.returncode}"
    return int(output) / seconds


@contextlib.contextmanager
def apart(product: Iterable[Service | EmbeddedNats]) -> Iterator[None]:
    """The product on one core, its visitors on another: what they feel is the product's time alone.

    The offender shares the visitors' core, and yields to them (see `offender`).
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        yield
        return
    for part in product:
        assert part.process is not None
        for thread in os.listdir(f"/proc/{part.process.pid}/task"):
            os.sched_setaffinity(int(thread), {cores[0]})
    os.sched_setaffinity(0, {cores[1]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def no_collector() -> Iterator[None]:
    """The visitors' histories grow; to walk through them takes their process a tenth of a second."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def closed(url: str) -> dict[str, float]:
    """How many sockets the proxy closed, by code."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{url}/metrics")).text
    series = r'^switchboard_sockets_closed_total\{code="(\d+)",door="websocket"\} (\S+)$'
    return {code: float(value) for code, value in re.findall(series, text, re.MULTILINE)}
