"""The fault laboratory: ``python -m tests.faults [--only NAME] [--seed N] [--short]``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from shared.service.tasks import end_others
from tests.faults.run import Skipped, Trial
from tests.faults.scenarios import ALL
from tests.faults.volumes import release

#: No scenario takes as long; one that does is stuck (seconds).
MAX_SECONDS = 600.0


def main() -> int:
    """Run the scenarios; the number of those that did not hold or were not run."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(ALL), help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, help="repeats the run that printed it")
    parser.add_argument("--short", action="store_true", help="the sizes of `make test`")
    parser.add_argument("--keep", type=Path, help="folder for logs, histories and figures, kept afterwards")
    options = parser.parse_args()
    seed = options.seed or random.SystemRandom().randrange(1, 10**6)
    print(f"seed {seed}: --seed {seed} repeats this run", flush=True)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(prefix="switchboard-faults-") as temporary:
        folder: Path = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        names = list(dict.fromkeys(options.only or ALL))
        if not options.short:
            told = ", ".join(f"{name} {ALL[name].seconds}" for name in names)
            total = sum(ALL[name].seconds for name in names)
            print(f"about {total / 60:.0f} minutes, in seconds: {told}", flush=True)
        results: list[dict[str, Any]] = []
        with contextlib.suppress(KeyboardInterrupt):  # then what was done so far is told
            for name in names:
                results.append(run(name, folder / name, seed, options.short))
                if options.keep is None:
                    shutil.rmtree(folder / name, ignore_errors=True)
        (folder / "results.json").write_text(json.dumps({"seed": seed, "results": results}, indent=2))
    print()
    for result in results:
        figures = ", ".join(f"{name} {value}" for name, value in result["figures"].items())
        print(f"{result['name']:12} {result['outcome']:8} {result['seconds']:6.1f} s  {figures}")
    failed: int = sum(result["outcome"] == "FAILED" for result in results)
    total = sum(result["seconds"] for result in results)
    left_out = len(names) - len(results)
    print(
        f"seed {seed}: {len(results)} scenarios in {total:.0f} s, {failed} failed"
        + (f", {left_out} not run" if left_out else "")
    )
    return failed + left_out


def run(name: str, folder: Path, seed: int, short: bool) -> dict[str, Any]:
    """Run one scenario: its name, outcome, seconds and figures."""
    release(folder)  # what an earlier run left, or kept
    shutil.rmtree(folder, ignore_errors=True)
    trial = Trial(name, folder, seed, short, tell=lambda text: print(text, flush=True))
    trial.say("begins: " + (ALL[name].run.__doc__ or "").splitlines()[0])
    begun = time.monotonic()
    outcome = "passed"
    try:
        asyncio.run(_alone(trial))
    except Skipped as why:
        outcome = "skipped"
        trial.figure("because", why)
    except Exception as error:
        outcome = "FAILED"
        trial.figure("because", f"{type(error).__name__}: {error}".strip().splitlines()[0][:200])
        traceback.print_exc()
    trial.say(outcome)
    seconds = round(time.monotonic() - begun, 1)
    return {"name": name, "outcome": outcome, "seconds": seconds, "figures": trial.figures}


async def _alone(trial: Trial) -> None:
    """One scenario, of which nothing goes on afterwards."""
    try:
        await asyncio.wait_for(ALL[trial.name].run(trial), MAX_SECONDS)
    finally:
        await end_others()


if __name__ == "__main__":
    sys.exit(main())
