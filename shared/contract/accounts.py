"""Operators' accounts, as they are kept in the bucket OPERATORS: the account's name is the key."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from shared.contract.roles import Role

#: 1 to 32 of a-z, 0-9, ".", "_" and "-": it is a key in NATS, where parts between dots must not be empty.
ACCOUNT_NAME: Final = re.compile(r"(?=.{1,32}$)[a-z0-9_-]+(\.[a-z0-9_-]+)*")
#: Of a password, in characters.
LEAST_PASSWORD: Final = 8
#: Of the name that visitors see, in characters.
MAX_DISPLAY: Final = 64
#: The hash of an account without a password: it fits none.
NO_PASSWORD: Final = "*"
#: What the secret of a second factor is bound to under the master key, beside the account's name.
SECOND_FACTOR: Final = b"second factor"


class SecondFactor(msgspec.Struct, frozen=True):
    """Codes that are asked for beside the password (RFC 6238). ``since`` is RFC 3339.

    ``sealed`` is their secret, wrapped by the master key together with the account's name. ``recovery`` are
    hashes of the recovery codes that were not used yet.
    """

    sealed: bytes
    recovery: tuple[str, ...]
    since: str


class Account(msgspec.Struct, frozen=True):
    """An operator's account. ``hash`` is argon2id, ``created`` RFC 3339, ``display`` what visitors see.

    While an account is disabled its hash begins with ``!``, as in /etc/shadow, so that no password fits, at
    services of every version. ``subject`` is who it is at the provider of single sign-on: the issuer, a
    space, and its name for them.
    """

    name: str
    display: str
    hash: str
    created: str
    role: Role = "operator"
    second: SecondFactor | None = None
    subject: str = ""

    @property
    def awaits_sign_on(self) -> bool:
        """Whether it becomes that of the first who comes by single sign-on under its name."""
        return not self.subject and not self.has_password

    @property
    def signs_on(self) -> bool:
        """Whether it logs in by single sign-on."""
        return bool(self.subject) or not self.has_password

    @property
    def has_password(self) -> bool:
        return self.hash.removeprefix("!") != NO_PASSWORD

    @property
    def disabled(self) -> bool:
        return self.hash.startswith("!")

    def with_hash(self, hash: str) -> Account:
        """With another password. Whoever is disabled stays so."""
        return msgspec.structs.replace(self, hash="!" + hash if self.disabled else hash)

    def enabled(self, on: bool) -> Account:
        """The password stays the same."""
        bare = self.hash.removeprefix("!")
        return msgspec.structs.replace(self, hash=bare if on else "!" + bare)
