"""How far a file is that a service makes of the log, and how old."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge


def measure_read_model(
    registry: CollectorRegistry, position: Callable[[], int], newest: Callable[[], int]
) -> None:
    """``position`` is how many entries are in the file, ``newest`` when the last of them was stored
    (nanoseconds since 1970, 0 for never).
    """
    Gauge(
        "switchboard_read_model_position",
        "Entries that are in the file which this service makes of the log",
        registry=registry,
    ).set_function(lambda: float(position()))
    Gauge(
        "switchboard_read_model_entry_timestamp_seconds",
        "When the newest entry in that file was stored, 0 for never",
        registry=registry,
    ).set_function(lambda: newest() / 1_000_000_000)
