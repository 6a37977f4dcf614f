"""The end of tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel until all are done, whatever they raise.

    Once is not enough: before Python 3.12 `asyncio.wait_for` loses a cancellation where what is waited
    for comes at the same instant (python/cpython#86296), and nats-py's reconnecting waits with it.
    """
    left = list(tasks)
    while left := [task for task in left if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=1)


async def end_others() -> None:
    """End all tasks of the loop but the one that calls."""
    await end(asyncio.all_tasks() - {asyncio.current_task()})
