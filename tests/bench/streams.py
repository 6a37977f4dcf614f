"""How many streams a log should have: turns, start, rest and memory with each number, in turns."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Final

import msgspec

from tests.bench.load import Job
from tests.bench.measure import cpu_seconds, resident
from tests.bench.report import Figures
from tests.bench.stage import ALL, ALWAYS, Stack

if TYPE_CHECKING:
    from tests.bench.parts import Bench

#: The numbers compared.
COUNTS: Final = (1, 2, 4, 8)


async def streams(bench: Bench) -> None:
    """Part 8: the whole product with the product's sync, over logs of as many streams."""
    counts = COUNTS[:: 1 if len(bench.size.clients) > 1 else 3]
    stacks: dict[int, Stack] = {}
    try:
        for count in counts:
            stacks[count] = stack = Stack(bench.folder / f"streams-{count}", ALWAYS, ALL, streams=count)
            began = perf_counter()
            await stack.start()
            bench.report.add("streams", f"K={count}", "start", 0, {"ready_s": perf_counter() - began})
        for round in range(bench.size.rounds):
            for clients, answers, cell in _cells(bench):
                for count in counts:  # side by side: a disk has its moods
                    job = Job(kind="turns", clients=clients, warm=bench.size.warm, seconds=bench.size.seconds)
                    if answers:
                        job = msgspec.structs.replace(job, answers=answers)
                    bench.report.add(
                        "streams", f"K={count}", cell, round, await _turns(bench, stacks[count], job)
                    )
            for count in counts:
                bench.report.add("streams", f"K={count}", "at rest", round, await _rest(bench, stacks[count]))
    finally:
        for stack in stacks.values():
            await stack.stop()


def _cells(bench: Bench) -> list[tuple[int, int, str]]:
    """How many visitors, how many answers of each (0: many), and what the cell is called."""
    sizes = bench.size.clients
    long = [(n, 0, f"N={n} long") for n in sizes if n <= 500]
    return [*long, (50, 2, "N=50 short")] if 50 in sizes else long


async def _turns(bench: Bench, stack: Stack, job: Job) -> Figures:
    job = msgspec.structs.replace(job, port=stack.port, pids=list(stack.pids.values()))
    result = await bench.load.run(job)
    await asyncio.sleep(0.1)
    return {
        "turns_per_s": result.turns / result.seconds,
        "p50_ms": result.p50 * 1000,
        "p99_ms": result.p99 * 1000,
        "cpu_ms": sum(result.cpu) * 1000 / result.turns,
    }


async def _rest(bench: Bench, stack: Stack) -> Figures:
    """What everything takes while nobody says a word; a share of one core."""
    before, began = sum(map(cpu_seconds, stack.pids.values())), perf_counter()
    await asyncio.sleep(2 * bench.size.seconds)
    used = sum(map(cpu_seconds, stack.pids.values())) - before
    return {
        "cpu_percent": 100 * used / (perf_counter() - began),
        "nats_mb": resident(stack.pids["nats"]) / 1e6,
        "services_mb": sum(resident(pid) for name, pid in stack.pids.items() if name != "nats") / 1e6,
    }
