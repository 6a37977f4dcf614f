"""REST and server-sent events as clients know them: against the real proxy, workflow and server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from joserfc import jwk, jwt

from shared.contract.drafts import DraftPiece
from shared.contract.entry import Entry
from shared.contract.facts import (
    AssistantSaid,
    BotSaid,
    ConversationClaimed,
    ConversationHandedBack,
    DecisionFailed,
    FlowAdvanced,
    HandoffRequested,
    OperatorSaid,
)
from tests.conftest import Connections, Services
from tests.processes import Service
from tests.rest_client import Bot, RestClient, said, words

HI = BotSaid(text="<b>Hi!</b>")
FLOW = {
    "hello": {"sendRequest": {"kind": "BotText", "content": "<b>Hi!</b>"}, "next": "pick"},
    "pick": {
        "sendRequest": {
            "kind": "ChoiceRequest",
            "groupId": "lang",
            "question": "Which one?",
            "choices": [{"itemId": "rust", "content": "Rust"}, {"itemId": 2, "content": "<i>Other</i>"}],
        }
    },
    "isRust": {
        "matchResponse": {"kind": "ChoiceResponse", "groupId": "lang", "itemId": "rust"},
        "next": "bye",
    },
    "isOther": {"matchResponse": {"kind": "ChoiceResponse", "groupId": "lang", "itemId": 2}, "next": "ask"},
    "ask": {"sendRequest": {"kind": "StartChatSession", "sessionId": "fav", "chatText": "Which then?"}},
    "got": {"matchResponse": {"kind": "UserText", "sessionId": "fav"}, "next": "bye"},
    "bye": {"sendRequest": {"kind": "BotText", "content": "Great, thanks!"}, "next": "pick"},
}
ORIGIN = "https://shop.example"


@pytest.fixture
async def bot(connections: Connections) -> Bot:
    return await Bot.connect(connections)


@pytest.fixture
async def proxy(services: Services) -> Service:
    """A proxy without a workflow: the test is the bot."""
    return await services.start("proxy", SWITCHBOARD_ORIGINS=ORIGIN)


@pytest.fixture
async def sam(proxy: Service) -> AsyncIterator[RestClient]:
    client = RestClient(proxy)
    yield client
    await client.close()


async def greeted(sam: RestClient, bot: Bot) -> None:
    """The first turn is over."""
    await sam.say("hello")
    await bot.answer(sam.conversation, FlowAdvanced(path=("hello",)), HI)
    await bot.answer(sam.conversation, BotSaid(text="What is it?"))
    await sam.until("idle")


# --- a conversation -------------------------------------------------------------------------------


async def test_a_conversation_with_a_flow(services: Services, tmp_path: Path) -> None:
    flow = tmp_path / "flow.json"
    flow.write_text(json.dumps(FLOW))
    proxy, workflow = services.make("proxy"), services.make("workflow", SWITCHBOARD_FLOW=str(flow))
    proxy.launch()
    workflow.launch()
    await proxy.ready()
    await workflow.ready()
    sam = RestClient(proxy)
    try:
        answer = await sam.post("2")
        assert answer.status_code == 200
        session = str(uuid.UUID(sam.session))
        assert answer.json() == {
            "session_id": session,
            "status": "ok",
            "message": f"Message received. Connect to /sessions/{session}/stream for response.",
        }
        welcome = "Hi!\n\nWhich one?\n1. Rust\n2. Other"
        events = await sam.events()
        assert said(events) == f"{welcome}\n\nWhich then?"
        assert words(events)[-2:] == [("message_end", ""), ("commit_done", session)]
        assert words(events)[:2] == [("token", "Hi!"), ("token", "\n\nWhich one?\n1. Rust\n2. Other")]
        await sam.say("Zig & C")
        assert said(await sam.events()) == "Great, thanks!\n\nWhich one?\n1. Rust\n2. Other"
        await sam.say("RUST")
        assert said(await sam.events()) == "Great, thanks!\n\nWhich one?\n1. Rust\n2. Other"
        await sam.say("Cobol")
        assert words(await sam.events()) == [
            ("error", "There is no such choice. Please answer with one of the numbers.")
        ]
        look = await sam.look()
        assert (look["id"], look["user_id"], look["state"]) == (session, "sam", "idle")
        assert [(line["role"], line["content"]) for line in look["messages"][:3]] == [
            ("user", "2"),
            ("assistant", f"{welcome}\n\nWhich then?"),
            ("user", "Zig & C"),
        ]
        times = [line["timestamp"] for line in look["messages"]]
        assert times == sorted(times)
        for each in (*times, look["created_at"], look["updated_at"]):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", each)
        assert len({line["id"] for line in look["messages"]}) == len(times)
    finally:
        await sam.close()


async def test_a_number_that_is_also_another_choices_words_is_asked_back(
    services: Services, tmp_path: Path
) -> None:
    choices = [{"itemId": f"s{each}", "content": each} for each in ("2", "4")]
    request = {"kind": "ChoiceRequest", "groupId": "size", "question": "How many?", "choices": choices}
    flow = {
        "$settings": {"language": "de", "invalid": {"ambiguous": "{{ first }} oder {{ second }}?"}},
        "pick": {"sendRequest": request},
    }
    for each in ("2", "4"):
        answer = {"kind": "ChoiceResponse", "groupId": "size", "itemId": f"s{each}"}
        flow[f"is{each}"] = {"matchResponse": answer, "next": f"got{each}"}
        flow[f"got{each}"] = {"sendRequest": {"kind": "BotText", "content": f"{each} Stück."}}
    file = tmp_path / "sizes.json"
    file.write_text(json.dumps(flow))
    proxy, workflow = services.make("proxy"), services.make("workflow", SWITCHBOARD_FLOW=str(file))
    proxy.launch()
    workflow.launch()
    await proxy.ready()
    await workflow.ready()
    sam = RestClient(proxy)
    try:
        await sam.post("２")
        question = "How many?\n1. 2\n2. 4"
        assert said(await sam.events()) == f"{question}\n\n“2” (#1) oder “4” (#2)?\n\n{question}"
        await sam.say("#2")
        assert said(await sam.events()) == "4 Stück."
    finally:
        await sam.close()


async def test_the_stream_is_written_as_its_clients_read_it(sam: RestClient, bot: Bot) -> None:
    await greeted(sam, bot)
    answer = await sam.http.get(sam.path())
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    lines = answer.text.split("\n")
    assert "event: message_end\ndata: \n\n" in answer.text
    assert answer.text.endswith(f"event: commit_done\ndata: {sam.session}\n\n")
    assert lines[1:3] == ["event: token", "data: Hi!"]
    assert lines[5:10] == ["event: token", "data: ", "data: ", "data: What is it?", ""]  # "\n\nWhat is it?"
    ids = [line for line in lines if line.startswith("id: ")]
    assert len(set(ids)) == len(ids) == len([line for line in lines if line.startswith("event: ")])


# --- who may, and what ------------------------------------------------------------------------------


async def test_an_unknown_session_and_another_users_look_the_same(
    sam: RestClient, bot: Bot, proxy: Service
) -> None:
    await greeted(sam, bot)
    eve = RestClient(proxy, user="eve")
    answers = [
        await eve.post("hi", session=sam.session),
        await eve.post("hi", session=str(uuid.uuid4())),
        await eve.post("hi", session="no uuid"),
        await eve.post("hi", session=sam.conversation),
        *[await sam.http.get(f"/sessions/{uuid.uuid4()}{end}") for end in ("", "/stream")],
        *[await sam.http.get(f"/sessions/{sam.conversation}{end}") for end in ("", "/stream")],
        await sam.http.get(f"/sessions/{sam.session.upper()}"),
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {
        (404, '{"error":"there is no such session"}')
    }
    assert {tuple(sorted(answer.headers)) for answer in answers} == {tuple(sorted(answers[0].headers))}
    assert len((await sam.look())["messages"]) == 2
    await eve.close()


async def test_what_is_no_message_is_refused_with_the_reason(sam: RestClient) -> None:
    async def refused(content: bytes) -> tuple[int, str]:
        answer = await sam.http.post(
            "/sessions/sam/messages", content=content, headers={"content-type": "application/json"}
        )
        return answer.status_code, answer.json()["error"]

    assert await refused(b'{"user_id":"eve","message":"hi"}') == (
        400,
        "user_id is one in the path and another in the body",
    )
    assert (await refused(b'{"user_id":"sam"}'))[0] == 400
    assert "message" in (await refused(b'{"user_id":"sam"}'))[1]
    assert (await refused(b'{"user_id":"sam","message":" \\n"}')) == (400, "the message is empty")
    assert await refused(b'{"user_id":"sam","message":"\\u200b\\u3164\\u0000"}') == (
        400,
        "the message is empty",
    )
    assert (await refused(b'{"user_id":"sam","message":7}'))[0] == 400
    assert (await refused(b"{"))[0] == 400
    assert await refused(b"") == (400, "send the message as JSON")
    assert await refused(b'{"user_id":"sam","message":"\xff"}') == (400, "the body is not UTF-8")
    assert (await refused(b"[" * 30_000))[0] == 400
    assert (await refused(b'{"user_id":"sam","message":"\\ud800"}'))[0] == 400
    assert (await refused(json.dumps({"user_id": "sam", "message": "é" * 9000}).encode()))[0] == 413
    assert (await refused(b" " * 70_000))[0] == 413


@pytest.mark.parametrize("name", ["acme/sam", "a%2Fb/c", "50%", "é" * 200 + "/x", "/", "sam ?#"])
async def test_a_user_may_have_any_name_that_is_encoded_in_the_path(sam: RestClient, name: str) -> None:
    path = f"/sessions/{quote(name, safe='')}/messages"
    answer = await sam.http.post(path, json={"user_id": name, "message": "hi"})
    assert answer.status_code == 200, answer.text
    sam.session = answer.json()["session_id"]
    assert (await sam.look())["user_id"] == name
    other = await sam.http.post(path, json={"user_id": name + "%2F", "message": "hi"})
    assert other.json() == {"error": "user_id is one in the path and another in the body"}


@pytest.mark.parametrize("name", ["sa\x00m", "\u200b", "sam\n\x1b"])
async def test_a_name_with_control_characters_or_without_any_to_see_is_refused(
    sam: RestClient, name: str
) -> None:
    answer = await sam.http.post(
        f"/sessions/{quote(name, safe='')}/messages", json={"user_id": name, "message": "hi"}
    )
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "user_id holds control characters, or nothing that shows"},
    )


async def test_what_is_kept_of_a_message_has_no_control_characters(sam: RestClient, bot: Bot) -> None:
    answer = await sam.http.post(
        "/sessions/sam/messages", json={"user_id": "sam", "message": "a\x00b\r\nc👩\u200d🔧"}
    )
    sam.session = answer.json()["session_id"]
    assert (await sam.look())["messages"][-1]["content"] == "ab\nc👩\u200d🔧"


async def test_what_can_be_no_flows_name_is_refused(sam: RestClient) -> None:
    body = {"user_id": "sam", "message": "hi"}
    for name in ("two words", "../shop", "x" * 65):
        answer = await sam.http.post("/sessions/sam/messages", params={"flow": name}, json=body)
        assert (answer.status_code, "flow: " in answer.json()["error"]) == (400, True)
    answer = await sam.http.post("/sessions/sam/messages", params={"flow": "v1.2_b-c"}, json=body)
    assert answer.status_code == 200


async def test_pages_of_allowed_origins_may_ask_and_others_may_not(sam: RestClient, bot: Bot) -> None:
    await greeted(sam, bot)
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    asked = await sam.http.options("/sessions/sam/messages", headers={"Origin": ORIGIN, **preflight})
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in asked.headers["access-control-allow-methods"]
    for name in ("content-type", "authorization", "last-event-id"):
        assert name in asked.headers["access-control-allow-headers"].lower()
    for path in (f"/sessions/{sam.session}", sam.path(), "/sessions/x"):
        answer = await sam.http.get(path, headers={"Origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "origin" in answer.headers["vary"].lower()
    for origin in (
        "https://evil.test",
        "null",
        ORIGIN + ".evil.test",
        "https://SHOP.example",
        ORIGIN + ":443",
    ):
        for method, path in (
            ("GET", f"/sessions/{sam.session}"),
            ("GET", sam.path()),
            ("OPTIONS", "/sessions/x"),
        ):
            answer = await sam.http.request(method, path, headers={"Origin": origin, **preflight})
            assert answer.status_code == 403, origin
            assert "access-control-allow-origin" not in answer.headers
            assert "Hi" not in answer.text


async def test_with_an_issuer_a_token_is_required_and_must_be_the_users(services: Services) -> None:
    secret = "a secret of thirty-two bytes or so"
    proxy = await services.start("proxy", SWITCHBOARD_JWT_SECRET=secret)
    key = jwk.OctKey.import_key(secret)

    def token(user: str, **claims: Any) -> str:
        exp = int(time.time()) + 600
        return "Bearer " + jwt.encode({"alg": "HS256"}, {"sub": user, "exp": exp, **claims}, key)

    sam = RestClient(proxy, Authorization=token("sam"))
    await sam.say("hello")
    assert (await sam.look())["messages"][0]["content"] == "hello"
    nobody, eve = RestClient(proxy), RestClient(proxy, user="eve", Authorization=token("eve"))
    for client in (nobody, eve):
        client.session = sam.session
    for path in (f"/sessions/{sam.session}", sam.path()):
        assert (await nobody.http.get(path)).status_code == 401
        assert (await eve.http.get(path)).status_code == 404
        bad = {"Authorization": token("sam", exp=1)}
        assert (await nobody.http.get(path, headers=bad)).status_code == 401
    assert (await nobody.post("hi")).headers["www-authenticate"] == "Bearer"
    assert (await eve.post("hi")).status_code == 404  # eve's token and name, sam's session
    eve.user = "sam"
    assert (await eve.post("hi")).status_code == 403
    for client in (sam, nobody, eve):
        await client.close()


@pytest.mark.parametrize("begins", [True, False], ids=["a new session", "one more message"])
async def test_a_message_is_not_tried_beyond_its_tokens_end(
    services: Services, bot: Bot, connections: Connections, begins: bool
) -> None:
    """It was accepted before, and NATS is away until after."""
    secret = "a secret of thirty-two bytes or so"
    proxy = await services.start("proxy", SWITCHBOARD_JWT_SECRET=secret)
    key = jwk.OctKey.import_key(secret)

    def token(seconds: float) -> str:
        claims = {"sub": "sam", "exp": time.time() + seconds}
        return "Bearer " + jwt.encode({"alg": "HS256"}, claims, key)

    sam = RestClient(proxy, Authorization=token(600))
    await sam.say("hello")
    for words_of in ("Hi!", "Hello."):  # to the visitor's arrival, and to the message
        await bot.answer(sam.conversation, BotSaid(text=words_of))
    await sam.look()
    server = connections.server
    assert server.process is not None
    before = await (await connections.log("admin")).length()
    server.process.send_signal(signal.SIGSTOP)  # it takes nothing, and the proxy does not know yet
    sam.http.headers["Authorization"] = token(4)
    session = {} if begins else {"session_id": sam.session}
    posting = asyncio.create_task(
        sam.http.post("/sessions/sam/messages", json={"user_id": "sam", "message": "too late", **session})
    )
    await asyncio.sleep(0.5)
    await asyncio.to_thread(server.kill)
    answer = await posting
    assert answer.status_code == 401
    assert "the token has expired" in answer.text
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(30):
        while (await sam.http.get("/readyz")).status_code != 200:
            await asyncio.sleep(0.05)
    sam.http.headers["Authorization"] = token(600)
    assert (await sam.http.get(f"/sessions/{sam.session}")).status_code == 200
    assert await (await connections.log("admin")).length() == before


async def test_a_stream_ends_with_its_token_while_words_flow(services: Services, bot: Bot) -> None:
    secret = "a secret of thirty-two bytes or so"
    proxy = await services.start("proxy", SWITCHBOARD_JWT_SECRET=secret)
    key = jwk.OctKey.import_key(secret)

    def token(seconds: int) -> str:
        claims = {"sub": "sam", "exp": int(time.time()) + seconds}
        return "Bearer " + jwt.encode({"alg": "HS256"}, claims, key)

    sam = RestClient(proxy, Authorization=token(600))
    await sam.say("tell me everything")
    cause = await bot.start(sam.conversation, 1)

    async def talk() -> None:
        offset = 0
        while True:
            await bot.draft(sam.conversation, DraftPiece(cause, 1, offset, "on and "))
            offset += 7
            await asyncio.sleep(0.02)

    sam.http.headers["Authorization"] = token(3)
    talking = asyncio.create_task(talk())
    events = await sam.events()  # they end
    talking.cancel()
    assert words(events)[-1] == ("error", "the token has expired")
    assert len(events) > 10
    # With a token that holds it goes on behind what was heard.
    sam.http.headers["Authorization"] = token(600)
    heard = said(events)
    await bot.answer(sam.conversation, AssistantSaid(text=heard + "done.", attempt=1))
    await bot.answer(sam.conversation, BotSaid(text="Next."))
    after = await sam.events(after=[event.id for event in events if event.kind == "token"][-1])
    assert said(after).startswith("done.")
    await sam.close()


async def test_who_is_too_many_is_told_when_to_come_back(services: Services, bot: Bot) -> None:
    proxy = await services.start(
        "proxy",
        SWITCHBOARD_MESSAGE_BURST="2",
        SWITCHBOARD_MESSAGES_PER_MINUTE="1",
        SWITCHBOARD_MAX_SOCKETS_PER_VISITOR="1",
    )
    sam = RestClient(proxy)
    await greeted(sam, bot)
    await sam.say("two")
    async with sam.listen():
        second = await sam.http.get(sam.path())
        assert (second.status_code, second.headers["retry-after"]) == (429, "10")
    await bot.answer(sam.conversation, BotSaid(text="ok"))
    third = await sam.post("three")
    assert third.status_code == 429
    assert 50 <= int(third.headers["retry-after"]) <= 60
    assert (await sam.events())[-1].kind == "commit_done"
    await sam.close()


# --- turns ------------------------------------------------------------------------------------------


async def test_a_message_while_a_turn_is_open_is_refused_with_the_state(sam: RestClient, bot: Bot) -> None:
    await sam.say("hello")
    early = await sam.post("and?")
    assert (early.status_code, early.json()["state"]) == (409, "user_committed")
    await bot.answer(sam.conversation, HI)
    assert (await sam.post("and?")).status_code == 409
    await bot.start(sam.conversation, attempt=1)
    await sam.until("ai_generating")
    assert (await sam.post("and?")).json()["state"] == "ai_generating"
    await bot.answer(sam.conversation, AssistantSaid(text="Well.", attempt=1))
    await sam.until("idle")
    assert (await sam.post("and?")).status_code == 200
    await bot.answer(sam.conversation, DecisionFailed(reason="session_timeout"))
    await sam.until("error")
    assert words(await sam.events()) == [("error", "Session timeout")]
    assert (await sam.post("again")).status_code == 200


async def test_of_many_messages_at_once_one_is_taken_whichever_replica_they_reach(
    services: Services, sam: RestClient, bot: Bot, proxy: Service
) -> None:
    other = RestClient(await services.start("proxy"))
    await greeted(sam, bot)
    other.session = sam.session
    for client in (other, sam) * 2:
        await client.look()  # both know the session already
    for round in range(5):
        answers = await asyncio.gather(*(client.post(f"message {round}") for client in (sam, other) * 5))
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
        assert {answer.json()["state"] for answer in answers if answer.status_code == 409} <= {
            "user_writing",
            "user_committed",
        }
        await bot.answer(sam.conversation, BotSaid(text="ok"))
    lines = (await other.look())["messages"]
    assert [line["content"] for line in lines if line["role"] == "user"][1:] == [
        f"message {n}" for n in range(5)
    ]
    await other.close()


async def test_streams_opened_before_during_and_after_tell_the_same(
    services: Services, sam: RestClient, bot: Bot
) -> None:
    other = RestClient(await services.start("proxy"))
    await greeted(sam, bot)
    await sam.say("why?")
    other.session = sam.session
    before = [asyncio.create_task(client.events()) for client in (sam, other) for _ in range(5)]
    cause = await bot.start(sam.conversation, attempt=1)
    answer = "Because it is so, and not otherwise."
    async with sam.listen() as listened:
        for offset in range(0, 20, 2):
            await bot.draft(sam.conversation, DraftPiece(cause, 1, offset, answer[offset : offset + 2]))
        heard = [await anext(listened) for _ in range(3)]
        assert said(heard) == "Because it is"  # word by word, long before it is stored
        during = [asyncio.create_task(client.events()) for client in (sam, other) for _ in range(5)]
        await bot.answer(sam.conversation, AssistantSaid(text=answer, attempt=1), BotSaid(text="Clear?"))
        heard += [event async for event in listened]
    after = [await client.events() for client in (sam, other)]
    streams = await asyncio.gather(*before, *during)
    assert all(events == after[0] for events in [*streams, *after, heard])
    assert said(after[0]) == f"{answer}\n\nClear?" == (await sam.look())["messages"][-1]["content"]
    await other.close()


async def test_markdown_is_streamed_as_the_plain_text_that_is_stored(sam: RestClient, bot: Bot) -> None:
    await greeted(sam, bot)
    await sam.say("where?")
    cause = await bot.start(sam.conversation, attempt=1)
    answer = "**On** *the* [page](https://shop.example/a_b):\n\n* `one`\n* 2 * 3\n\n```\nx ** y\n```\n# End"
    plain = "On the page (https://shop.example/a_b):\n\n- one\n- 2 * 3\n\nx ** y\nEnd"
    async with sam.listen() as listened:
        for offset in range(0, len(answer), 3):
            await bot.draft(sam.conversation, DraftPiece(cause, 1, offset, answer[offset : offset + 3]))
        heard = [await anext(listened) for _ in range(4)]
        assert said(heard).startswith("On the page (")  # long before it is stored
        await bot.answer(sam.conversation, AssistantSaid(text=answer, attempt=1))
        heard += [event async for event in listened]
    assert [event.kind for event in heard[-2:]] == ["message_end", "commit_done"]
    assert {event.kind for event in heard[:-2]} == {"token"}
    assert said(heard) == plain == (await sam.look())["messages"][-1]["content"]
    assert await sam.events() == heard


async def test_a_stream_is_resumed_at_every_event_by_any_replica(
    services: Services, sam: RestClient, bot: Bot
) -> None:
    other = RestClient(await services.start("proxy"))
    await greeted(sam, bot)
    other.session = sam.session
    whole = await sam.events()
    for count, event in enumerate(whole[:-1], 1):
        assert await other.events(event.id) == whole[count:]
    last = await other.http.get(other.path(), headers={"Last-Event-ID": whole[-1].id})
    assert (last.status_code, last.content) == (204, b"")
    await sam.say("more?")
    follows = asyncio.create_task(other.events(whole[0].id))
    await bot.answer(sam.conversation, BotSaid(text="No more."))
    events = await follows
    assert events[: len(whole) - 1] == whole[1:]
    assert said(events[len(whole) - 1 :]) == "No more."
    for unknown in ("x", "0.0.0.0", whole[0].id[1:], whole[0].id + "0"):
        assert said(await other.events(unknown)) == "No more."
    await other.close()


async def test_an_answer_taken_anew_after_a_crash_is_told_whole(sam: RestClient, bot: Bot) -> None:
    await greeted(sam, bot)
    await sam.say("why?")
    cause = await bot.start(sam.conversation, attempt=1)
    async with sam.listen() as listened:
        await bot.draft(sam.conversation, DraftPiece(cause, 1, 0, "It is because of "))
        assert said([await anext(listened) for _ in range(4)]) == "It is because of"
        await bot.start(sam.conversation, attempt=2)
        error = await anext(listened)
        assert (error.kind, error.data) == ("error", "The answer was interrupted.")
        await bot.draft(sam.conversation, DraftPiece(cause, 1, 17, "nothing"))  # of the one that crashed
        await bot.draft(sam.conversation, DraftPiece(cause, 2, 0, "Nobody knows "))
        await bot.answer(sam.conversation, AssistantSaid(text="Nobody knows why.", attempt=2))
        again = [event async for event in listened]
    assert said(again) == "Nobody knows why."
    assert again == await sam.events(error.id) == await sam.events()


async def test_a_proxy_killed_in_the_middle_of_an_answer_is_replaced_by_another(
    services: Services, sam: RestClient, bot: Bot, proxy: Service
) -> None:
    other = RestClient(await services.start("proxy"))
    await greeted(sam, bot)
    await sam.say("why?")
    other.session = sam.session
    cause = await bot.start(sam.conversation, attempt=1)
    heard = []
    with pytest.raises(httpx.TransportError):
        async with sam.listen() as listened:
            await bot.draft(sam.conversation, DraftPiece(cause, 1, 0, "Because it is so, "))
            async for event in listened:
                heard.append(event)
                if len(heard) == 4:
                    proxy.kill()
    follows = asyncio.create_task(other.events(heard[-1].id))
    await bot.answer(sam.conversation, AssistantSaid(text="Because it is so, and not otherwise.", attempt=1))
    assert heard + await follows == await other.events()
    assert said(await other.events()) == "Because it is so, and not otherwise."
    await other.close()


async def test_while_a_person_owns_messages_are_taken_and_each_word_is_an_answer(
    sam: RestClient, bot: Bot, connections: Connections
) -> None:
    desk = await connections.log("operator")

    async def operator(id: str, fact: Any) -> None:
        await desk.append(sam.conversation, "operator", Entry(id=id, facts=(fact,)))

    await greeted(sam, bot)
    await sam.say("a person, please")
    await bot.answer(sam.conversation, HandoffRequested(queue="orders"))
    answers = await asyncio.gather(*(sam.post(f"hello {number}?") for number in range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert (await sam.look())["state"] == "idle"
    waiting = [asyncio.create_task(sam.events()) for _ in range(2)]
    await operator("1", ConversationClaimed(operator="kim", name="Kim"))
    await operator("2", OperatorSaid(operator="kim", text="Kim here, 1 < 2", name="Kim"))
    for events in await asyncio.gather(*waiting):
        assert [event.kind for event in events] == ["token", "message_end", "commit_done"]
        assert said(events) == "Kim here, 1 < 2"
        last = events[-1].id
    follows = asyncio.create_task(sam.events(last))
    await operator("3", OperatorSaid(operator="kim", text="Still there?", name="Kim"))
    assert said(await follows) == "Still there?"
    await operator("4", ConversationHandedBack(operator="kim"))
    await bot.answer(sam.conversation, BotSaid(text="It is me again."))
    assert said(await sam.events(last)) == "Still there?It is me again."
    lines = (await sam.look())["messages"]
    assert [line["content"] for line in lines[-3:]] == ["Kim here, 1 < 2", "Still there?", "It is me again."]
    assert {line["role"] for line in lines[-3:]} == {"assistant"}


async def test_a_turn_that_nobody_answers_times_out(services: Services, bot: Bot) -> None:
    proxy = await services.start("proxy", SWITCHBOARD_TURN_SECONDS="1")
    sam = RestClient(proxy)
    await sam.say("hello")
    events = await sam.events()
    assert words(events) == [("error", "Session timeout")]
    assert (await sam.look())["state"] == "error"
    await sam.say("anyone?")
    for text in ("Hi!", "I was away.", "What is it?"):
        await bot.answer(sam.conversation, BotSaid(text=text))
    assert said(await sam.events(events[-1].id)) == "Hi!\n\nI was away.\n\nWhat is it?"
    await sam.close()


async def test_a_service_that_ends_lets_its_streams_go(sam: RestClient, bot: Bot, proxy: Service) -> None:
    await sam.say("hello")
    async with sam.listen() as listened:
        proxy.signal(signal.SIGTERM)
        assert [event async for event in listened] == []
    assert await proxy.stop() == 0


# --- what others may see ------------------------------------------------------------------------------


async def test_a_sessions_id_is_in_no_log_metric_or_error(sam: RestClient, bot: Bot, proxy: Service) -> None:
    await greeted(sam, bot)
    await sam.events()
    answers = [
        await sam.post("hi", user_id="eve"),
        await sam.http.delete(f"/sessions/{sam.session}"),
        await sam.http.post(f"/sessions/{sam.session}"),
        await sam.http.get(f"/sessions/{sam.session}/streams"),
        await sam.http.get(f"/sessions/{sam.session}", headers={"Origin": "https://evil.test"}),
        await sam.http.get("/metrics"),
        await sam.http.get("/schema/openapi.json"),
    ]
    with contextlib.suppress(httpx.TransportError):  # cut in the middle
        async with sam.listen() as listened:
            await anext(listened)
    assert all(sam.session not in answer.text for answer in answers)
    await proxy.stop()
    assert sam.session not in proxy.output
    assert sam.session not in str((await bot.turns(sam.conversation)).state)


async def test_the_description_is_served_with_all_that_it_loads(sam: RestClient) -> None:
    for page in ("/docs", "/redoc"):
        answer = await sam.http.get(page)
        assert answer.status_code == 200
        loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.text)
        assert len(loaded) >= 2
        for link in loaded:
            if not link.startswith("data:"):
                assert link.startswith(page + "/")
                part = await sam.http.get(link)
                assert part.status_code == 200, link
                assert part.headers["content-type"].startswith(("text/javascript", "text/css"))
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert (await sam.http.get(page + "/assets/..%2f..%2fproxy")).status_code == 404
    absent = await sam.http.get("/schema/swagger")
    assert (absent.status_code, absent.json()) == (404, {"error": "there is nothing here"})
    schema = (await sam.http.get("/schema/openapi.json")).json()
    assert set(schema["paths"]) == {
        "/sessions/{user_id}/messages",
        "/sessions/{session_id}/stream",
        "/sessions/{session_id}",
    }
    assert set(schema["paths"]["/sessions/{session_id}/stream"]["get"]["responses"]) >= {"200", "204", "404"}


async def test_without_the_log_the_client_is_told_to_come_back(services: Services) -> None:
    proxy = services.make("proxy", SWITCHBOARD_NATS_URL="nats://127.0.0.1:1")
    proxy.launch()
    await proxy.ready(503)
    sam = RestClient(proxy)
    answer = await sam.post("hello")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert (await sam.http.get(f"/sessions/{uuid.uuid4()}")).status_code == 503
    assert (await sam.http.get("/docs")).status_code == 200
    await sam.close()
