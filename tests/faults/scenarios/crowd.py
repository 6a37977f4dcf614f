"""Thousands of open sockets, and the proxy is killed."""

from __future__ import annotations

import asyncio
import resource
import time

from tests.faults.checker import in_time
from tests.faults.lab import MAX_GROWTH, Lab
from tests.faults.run import LawBroken, Skipped, Trial

#: How soon all are back (seconds).
MAX_SECONDS = 30.0
#: What a socket with its conversation may cost the proxy (MiB).
EACH = 0.04


async def crowd(trial: Trial) -> None:
    """All come back, with their whole conversation."""
    count = trial.of(5000, 200)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < count + 1000:
        raise Skipped(f"{count} sockets need more open files than the {limit} that are allowed")
    growth = max(MAX_GROWTH, count * EACH)
    async with Lab(trial, clerks=0, operators=0, analytics=0, growth=growth) as lab:
        (proxy,) = lab.parts["proxy"]
        # As the chat button: jitter, so that not all come at once.
        guests = await lab.invite(count, pauses=(0.5, 5.0))
        trial.say(f"{count} sockets are open")
        for start in range(0, count, 100):
            await asyncio.gather(*(guest.turn() for guest in guests[start : start + 100]))
        trial.say("each has had a turn")
        proxy.kill()
        begun = time.monotonic()
        proxy.launch()
        await proxy.ready()
        ready = time.monotonic() - begun
        while sum(guest.connected for guest in guests) < count:
            await asyncio.sleep(0.1)
            assert time.monotonic() - begun < 120, "not all came back"
        seconds = time.monotonic() - begun
        trial.say(f"all are back after {seconds:.1f} s")
        trial.figure("sockets", count)
        trial.figure("kill to ready", f"{ready:.1f} s")
        trial.figure("kill to all back", f"{seconds:.1f} s")
        await lab.verdict(replay=False)
        if late := in_time("all are back", seconds, MAX_SECONDS):
            raise LawBroken(late)
