"""Who is logged in to the desk, as it is kept in the bucket OPERATOR_SESSIONS.

The key is ``<account>.<hash of the token>``: who reads the bucket cannot use a session, and those of one
account can be listed. The token names the account, so that one key is read for each request.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

import msgspec

from shared.contract.accounts import ACCOUNT_NAME
from shared.contract.subjects import SESSION_HOURS

#: A session as others may name it: the hash of its token.
SESSION_ID: Final = re.compile(r"[0-9a-f]{64}")
_LIFE: Final = SESSION_HOURS * 3600 * 10**9


class LoginSession(msgspec.Struct, frozen=True):
    """A login. ``revision`` is the account's for which it was made: whatever changes the account ends it.

    ``began`` and ``used`` (to some minutes) are nanoseconds since 1970; ``browser`` is a few words.
    ``sso``: it was begun by single sign-on, so its second factor is the provider's.
    """

    name: str
    revision: int
    began: int
    used: int
    browser: str = ""
    sso: bool = False

    def stands(self, revision: int, now: int) -> bool:
        """Whether it may be used, with the account at this revision. A use makes it no longer."""
        return self.revision == revision and now < self.began + _LIFE


def session_token(account: str, secret: str) -> str:
    """What the browser keeps."""
    return f"{account}.{secret}"


def is_session_key(key: str) -> bool:
    """Whether a session may be kept there."""
    account, _, id = key.rpartition(".")
    return bool(ACCOUNT_NAME.fullmatch(account) and SESSION_ID.fullmatch(id))


def session_key(token: str) -> str | None:
    """Where the session of a token is kept; None: it is no token."""
    account = token.rpartition(".")[0]
    if not ACCOUNT_NAME.fullmatch(account):
        return None
    return f"{account}.{hashlib.sha256(token.encode()).hexdigest()}"
