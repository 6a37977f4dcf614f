"""Who may change which account."""

from __future__ import annotations

import pytest

from services.operator.domain import accounts as domain
from services.operator.domain.accounts import AccountRefused, decide_as_admin
from shared.contract.accounts import Account
from shared.contract.roles import Role


def account(name: str, role: Role = "operator", hash: str = "h") -> Account:
    return Account(name, name.capitalize(), hash, "2026-01-01T00:00:00Z", role)


def those(*accounts: Account) -> dict[str, Account]:
    return {each.name: each for each in accounts}


ADA, BOB = account("ada", "admin"), account("bob")


def test_an_admin_changes_accounts() -> None:
    known = those(ADA, BOB)
    eve = account("eve", "supervisor")
    assert decide_as_admin(known, "ada", "eve", domain.make(eve)) == eve
    assert decide_as_admin(known, "ada", "bob", domain.give_role("admin")) == account("bob", "admin")
    assert decide_as_admin(known, "ada", "bob", domain.give_password("x")) == account("bob", hash="x")
    off = decide_as_admin(known, "ada", "bob", domain.enable(False))
    assert off == account("bob", hash="!h")
    known = those(ADA, off)
    assert decide_as_admin(known, "ada", "bob", domain.enable(False)) == off  # asked for twice
    assert decide_as_admin(known, "ada", "bob", domain.give_password("x")) == account("bob", hash="!x")
    assert decide_as_admin(known, "ada", "bob", domain.enable(True)) == BOB
    assert decide_as_admin(known, "ada", "bob", domain.remove) is None


@pytest.mark.parametrize(
    "by", [BOB, account("sue", "supervisor"), account("off", "admin", "!h"), account("gone", "admin")]
)
def test_nobody_else_does(by: Account) -> None:
    known = those(ADA, BOB, *([by] if by.name != "gone" else []))
    with pytest.raises(AccountRefused) as refused:
        decide_as_admin(known, by.name, "bob", domain.give_role("admin"))
    assert refused.value.kind == "forbidden"


@pytest.mark.parametrize("change", [domain.remove, domain.enable(False), domain.give_role("supervisor")])
def test_the_last_admin_who_may_log_in_stays(change: domain.AccountChange) -> None:
    known = those(ADA, BOB, account("off", "admin", "!h"))
    with pytest.raises(AccountRefused, match="ada is the last admin") as refused:
        decide_as_admin(known, "ada", "ada", change)
    assert refused.value.kind == "conflict"
    assert decide_as_admin(known | those(account("sue", "admin")), "ada", "ada", change) != ADA


def test_what_is_not_there_or_is_there_already() -> None:
    with pytest.raises(AccountRefused) as refused:
        decide_as_admin(those(ADA), "ada", "bob", domain.remove)
    assert refused.value.kind == "missing"
    with pytest.raises(AccountRefused) as refused:
        decide_as_admin(those(ADA, BOB), "ada", "bob", domain.make(BOB))
    assert refused.value.kind == "conflict"
