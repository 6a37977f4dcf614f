"""``python -m tests.bench``: the short form, under five minutes; ``--full``, all of it, under thirty."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from tests.bench.measure import cores, raise_open_files
from tests.bench.parts import FULL, PARTS, SHORT, SMOKE, Bench, BenchSize
from tests.bench.report import Report
from tests.bench.stage import Load

RESULTS = Path(__file__).parent / "results"


async def measure(size: BenchSize, parts: list[str], quiet: bool = False) -> Report:
    """Run the parts; the report."""
    began = perf_counter()

    def tell(line: str) -> None:
        if not quiet:
            print(f"{perf_counter() - began:6.0f} s  {line}", file=sys.stderr, flush=True)

    report = Report(size.name, tell)
    raise_open_files(max(size.idle) + 1_000)
    tested, loading = cores()
    if tested == loading:
        report.note("there is one core only: the load generator takes part of what it measures")
    os.sched_setaffinity(0, {tested, loading})
    load = await Load().start()
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder:
        try:
            for part in parts:
                tell(f"--- {part}")
                await PARTS[part](Bench(size, Path(folder), load, report))
        finally:
            await load.stop()
    tell("done")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Switchboard's benchmark.")
    parser.add_argument("--full", action="store_true", help="all parts, under 30 minutes")
    parser.add_argument("--smoke", action="store_true", help="the smallest run that touches everything")
    parser.add_argument("--parts", default="", help=f"comma-separated, of {', '.join(PARTS)}")
    parser.add_argument(
        "--entries", type=int, help="how many the filled log has at the end, instead of a million"
    )
    parser.add_argument("--json", type=Path, help="where the JSON goes")
    arguments = parser.parse_args()
    size = FULL if arguments.full else SMOKE if arguments.smoke else SHORT
    if arguments.entries:
        if not size.entries:
            parser.error("--entries is for --full: the short form fills no log")
        size = size._replace(entries=(*size.entries[:-1], arguments.entries))
    parts = [part for part in arguments.parts.split(",") if part] or [
        part for part in PARTS if size.entries or part != "million"
    ]
    if unknown := set(parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    report = asyncio.run(measure(size, parts))
    path = arguments.json or RESULTS / f"{size.name}.json"
    report.write(path)
    print(report.text())
    print(f"\nJSON: {path}")


if __name__ == "__main__":
    main()
