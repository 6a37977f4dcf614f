"""The way to the server: paused, reset, half-open, slow."""

from __future__ import annotations

import asyncio
import signal
import time

from deploy.local.embedded import EmbeddedNats
from tests.faults.checker import Violation, in_time
from tests.faults.injectors import FaultyLink
from tests.faults.lab import Lab
from tests.faults.run import LawBroken, Trial

#: How soon after the end of the fault a visitor has an answer (seconds).
MAX_SECONDS = 20.0
#: The log cannot be reached: come back with backoff.
NO_LOG = 4013


async def paused(trial: Trial) -> None:
    """The server is stopped for 12 s (SIGSTOP) in the middle of the talk."""
    async with Lab(trial) as lab:
        await _disturb(
            lab, "paused", trial.of(3, 1), trial.of(12, 8), lambda: _stop(lab), lambda: _go_on(lab)
        )


async def cut(trial: Trial) -> None:
    """The link of all services is reset for 5 s, half-open for 60 s, and slow."""
    server = EmbeddedNats(trial.folder / "data")
    await asyncio.to_thread(server.start)
    async with FaultyLink(server.port) as wire:
        url = f"nats://127.0.0.1:{wire.port}"
        async with Lab(trial, server=server, nats_url=url) as lab:

            async def stall() -> None:
                wire.stall()

            async def flow() -> None:
                wire.flow()

            async def slow() -> None:
                wire.latency, wire.rate = 0.05, 256 * 1024

            async def fast() -> None:
                wire.latency = wire.rate = 0.0

            await _disturb(lab, "reset for 5 s", trial.of(3, 1), trial.of(5, 3), wire.cut, wire.mend)
            await _disturb(lab, "half-open", 1, trial.of(60, 5), stall, flow)
            if not trial.short:
                await _disturb(lab, "reset for 60 s", 1, 60, wire.cut, wire.mend)
                await _disturb(lab, "slow", 1, 15, slow, fast)


async def _disturb(lab: Lab, name: str, times: int, seconds: float, begin, end) -> None:  # type: ignore[no-untyped-def]
    """Talk, disturb, mend; all laws, that clients were told, and how soon it went on."""
    trial = lab.trial
    guests = lab.guests or [await lab.probe(), *await lab.invite(trial.of(30, 10), people=0.05, anew=0.03)]
    probe, *visitors = guests
    told = sum(guest.closings.count(NO_LOG) for guest in guests)
    work = lab.talk(visitors, 10**6, pause=(0.0, 0.2))
    recoveries: list[float] = []
    for _ in range(times):
        await asyncio.sleep(1.0)
        await begin()
        await asyncio.sleep(seconds)
        await end()
        begun = time.monotonic()
        await lab.recovery(probe)
        recoveries.append(time.monotonic() - begun)
        if work.done():
            await work
    await lab.stop(work)
    await lab.settle()
    told = sum(guest.closings.count(NO_LOG) for guest in guests) - told
    trial.say(f"{name}: answered {max(recoveries):.1f} s after the end, {told} clients told (4013)")
    trial.figure(f"{name}: end to an answer", f"at most {max(recoveries):.1f} s")
    lines = await lab.verdict(replay=False)
    assert lines
    violations: list[Violation] = in_time(f"an answer after {name}", max(recoveries), MAX_SECONDS)
    if seconds > 10 and name != "slow" and not told:
        violations.append(Violation("told", "", f"{name}: no client was told that the log cannot be reached"))
    if violations:
        raise LawBroken(violations)


async def _stop(lab: Lab) -> None:
    assert lab.server.process is not None
    lab.server.process.send_signal(signal.SIGSTOP)


async def _go_on(lab: Lab) -> None:
    assert lab.server.process is not None
    lab.server.process.send_signal(signal.SIGCONT)
