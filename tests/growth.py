"""How the cost of a function grows with what it is given: two sizes, compared in one run."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

#: What grows as its input does costs about 4 times as much for 4 times the size; what grows as the
#: square, 16 times. Tests take a bound between them, nearer to the larger: machines are noisy.
TIMES = 4


def growth(work: Callable[[int], object], size: int = 4_000) -> float:
    """How many times more ``work`` costs for `TIMES` the size; of several tries the quickest count."""
    return _quickest(work, size * TIMES) / _quickest(work, size)


def _quickest(work: Callable[[int], object], size: int) -> float:
    best = float("inf")
    collecting = gc.isenabled()
    gc.disable()  # it looks at everything that the tests before left
    try:
        for _ in range(5):
            begin = time.thread_time()  # of the machine's other work nothing counts
            work(size)
            best = min(best, time.thread_time() - begin)
    finally:
        if collecting:
            gc.enable()
    return best
