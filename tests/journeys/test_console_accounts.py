"""Accounts in the console."""

from __future__ import annotations

from pathlib import Path

import pyotp
import pytest
from playwright.async_api import expect

from tests.journeys.accessibility import fits_everyone
from tests.journeys.conftest import People
from tests.journeys.pages import ConsolePage
from tests.journeys.stage import PASSWORD, Stage
from tests.journeys.watch import PageWatch
from tests.oidc import CLIENT, SECRET, oidc_server

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
    await fits_everyone(desk.page, "[data-role=account-dialog]")
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


async def test_an_operator_sets_up_a_second_factor_and_logs_in_with_it(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow(r"status of (401|422)")
    await stage.account("otto", "Otto")
    otto = await people.operator("otto")
    await otto.part("me").click()
    await otto.part("second-factor").click()
    await otto.part("second-password").fill(PASSWORD)
    await otto.part("second-begin").click()
    qr = otto.part("second-qr")
    await expect(qr).to_be_visible()
    assert await qr.evaluate("image => image.decode().then(() => image.naturalWidth > 100)")
    app = pyotp.TOTP((await otto.part("second-secret").inner_text()).replace(" ", ""))
    await fits_everyone(otto.page, "[data-role=second-factor-dialog]", "qr")
    await otto.part("second-code").fill("000000")
    await otto.part("second-confirm").click()
    await expect(otto.part("second-refused")).to_contain_text("wrong")
    await otto.part("second-code").fill(app.now())
    await otto.part("second-confirm").click()
    codes = (await otto.part("recovery-codes").inner_text()).split()
    assert len(codes) == 10
    await fits_everyone(otto.page, "[data-role=second-factor-dialog]")
    await otto.part("codes-kept").click()
    await expect(otto.connection).to_be_empty()  # this login goes on
    await otto.looks_at("queue")

    await otto.part("logout").click()
    await otto.part("login-name").fill("otto")
    await otto.part("login-password").fill(PASSWORD)
    await otto.part("login-submit").click()
    await expect(otto.part("login-code")).to_be_focused()
    await fits_everyone(otto.page, "[data-role=login]")
    await otto.part("login-code").fill("000000")
    await otto.part("login-submit").click()
    await expect(otto.part("login-error")).to_contain_text("code: it is wrong")
    await otto.part("login-code").fill(codes[0])
    await otto.part("login-submit").click()
    await expect(otto.part("desk")).to_be_visible()

    await otto.part("me").click()
    await otto.part("second-factor").click()
    await expect(otto.part("codes-left")).to_contain_text("9 recovery codes")
    await otto.part("second-password").fill(PASSWORD)
    await otto.part("second-code").fill(codes[1])
    await otto.part("second-off").click()
    await expect(otto.part("second-begin")).to_be_visible()


async def test_whoever_must_have_a_second_factor_sets_it_up_before_anything_else(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    watch.allow(r"status of (401|403|422)")
    await stage.account("vera", "Vera", "supervisor")
    strict = await stage.service("operator", SWITCHBOARD_SECOND_FACTOR_ROLES="supervisor").start()
    try:
        page = await people.page()
        await page.goto(strict.url)
        vera = ConsolePage(page)
        await vera.part("login-name").fill("vera")
        await vera.part("login-password").fill(PASSWORD)
        await vera.part("login-submit").click()
        await expect(vera.part("enrol")).to_contain_text("Your account needs a second factor")
        await expect(vera.part("desk")).to_have_count(0)
        await fits_everyone(page, "[data-role=enrol]")
        await vera.part("second-password").fill(PASSWORD)
        await vera.part("second-begin").click()
        app = pyotp.TOTP((await vera.part("second-secret").inner_text()).replace(" ", ""))
        await vera.part("second-code").fill(app.now())
        await vera.part("second-confirm").click()
        await vera.part("codes-kept").click()
        await expect(vera.part("desk")).to_be_visible()
        await expect(vera.connection).to_be_empty()
        await page.close()
    finally:
        strict.kill()


async def test_an_operator_logs_in_at_the_provider_and_out_again(
    people: People, stage: Stage, watch: PageWatch, tmp_path: Path
) -> None:
    watch.allow(r"status of (401|403)")
    await stage.account("chief", "Chief", "admin")
    async with oidc_server() as provider:
        secret = tmp_path / "secret"
        secret.write_text(SECRET)
        service = stage.service(
            "operator",
            SWITCHBOARD_OIDC_ISSUER=provider.issuer,
            SWITCHBOARD_OIDC_CLIENT_ID=CLIENT,
            SWITCHBOARD_OIDC_CLIENT_SECRET_FILE=str(secret),
            SWITCHBOARD_OIDC_LABEL="Log in with Acme",
            SWITCHBOARD_OIDC_LOGOUT="yes",
            SWITCHBOARD_ANALYTICS_URL=stage.proxy.url,  # a page that is there, in place of the dashboard
        )
        service.set(SWITCHBOARD_OPERATOR_URL=service.url)
        await service.start()
        try:
            provider.redirect = f"{service.url}/login/sso/callback"
            provider.person = {"sub": "u-9", "preferred_username": "kira", "name": "Kira"}
            page = await people.page()
            await page.goto(service.url)
            kira = ConsolePage(page)
            await expect(kira.part("login-name")).to_be_focused()
            await fits_everyone(page, "[data-role=login]", "sign-on")
            await kira.part("login-sso").click()
            await page.get_by_role("button", name="Continue as Kira").click()
            await expect(kira.part("login-error")).to_contain_text("finds the reason in its log under")
            assert "?" not in page.url

            chief = ConsolePage(await people.page())
            await chief.page.goto(service.url)
            await chief.logs_in("chief")
            await chief.part("me").click()
            await chief.part("accounts").click()
            await chief.part("account-new").click()
            await chief.part("account-name").fill("kira")
            await chief.part("account-display").fill("Kira")
            await chief.part("account-sign-on").check()
            await expect(chief.part("account-new-password")).to_have_count(0)
            await fits_everyone(chief.page, "[data-role=accounts-dialog]", "new-sign-on")
            await chief.part("account-save").click()
            added = chief.page.locator("[data-role=account][data-name=kira]")
            await expect(added).to_contain_text("single sign-on")

            await kira.part("login-sso").click()
            await page.get_by_role("button", name="Continue as Kira").click()
            await expect(kira.part("me")).to_have_text("Kira")
            await expect(kira.connection).to_be_empty()
            await kira.part("me").click()
            await expect(kira.part("you-sign-on")).to_be_visible()
            await expect(kira.part("current-password")).to_have_count(0)
            await page.keyboard.press("Escape")
            await kira.part("logout").click()
            await expect(page.get_by_text("Signed out of switchboard")).to_be_visible()

            # Who came from the dashboard is led back there, by way of the provider.
            await page.goto(f"{service.url}/?to=dashboard#number=rating")
            await kira.part("login-sso").click()
            await page.get_by_role("button", name="Continue as Kira").click()
            await expect(page).to_have_url(f"{stage.proxy.url}/#number=rating")
            for each in (page, chief.page):
                await each.close()
        finally:
            service.kill()
