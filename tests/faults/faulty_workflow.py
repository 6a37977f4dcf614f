"""The workflow with faults at the named points of a turn. Tests only: the product takes its fault points
as arguments and has no settings for them.

``DIE_AT`` names the point at which it kills itself (-9): ``after_fetch``, ``before_append`` or
``after_append`` (and before the acknowledgement), or one of those around a timer, a backend's answer and
the assistant's (``before_schedule``, ``after_schedule``, ``before_fire``, ``after_fire``, ``before_record``,
``before_generation``); ``DIE_AFTER`` how often it lives through it.
``DAWDLE`` is how long (seconds) it may pause at each point, so that others come between.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal

from services.workflow.app import WorkflowApp
from services.workflow.settings import WorkflowSettings
from shared.service.health import Health
from shared.service.lifecycle import main

POINTS = ("after_fetch", "before_append", "after_append")
ANSWER_POINTS = ("before_generation", "before_append", "after_append")
BACKEND_POINTS = ("before_record", "before_append", "after_append")
TIMER_POINTS = ("before_schedule", "after_schedule", "before_fire", "after_fire", "before_append")


def faulty(settings: WorkflowSettings, health: Health) -> WorkflowApp:
    """The workflow's app with the faults that the environment names."""
    at, lives = os.environ.get("DIE_AT", ""), int(os.environ.get("DIE_AFTER", "0"))
    dawdle = float(os.environ.get("DAWDLE", "0"))

    async def fault(point: str, conversation: str) -> None:
        nonlocal lives
        if dawdle:
            await asyncio.sleep(random.uniform(0, dawdle))
        if point == at:
            lives -= 1
            if lives < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return WorkflowApp(settings, health, fault)


if __name__ == "__main__":
    main("workflow", WorkflowSettings, lambda settings: settings.workflow_port, faulty)
