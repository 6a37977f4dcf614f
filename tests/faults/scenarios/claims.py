"""Two operators claim the same conversation at the same instant, on two replicas."""

from __future__ import annotations

import asyncio

from tests.faults.checker import Violation
from tests.faults.lab import Lab
from tests.faults.run import LawBroken, Trial


async def pairs(trial: Trial) -> None:
    """Of each pair exactly one wins, and the other is told who."""
    count = trial.of(1000, 60)
    async with Lab(trial, operators=2, analytics=trial.of(1, 0), clerks=2) as lab:
        ann, bob = lab.clerks
        first, second = lab.urls("operator")
        guests = await lab.invite(trial.of(20, 5))
        lab.spare(guests)  # else the clerks take some of them once more while all settles
        violations: list[Violation] = []
        wins = {ann.name: 0, bob.name: 0}
        for number in range(count):
            conversation = guests[number % len(guests)].conversation
            outcomes = await asyncio.gather(ann.claim(conversation, first), bob.claim(conversation, second))
            if sum(outcomes) != 1:
                detail = f"pair {number}: {sum(outcomes)} of two claims won"
                violations.append(Violation("one owner", conversation, detail))
            for clerk, won in zip((ann, bob), outcomes, strict=True):
                if won:
                    wins[clerk.name] += 1
                    await clerk.say(conversation, f"{number}")
                    await clerk.hand_back(conversation)
            if number % 200 == 199:
                trial.say(f"{number + 1} of {count} pairs")
        for clerk in lab.clerks:
            await clerk.finish()
        await lab.settle()
        trial.figure("pairs", count)
        trial.figure("won", "/".join(map(str, wins.values())))
        lines = await lab.verdict(replay=not trial.short)
        claimed = sum(f["kind"] == "ConversationClaimed" for line in lines for f in line["entry"]["facts"])
        if claimed != count:
            violations.append(Violation("one owner", "", f"{claimed} claims are stored of {count} pairs"))
        if violations:
            raise LawBroken(violations)
