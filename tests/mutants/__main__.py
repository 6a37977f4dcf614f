"""Take out one rule after the other, in a copy of the tree, and see whether the tests notice.

Fails for a rule that no test notices, and for a mutation that no longer applies.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import NamedTuple

from tests.mutants.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).parent.parent.parent
#: What the copy does without.
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "data", ".hypothesis")
#: So many rules are taken out at once, each in a copy of its own: much of a test is waiting.
AT_ONCE = os.cpu_count() or 1
#: After so long the tests hang, which is a way to notice (seconds).
MAX_SECONDS = 180
#: Simulated worlds of a run: fewer than the tests' own, and enough for each of these rules.
SIMULATIONS = "4000"


class MutantVerdict(NamedTuple):
    """What became of a rule's absence; ``told`` is the test that noticed it, or why there is none."""

    mutation: Mutation
    noticed: bool
    told: str
    seconds: float


_NOTICED = re.compile(r"^(?:FAILED|ERROR) \S*?([\w.]+\.py(?:::\S+)?)", re.MULTILINE)


def without(mutation: Mutation, tree: Path) -> str | None:
    """The test that notices that the rule is missing; None if none does."""
    file = tree / mutation.file
    text = file.read_text("utf-8")
    file.write_text(text.replace(mutation.old, mutation.new), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutation.tests]
    try:
        ran = subprocess.run(
            command,
            cwd=tree,
            env={**environment(), "PYTHONPATH": str(tree), "SWITCHBOARD_SIMULATIONS": SIMULATIONS},
            capture_output=True,
            text=True,
            timeout=MAX_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"none ended within {MAX_SECONDS} s"
    finally:
        file.write_text(text, "utf-8")
    if ran.returncode == 0:
        return None
    found = _NOTICED.search(ran.stdout)
    if found is None:  # no test failed: pytest itself could not run
        raise SystemExit(
            f"{mutation.rule}: pytest ended with {ran.returncode}\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}"
        )
    return found[1]


def environment() -> dict[str, str]:
    """The environment, without what would point the tests at this tree."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")}


def judge(mutation: Mutation, trees: SimpleQueue[Path]) -> MutantVerdict:
    """Take the rule out in one of the ``trees`` that is free."""
    tree = trees.get()
    begin = monotonic()
    try:
        if (tree / mutation.file).read_text("utf-8").count(mutation.old) != 1:
            return MutantVerdict(mutation, False, "NO LONGER APPLIES", monotonic() - begin)
        test = without(mutation, tree)
        return MutantVerdict(
            mutation, test is not None, test or "SURVIVED: no test notices", monotonic() - begin
        )
    finally:
        trees.put(tree)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="rules whose name or file holds this text")
    only = parser.parse_args().only.lower()
    chosen = [each for each in MUTATIONS if only in f"{each.rule} {each.file}".lower()]
    if not chosen:
        parser.error(f"no rule holds {only!r}")
    noticed = 0
    trees: SimpleQueue[Path] = SimpleQueue()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(AT_ONCE):
            tree = Path(folder) / str(number)
            shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
            trees.put(tree)
        for verdict in pool.map(lambda mutation: judge(mutation, trees), chosen):
            mutation = verdict.mutation
            noticed += verdict.noticed
            what = f"{mutation.file}: {' '.join(mutation.old.split())[:60]}"
            print(f"{mutation.rule} | {what} | {verdict.told} | {verdict.seconds:.0f} s", flush=True)
    print(f"{noticed} of {len(chosen)} rules are noticed when they are missing")
    return int(noticed < len(chosen))


if __name__ == "__main__":
    sys.exit(main())
