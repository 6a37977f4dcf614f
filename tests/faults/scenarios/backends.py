"""A flow that asks backends, while workflows and the server are killed around the asking."""

from __future__ import annotations

import asyncio

from tests.faults.external_checks import asked_once
from tests.faults.fake_externals import NumberingBackend
from tests.faults.faulty_workflow import BACKEND_POINTS
from tests.faults.flows import backends, written
from tests.faults.lab import Lab
from tests.faults.run import LawBroken, Trial
from tests.faults.scenarios.deaths import die_at, heal


async def asked(trial: Trial) -> None:
    """Each backend is asked once for a turn, unless a crash falls between the asking and its fact."""
    rounds = trial.of(9, 0)
    async with NumberingBackend(trial.chance) as backend:
        flow = written(backends(backend.address), trial.folder / "lab.json")
        desk, clerks = trial.of(1, 0), trial.of(2, 0)
        async with Lab(trial, workflows=2, operators=desk, analytics=desk, clerks=clerks, flow=flow) as lab:
            visitors = await lab.invite(trial.of(30, 8), people=0.1, anew=0.03)
            work = lab.talk(visitors, 10**6, pause=(0.0, 0.3))
            plan = trial.chance.sample(BACKEND_POINTS * 3, trial.of(3 * len(BACKEND_POINTS), 1))
            for point in plan:
                async with lab.broken():
                    await die_at(lab, work, point, trial.chance.randrange(1, 6))
            await heal(lab)
            trial.say(f"{len(plan)} deaths at named points, {len(backend.calls)} calls")
            for number in range(rounds):
                await asyncio.sleep(trial.chance.uniform(0.5, 2.0))
                async with lab.broken():
                    if number % 3 == 0:
                        lab.server.kill()
                        await asyncio.to_thread(lab.server.start)
                    else:
                        await lab.restart([trial.chance.choice(lab.parts["workflow"])])
            await asyncio.sleep(1.0)
            await lab.stop(work)
            await lab.settle()
            lines = await lab.verdict(replay=not trial.short)
            keys = {call.key for call in backend.calls}
            trial.figure("deaths and kills", len(plan) + rounds)
            trial.figure("asked", f"{len(keys)} times, {len(backend.calls) - len(keys)} more after a crash")
            if violations := asked_once(lines, backend.calls, lab.breaks):
                raise LawBroken(violations)
