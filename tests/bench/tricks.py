"""A/B: what each trick of the hot path saves, as CPU of a turn without it over one with it.

    python -m tests.bench.tricks [TRICK ...]

Two stacks side by side, of nats-server, proxy and workflow on one core; in one the trick is taken out of the
running programs (see `without`). They take turns, the first one another in each round; each figure is the
median of the rounds' ratios. A trick that saves less than 3 % in every cell has no place in the product.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from tests.bench.load import Job
from tests.bench.measure import cores, raise_open_files
from tests.bench.stage import DEFAULT_SYNC, PATH, Load, Stack, launch
from tests.bench.without import TRICKS

ROUNDS: Final = 9
SECONDS: Final = 1.5
#: How many visitors, and how many answers of each (None: as many as there is time for).
CELLS: Final = {"N=1 long": (1, None), "N=50 short": (50, 2), "N=500 long": (500, None)}


#: What a setting switches off: no trick, but measured the same way. Here less than 1.00 is what it costs.
SETTINGS: Final = {"sealing": {"SWITCHBOARD_SEALING": "no"}}


class StackWithout(Stack):
    """A stack whose services lack these tricks, named with commas between them; "" for none."""

    def __init__(self, folder: Path, tricks: str) -> None:
        super().__init__(folder, DEFAULT_SYNC, ())
        self._tricks = tricks

    async def start(self) -> StackWithout:
        await self.start_server()
        for name in PATH:
            service = self.make(name)
            if self._tricks in SETTINGS:
                service.set(**SETTINGS[self._tricks])
            elif self._tricks:
                service.module = ("tests.bench.without", self._tricks, f"services.{name}")
            self.services[name] = await launch(service)
        return self


async def measure(
    tricks: str, load: Load, rounds: int = ROUNDS, seconds: float = SECONDS
) -> dict[str, list[float]]:
    """For each cell the rounds' ratios: CPU of a turn without the tricks over one with them."""
    ratios: dict[str, list[float]] = {cell: [] for cell in CELLS}
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder:
        stacks = [StackWithout(Path(folder) / "with", ""), StackWithout(Path(folder) / "without", tricks)]
        try:
            for stack in stacks:
                await stack.start()
            for round in range(rounds):
                for cell, (clients, answers) in CELLS.items():
                    job = Job(kind="turns", clients=clients, warm=0.3, seconds=seconds)
                    if answers is not None:
                        job = msgspec.structs.replace(job, answers=answers)
                    taken = {}
                    for stack in stacks if round % 2 else stacks[::-1]:
                        taken[stack] = await _turn(load, stack, job)
                    ratios[cell].append(taken[stacks[1]] / taken[stacks[0]])
        finally:
            for stack in stacks:
                await stack.stop()
    return ratios


async def _turn(load: Load, stack: Stack, job: Job) -> float:
    """CPU of a turn (seconds), of everything that it goes through."""
    result = await load.run(msgspec.structs.replace(job, port=stack.port, pids=list(stack.pids.values())))
    await asyncio.sleep(0.1)
    return sum(result.cpu) / result.turns


async def main() -> None:
    known = [*TRICKS, *SETTINGS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tricks", description=__doc__)
    parser.add_argument("tricks", nargs="*", metavar="TRICK", help=f"of {', '.join(known)}")
    chosen = parser.parse_args().tricks or known
    if unknown := set(chosen) - set(known):
        parser.error(f"there is no trick {', '.join(sorted(unknown))}")
    raise_open_files(5_000)
    tested, loading = cores()
    os.sched_setaffinity(0, {tested, loading})
    load = await Load().start()
    try:
        print(f"| without | {' | '.join(CELLS)} |\n| --- |{' --- |' * len(CELLS)}", flush=True)
        for trick in chosen:
            ratios = await measure(trick, load)
            told = " | ".join(f"{median(of):.2f} ({min(of):.2f} to {max(of):.2f})" for of in ratios.values())
            print(f"| {trick.replace('_', ' ')} | {told} |", flush=True)
    finally:
        await load.stop()


if __name__ == "__main__":
    asyncio.run(main())
