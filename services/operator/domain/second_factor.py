"""Codes of a second factor: those of an app (RFC 6238), and recovery codes. Clock and chance are given."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Final

import pyotp

from shared.contract.accounts import SecondFactor

#: How long a code holds (seconds), and how many before and after it are taken, for clocks that differ: one
#: each, as RFC 6238 (5.2) recommends at most.
STEP: Final = 30
DRIFT: Final = 1
#: Bytes of a secret: RFC 4226 (4, R6) recommends 160 bits.
SECRET_BYTES: Final = 20
#: Recovery codes that are given out at once, and bytes of each: with 80 bits a plain hash cannot be searched.
RECOVERY_CODES: Final = 10
RECOVERY_BYTES: Final = 10
#: A code as people type it (characters).
MAX_CODE: Final = 64

_ISSUER = "Switchboard"


def step_of(secret: bytes, code: str, now: float) -> int | None:
    """The time step for which the app shows this code, if it is one that holds at ``now`` (seconds)."""
    app, digits, here = pyotp.TOTP(_base32(secret)), re.sub(r"\s", "", code), int(now) // STEP
    found = None
    for step in range(here - DRIFT, here + DRIFT + 1):
        if hmac.compare_digest(app.generate_otp(step).encode(), digits.encode()):
            found = step
    return found


def app_uri(secret: bytes, account: str, host: str) -> str:
    """What an app is told, as a QR code or by hand; ``host`` tells installations apart."""
    issuer = f"{_ISSUER} {host}" if host else _ISSUER
    return pyotp.TOTP(_base32(secret)).provisioning_uri(name=account, issuer_name=issuer)


def shown_secret(secret: bytes) -> str:
    """The secret for those who type it, in groups of four."""
    return _grouped(_base32(secret))


def recovery_code(chance: bytes) -> str:
    """A recovery code of `RECOVERY_BYTES`, as it is shown once."""
    return _grouped(_base32(chance).lower()).replace(" ", "-")


def recovery_hash(account: str, code: str) -> str:
    """What is kept of a recovery code. It is the same however people write it."""
    bare = re.sub(r"[^a-z0-9]", "", code.lower())
    return hashlib.sha256(f"{account}:{bare}".encode()).hexdigest()


def looks_like_recovery(code: str) -> bool:
    """Whether it is meant for one: an app's codes are digits alone."""
    return re.search("[A-Za-z]", code) is not None


def without(second: SecondFactor, hash: str) -> SecondFactor | None:
    """The second factor once this recovery code is used; None: it is none of those that are left."""
    left = tuple(each for each in second.recovery if not hmac.compare_digest(each, hash))
    if len(left) == len(second.recovery):
        return None
    return SecondFactor(second.sealed, left, second.since)


def _base32(secret: bytes) -> str:
    return base64.b32encode(secret).decode().rstrip("=")


def _grouped(text: str) -> str:
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))
