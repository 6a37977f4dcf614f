"""The operators' accounts: a bucket on NATS that only the admin user writes.

The key is the account's name, the value ``{"name", "display", "hash", "created"}``.
"""

from __future__ import annotations

import re
import secrets
import time
from pathlib import Path

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from nats.aio.client import Client
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError, NotFoundError
from nats.js.kv import KeyValue

from deploy.local.embedded import write_secret
from shared.contract.times import format_time
from shared.runtime.declare import OPERATORS

FIRST = "operator"
LEAST_PASSWORD = 8

_NAME = re.compile(r"(?=.{1,32}$)[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_hasher = PasswordHasher()


class AccountError(Exception):
    """The account cannot be made or changed; the text says why."""


class Account(msgspec.Struct, frozen=True):
    """An operator's account. ``hash`` is argon2id, ``created`` RFC 3339."""

    name: str
    display: str
    hash: str
    created: str


def check_name(name: str) -> None:
    """Raises `AccountError` if no account can be called so."""
    if not _NAME.fullmatch(name):
        raise AccountError(f"{name!r} cannot be an account's name: 1 to 32 of a-z, 0-9, '.', '_' and '-'.")


async def add(client: Client, name: str, display: str, password: str) -> None:
    """Make an account. Raises `AccountError`."""
    check_name(name)
    if len(display) > 64 or not display.isprintable():
        raise AccountError("the name that visitors see has at most 64 characters that can be printed.")
    account = Account(name, display or name, _hash(password), format_time(time.time_ns()))
    try:
        await (await _bucket(client)).create(name, msgspec.json.encode(account))
    except KeyWrongLastSequenceError:
        raise AccountError(
            f"There is an account {name} already; `switchboard operator passwd` changes it."
        ) from None


async def change(client: Client, name: str, password: str) -> None:
    """Give an account another password. Raises `AccountError`."""
    bucket = await _bucket(client)
    found = await _find(bucket, name)
    if found is None:
        raise AccountError(f"There is no account {name}; `switchboard operator list` names all.")
    account, revision = found
    changed = msgspec.structs.replace(account, hash=_hash(password))
    await bucket.update(name, msgspec.json.encode(changed), last=revision)


async def accounts(client: Client) -> list[Account]:
    """All accounts, by name. Raises `AccountError`."""
    bucket = await _bucket(client)
    prefix = f"$KV.{OPERATORS}."
    info = await client.jetstream().stream_info(f"KV_{OPERATORS}", subjects_filter=f"{prefix}>")
    names = sorted(subject.removeprefix(prefix) for subject in info.state.subjects or {})
    found = [await _find(bucket, name) for name in names]
    return [account for account, _ in filter(None, found)]


async def first(client: Client, folder: Path) -> str | None:
    """See to a first account; its generated password as long as it holds, else None."""
    path = folder / "operator-password"
    known = await accounts(client)
    if not known:
        password = secrets.token_urlsafe(12)
        write_secret(path, password + "\n")  # before the account: one without a known password helps nobody
        await add(client, FIRST, "Operator", password)
        return password
    account = next((account for account in known if account.name == FIRST), None)
    if account is None or not path.exists():
        return None
    password = path.read_text().strip()
    try:
        _hasher.verify(account.hash, password)
    except (Argon2Error, InvalidHashError):
        path.unlink()  # changed since
        return None
    return password


def _hash(password: str) -> str:
    if len(password) < LEAST_PASSWORD:
        raise AccountError(f"A password has at least {LEAST_PASSWORD} characters.")
    return _hasher.hash(password)


async def _bucket(client: Client) -> KeyValue:
    try:
        return await client.jetstream().key_value(OPERATORS)
    except NotFoundError:
        raise AccountError("There is no place for accounts yet: run `switchboard setup`.") from None


async def _find(bucket: KeyValue, name: str) -> tuple[Account, int] | None:
    try:
        entry = await bucket.get(name)
    except KeyNotFoundError:
        return None
    return msgspec.json.decode(entry.value or b"", type=Account), int(entry.revision or 0)
