"""Operators' accounts and sessions, kept in NATS: each replica knows every login, a logout is real.

A session is kept under the hash of its token, so who reads the bucket cannot use one. It names the
revision of the account that it was made for: whatever changes the account ends all older sessions.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor

import msgspec
import nats.errors
import nats.js.errors
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from nats.aio.client import Client
from nats.js.kv import KeyValue

from services.operator.domain.accounts import AccountChange, decide_as_admin
from services.operator.domain.decisions import Operator
from shared.contract.accounts import ACCOUNT_NAME, Account
from shared.contract.subjects import OPERATOR_SESSIONS, OPERATORS

_WRONG_LAST_SEQUENCE = 10071
_TRIES = 5
_ERRORS = (nats.errors.Error, nats.js.errors.Error, TimeoutError)


class Unavailable(Exception):
    """Accounts and sessions cannot be read or written now."""


class _Session(msgspec.Struct):
    name: str
    revision: int  # of the account


class Accounts:
    """Who may log in, and who has."""

    def __init__(self, client: Client) -> None:
        js = self._js = client.jetstream(timeout=2.0)
        self._accounts = _bucket(js, OPERATORS)
        self._sessions = _bucket(js, OPERATOR_SESSIONS)
        self._hasher = PasswordHasher()
        # A verification takes 64 MiB and most of a core: two at once are enough, others wait.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
        self._nobody = ""

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def log_in(self, name: str, password: str) -> tuple[str, Operator] | None:
        """A new session's token and the operator; None if name and password do not fit."""
        found = await self._account(name)
        if not await self._fit(found and found[0].hash, password) or found is None:
            return None
        return await self._begin(*found)

    async def _begin(self, account: Account, revision: int) -> tuple[str, Operator]:
        """A new session's token and the operator, for the account as it is at this revision."""
        token = secrets.token_urlsafe(32)
        session = msgspec.json.encode(_Session(account.name, revision))
        try:
            await self._sessions.put(_key(token), session)
        except _ERRORS as error:
            raise Unavailable(f"the session could not be kept: {error!r}") from error
        return token, _operator(account)

    async def hashed(self, password: str) -> str:
        """What is kept of a password."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hasher.hash, password)

    async def change_password(self, name: str, current: str, password: str) -> tuple[str, Operator] | None:
        """Give one's own account another password: all its sessions end, and a new one begins.

        None if ``current`` does not fit.
        """
        found = await self._account(name)
        if not await self._fit(found and found[0].hash, current) or found is None:
            return None
        account, revision = found
        changed = account.with_hash(await self.hashed(password))
        try:
            revision = await self._accounts.update(name, msgspec.json.encode(changed), last=revision)
        except nats.js.errors.KeyWrongLastSequenceError:
            return None  # somebody else has changed it meanwhile: this login has ended
        except _ERRORS as error:
            raise Unavailable(f"the account could not be written: {error!r}") from error
        return await self._begin(changed, revision)

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
            except _ERRORS as error:
                raise Unavailable(f"the account could not be written: {error!r}") from error
            else:
                return
        raise Unavailable("others changed accounts at the same time, too often")

    async def find(self, name: str) -> Operator | None:
        """The operator with this account, if it may log in."""
        found = await self._account(name)
        return _operator(found[0]) if found is not None and not found[0].hash.startswith("!") else None

    async def all(self) -> list[Operator]:
        """All who may log in, by name."""
        return [_operator(account) for account in await self.list() if not account.disabled]

    async def list(self) -> tuple[Account, ...]:
        """All accounts, by name."""
        return (await self._read_all())[0]

    async def _read_all(self) -> tuple[tuple[Account, ...], int]:
        """All accounts, and the sequence after which they were read."""
        prefix = f"$KV.{OPERATORS}."
        try:
            info = await self._js.stream_info(f"KV_{OPERATORS}", subjects_filter=f"{prefix}>")
        except _ERRORS as error:
            raise Unavailable(f"accounts cannot be listed: {error!r}") from error
        names = sorted(subject.removeprefix(prefix) for subject in info.state.subjects or {})
        found = await asyncio.gather(*(self._account(name) for name in names))
        return tuple(account for account, _ in filter(None, found)), info.state.last_seq

    async def who(self, token: str) -> Operator | None:
        """The operator whose session this is, if it still stands."""
        data = await _get(self._sessions, _key(token))
        if data is None:
            return None
        session = msgspec.json.decode(data[0], type=_Session)
        found = await self._account(session.name)
        if found is None or found[1] != session.revision:
            return None
        return _operator(found[0])

    async def log_out(self, token: str) -> None:
        """End the session, for every replica."""
        try:
            await self._sessions.delete(_key(token))
        except _ERRORS as error:
            raise Unavailable(f"the session could not be ended: {error!r}") from error

    async def _account(self, name: str) -> tuple[Account, int] | None:
        if not ACCOUNT_NAME.fullmatch(name):
            return None
        found = await _get(self._accounts, name)
        return found and (msgspec.json.decode(found[0], type=Account), found[1])

    async def _fit(self, hash: str | None, password: str) -> bool:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._fits, hash, password)

    def _fits(self, hash: str | None, password: str) -> bool:
        """Whether the password is right; takes as long for an account that does not exist or is disabled."""
        open = hash is not None and not hash.startswith("!")
        if hash is None and not self._nobody:
            self._nobody = self._hasher.hash(secrets.token_urlsafe())
        try:
            return self._hasher.verify((hash or self._nobody).removeprefix("!"), password) and open
        except (VerificationError, InvalidHashError):
            return False


def _operator(account: Account) -> Operator:
    return Operator(account.name, account.display or account.name, account.role)


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _bucket(js: nats.js.JetStreamContext, name: str) -> KeyValue:
    # Not by direct get: a replica that is behind would not know the login of a moment ago.
    return KeyValue(name=name, stream=f"KV_{name}", pre=f"$KV.{name}.", js=js, direct=False)


async def _get(bucket: KeyValue, key: str) -> tuple[bytes, int] | None:
    """A key's value and revision."""
    try:
        entry = await bucket.get(key)
    except nats.js.errors.KeyNotFoundError:
        return None
    except _ERRORS as error:
        raise Unavailable(f"accounts cannot be read: {error!r}") from error
    return (entry.value or b"", entry.revision or 0)
