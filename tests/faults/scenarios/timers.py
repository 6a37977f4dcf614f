"""Waits that end by themselves, while everything that could end them is killed."""

from __future__ import annotations

import asyncio
import time

from tests.faults.checker import clocks
from tests.faults.faulty_workflow import TIMER_POINTS
from tests.faults.flows import INACTIVITY, timers, written
from tests.faults.lab import Lab
from tests.faults.run import Trial, quantile
from tests.faults.scenarios.deaths import die_at, heal
from tests.faults.workload import Dreamer

#: A firing in the hands of whoever was killed comes again after this time (seconds); and the one who
#: takes it may be killed in turn.
LEASE_SECONDS = 5.0


async def fired(trial: Trial) -> None:
    """Each timer takes effect once or means nothing; none is lost, not even if everything is."""
    rounds, outages = trial.of(12, 0), trial.of(2, 1)
    flow = written(timers(), trial.folder / "lab.json")
    async with Lab(trial, workflows=2, analytics=trial.of(1, 0), clerks=1, flow=flow) as lab:
        visitors = await lab.invite(trial.of(30, 8), kind=Dreamer, people=0.3, anew=0.03)
        sleepers = await lab.invite(trial.of(6, 2), kind=Dreamer)
        lab.spare(sleepers)
        work = lab.talk(visitors, 10**6, pause=(0.0, 4.0))
        asleep = lab.talk(sleepers, 10**6, pause=(INACTIVITY + 1.0, INACTIVITY + 4.0))
        longest = 0.0
        plan = trial.chance.sample(TIMER_POINTS * 2, trial.of(2 * len(TIMER_POINTS), 1))
        for point in plan:
            await die_at(lab, work, point, trial.chance.randrange(1, 6))
        await heal(lab)
        trial.say(f"{len(plan)} deaths at named points")
        for number in range(rounds + outages):
            await asyncio.sleep(trial.chance.uniform(0.5, 3.0))
            begun = time.monotonic()
            if number >= rounds:  # everything, and all that was armed before fires late
                for service in lab.services:
                    service.kill()
                lab.server.kill()
                await asyncio.sleep(trial.of(3, 1))
                await asyncio.to_thread(lab.server.start)
                await lab.restart(lab.services)
            elif number % 3 == 0:
                lab.server.kill()
                await asyncio.to_thread(lab.server.start)
            else:
                await lab.restart([trial.chance.choice(lab.parts["workflow"])])
            longest = max(longest, time.monotonic() - begun)
            if number % 6 == 5:
                trial.say(f"{number + 1} of {rounds + outages} kills")
        await lab.stop(work)
        await lab.stop(asleep)
        await lab.settle()
        while any(clocks(await lab.lines())):  # the last end with the silence of their visitors
            await asyncio.sleep(0.5)
        late = 2 * LEASE_SECONDS + longest
        trial.figure("deaths and kills", len(plan) + rounds + outages)
        trial.figure("longest outage", f"{longest:.1f} s")
        lines = await lab.verdict(replay=not trial.short, late=late)
        seconds = [each for armed in clocks(lines) for each in armed.lateness]
        told = f"p50 {quantile(seconds, 0.5):.2f} s, at most {max(seconds):.1f} s of {late:.1f} allowed"
        trial.figure("timers fired", f"{len(seconds)}, late {told}")
