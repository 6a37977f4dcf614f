"""How far a long command has come, on the terminal; silent where there is none."""

from __future__ import annotations

import sys
import time

#: How often the line is written anew, and from when on at all: what is quick needs no bar (seconds).
PAUSE_SECONDS = 0.1
FIRST_SECONDS = 0.5
WIDTH = 24


class ProgressLine:
    """One line on the terminal that is written over, and removed at the end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = False
        self._next = time.monotonic() + FIRST_SECONDS
        self._terminal = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._terminal or now < self._next:
            return
        self._next = now + PAUSE_SECONDS
        self._shown = True
        share = done / total if total else 1.0
        bar = ("=" * int(WIDTH * share)).ljust(WIDTH)
        sys.stderr.write(f"\r{self._what} [{bar}] {done:,} of {total:,}\x1b[K")
        sys.stderr.flush()

    def end(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
