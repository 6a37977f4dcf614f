"""Logging in and out: the cookie, and the limit on wrong passwords."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from prometheus_client import Counter

from services.operator.accounts import Accounts
from services.operator.domain.browsers import browser_name
from services.operator.domain.decisions import Operator
from services.operator.domain.limits import LoginLimit
from services.operator.transports.parameters import Req

COOKIE = "switchboard_operator"

#: A session's token, and whose it is.
Entered = tuple[str, Operator]


class Caller(NamedTuple):
    """Who asks: the address, and the browser in a few words."""

    address: str
    browser: str


def caller_of(request: Req) -> Caller:
    """Of a request."""
    agent = request.headers.get("user-agent", "")
    return Caller(request.client.host if request.client else "", browser_name(agent))


class TooMany(Exception):
    """Too many logins failed; ``seconds`` until another may be tried."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many failed logins, try again later")
        self.seconds = math.ceil(seconds)


class Door:
    """Lets operators in. The limit counts in this process: n replicas allow n times as many."""

    def __init__(self, accounts: Accounts, failures: int, logins: Counter) -> None:
        self.accounts = accounts
        self._limit = LoginLimit(failures)
        self._logins = logins

    async def log_in(self, name: str, password: str, caller: Caller) -> Entered | None:
        """A session's token and the operator, or None. Raises `TooMany`, or `Unavailable`."""
        return await self._tried(name, caller, lambda: self.accounts.log_in(name, password, caller.browser))

    async def change_password(self, name: str, current: str, password: str, caller: Caller) -> Entered | None:
        """A new session's token with the new password, or None: ``current`` is wrong. Raises as `log_in`.

        A wrong one counts like a failed login: whoever finds an open console may not try them all.
        """
        return await self._tried(
            name, caller, lambda: self.accounts.change_password(name, current, password, caller.browser)
        )

    async def _tried(
        self, name: str, caller: Caller, attempt: Callable[[], Awaitable[Entered | None]]
    ) -> Entered | None:
        now, address = time.monotonic(), caller.address
        wait = self._limit.wait(name, address, now)
        if wait > 0:
            self._logins.labels("limited").inc()
            raise TooMany(wait)
        self._limit.add(name, address, now)
        refused = False
        try:
            entered = await attempt()
            refused = entered is None
        finally:
            if not refused:
                self._limit.take_back(name, address, now)
        self._logins.labels("refused" if refused else "entered").inc()
        return entered
