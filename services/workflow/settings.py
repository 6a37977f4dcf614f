"""The workflow's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from shared.runtime.settings import Common, Port, PositiveInt

DEFAULT_FLOW = str(Path(__file__).parent / "flows" / "default.json")


class WorkflowSettings(Common, frozen=True, kw_only=True):
    workflow_port: Annotated[Port, Meta(description="port of the workflow's health and metrics")] = 9995
    flow: Annotated[str, Meta(description="file of the flow that new conversations begin with")] = (
        DEFAULT_FLOW
    )
    max_deliveries: Annotated[
        PositiveInt, Meta(description="deliveries of one input after which its outcome is a failure")
    ] = 20
