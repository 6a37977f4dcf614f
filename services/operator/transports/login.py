"""Logging in and out: the cookie, the limits on wrong passwords and codes, the second factor."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Literal, NamedTuple, TypeVar

import msgspec
from litestar.datastructures import Cookie
from prometheus_client import Counter

from services.operator.accounts import Accounts
from services.operator.domain.accounts import AccountRefused
from services.operator.domain.browsers import browser_name
from services.operator.domain.decisions import Operator
from services.operator.domain.limits import Failures, LoginLimit
from services.operator.domain.second_factor import looks_like_recovery
from services.operator.domain.single_sign_on import SignOnRefused
from services.operator.second_factor import SecondFactors
from services.operator.single_sign_on import SingleSignOn
from services.operator.transports.parameters import Req
from shared.contract.accounts import Account, SecondFactor
from shared.contract.logins import SESSION_COOKIE

COOKIE = SESSION_COOKIE

#: A session's token, and whose it is.
Entered = tuple[str, Operator]
Outcome = TypeVar("Outcome")

#: So many wrong codes an account may have in so many seconds: of a million codes three hold at a time.
CODE_FAILURES = 20
CODE_WINDOW = 3600.0


class Caller(NamedTuple):
    """Who asks: the address, and the browser in a few words."""

    address: str
    browser: str


def caller_of(request: Req) -> Caller:
    """Of a request."""
    agent = request.headers.get("user-agent", "")
    return Caller(request.client.host if request.client else "", browser_name(agent))


def session_cookie(request: Req, value: str, seconds: int) -> Cookie:
    """The session's cookie. No script can read it, and no other site's page makes a browser send it."""
    return Cookie(
        key=COOKIE,
        value=value,
        max_age=seconds,
        path="/",
        domain=request.app.state.session_domain or None,
        httponly=True,
        samesite="strict",
        secure=request.scope["scheme"] == "https",
    )


class TooMany(Exception):
    """Too many logins failed; ``seconds`` until another may be tried."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many failed logins, try again later")
        self.seconds = math.ceil(seconds)


class PasswordsOff(Exception):
    """Operators log in by single sign-on alone."""

    def __init__(self) -> None:
        super().__init__("log in by single sign-on: passwords are switched off here")


class LoginOptions(msgspec.Struct, frozen=True):
    """How operators log in: with a ``password``, by ``sign_on`` (what its button says; null: not at all).

    ``logout``: who came by single sign-on is logged out at its provider, too.
    """

    password: bool
    sign_on: str | None
    logout: bool


class CodeWanted(Exception):
    """The password is right, and the account has a second factor: its code is needed, or was wrong."""

    def __init__(self, why: Literal["needed", "wrong"]) -> None:
        super().__init__(
            "a code of your second factor is needed"
            if why == "needed"
            else "code: it is wrong, or was used already; take the next one that your app shows"
        )
        self.why = why


class Door:
    """Lets operators in. The limits count in this process: n replicas allow n times as many."""

    def __init__(
        self,
        accounts: Accounts,
        factors: SecondFactors,
        failures: int,
        logins: Counter,
        options: LoginOptions,
        sign_on: SingleSignOn | None,
    ) -> None:
        self.accounts = accounts
        self.factors = factors
        self.options = options
        self.sign_on = sign_on
        self._codes = Failures(CODE_FAILURES, CODE_WINDOW)
        self._limit = LoginLimit(failures)
        self._logins = logins

    async def log_in(self, name: str, password: str, code: str, caller: Caller) -> Entered | None:
        """A session's token and the operator, or None.

        Raises `CodeWanted`, `PasswordsOff`, `TooMany`, or `Unavailable`.
        """
        if not self.options.password:
            raise PasswordsOff

        async def attempt() -> Entered | None:
            found = await self.accounts.check(name, password)
            if found is None:
                return None
            account, revision = found
            changed = await self._with_code(account, code) if account.second else account
            if changed == account:
                return await self.accounts.begin(account, revision, caller.browser)
            return await self.accounts.renew(changed, revision, caller.browser)  # a recovery code is used up

        return await self._tried(name, caller, attempt)

    async def sign_on_ends(self, answer: Mapping[str, str], cookie: str, caller: Caller) -> Entered:
        """A session's token and the operator whom the provider has sent back.

        Raises `SignOnRefused`, `TooMany`, and `Unavailable`.
        """
        sign_on = self.sign_on
        assert sign_on is not None
        refused: list[SignOnRefused] = []

        async def attempt() -> Entered | None:
            try:
                account, revision = await sign_on.finish(answer, cookie)
            except SignOnRefused as error:
                refused.append(error)
                return None
            return await self.accounts.begin(account, revision, caller.browser, sso=True)

        entered = await self._tried("", caller, attempt)
        if entered is None:
            raise refused[0]
        return entered

    async def change_password(self, name: str, current: str, password: str, caller: Caller) -> Entered | None:
        """A new session's token with the new password, or None: ``current`` is wrong. Raises as `log_in`.

        A wrong one counts like a failed login: whoever finds an open console may not try them all.
        """
        return await self._tried(
            name, caller, lambda: self.accounts.change_password(name, current, password, caller.browser)
        )

    # --- one's own second factor ---

    async def begin_second(self, name: str, password: str, caller: Caller) -> bytes | None:
        """The secret of a second factor, to be confirmed; None: the password is wrong.

        Raises as `log_in`, `NoMasterKey` and `AccountRefused`.
        """
        found = await self._tried(name, caller, lambda: self.accounts.check(name, password))
        if found is None:
            return None
        if found[0].second is not None:
            raise AccountRefused("conflict", "this account has a second factor: take it off first")
        return await self.factors.begin(name, found[1])

    async def confirm_second(self, name: str, code: str, caller: Caller) -> tuple[Entered, list[str]] | None:
        """A new session's token, and recovery codes: from here on the account has a second factor.

        None: somebody else has changed the account. Raises `CodeWanted`, `TooMany` and `AccountRefused`.
        """
        found = await self.accounts.account(name)
        if found is None:
            return None
        account, revision = found
        if account.second is not None:
            raise AccountRefused("conflict", "this account has a second factor: take it off first")
        async with self._code_counted(name):
            second = await self.factors.confirmed(name, revision, code)
            if second is None:
                raise CodeWanted("wrong")
        return await self._renewed(account, revision, second, caller)

    async def change_second(
        self, name: str, password: str, code: str, caller: Caller, *, off: bool
    ) -> tuple[Entered, list[str]] | None:
        """Take one's own second factor ``off``, or get new recovery codes; with a new session's token.

        None: the password is wrong. Raises as `log_in`, and `AccountRefused`.
        """

        async def attempt() -> tuple[Entered, list[str]] | None:
            found = await self.accounts.check(name, password)
            if found is None:
                return None
            account, revision = found
            if account.second is None:
                raise AccountRefused("conflict", "this account has no second factor")
            second = (await self._with_code(account, code)).second
            return await self._renewed(account, revision, None if off else second, caller)

        return await self._tried(name, caller, attempt)

    async def _renewed(
        self, account: Account, revision: int, second: SecondFactor | None, caller: Caller
    ) -> tuple[Entered, list[str]] | None:
        codes: list[str] = []
        if second is not None:
            codes, kept = self.factors.recovery(account.name)
            second = msgspec.structs.replace(second, recovery=kept)
        changed = msgspec.structs.replace(account, second=second)
        entered = await self.accounts.renew(changed, revision, caller.browser)
        return entered and (entered, codes)

    async def _with_code(self, account: Account, code: str) -> Account:
        """The account, once the code was found right, without it if it is a recovery code.

        Raises `CodeWanted` and `TooMany`.
        """
        if not code:
            raise CodeWanted("needed")
        async with self._code_counted(account.name):
            assert account.second is not None
            if looks_like_recovery(code):
                changed = self.factors.used(account, code)
                if changed is None:
                    raise CodeWanted("wrong")
                return changed
            if not await self.factors.fits(account.name, account.second, code):
                raise CodeWanted("wrong")
            return account

    # --- limits ---

    @contextlib.asynccontextmanager
    async def _code_counted(self, account: str) -> AsyncIterator[None]:
        """Wrong codes count for an account, wherever they come from: whoever tries them has its password."""
        now = time.monotonic()
        wait = self._codes.wait(account, now)
        if wait > 0:
            self._logins.labels("limited").inc()
            raise TooMany(wait)
        self._codes.add(account, now)
        wrong = False
        try:
            yield
        except CodeWanted:
            wrong = True
            raise
        finally:
            if not wrong:
                self._codes.take_back(account, now)

    async def _tried(
        self, name: str, caller: Caller, attempt: Callable[[], Awaitable[Outcome | None]]
    ) -> Outcome | None:
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
        except CodeWanted as wanted:
            refused = wanted.why == "wrong"
            self._logins.labels("refused" if refused else "code_needed").inc()
            raise
        finally:
            if not refused:
                self._limit.take_back(name, address, now)
        self._logins.labels("refused" if refused else "entered").inc()
        return entered
