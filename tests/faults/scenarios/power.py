"""The power fails: what the server has not put on the disk is gone, whatever it said."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from deploy.local.embedded import EmbeddedNats, ServerError
from tests.faults.checker import Violation
from tests.faults.lab import Lab
from tests.faults.run import LawBroken, Trial
from tests.faults.volumes import Disk


async def cut(trial: Trial) -> None:
    """Nothing acknowledged is lost; and the same cut does find losses with the server's default sync."""
    rounds = trial.of(5, 1)
    async with Disk(trial.folder) as disk:
        server = EmbeddedNats(disk.folder / "data")
        async with Lab(trial, server=server, max_bytes=64 * 2**20) as lab:
            visitors = await lab.invite(trial.of(20, 8), people=0.05, anew=0.03)
            for number in range(rounds):
                work = lab.talk(visitors, 10**6, pause=(0.0, 0.05))
                await asyncio.sleep(trial.chance.uniform(1.0, 2.0))
                await _power_cut(disk, server)
                await asyncio.to_thread(server.start)
                await asyncio.sleep(1.0)
                trial.say(f"power cut {number + 1} of {rounds}: the server is back")
                await lab.stop(work)
                await lab.settle()
            trial.figure("power cuts", rounds)
            await lab.verdict()
    lost = await _losses_with_the_default(trial)
    trial.figure("lost with the server's default sync", f"{lost} of its acknowledged messages")
    if not lost:
        raise LawBroken([Violation("blind", "", "the power cut lost nothing even without sync: it is none")])


async def _losses_with_the_default(trial: Trial) -> int:
    """How many acknowledged messages a cut takes when the server syncs every two minutes."""
    async with Disk(trial.folder / "default") as disk:
        server = EmbeddedNats(disk.folder / "data", sync="2m")
        async with Lab(trial, server=server, max_bytes=64 * 2**20, operators=0, analytics=0, clerks=0) as lab:
            visitors = await lab.invite(5)
            await asyncio.to_thread(disk.sync)  # the stream itself is safe: what is lost are messages
            work = lab.talk(visitors, 10**6, pause=(0.0, 0.05))
            await asyncio.sleep(1.5)
            await lab.stop(work)
            acknowledged = {id for visitor in visitors for id in visitor.acknowledged}
            for visitor in visitors:  # else they would send again what is lost
                await visitor.__aexit__()
            for service in lab.services:
                service.kill()
            await _power_cut(disk, server)
            try:
                await asyncio.to_thread(server.start)
                lines = await lab.lines()
            except (ServerError, Exception) as error:  # the stream itself is gone
                trial.say(f"without sync nothing can be read: {error!r:.80}")
                return len(acknowledged)
            finally:
                lab.history = type(lab.history)()  # of a log that is gone
        stored = {line["entry"].get("id") for line in lines}
        return len(acknowledged - stored)


async def _power_cut(disk: Disk, server: EmbeddedNats) -> None:
    """Stop the server in its tracks, and put in what the disk itself holds at that moment."""
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    copy = await asyncio.to_thread(disk.copy)
    with contextlib.suppress(ProcessLookupError):
        server.kill()
    await asyncio.to_thread(disk.replace, copy)
