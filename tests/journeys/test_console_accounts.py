"""Accounts in the console."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.journeys.accessibility import fits_everyone
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


async def test_an_operator_sees_where_they_are_logged_in_and_ends_it(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow(r"status of 401")
    await stage.account("lina", "Lina")
    await stage.account("head", "Head", "admin")
    desk, elsewhere = await people.operator("lina"), await people.operator("lina")

    await desk.part("me").click()
    await desk.part("sessions").click()
    logins = desk.part("session")
    await expect(logins).to_have_count(2)
    own = logins.filter(has=desk.part("session-this"))
    await expect(own).to_have_count(1)
    await expect(own).to_contain_text("Chrome")
    await expect(own.locator("[data-role=session-end]")).to_have_count(0)
    await fits_everyone(desk.page, "[data-role=sessions-dialog]")
    await desk.part("session-end").click()
    await expect(logins).to_have_count(1)
    await expect(elsewhere.part("login-error")).to_contain_text("Your login has ended")
    await expect(desk.part("sessions-end-all")).to_have_count(0)

    # An admin does the same for everybody.
    root = await people.operator("head")
    await root.part("me").click()
    await root.part("accounts").click()
    await fits_everyone(root.page, "[data-role=accounts-dialog]")
    await root.page.locator("[data-role=account][data-name=lina] [data-role=account-sessions]").click()
    await expect(root.part("sessions-dialog")).to_contain_text("Where lina is logged in")
    await root.part("sessions-end-all").click()
    await expect(root.part("no-sessions")).to_be_visible()
    await expect(desk.part("login-error")).to_contain_text("Your login has ended")
