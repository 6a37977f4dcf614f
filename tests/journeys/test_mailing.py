"""A visitor leaves an address and the page; the answer comes by e-mail, and its link leads back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from shared.contract.facts import MailStopped
from tests.contract.test_mailing import SECRET, token_in
from tests.journeys.conftest import People
from tests.journeys.pages import ChatPage, ConsolePage
from tests.journeys.site import NO_POLICY, Site
from tests.journeys.stage import Stage
from tests.journeys.tour import CALLING, MENU, WELCOME
from tests.journeys.watch import PageWatch
from tests.mail_server import TakenMails, mail_server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ADDRESS = "sam@shop.example"


@pytest_asyncio.fixture(loop_scope="session")
async def mailbox() -> AsyncIterator[TakenMails]:
    async with mail_server() as mailbox:
        yield mailbox


@pytest_asyncio.fixture(loop_scope="session")
async def mailing(browser: Browser, mailbox: TakenMails, tmp_path: Path) -> AsyncIterator[Stage]:
    """The product, which sends e-mail."""
    stage = Stage(tmp_path)
    stage.proxy.set(SWITCHBOARD_LINK_SECRET=SECRET)
    stage.operator.set(
        SWITCHBOARD_SMTP_HOST="127.0.0.1",
        SWITCHBOARD_SMTP_PORT=str(mailbox.port),
        SWITCHBOARD_SMTP_SECURITY="none",
        SWITCHBOARD_MAIL_FROM="Our shop <help@shop.example>",
        SWITCHBOARD_MAIL_WAIT_SECONDS="1",
        SWITCHBOARD_PUBLIC_URL=stage.proxy.url,
        SWITCHBOARD_LINK_SECRET=SECRET,
    )
    async with stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def guests(browser: Browser, mailing: Stage, watch: PageWatch) -> AsyncIterator[People]:
    async with People(browser, mailing, watch) as guests:
        yield guests


async def gives_an_address(guests: People, ada: ConsolePage, url: str = "") -> tuple[ChatPage, str]:
    """A visitor whom Ada serves, and asks for an e-mail address; their conversation."""
    visitor = await guests.visitor(url)
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("A person, and back")
    await visitor.hears(CALLING)
    conversation = await visitor.conversation()
    await ada.looks_at("queue")
    await ada.opens(conversation)
    await ada.takes_over()
    await ada.part("ask-address").click()
    await expect(visitor.texts.last).to_contain_text("To which e-mail address may we write")
    await visitor.editor.fill(ADDRESS)
    await visitor.editor.press("Enter")
    await expect(visitor.texts.last).to_have_text(ADDRESS)
    await expect(visitor.pending).to_have_count(0)
    await expect(ada.texts.last).to_have_text(ADDRESS)
    await expect(ada.part("presence")).to_have_attribute("data-whereabouts", "online")
    return visitor, conversation


async def follows(page: Page, link: str) -> None:
    await page.goto(link)
    await expect(page.locator("#go")).to_be_visible()
    assert "#" not in page.url  # it stands in no history
    await page.locator("#go").click()


async def test_the_answer_comes_by_mail_and_its_link_leads_back_to_the_page(
    guests: People, mailing: Stage, mailbox: TakenMails, watch: PageWatch
) -> None:
    watch.allow("status of 410")
    ada = await guests.operator("ada")
    async with Site(mailing.proxy.url, policy=NO_POLICY, attributes='data-share="page"') as site:
        visitor, conversation = await gives_an_address(guests, ada, site.url)
        await visitor.page.close()
        await expect(ada.part("presence")).to_have_attribute("data-whereabouts", "gone")
        await ada.says("Your parcel is here.")
        mail = await mailbox.next()
        assert mail["To"] == ADDRESS
        await expect(ada.texts.last).to_have_text("What was said was mailed to the visitor")

        other = await guests.page()  # another device
        await follows(other, f"{mailing.proxy.url}/resume#go={token_in(mail)}")
        await other.wait_for_url(re.compile(rf"^{re.escape(site.url)}/"))
        back = ChatPage(other)
        await expect(back.dialog).to_be_visible()
        await expect(back.texts.last).to_have_text("Your parcel is here.")
        await back.types("Thank you, I fetch it")
        await expect(ada.texts.last).to_have_text("Thank you, I fetch it")
        await other.goto(site.url)  # and from then on it is this visitor's
        again = ChatPage(other)
        await again.opens()
        await expect(again.texts.last).to_have_text("Thank you, I fetch it")

        await mailing.erases(conversation)
        late = await guests.page()
        await follows(late, f"{mailing.proxy.url}/resume#go={token_in(mail)}")
        await expect(late.locator("#told")).to_contain_text("does not hold any more")


async def test_where_no_page_is_known_the_chat_opens_at_the_link_and_mails_can_be_ended(
    guests: People, mailing: Stage, mailbox: TakenMails
) -> None:
    ada = await guests.operator("ada")
    visitor, conversation = await gives_an_address(guests, ada)
    await visitor.page.close()
    await expect(ada.part("presence")).to_have_attribute("data-whereabouts", "gone")
    await ada.says("It came by boat.")
    mail = await mailbox.next()
    other = await guests.page()
    await follows(other, f"{mailing.proxy.url}/resume#go={token_in(mail)}")
    back = ChatPage(other)
    await expect(back.dialog).to_be_visible()
    await expect(back.texts.last).to_have_text("It came by boat.")

    page = await guests.page()
    await follows(page, f"{mailing.proxy.url}/resume#stop={token_in(mail, 'stop')}")
    await expect(page.locator("#told")).to_contain_text("you get no more e-mails")
    await expect(ada.texts.last).to_have_text("The visitor wants no more e-mails of this")
    assert len(await mailing.facts(conversation, MailStopped)) == 1

    nowhere = await guests.page()
    await nowhere.goto(f"{mailing.proxy.url}/resume")
    await expect(nowhere.locator("#told")).to_contain_text("does not hold any more")
    await expect(nowhere.locator("#go")).to_be_hidden()
