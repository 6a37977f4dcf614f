"""The workflow with a death sentence: kill -9 of itself at a named point of a turn, the n-th time there.

``DIE_AT`` is one of ``after_fetch``, ``before_append``, ``after_append`` (and before the
acknowledgement); ``DIE_AFTER`` how often it lives through it. Tests only: the product takes its fault
points as arguments and has no settings for them.
"""

from __future__ import annotations

import os
import signal

from services.workflow.app import App
from services.workflow.settings import WorkflowSettings
from shared.runtime.service import main
from shared.runtime.vitals import Vitals

POINTS = ("after_fetch", "before_append", "after_append")


def mortal(settings: WorkflowSettings, vitals: Vitals) -> App:
    """The workflow's app with the fault point that the environment names."""
    at, lives = os.environ["DIE_AT"], int(os.environ["DIE_AFTER"])

    async def die(point: str, conversation: str) -> None:
        nonlocal lives
        if point == at:
            lives -= 1
            if lives < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return App(settings, vitals, die)


if __name__ == "__main__":
    main("workflow", WorkflowSettings, lambda settings: settings.workflow_port, mortal)
