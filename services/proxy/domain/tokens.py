"""Bearer tokens (JWT, RFC 7519): who a client is, by the word of an issuer that we trust."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from services.proxy.domain.jwt_verifier import JwtVerifier

#: A longer token is no token of a sane issuer (characters).
MAX_LENGTH: Final = 8 * 1024


class BadToken(Exception):
    """The token does not let anyone in; the text says why, and may go to a stranger."""


class Holder(NamedTuple):
    """Whose token it is, and until when it counts (seconds since 1970)."""

    user: str
    until: float


class TokenSettings(Protocol):
    """``jwt_secret`` or ``jwt_key`` (a public key as PEM, JWK or JWK set) switches tokens on."""

    @property
    def jwt_secret(self) -> str: ...
    @property
    def jwt_key(self) -> str: ...
    @property
    def jwt_algorithms(self) -> tuple[str, ...]: ...
    @property
    def jwt_issuer(self) -> str: ...
    @property
    def jwt_audience(self) -> str: ...


class Tokens:
    """Raises ValueError, which names the setting, where these settings cannot work."""

    def __init__(self, settings: TokenSettings, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds since 1970."""
        self._signatures: JwtVerifier | None = None
        if settings.jwt_secret or settings.jwt_key.strip():
            # Ciphers take a while to import: where no tokens are taken, nobody waits for them.
            from services.proxy.domain.jwt_verifier import JwtVerifier

            self._signatures = JwtVerifier(settings, clock)
            return
        for name in ("issuer", "audience", "algorithms"):
            if getattr(settings, f"jwt_{name}"):
                raise ValueError(
                    f"SWITCHBOARD_JWT_{name.upper()} checks nothing without SWITCHBOARD_JWT_SECRET or "
                    "SWITCHBOARD_JWT_KEY; set one of them."
                )

    @property
    def required(self) -> bool:
        """Whether doors that know their users ask for a token at all."""
        return self._signatures is not None

    def subject(self, token: str) -> str:
        """Whose token it is: its ``sub``. Raises `BadToken`."""
        return self.holder(token).user

    def holder(self, token: str) -> Holder:
        """The same, and until when: what is open for the token ends then. Raises `BadToken`."""
        if self._signatures is None:
            raise BadToken("tokens are not taken here")
        if len(token) > MAX_LENGTH:
            raise BadToken("the token is too long")
        return self._signatures.holder(token)
