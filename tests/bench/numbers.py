"""The numbers of a long log beside those of a short one: ``python -m tests.bench.numbers``.

Four minutes. It says how long the service takes to count a log from nothing, and to go on from its file, how
much memory it holds then, and how long each kind of question about the numbers takes.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final
from zoneinfo import ZoneInfo

import duckdb

from services.analytics import questions
from services.analytics.domain.definitions import CURRENT, DEFINITIONS
from services.analytics.domain.periods import Period
from services.analytics.numbers import numbers
from services.analytics.questions import Question
from services.analytics.store import NumbersStore
from tests.bench.fill import Filler
from tests.bench.measure import resident
from tests.bench.stage import DEFAULT_SYNC, Stack, launch

SHORT: Final = 20_000
LENGTH: Final = 10
ROUNDS: Final = 5
ALWAYS: Final = Question(Period(0, 2**62))
UTC: Final = ZoneInfo("UTC")

#: Each is asked of a store, and told by its median.
ASKED: Final[dict[str, Callable[[duckdb.DuckDBPyConnection], Any]]] = {
    "the whole summary and metrics": numbers,
    "every number there is": lambda store: [questions.value(store, each, ALWAYS) for each in DEFINITIONS],
    "one by its group": lambda store: questions.groups(store, CURRENT["turns"], ALWAYS, "flow"),
    "one by weekday and hour": lambda store: questions.week(store, CURRENT["turns"], ALWAYS, UTC),
    "what one is made of": lambda store: questions.behind(store, CURRENT["turns"], ALWAYS),
}


async def measure(lengths: list[int], rounds: int = ROUNDS) -> dict[str, dict[int, float]]:
    """Figures by what was measured, then by the log's entries: seconds, entries/s and MB."""
    figures: dict[str, dict[int, float]] = {}

    def told(what: str, entries: int, figure: float) -> None:
        figures.setdefault(what, {})[entries] = figure
        print(f"{entries:,} entries, {what}: {figure:,.3g}", flush=True)

    for entries in lengths:
        async with AsyncExitStack() as ends:
            folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="switchboard-numbers-")))
            stack = Stack(folder, DEFAULT_SYNC, ())
            await stack.start()
            ends.push_async_callback(stack.stop)
            await Filler(stack).fill(LENGTH, entries // LENGTH)
            file = folder / "numbers.duckdb"
            for how in ("from nothing", "from its file"):
                service = stack.make("analytics")
                service.set(SWITCHBOARD_ANALYTICS_FILE=str(file))
                began = perf_counter()
                await launch(service, seconds=600)
                seconds = perf_counter() - began
                assert service.process is not None
                told(f"ready {how} (s)", entries, seconds)
                if how == "from nothing":
                    told("counted (entries/s)", entries, entries / seconds)
                told(f"memory {how} (MB)", entries, resident(service.process.pid) / 1e6)
                await service.stop()
            copy = Path(shutil.copy(file, folder / "copy.duckdb"))
            for what, seconds in _asked(copy, rounds).items():
                told(f"{what} (s)", entries, seconds)
    return figures


def _asked(file: Path, rounds: int) -> dict[str, float]:
    took: dict[str, list[float]] = {}
    with NumbersStore(file) as store, store.reading() as reading:
        for _ in range(rounds):
            for what, ask in ASKED.items():
                began = perf_counter()
                ask(reading)
                took.setdefault(what, []).append(perf_counter() - began)
    return {what: median(each) for what, each in took.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.numbers", description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000, help="of the long log")
    asyncio.run(measure([SHORT, parser.parse_args().entries]))
