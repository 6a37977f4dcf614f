"""A supervisor sees what is late and gives it to somebody; an operator says to be busy."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.journeys.conftest import People
from tests.journeys.pages import from_operator, note
from tests.journeys.stage import Stage
from tests.journeys.test_console_desk import waiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_supervisor_gives_what_is_late_to_somebody_who_is_here(people: People, stage: Stage) -> None:
    await stage.account("grace", "Grace", "supervisor")
    await stage.account("lin", "Lin", "operator")  # nobody else's journey leaves them anything
    await stage.desk(b'{"capacity": 4, "queues": {"tour": {"agreed": {"first_response": "1s"}}}}')
    try:
        grace, lin = await people.operator("grace"), await people.operator("lin")
        await lin.part("availability").select_option("busy")
        visitor, conversation = await waiting(people)
        row = grace.page.locator(f"[data-role=row][data-id='{conversation}']")
        await expect(row.locator(".mark.due.over")).to_contain_text("over")
        await grace.part("overview").click()
        late = grace.page.locator(f"[data-role=late][data-id='{conversation}']")
        await expect(late).to_be_visible()
        on = grace.page.locator("[data-role=overview-operator][data-name=lin]")
        await expect(on).to_contain_text("Busy")
        await expect(on).to_contain_text("0 of 4")
        await late.locator("[data-role=give]").select_option("lin")
        await expect(on).to_contain_text("1 of 4")
        await lin.looks_at("mine")
        await lin.opens(conversation)
        await lin.says("Sorry that you had to wait")
        await visitor.sees(note("Lin joined"), from_operator("Sorry that you had to wait"))
        await expect(late).to_be_hidden()
        await lin.part("availability").select_option("online")
        await expect(on).to_contain_text("Online")
    finally:
        await stage.desk(b"{}")
