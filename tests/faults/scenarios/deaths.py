"""The workflow kills itself at a named point of its work."""

from __future__ import annotations

import asyncio
import time

from tests.faults.lab import Lab

#: Where nothing comes to the point for so long, the work hangs (seconds).
MAX_SECONDS = 60.0


async def die_at(lab: Lab, work: asyncio.Task[None], point: str, lives: int) -> float:
    """Put a workflow in the place of the first one that dies at ``point``, after passing it so often.

    Seconds from its start to its death.
    """
    faulty = lab.make("workflow", "tests.faults.faulty_workflow", DIE_AT=point, DIE_AFTER=str(lives))
    first, *others = lab.parts["workflow"] or [faulty]
    first.kill()
    lab.use("workflow", [faulty, *others])
    begun = time.monotonic()
    faulty.launch()
    assert faulty.process is not None
    while faulty.process.poll() is None:
        await asyncio.sleep(0.05)
        if work.done():
            await work
        assert time.monotonic() - begun < MAX_SECONDS, f"nothing came to {point}: the work hangs"
    return time.monotonic() - begun


async def heal(lab: Lab) -> None:
    """Put a sound workflow in the place of the first one."""
    sound = lab.make("workflow")
    lab.parts["workflow"][0].kill()
    lab.use("workflow", [sound, *lab.parts["workflow"][1:]])
    await lab.restart([sound])
