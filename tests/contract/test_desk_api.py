"""What operators note, through the API: a real service on a real log."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from deploy.local.embedded import EmbeddedNats
from services.operator.transports.problems import PROBLEM_JSON
from shared.contract.entry import LEVEL, Entry, RecordedEntry
from shared.contract.facts import ConversationClaimed, ConversationErased, ConversationResolved
from shared.service.chat_log import ChatLog
from shared.timestamps import format_time
from tests import examples
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import Api, WrittenChats, chat, clients  # noqa: F401 (fixtures)
from tests.processes import Service

_TOMORROW = time.time_ns() // 10**9 + 86_400
TOMORROW = format_time(_TOMORROW * 10**9)
TOMORROW_IN_BERLIN = datetime.fromtimestamp(_TOMORROW, timezone(timedelta(hours=1))).isoformat()


@pytest.fixture
async def service(services: Services, chat: WrittenChats) -> Service:  # noqa: F811
    return await services.start("operator")


@pytest.fixture
async def ada(service: Service, clients: list[httpx.AsyncClient]) -> Api:  # noqa: F811
    return await Api(service, clients).enter("ada")


@pytest.fixture
async def bob(service: Service, clients: list[httpx.AsyncClient]) -> Api:  # noqa: F811
    return await Api(service, clients).enter("bob")


@pytest.fixture
async def id(chat: WrittenChats, ada: Api) -> str:  # noqa: F811
    """A conversation whose visitor waits for a person."""
    id = await chat.waiting("visitor 1")
    await ada.shows("queue", id)
    return id


@pytest.fixture
async def log(connections: Connections) -> ChatLog:
    return await connections.log("operator")


async def did(api: Api, conversation: str, command: str, **body: Any) -> dict[str, Any]:
    answer = await api.do(conversation, command, **body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def refused(api: Api, conversation: str, command: str, **body: Any) -> dict[str, Any]:
    """The problem, in the form of RFC 9457."""
    answer = await api.do(conversation, command, **body)
    assert answer.headers["content-type"] == PROBLEM_JSON
    found: dict[str, Any] = answer.json()
    assert (found["type"], found["status"]) == ("about:blank", answer.status_code)
    assert found["title"]
    return found


async def noted(log: ChatLog, id: str) -> list[RecordedEntry]:
    found = [entry async for window in log.entries(id, desk=True) for entry in window]
    return [entry for entry in found if entry.author == "desk"]


async def test_each_act_is_one_fact_with_its_actor(ada: Api, bob: Api, id: str, log: ChatLog) -> None:
    """And is undone by another."""
    await did(ada, id, "note", text=" Called twice\r\n", mentions=["bob", "bob"])
    await did(bob, id, "label", label="refund")
    await did(ada, id, "label", label="vip")
    await did(ada, id, "unlabel", label="refund")
    await did(bob, id, "priority", priority="urgent")
    await did(bob, id, "snooze", until=TOMORROW_IN_BERLIN)
    assert await ada.view("queue") == []
    assert (await ada.shows("snoozed", id))["snoozed_until"] == TOMORROW
    await did(ada, id, "read", position=(await ada.shows("live", id))["position"])
    await did(ada, id, "assign", operator="bob", note="Knows Sam")
    detail = await did(ada, id, "spam")

    note = detail["notes"][0]
    assert (note["operator"], note["text"], note["mentions"]) == ("ada", "Called twice", ["bob"])
    assert {name: detail[name] for name in ("labels", "priority", "snoozed_until", "spam", "assigned")} == {
        "labels": ["vip"],
        "priority": "urgent",
        "snoozed_until": TOMORROW,
        "spam": True,
        "assigned": {"by": "ada", "operator": "bob", "queue": None, "note": "Knows Sam"},
    }
    assert detail["read"] == {"ada": (await ada.shows("live", id))["position"]}
    assert (await bob.http.get(f"/api/conversations/{id}/desk")).json() == detail
    entries = await noted(log, id)
    assert [len(entry.facts) for entry in entries] == [1] * 9
    assert [
        (type(fact).__name__, getattr(fact, "operator", "")) for entry in entries for fact in entry.facts
    ] == [
        ("NoteWritten", "ada"),
        ("LabelAdded", "bob"),
        ("LabelAdded", "ada"),
        ("LabelRemoved", "ada"),
        ("PrioritySet", "bob"),
        ("ConversationSnoozed", "bob"),
        ("ConversationRead", "ada"),
        ("ConversationAssigned", "ada"),
        ("SpamMarked", "ada"),
    ]

    await did(ada, id, "remove-note", note=note["id"])
    await did(ada, id, "unlabel", label="vip")
    await did(ada, id, "priority", priority="normal")
    await did(ada, id, "unsnooze")
    await did(ada, id, "assign")
    detail = await did(ada, id, "unspam")
    assert (detail["notes"], detail["labels"], detail["priority"]) == ([], [], "normal")
    assert (detail["snoozed_until"], detail["assigned"], detail["spam"]) == (None, None, False)


async def test_the_same_request_counts_once(ada: Api, id: str, log: ChatLog) -> None:
    """Sent again because the answer was lost, also when the wish would be refused by now."""
    once = {"text": "Called twice", "id": str(uuid.uuid4())}
    first = await did(ada, id, "note", **once)
    assert await did(ada, id, "note", **once) == first
    assert first["notes"][0]["id"] == once["id"]
    again = await asyncio.gather(
        *(ada.do(id, "label", label="vip", id=str(uuid.UUID(int=7))) for _ in range(5))
    )
    assert {answer.status_code for answer in again} == {200}
    for _ in range(3):  # without an id, what holds already is not noted again
        await did(ada, id, "spam")
    assert [type(entry.facts[0]).__name__ for entry in await noted(log, id)] == [
        "NoteWritten",
        "LabelAdded",
        "SpamMarked",
    ]
    other = await refused(ada, id, "note", text="something else", id=once["id"])
    assert (other["status"], other["detail"]) == (409, "this id was used before, with another content")


async def test_replicas_note_the_same_request_once(
    ada: Api,
    id: str,
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    log: ChatLog,
) -> None:
    other = await Api(await services.start("operator"), clients).enter("ada")
    once = {"text": "Called twice", "id": str(uuid.uuid4())}
    found = [await did(api, id, "note", **once) for api in (ada, other, ada, other)]
    assert found == [found[0]] * 4
    await did(other, id, "label", label="vip")
    assert (await did(ada, id, "label", label="vip"))["labels"] == ["vip"]  # it holds: known here or not
    assert [type(entry.facts[0]).__name__ for entry in await noted(log, id)] == ["NoteWritten", "LabelAdded"]


async def test_notes_of_several_at_once_are_all_kept(ada: Api, bob: Api, id: str, chat: WrittenChats) -> None:  # noqa: F811
    """Each is decided again where a colleague or the visitor was quicker."""
    answers = await asyncio.gather(
        *((ada, bob)[number % 2].do(id, "label", label=f"l{number}") for number in range(8)),
        *(chat.says(id, f"and {number}") for number in range(8)),
    )
    assert {answer.status_code for answer in answers[:8] if isinstance(answer, httpx.Response)} == {200}
    detail = (await ada.http.get(f"/api/conversations/{id}/desk")).json()
    assert sorted(detail["labels"]) == [f"l{number}" for number in range(8)]


async def test_what_cannot_be_done_is_said_with_what_can(ada: Api, bob: Api, id: str) -> None:
    """And the description knows that it may come."""
    unknown = "0" * 32
    assert (await refused(ada, unknown, "label", label="x"))["status"] == 404
    assert (await refused(ada, "x", "label", label="x"))["status"] == 400
    described = (await ada.http.get("/docs/openapi.json")).json()["paths"]
    for command, body, status, words in (
        ("note", {"text": "x", "mentions": ["carol"]}, 422, "no operator 'carol'"),
        ("note", {"text": "\u200b "}, 422, "text: there is nothing to see"),
        ("note", {"text": "ä" * 10_000}, 422, "16384 bytes"),
        ("note", {"text": 7}, 400, "Expected `str`"),
        ("label", {"label": "two\nlines"}, 422, "one line"),
        ("label", {"label": "x" * 41}, 400, "length <= 40"),
        ("priority", {"priority": "extreme"}, 400, "Invalid enum value"),
        ("snooze", {"until": "2020-01-01T00:00:00Z"}, 409, "name a time to come"),
        ("snooze", {"until": "2999-01-01T00:00:00Z"}, 409, "more than a year away"),
        ("snooze", {"until": "9999-12-31T23:59:59-10:00"}, 422, "within a year"),
        ("snooze", {"until": "2999-01-01T00:00:00"}, 400, "timezone"),
        ("read", {"position": 10**6}, 409, "the last entry is at"),
        ("assign", {"operator": "carol"}, 422, "no operator 'carol'"),
        ("assign", {"operator": "bob", "queue": "sales"}, 422, "not both"),
        ("remove-note", {"note": "nothing"}, 409, "no such note"),
        ("reopen", {}, 409, "is not resolved"),
        ("spam", {"more": 1}, 400, "unknown field"),
        ("spam", {"id": "1"}, 400, "id: Invalid UUID"),
    ):
        problem = await refused(ada, id, command, **body)
        assert (problem["status"], words in problem["detail"]) == (status, True), (command, problem)
        assert str(status) in described[f"/api/conversations/{{id}}/{command}"]["post"]["responses"], command
    note = (await did(bob, id, "note", text="mine"))["notes"][0]["id"]
    assert "bob wrote" in (await refused(ada, id, "remove-note", note=note))["detail"]
    await did(bob, id, "claim")
    assert "Bob has this conversation" in (await refused(ada, id, "assign", operator="ada"))["detail"]


async def test_nobody_notes_without_a_login(ada: Api, id: str, log: ChatLog) -> None:
    for _ in range(2):
        await did(ada, id, "label", label="vip")
    await ada.http.post("/api/logout")
    assert (await refused(ada, id, "label", label="x"))["status"] == 401
    assert len(await noted(log, id)) == 1


async def test_a_conversation_is_resolved_without_joining_and_reopened(
    ada: Api,
    bob: Api,
    id: str,
    chat: WrittenChats,  # noqa: F811
) -> None:
    joined = await ada.do(id, "resolve")
    assert (joined.status_code, "claim it first" in joined.json()["error"]) == (409, True)
    row = await did(ada, id, "resolve", unjoined=True)
    assert (row["status"], row["owner"], row["waiting_since"]) == ("resolved", "bot", None)
    assert (await did(bob, id, "resolve", unjoined=True))["operator"] == ""  # it is: nothing is appended
    assert (await refused(ada, id, "snooze", until=TOMORROW))["status"] == 409
    row = await did(bob, id, "reopen")
    assert (row["status"], row["operator"]) == ("open", "bob")
    problem = await refused(ada, id, "reopen")
    assert (problem["operator"], problem["operator_name"]) == ("bob", "Bob")
    taken = await ada.do(id, "resolve", unjoined=True)
    assert (taken.status_code, taken.json()["operator"]) == (409, "bob")
    entries = [entry for entry in await chat.history(id) if entry.author == "operator"]
    assert [fact for entry in entries for fact in entry.facts] == [
        ConversationResolved(operator="ada", unjoined=True),
        ConversationClaimed(operator="bob", name="Bob"),
    ]
    assert [entry.needs for entry in entries] == [6, 3]  # level 3 seals words
    told = [line["text"] for line in (await ada.read(id))["messages"] if line["from"] == "system"]
    assert told[1:] == ["ada marked this as resolved", "Bob took over"]


async def test_a_transfer_says_why_to_colleagues(ada: Api, bob: Api, id: str) -> None:
    await did(ada, id, "claim")
    await did(ada, id, "transfer", operator="bob", note="Wants a refund")
    await did(bob, id, "transfer", queue="sales", note="Not me")
    told = [line["text"] for line in (await ada.read(id))["messages"] if line["from"] == "system"]
    assert told[2:] == ["Ada passed this on to Bob: Wants a refund", "Bob put this back into “sales”: Not me"]


async def test_the_visitors_word_ends_a_snooze_and_a_claim_an_assignment(
    ada: Api,
    bob: Api,
    id: str,
    chat: WrittenChats,  # noqa: F811
) -> None:
    await did(ada, id, "assign", operator="bob")
    await did(ada, id, "snooze", until=TOMORROW)
    await chat.says(id, "anybody?")
    detail = (await ada.http.get(f"/api/conversations/{id}/desk")).json()
    assert (detail["snoozed_until"], detail["assigned"]["operator"]) == (None, "bob")
    await did(bob, id, "claim")
    assert (await ada.http.get(f"/api/conversations/{id}/desk")).json()["assigned"] is None


async def test_open_consoles_hear_of_it_and_no_list_changes_its_order(ada: Api, bob: Api, id: str) -> None:
    before = await ada.shows("queue", id)
    heard = asyncio.Event()

    async def listen() -> list[dict[str, Any]]:
        """The conversation's row each time that it changes, until there is a label."""
        rows: list[dict[str, Any]] = []
        event = ""
        async with bob.http.stream("GET", "/api/events") as stream:
            async for line in stream.aiter_lines():
                if "listening" in line:
                    heard.set()
                name, _, rest = line.partition(": ")
                event = rest if name == "event" else event
                if name == "data" and event == "conversation":
                    rows.append(json.loads(rest))
                    if rows[-1]["labels"]:
                        break
        return rows

    listening = asyncio.create_task(listen())
    await heard.wait()
    first = await did(ada, id, "note", text="Called twice")
    second = await did(ada, id, "label", label="vip")
    rows = await asyncio.wait_for(listening, 20)
    assert [row["noted"] for row in rows] == [first["noted"], second["noted"]]
    assert "Called twice" not in json.dumps(rows)  # whoever shows it asks for it
    assert rows[-1] == {**before, "noted": second["noted"], "labels": ["vip"]}  # nothing else has changed
    assert await ada.shows("queue", id) == rows[-1]


async def test_behind_an_erasure_nothing_is_shown_or_noted(
    ada: Api, id: str, connections: Connections, log: ChatLog
) -> None:
    await did(ada, id, "note", text="Called twice")
    eraser = await connections.log("eraser")
    erased = (ConversationErased(by="ada"),)
    await eraser.append(id, "eraser", Entry(id="e", needs=4, facts=erased))
    assert (await ada.http.get(f"/api/conversations/{id}/desk")).status_code == 404
    assert (await refused(ada, id, "label", label="vip"))["status"] == 404
    assert len(await noted(log, id)) == 1


async def test_a_note_that_was_decided_before_an_erasure_is_not_stored_behind_it(
    ada: Api, id: str, connections: Connections, log: ChatLog
) -> None:
    """It would be sealed under a key that nobody destroys."""
    seen = await log.last(id, asides=True)
    eraser = await connections.log("eraser")
    await eraser.append(id, "eraser", Entry(id="e", needs=4, facts=(ConversationErased(by="ada"),)))
    with pytest.raises(Exception, match="wrong last sequence"):
        await log.append(id, "desk", Entry(id="n", needs=6, facts=(examples.NOTE_WRITTEN,)), expect=seen)
    assert await noted(log, id) == []


async def test_what_a_newer_version_must_decide_is_left_to_it(ada: Api, id: str, log: ChatLog) -> None:
    await log.append(id, "desk", Entry(id="new", needs=LEVEL + 1, facts=(examples.LABEL_ADDED,)))
    problem = await refused(ada, id, "label", label="vip")
    assert problem["status"] == 503
    assert len(await noted(log, id)) == 1


async def test_while_nats_is_away_nothing_is_said_to_be_noted(
    ada: Api, id: str, declared: EmbeddedNats, service: Service, log: ChatLog
) -> None:
    wish = {"label": "vip", "id": str(uuid.uuid4())}
    declared.kill()
    assert (await ada.do(id, "label", **wish)).status_code == 503
    declared.start()
    await service.ready()
    assert (await did(ada, id, "label", **wish))["labels"] == ["vip"]


async def test_the_description_has_an_example_of_each(ada: Api) -> None:
    schema = (await ada.http.get("/docs/openapi.json")).json()
    routes = {
        path: methods.get("post") or methods["get"]
        for path, methods in schema["paths"].items()
        if "application/problem+json" in json.dumps(methods)
    }
    assert {path.rpartition("/")[2] for path in routes} == {
        *("desk", "note", "remove-note", "label", "unlabel", "priority", "snooze", "unsnooze"),
        *("read", "assign", "spam", "unspam", "reopen"),
        *("answers", "views", "remove", "suggestions", "history", "{position}", "bundle"),
        *("availability", "overview", "give"),
        *("accounts", "password", "role", "disable", "enable", "webhooks", "resend"),
        *("sessions", "end", "end-others", "end-all"),
        *("second-factor", "begin", "confirm", "recovery-codes", "off", "second-factor-off", "sign-on"),
    }
    components = schema["components"]["schemas"]
    for name, route in routes.items():
        errors = {status: answer for status, answer in route["responses"].items() if status != "200"}
        about = {"404"} if "{" in name else set()  # a conversation or an account, or none
        assert errors.keys() >= {"400", "401", "503"} | about, name
        for status, answer in errors.items():
            content = answer["content"][PROBLEM_JSON]
            (example,) = content["examples"].values()
            assert example["value"]["status"] == int(status), name
            problem = {
                **components[content["schema"]["$ref"].rpartition("/")[2]],
                "components": schema["components"],
            }
            Draft202012Validator(problem).validate(example["value"])
    for name in (
        "WriteNote",
        "RemoveNote",
        "SetLabel",
        "SetPriority",
        "Snooze",
        "MarkRead",
        "Assign",
        "Give",
    ):
        fields = components[name]["properties"]
        required = components[name].get("required", [])
        assert all("example" in json.dumps(fields[field]) for field in required), name


async def test_commands_are_counted(ada: Api, id: str) -> None:
    await did(ada, id, "label", label="vip")
    await refused(ada, id, "remove-note", note="x")
    metrics = (await ada.http.get("/metrics")).text
    assert 'switchboard_operator_commands_total{command="label",outcome="done"} 1.0' in metrics
    assert 'switchboard_operator_commands_total{command="remove_note",outcome="NoteRefused"} 1.0' in metrics
