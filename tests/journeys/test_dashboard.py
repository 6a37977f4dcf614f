"""The dashboard, as those who want to know how it goes use it."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.journeys.accessibility import DESK, PHONE, fits_everyone
from tests.journeys.conftest import PATIENCE
from tests.journeys.numbers_stage import NumbersStage
from tests.journeys.pages import ConsolePage
from tests.journeys.test_pictures import DOCS, size
from tests.journeys.watch import PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ZONE = "Europe/Berlin"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NumbersStage]:
    async with NumbersStage(tmp_path_factory.mktemp("shop")) as stage:
        await stage.lives_through(weeks=8)
        await stage.account("vera", "Vera", "supervisor")
        await stage.account("otto", "Otto")
        await stage.account("sven", "Sven", "supervisor")
        await stage.opens()
        yield stage


class DashboardPage:
    """The dashboard, and the person in front of it."""

    def __init__(self, page: Page, shop: NumbersStage) -> None:
        self.page = page
        self._shop = shop
        self.status = self.part("status")
        self.name = self.part("number-name")

    def part(self, role: str) -> Locator:
        return self.page.locator(f"[data-role={role}]")

    def tile(self, number: str) -> Locator:
        return self.page.locator(f"[data-role=tile][data-number={number}]")

    async def comes(self, hash: str = "") -> None:
        await self.page.goto(f"{self._shop.analytics.url}/{hash}")

    async def logs_in(self, name: str) -> None:
        """By way of the console, and back."""
        await self.part("log-in").click()
        await ConsolePage(self.page).part("login-name").fill(name)
        await ConsolePage(self.page).part("login-password").fill("open the console")
        await ConsolePage(self.page).part("login-submit").click()
        await expect(self.part("numbers")).to_be_visible()

    async def is_drawn(self) -> None:
        await expect(self.page.locator(".plot canvas")).to_be_visible()
        await expect(self.part("graph").first).to_be_visible()
        await expect(self.status).to_have_attribute("data-state", "live")


@pytest_asyncio.fixture(loop_scope="session")
async def dashboard(browser: Browser, shop: NumbersStage, watch: PageWatch) -> AsyncIterator[DashboardPage]:
    context = await browser.new_context(
        reduced_motion="reduce", timezone_id=ZONE, viewport=DESK, locale="en-GB"
    )
    context.set_default_timeout(PATIENCE)
    watch.over(context)
    yield DashboardPage(await context.new_page(), shop)
    await context.close()


async def test_a_supervisor_logs_in_by_the_console_and_follows_a_number_there(
    dashboard: DashboardPage, shop: NumbersStage
) -> None:
    await dashboard.comes("#period=7&number=handoffs")
    await expect(dashboard.part("door")).to_contain_text("You are not logged in")
    await dashboard.logs_in("vera")
    await expect(dashboard.page).to_have_url(f"{shop.analytics.url}/#period=7&number=handoffs")
    await expect(dashboard.name).to_have_text("Handoffs")
    await dashboard.is_drawn()

    await dashboard.tile("handoff_rate").click()
    await expect(dashboard.part("older")).to_contain_text(
        re.compile(r"By definition 1 .*:\s+\d+ %,\s+before\s+\d+ %")
    )
    await dashboard.tile("rating").click()
    await expect(dashboard.name).to_have_text("Rating")
    await dashboard.part("period").select_option("28")
    row = dashboard.part("conversation").first
    await expect(row).to_be_visible()
    conversation = (await row.get_attribute("href") or "").rpartition("=")[2]
    async with dashboard.page.context.expect_page() as opened:
        await row.click()
    console = ConsolePage(await opened.value)
    await expect(console.part("desk")).to_be_visible()
    await expect(console.part("transcript")).to_contain_text("Hello")
    await expect(console.page).to_have_url(f"{shop.operator.url}/")
    assert re.fullmatch("[0-9a-f]{32}", conversation)


async def test_a_view_is_sent_to_a_colleague_by_its_address(dashboard: DashboardPage) -> None:
    view = "#period=28&zone=Asia%2FKathmandu&queue=sales&number=waiting_time&by=outcome"
    await dashboard.comes(view)
    await dashboard.logs_in("vera")
    await expect(dashboard.name).to_have_text("Waiting time")
    await expect(dashboard.part("zone")).to_have_value("Asia/Kathmandu")
    await expect(dashboard.part("filter-queue")).to_have_value("sales")
    await expect(dashboard.part("compared")).to_contain_text("Asia/Kathmandu")
    # What is about no queue says so, instead of another number.
    await dashboard.part("zone").fill("Mars/Base")
    await dashboard.part("zone").press("Enter")
    await expect(dashboard.part("choice-error")).to_contain_text("no time zone Mars/Base")


async def test_where_visitors_leave_is_seen_on_the_flow_itself(dashboard: DashboardPage) -> None:
    await dashboard.comes()
    await dashboard.logs_in("vera")
    await dashboard.is_drawn()
    asked = dashboard.page.locator("[data-role=graph] [data-state=openEditor]")
    await expect(asked).to_contain_text(re.compile(r"\d+ % left here \(\d+ of \d+\)"))
    await asked.click()
    await expect(dashboard.name).to_have_text("Drop-off")
    await expect(dashboard.part("behind")).to_contain_text("openEditor")
    await expect(dashboard.part("conversation").first).to_be_visible()


async def test_two_versions_of_a_flow_are_compared(dashboard: DashboardPage, shop: NumbersStage) -> None:
    before, now = shop.versions
    await dashboard.page.set_viewport_size(PHONE)
    await dashboard.comes(f"#funnel={now}")
    await dashboard.logs_in("vera")
    await dashboard.is_drawn()
    await dashboard.part("other").select_option(before)
    await expect(dashboard.part("graph")).to_have_count(2)
    await expect(dashboard.part("graph").last).to_contain_text(before[:8])
    for graph in await dashboard.part("graph").all():  # each begins where the flow does
        await graph.scroll_into_view_if_needed()
        await expect(graph.locator("[data-state=welcome]")).to_be_in_viewport(ratio=0.99)
    menu = dashboard.part("states").locator("tr", has_text="menu").first
    await expect(menu).to_contain_text(re.compile(r"[▲▼] \d+\.\d points"))
    await expect(dashboard.page).to_have_url(re.compile(f"funnel={now}&other={before}"))


async def test_the_page_renews_itself_and_keeps_where_one_is(
    dashboard: DashboardPage, shop: NumbersStage
) -> None:
    await dashboard.comes("#period=today&number=conversations")
    await dashboard.logs_in("vera")
    await dashboard.is_drawn()
    await dashboard.page.wait_for_load_state("networkidle")
    value = dashboard.tile("conversations").locator(".value")
    count = int(await value.inner_text())
    streams = dashboard.page.get_by_text("By stream of the log")
    await streams.click()
    assert await dashboard.page.evaluate("scrollY") > 0
    before = await streams.bounding_box()
    await shop.visitor(time.time_ns(), random.Random(1), shop.versions[1])
    await expect(value).to_have_text(str(count + 1))
    await dashboard.page.wait_for_load_state("networkidle")
    after = await streams.bounding_box()  # what is above it may have grown by a line
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 3
    await expect(dashboard.part("streams")).to_be_visible()


async def test_an_operator_sees_themselves_and_nobody_else(dashboard: DashboardPage) -> None:
    await dashboard.comes()
    await dashboard.logs_in("otto")
    await expect(dashboard.page.get_by_role("heading", name="You", exact=True)).to_be_visible()
    await expect(dashboard.part("numbers")).not_to_contain_text("vera")
    await expect(dashboard.part("numbers")).to_contain_text("otto")


async def test_a_role_that_ends_takes_the_numbers_off_the_page(
    dashboard: DashboardPage, shop: NumbersStage, watch: PageWatch
) -> None:
    watch.allow(r"status of 401")
    await dashboard.comes()
    await dashboard.logs_in("sven")
    await dashboard.is_drawn()
    await shop.no_longer("sven", "operator")
    await expect(dashboard.part("door")).to_be_visible()
    await expect(dashboard.part("numbers")).to_have_count(0)


async def test_everyone_can_read_the_dashboard(dashboard: DashboardPage, tmp_path: Path) -> None:
    await dashboard.comes()
    await dashboard.page.locator("[data-role=door]").wait_for()
    await fits_everyone(dashboard.page, "switchboard-numbers", "dashboard-door")
    await dashboard.logs_in("vera")
    await dashboard.is_drawn()
    await fits_everyone(dashboard.page, "switchboard-numbers", "dashboard")
    folder = Path(os.environ.get("SWITCHBOARD_TEST_PICTURES") or tmp_path)
    await dashboard.page.emulate_media(media="print", color_scheme="dark")
    background = await dashboard.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    await dashboard.page.screenshot(path=folder / "dashboard-print.png", full_page=True)
    await dashboard.page.emulate_media(media="screen", color_scheme="light")
    await dashboard.page.screenshot(path=folder / "dashboard-whole.png", full_page=True)
    await dashboard.page.set_viewport_size(PHONE)
    await dashboard.page.screenshot(path=folder / "dashboard-whole-phone.png", full_page=True)


async def test_the_dashboard_in_pictures(dashboard: DashboardPage, tmp_path: Path) -> None:
    """Those of docs/dashboard.md: `SWITCHBOARD_TEST_PICTURES=docs pytest ... -k pictures` makes them anew."""
    await dashboard.comes()
    await dashboard.logs_in("vera")
    await dashboard.is_drawn()
    folder = Path(os.environ.get("SWITCHBOARD_TEST_PICTURES") or tmp_path)
    for name, shown, wanted in (
        ("dashboard.png", dashboard.page, (1280, 800)),
        ("dashboard-flow.png", dashboard.page.locator("[data-role=graph]"), None),
    ):
        await shown.screenshot(path=folder / name)
        assert size(folder / name) == size(DOCS / name)
        assert wanted in (None, size(DOCS / name))
