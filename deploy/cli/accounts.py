"""The operators' accounts, for whoever runs Switchboard: with the NATS user admin, past all roles.

A login names the revision of its account, so whatever is changed here ends the account's logins.
"""

from __future__ import annotations

import contextlib
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
from shared.contract.accounts import (
    ACCOUNT_NAME,
    LEAST_PASSWORD,
    MAX_DISPLAY,
    NO_PASSWORD,
    Account,
    SecondFactor,
)
from shared.contract.roles import Role
from shared.contract.subjects import ANSWERS, ANSWERS_OF, OPERATORS, VIEWS_OF
from shared.timestamps import format_time

FIRST = "operator"

_hasher = PasswordHasher()
_CHANGED = "Somebody else changed the account {} at this moment; look at it and try again."


class AccountError(Exception):
    """The account cannot be made or changed; the text says why."""


def check_name(name: str) -> None:
    """Raises `AccountError` if no account can be called so."""
    if not ACCOUNT_NAME.fullmatch(name):
        raise AccountError(f"{name!r} cannot be an account's name: 1 to 32 of a-z, 0-9, '.', '_' and '-'.")


async def add(client: Client, name: str, display: str, password: str | None, role: Role = "operator") -> None:
    """Make an account; without a password it logs in by single sign-on. Raises `AccountError`."""
    check_name(name)
    if len(display) > MAX_DISPLAY or not display.isprintable():
        raise AccountError(
            f"the name that visitors see has at most {MAX_DISPLAY} characters that can be printed."
        )
    hash = NO_PASSWORD if password is None else _hash(password)
    account = Account(name, display or name, hash, format_time(time.time_ns()), role)
    try:
        await (await _bucket(client)).create(name, msgspec.json.encode(account))
    except KeyWrongLastSequenceError:
        raise AccountError(
            f"There is an account {name} already; `switchboard operator passwd` changes it."
        ) from None


async def change(client: Client, name: str, password: str) -> None:
    """Give an account another password. Raises `AccountError`."""
    hash = _hash(password)
    bucket = await _bucket(client)
    account, revision = await _existing(bucket, name)
    await _keep(bucket, account.with_hash(hash), revision)


async def change_role(client: Client, name: str, role: Role) -> None:
    """Let an account do more, or less; its logins end. Raises `AccountError`."""
    bucket = await _bucket(client)
    account, revision = await _existing(bucket, name)
    if account.role == role:
        raise AccountError(f"The account {name} has the role {role} already.")
    await _keep(bucket, msgspec.structs.replace(account, role=role), revision)


async def disable(client: Client, name: str) -> None:
    """Let nobody log in with this account until it is enabled; its logins end. Raises `AccountError`."""
    bucket = await _bucket(client)
    account, revision = await _existing(bucket, name)
    if account.disabled:
        raise AccountError(f"The account {name} is disabled already.")
    await _keep(bucket, account.enabled(False), revision)


async def enable(client: Client, name: str) -> None:
    """The opposite of `disable`; the password is the same. Raises `AccountError`."""
    bucket = await _bucket(client)
    account, revision = await _existing(bucket, name)
    if not account.disabled:
        raise AccountError(f"The account {name} is not disabled.")
    await _keep(bucket, account.enabled(True), revision)


async def let_sign_on(client: Client, name: str) -> None:
    """Take the password away: whoever comes next by single sign-on under its name has the account.

    Its logins end. Raises `AccountError`.
    """
    bucket = await _bucket(client)
    account, revision = await _existing(bucket, name)
    changed = msgspec.structs.replace(account.with_hash(NO_PASSWORD), subject="", second=None)
    await _keep(bucket, changed, revision)


async def take_off_second(client: Client, name: str) -> None:
    """Let the account log in with its password alone; its logins end. Raises `AccountError`."""
    bucket = await _bucket(client)
    account, revision = await _existing(bucket, name)
    if account.second is None:
        raise AccountError(f"The account {name} has no second factor.")
    await _keep(bucket, msgspec.structs.replace(account, second=None), revision)


async def change_second(client: Client, account: Account, second: SecondFactor) -> None:
    """Keep the second factor of an account otherwise; its logins end. Raises `AccountError`."""
    bucket = await _bucket(client)
    found, revision = await _existing(bucket, account.name)
    if found != account:
        raise AccountError(_CHANGED.format(account.name))
    await _keep(bucket, msgspec.structs.replace(account, second=second), revision)


async def remove(client: Client, name: str) -> None:
    """Remove an account for good; its logins end. Raises `AccountError`."""
    bucket = await _bucket(client)
    _, revision = await _existing(bucket, name)
    try:
        await bucket.delete(name, last=revision)
    except KeyWrongLastSequenceError:
        raise AccountError(_CHANGED.format(name)) from None
    # Whoever has an account of this name later is somebody else.
    with contextlib.suppress(NotFoundError):
        kept = await client.jetstream().key_value(ANSWERS)
        for own in (ANSWERS_OF, VIEWS_OF):
            await kept.delete(f"{own}.{name}")


async def accounts(client: Client) -> list[Account]:
    """All accounts, by name. Raises `AccountError`."""
    bucket = await _bucket(client)
    prefix = f"$KV.{OPERATORS}."
    info = await client.jetstream().stream_info(f"KV_{OPERATORS}", subjects_filter=f"{prefix}>")
    names = sorted(subject.removeprefix(prefix) for subject in info.state.subjects or {})
    found = [await _find(bucket, name) for name in names]
    return [account for account, _ in filter(None, found)]


async def revision_of(client: Client, name: str) -> int:
    """The revision of an account, which its logins name. Raises `AccountError` where there is none."""
    return (await _existing(await _bucket(client), name))[1]


async def first(client: Client, folder: Path) -> str | None:
    """See to a first account; its generated password as long as it holds, else None."""
    path = folder / "operator-password"
    known = await accounts(client)
    if not known:
        password = secrets.token_urlsafe(12)
        write_secret(path, password + "\n")  # before the account: one without a known password helps nobody
        await add(client, FIRST, "Operator", password, "admin")
        return password
    account = next((account for account in known if account.name == FIRST), None)
    if not path.exists():
        return None
    if account is None:
        path.unlink()  # removed since
        return None
    if account.disabled:
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


async def _existing(bucket: KeyValue, name: str) -> tuple[Account, int]:
    """The account and its revision. Raises `AccountError` where there is none."""
    check_name(name)
    found = await _find(bucket, name)
    if found is None:
        raise AccountError(f"There is no account {name}; `switchboard operator list` names all.")
    return found


async def _keep(bucket: KeyValue, account: Account, revision: int) -> None:
    try:
        await bucket.update(account.name, msgspec.json.encode(account), last=revision)
    except KeyWrongLastSequenceError:
        raise AccountError(_CHANGED.format(account.name)) from None


async def _find(bucket: KeyValue, name: str) -> tuple[Account, int] | None:
    try:
        entry = await bucket.get(name)
    except KeyNotFoundError:
        return None
    return msgspec.json.decode(entry.value or b"", type=Account), int(entry.revision or 0)
