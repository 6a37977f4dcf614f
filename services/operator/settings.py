"""The operator service's settings."""

from __future__ import annotations

from typing import Annotated

import msgspec

from services.operator.erasure import AGE
from services.operator.sso_settings import SignOnSettings
from shared.contract.roles import Role
from shared.service.settings import Port, PositiveInt, variable


class Settings(SignOnSettings, frozen=True, kw_only=True):
    """Each field is one variable, ``SWITCHBOARD_<NAME>``."""

    operator_port: Annotated[Port, msgspec.Meta(description="port of the operators' console and API")] = 9997
    operator_file: Annotated[
        str,
        msgspec.Meta(
            description="file in which the lists of conversations are kept, of one replica; empty: a "
            "temporary one, so that the log is read anew at each start"
        ),
    ] = ""
    login_failures: Annotated[
        PositiveInt,
        msgspec.Meta(
            description="failed logins a minute for one account at one address; ten times as many for one "
            "network"
        ),
    ] = 5
    second_factor_roles: Annotated[
        tuple[Role, ...],
        msgspec.Meta(
            description="roles that must have a second factor, such as supervisor,admin: whoever has none "
            "sets one up before anything else"
        ),
    ] = ()
    lease_seconds: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            description="an operator who is not heard of for so long loses their conversations to the queue "
            "(at least 30); 0: never",
        ),
    ] = 60
    eraser_password: Annotated[
        str,
        msgspec.Meta(
            description="the password of the NATS user eraser; without it another replica must destroy keys"
        ),
    ] = ""
    retention: Annotated[
        str,
        msgspec.Meta(
            pattern=AGE,
            description="erase what was silent for so long: 400d, 36h; empty: nothing",
        ),
    ] = ""

    webhooks_private: Annotated[
        bool,
        msgspec.Meta(
            description="whether webhooks may go to addresses inside the own network, and over plain http"
        ),
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.lease_seconds < 30:
            raise ValueError(
                f"{variable('lease_seconds')} is {self.lease_seconds}: consoles are heard of every ten "
                "seconds, so it must be at least 30, or 0 for no lease."
            )
        if self.retention and not self.eraser_password:
            raise ValueError(
                f"{variable('retention')} is set, and {variable('eraser_password')} is not: "
                "only the NATS user eraser may erase."
            )
