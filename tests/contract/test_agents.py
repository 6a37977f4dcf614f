"""The door of remote agents: against the real proxy, workflow and server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jwt

from deploy.local.embedded import proxies_secret
from tests.conftest import Services
from tests.contract.test_socketio import SocketIoStage, running
from tests.llm_server import LlmServer, refuses, says
from tests.socketio_client import Balancer, SocketIoClient

JWT_SECRET = "a secret of this test that is long enough"
SECRET = {"SWITCHBOARD_SECRET": "of this test"}


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SocketIoStage]:
    with running(tmp_path_factory.mktemp("stage"), **SECRET) as stage:
        yield stage


@pytest.fixture
async def stage(shared_stage: SocketIoStage) -> AsyncIterator[SocketIoStage]:
    """For tests that do not disturb one another; each has a user of its own."""
    Users.turn += 1
    yield shared_stage
    await shared_stage.close()


@pytest.fixture
async def own_stage(services: Services, tmp_path: Path) -> AsyncIterator[SocketIoStage]:
    stage = await SocketIoStage(services, tmp_path / "flow.json", **SECRET).ready()
    yield stage
    await stage.close()


class Users:
    """Ids of users: each test has two of its own."""

    turn = 0

    @classmethod
    def sam(cls) -> int:
        return 1000 + cls.turn

    @classmethod
    def ann(cls) -> int:
        return 9000 + cls.turn


def user(id: Any = None, agent: str = "emoji", **more: Any) -> dict[str, Any]:
    return {"agent": {"name": agent}, "user": {"id": id or Users.sam(), "name": "Sam"}, **more}


def match(**configuration: Any) -> dict[str, Any]:
    return {"agent": {"name": "match", "configuration": configuration}, "user": {"id": Users.sam()}}


async def engaged(client: SocketIoClient, **auth: Any) -> SocketIoClient:
    await client.connect(**auth)
    assert (await client.next("interjection"))["message"].startswith("Hello ")
    return client


async def result(client: SocketIoClient, value: Any, **more: Any) -> bool:
    assert await client.ask(value, **more) == {"stored": True}
    answer = await client.next("response")
    assert answer == {
        "key": "answer",
        "annotations": None,
        **more,
        "value": value,
        "result": answer["result"],
    }
    return bool(answer["result"])


async def test_a_request_is_answered_with_its_own_payload(stage: SocketIoStage) -> None:
    sam = await stage.client().connect(**user())
    assert await sam.next("interjection") == {"message": "Hello Sam, I will analyze all of your messages"}
    assert await result(sam, {"text": ["a 🙂"]}, annotations={"page": 3}) is True
    assert await sam.next("interjection") == {"message": "You've used emojis in 1 messages!"}
    assert await result(sam, 1) is False
    assert await result(sam, None) is False


async def test_the_answer_goes_to_the_room_and_no_one_else(stage: SocketIoStage) -> None:
    sam = await engaged(stage.client(), **user())
    phone = await stage.client(["polling"]).connect(
        **user(str(Users.sam()))
    )  # the same room, so no second welcome
    others = [
        await engaged(stage.client(), **auth)
        for auth in (
            user(18),
            user(chat={"id": 1}),
            match(words=["hello"]),
            user(Users.ann(), chat={"id": 1}),
        )
    ]
    for number, asks in enumerate((phone, sam, sam), start=1):  # what it asks itself, each certainly hears
        await asks.ask("🙂")
        for client in (sam, phone):
            assert (await client.next("response"))["result"] is True
            assert await client.next("interjection") == {
                "message": f"You've used emojis in {number} messages!"
            }
    for other in others:
        assert await result(other, "plain") is False  # the first thing that it hears
        assert other.unheard == 0
    assert (sam.unheard, phone.unheard) == (0, 0)


async def test_counts_survive_that_everything_is_killed(own_stage: SocketIoStage) -> None:
    sam = await engaged(own_stage.client(), **user())
    for number in range(1, 4):
        assert await result(sam, "🙂") is True
        assert await sam.next("interjection") == {"message": f"You've used emojis in {number} messages!"}
        for service in (own_stage.workflow, own_stage.proxy):
            service.kill()
            await service.start()
        sam = await own_stage.client().connect(**user())
    assert await result(sam, "🙂") is True
    assert await sam.next("interjection") == {"message": "You've used emojis in 4 messages!"}


async def test_the_end_is_said_and_after_it_nothing_is_answered_until_the_user_connects_anew(
    stage: SocketIoStage,
) -> None:
    sam = await engaged(stage.client(), **user())
    await result(sam, "🙂")
    await sam.next("interjection")
    for other in ({"id": Users.ann()}, {"id": f"0{Users.sam()}"}):
        await sam.io.emit("end", {"agent": {"name": "emoji"}, "user": other})
    assert await result(sam, "x") is False  # another's end is ignored
    await sam.io.emit("end", {"agent": {"name": "emoji"}, "user": {"id": str(Users.sam())}})
    assert await sam.next("interjection") == {"message": "Goodbye!"}
    assert await sam.ask("🙂") == {"error": "the engagement is over"}
    again = await engaged(stage.client(), **user())
    assert await result(again, "🙂") is True
    assert await again.next("interjection") == {"message": "You've used emojis in 1 messages!"}  # anew
    assert (await sam.next("interjection"))["message"].startswith("Hello ")  # still in the room


async def test_agents_are_configured_by_the_handshake(stage: SocketIoStage) -> None:
    sam = await engaged(stage.client(), **match(words=["help"], pattern=r"^\d+$"))
    assert [await result(sam, value) for value in ("HELP me", "42", "helpless")] == [True, True, False]
    strict = await stage.client().connect(**match(words=["help"], ignoreCase=False))
    assert [await result(strict, value) for value in ("HELP me", "help me", "42")] == [False, True, False]


@pytest.mark.parametrize(
    ("auth", "reason"),
    [
        (user(agent="nobody"), "there is no agent 'nobody'"),
        ({"agent": {"name": "emoji"}}, "missing required field `user`"),
        ({"agent": {"name": "emoji"}, "user": {"name": "Sam"}}, "auth.user.id is missing"),
        ({"agent": 5, "user": {"id": 1}}, "at `$.agent`"),
        (match(), "needs `words` or a `pattern`"),
        (match(pattern="(?<=x)"), "none of RE2's"),
        (match(pattern="a" * 1_001), "at most 1000 characters"),
    ],
)
async def test_who_is_refused_is_told_why(stage: SocketIoStage, auth: dict[str, Any], reason: str) -> None:
    assert reason in await stage.client().refusal(**auth)


async def test_a_user_without_an_agent_is_ignored(stage: SocketIoStage) -> None:
    client = await stage.client().connect(user={"id": 17})
    for event in ("request", "user_message", "end", "nothing"):
        assert await client.io.call(event, {"key": "k", "message": "x"}, timeout=20) == {"error": "ignored"}
    assert client.unheard == 0


async def test_bad_requests_are_errors_and_the_engagement_goes_on(stage: SocketIoStage) -> None:
    sam = await engaged(stage.client(), **user())
    payloads: list[Any] = [None, "x", [], {}, {"key": 1}, {"value": "🙂"}]
    for payload in payloads:
        await sam.io.emit("request", payload)
        assert (await sam.next("error"))["message"].startswith("request: ")
    await sam.io.emit("end", 5)
    assert (await sam.next("error"))["message"].startswith("end: ")
    await sam.io.emit("user_message", {"message": "x"})
    assert (await sam.next("error"))["message"].startswith("unknown event")
    assert await result(sam, "x") is False


async def test_without_a_token_only_this_machine_is_let_in(services: Services, tmp_path: Path) -> None:
    stage = SocketIoStage(services, tmp_path / "flow.json", **SECRET)
    opened = stage.launch("proxy", SWITCHBOARD_AGENTS_OPEN="yes")
    bare = stage.launch("proxy", SWITCHBOARD_SECRET="")
    for service in (stage.proxy, stage.workflow, opened, bare):
        await service.ready()
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        forwarded = {header: "203.0.113.9" if header != "Forwarded" else "for=203.0.113.9"}
        reason = await stage.client(headers=forwarded).refusal(**user())
        assert reason == "without tokens, agents are for clients of this machine alone"
    # A page whose name leads to this machine (DNS rebinding) is its own page's to the rule of origins.
    rebound = {"Host": "page.example:9998", "Origin": "http://page.example:9998"}
    reason = await stage.client(headers=rebound).refusal(**user())
    assert reason == "without tokens, agents are for clients of this machine alone"
    await engaged(stage.client(url=opened.url, headers={"X-Forwarded-For": "203.0.113.9"}), **user())
    assert "SWITCHBOARD_SECRET" in await stage.client(url=bare.url).refusal(**user())
    await stage.client(url=bare.url).chat()  # the chat needs none
    await stage.close()


async def test_with_tokens_a_user_is_who_the_issuer_says(services: Services, tmp_path: Path) -> None:
    settings = {"SWITCHBOARD_JWT_SECRET": JWT_SECRET, "SWITCHBOARD_JWT_AUDIENCE": "agents"}
    stage = await SocketIoStage(services, tmp_path / "flow.json", **SECRET, **settings).ready()
    key = jwk.OctKey.import_key(JWT_SECRET)

    def token(**claims: Any) -> str:
        filled = {"sub": str(Users.sam()), "aud": "agents", "exp": int(time.time()) + 60, **claims}
        return jwt.encode({"alg": "HS256"}, filled, key)

    bad = {
        "": "auth.token is missing",
        "nonsense": "auth.token: the token is not valid",
        token(sub="18"): "auth.token is another user's",
        token(aud="mail"): "auth.token: the token's aud is missing or not the one that is wanted",
        token(exp=1): "auth.token: the token has expired",
        token()[:-4] + "AAAA": "auth.token: the token is not valid",
    }
    for given, reason in bad.items():
        assert await stage.client().refusal(**user(token=given)) == reason
    sam = await engaged(stage.client(headers={"X-Forwarded-For": "203.0.113.9"}), **user(token=token()))
    assert await result(sam, "🙂") is True
    assert token() not in stage.proxy.output
    await stage.close()


@pytest.mark.parametrize("transports", [["websocket"], ["polling"]], ids=["websocket", "polling"])
async def test_a_connection_ends_with_its_token_while_requests_flow(
    services: Services, tmp_path: Path, transports: list[str]
) -> None:
    settings = {"SWITCHBOARD_JWT_SECRET": JWT_SECRET, "SWITCHBOARD_MESSAGES_PER_MINUTE": "60000"}
    stage = await SocketIoStage(services, tmp_path / "flow.json", **SECRET, **settings).ready()
    key = jwk.OctKey.import_key(JWT_SECRET)

    def token(user: int, seconds: int) -> str:
        return jwt.encode({"alg": "HS256"}, {"sub": str(user), "exp": int(time.time()) + seconds}, key)

    others = await engaged(stage.client(), **user(Users.ann(), token=token(Users.ann(), 600)))
    sam = await engaged(stage.client(transports=transports), **user(Users.sam(), token=token(Users.sam(), 3)))
    stored = 0

    async def ask() -> None:
        nonlocal stored
        while await sam.ask("please") == {"stored": True}:
            stored += 1

    asking = asyncio.create_task(ask())
    await asyncio.wait_for(sam.left.wait(), 30)
    asking.cancel()
    await asyncio.wait([asking])
    assert stored > 10
    assert await result(others, "🙂") is True
    await stage.close()


async def test_the_assistant_answers_yes_or_no(services: Services, tmp_path: Path, llm: LlmServer) -> None:
    stage = SocketIoStage(services, tmp_path / "flow.json", **SECRET)
    stage.workflow.kill()
    stage.workflow = stage.launch("workflow", **llm.settings)
    await stage.ready()
    llm.will(says("Yes", "."), says("No, it is not."), says("Who knows?"), refuses(401))
    auth = {
        "agent": {"name": "assistant", "configuration": {"question": "Is this polite?"}},
        "user": {"id": 17},
    }
    sam = await engaged(stage.client(), **auth)
    assert await result(sam, "please") is True
    request = await llm.request(1)
    assert request.said == "please"
    assert "Is this polite?" in request.body["messages"][0]["content"]
    assert await result(sam, "go away") is False
    for _ in ("neither", "refused"):
        await sam.ask("please")
        answer = await sam.next("response")
        assert (answer["result"], answer["error"]) == (False, "the assistant did not answer")
    await stage.close()


async def test_without_an_assistant_its_agent_says_so(stage: SocketIoStage) -> None:
    auth = {
        "agent": {"name": "assistant", "configuration": {"question": "Is it?"}},
        "user": {"id": Users.sam()},
    }
    sam = await engaged(stage.client(), **auth)
    await sam.ask("please")
    answer = await sam.next("response")
    assert (answer["result"], answer["error"]) == (False, "the assistant did not answer")


LENGTH = '''
import msgspec
from shared.contract.agents import Answered


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    least: int = 10


class Length:
    """Is the text long enough? It says how often it was not."""

    configuration = Configuration

    def answer(self, configuration, memory, request, said):
        if request.text == "boom":
            raise RuntimeError("the author's mistake")
        if len(request.text) >= configuration.least:
            return Answered(result=True, memory=memory)
        short = (memory or 0) + 1
        return Answered(result=False, memory=short, interjections=(f"{short} too short",))


class Tally:
    """It changes what it remembers in place."""

    configuration = Configuration

    def answer(self, configuration, memory, request, said):
        memory = memory or {"times": 0}
        memory["times"] += 1
        return Answered(result=True, memory=memory, interjections=(f"{memory['times']} times",))
'''


async def test_an_agent_of_an_installed_package_works_like_the_others(
    services: Services, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    metadata = site / "our_agents-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "our_agents.py").write_text(LENGTH)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: our-agents\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[switchboard.agents]\n"
        "length = our_agents:Length\n"
        "tally = our_agents:Tally\n"
        "broken = our_agents:Missing\n"
        "emoji = our_agents:Length\n"
    )
    stage = SocketIoStage(services, tmp_path / "flow.json", PYTHONPATH=str(site), **SECRET)
    stage.workflow.kill()
    stage.workflow = stage.launch("workflow", PYTHONPATH=str(site))
    await stage.ready()
    sam = await engaged(stage.client(), **user(agent="length"))
    assert await result(sam, "short") is False
    assert await sam.next("interjection") == {"message": "1 too short"}
    assert await result(sam, "long enough, this") is True
    await sam.ask("boom")
    answer = await sam.next("response")
    assert (answer["result"], answer["error"]) == (False, "the agent failed")
    assert await result(sam, "again") is False
    assert await sam.next("interjection") == {"message": "2 too short"}
    wrong = {"agent": {"name": "length", "configuration": {"most": 1}}, "user": {"id": 1}}
    assert "unknown field `most`" in await stage.client().refusal(**wrong)
    assert "there is no agent 'broken'" in await stage.client().refusal(**user(agent="broken"))
    own = await engaged(stage.client(), **user(agent="emoji"))
    assert await result(own, "long enough, and no emoji") is False  # the name was taken
    await stage.proxy.wrote("agent_ignored")
    # What one user's agent remembers is nobody else's, though the log says the same of both.
    both = [await engaged(stage.client(), **user(id, agent="tally")) for id in (Users.ann(), Users.sam())]
    for times in (1, 2):
        for each in both:
            assert await result(each, "hello") is True
            assert await each.next("interjection") == {"message": f"{times} times"}
        stage.workflow.kill()  # so that it reads of both again
        stage.workflow.launch()
        await stage.workflow.ready()
    for times in (3, 4):
        assert await result(both[0], "hello") is True
        assert await both[0].next("interjection") == {"message": f"{times} times"}
    assert await result(both[1], "hello") is True
    assert await both[1].next("interjection") == {"message": "3 times"}
    await stage.close()


async def test_a_file_offers_agents_of_ones_own(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "agents.json"
    polite = {"kind": "match", "configuration": {"words": ["please"]}, "allow": ["ignoreCase"]}
    file.write_text(json.dumps({"polite": polite, "emoji": None}))
    stage = await SocketIoStage(
        services, tmp_path / "flow.json", SWITCHBOARD_AGENTS_FILE=str(file), **SECRET
    ).ready()
    sam = await engaged(stage.client(), **user(agent="polite"))
    assert [await result(sam, value) for value in ("Please!", "now")] == [True, False]
    assert "there is no agent 'emoji'" in await stage.client().refusal(**user())
    more = {"agent": {"name": "polite", "configuration": {"words": ["x"]}}, "user": {"id": 1}}
    assert "'words' may not be configured" in await stage.client().refusal(**more)
    await stage.close()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"SWITCHBOARD_AGENTS_FILE": "/nowhere.json"}, "SWITCHBOARD_AGENTS_FILE (/nowhere.json): "),
        ({"SWITCHBOARD_JWT_SECRET": "short"}, "SWITCHBOARD_JWT_SECRET is too short"),
        ({"SWITCHBOARD_JWT_ISSUER": "https://x"}, "SWITCHBOARD_JWT_ISSUER checks nothing without"),
    ],
)
def test_settings_that_do_not_hold_are_named_at_the_start(
    services: Services, settings: dict[str, str], reason: str
) -> None:
    proxy = services.make("proxy", **settings)
    proxy.launch()
    assert proxy.process is not None
    assert proxy.process.wait(30) == 2
    assert reason in proxy.output
    assert "Traceback" not in proxy.output


async def test_a_platform_that_keeps_its_cursor_misses_nothing_while_it_is_away(stage: SocketIoStage) -> None:
    sam = await stage.client().connect(**user(cursor=""))
    cursor = (await sam.next("interjection"))["cursor"]
    await sam.close()
    phone = await stage.client().connect(**user())
    assert await result(phone, "🙂") is True
    await phone.next("interjection")
    again = await stage.client().connect(**user(cursor=cursor))
    assert (await again.next("response"))["result"] is True
    assert (await again.next("interjection"))["message"] == "You've used emojis in 1 messages!"


async def test_proxies_behind_a_balancer_are_one_room(own_stage: SocketIoStage) -> None:
    second = own_stage.launch("proxy")
    await second.ready()
    async with Balancer(own_stage.proxy.port, second.port, sticky=True) as balancer:
        sam = await engaged(own_stage.client(["polling"], balancer.url), **user())
        phone = await own_stage.client(["polling"], balancer.url).connect(**user())
        for client in (phone, sam):  # what it asks itself the phone certainly hears: it has arrived by then
            await client.ask("plain")
            assert (await sam.next("response"))["result"] is False
            assert (await phone.next("response"))["result"] is False
        assert balancer.used == {own_stage.proxy.port, second.port}
        await sam.close()
        await phone.close()


def test_the_secret_of_make_run_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    made = proxies_secret(tmp_path)
    assert len(made) == 64
    assert proxies_secret(tmp_path) == made
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
