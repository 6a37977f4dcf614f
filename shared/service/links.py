"""Links that lead a visitor back into a conversation: signed, for one purpose each, and only for a time.

A link holds what it leads to in the open (the conversation's name, which is no secret) and nothing that a
visitor said. Proxy and operator service have the same secret.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec
from joserfc import errors, jwk, jwt

#: "resume": what a mail leads to. "stop": no more mails, please. "grant": the cookie of who came by a mail.
Purpose = Literal["resume", "stop", "grant"]

#: A longer one is none of ours (characters).
MAX_LENGTH: Final = 2_048
#: RFC 7518 section 3.2: a key for HS256 has at least as many bits as its hash.
LEAST_SECRET: Final = 32
_ALGORITHM: Final = "HS256"


class Link(msgspec.Struct, frozen=True):
    """``at`` is the log's time of the conversation when it was signed (nanoseconds since 1970): whatever was
    erased later is not led to. ``until`` in seconds since 1970. ``page``: where the visitor was, "" unknown.
    """

    conversation: str
    at: int
    until: int
    page: str = ""


class Links:
    """Signs links, and reads those that hold. ``clock`` gives seconds since 1970."""

    def __init__(self, secret: str, clock: Callable[[], float]) -> None:
        """Raises ValueError for a short secret."""
        if len(secret.encode()) < LEAST_SECRET:
            raise ValueError(f"the secret of links must have at least {LEAST_SECRET} bytes")
        self._key = jwk.OctKey.import_key(secret)
        self._clock = clock

    def sign(self, purpose: Purpose, link: Link) -> str:
        """The link's token: letters, digits, points, dashes and underscores."""
        claims = {
            "aud": purpose,
            "sub": link.conversation,
            "exp": link.until,
            "at": link.at,
            **({"page": link.page} if link.page else {}),
        }
        return jwt.encode({"alg": _ALGORITHM}, claims, self._key)

    def read(self, purpose: Purpose, token: str) -> Link | None:
        """What a token of this purpose leads to; None: it is none of ours, or does not hold any more."""
        if not token or len(token) > MAX_LENGTH:
            return None
        try:
            claims = jwt.decode(token, self._key, [_ALGORITHM]).claims
        except (errors.JoseError, ValueError, TypeError, RecursionError):
            return None
        try:
            link = Link(claims["sub"], claims["at"], claims["exp"], claims.get("page", ""))
        except KeyError:
            return None
        return link if claims.get("aud") == purpose and self._clock() < link.until else None
