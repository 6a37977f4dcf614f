"""Who may change which account. Decided over all accounts as they are at one moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from shared.contract.accounts import NO_PASSWORD, Account
from shared.contract.roles import Role

#: From the account as it is, None: there is none, to what it becomes, None: it is removed.
AccountChange = Callable[[Account | None], Account | None]


class AccountRefused(Exception):
    """The account is not changed. The text says why."""

    def __init__(self, kind: Literal["missing", "forbidden", "conflict"], why: str) -> None:
        super().__init__(why)
        self.kind = kind


def decide_as_admin(
    accounts: Mapping[str, Account], by: str, name: str, change: AccountChange
) -> Account | None:
    """What becomes of the account ``name``. Raises `AccountRefused`.

    Only an admin decides it, and one who may log in must be left: nobody else could ever make another.
    """
    if not _rules(accounts.get(by)):
        raise AccountRefused("forbidden", "only admins may look after accounts")
    wanted = change(accounts.get(name))
    others = (account for account in accounts.values() if account.name != name)
    if not any(_rules(account) for account in (*others, wanted)):
        raise AccountRefused("conflict", f"{name} is the last admin who may log in: make another one first")
    return wanted


def make(account: Account) -> AccountChange:
    """A new one. Asked for again it is there already, which is no reason to give it another password."""

    def change(found: Account | None) -> Account:
        if found is not None:
            raise AccountRefused("conflict", f"there is an account {account.name} already")
        return account

    return change


def give_password(hash: str) -> AccountChange:
    return lambda found: _existing(found).with_hash(hash)


def let_sign_on(found: Account | None) -> Account:
    """Without a password, whoever comes first by single sign-on under its name has it."""
    account = _existing(found).with_hash(NO_PASSWORD)
    return msgspec.structs.replace(account, subject="", second=None)


def give_role(role: Role) -> AccountChange:
    return lambda found: msgspec.structs.replace(_existing(found), role=role)


def enable(on: bool) -> AccountChange:
    return lambda found: _existing(found).enabled(on)


def take_off_second(found: Account | None) -> Account:
    """Let it log in with the password alone."""
    if _existing(found).second is None:
        raise AccountRefused("conflict", "this account has no second factor")
    return msgspec.structs.replace(_existing(found), second=None)


def remove(found: Account | None) -> None:
    """Remove it."""
    _existing(found)


def _existing(found: Account | None) -> Account:
    if found is None:
        raise AccountRefused("missing", "there is no such account")
    return found


def _rules(account: Account | None) -> bool:
    return account is not None and account.role == "admin" and not account.disabled
