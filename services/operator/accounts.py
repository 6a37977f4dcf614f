"""Operators' accounts and sessions, kept in NATS: each replica knows every login, a logout is real.

A session names the revision of the account that it was made for: whatever changes the account ends all
older sessions.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import nats.js.errors
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from nats.aio.client import Client

from services.operator.buckets import ERRORS, Unavailable, keys_below, open_bucket, read_key
from services.operator.domain.accounts import AccountChange, AccountRefused, decide_as_admin
from services.operator.domain.decisions import Operator
from services.operator.sessions import Sessions
from shared.contract.accounts import ACCOUNT_NAME, NO_PASSWORD, Account
from shared.contract.roles import Role
from shared.contract.sessions import LoginSession, is_session_key
from shared.contract.subjects import OPERATORS

_WRONG_LAST_SEQUENCE = 10071
_TRIES = 5


#: An account, and its revision.
Found = tuple[Account, int]


class SecondFactorDemanded(Exception):
    """The account must get a second factor before it may do anything."""

    def __init__(self) -> None:
        super().__init__("this account needs a second factor: set one up first")


class Accounts:
    """Who may log in, and who has."""

    def __init__(self, client: Client, demanded: Iterable[Role] = ()) -> None:
        """``demanded``: the roles that must have a second factor."""
        js = self._js = client.jetstream(timeout=2.0)
        self._accounts = open_bucket(js, OPERATORS)
        self.sessions = Sessions(client)
        self._demanded = frozenset(demanded)
        self._hasher = PasswordHasher()
        # A verification takes 64 MiB and most of a core: two at once are enough, others wait.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
        self._nobody = ""

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self, name: str, password: str) -> Found | None:
        """The account with this name and password."""
        found = await self.account(name)
        return found if await self._fit(found and found[0].hash, password) else None

    async def begin(
        self, account: Account, revision: int, browser: str, sso: bool = False
    ) -> tuple[str, Operator]:
        """A new session's token and the operator, for the account as it is at this revision."""
        return await self.sessions.begin(account.name, revision, browser, sso), _operator(account)

    async def hashed(self, password: str) -> str:
        """What is kept of a password."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def change_password(
        self, name: str, current: str, password: str, browser: str
    ) -> tuple[str, Operator] | None:
        """Give one's own account another password: all its sessions end, and a new one begins.

        None if ``current`` does not fit.
        """
        found = await self.check(name, current)
        if found is None:
            return None
        changed = found[0].with_hash(await self.hashed(password))
        return await self.renew(changed, found[1], browser)

    async def renew(self, account: Account, revision: int, browser: str) -> tuple[str, Operator] | None:
        """Write one's own account: all its sessions end, and a new one begins.

        None: it is not at this ``revision`` any more.
        """
        try:
            now = await self._accounts.update(account.name, msgspec.json.encode(account), last=revision)
        except nats.js.errors.KeyWrongLastSequenceError:
            return None  # somebody else has changed it meanwhile: this login has ended
        except ERRORS as error:
            raise Unavailable(f"the account could not be written: {error!r}") from error
        return await self.begin(account, now, browser)

    async def change(self, by: str, name: str, change: AccountChange) -> None:
        """Let an admin change an account; its sessions end. Raises `AccountRefused`.

        What was decided is written only if no account has changed since all were read: so the right to do it
        holds at that moment, and of two admins who remove one another one is refused.
        """
        for _ in range(_TRIES):
            accounts, last = await self._read_all()
            wanted = decide_as_admin({each.name: each for each in accounts}, by, name, change)
            headers = {"Nats-Expected-Last-Sequence": str(last)}
            if wanted is None:
                headers["KV-Operation"] = "DEL"
            data = b"" if wanted is None else msgspec.json.encode(wanted)
            try:
                await self._js.publish(f"$KV.{OPERATORS}.{name}", data, headers=headers)
            except nats.js.errors.APIError as error:
                if error.err_code != _WRONG_LAST_SEQUENCE:
                    raise Unavailable(f"the account could not be written: {error!r}") from error
            except ERRORS as error:
                raise Unavailable(f"the account could not be written: {error!r}") from error
            else:
                return
        raise Unavailable("others changed accounts at the same time, too often")

    async def keep(self, account: Account) -> Found:
        """Have one's own account so, and its revision. Its sessions end only where it changes."""
        found = await self.account(account.name)
        if found is not None and found[0] == account:
            return found
        data = msgspec.json.encode(account)
        try:
            if found is None:
                return account, await self._accounts.create(account.name, data)
            return account, await self._accounts.update(account.name, data, last=found[1])
        except nats.js.errors.KeyWrongLastSequenceError as error:
            raise Unavailable("somebody else changed the account at the same time") from error
        except ERRORS as error:
            raise Unavailable(f"the account could not be written: {error!r}") from error

    async def find(self, name: str) -> Operator | None:
        """The operator with this account, if it may log in."""
        found = await self.account(name)
        return _operator(found[0]) if found is not None and not found[0].hash.startswith("!") else None

    async def all(self) -> list[Operator]:
        """All who may log in, by name."""
        return [_operator(account) for account in await self.list() if not account.disabled]

    async def list(self) -> tuple[Account, ...]:
        """All accounts, by name."""
        return (await self._read_all())[0]

    async def _read_all(self) -> tuple[tuple[Account, ...], int]:
        """All accounts, and the sequence after which they were read."""
        names, last = await keys_below(self._js, OPERATORS, ">")
        found = await asyncio.gather(*(self.account(name) for name in names))
        return tuple(account for account, _ in filter(None, found)), last

    async def who(self, token: str, enrolling: bool = False) -> Operator | None:
        """The operator whose session this is, if it still stands.

        Raises `SecondFactorDemanded` unless it is for ``enrolling``.
        """
        return await self._of(await self.sessions.find(token), enrolling)

    async def who_has(self, key: str) -> Operator | None:
        """The same, of the session with this `session_key`."""
        return await self._of(await self.sessions.find_key(key) if is_session_key(key) else None)

    async def _of(self, session: LoginSession | None, enrolling: bool = False) -> Operator | None:
        found = session and await self.account(session.name)
        if not session or not found or not self.sessions.stands(session, found[1]):
            return None
        if not enrolling and not session.sso and self.lacks_second(found[0]):
            raise SecondFactorDemanded
        return _operator(found[0])

    def lacks_second(self, account: Account) -> bool:
        """Whether the account must get a second factor before it may do anything."""
        return account.second is None and self.demands_second(account.role)

    def demands_second(self, role: Role) -> bool:
        """Whether accounts of this role must have a second factor."""
        return role in self._demanded

    async def sessions_of(self, name: str) -> tuple[tuple[str, LoginSession], ...]:
        """Where an account is logged in, with the sessions' ids. Raises `AccountRefused`."""
        found = await self.account(name)
        if found is None:
            raise AccountRefused("missing", "there is no such account")
        return await self.sessions.of(name, found[1])

    async def account(self, name: str) -> Found | None:
        """The account with its revision."""
        if not ACCOUNT_NAME.fullmatch(name):
            return None
        found = await read_key(self._accounts, name)
        return found and (msgspec.json.decode(found[0], type=Account), found[1])

    async def _fit(self, hash: str | None, password: str) -> bool:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._fits, hash, password)

    def _fits(self, hash: str | None, password: str) -> bool:
        """Whether the password is right; takes as long for an account that does not exist or is disabled."""
        open = hash is not None and not hash.startswith("!")
        bare = (hash or NO_PASSWORD).removeprefix("!")
        if bare == NO_PASSWORD:
            self._nobody = bare = self._nobody or self._hasher.hash(secrets.token_urlsafe())
        try:
            return self._hasher.verify(bare, password) and open
        except (VerificationError, InvalidHashError):
            return False


def _operator(account: Account) -> Operator:
    return Operator(account.name, account.display or account.name, account.role)
