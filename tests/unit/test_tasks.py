"""Tasks are ended for good."""

from __future__ import annotations

import asyncio

from shared.service.tasks import end_others


async def test_a_task_that_loses_a_cancellation_is_ended_all_the_same() -> None:
    lost: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.append("one")
        await asyncio.Event().wait()

    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("at its end")

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(fails())]
    await asyncio.sleep(0)
    await end_others()
    assert lost == ["one"]
    assert tasks[0].cancelled()
    assert isinstance(tasks[1].exception(), ValueError)
