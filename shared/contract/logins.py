"""Who is logged in: asked of the operator service over core NATS by who may not read its buckets."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from shared.contract.roles import Role

#: The cookie that holds a session's token. Cookies do not know ports: every page of one host has it.
SESSION_COOKIE: Final = "switchboard_operator"

#: Why nobody is told: ``none``, the session is not one, or stands no more; ``second_factor``, the account
#: must get one before it may do anything; ``unavailable``, the accounts cannot be read now.
LoginFailure = Literal["none", "second_factor", "unavailable"]


class LoginAsked(msgspec.Struct, frozen=True):
    """``key`` is `shared.contract.sessions.session_key` of the token, which itself is told to nobody."""

    key: str


class LoginTold(msgspec.Struct, frozen=True):
    """The account, the name it is shown by, and its role; or ``failure``."""

    name: str = ""
    display: str = ""
    role: Role = "operator"
    failure: LoginFailure | None = None
