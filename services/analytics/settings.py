"""The settings of the analytics service."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shared.service.settings import Common, Port


class Settings(Common, frozen=True, kw_only=True):
    """The common settings, where the dashboard listens, who may see it, and where the numbers are kept."""

    analytics_port: Annotated[Port, msgspec.Meta(description="port of the dashboard and its API")] = 9996
    analytics_file: Annotated[
        str,
        msgspec.Meta(
            description="file in which the numbers are kept, of one replica; empty: a temporary one, so that "
            "the log is read anew at each start"
        ),
    ] = ""
    operator_port: Annotated[Port, msgspec.Meta(description="port of the operators' console and API")] = 9997
    operator_url: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(https?://[^\s/?#@]+/?)?$",
            description="the console's own address, as browsers have it: https://desk.example.com",
        ),
    ] = ""
    dashboard_open: Annotated[
        bool,
        msgspec.Meta(
            description="whether the dashboard needs no login: then everybody who reaches it sees all "
            "numbers, and nothing of single operators or conversations"
        ),
    ] = False
    operator_names: Annotated[
        bool,
        msgspec.Meta(
            description="whether numbers of single operators are shown to supervisors and themselves"
        ),
    ] = True
