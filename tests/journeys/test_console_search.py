"""Operators look for conversations."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.journeys.accessibility import fits_everyone
from tests.journeys.conftest import People
from tests.journeys.stage import Stage
from tests.journeys.test_console_desk import looks_at_waiting
from tests.journeys.test_console_outbox import talking
from tests.journeys.watch import PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_conversation_is_found_by_its_words_and_opened(people: People) -> None:
    ada = await people.operator("ada")
    visitor, conversation = await talking(people, ada)
    await visitor.types("My order of marmalade is late")
    await expect(ada.texts.last).to_have_text("My order of marmalade is late")
    await ada.resolves()
    await ada.page.keyboard.press("f")
    await ada.page.keyboard.type("marmal late")
    await ada.page.keyboard.press("Enter")
    await expect(ada.part("found")).to_have_text("Found in 1")
    await expect(ada.row(conversation).locator("[data-role=match]")).to_have_text(
        "My order of marmalade is late"
    )
    await ada.opens(conversation)
    await expect(ada.owner).to_have_text("Resolved by an operator")
    await ada.page.reload()  # what is looked for stands in the address
    await expect(ada.part("search")).to_have_value("marmal late")
    await expect(ada.row(conversation)).to_be_visible()
    await ada.part("search-close").click()
    await expect(ada.page.locator("[data-role=tab]").first).to_be_visible()
    await expect(ada.part("search")).to_have_value("")
    assert "#" not in ada.page.url


async def test_what_one_looked_for_is_nothing_of_the_next(people: People, stage: Stage) -> None:
    await stage.account("nan", "Nan")
    ada = await people.operator("nan")
    await ada.part("search").fill("gooseberry")
    await ada.part("search").press("Enter")
    await expect(ada.part("found")).to_have_text("Found in 0")
    await ada.part("logout").click()
    await expect(ada.part("login")).to_be_visible()
    assert "gooseberry" not in ada.page.url
    await ada.logs_in("bob")
    await expect(ada.part("search")).to_have_value("")


async def test_a_search_is_narrowed_and_follows_what_happens(people: People) -> None:
    ada = await people.operator("ada")
    _, conversation = await looks_at_waiting(people, ada)
    await ada.part("label-text").fill("quince")
    await ada.part("label-text").press("Enter")
    await expect(ada.part("unlabel")).to_be_visible()
    await ada.part("search-more").click()
    await ada.part("search-label").select_option("quince")
    await ada.part("search-status").select_option("open")
    await ada.part("search-go").click()
    await expect(ada.part("found")).to_have_text("Found in 1")
    await ada.part("claim").click()
    await expect(ada.row(conversation).locator("[data-role=row-owner]")).to_have_text("With you")
    await ada.part("search-status").select_option("resolved")
    await ada.part("search-go").click()
    await expect(ada.part("found")).to_have_text("Found in 0")
    await ada.part("search-clear").click()
    await expect(ada.page.locator("[data-role=tab]").first).to_be_visible()


async def test_what_cannot_be_looked_for_is_said(people: People, watch: PageWatch) -> None:
    watch.allow("status of 422")
    ada = await people.operator("ada")
    ada_says = ada.part("found")
    await ada.part("search").fill("?!")
    await ada.part("search").press("Enter")
    await expect(ada_says).to_have_text("words: there is no word in it to look for")


async def test_a_search_is_kept_under_a_name_and_shared_by_a_supervisor(
    people: People, stage: Stage, watch: PageWatch
) -> None:
    await stage.account("sven", "Sven", "supervisor")
    await stage.account("pia", "Pia")
    sven, pia = await people.operator("sven"), await people.operator("pia")
    _, conversation = await looks_at_waiting(people, sven)
    await sven.part("label-text").fill("rhubarb")
    await sven.part("label-text").press("Enter")
    await expect(sven.part("unlabel")).to_be_visible()
    await sven.part("search-more").click()
    await sven.part("search-label").select_option("rhubarb")
    await sven.part("search-go").click()
    await expect(sven.part("found")).to_have_text("Found in 1")
    await sven.part("views").click()
    await sven.part("view-name").fill("Rhubarb")
    await sven.part("view-shared").check()
    await fits_everyone(sven.page, "[data-role=views-dialog]")
    await sven.part("view-save").click()
    shown = sven.part("view")
    await expect(shown).to_have_text("Rhubarb")
    await expect(shown).to_have_attribute("aria-pressed", "true")
    await fits_everyone(sven.page, "conversation-search")
    await sven.part("search-close").click()
    await expect(shown).to_have_attribute("aria-pressed", "false")

    # Everybody has it, and keeps others for themselves.
    await pia.page.reload()
    await pia.part("view").click()
    await expect(pia.row(conversation)).to_be_visible()
    await pia.part("search-more").click()
    await expect(pia.part("search-label")).to_have_value("rhubarb")
    await pia.part("search-status").select_option("resolved")
    await pia.part("search-go").click()
    await expect(pia.part("found")).to_have_text("Found in 0")
    await pia.part("views").click()
    await expect(pia.part("view-shared")).to_have_count(0)
    await expect(pia.part("view-remove")).to_have_count(0)
    await pia.part("view-name").fill("Rhubarb, done")
    await pia.part("view-save").click()
    await expect(pia.part("view")).to_have_text(["Rhubarb", "Rhubarb, done"])
    await pia.part("views").click()
    await pia.part("view-remove").click()
    await expect(pia.part("view")).to_have_text(["Rhubarb"])
    await pia.part("views-close").click()
    await sven.part("search-more").click()
    await sven.part("views").click()
    await sven.part("view-remove").click()
    await expect(sven.part("view")).to_have_count(0)
