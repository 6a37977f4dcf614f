"""The assistant suggests replies and summaries in the console. Nothing of it is said by itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from shared.contract.facts import OperatorSaid
from tests.journeys.conftest import People
from tests.journeys.pages import from_operator, note
from tests.journeys.stage import Stage
from tests.journeys.test_console_desk import looks_at_waiting
from tests.journeys.watch import PageWatch
from tests.llm_server import LlmServer, refuses, says

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SUMMARY = "The visitor's parcel has not come. Nothing was promised yet."
REPLY = "I am sorry to hear that. What is the number of your order?"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def provider() -> AsyncIterator[LlmServer]:
    async with LlmServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_stage(
    browser: Browser, provider: LlmServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("suggestions"))
    stage.workflow.set(
        SWITCHBOARD_ASSISTANT_URL=provider.url,
        SWITCHBOARD_ASSISTANT_MODEL="test",
        SWITCHBOARD_ASSISTANT_ATTEMPTS="1",
    )
    async with stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def stage(own_stage: Stage, watch: PageWatch) -> Stage:
    await own_stage.up()
    return own_stage


async def test_a_suggestion_is_used_after_somebody_has_looked_at_it(
    people: People, stage: Stage, provider: LlmServer
) -> None:
    ada = await people.operator("ada")
    visitor, conversation = await looks_at_waiting(people, ada)
    for line in ("Hello?", "My parcel has not come", "It should have been here on Monday", "Anybody?"):
        await visitor.types(line)
    await expect(ada.texts.last).to_contain_text("Anybody?")
    provider.will(says(SUMMARY))
    await ada.takes_over()
    await visitor.sees(note("Ada joined"))
    # Whoever takes over a long talk is told what it was about.
    summary = ada.part("suggestion-summary")
    await expect(summary).to_contain_text(SUMMARY)
    await expect(summary).to_contain_text("may be wrong")
    assert "My parcel has not come" in provider.requests[-1].said

    go_on = asyncio.Event()
    provider.will(says("I am sorry to hear that. ", go_on, "What is the number of your order?"))
    await ada.editor.fill("Hi Grace,")
    await ada.part("suggest").click()
    suggestion = ada.part("suggestion-reply")
    await expect(suggestion).to_have_attribute("data-state", "asked")
    go_on.set()
    await expect(suggestion).to_contain_text(REPLY)
    await visitor.types("It is urgent")
    await expect(suggestion.locator("[data-role=stale]")).to_be_visible()
    if folder := os.environ.get("SWITCHBOARD_TEST_PICTURES"):
        for name, width, scheme in (("wide", 1280, "light"), ("dark", 1280, "dark"), ("phone", 390, "light")):
            await ada.page.set_viewport_size({"width": width, "height": 800})
            await ada.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await ada.page.screenshot(path=f"{folder}/suggestions-{name}.png")
        await ada.page.set_viewport_size({"width": 1280, "height": 720})
    assert await stage.facts(conversation, OperatorSaid) == []

    await ada.part("use-suggestion").click()
    await expect(ada.editor).to_have_value(f"Hi Grace,\n{REPLY}")
    await expect(ada.editor).to_be_focused()
    await expect(suggestion).to_have_count(0)
    await ada.editor.press("Enter")
    await visitor.sees(from_operator(f"Hi Grace,\n{REPLY}"))

    await ada.part("drop-summary").click()
    await expect(summary).to_have_count(0)


async def test_what_fails_is_said_and_can_be_asked_for_again(
    people: People, stage: Stage, provider: LlmServer, watch: PageWatch
) -> None:
    watch.allow("status of 503")
    ada = await people.operator("ada")
    await looks_at_waiting(people, ada)
    await ada.takes_over()
    provider.will(refuses(500, "secret of the provider"))
    await ada.page.keyboard.press("Escape")
    await ada.part("owner").click()
    await ada.page.keyboard.press("g")
    suggestion = ada.part("suggestion-reply")
    await expect(suggestion).to_contain_text("the assistant gave no answer, try again")
    provider.will(says(REPLY))
    await ada.part("again-reply").click()
    await expect(suggestion).to_contain_text(REPLY)


async def test_each_conversation_has_its_own_and_what_was_stopped_does_not_come(
    people: People, stage: Stage, provider: LlmServer
) -> None:
    ada = await people.operator("ada")
    _, one = await looks_at_waiting(people, ada)
    await ada.takes_over()
    _, two = await looks_at_waiting(people, ada)
    go_on = asyncio.Event()
    provider.will(says(go_on, "For two."), says("For one."))
    asked = len(provider.requests)
    await ada.takes_over()
    await ada.part("suggest").click()
    await expect(ada.part("suggestion-reply")).to_have_attribute("data-state", "asked")
    await provider.request(asked + 1)
    await ada.looks_at("mine")
    await ada.opens(one)
    await expect(ada.owner).to_have_text("With you")
    await expect(ada.part("suggestion-reply")).to_have_count(0)
    await ada.part("suggest").click()
    await expect(ada.part("suggestion-reply")).to_contain_text("For one.")
    await ada.opens(two)
    await ada.part("drop-reply").click()
    go_on.set()
    await ada.opens(one)
    await expect(ada.part("suggestion-reply")).to_contain_text("For one.")
    await ada.opens(two)
    await expect(ada.owner).to_have_text("With you")
    await expect(ada.part("suggestion-reply")).to_have_count(0)
