"""kill -9 of the services, of the server, and of the workflow at each named point of a turn."""

from __future__ import annotations

import asyncio
import time

from tests.faults.faulty_workflow import POINTS
from tests.faults.lab import Lab
from tests.faults.run import Trial
from tests.faults.scenarios.deaths import die_at, heal


async def random_moments(trial: Trial) -> None:
    """Any service, at random moments, while visitors and operators talk."""
    guests, turns = trial.of(100, 12), trial.of(100, 25)
    async with Lab(trial) as lab:
        probe = await lab.probe()
        visitors = await lab.invite(guests, people=0.05, anew=0.03)
        work = lab.talk(visitors, turns, pause=(0.0, trial.of(15, 3) / 10))
        recoveries: list[float] = []

        async def fault() -> None:
            await asyncio.sleep(trial.chance.uniform(0.2, 1.0))
            victims = trial.chance.sample(lab.services, trial.chance.choice((1, 1, 1, 2, 4)))
            begun = time.monotonic()
            for victim in victims:
                victim.kill()
            await asyncio.sleep(trial.chance.uniform(0.0, 0.3))
            for victim in victims:
                victim.launch()
            killed.extend(victim.name for victim in victims)
            await lab.ready(victims)
            await lab.recovery(probe)
            recoveries.append(time.monotonic() - begun)
            if len(recoveries) % 5 == 0:
                done = sum(len(visitor.turns) for visitor in visitors)
                trial.say(f"{len(killed)} kills, {done} of {guests * turns} turns")

        killed: list[str] = []
        await lab.under(work, fault)
        await lab.settle()
        trial.figure("kills", len(killed))
        trial.figure("kill to an answer", f"at most {max(recoveries, default=0.0):.1f} s")
        await lab.verdict()


async def named_points(trial: Trial) -> None:
    """The workflow kills itself at each point of a turn: again and again, always with work in hand."""
    deaths = trial.of(10, 1)
    async with Lab(trial, workflows=0) as lab:
        plan = [point for point in POINTS for _ in range(deaths)]
        trial.chance.shuffle(plan)
        lab.use("workflow", [lab.make("workflow")])
        await lab.restart(lab.parts["workflow"])
        visitors = await lab.invite(trial.of(12, 6), people=0.05, anew=0.03)
        lab.parts["workflow"][0].kill()
        work = lab.talk(visitors, 10**6)
        longest = 0.0
        for number, point in enumerate(plan):
            lives = trial.chance.randrange(1, trial.of(40, 10))
            longest = max(longest, await die_at(lab, work, point, lives))
            if number % 5 == 4:
                trial.say(f"{number + 1} of {len(plan)} deaths")
        await lab.stop(work)
        await heal(lab)
        await lab.settle()
        trial.figure("deaths", f"{deaths} at each of {', '.join(POINTS)}")
        trial.figure("start to the next death", f"at most {longest:.1f} s")
        await lab.verdict()


async def nats(trial: Trial) -> None:
    """The server itself, again and again."""
    cycles = trial.of(50, 3)
    async with Lab(trial) as lab:
        probe = await lab.probe()
        visitors = await lab.invite(trial.of(30, 10), people=0.05, anew=0.03)
        work = lab.talk(visitors, 10**6, pause=(0.0, 0.2))
        recoveries: list[float] = []
        for cycle in range(cycles):
            await asyncio.sleep(trial.chance.uniform(0.1, 0.8))
            lab.server.kill()
            await asyncio.sleep(trial.chance.uniform(0.0, 0.3))
            begun = time.monotonic()
            await asyncio.to_thread(lab.server.start)
            await lab.recovery(probe)
            recoveries.append(time.monotonic() - begun)
            if cycle % 10 == 9:
                trial.say(f"{cycle + 1} of {cycles} cycles")
            if work.done():
                await work
        await lab.stop(work)
        await lab.settle()
        trial.figure("cycles", cycles)
        trial.figure("start of NATS to an answer", f"at most {max(recoveries):.1f} s")
        await lab.verdict()
