"""The benchmark's results: medians, the table, the figures to reach, the JSON."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from tests.processes import ROOT

Figures = dict[str, float]

#: The 0.16 ms for a turn were set where the echo server answers 57,000 frames a second on one core: as
#: many of its answers take as long. On any machine this says the same; milliseconds do not.
ECHOES = 9.1


class Run(msgspec.Struct, frozen=True):
    """One measurement: ``part`` of the benchmark, ``variant`` measured, ``cell`` of the grid."""

    part: str
    variant: str
    cell: str
    round: int
    figures: Figures


class Reach(msgspec.Struct, frozen=True):
    """A figure to reach: what it is, and whether it is as good as ``limit`` (``sense``)."""

    figure: str
    value: float | None
    sense: Literal["at most", "at least"]
    limit: float
    unit: str

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        good = self.value <= self.limit if self.sense == "at most" else self.value >= self.limit
        return "reached" if good else "not reached"


class Report:
    """Collects runs; tells of each as it comes."""

    def __init__(self, form: str, tell: Callable[[str], None]) -> None:
        self.form = form
        self.runs: list[Run] = []
        self.notes: list[str] = []
        self._tell = tell

    def add(self, part: str, variant: str, cell: str, round: int, figures: Figures) -> None:
        self.runs.append(Run(part, variant, cell, round, figures))
        shown = "  ".join(f"{name} {_short(value)}" for name, value in figures.items())
        self._tell(f"{part:9} {variant:10} {cell:26} {shown}")

    def note(self, text: str) -> None:
        """Something that the reader must know: a part that could not run, a limit of the machine."""
        self.notes.append(text)
        self._tell(f"NOTE: {text}")

    def medians(self) -> dict[tuple[str, str, str], Figures]:
        """The median of each figure over the rounds."""
        groups: dict[tuple[str, str, str], list[Figures]] = {}
        for run in self.runs:
            groups.setdefault((run.part, run.variant, run.cell), []).append(run.figures)
        return {
            key: {name: statistics.median(one[name] for one in all if name in one) for name in all[0]}
            for key, all in groups.items()
        }

    def ratio(self, figure: str, part: str, one: tuple[str, str], other: tuple[str, str]) -> float | None:
        """One variant and cell over another: the median of the rounds' ratios, measured side by side."""
        rounds: dict[int, dict[tuple[str, str], float]] = {}
        for run in self.runs:
            if run.part == part and figure in run.figures:
                rounds.setdefault(run.round, {})[run.variant, run.cell] = run.figures[figure]
        ratios = [found[one] / found[other] for found in rounds.values() if found.keys() >= {one, other}]
        return statistics.median(ratios) if ratios else None

    def figure(self, part: str, variant: str, cell: str, name: str) -> float | None:
        return self.medians().get((part, variant, cell), {}).get(name)

    def reaches(self) -> list[Reach]:
        """Where each figure to reach stands. One that this run did not measure has no value."""
        long, short, doors = "N=500 long", "N=50 short", "N=50 long"
        turn: Callable[[str, str, str], float | None] = lambda variant, peer, cell: self.ratio(  # noqa: E731
            "cpu_ms", "turns", (variant, cell), (peer, cell)
        )
        million = "entries=1000000"
        return [
            Reach("CPU of a turn, N=500 long, turn's path", self.figure("turns", "path", long, "cpu_ms"),
                  "at most", 0.16, "ms"),
            Reach("the same against the echo server", turn("path", "echo", long), "at most", ECHOES, "times"),
            Reach("CPU of a turn against the Node peer, N=500 long, turn's path", turn("path", "node", long),
                  "at most", 3.3, "times"),
            Reach("the same with operator and analytics, N=500 long", turn("system", "node", long),
                  "at most", 3.3, "times"),
            Reach("CPU of a turn against the Node peer, N=50 short, turn's path",
                  turn("path", "node", short), "at most", 4, "times"),
            Reach("the same with operator and analytics, N=50 short", turn("system", "node", short),
                  "at most", 4, "times"),
            Reach("sync always: turns/s against the durable peer, N=500 long",
                  self.ratio("turns_per_s", "turns", ("always", long), ("durable always", long)),
                  "at least", 1.7, "times"),
            Reach("CPU of a turn against the tuned durable peer, N=500 long", turn("path", "tuned", long),
                  "at most", 1.4, "times"),
            Reach("CPU of a turn against the durable peer, N=50 short", turn("path", "durable", short),
                  "at most", 0.75, "times"),
            Reach("turn p50 at N=1, turn's path", self.figure("turns", "path", "N=1 long", "p50_ms"),
                  "at most", 0.8, "ms"),
            Reach("the same in raw hops", self._hops(), "at most", 6, "hops"),
            Reach("sync always: appends against the raw ceiling, N=500", self._ceiling(),
                  "at least", 0.7, "times"),
            Reach("reconnect, 20 entries of a million, whole p50",
                  self.figure("reconnect", "path", f"20 of {million}", "p50_ms"), "at most", 1.5, "ms"),
            Reach("the same, its entries in a row",
                  self.figure("reconnect", "path", f"20 in a row of {million}", "p50_ms"),
                  "at most", 1.5, "ms"),
            Reach("reconnect of the oldest conversations against the newest, of a million entries",
                  self.ratio("p50_ms", "reconnect", ("path", f"20 oldest of {million}"),
                             ("path", f"20 newest of {million}")), "at most", 1.5, "times"),
            Reach("idle connection against the echo server, 1,000",
                  self.ratio("kb_each", "idle", ("proxy", "N=1000"), ("echo", "N=1000")),
                  "at most", 1.3, "times"),
            Reach("replay into the operator's state",
                  self.figure("replay", "operator", million, "entries_per_s"),
                  "at least", 80_000, "entries/s"),
            Reach("CPU of a turn at a million entries against empty",
                  self.ratio("cpu_ms", "growth", ("million", long), ("empty", long)),
                  "at most", 1.1, "times"),
            Reach("CPU of a turn by server-sent events against the WebSocket's",
                  self.ratio("cpu_ms", "doors", ("sse", doors), ("websocket", doors)),
                  "at most", 2.5, "times"),
            Reach("the same by Socket.IO",
                  self.ratio("cpu_ms", "doors", ("socketio", doors), ("websocket", doors)),
                  "at most", 3, "times"),
        ]  # fmt: skip

    def _hops(self) -> float | None:
        turn = self.figure("turns", "path", "N=1 long", "p50_ms")
        hop = self.figure("append", "raw", "sync default", "hop_p50_ms")
        return turn / hop if turn and hop else None

    def _ceiling(self) -> float | None:
        """Each turn appends twice. The median of the rounds, in each of which one stands beside the other."""
        turns = self._rounds("turns", "always", "N=500 long", "turns_per_s")
        raw = self._rounds("append", "raw", "sync always", "appends_per_s")
        ratios = [2 * turns[round] / raw[round] for round in turns.keys() & raw.keys()]
        return statistics.median(ratios) if ratios else None

    def _rounds(self, part: str, variant: str, cell: str, figure: str) -> dict[int, float]:
        return {
            run.round: run.figures[figure]
            for run in self.runs
            if (run.part, run.variant, run.cell) == (part, variant, cell) and figure in run.figures
        }

    def text(self) -> str:
        """The tables, as Markdown."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"Form: {self.form}. Machine: {machine()}. Commit: {commit()}. Medians of the rounds."
        medians = self.medians()
        for part in dict.fromkeys(run.part for run in self.runs):
            rows = {key[1:]: figures for key, figures in medians.items() if key[0] == part}
            names = list(dict.fromkeys(name for figures in rows.values() for name in figures))
            yield ""
            yield f"| {part} | | {' | '.join(names)} |"
            yield "| --- " * (len(names) + 2) + "|"
            cells = list(dict.fromkeys(cell for _, cell in rows))
            for (variant, cell), figures in sorted(rows.items(), key=lambda row: cells.index(row[0][1])):
                values = (_short(figures[name]) if name in figures else "" for name in names)
                yield f"| {variant} | {cell} | {' | '.join(values)} |"
        yield ""
        yield "| figure | measured | reach | |"
        yield "| --- | --- | --- | --- |"
        for reach in self.reaches():
            value = "" if reach.value is None else f"{_short(reach.value)} {reach.unit}"
            yield f"| {reach.figure} | {value} | {reach.sense} {reach.limit:,g} | {reach.verdict} |"
        for note in self.notes:
            yield ""
            yield f"Note: {note}."

    def write(self, path: Path) -> None:
        """Everything as JSON."""
        medians = [
            {"part": part, "variant": variant, "cell": cell, **figures}
            for (part, variant, cell), figures in self.medians().items()
        ]
        reaches = [{**msgspec.structs.asdict(reach), "verdict": reach.verdict} for reach in self.reaches()]
        content = {
            "form": self.form,
            "machine": machine(),
            "commit": commit(),
            "notes": self.notes,
            "reach": reaches,
            "medians": medians,
            "runs": self.runs,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1))


def machine() -> str:
    """The machine in general words."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"{os.cpu_count()} cores ({model}), {platform.system()}, Python {platform.python_version()}"


def commit() -> str:
    """The commit of the checkout, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty"]
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
