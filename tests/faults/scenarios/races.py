"""Everybody at once: dawdling workflows, takeovers in the middle of a turn, visitors in haste."""

from __future__ import annotations

import asyncio

from tests.faults.checker import Line, Violation, facts_of
from tests.faults.lab import Lab
from tests.faults.run import LawBroken, Trial

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
        work = lab.talk(visitors, 10**6, takeovers=0.8)
        kills = trial.of(15, 2)
        for number in range(kills):
            await asyncio.sleep(trial.chance.uniform(1.0, trial.of(4, 2)))
            await lab.restart([trial.chance.choice(workflows)])
            if work.done():
                await work
            if number % 5 == 4:
                claims = sum(clerk.claims for clerk in lab.clerks)
                trial.say(f"{number + 1} of {kills} kills, {claims} takeovers and claims")
        await lab.stop(work)
        await lab.settle()
        trial.figure("kills of a workflow", kills)
        trial.figure("takeovers and claims", sum(clerk.claims for clerk in lab.clerks))
        within = taken_within_turns(await lab.verdict())
        trial.figure("takeovers within a turn", within)
        if not within:
            raise LawBroken([Violation("blind", "", "nobody came between a message and its outcome")])


def taken_within_turns(lines: list[Line]) -> int:
    """How often an operator took a conversation from the bot that still owed an answer."""
    owing: set[str] = set()
    queued: set[str] = set()  # there the bot owes nothing
    found = 0
    for line in lines:
        name, kinds = line["conversation"], {fact["kind"] for fact in facts_of(line)}
        found += "ConversationClaimed" in kinds and name in owing
        if "HandoffRequested" in kinds:
            queued.add(name)
        elif line["author"] == "operator" or "ConversationReset" in kinds:
            queued.discard(name)
        if line["author"] == "visitor" and name not in queued:
            owing.add(name)
        else:
            owing.discard(name)
    return found
