"""Operators' accounts and sessions, kept in NATS: each replica knows every login, a logout is real.

A session is kept under the hash of its token, so who reads the bucket cannot use one. It names the
revision of the account that it was made for: whatever changes the account ends all older sessions. While an
account is disabled its hash begins with ``!``, as in /etc/shadow: no password fits.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from concurrent.futures import ThreadPoolExecutor

import msgspec
import nats.errors
import nats.js.errors
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from nats.aio.client import Client
from nats.js.kv import KeyValue

from services.operator.domain.decisions import Operator
from shared.contract.roles import Role
from shared.contract.subjects import OPERATOR_SESSIONS, OPERATORS

_NAME = re.compile(r"(?=.{1,32}$)[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_ERRORS = (nats.errors.Error, nats.js.errors.Error, TimeoutError)


class Unavailable(Exception):
    """Accounts and sessions cannot be read or written now."""


class _Account(msgspec.Struct):
    name: str
    hash: str
    display: str = ""
    role: Role = "operator"


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
        loop = asyncio.get_running_loop()
        fits = await loop.run_in_executor(self._threads, self._fits, found and found[0].hash, password)
        if found is None or not fits:
            return None
        account, revision = found
        token = secrets.token_urlsafe(32)
        session = msgspec.json.encode(_Session(account.name, revision))
        try:
            await self._sessions.put(_key(token), session)
        except _ERRORS as error:
            raise Unavailable(f"the session could not be kept: {error!r}") from error
        return token, _operator(account)

    async def find(self, name: str) -> Operator | None:
        """The operator with this account, if it may log in."""
        found = await self._account(name)
        return _operator(found[0]) if found is not None and not found[0].hash.startswith("!") else None

    async def all(self) -> list[Operator]:
        """All who may log in, by name."""
        prefix = f"$KV.{OPERATORS}."
        try:
            info = await self._js.stream_info(f"KV_{OPERATORS}", subjects_filter=f"{prefix}>")
        except _ERRORS as error:
            raise Unavailable(f"accounts cannot be listed: {error!r}") from error
        names = sorted(subject.removeprefix(prefix) for subject in info.state.subjects or {})
        found = await asyncio.gather(*(self.find(name) for name in names))
        return [operator for operator in found if operator is not None]

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

    async def _account(self, name: str) -> tuple[_Account, int] | None:
        if not _NAME.fullmatch(name):
            return None
        found = await _get(self._accounts, name)
        return found and (msgspec.json.decode(found[0], type=_Account), found[1])

    def _fits(self, hash: str | None, password: str) -> bool:
        """Whether the password is right; takes as long for an account that does not exist or is disabled."""
        open = hash is not None and not hash.startswith("!")
        if hash is None and not self._nobody:
            self._nobody = self._hasher.hash(secrets.token_urlsafe())
        try:
            return self._hasher.verify((hash or self._nobody).removeprefix("!"), password) and open
        except (VerificationError, InvalidHashError):
            return False


def _operator(account: _Account) -> Operator:
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
