"""Logging in by single sign-on: to the provider, back, and into an account.

Whoever is on the way carries what must be remembered in a cookie, sealed by the master key: strangers who
begin and never come back leave nothing here. What came back is noted beside the sessions, so that no answer
counts twice at any replica.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit

import msgspec
import nats.js.errors
from nats.aio.client import Client

from services.operator.accounts import Accounts, Found
from services.operator.buckets import ERRORS, Unavailable, open_bucket
from services.operator.domain.single_sign_on import (
    PENDING_SECONDS,
    PendingSignOn,
    SignOnRefused,
    SignOnRules,
    UnknownKey,
    account_for,
    challenge,
    check_answer,
    check_token,
    lacks,
    person_of,
)
from services.operator.oidc_provider import OidcProvider
from shared.contract.subjects import OPERATOR_SESSIONS
from shared.eventlog.master_keys import KeyringError, MasterKeys
from shared.timestamps import format_time

#: Where a provider sends people back to, below the console's address.
CALLBACK = "/login/sso/callback"
_BOUND = b"single sign-on"


class SingleSignOn:
    """``address`` is the console's own, as browsers have it; ``clock`` gives seconds since 1970.

    All raise `SignOnRefused`, whose text is for the log, and `Unavailable`.
    """

    def __init__(
        self,
        client: Client,
        accounts: Accounts,
        masters: MasterKeys,
        provider: OidcProvider,
        rules: SignOnRules,
        scopes: str,
        address: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bucket = open_bucket(client.jetstream(timeout=2.0), OPERATOR_SESSIONS)
        self._accounts = accounts
        self._masters = masters
        self._provider = provider
        self._rules = rules
        self._scopes = scopes
        self._address = address.rstrip("/")
        self._clock = clock

    async def begin(self) -> tuple[str, str]:
        """Where the browser goes, and what it must bring back (a cookie)."""
        endpoint = (await self._provider.metadata()).authorization_endpoint
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        pending = PendingSignOn(state, nonce, verifier, self._clock())
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._rules.client,
                "redirect_uri": self._address + CALLBACK,
                "scope": self._scopes,
                "state": pending.state,
                "nonce": pending.nonce,
                "code_challenge": challenge(pending.verifier),
                "code_challenge_method": "S256",
            }
        )
        sealed = self._masters.wrap(msgspec.json.encode(pending), _BOUND)
        cookie = base64.urlsafe_b64encode(sealed).decode().rstrip("=")
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}", cookie

    async def finish(self, answer: Mapping[str, str], cookie: str) -> Found:
        """The account of whom the provider has sent back, as it is by now, and its revision."""
        pending = self._pending(answer, cookie)
        await self._once(pending.state)
        metadata = await self._provider.metadata()
        named = metadata.authorization_response_iss_parameter_supported
        code = check_answer(answer, self._rules, named)
        token, access = await self._provider.tokens(code, pending.verifier, self._address + CALLBACK)
        try:
            claims = check_token(token, await self._provider.keys(), self._rules, pending.nonce, self._clock)
        except UnknownKey:
            keys = await self._provider.keys(renew=True)
            claims = check_token(token, keys, self._rules, pending.nonce, self._clock)
        if lacks(claims, self._rules):
            claims = {**await self._provider.more_claims(access, claims["sub"]), **claims}
        person = person_of(claims, self._rules)
        accounts = await self._accounts.list()
        now = format_time(int(self._clock()) * 10**9)
        return await self._accounts.keep(account_for(accounts, person, self._rules, now))

    async def logout_address(self) -> str:
        """Where a browser logs out at the provider, too; "" where there is no such address."""
        return await self._provider.logout_address(self._address + "/")

    async def close(self) -> None:
        await self._provider.close()

    def _pending(self, answer: Mapping[str, str], cookie: str) -> PendingSignOn:
        try:
            sealed = base64.urlsafe_b64decode(cookie + "=" * (-len(cookie) % 4))
            pending = msgspec.json.decode(self._masters.unwrap(sealed, _BOUND), type=PendingSignOn)
        except (binascii.Error, ValueError, KeyringError, msgspec.DecodeError) as error:
            raise SignOnRefused(
                "this browser has not begun it, or has lost the cookie: is SWITCHBOARD_OPERATOR_URL the "
                "address at which the console is opened?"
            ) from error
        if not hmac.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
            raise SignOnRefused("the answer's state is not the one that this browser was given")
        if self._clock() > pending.began + PENDING_SECONDS:
            raise SignOnRefused(f"it took longer than {PENDING_SECONDS} seconds")
        return pending

    async def _once(self, state: str) -> None:
        """Raises `SignOnRefused` for a state that came back before."""
        key = f"STATE.{hashlib.sha256(state.encode()).hexdigest()}"
        try:
            await self._bucket.update(key, b"", last=0)
        except nats.js.errors.KeyWrongLastSequenceError:
            raise SignOnRefused("the answer was used already") from None
        except ERRORS as error:
            raise Unavailable(f"the login could not be noted: {error!r}") from error
