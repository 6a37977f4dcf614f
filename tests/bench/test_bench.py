"""The smallest run of the benchmark: every part works, and its report is sound. Figures mean nothing here."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pytest

from tests.bench import deliveries, numbers, tricks
from tests.bench.__main__ import measure
from tests.bench.parts import SMOKE
from tests.bench.report import Reach, Report
from tests.bench.stage import Load
from tests.bench.without import TRICKS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads Linux's process figures")


@pytest.mark.parametrize("part", ["turns", "million", "doors"])
async def test_smallest_run(part: str, tmp_path: Path) -> None:
    usable = os.sched_getaffinity(0)
    try:
        report = await measure(SMOKE, [part], quiet=True)
    finally:
        os.sched_setaffinity(0, usable)
    medians = report.medians()
    assert not [note for note in report.notes if "lost" in note]
    if part == "turns":
        turn, echo = medians["turns", "path", "N=5 long"], medians["turns", "echo", "N=5 long"]
        assert min(echo["turns_per_s"], turn["turns_per_s"]) > 0
        processes = sum(value for name, value in turn.items() if name.startswith("cpu_ms "))
        assert turn["cpu_ms"] == pytest.approx(processes)
        assert medians["append", "raw", "sync always"]["appends_per_s"] > 0
    elif part == "doors":
        for door in ("websocket", "sse", "socketio"):
            assert medians["doors", door, "N=5 long"]["turns_per_s"] > 0
    elif part == "streams":
        for count in (1, 8):
            assert medians["streams", f"K={count}", "N=5 long"]["turns_per_s"] > 0
            assert medians["streams", f"K={count}", "at rest"]["cpu_percent"] > 0
    else:
        assert medians["reconnect", "path", "20 of entries=1000"]["p50_ms"] > 0
        assert medians["growth", "million", "N=5 long"]["turns_per_s"] > 0
    path = tmp_path / "report.json"
    report.write(path)
    written = msgspec.json.decode(path.read_bytes())
    assert len(written["runs"]) == len(report.runs)
    assert all(reach["verdict"] for reach in written["reach"])
    assert "| figure | measured | reach |" in report.text()


async def test_numbers_of_two_logs_are_measured() -> None:
    figures = await numbers.measure([100, 200], rounds=1)
    assert all(each.keys() == {100, 200} and min(each.values()) > 0 for each in figures.values())
    assert len(figures) == len(numbers.ASKED) + 5


async def test_each_way_of_a_delivery_is_measured() -> None:
    figures = await deliveries.measure(messages=100, rounds=1)
    assert figures.keys() == deliveries.WAYS.keys()
    assert all(len(each) == 1 and each[0] > 0 for each in figures.values())


async def test_all_tricks_can_be_taken_out() -> None:
    """A service without any of them still gives turns: each is found where `without` looks for it."""
    usable = os.sched_getaffinity(0)
    load = await Load().start()
    try:
        ratios = await tricks.measure(",".join(TRICKS), load, rounds=1, seconds=0.2)
        assert all(len(of) == 1 and of[0] > 0 for of in ratios.values())
    finally:
        await load.stop()
        os.sched_setaffinity(0, usable)


def test_ratio_is_of_what_was_measured_side_by_side() -> None:
    report = Report("test", lambda line: None)
    for round, (product, peer) in enumerate([(1.0, 0.5), (4.0, 1.0), (9.0, 3.0)]):
        report.add("turns", "path", "N=1 long", round, {"cpu_ms": product})
        report.add("turns", "node", "N=1 long", round, {"cpu_ms": peer})
    assert report.ratio("cpu_ms", "turns", ("path", "N=1 long"), ("node", "N=1 long")) == 3.0
    assert report.ratio("cpu_ms", "turns", ("path", "N=1 long"), ("echo", "N=1 long")) is None


@pytest.mark.parametrize(
    "value, verdict", [(None, "not measured"), (0.9, "reached"), (1.0, "reached"), (1.1, "not reached")]
)
def test_verdict(value: float | None, verdict: str) -> None:
    assert Reach("figure", value, "at most", 1.0, "ms").verdict == verdict
