"""Visitors at all doors, while proxies, workflows and the server are killed."""

from __future__ import annotations

import asyncio
import time

from tests.faults.checker import Violation
from tests.faults.doors import Chatter, Poster, TextGuest
from tests.faults.flows import plain, written
from tests.faults.lab import Lab
from tests.faults.run import LawBroken, Trial
from tests.faults.text_door_checks import heard, session_of, to_be_heard

#: How long after a kill somebody must have been answered again (seconds).
MAX_SECONDS = 60.0


async def doors(trial: Trial) -> None:
    """REST sessions and Socket.IO chats are told what the log says, over kills of whatever serves them."""
    rounds, each = trial.of(15, 1), trial.of(12, 3)
    flow = written(plain(), trial.folder / "lab.json")
    numbers = trial.of(1, 0)
    async with Lab(trial, proxies=2, workflows=2, analytics=numbers, clerks=2, flow=flow) as lab:
        visitors = await lab.invite(each, people=0.05, anew=0.03)
        seeds = [trial.chance.randrange(10**9) for _ in range(2 * each)]
        posters = [Poster(lab.urls("proxy"), lab.history, seed, people=0.1) for seed in seeds[:each]]
        chatters = [Chatter(lab.urls("proxy"), lab.history, seed, people=0.1) for seed in seeds[each:]]
        others: list[TextGuest] = [*posters, *chatters]
        talks: list[asyncio.Task[None]] = []
        try:
            for chatter in chatters:
                await chatter.open()
            work = lab.talk(visitors, 10**6, pause=(0.0, 0.3))
            talks = [asyncio.create_task(guest.talk(0.3)) for guest in others]
            longest = 0.0
            for number in range(rounds):
                await asyncio.sleep(trial.chance.uniform(0.5, 2.0))
                begun, before = time.monotonic(), sum(guest.answers for guest in others)
                if number % 4 == 3:
                    lab.server.kill()
                    await asyncio.to_thread(lab.server.start)
                else:
                    await lab.restart([trial.chance.choice(lab.parts[n]) for n in ("proxy", "workflow")])
                while sum(guest.answers for guest in others) == before:
                    await asyncio.sleep(0.05)
                    for task in (work, *talks):
                        if task.done():
                            task.result()
                    assert time.monotonic() - begun < MAX_SECONDS, "nobody is answered after the kill"
                longest = max(longest, time.monotonic() - begun)
                if number % 5 == 4:
                    trial.say(
                        f"{number + 1} of {rounds} kills, {sum(guest.answers for guest in others)} answers"
                    )
            for guest in others:
                guest.leaving = True
            await asyncio.gather(*talks)  # with operators at work: who waits for one gets an answer
            await lab.stop(work)
            await lab.settle()
            trial.figure("kills", rounds)
            trial.figure("answers", f"{_answers(posters)} by REST, {_answers(chatters)} by Socket.IO")
            trial.figure("kill to an answer", f"at most {longest:.1f} s")
            violations: list[Violation] = []
            lines = await lab.lines()
            for poster in posters:
                await poster.read_all()
                session = await poster.session_now()
                violations += session_of(
                    poster.conversation, session["messages"], poster.streamed, poster.posted, lines
                )
                if poster.gone:
                    violations.append(Violation("transcript", poster.conversation, "its session was denied"))
            for chatter in chatters:
                await chatter.caught_up(len(to_be_heard(chatter.conversation, lines)))
                violations += heard(chatter.conversation, chatter.heard, lines)
                if chatter.resets:
                    violations.append(
                        Violation("transcript", chatter.conversation, "it was told to begin anew")
                    )
        finally:
            for task in talks:
                task.cancel()
            await asyncio.gather(*(guest.close() for guest in others), return_exceptions=True)
        await lab.verdict(replay=not trial.short)
        if violations:
            raise LawBroken(violations)


def _answers(guests: list[Poster] | list[Chatter]) -> int:
    return sum(guest.answers for guest in guests)
