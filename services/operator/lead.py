"""One replica at a time does what only one shall do: a key in the desk's bucket says which.

Whoever leads writes the key anew every few seconds, over the revision that they wrote last. Who has seen the
same revision for long by their own clock takes the lead over by writing it. No clocks are compared, and a
replica that could not write the key for some seconds leads no more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js.kv import KeyValue

from shared.contract import subjects

#: So often the key is written anew, so long it holds for whoever wrote it, and so long others wait (seconds).
RENEW_SECONDS: Final = 3.0
HOLD_SECONDS: Final = 6.0
TAKE_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 2.0


class Lead:
    """One replica's. ``clock`` gives seconds that never go back."""

    def __init__(self, client: Client, key: str, replica: str, clock: Callable[[], float]) -> None:
        name = subjects.DESK_STATE
        js = client.jetstream(timeout=ANSWER_SECONDS)
        self._bucket = KeyValue(
            name=name, stream=f"KV_{name}", pre=subjects.desk_state(""), js=js, direct=False
        )
        self._key = key
        self._value = replica.encode()
        self._clock = clock
        self._seen = -1  # the newest revision that is known
        self._since = 0.0  # since when
        self._written = (
            -math.inf
        )  # when it was written here; the key is somebody else's where that is long ago

    @property
    def held(self) -> bool:
        """Whether this replica leads, as far as is known without asking."""
        return self._clock() - self._written < HOLD_SECONDS

    async def take(self) -> bool:
        """Whether this replica leads; to be asked every second or so."""
        now = self._clock()
        if now - self._written < RENEW_SECONDS:
            return True
        try:
            if not self.held and not await self._free(now):
                return False
            revision = await self._bucket.update(self._key, self._value, last=self._seen)
        except nats.js.errors.KeyWrongLastSequenceError:
            self._written = -math.inf
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError):
            pass  # it may have been written: the next time tells
        else:
            self._seen, self._since, self._written = revision, now, now
        return self.held

    async def _free(self, now: float) -> bool:
        """Whether nobody has written the key for long."""
        try:
            revision = (await self._bucket.get(self._key)).revision or 0
        except nats.js.errors.KeyNotFoundError as error:
            self._seen = error.entry.revision or 0 if error.entry is not None else 0
            return True
        if revision != self._seen:
            self._seen, self._since = revision, now
        return now - self._since >= TAKE_SECONDS
