"""What the log's parts count of their own work. Labels are few and fixed: no key, no subject."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from shared.eventlog.errors import Conflict, Full, IdReused, LogError, Unknown, Unreachable
from shared.eventlog.loop_histogram import LoopHistogram

if TYPE_CHECKING:
    from shared.eventlog.follower import Follower
    from shared.eventlog.mailbox import WakeUp

#: An append takes one write to the disk, so half a millisecond to ten; all of its tries may take ten seconds.
APPEND_BOUNDS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
#: How an append may end, by what its future fails with; the first that fits. What remains was not sent.
_ENDINGS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (Conflict, "conflict"),
    (IdReused, "id_reused"),
    (Full, "full"),
    (Unknown, "unknown"),
    (Unreachable, "unreachable"),
    (LogError, "refused"),
)
_NOT_SENT: Final = "not_sent"
_FAULT: Final = "fault"
_OUTCOMES: Final = ("stored", *(word for _, word in _ENDINGS), _NOT_SENT)


class AppendMeter:
    """Of all appends that one process makes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._appends = Counter(
            "switchboard_log_appends_total",
            "Appends to the log, by author and by how they ended: stored, conflict (somebody was quicker, so "
            "what was decided on less is fenced off), id_reused, full, refused, unknown (no answer came), "
            "unreachable, not_sent",
            ["author", "outcome"],
            registry=registry,
        )
        self._known: dict[str, dict[str, Counter]] = {}
        self._repeats = Counter(
            "switchboard_log_append_repeats_total",
            "Appends that were on the log already: the server dropped the duplicate",
            ["author"],
            registry=registry,
        )
        self._seconds = LoopHistogram(
            "switchboard_log_append_seconds",
            "From an append to the server's last word on it, all tries together",
            registry=registry,
            buckets=APPEND_BOUNDS,
        )

    def begin(self, author: str, sequence: asyncio.Future[int]) -> None:
        """Count it when ``sequence`` is settled."""
        started = perf_counter()
        counts = self._known.get(author)
        if counts is None:  # all at once: a counter that appears with its first failure shows no increase
            counts = {outcome: self._appends.labels(author, outcome) for outcome in _OUTCOMES}
            self._known[author] = counts
            self._repeats.labels(author)

        def ended(future: asyncio.Future[int]) -> None:
            self._seconds.observe(perf_counter() - started)
            counts[_outcome(future)].inc()

        sequence.add_done_callback(ended)

    def repeated(self, author: str) -> None:
        """The server had it already."""
        self._repeats.labels(author).inc()


class FollowMeter:
    """Of one subscription."""

    def __init__(self, registry: CollectorRegistry, followers: tuple[Follower, ...]) -> None:
        self._healed = Counter(
            "switchboard_follower_healed_total",
            "Messages that the live feed lacked and that were fetched",
            ["stream"],
            registry=registry,
        )
        self._replaced = Counter(
            "switchboard_follower_log_replaced_total",
            "Times the log turned out to be another one than the one that was followed",
            registry=registry,
        )
        self._failed = Counter(
            "switchboard_follower_failures_total",
            "Entries that their reader could not bear (reader), and holes in the log (hole)",
            ["reason"],
            registry=registry,
        )
        for reason in ("reader", "hole"):
            self._failed.labels(reason)
        position = Gauge(
            "switchboard_follower_position",
            "Entries up to which the stream was read",
            ["stream"],
            registry=registry,
        )
        lag = Gauge(
            "switchboard_follower_lag_entries",
            "Entries that the stream is known to have and that were not read yet; its end is asked for every "
            "two seconds",
            ["stream"],
            registry=registry,
        )
        checked = Gauge(
            "switchboard_follower_checked_timestamp_seconds",
            "When all of the stream was last known to have been read, 0 for never",
            ["stream"],
            registry=registry,
        )
        certain = Gauge(
            "switchboard_follower_certain",
            "1 while what was read is known to be the log as it stands",
            ["stream"],
            registry=registry,
        )
        for follower in followers:
            stream = str(follower.number)
            self._healed.labels(stream)
            position.labels(stream).set_function(partial(_count, follower))
            lag.labels(stream).set_function(partial(_lag, follower))
            checked.labels(stream).set_function(partial(_checked, follower))
            certain.labels(stream).set_function(partial(_certain, follower))

    def healed(self, stream: int) -> None:
        """A message was fetched that the live feed lacked."""
        self._healed.labels(str(stream)).inc()

    def replaced(self) -> None:
        """The log is another one."""
        self._replaced.inc()

    def failed(self, reason: str) -> None:
        """Something is missing for a reader, or for all."""
        self._failed.labels(reason).inc()


class WorkMeter:
    """Of one `DurableWorker`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._deliveries = Counter(
            "switchboard_worker_deliveries_total",
            "Wake-ups that came from durable consumers, those that came again among them",
            registry=registry,
        )
        self._redeliveries = Counter(
            "switchboard_worker_redeliveries_total",
            "Wake-ups that came again: somebody had them and did not end them in time",
            registry=registry,
        )
        self._retries = Counter(
            "switchboard_worker_retries_total",
            "Steps of work that did not end, and are made again, by why",
            ["reason"],
            registry=registry,
        )
        for _, reason in (*_ENDINGS, (Exception, _FAULT)):
            self._retries.labels(reason)
        self._keys = Gauge(
            "switchboard_worker_conversations_in_hand",
            "Conversations with something in hand here",
            registry=registry,
        )
        self._acknowledged = Counter(
            "switchboard_worker_acknowledged_total", "Wake-ups whose work is done", registry=registry
        )

    def watch(self, in_hand: Callable[[], int]) -> None:
        """``in_hand`` says how many conversations have something in hand."""
        self._keys.set_function(lambda: float(in_hand()))

    def took(self, wake_up: WakeUp) -> None:
        self._deliveries.inc()
        if wake_up.count > 1:
            self._redeliveries.inc()

    def again(self, error: BaseException) -> None:
        """A step ended with this, and will be made again."""
        reason = next((word for kind, word in _ENDINGS if isinstance(error, kind)), _FAULT)
        self._retries.labels(reason).inc()

    def acknowledged(self) -> None:
        self._acknowledged.inc()


def _count(follower: Follower) -> float:
    return float(follower.count)


def _lag(follower: Follower) -> float:
    return float(follower.lag)


def _checked(follower: Follower) -> float:
    return follower.checked


def _certain(follower: Follower) -> float:
    return float(follower.certain)


def _outcome(future: asyncio.Future[int]) -> str:
    if future.cancelled():
        return "unknown"
    error = future.exception()
    if error is None:
        return "stored"
    return next((word for kind, word in _ENDINGS if isinstance(error, kind)), _NOT_SENT)
