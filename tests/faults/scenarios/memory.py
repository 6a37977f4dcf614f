"""A log with many conversations of long ago, and an hour of visitors who come and go, in short."""

from __future__ import annotations

import asyncio

from nats.aio.client import Client

from deploy.local.embedded import EmbeddedNats
from tests.bench.fill import Filler
from tests.conftest import connected, declare
from tests.faults.checker import bounded
from tests.faults.lab import Lab, memory
from tests.faults.run import LawBroken, Trial

#: Entries of each conversation of long ago.
LENGTH = 4
#: Visitors who are there at the same time.
AT_ONCE = 50
#: What a service may need more over the full log than over the short one's (MiB), and grow by in the hour.
MAX_FOR_THE_LOG = 150.0
MAX_IN_THE_HOUR = 60.0
#: What a service needs that has just been started over nothing (MiB): about as much as analytics does.
AT_REST = 140.0


async def history(trial: Trial) -> None:
    """Memory is bounded by what is live: neither the log's length nor who has gone costs a service any."""
    old, visitors = trial.of(100_000, 2_000), trial.of(3_000, 100)
    server = EmbeddedNats(trial.folder / "data", sync="2m")
    await asyncio.to_thread(server.start)
    await _fill(server, old)
    trial.say(f"{old} conversations are on the log")
    async with Lab(trial, server=server, clerks=1) as lab:
        first = _sizes(lab)
        trial.figure("MiB over the log", _told(first))
        for number in range(0, visitors, AT_ONCE):
            guests = await lab.invite(AT_ONCE, pauses=(0.0, 0.05))
            await asyncio.gather(*(guest.turn() for guest in guests for _ in range(1)))
            await asyncio.gather(*(guest.__aexit__() for guest in guests))
            if number % 500 == 0:
                trial.say(f"{number} of {visitors} visitors: {_told(_sizes(lab))}")
        last = _sizes(lab)
        trial.figure("MiB after the visitors", _told(last))
        violations = []
        for name, size in first.items():
            violations += bounded(f"{name} over the log", AT_REST, size, MAX_FOR_THE_LOG)
            violations += bounded(f"{name} in the hour", size, last[name], MAX_IN_THE_HOUR)
        if violations:
            raise LawBroken(violations)


class _Writers:
    """What `Filler` needs: clients of one server."""

    def __init__(self, server: EmbeddedNats) -> None:
        self._server = server

    async def client(self, user: str) -> Client:
        return await connected(self._server, user)


async def _fill(server: EmbeddedNats, count: int) -> None:
    admin = await connected(server, "admin")
    await declare(admin, max_bytes=4 * 1024**3)
    await admin.close()
    filler = Filler(_Writers(server))
    await filler.fill(LENGTH, count)
    await filler.skip_workflow()


def _sizes(lab: Lab) -> dict[str, float]:
    """Each service's resident memory (MiB)."""
    return {each.name: memory(each.process.pid) for each in lab.services if each.process is not None}


def _told(sizes: dict[str, float]) -> str:
    return " ".join(f"{name} {size:.0f}" for name, size in sizes.items())
