"""The second factor of operators' accounts: made, asked for, taken off.

What an account has of it is in the account itself, so a change ends its logins. What is noted at every login,
the last time step of a code that was taken, and what is not confirmed yet, is beside the sessions: the keys
begin with a capital, which no account's name has.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import msgspec
import nats.js.errors
from nats.aio.client import Client

from services.operator.buckets import ERRORS, Unavailable, open_bucket, read_key
from services.operator.domain import second_factor as domain
from shared.contract.accounts import SECOND_FACTOR, Account, SecondFactor
from shared.contract.subjects import OPERATOR_SESSIONS
from shared.eventlog.master_keys import KeyringError, MasterKeys
from shared.timestamps import format_time

#: How long a secret that was shown may be confirmed (seconds).
PENDING_SECONDS = 600


class NoMasterKey(Exception):
    """Without a master key no secret can be kept."""


class _Pending(msgspec.Struct):
    sealed: bytes
    began: float
    revision: int  # of the account


class SecondFactors:
    """``clock`` gives seconds since 1970. All raise `Unavailable`."""

    def __init__(
        self, client: Client, masters: MasterKeys | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._bucket = open_bucket(client.jetstream(timeout=2.0), OPERATOR_SESSIONS)
        self._masters = masters
        self._clock = clock

    async def begin(self, account: str, revision: int) -> bytes:
        """A new secret, to be confirmed with a code. Raises `NoMasterKey`."""
        if self._masters is None:
            raise NoMasterKey
        secret = secrets.token_bytes(domain.SECRET_BYTES)
        sealed = self._masters.wrap(secret, SECOND_FACTOR, account.encode())
        pending = msgspec.json.encode(_Pending(sealed, self._clock(), revision))
        try:
            await self._bucket.put(f"PENDING.{account}", pending)
        except ERRORS as error:
            raise Unavailable(f"the second factor could not be kept: {error!r}") from error
        return secret

    async def confirmed(self, account: str, revision: int, code: str) -> SecondFactor | None:
        """What was begun, without recovery codes; None: the code is wrong, or nothing was begun."""
        found = await read_key(self._bucket, f"PENDING.{account}")
        pending = found and msgspec.json.decode(found[0], type=_Pending)
        now = self._clock()
        if not pending or pending.revision != revision or now > pending.began + PENDING_SECONDS:
            return None
        second = SecondFactor(pending.sealed, (), format_time(int(now) * 10**9))
        return second if await self.fits(account, second, code) else None

    def recovery(self, account: str) -> tuple[list[str], tuple[str, ...]]:
        """New recovery codes, and what is kept of them."""
        chances = [secrets.token_bytes(domain.RECOVERY_BYTES) for _ in range(domain.RECOVERY_CODES)]
        codes = [domain.recovery_code(chance) for chance in chances]
        return codes, tuple(domain.recovery_hash(account, code) for code in codes)

    async def fits(self, account: str, second: SecondFactor, code: str) -> bool:
        """Whether the app shows this code now. It counts once: from here on it does not any more."""
        step = domain.step_of(self._opened(account, second), code, self._clock())
        return step is not None and await self._take(account, step)

    def used(self, account: Account, code: str) -> Account | None:
        """The account once this recovery code is used; None: it is none of its codes."""
        second = account.second
        left = second and domain.without(second, domain.recovery_hash(account.name, code))
        return None if left is None else msgspec.structs.replace(account, second=left)

    async def _take(self, account: str, step: int) -> bool:
        """Whether no code of this step, or of a later one, was taken before, at any replica."""
        key = f"STEP.{account}"
        found = await read_key(self._bucket, key)
        last, revision = (int(found[0]), found[1]) if found else (0, 0)
        if step <= last:
            return False
        try:
            await self._bucket.update(key, str(step).encode(), last=revision)
        except nats.js.errors.KeyWrongLastSequenceError:
            return False  # somebody uses it at this very moment
        except ERRORS as error:
            raise Unavailable(f"the code could not be noted: {error!r}") from error
        return True

    def _opened(self, account: str, second: SecondFactor) -> bytes:
        if self._masters is None:
            raise Unavailable("a second factor cannot be checked without the master key")
        try:
            return self._masters.unwrap(second.sealed, SECOND_FACTOR, account.encode())
        except KeyringError as error:
            raise Unavailable(f"the second factor of {account} cannot be opened: {error}") from error
