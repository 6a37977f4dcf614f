"""How the queues of the operators' desk stand: told over core NATS, and looked at by flows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

#: What stands for every queue of which nothing else is told.
OTHER_QUEUES: Final = ""
#: So many queues are told at most.
MAX_TOLD: Final = 300


class QueueFigures(msgspec.Struct, frozen=True, omit_defaults=True):
    """``available``: people work now, and one who is online has room. ``waiting``: so many visitors wait.
    ``wait``: how long it took lately until somebody took over (seconds). None: that is not known.
    """

    available: bool | None = None
    waiting: int | None = None
    wait: int | None = None


UNKNOWN_QUEUE: Final = QueueFigures()


def figures_of(told: Mapping[str, QueueFigures], queue: str) -> QueueFigures:
    """How one queue stands by what was told of some."""
    return told.get(queue) or told.get(OTHER_QUEUES) or UNKNOWN_QUEUE
