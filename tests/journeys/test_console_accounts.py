"""Accounts in the console."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.journeys.conftest import People
from tests.journeys.stage import PASSWORD, Stage
from tests.journeys.watch import PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_an_admin_makes_and_removes_an_account_and_another_changes_its_password(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow(r"status of (401|409|422)")
    await stage.account("root", "Root", "admin")
    root, ada = await people.operator("root"), await people.operator("ada")
    await expect(ada.part("accounts")).to_have_count(0)

    await root.part("me").click()
    await root.part("accounts").click()
    await root.part("account-new").click()
    await root.part("account-name").fill("nina")
    await root.part("account-display").fill("Nina")
    await root.part("account-new-password").fill("a long password")
    await root.part("account-save").click()
    nina = root.page.locator("[data-role=account][data-name=nina]")
    await expect(nina).to_contain_text("Nina")
    own = root.page.locator("[data-role=account][data-name=root]")
    await own.locator("[data-role=account-role]").select_option("operator")
    await expect(root.part("accounts-refused")).to_contain_text("the last admin")
    await expect(own.locator("[data-role=account-role]")).to_have_value("admin")

    await nina.locator("[data-role=account-remove]").click()
    await expect(root.part("accounts-dialog")).to_contain_text("Remove the account nina for good?")
    await root.part("account-save").click()
    await expect(nina).to_have_count(0)

    await ada.part("me").click()
    await ada.part("current-password").fill("a wrong one")
    await ada.part("new-password").fill(PASSWORD)
    await ada.part("change-password").click()
    await expect(ada.part("password-refused")).to_contain_text("this is not your password")
    await ada.part("current-password").fill(PASSWORD)
    await ada.part("change-password").click()
    await expect(ada.part("password-changed")).to_be_visible()
    await expect(ada.part("connection")).to_be_empty()  # this login goes on
    await ada.page.keyboard.press("Escape")
    await ada.looks_at("queue")
