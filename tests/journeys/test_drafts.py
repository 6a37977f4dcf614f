"""The assistant's words in the chat button while they are made. The workflow is played by the test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from nats.aio.client import Client
from playwright.async_api import Browser, expect

from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import (
    AnswerStarted,
    AssistantSaid,
    ConversationClaimed,
    ConversationStarted,
    Fact,
    TextWritten,
)
from shared.service.chat_log import open_log
from tests.conftest import connected, flushed
from tests.journeys.conftest import People
from tests.journeys.pages import ChatPage, note
from tests.journeys.site import Site
from tests.journeys.stage import Stage
from tests.journeys.tour import MENU, OPEN, WELCOME
from tests.journeys.watch import PageWatch

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

#: What the chat shows after each change, so that a moment without the words would be seen.
RECORD = """dialog => {
  window.shown = [];
  const look = () => window.shown.push(dialog.querySelector("[part=log]").textContent);
  new MutationObserver(look).observe(dialog, { childList: true, subtree: true, characterData: true });
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own_stage(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with Stage(tmp_path_factory.mktemp("drafts")) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="session")
async def stage(own_stage: Stage, watch: PageWatch) -> Stage:
    """A stage of this module's own: its workflow falls silent in each test."""
    await own_stage.up()
    return own_stage


class StandIn:
    """Answers in the workflow's place, once the visitor has asked."""

    def __init__(self, stage: Stage, client: Client, conversation: str, cause: int) -> None:
        self._stage = stage
        self._client = client
        self._conversation = conversation
        self._cause = cause

    async def begins(self, attempt: int = 1) -> None:
        fact = AnswerStarted(cause=self._cause, attempt=attempt)
        await self._append(Entry(id=f"answer:{self._cause}:{attempt}", facts=(fact,)))

    async def drafts(self, offset: int, text: str, attempt: int = 1) -> None:
        draft = {"cause": self._cause, "attempt": attempt, "offset": offset, "text": text}
        await self._client.publish(subjects.draft(self._conversation), json.dumps(draft).encode())
        await flushed(self._client)

    async def says(self, text: str) -> None:
        fact: Fact = AssistantSaid(text=text, attempt=1)
        await self._append(Entry(id=str(self._cause), cause=self._cause, facts=(fact,)))

    async def claimed(self) -> None:
        client = await connected(self._stage.nats, "operator")
        fact = ConversationClaimed(operator="ada", name="Ada")
        await (await open_log(client)).append(
            self._conversation, "operator", Entry(id="claim", facts=(fact,))
        )
        await client.close()

    async def _append(self, entry: Entry) -> None:
        await (await open_log(self._client)).append(self._conversation, "bot", entry)


async def asked(people: People, stage: Stage) -> tuple[ChatPage, StandIn]:
    """A visitor who asked something, and nobody answers but the assistant of this test."""
    visitor = await people.visitor()
    await visitor.hears(WELCOME, MENU)
    await visitor.picks("The editor")
    await visitor.hears(OPEN)
    stage.workflow.kill()
    await visitor.types("When does it arrive?")
    await visitor.sees_the_same()
    conversation = await visitor.conversation()
    (cause,) = (
        entry.position
        for entry in await stage.entries(conversation)
        if any(isinstance(fact, TextWritten) for fact in entry.facts)
    )
    client = await connected(stage.nats, "workflow")
    return visitor, StandIn(stage, client, conversation, cause)


async def test_words_appear_as_they_are_made_and_the_message_takes_their_place(
    people: People, stage: Stage
) -> None:
    visitor, assistant = await asked(people, stage)
    draft = visitor.part("draft")
    await assistant.begins()
    await expect(visitor.typing).to_be_visible()
    await assistant.drafts(0, "It ")
    await expect(draft).to_have_text("It ")
    await expect(visitor.typing).to_be_hidden()
    await assistant.drafts(3, "arrives 📦 ")
    await assistant.drafts(13, "<b>soon</b>\nI think")
    await expect(draft).to_have_text("It arrives 📦 <b>soon</b>\nI think")
    assert await draft.evaluate("row => row.closest('[aria-live]').ariaLive") == "off"
    await visitor.dialog.evaluate(RECORD)
    await assistant.says("It arrives 📦 <b>soon</b>\nI think")
    await visitor.hears("It arrives 📦 <b>soon</b>I think")  # a line break has no text
    await expect(draft).to_have_count(0)
    shown: list[str] = await visitor.page.evaluate("window.shown")
    assert shown
    assert all(text.count("It arrives") == 1 for text in shown)
    announced = visitor.rows.last
    assert await announced.evaluate("row => row.closest('[aria-live]').ariaLive") == "polite"


async def test_an_operator_reads_along_and_the_message_takes_the_drafts_place(
    people: People, stage: Stage
) -> None:
    visitor, assistant = await asked(people, stage)
    ada = await people.operator("ada")
    await ada.looks_at("live")
    await ada.opens(await visitor.conversation())
    await expect(ada.rows.filter(has_text="When does it arrive?")).to_have_count(1)
    await assistant.begins()
    await assistant.drafts(0, "It **arrives** ")
    draft = ada.part("draft")
    await expect(draft).to_contain_text("It arrives")
    await ada.page.reload()  # who comes in the middle reads all of it
    await ada.looks_at("live")
    await ada.opens(await visitor.conversation())
    await expect(draft).to_contain_text("It arrives")
    await assistant.drafts(15, "today 📦")
    await expect(draft).to_contain_text("It arrives today 📦")
    await assistant.says("It **arrives** today 📦")
    await expect(draft).to_have_count(0)
    await expect(ada.rows.last).to_contain_text("It arrives today 📦")


async def test_a_new_attempt_replaces_the_words_of_the_one_before(people: People, stage: Stage) -> None:
    visitor, assistant = await asked(people, stage)
    await assistant.begins()
    await assistant.drafts(0, "It arr")
    await expect(visitor.part("draft")).to_have_text("It arr")
    await assistant.begins(attempt=2)
    await assistant.drafts(0, "Tomorrow", attempt=2)
    await expect(visitor.part("draft")).to_have_text("Tomorrow")


async def test_who_reloads_in_the_middle_sees_all_of_it(people: People, stage: Stage) -> None:
    visitor, assistant = await asked(people, stage)
    await assistant.begins()
    await assistant.drafts(0, "It arrives ")
    await expect(visitor.part("draft")).to_have_text("It arrives ")
    await visitor.reloads()
    await expect(visitor.part("draft")).to_have_text("It arrives ")
    await assistant.drafts(11, "today")
    await expect(visitor.part("draft")).to_have_text("It arrives today")
    await visitor.sees_the_same()


async def test_a_takeover_interrupts_and_what_was_read_stays_until_the_next_page(
    people: People, stage: Stage
) -> None:
    visitor, assistant = await asked(people, stage)
    await assistant.begins()
    await assistant.drafts(0, "It arr")
    await expect(visitor.part("draft")).to_have_text("It arr")
    await assistant.claimed()
    await visitor.sees(note("Ada joined"))
    await expect(visitor.part("draft")).to_contain_text("Interrupted")
    await assistant.drafts(6, "ives")
    await visitor.reloads()
    await visitor.sees_the_same()
    await expect(visitor.part("draft")).to_have_count(0)


async def test_the_demo_page_hands_on_the_flow_that_its_address_asks_for(
    people: People, stage: Stage
) -> None:
    visitor = await people.visitor(f"{stage.proxy.url}/?flow=support&lang=de")
    await visitor.hears(WELCOME, MENU)
    (began,) = await stage.facts(await visitor.conversation(), ConversationStarted)
    assert isinstance(began, ConversationStarted)
    assert (began.flow, began.language.split(",")[0]) == ("support", "de")


async def test_the_script_tag_names_the_flow_and_the_language(people: People, stage: Stage) -> None:
    async with Site(stage.proxy.url, attributes='data-flow="support" data-lang="de"') as site:
        visitor = await people.visitor(site.url)
        await visitor.hears(WELCOME, MENU)  # no flow of that name here: the default
    (began,) = await stage.facts(await visitor.conversation(), ConversationStarted)
    assert isinstance(began, ConversationStarted)
    assert began.flow == "support"
    assert began.language.startswith("de")
