"""Tokens whose signature counts. Which algorithms do is pinned here, never taken from the token
(RFC 8725 section 3.1).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any, Final

from joserfc import errors, jwk, jwt

from services.proxy.domain.tokens import BadToken, Holder, TokenSettings

#: How far the issuer's clock may be off (seconds).
LEEWAY: Final = 30
#: RFC 7518 section 3.2: a key for HS256 has at least as many bits as its hash.
LEAST_SECRET: Final = 32

#: By the kind of key; the first is what it is taken for where the settings do not say.
_BY_KEY: Final = {
    "secret": ("HS256", "HS384", "HS512"),
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA", "Ed25519"),
}

_Keys = jwk.OctKey | jwk.RSAKey | jwk.ECKey | jwk.OKPKey


class JwtVerifier:
    """Raises ValueError, which names the setting, where these settings cannot work."""

    def __init__(self, settings: TokenSettings, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds since 1970. ``jwt_secret`` or ``jwt_key`` is set."""
        keys = _keys(settings)
        self._algorithms = list(_algorithms(keys, settings.jwt_algorithms))
        self._key: _Keys | jwk.KeySet = keys[0] if len(keys) == 1 else jwk.KeySet(keys)
        claims: dict[str, Any] = {"sub": {"essential": True}, "exp": {"essential": True}}
        if settings.jwt_issuer:
            claims["iss"] = {"essential": True, "value": settings.jwt_issuer}
        if settings.jwt_audience:
            claims["aud"] = {"essential": True, "value": settings.jwt_audience}
        self._clock = clock
        self._claims = jwt.JWTClaimsRegistry(now=lambda: int(clock()), leeway=LEEWAY, **claims)

    def holder(self, token: str) -> Holder:
        """Whose token it is: its ``sub``; and until when. Raises `BadToken`."""
        try:
            claims = jwt.decode(token, self._key, self._algorithms).claims
            self._claims.validate(claims)
        except errors.ExpiredTokenError as error:
            raise BadToken("the token has expired") from error
        except (errors.MissingClaimError, errors.InvalidClaimError) as error:
            raise BadToken(f"the token's {error.claim} is missing or not the one that is wanted") from error
        except (errors.JoseError, ValueError, TypeError, RecursionError) as error:
            raise BadToken("the token is not valid") from error
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject:
            raise BadToken("the token's sub is not a text")
        until = float(claims["exp"])
        if until <= self._clock():  # let in because clocks differ: so does its end
            until += LEEWAY
        return Holder(subject, until)


def _keys(settings: TokenSettings) -> list[_Keys]:
    """At least one."""
    secret, text = settings.jwt_secret, settings.jwt_key.strip()
    if secret and text:
        raise ValueError("Set SWITCHBOARD_JWT_SECRET or SWITCHBOARD_JWT_KEY, not both.")
    if secret:
        if len(secret.encode()) < LEAST_SECRET:
            raise ValueError(f"SWITCHBOARD_JWT_SECRET is too short: at least {LEAST_SECRET} bytes.")
        return [jwk.OctKey.import_key(secret)]
    keys = _read(text)
    if any(key.is_private for key in keys):
        raise ValueError("SWITCHBOARD_JWT_KEY holds a private key; a public one is enough, and safer.")
    return keys


def _read(text: str) -> list[_Keys]:
    try:
        if not text.startswith("{"):
            return [_from_pem(text.replace("\\n", "\n"))]  # in one line, as an .env file holds it
        content = json.loads(text)
        each = content.get("keys", [content])
        keys = [jwk.import_key(one, one["kty"]) for one in each if one.get("use", "sig") == "sig"]
    except (errors.JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError("SWITCHBOARD_JWT_KEY is not a public key as PEM, JWK or JWK set.") from error
    if not keys or any(_kind(key) not in _BY_KEY for key in keys):
        raise ValueError("SWITCHBOARD_JWT_KEY holds no public key for signatures that is taken here.")
    return keys


def _from_pem(text: str) -> _Keys:
    for kind in (jwk.RSAKey, jwk.ECKey, jwk.OKPKey):
        with contextlib.suppress(errors.InvalidKeyTypeError):
            return kind.import_key(text)
    raise ValueError("no key of a known kind")


def _kind(key: _Keys) -> str:
    if isinstance(key, jwk.OctKey):
        return "secret"
    return "RSA" if isinstance(key, jwk.RSAKey) else key.curve_name


def _algorithms(keys: list[_Keys], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Those that count: the wanted ones, each of which must fit a key; else one for each key."""
    possible = {name for key in keys for name in _BY_KEY[_kind(key)]}
    for name in wanted:
        if name not in possible:
            raise ValueError(
                f"SWITCHBOARD_JWT_ALGORITHMS may not hold {name!r}: with this key it may hold "
                + ", ".join(sorted(possible))
                + "."
            )
    return wanted or tuple(dict.fromkeys(_BY_KEY[_kind(key)][0] for key in keys))
