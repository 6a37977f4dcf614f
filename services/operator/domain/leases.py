"""Who is at the desk: a conversation that an operator has is theirs while they are there.

Whoever acts, or whose console answers a heartbeat, is there; the replicas of the service tell one another.
A time in which nobody could be heard, because the connection was down, is nobody's absence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

#: A console answers a heartbeat every ten seconds: whoever misses two of them is no longer said to be here
#: (seconds).
PRESENT_SECONDS: Final = 25.0


class Leases:
    """``seconds``: for how long an operator counts as there who is not heard of; 0: for ever.

    ``clock`` gives seconds that never go back.
    """

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._heard: dict[str, float] = {}
        self._here: set[str] = set()
        self._since = clock()  # before that nobody could be heard

    def here(self, operator: str) -> None:
        """The operator did something at this replica just now."""
        self._heard[operator] = self._clock()
        self._here.add(operator)

    def there(self, operators: Iterable[str]) -> None:
        """Another replica tells who did something there just now."""
        now = self._clock()
        self._heard.update((operator, now) for operator in operators)

    def present(self, operator: str) -> bool:
        """Whether the operator was heard of just now."""
        return operator in self._heard and self._clock() - self._heard[operator] <= PRESENT_SECONDS

    def to_tell(self) -> list[str]:
        """Who did something here since this was asked last."""
        told, self._here = sorted(self._here), set()
        return told

    def deaf(self) -> None:
        """Nobody could be heard until now."""
        self._since = self._clock()

    def lapsed(self, operator: str) -> bool:
        """Whether the operator has not been heard of for so long that others shall go on."""
        if not self._seconds:
            return False
        return self._clock() - max(self._since, self._heard.get(operator, 0.0)) > self._seconds
