"""The assistant speaks, and whoever lets it speak is killed in the middle of a word."""

from __future__ import annotations

import asyncio

from tests.faults.checker import in_time
from tests.faults.external_checks import as_streamed, waited
from tests.faults.fake_externals import HeardDrafts, NumberingProvider
from tests.faults.faulty_workflow import ANSWER_POINTS
from tests.faults.flows import assistant, written
from tests.faults.lab import Lab
from tests.faults.run import LawBroken, Trial, quantile
from tests.faults.scenarios.deaths import die_at, heal
from tests.faults.workload import Talker

#: How long an answer may take over all that is done to it (seconds): a lease, a start, and the words,
#: twice over, since who takes over may be killed as well.
MAX_SECONDS = 40.0


async def spoken(trial: Trial) -> None:
    """Exactly one answer to each input, whole and as it was streamed; none while an operator owns."""
    rounds = trial.of(15, 0)
    async with NumberingProvider(trial.chance) as provider:
        flow = written(assistant(), trial.folder / "lab.json")
        numbers, settings = trial.of(1, 0), provider.settings
        async with Lab(trial, workflows=2, analytics=numbers, clerks=3, flow=flow, settings=settings) as lab:
            drafts = await HeardDrafts().follow(await lab.connect("proxy"))
            visitors = await lab.invite(trial.of(30, 8), kind=Talker, people=0.1, anew=0.03, haste=0.1)
            work = lab.talk(visitors, 10**6, pause=(0.0, 0.5), takeovers=0.5)
            plan = trial.chance.sample(ANSWER_POINTS * 3, trial.of(3 * len(ANSWER_POINTS), 1))
            for point in plan:
                await die_at(lab, work, point, trial.chance.randrange(1, 6))
            await heal(lab)
            trial.say(f"{len(plan)} deaths at named points, {len(provider.streams)} streams")
            for number in range(rounds):
                await asyncio.sleep(trial.chance.uniform(0.5, 3.0))
                if number % 4 == 3:
                    async with lab.broken():
                        lab.server.kill()
                        await asyncio.to_thread(lab.server.start)
                else:
                    victims = trial.chance.sample(lab.parts["workflow"], trial.chance.choice((1, 1, 2)))
                    await lab.restart(victims)
                if number % 5 == 4:
                    trial.say(f"{number + 1} of {rounds} kills, {len(provider.streams)} streams")
            await lab.stop(work)
            await lab.settle()
            lines = await lab.verdict(replay=not trial.short)
            seconds = waited(lines)
            trial.figure("deaths and kills", len(plan) + rounds)
            trial.figure("answers", f"{len(seconds)} of {len(provider.streams)} streams")
            told = f"p50 {quantile(seconds, 0.5):.1f} s, at most {max(seconds):.1f} s"
            trial.figure("input to answer", told)
            violations = as_streamed(lines, provider.streams, drafts.pieces, lab.breaks)
            violations += in_time("an answer of the assistant", max(seconds), MAX_SECONDS)
            if violations:
                raise LawBroken(violations)
