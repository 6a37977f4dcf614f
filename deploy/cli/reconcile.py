"""`switchboard reconcile`: the totals, counted by another path and compared with what analytics tells."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any, Final, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import msgspec

from deploy.cli.connection import connected
from deploy.cli.progress import ProgressLine
from deploy.cli.settings import Local
from deploy.reconciling import Total, TotalDifference, differences, tally
from shared.contract.codec import entry_of
from shared.contract.entry import RecordedEntry
from shared.service.chat_log import ChatLog, open_log
from shared.service.settings import environment, load

#: How long analytics may take to count what has come (seconds).
PATIENCE: Final = 30.0
#: How often it is tried on a log that goes on.
TRIES: Final = 3


class ReconcileError(Exception):
    """The text says what to do."""


class ToldNumbers(NamedTuple):
    """What analytics tells of the log's first ``position`` entries."""

    position: int
    summary: dict[str, Any]
    metrics: str


class Reconciled(NamedTuple):
    """What was compared, and where it differs."""

    entries: int
    conversations: int
    totals: int
    differences: list[TotalDifference]


def reconcile(options: argparse.Namespace) -> int:
    """Compare. Raises `ReconcileError`, `ConnectionFailed`, `FolderError` or `LogError`."""
    env = environment()
    settings = load(Local, env)
    address = options.analytics or f"http://127.0.0.1:{settings.analytics_port}"
    metrics = options.metrics or address
    for each in (address, metrics):
        if urlsplit(each).scheme not in ("http", "https"):
            raise ReconcileError(f"{each!r} is no address: write it as http://127.0.0.1:9996")

    async def command() -> Reconciled:
        async with connected(settings, env, "reader") as client:
            return await compared(await open_log(client), address, metrics)

    done = asyncio.run(command())
    found = done.differences
    print(
        f"{done.entries:,} entries of {done.conversations:,} conversations: {done.totals} totals compared,"
        f" {len(found) or 'no'} difference{'s' * (len(found) != 1)}."
    )
    if found:
        print("\n".join(map(str, found)))
        print(
            "These numbers are not those of the log. Where it lasts, stop the service, remove its file and"
            " start it again: the log is counted anew.",
            file=sys.stderr,
        )
        return 1
    return 0


async def compared(log: ChatLog, address: str, metrics: str) -> Reconciled:
    """Where the service at ``address`` (its metrics at ``metrics``) tells something else than the log.

    Raises `ReconcileError` and `LogError`.
    """
    for _ in range(TRIES):
        ends = await log.ends()
        counted, conversations = await count(log, ends)
        told = await asyncio.to_thread(_told, address, metrics, sum(ends))
        if told.position == sum(ends):
            found = differences(counted, told.summary, told.metrics)
            return Reconciled(sum(ends), conversations, len(counted), found)
    raise ReconcileError(
        "the log goes on while it is read, so nothing can be compared: try again when it is quieter"
    )


async def count(log: ChatLog, ends: Sequence[int]) -> tuple[Counter[Total], int]:
    """The totals of the log up to these ends, and how many conversations it has. Raises `Unreachable`."""
    found: Counter[Total] = Counter()
    names: set[str] = set()
    progress = ProgressLine("Counting")
    try:
        async for batch in log.read(ends=ends):
            names.update(message.key for message in batch)
        for number, name in enumerate(sorted(names), 1):
            found += tally(await _entries(log, name, ends[log.layout.stream_of(name)]))
            progress(number, len(names))
    finally:
        progress.end()
    return found, len(names)


async def _entries(log: ChatLog, name: str, end: int) -> list[RecordedEntry]:
    return [
        entry_of(message)
        async for window in log.windows(name)
        for message in window
        if message.sequence <= end
    ]


def _told(address: str, metrics: str, position: int) -> ToldNumbers:
    """Once so much was counted, or a while later what there is."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            summary = msgspec.json.decode(_get(f"{address}/api/summary"), type=dict[str, Any])
            text = _get(f"{metrics}/metrics").decode()
        except HTTPError as error:
            if error.code != 503:
                raise ReconcileError(f"{error.url} answers {error.code} {error.reason}") from error
            summary, text = {"position": -1}, ""
        except (URLError, OSError, HTTPException, ValueError) as error:
            raise ReconcileError(
                f"the analytics service at {address} cannot be asked: {error}. --analytics names another"
            ) from error
        if summary["position"] >= position or time.monotonic() > end:
            return ToldNumbers(summary["position"], summary, text)
        time.sleep(0.2)


def _get(address: str) -> bytes:
    with urlopen(address, timeout=10) as answer:
        found: bytes = answer.read()
    return found
