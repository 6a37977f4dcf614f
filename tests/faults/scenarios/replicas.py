"""Two of each service, killed, cut off from the server, and one workflow frozen beyond its lease."""

from __future__ import annotations

import asyncio
import time

from tests.faults.checker import in_time
from tests.faults.lab import Lab
from tests.faults.run import LawBroken, Trial, quantile

#: Beyond the lease of 5 s.
FROZEN_SECONDS = 9.0
#: What turns may take while one replica is frozen (seconds, p99). After the lease of 5 s the server hands a
#: message on, and to the frozen replica again as often as to the other: then it waits until that one wakes.
MAX_SECONDS = FROZEN_SECONDS


async def replicas(trial: Trial) -> None:
    """Two proxies, two workflows, two operators: killed in turn, the server too, one workflow frozen."""
    rounds, freezes = trial.of(20, 3), trial.of(4, 1)
    async with Lab(trial, proxies=2, workflows=2, operators=2, clerks=4) as lab:
        visitors = await lab.invite(trial.of(40, 12), people=0.05, anew=0.03)
        work = lab.talk(visitors, 10**6, pause=(0.0, 0.3))
        for number in range(rounds):
            await asyncio.sleep(trial.chance.uniform(0.2, 0.8))
            if number % 4 == 3:
                lab.server.kill()
                await asyncio.to_thread(lab.server.start)
            else:
                victims = [trial.chance.choice(group) for group in lab.parts.values()]
                await lab.restart(trial.chance.sample(victims, 2))
            if number % 5 == 4:
                trial.say(f"{number + 1} of {rounds} rounds of kills")
        slowest: list[float] = []
        for number in range(freezes):
            await asyncio.sleep(1.0)
            begun = time.monotonic()
            frozen = trial.chance.choice(lab.parts["workflow"])
            frozen.freeze()
            await asyncio.sleep(FROZEN_SECONDS)
            frozen.thaw()
            await asyncio.sleep(1.0)
            during = [s for visitor in visitors for at, s in visitor.turns if at + s >= begun]
            slowest.append(quantile(during, 0.99))
            trial.say(f"{number + 1} of {freezes} freezes: {len(during)} turns, p99 {slowest[-1]:.2f} s")
        if work.done():
            await work
        await lab.stop(work)
        await lab.settle()
        trial.figure("rounds of kills", rounds)
        trial.figure("turn p99 while one is frozen", f"at most {max(slowest):.2f} s")
        await lab.verdict()
        if late := in_time("the p99 of turns while a workflow is frozen", max(slowest), MAX_SECONDS):
            raise LawBroken(late)
