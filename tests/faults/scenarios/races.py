"""Everybody at once: dawdling workflows, takeovers in the middle of a turn, visitors in haste."""

from __future__ import annotations

import asyncio

from tests.faults.lab import Lab
from tests.faults.trial import Trial

#: How long a workflow may pause at each named point of a turn (seconds).
DAWDLE_SECONDS = "0.2"


async def races(trial: Trial, module: str = "tests.faults.faulty_workflow", **settings: str) -> None:
    """Between any two steps of a turn somebody else appends: the fence must hold.

    ``module`` is the workflow under test: a careless one must be found.
    """
    async with Lab(trial, workflows=0, operators=2, clerks=5) as lab:
        workflows = [lab.make("workflow", module, DAWDLE=DAWDLE_SECONDS, **settings) for _ in range(2)]
        lab.use("workflow", workflows)
        await lab.restart(workflows)
        visitors = await lab.invite(trial.of(30, 15), people=0.1, haste=0.4, anew=0.05)
        work = lab.talk(visitors, trial.of(60, 8), takeovers=0.8)
        kills = 0
        while not work.done():
            await asyncio.wait([work], timeout=trial.chance.uniform(1.0, 4.0))
            await lab.restart([trial.chance.choice(workflows)])
            kills += 1
        await work
        await lab.settle()
        trial.figure("kills of a workflow", kills)
        trial.figure("takeovers and claims", sum(clerk.claims for clerk in lab.clerks))
        await lab.verdict()
