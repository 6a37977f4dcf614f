"""Both Socket.IO doors as JavaScript knows them: socket.io-client 3 and 4, polling and WebSocket."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.test_socketio import HI, SocketIoStage, running
from tests.javascript import JavaScript, packages
from tests.socketio_client import Balancer

SETTINGS = {
    "SWITCHBOARD_SECRET": "of this test",
    "SWITCHBOARD_CONNECTS_PER_MINUTE": "1000000",  # all tests come from one address
    "SWITCHBOARD_CONNECT_BURST": "1000000",
}
CLIENTS = [
    (major, transports)
    for major in (3, 4)
    for transports in (["websocket"], ["polling"], ["polling", "websocket"])
]
each_client = pytest.mark.parametrize(
    ("major", "transports"), CLIENTS, ids=[f"v{major}-{'-'.join(each)}" for major, each in CLIENTS]
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SocketIoStage]:
    """One for all tests: what a test kills it starts again."""
    packages()
    with running(tmp_path_factory.mktemp("stage"), **SETTINGS) as stage:
        yield stage


@pytest.fixture
def sams() -> dict[str, Any]:
    """Sam's handshake with an agent, about something that nobody else talks about."""
    return {
        "agent": {"name": "emoji"},
        "user": {"id": 17, "name": "Sam"},
        "chat": {"id": uuid.uuid4().hex},
    }


@each_client
async def test_chats_and_agents_by_every_client_and_transport(
    stage: SocketIoStage, sams: dict[str, Any], major: int, transports: list[str]
) -> None:
    url = stage.proxy.url
    anns = {**sams, "user": {"id": 18, "name": "Ann"}}
    async with (
        JavaScript(major, url, transports=transports) as visitor,
        JavaScript(major, url, transports=transports, auth=sams) as sam,
        JavaScript(major, url, transports=transports, auth=anns) as ann,
    ):
        await visitor.next("connect")
        session = (await visitor.next("session_id"))["session_id"]
        assert await visitor.says(2) == HI
        async with JavaScript(major, url, transports=transports, auth={"session_id": session}) as tab:
            await tab.next("connect")
            assert await tab.next("session_id") == {"session_id": session}
            await visitor.emit("user_message", {"session_id": session, "message": "2"})
            assert await visitor.says() == await tab.says() == ["Tell me."]
            await tab.leave()
        await visitor.emit("user_message", {"message": ""})
        assert await visitor.next("error") == {"message": "user_message: the message is empty"}
        for user, name in ((sam, "Sam"), (ann, "Ann")):
            await user.next("connect")
            welcome = {"message": f"Hello {name}, I will analyze all of your messages"}
            assert await user.next("interjection") == welcome
        for number in (1, 2):
            payload = {"key": "text", "value": f"{number} 🙂", "annotations": {"page": number}}
            await sam.emit("request", payload)
            assert await sam.next("response") == {**payload, "result": True}
            assert await sam.next("interjection") == {"message": f"You've used emojis in {number} messages!"}
        await ann.emit("request", {"key": "text", "value": "none", "annotations": None})
        answer = await ann.next("response")  # the first that Ann hears: nothing of Sam's came before
        assert answer == {"key": "text", "value": "none", "annotations": None, "result": False}


@pytest.mark.parametrize("major", [3, 4])
async def test_who_is_refused_is_told_the_reason(stage: SocketIoStage, major: int) -> None:
    bad: list[tuple[dict[str, Any], str]] = [
        ({"agent": {"name": "nobody"}, "user": {"id": 1}}, "there is no agent 'nobody'"),
        ({"agent": {"name": "emoji"}, "user": {}}, "auth.user.id is missing"),
    ]
    for auth, reason in bad:
        async with JavaScript(major, stage.proxy.url, auth=auth) as client:
            assert await client.next("connect_error") == reason


@each_client
async def test_a_client_comes_back_by_itself_after_the_proxy_was_killed(
    stage: SocketIoStage, sams: dict[str, Any], major: int, transports: list[str]
) -> None:
    url = stage.proxy.url
    async with (
        JavaScript(major, url, transports=transports) as visitor,
        JavaScript(major, url, transports=transports, auth=sams) as sam,
    ):
        await visitor.next("connect")
        session = (await visitor.next("session_id"))["session_id"]
        await visitor.says(2)
        await visitor.auth(session_id=session)
        await sam.until("interjection")
        await sam.emit("request", {"key": "text", "value": "🙂"})
        await sam.until("interjection")
        stage.workflow.freeze()
        assert await visitor.call("user_message", {"message": "2"}) == {"stored": True}
        assert await sam.call("request", {"key": "text", "value": "🙂"}) == {"stored": True}
        stage.proxy.kill()
        await visitor.until("disconnect")
        await sam.until("disconnect")
        await stage.proxy.start()
        assert await visitor.until("session_id") == {"session_id": session}
        await sam.back("end", {"user": {"id": "another"}})
        stage.workflow.thaw()  # what they asked is answered where they are now
        assert await visitor.says() == ["Tell me."]
        assert (await sam.until("response"))["result"] is True
        assert await sam.until("interjection") == {"message": "You've used emojis in 2 messages!"}


@pytest.mark.parametrize("major", [3, 4])
async def test_proxies_behind_a_balancer_without_sticky_sessions(
    stage: SocketIoStage, sams: dict[str, Any], major: int
) -> None:
    second = stage.launch("proxy")
    await second.ready()
    options: dict[str, Any] = {"transports": ["websocket"], "auth": sams}
    async with Balancer(stage.proxy.port, second.port) as balancer:
        async with JavaScript(major, balancer.url, **options) as one:
            await one.until("interjection")
            async with JavaScript(major, balancer.url, **options) as two:
                await two.next("connect")
                for number in (1, 2):
                    await two.emit("request", {"key": "text", "value": "🙂"})
                    for client in (one, two):  # the room is everywhere
                        assert (await client.next("response"))["result"] is True
                        grown = {"message": f"You've used emojis in {number} messages!"}
                        assert await client.next("interjection") == grown
        assert balancer.used == {stage.proxy.port, second.port}
    second.kill()
