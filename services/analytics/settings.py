"""The settings of the analytics service."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shared.service.settings import Common, Port


class Settings(Common, frozen=True, kw_only=True):
    """The common settings, where the dashboard listens, and where the numbers are kept."""

    analytics_port: Annotated[Port, msgspec.Meta(description="port of the dashboard and its API")] = 9996
    analytics_file: Annotated[
        str,
        msgspec.Meta(
            description="file in which the numbers are kept, of one replica; empty: a temporary one, so that "
            "the log is read anew at each start"
        ),
    ] = ""
