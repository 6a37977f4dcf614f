"""A cookie that the browser does not keep: visitor and page's author are told, nothing begins by itself."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.journeys.conftest import PATIENCE, SWITCHES, WHOLE, People, chromium
from tests.journeys.pages import ChatPage
from tests.journeys.site import NO_POLICY, Site
from tests.journeys.stage import Stage
from tests.journeys.tour import BYE, MENU, WELCOME
from tests.journeys.wire import BrowserWire
from tests.processes import free_port

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

#: Two sites by name, on this machine.
HOSTS = "--host-resolver-rules=MAP shop.example 127.0.0.1, MAP *chat.example 127.0.0.1"
NO_THIRD_PARTY_COOKIES = "--test-third-party-cookie-phaseout"
UNKEPT = "This browser does not keep the chat's cookie"
HINT = r"SWITCHBOARD_COOKIE_SAMESITE=none.*SWITCHBOARD_COOKIE_PARTITIONED=yes"


def certificate(folder: Path) -> ssl.SSLContext:
    """A certificate that the browser is told not to mind."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chat.example")])
    now = datetime.fromtimestamp(time(), UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "both.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict_browser() -> AsyncIterator[Browser]:
    """A browser that blocks third-party cookies (the light one does not), and finds the two sites."""
    switches = [switch for switch in SWITCHES if not switch.startswith("--host-resolver-rules")]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(*WHOLE), args=[*switches, HOSTS, NO_THIRD_PARTY_COOKIES]
        )
        yield browser
        await browser.close()


class Street:
    """A shop's page and a chat, of two sites, both over HTTPS."""

    def __init__(self, stage: Stage, chat: BrowserWire, page: Page, shop: str, said: list[str]) -> None:
        self.stage = stage
        self.chat = chat  # the way to the chat
        self.page = page
        self.shop = shop
        self.said = said  # by the browser's console

    async def opens(self) -> ChatPage:
        await self.page.goto(self.shop)
        chat = ChatPage(self.page)
        await chat.opens()
        await chat.hears(WELCOME, MENU)
        return chat


@pytest_asyncio.fixture(loop_scope="session")
async def street(
    strict_browser: Browser, stage: Stage, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Street]:
    """``request.param``: the shop's host, and the proxy's settings."""
    host, settings = request.param
    tls, front = certificate(tmp_path), free_port()
    proxy = stage.service(
        "proxy",
        SWITCHBOARD_ORIGINS=f"https://{host}:{front}",
        SWITCHBOARD_TRUSTED_PROXIES="127.0.0.1",
        **{f"SWITCHBOARD_COOKIE_{name.upper()}": value for name, value in settings.items()},
    )
    try:
        await proxy.start()
        async with (
            BrowserWire(proxy.port, tls) as chat,
            Site(f"https://chat.example:{chat.port}", NO_POLICY) as site,
            BrowserWire(int(site.url.rsplit(":", 1)[1]), tls, front),
        ):
            context = await strict_browser.new_context(ignore_https_errors=True, reduced_motion="reduce")
            context.set_default_timeout(PATIENCE)
            page = await context.new_page()
            said: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            yield Street(stage, chat, page, f"https://{host}:{front}", said)
            await context.close()
    finally:
        proxy.kill()


LAX: tuple[str, dict[str, str]] = ("shop.example", {})
THIRD_PARTY = ("shop.example", {"samesite": "none"})
PARTITIONED = ("shop.example", {"samesite": "none", "partitioned": "yes"})
SAME_SITE: tuple[str, dict[str, str]] = ("www.chat.example", {})


@pytest.mark.parametrize("street", [LAX, THIRD_PARTY], indirect=True, ids=["lax", "blocked"])
async def test_a_cookie_that_does_not_stick_is_told(street: Street) -> None:
    visitor = await street.opens()
    await expect(visitor.part("identity")).to_contain_text(UNKEPT)
    assert any(re.search(HINT, text) for text in street.said)

    begun = await street.stage.begun()
    for _ in range(3):  # viewing pages begins nothing
        await street.page.reload()
        await expect(visitor.part("launcher")).to_be_visible()
        await expect(visitor.dialog).to_have_count(0)  # not even the panel is loaded
    assert await street.stage.begun() == begun
    visitor = await street.opens()  # asked for, it does, and is told again
    await expect(visitor.part("identity")).to_contain_text(UNKEPT)
    assert await street.stage.begun() > begun


@pytest.mark.parametrize("street", [LAX], indirect=True, ids=["lax"])
async def test_a_broken_link_does_not_put_the_menu_in_place_of_the_talk(street: Street) -> None:
    visitor = await street.opens()
    await expect(visitor.part("identity")).to_contain_text(UNKEPT)
    await visitor.picks("The end")
    await visitor.hears(BYE)
    begun = await street.stage.begun()
    street.chat.cuts()
    await expect(visitor.notice).to_contain_text("could not be found again")
    await visitor.sees_the_same()
    assert await street.stage.begun() == begun
    visitor.lines.clear()
    await visitor.part("retry").click()  # "Start a new conversation"
    await visitor.hears(WELCOME, MENU)
    await expect(visitor.notice).to_be_hidden()
    await visitor.picks("The end")
    await visitor.hears(BYE)


@pytest.mark.parametrize("street", [PARTITIONED, SAME_SITE], indirect=True, ids=["partitioned", "same-site"])
async def test_a_cookie_that_sticks_keeps_the_conversation(street: Street) -> None:
    visitor = await street.opens()
    await visitor.picks("The end")
    await visitor.hears(BYE)
    await visitor.page.reload()
    await visitor.opens()
    await visitor.sees_the_same()
    await visitor.sees_dot("connected")
    await expect(visitor.part("identity")).to_be_hidden()
    assert not any("SWITCHBOARD_" in text for text in street.said)


async def test_viewing_pages_begins_no_conversation(people: People, stage: Stage) -> None:
    page = await people.page()
    begun = await stage.begun()
    for _ in range(3):
        await page.goto(stage.proxy.url)
        await expect(page.locator("[data-role=launcher]")).to_be_visible()
    assert await page.context.cookies() == []
    assert await stage.begun() == begun


async def test_a_visitor_whose_cookie_was_cleared_is_told_that_the_talk_is_gone(
    people: People, stage: Stage
) -> None:
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("The end")
    await visitor.hears(BYE)
    await visitor.page.context.clear_cookies()
    begun = await stage.begun()
    await visitor.page.reload()
    await expect(visitor.part("identity")).to_have_text("Your earlier conversation could not be found again.")
    assert await stage.begun() == begun
    await visitor.opens()
    visitor.lines.clear()
    await visitor.hears(WELCOME, MENU)
    await visitor.reloads()
    await visitor.sees_the_same()
    await expect(visitor.part("identity")).to_be_hidden()
