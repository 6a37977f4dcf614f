"""One run of a scenario: its folder, its chance, its size, and the figures it found."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.checker import Violation


class Skipped(Exception):
    """The scenario cannot run on this machine; the text says why."""


class LawBroken(AssertionError):
    """One or more laws did not hold."""

    def __init__(self, violations: list[Violation]) -> None:
        shown = "\n  ".join(str(violation) for violation in violations[:10])
        super().__init__(f"{len(violations)} violations:\n  {shown}")
        self.violations = violations


class Trial:
    """``short`` asks for the form that fits into `make test`; the seed decides all that chance decides."""

    def __init__(
        self, name: str, folder: Path, seed: int, short: bool, tell: Callable[[str], None] = print
    ) -> None:
        self.name = name
        self.folder = folder
        self.short = short
        self.chance = random.Random(f"{seed}:{name}")
        self.figures: dict[str, str] = {}
        self._tell = tell
        self._begun = time.monotonic()
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, full: int, short: int) -> int:
        """How many: of the full form, or of the short one."""
        return short if self.short else full

    def say(self, text: str) -> None:
        """A line of progress."""
        self._tell(f"{self.name:12} {time.monotonic() - self._begun:6.1f} s  {text}")

    def figure(self, name: str, value: object) -> None:
        """A figure for the report."""
        self.figures[name] = str(value)


def quantile(values: list[float], share: float) -> float:
    """The value that ``share`` of all stay at or below; 0.0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
