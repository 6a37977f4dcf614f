"""The master key: what wraps the keys on the log's broker, and is never there itself.

While it is being changed there are two: the first wraps, each opens what it wrapped.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

#: Bytes of a master key: two of AES-256 (AES-SIV, RFC 5297, made for wrapping keys: section 1.3.1).
MASTER_BYTES: Final = 64
ID_BYTES: Final = 8

_VERSION: Final = b"\x01"
_HEAD: Final = len(_VERSION) + ID_BYTES


class KeyringError(Exception):
    """A key cannot be had; the text says what cannot be read without it, and what to do."""


class BadMasterKey(KeyringError):
    """What is given is no master key."""


class WrongMasterKey(KeyringError):
    """The keys are wrapped by another master key than those given."""


class MasterKeys:
    """One master key, or the new one and those before it."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """``keys`` have `MASTER_BYTES` each, the newest first. Raises `BadMasterKey`."""
        if not keys or any(len(key) != MASTER_BYTES for key in keys):
            raise BadMasterKey(
                f"a master key has {2 * MASTER_BYTES} hex digits: openssl rand -hex {MASTER_BYTES}"
            )
        self._ciphers = {_id(key): AESSIV(key) for key in keys}
        self._first = _id(keys[0])

    @classmethod
    def parse(cls, text: str) -> MasterKeys:
        """From hex digits, several with commas or white space between. Raises `BadMasterKey`."""
        words = [word for word in re.split(r"[\s,]+", text) if word]
        if not words:
            raise BadMasterKey("no master key is given")
        if any(re.fullmatch("[0-9a-fA-F]*", word) is None or len(word) % 2 for word in words):
            raise BadMasterKey("the master key holds something else than pairs of hex digits")
        return cls([bytes.fromhex(word) for word in words])

    @property
    def id(self) -> str:
        """Names the first one in messages; the key cannot be found from it."""
        return self._first.hex()

    def wrap(self, secret: bytes, *bound: bytes) -> bytes:
        """``secret`` wrapped by the first; it opens only together with what is ``bound`` to it."""
        return _VERSION + self._first + self._ciphers[self._first].encrypt(secret, list(bound))

    def unwrap(self, wrapped: bytes, *bound: bytes) -> bytes:
        """What was wrapped by any of these. Raises `WrongMasterKey`, or `KeyringError` for what is broken."""
        id = wrapped[len(_VERSION) : _HEAD]
        if not wrapped.startswith(_VERSION) or len(wrapped) <= _HEAD:
            raise KeyringError(
                "what stands in the stream KEYS is no wrapped key of a form that is known here"
            )
        cipher = self._ciphers.get(id)
        if cipher is None:
            raise WrongMasterKey(
                f"the keys are wrapped by the master key {id.hex()}, and given is {self.id}: no sealed word "
                "can be read. States, choices by id, times and numbers can be read without any key. "
                "Set SWITCHBOARD_MASTER_KEY to the key with which the log was written"
            )
        try:
            return cipher.decrypt(wrapped[_HEAD:], list(bound))
        except (InvalidTag, ValueError):
            raise KeyringError(
                "a wrapped key in the stream KEYS was changed: the words under it cannot be read. Put the "
                "stream back from a copy"
            ) from None

    def newest_wrapped(self, wrapped: bytes) -> bool:
        """Whether the first of these wrapped it."""
        return wrapped.startswith(_VERSION + self._first)


def new_master_key() -> str:
    """A master key, as hex digits."""
    return secrets.token_hex(MASTER_BYTES)


def _id(key: bytes) -> bytes:
    return blake2b(key, digest_size=ID_BYTES, person=b"master key").digest()
