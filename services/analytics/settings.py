"""The settings of the analytics service."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shared.service.settings import Common, Port


class Settings(Common, frozen=True, kw_only=True):
    """The common settings, and where the dashboard listens."""

    analytics_port: Annotated[Port, msgspec.Meta(description="port of the dashboard and its API")] = 9996
