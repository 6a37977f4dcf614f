"""The sessions of operators, kept in NATS: each replica knows every login, and whatever ends one is real."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable

import msgspec
from nats.aio.client import Client

from services.operator.buckets import ERRORS, Unavailable, keys_below, open_bucket, read_key
from shared.contract.sessions import LoginSession, session_key, session_token
from shared.contract.subjects import OPERATOR_SESSIONS

#: When a session was used last is written so often at most (nanoseconds): each write waits for the disk.
USED_EVERY = 300 * 10**9
#: So many are read at once.
_AT_ONCE = 100


class Sessions:
    """Begins, finds, lists and ends them. ``clock`` gives nanoseconds since 1970.

    All raise `Unavailable`.
    """

    def __init__(self, client: Client, clock: Callable[[], int] = time.time_ns) -> None:
        self._js = client.jetstream(timeout=2.0)
        self._bucket = open_bucket(self._js, OPERATOR_SESSIONS)
        self._clock = clock

    async def begin(self, account: str, revision: int, browser: str, sso: bool = False) -> str:
        """The token of a new one, for the account as it is at this revision."""
        token = session_token(account, secrets.token_urlsafe(32))
        now = self._clock()
        session = LoginSession(account, revision, now, now, browser, sso)
        try:
            await self._bucket.put(session_key(token) or "", msgspec.json.encode(session))
        except ERRORS as error:
            raise Unavailable(f"the session could not be kept: {error!r}") from error
        return token

    async def find(self, token: str) -> LoginSession | None:
        """The session of this token, if there is one; the caller asks whether it stands."""
        key = session_key(token)
        return await self.find_key(key) if key else None

    async def find_key(self, key: str) -> LoginSession | None:
        """The session that is kept there, likewise."""
        found = await read_key(self._bucket, key)
        if not found:
            return None
        session, now = msgspec.json.decode(found[0], type=LoginSession), self._clock()
        if now - session.used >= USED_EVERY:
            used = msgspec.json.encode(msgspec.structs.replace(session, used=now))
            with contextlib.suppress(*ERRORS):  # another replica was quicker, or it has just ended
                await self._bucket.update(key, used, last=found[1])
        return session

    def stands(self, session: LoginSession, revision: int) -> bool:
        """Whether it may be used, with the account at this revision."""
        return session.stands(revision, self._clock())

    async def of(self, account: str, revision: int) -> tuple[tuple[str, LoginSession], ...]:
        """Those of an account that stand, with their ids: the one that was used last is the first."""
        keys, _ = await keys_below(self._js, OPERATOR_SESSIONS, f"{account}.*")
        found: list[tuple[str, LoginSession]] = []
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            values = await asyncio.gather(*(read_key(self._bucket, key) for key in some))
            for key, value in zip(some, values, strict=True):
                if value is not None:
                    session = msgspec.json.decode(value[0], type=LoginSession)
                    if self.stands(session, revision):
                        found.append((key.rpartition(".")[2], session))
        return tuple(sorted(found, key=lambda each: (each[1].used, each[1].began), reverse=True))

    async def end(self, account: str, id: str) -> bool:
        """End one, for every replica; False: there is none."""
        if await read_key(self._bucket, f"{account}.{id}") is None:
            return False
        await self._end(f"{account}.{id}")
        return True

    async def end_token(self, token: str) -> None:
        """End that of a token."""
        key = session_key(token)
        if key and await read_key(self._bucket, key) is not None:  # strangers' words leave nothing here
            await self._end(key)

    async def _end(self, key: str) -> None:
        try:
            await self._bucket.delete(key)
        except ERRORS as error:
            raise Unavailable(f"the session could not be ended: {error!r}") from error
