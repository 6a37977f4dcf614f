"""A right ends when it ends: logins and tokens against real services, while events flow without a pause."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError
from prometheus_client import Counter

from deploy.cli import accounts
from deploy.cli.main import main
from deploy.local.embedded import EmbeddedNats
from services.operator.desk import Desk
from services.operator.domain.decisions import Operator
from services.operator.handlers import Handlers
from shared.contract.facts import ConversationClaimed, OperatorSaid
from shared.contract.subjects import OPERATOR_SESSIONS
from shared.eventlog.connection import ConnectionState
from shared.eventlog.provisioning import SECOND
from shared.eventlog.subscription import Start, Subscription
from shared.service.health import Health
from shared.service.live_entries import LiveEntries
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import PASSWORDS, Api, WrittenChats, chat, clients  # noqa: F401
from tests.flow_author import Ran

#: A stream ends within five seconds; a test that waits for it must bear a machine that is slow.
PATIENCE = 30


class Administrator:
    """Runs `switchboard operator ...` against the test's server."""

    def __init__(self, server: EmbeddedNats) -> None:
        self._environment = {
            "SWITCHBOARD_NATS_URL": server.url(),
            "SWITCHBOARD_NATS_PASSWORD_ADMIN": server.password("admin"),
        }

    async def run(self, *arguments: str, says: str = "") -> Ran:
        said = io.StringIO()
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            pytest.MonkeyPatch.context() as patch,
        ):
            for name, value in self._environment.items():
                patch.setenv(name, value)
            patch.setattr("sys.stdin", io.StringIO(says))
            code = await asyncio.to_thread(main, ["operator", *arguments])
        return Ran(code, said.getvalue())

    async def done(self, *arguments: str, says: str = "") -> str:
        ran = await self.run(*arguments, says=says)
        assert ran.code == 0, ran.text
        return ran.text


@pytest.fixture
def administrator(connections: Connections) -> Administrator:
    return Administrator(connections.server)


@contextlib.asynccontextmanager
async def flowing(chat: WrittenChats, id: str) -> AsyncIterator[None]:  # noqa: F811
    """The visitor writes without a pause: whoever listens is never idle."""

    async def write() -> None:
        while True:
            await chat.says(id, "still here")
            await asyncio.sleep(0.02)

    writing = asyncio.create_task(write())
    yield
    writing.cancel()
    await asyncio.wait([writing])


class OpenEvents:
    """An open stream of events, until the service ends it."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.lines = 0
        self.hears = asyncio.Event()
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async with self._api.http.stream("GET", "/api/events", timeout=None) as answer:
            assert answer.status_code == 200
            async for line in answer.aiter_lines():
                self.lines += 1
                if line.startswith("event: message"):
                    self.hears.set()


async def _past_its_time(connections: Connections, other: Api, administrator: Administrator) -> None:
    """The bucket keeps a login for hours: here for a second."""
    manager = (await connections.client("admin")).jetstream()
    config = (await manager.stream_info(f"KV_{OPERATOR_SESSIONS}")).config
    body = {**config.as_dict(), "max_age": SECOND, "duplicate_window": SECOND}
    client = await connections.client("admin")
    reply = await client.request(
        f"$JS.API.STREAM.UPDATE.KV_{OPERATOR_SESSIONS}", json.dumps(body).encode(), timeout=5
    )
    assert "error" not in json.loads(reply.data), reply.data


async def _log_out(connections: Connections, other: Api, administrator: Administrator) -> None:
    assert (await other.http.post("/api/logout")).status_code == 200


async def _passwd(connections: Connections, other: Api, administrator: Administrator) -> None:
    assert "ada" in await administrator.done("passwd", "ada", says="a new password\n")


async def _disable(connections: Connections, other: Api, administrator: Administrator) -> None:
    assert "disabled" in await administrator.done("disable", "ada")


async def _remove(connections: Connections, other: Api, administrator: Administrator) -> None:
    assert "removed" in await administrator.done("remove", "ada", "--yes")


async def _ended_from_another_login(
    connections: Connections, other: Api, administrator: Administrator
) -> None:
    async with httpx.AsyncClient(base_url=other.http.base_url, timeout=15) as client:
        login = {"name": "ada", "password": PASSWORDS["ada"]}
        assert (await client.post("/api/login", json=login)).status_code == 200
        ended = await client.post("/api/me/sessions/end-others")
        assert [each["this"] for each in ended.json()["sessions"]] == [True]


async def _ended_by_command(connections: Connections, other: Api, administrator: Administrator) -> None:
    assert "1 login(s) of ada end" in await administrator.done("logout", "ada", "--all")


End = Callable[[Connections, Api, Administrator], Awaitable[None]]


@pytest.mark.parametrize(
    "end",
    [
        *(_log_out, _passwd, _disable, _remove, _past_its_time),
        *(_ended_from_another_login, _ended_by_command),
    ],
)
async def test_streams_at_every_replica_end_while_events_flow_and_nothing_goes_on(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
    administrator: Administrator,
    end: End,
) -> None:
    id = await chat.waiting("visitor 1")
    one, two = await services.start("operator"), await services.start("operator")
    ada, bob = await Api(one, clients).enter("ada"), await Api(one, clients).enter("bob")
    other = Api(two, clients)
    other.http.cookies.update(ada.http.cookies)
    await ada.shows("queue", id)
    assert (await ada.do(id, "claim")).status_code == 200
    hers, elsewhere, his = OpenEvents(ada), OpenEvents(other), OpenEvents(bob)
    async with flowing(chat, id):
        for each in (hers, elsewhere, his):
            await asyncio.wait_for(each.hears.wait(), PATIENCE)
        await end(connections, other, administrator)
        await asyncio.wait_for(asyncio.gather(hers.task, elsewhere.task), PATIENCE)
        if end is not _past_its_time:  # the others' logins stand
            heard = his.lines
            async with asyncio.timeout(PATIENCE):
                while his.lines < heard + 20:
                    await asyncio.sleep(0.01)
            assert not his.task.done()
    his.task.cancel()
    for api in (ada, other):
        assert (await api.do(id, "say", text="I am still here")).status_code == 401
        assert (await api.http.get("/api/me")).status_code == 401
        assert (await api.http.get("/api/events")).status_code == 401
    facts = [fact for entry in await chat.history(id) for fact in entry.facts]
    assert not [fact for fact in facts if isinstance(fact, OperatorSaid)]


async def test_a_stream_ends_when_accounts_cannot_be_read_for_long(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
) -> None:
    """A right may end while we do not hear of it."""
    api = await Api(await services.start("operator"), clients).enter("ada")
    listener = OpenEvents(api)
    async with asyncio.timeout(PATIENCE):
        while not listener.lines:
            await asyncio.sleep(0.01)
    nats = connections.server.process
    assert nats is not None
    nats.send_signal(signal.SIGSTOP)  # both its connections stand, and nothing answers
    try:
        await asyncio.wait_for(listener.task, PATIENCE)
    finally:
        nats.send_signal(signal.SIGCONT)


async def test_a_request_under_way_when_the_login_ends_does_not_act(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
) -> None:
    """The words come slowly, and the logout before their end."""
    id = await chat.waiting("visitor 1")
    service = await services.start("operator")
    api = await Api(service, clients).enter("ada")
    await api.shows("queue", id)
    assert (await api.do(id, "claim")).status_code == 200
    body = json.dumps({"text": "too late", "id": str(uuid.uuid4())}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    cookie = "; ".join(f"{name}={value}" for name, value in api.http.cookies.items())
    head = (
        f"POST /api/conversations/{id}/say HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body[:5])
    await writer.drain()
    await asyncio.sleep(0.3)
    assert (await api.http.post("/api/logout")).status_code == 200
    writer.write(body[5:])
    status = await asyncio.wait_for(reader.readline(), PATIENCE)
    assert b" 401 " in status
    writer.close()
    facts = [fact for entry in await chat.history(id) for fact in entry.facts]
    assert not [fact for fact in facts if isinstance(fact, OperatorSaid)]


class RightEnded(Exception):
    """The right has ended."""


async def test_a_command_that_is_tried_again_asks_again(
    chat: WrittenChats,  # noqa: F811
    connections: Connections,
) -> None:
    """Somebody comes between, and meanwhile the login ends."""
    id = await chat.waiting("visitor 1")
    health, desk = Health("test"), Desk()
    log = await connections.log("operator")
    entries = LiveEntries(log, lambda _, recorded: [desk.apply(recorded)].clear())
    subscription = Subscription(
        log,
        ConnectionState(health),
        health,
        entries.take,
        desk.clear,
        start=Start.BEGINNING,
    )
    await subscription.start()
    counter = Counter("test_commands", "", ["command", "outcome"], registry=health.registry)
    handlers = Handlers(desk, log, subscription, entries, counter)
    asked = 0

    async def still() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise RightEnded
        state = desk.find(id)
        assert state is not None
        before = state.state.position
        await chat.says(id, "wait!")  # this replica has not heard of it when it appends
        assert desk.find(id).state.position == before  # type: ignore[union-attr]

    # What the live feed brings waits while nothing is awaited: the append is refused for certain.
    follower = subscription.of(id)
    follower._doubtful = True
    lift = asyncio.get_running_loop().call_later(1.0, setattr, follower, "_doubtful", False)
    with pytest.raises(RightEnded):
        await handlers.claim(id, Operator("ada", "Ada"), still)
    lift.cancel()
    await subscription.stop()
    assert asked == 2
    facts = [fact for entry in await chat.history(id) for fact in entry.facts]
    assert not [fact for fact in facts if isinstance(fact, ConversationClaimed)]


async def test_a_disabled_account_keeps_its_password_and_lets_nobody_in(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    administrator: Administrator,
) -> None:
    service = await services.start("operator", SWITCHBOARD_LOGIN_FAILURES="50")
    api = Api(service, clients)

    async def enters(password: str = PASSWORDS["ada"]) -> int:
        answer = await api.http.post("/api/login", json={"name": "ada", "password": password})
        return answer.status_code

    assert await enters() == 200
    old = dict(api.http.cookies)
    await administrator.done("disable", "ada")
    listed = (await administrator.done("list")).splitlines()
    assert ["disabled" in line for line in listed if line.startswith(("ada", "bob"))] == [True, False]
    assert await enters() == 401
    # Neither a new password nor its hash as it is kept lets anyone in; nor does it enable.
    await administrator.done("passwd", "ada", says="another password\n")
    assert await enters("another password") == 401
    await administrator.done("enable", "ada")
    assert await enters() == 401
    assert await enters("another password") == 200
    # What was ended stays ended.
    api.http.cookies.clear()
    api.http.cookies.update(old)
    assert (await api.http.get("/api/me")).status_code == 401


async def test_a_removed_account_that_is_made_again_is_another(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    administrator: Administrator,
) -> None:
    api = await Api(await services.start("operator"), clients).enter("ada")
    await administrator.done("remove", "ada", "--yes")
    assert "ada" not in await administrator.done("list")
    await administrator.done("add", "ada", says=PASSWORDS["ada"] + "\n")
    assert (await api.http.get("/api/me")).status_code == 401
    await api.enter("ada")


async def test_commands_about_accounts_ask_and_say_what_is_wrong(
    chat: WrittenChats,  # noqa: F811
    administrator: Administrator,
) -> None:
    for says in ("no\n", "\n", "", "y\n", "ada\n"):
        kept = await administrator.run("remove", "ada", says=says)
        assert (kept.code, "Nothing was removed." in kept.text) == (1, True)
    assert "ada" in await administrator.done("list")
    assert "removed" in await administrator.done("remove", "ada", says="yes\n")
    assert "ada" not in await administrator.done("list")
    for verb in (["remove", "--yes"], ["disable"], ["enable"]):
        for name, reason in (("ada", "There is no account ada"), ("A/B", "cannot be an account's name")):
            refused = await administrator.run(*verb, name)
            assert refused.code != 0
            assert reason in refused.text
            assert "Traceback" not in refused.text
    await administrator.done("disable", "bob")
    assert "disabled already" in (await administrator.run("disable", "bob")).text
    await administrator.done("enable", "bob")
    assert "is not disabled" in (await administrator.run("enable", "bob")).text


async def test_the_first_account_is_not_offered_once_it_is_disabled_or_removed(
    connections: Connections, tmp_path: Any
) -> None:
    admin = await connections.client("admin")
    password = await accounts.first(admin, tmp_path)
    assert password is not None
    assert await accounts.first(admin, tmp_path) == password
    await accounts.disable(admin, accounts.FIRST)
    assert await accounts.first(admin, tmp_path) is None
    await accounts.enable(admin, accounts.FIRST)
    assert await accounts.first(admin, tmp_path) == password
    await accounts.add(admin, "ann", "", "a long password")
    await accounts.remove(admin, accounts.FIRST)
    assert await accounts.first(admin, tmp_path) is None
    assert not (tmp_path / "operator-password").exists()


async def test_a_disabled_accounts_hash_fits_no_password_at_any_version(connections: Connections) -> None:
    """An older replica knows nothing of disabling, and verifies what it finds."""
    admin = await connections.client("admin")
    await accounts.add(admin, "ann", "", "a long password")
    await accounts.disable(admin, "ann")
    account = (await accounts.accounts(admin))[0]
    with pytest.raises(InvalidHashError):
        PasswordHasher().verify(account.hash, "a long password")
