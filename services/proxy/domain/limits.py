"""How much of everything a visitor, an address and all of them together may have.

Pure: the clock is passed in (seconds, monotonic). Nothing here grows without a bound, whatever keys
strangers invent.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Literal

#: The largest frame, and the largest body of a request (bytes).
MAX_FRAME: Final = 64 * 1024
MAX_BODY: Final = 64 * 1024
#: Whatever a visitor writes at once (bytes of UTF-8).
MAX_TEXT: Final = 16 * 1024

#: A group, an item or an editor's session that nobody asked for yet (characters).
MAX_ID: Final = 256

#: Messages of one conversation that wait for their answer. While no workflow runs nobody gets one, and
#: once one runs again it gives them in the order of the log: nobody may put thousands before the others'.
MAX_UNANSWERED: Final = 200

#: Keys that a generation of buckets remembers. A flood of invented ones makes room by forgetting
#: the oldest, who then begin with a full bucket: the lesser evil.
MAX_KEYS: Final = 100_000


class Buckets:
    """A token bucket for each key: ``burst`` at once, ``per_minute`` on average.

    Kept as the time at which a key's bucket will be full again (the "theoretical arrival time" of
    the generic cell rate algorithm, ITU-T I.371): one number for each key. A bucket that is full
    again need not be remembered. Keys sit in two generations; the older is dropped when nobody in
    it can still owe anything.
    """

    def __init__(self, burst: int, per_minute: int, most_keys: int = MAX_KEYS) -> None:
        self._interval = 60.0 / per_minute  # seconds for one token
        self._refill = burst * self._interval  # seconds for all of them
        self._most_keys = most_keys
        self._full_at: dict[str, float] = {}
        self._older: dict[str, float] = {}
        self._turn = float("-inf")  # when the newer generation began

    def take(self, key: str, now: float) -> float:
        """Take a token: 0.0 where there was one, else the seconds until there will be one."""
        self._forget(now)
        full_at = self._with_one_less(key, now)
        if wait := self._over(full_at, now):
            return wait
        self._full_at[key] = full_at
        return 0.0

    def wait(self, key: str, now: float) -> float:
        """What `take` would answer, without taking."""
        return self._over(self._with_one_less(key, now), now)

    def __len__(self) -> int:
        """How many keys are remembered, some of them perhaps twice."""
        return len(self._full_at) + len(self._older)

    def _with_one_less(self, key: str, now: float) -> float:
        known = self._full_at.get(key)
        if known is None:
            known = self._older.get(key, now)
        return max(known, now) + self._interval

    def _over(self, full_at: float, now: float) -> float:
        wait = full_at - now - self._refill
        return wait if wait > 1e-6 else 0.0  # less is only the rounding of floats

    def _forget(self, now: float) -> None:
        if now - self._turn >= self._refill or len(self._full_at) >= self._most_keys:
            # Who is only in the older generation took nothing since it was the newer one, so unless
            # there were too many keys that is long enough for a full bucket.
            self._older = self._full_at if now - self._turn < 2 * self._refill else {}
            self._full_at = {}
            self._turn = now


Full = Literal["in all", "of this visitor", "from this address"]


class Places:
    """Counts what is open: in all, for each visitor and from each address.

    A place is taken before it is used, so that of two who come at once for the last one gets it.
    """

    def __init__(self, in_all: int, per_visitor: int, per_address: int) -> None:
        self._in_all = in_all
        self._per_visitor = per_visitor
        self._per_address = per_address
        self._taken = 0
        self._visitors: Counter[str] = Counter()
        self._addresses: Counter[str] = Counter()

    def enter(self, visitor: str, address: str) -> Full | None:
        """Take a place; where there is none, say which limit is reached, and take nothing."""
        if self._taken >= self._in_all:
            return "in all"
        if self._visitors[visitor] >= self._per_visitor:
            return "of this visitor"
        if self._addresses[address] >= self._per_address:
            return "from this address"
        self._taken += 1
        self._visitors[visitor] += 1
        self._addresses[address] += 1
        return None

    def leave(self, visitor: str, address: str) -> None:
        """Give back a place that was taken with the same names."""
        self._taken -= 1
        for counts, key in ((self._visitors, visitor), (self._addresses, address)):
            counts[key] -= 1
            if counts[key] <= 0:
                del counts[key]

    def __len__(self) -> int:
        return self._taken
