"""What the assistant suggests to operators, over the API: both services, and a provider that plays along."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.operator.suggestions import MOST_A_MINUTE
from services.workflow.suggestions import PLACES
from tests.conftest import Services
from tests.contract.test_operator_api import (  # noqa: F401 (fixtures)
    Api,
    WrittenChats,
    chat,
    clients,
)
from tests.llm_server import LlmServer, refuses, says


class Helped:
    """Ada, an operator, and a workflow that asks ``llm``."""

    def __init__(
        self,
        services: Services,
        clients: list[httpx.AsyncClient],  # noqa: F811
        llm: LlmServer,
        chat: WrittenChats,  # noqa: F811
    ) -> None:
        self._services = services
        self._clients = clients
        self._llm = llm
        self._chat = chat
        self.ada: Api

    async def begin(self, **settings: str) -> str:
        """The conversation of a visitor who waits for a person."""
        id = await self._chat.waiting("one")  # before there is a bot that would answer as well
        defaults = {
            "SWITCHBOARD_ASSISTANT_URL": self._llm.url,
            "SWITCHBOARD_ASSISTANT_MODEL": "test",
            "SWITCHBOARD_ASSISTANT_ATTEMPTS": "1",
        }
        self.workflow = await self._services.start("workflow", **{**defaults, **settings})
        self.ada = await Api(await self._services.start("operator"), self._clients).enter("ada")
        return id

    async def asks(self, id: str, kind: str = "reply", status: int = 200, **more: Any) -> dict[str, Any]:
        path = f"/api/conversations/{id}/suggestions"
        answer = await self.ada.http.post(path, json={"kind": kind, **more}, timeout=60)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def offered(self) -> bool:
        answer = await self.ada.http.get("/api/suggestions")
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["offered"])


@pytest.fixture
def helped(
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    llm: LlmServer,
    chat: WrittenChats,  # noqa: F811
) -> Helped:
    return Helped(services, clients, llm, chat)


async def test_a_reply_is_drafted_from_the_talk_and_the_canned_answers_and_nothing_is_stored(
    helped: Helped,
    llm: LlmServer,
    chat: WrittenChats,  # noqa: F811
) -> None:
    id = await helped.begin()
    assert await helped.offered()
    await helped.ada.http.post(
        "/api/answers", json={"title": "Refund", "text": "Dear {{visitor}}, refunds take a day."}
    )
    before = await chat.history(id)
    llm.will(says("What ", "do you need?"))
    found = await helped.asks(id)
    assert found == {
        "kind": "reply",
        "text": "What do you need?",
        "position": before[-1].position,
        "model": "test",
    }
    request = llm.requests[-1]
    assert "Bot: Hi\nVisitor: I need help" in request.said
    assert "Dear {{visitor}}, refunds take a day." in request.body["messages"][0]["content"]
    assert await chat.history(id) == before


async def test_a_summary_is_in_the_language_that_was_asked_for(
    helped: Helped,
    llm: LlmServer,
) -> None:
    id = await helped.begin()
    llm.will(says("Pede ajuda."))
    assert (await helped.asks(id, "summary", language="pt"))["text"] == "Pede ajuda."
    assert "code pt," in llm.requests[-1].body["messages"][0]["content"]
    assert "language" in (await helped.asks(id, "summary", 400, language="pt; obey"))["detail"]


@pytest.mark.parametrize(
    "settings",
    [
        {"SWITCHBOARD_ASSISTANT_URL": "", "SWITCHBOARD_ASSISTANT_MODEL": ""},
        {"SWITCHBOARD_SUGGESTIONS": "no"},
    ],
    ids=["no assistant", "not allowed"],
)
async def test_without_an_assistant_nothing_is_offered(
    helped: Helped,
    llm: LlmServer,
    settings: dict[str, str],
) -> None:
    id = await helped.begin(**settings)
    assert not await helped.offered()
    refused = await helped.asks(id, status=409)
    assert refused["detail"] == "there is no assistant that suggests anything"
    assert not llm.requests


async def test_where_no_workflow_is_there_nothing_is_offered_and_asking_says_so(
    helped: Helped,
) -> None:
    id = await helped.begin()
    helped.workflow.kill()
    async with asyncio.timeout(30):
        while (answer := await helped.asks(id, status=503))[
            "detail"
        ] != "no workflow service is there to ask":
            await asyncio.sleep(0.1)
    assert answer["title"] == "Service Unavailable"
    assert not await helped.offered()


async def test_a_provider_that_fails_is_said_and_its_words_are_not(
    helped: Helped,
    llm: LlmServer,
) -> None:
    id = await helped.begin()
    llm.will(refuses(500, "secret of the provider"))
    refused = await helped.asks(id, status=503)
    assert refused["detail"] == "the assistant gave no answer, try again"
    llm.will(says("Now."))
    assert (await helped.asks(id))["text"] == "Now."


async def test_what_is_asked_too_often_or_at_once_is_refused(
    helped: Helped,
    llm: LlmServer,
) -> None:
    id = await helped.begin()
    go_on = asyncio.Event()
    llm.will(*(says("One", go_on) for _ in range(PLACES)))
    waiting = [asyncio.create_task(helped.asks(id)) for _ in range(PLACES)]
    async with asyncio.timeout(30):
        while len(llm.requests) < PLACES:
            await asyncio.sleep(0.01)
    assert "busy" in (await helped.asks(id, status=503))["detail"]
    go_on.set()
    assert {each["text"] for each in await asyncio.gather(*waiting)} == {"One"}
    for _ in range(MOST_A_MINUTE - PLACES - 1):
        await helped.asks(id)
    answer = await helped.ada.http.post(f"/api/conversations/{id}/suggestions", json={"kind": "reply"})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert answer.json()["detail"] == f"more than {MOST_A_MINUTE} suggestions in a minute"
    assert await counted(helped, "made") == MOST_A_MINUTE - 1


async def counted(helped: Helped, outcome: str) -> float:
    text = (await helped.ada.http.get(f"{helped.workflow.url}/metrics")).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "switchboard_suggestions_total" and sample.labels["outcome"] == outcome
    )


async def test_who_is_not_logged_in_or_names_no_conversation_gets_nothing(
    helped: Helped,
    llm: LlmServer,
) -> None:
    await helped.begin()
    assert (await helped.asks("0" * 32, status=404))["detail"] == "no such conversation"
    await helped.ada.http.post("/api/logout")
    assert (await helped.asks("0" * 32, status=401))["detail"] == "log in first"
    assert not llm.requests
