"""Tells other services who is logged in: they have the browser's cookie, and may read no account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from services.operator.accounts import Accounts, SecondFactorDemanded
from services.operator.buckets import Unavailable
from shared.contract.logins import LoginAsked, LoginTold

log = structlog.get_logger()

#: Answered at once by one replica; further ones wait.
PLACES: Final = 16


class LoginAnswers:
    """``accounts`` None: they cannot be read yet."""

    def __init__(self, accounts: Callable[[], Accounts | None]) -> None:
        self._accounts = accounts

    async def tell(self, asked: LoginAsked) -> LoginTold:
        """Whose session it is, if it stands. Never raises."""
        accounts = self._accounts()
        if accounts is None:
            return LoginTold(failure="unavailable")
        try:
            found = await accounts.who_has(asked.key)
        except SecondFactorDemanded:
            return LoginTold(failure="second_factor")
        except Unavailable as error:
            log.warning("login_not_told", error=str(error))
            return LoginTold(failure="unavailable")
        if found is None:
            return LoginTold(failure="none")
        return LoginTold(found.name, found.display, found.role)
