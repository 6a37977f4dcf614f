"""The operator service's settings."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shared.service.settings import Port, PositiveInt, Sealing


class Settings(Sealing, frozen=True, kw_only=True):
    """Each field is one variable, ``SWITCHBOARD_<NAME>``."""

    operator_port: Annotated[Port, msgspec.Meta(description="port of the operators' console and API")] = 9997
    login_failures: Annotated[
        PositiveInt, msgspec.Meta(description="failed logins a minute for one name or one address")
    ] = 5
