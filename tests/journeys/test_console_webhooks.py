"""Webhooks in the console."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import expect

from shared.contract.webhooks import WEBHOOK_EVENTS, WebhookEndpoint, WebhookJob, make_secret
from tests import examples
from tests.journeys.accessibility import finds
from tests.journeys.conftest import People
from tests.journeys.pages import ConsolePage
from tests.journeys.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def hanna(people: People, stage: Stage) -> AsyncIterator[ConsolePage]:
    """An admin."""
    await stage.account("hanna", "Hanna", "admin")
    yield await people.operator("hanna")
    await stage.no_account("hanna")


async def test_an_admin_sees_what_was_not_delivered_and_sends_it_again(
    people: People, stage: Stage, hanna: ConsolePage
) -> None:
    ada = await people.operator("ada")
    await ada.part("me").click()
    await expect(ada.part("webhooks")).to_have_count(0)  # Ada is no admin

    await hanna.part("me").click()
    await hanna.part("webhooks").click()
    await expect(hanna.part("no-webhooks")).to_be_visible()
    await hanna.page.keyboard.press("Escape")
    store = await stage.webhooks()
    endpoint = WebhookEndpoint(
        id="e1",
        url="https://hooks.example/a/long/path/that/goes/on/and/on/up/to/its/end",
        secret=make_secret(bytes(32)),
        events=WEBHOOK_EVENTS,
        since=1,
        words=True,
    )
    await store.change(lambda _: (endpoint,))
    for id in ("1" * 32, "2" * 32, "3" * 32):
        job = WebhookJob(examples.CONVERSATION, 7, "message.operator", 9, "the receiver answered 500")
        await store.bury("e1", id, job)

    await hanna.part("me").click()
    await hanna.part("webhooks").click()
    await expect(hanna.part("webhook-endpoint")).to_contain_text("with what people write")
    await hanna.part("webhook-dead-count").click()
    await expect(hanna.part("webhook-dead")).to_have_count(3)
    await expect(hanna.part("webhook-dead").first).to_contain_text("the receiver answered 500")
    assert await finds(hanna.page, "webhooks-dialog") == []
    await hanna.part("webhook-resend").first.click()
    await expect(hanna.part("webhook-dead")).to_have_count(2)

    await hanna.part("webhook-switch").click()
    await expect(hanna.part("webhook-off")).to_have_text("off: switched off by hanna")
    await expect(hanna.part("webhook-resend-all")).to_be_disabled()
    await hanna.part("webhook-switch").click()
    await hanna.part("webhook-resend-all").click()
    await expect(hanna.part("webhook-dead")).to_have_count(0)
    await store.change(lambda _: ())
