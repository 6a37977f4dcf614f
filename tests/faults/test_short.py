"""The fault laboratory's short form: ``python -m tests.faults --short`` runs the same, and more of it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.run import Skipped, Trial
from tests.faults.scenarios import ALL

#: What `make test` has time for: a minute in all. The kills at random moments and the frozen replica are
#: tests of their own; the rest is left to `make faults`.
SHORT = ("points", "assistant", "timers", "disk")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SHORT)
async def test_the_promise_holds_under(name: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("SWITCHBOARD_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"seed {seed}: python -m tests.faults --short --only {name} --seed {seed} repeats this run")
    try:
        await ALL[name].run(Trial(name, tmp_path / name, seed, short=True))
    except Skipped as why:
        pytest.skip(str(why))
