"""Clients that misbehave: one that never reads, one that floods, a storm of connects."""

from __future__ import annotations

import asyncio
import sys
import time

import httpx

from tests.faults.checker import Violation, bounded, in_time
from tests.faults.lab import Lab, memory
from tests.faults.trial import LawBroken, Trial, quantile
from tests.processes import ROOT

#: What the others' p99 should stay under, as a multiple of what it is undisturbed. It is told, not
#: demanded: offender, server and measurement share the machine's cores.
GOAL = 1.1
#: What it must stay under (seconds).
MOST_SECONDS = 1.0
#: What a process may grow by (MiB).
MOST_GROWTH = 100.0


async def strangers(trial: Trial) -> None:
    """Each offender is closed with the right code; memory stays bounded, the others are served."""
    seconds = trial.of(10, 3)
    defaults = {"SWITCHBOARD_MESSAGES_PER_MINUTE": "", "SWITCHBOARD_MESSAGE_BURST": ""}
    async with Lab(trial, clerks=0, operators=0, analytics=0) as lab:
        proxy = lab.make("proxy", **defaults)
        lab.use("proxy", [proxy])
        await lab.restart([proxy])
        guests = await lab.invite(trial.of(20, 8))
        assert proxy.process is not None
        violations: list[Violation] = []

        async def p99(during: asyncio.subprocess.Process | None = None) -> float:
            begun = time.monotonic()
            work = lab.talk(guests, 10**6, pause=(0.1, 0.3))
            await asyncio.sleep(seconds)
            if during is not None:
                await asyncio.wait_for(during.wait(), 60)
            await lab.stop(work)
            await lab.settle()
            return quantile([s for g in guests for at, s in g.turns if at >= begun], 0.99)

        await p99()
        undisturbed = await p99()
        trial.figure("p99 undisturbed", f"{undisturbed * 1000:.1f} ms")
        before = memory(proxy.process.pid)
        for kind, code in (("deaf", "4008"), ("flood", "4029"), ("tabs", "4029"), ("storm", "")):
            closed = await _closed(proxy.url)
            offender = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.faults.offender", kind, proxy.url, str(seconds)), cwd=ROOT
            )
            disturbed = await p99(offender)
            after = await _closed(proxy.url)
            peak = memory(proxy.process.pid)
            trial.say(f"{kind}: p99 {disturbed * 1000:.1f} ms after {undisturbed * 1000:.1f}, {peak:.0f} MiB")
            within = "within" if disturbed <= undisturbed * GOAL else "NOT within"
            trial.figure(kind, f"p99 {disturbed * 1000:.1f} ms, {within} {GOAL} times")
            if offender.returncode:
                violations.append(Violation("offender", "", f"{kind}: exit code {offender.returncode}"))
            if code and after.get(code, 0) <= closed.get(code, 0):
                violations.append(
                    Violation("closings", "", f"{kind}: nobody was closed with {code}: {after}")
                )
            violations += bounded(f"proxy ({kind})", before, peak, MOST_GROWTH)
            violations += in_time(f"the others' p99 beside {kind}", disturbed, MOST_SECONDS)
        await lab.verdict(replay=False)
        if violations:
            raise LawBroken(violations)


async def _closed(url: str) -> dict[str, float]:
    """How many sockets the proxy closed, by code."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{url}/metrics")).text
    prefix = 'switchboard_sockets_closed_total{code="'
    lines = [line.removeprefix(prefix) for line in text.splitlines() if line.startswith(prefix)]
    return {code: float(value) for code, value in (line.split('"} ') for line in lines)}
