"""Asks the operator service who is logged in: analytics reads no account and no session."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client

from shared.contract import subjects
from shared.contract.logins import LoginAsked, LoginTold
from shared.contract.sessions import session_key

log = structlog.get_logger()

#: How long an answer is believed, and how long is waited for one (seconds). Together less than the five
#: seconds within which a right that has ended is gone everywhere.
BELIEVED_SECONDS: Final = 2.5
ASK_SECONDS: Final = 2.0
#: Answers that are kept, and questions about sessions not known yet that are asked at once: strangers can
#: make up as many tokens as they like.
MAX_KEPT: Final = 2_000
MAX_UNKNOWN: Final = 16


class NotLoggedIn(Exception):
    """Nobody is logged in, or must do something at the console first; the text says what."""


class CannotAsk(Exception):
    """Who is logged in cannot be found out now; the text says why."""


class _KeptLogin(NamedTuple):
    until: float
    told: LoginTold


class Logins:
    """``clock`` in seconds."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._kept: OrderedDict[str, _KeptLogin] = OrderedDict()
        self._asking: dict[str, asyncio.Task[LoginTold]] = {}
        self._unknown = 0

    async def who(self, token: str) -> LoginTold:
        """Whose session this is. Raises `NotLoggedIn` and `CannotAsk`."""
        key = session_key(token)
        if key is None:
            raise NotLoggedIn("log in at the console first")
        told = await self._told(key)
        match told.failure:
            case "none":
                raise NotLoggedIn("log in at the console first")
            case "second_factor":
                raise NotLoggedIn("this account needs a second factor: set one up at the console first")
            case "unavailable":
                raise CannotAsk("the operator service cannot read its accounts now, try again")
        return told

    async def _told(self, key: str) -> LoginTold:
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept.until:
            return kept.told
        asking = self._asking.get(key)
        if asking is None:
            known = kept is not None and kept.told.failure is None
            if not known and self._unknown >= MAX_UNKNOWN:
                raise CannotAsk("too many are asked for at once, try again")
            asking = self._asking[key] = asyncio.create_task(self._ask(key, known))
            asking.add_done_callback(_heard)
        return await asyncio.shield(asking)

    async def _ask(self, key: str, known: bool) -> LoginTold:
        self._unknown += not known
        asked = self._clock()
        try:
            told = await self._request(key)
        finally:
            self._unknown -= not known
            del self._asking[key]
        self._kept.pop(key, None)
        if told.failure != "unavailable":
            self._kept[key] = _KeptLogin(asked + BELIEVED_SECONDS, told)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return told

    async def _request(self, key: str) -> LoginTold:
        inbox = f"{subjects.LOGINS_TOLD}.{secrets.token_hex(16)}"
        try:
            subscription = await self._client.subscribe(inbox, max_msgs=1)
            try:
                await self._client.publish(subjects.LOGINS, msgspec.json.encode(LoginAsked(key)), reply=inbox)
                answer = await subscription.next_msg(timeout=ASK_SECONDS)
            finally:
                with suppress(nats.errors.Error):
                    await subscription.unsubscribe()
        except (nats.errors.Error, TimeoutError) as error:
            log.warning("login_not_asked", error=repr(error))
            raise CannotAsk("the operator service does not answer who is logged in, try again") from error
        if answer.header and answer.header.get("Status") == "503":
            raise CannotAsk("no operator service is there to ask who is logged in, try again")
        return _told.decode(answer.data)


_told = msgspec.json.Decoder(LoginTold)


def _heard(asking: asyncio.Task[LoginTold]) -> None:
    """Whoever asked may be gone: then nobody is told what went wrong."""
    if not asking.cancelled():
        asking.exception()
