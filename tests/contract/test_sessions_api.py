"""Where operators are logged in: listed and ended, over the API, by command, and by time."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from deploy.cli import accounts
from services.operator.accounts import Accounts
from services.operator.sessions import USED_EVERY, Sessions
from shared.contract.sessions import LoginSession, session_key
from shared.contract.subjects import OPERATOR_SESSIONS, SESSION_HOURS
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import PASSWORDS, Api, WrittenChats, chat, clients  # noqa: F401
from tests.contract.test_rights import Administrator, administrator  # noqa: F401

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)


async def seen(api: Api, path: str = "/api/me/sessions") -> list[dict[str, Any]]:
    answer = await api.http.get(path)
    assert answer.status_code == 200, answer.text
    sessions: list[dict[str, Any]] = answer.json()["sessions"]
    return sessions


async def test_an_operator_sees_and_ends_logins_of_their_own_and_an_admin_everybodys(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
) -> None:
    service = await services.start("operator")
    await accounts.add(await connections.client("admin"), "ada.x", "Another", "a long password")
    desk, phone, bob, root = (Api(service, clients) for _ in range(4))
    desk.http.headers["user-agent"], phone.http.headers["user-agent"] = FIREFOX, SAFARI
    for api in (desk, phone):
        await api.enter("ada")
    await bob.enter("bob")
    other = Api(service, clients)  # its name begins like ada's
    await other.http.post("/api/login", json={"name": "ada.x", "password": "a long password"})

    found = await seen(desk)
    assert {each["browser"]: each["this"] for each in found} == {
        "Firefox 128, Linux": True,
        "Safari 17, iPhone": False,
    }
    assert all(each["began"] == each["used"] for each in found)
    (theirs,) = [each["id"] for each in found if not each["this"]]

    # Nobody ends what is another's.
    assert (await bob.http.post(f"/api/me/sessions/{theirs}/end")).status_code == 404
    for path in ("", f"/{theirs}/end", "/end-all"):
        url = f"/api/accounts/ada/sessions{path}"
        answer = await (bob.http.post(url) if path else bob.http.get(url))
        assert (answer.status_code, answer.json()["title"]) == (403, "Forbidden"), url
    assert (await phone.http.get("/api/me")).status_code == 200

    ended = await desk.http.post(f"/api/me/sessions/{theirs}/end")
    assert [each["this"] for each in ended.json()["sessions"]] == [True]
    assert (await phone.http.get("/api/me")).status_code == 401
    again = await desk.http.post(f"/api/me/sessions/{theirs}/end")
    assert (again.status_code, again.json()["detail"]) == (404, "there is no such login: it has ended")
    assert (await desk.http.post("/api/me/sessions/x*/end")).status_code == 400

    # An admin ends everybody's, and of their own all but the one at which they sit.
    await accounts.change_role(await connections.client("admin"), "bob", "admin")
    await root.enter("bob")
    await bob.enter("bob")
    (hers,) = await seen(root, "/api/accounts/ada/sessions")
    assert hers["this"] is False
    left = await root.http.post("/api/accounts/ada/sessions/end-all")
    assert left.json() == {"sessions": []}
    assert (await desk.http.get("/api/me")).status_code == 401
    assert (await other.http.get("/api/me")).status_code == 200
    left = await root.http.post("/api/accounts/bob/sessions/end-all")
    assert [each["this"] for each in left.json()["sessions"]] == [True]
    assert (await bob.http.get("/api/me")).status_code == 401
    assert (await root.http.get("/api/accounts/nobody/sessions")).status_code == 404
    assert (await root.http.get("/api/accounts/*/sessions")).status_code == 404


async def test_whoever_runs_switchboard_lists_and_ends_them_by_command(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    administrator: Administrator,  # noqa: F811
) -> None:
    service = await services.start("operator")
    desk, phone = Api(service, clients), Api(service, clients)
    desk.http.headers["user-agent"] = FIREFOX
    await desk.enter("ada")
    await phone.enter("ada")
    said = await administrator.done("logins", "ada")
    (line,) = [line for line in said.splitlines() if "Firefox 128, Linux" in line]
    login = line.split()[0]
    refused = await administrator.run("logout", "ada", "0" * 12)
    assert (refused.code, "no login begins with '000000000000'" in refused.text) == (1, True)
    assert "1 login(s) of ada" in await administrator.done("logout", "ada", login)
    assert (await desk.http.get("/api/me")).status_code == 401
    assert (await phone.http.get("/api/me")).status_code == 200
    assert "Firefox" not in await administrator.done("logins", "ada")
    assert (await administrator.run("logins", "nobody")).code == 1


class SessionClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000 * 10**9

    def __call__(self) -> int:
        return self.now


async def test_a_use_is_noted_now_and_then_and_makes_no_login_longer(connections: Connections) -> None:
    watch, client = SessionClock(), await connections.client("operator")
    sessions = Sessions(client, watch)
    token, began = await sessions.begin("ada", 7, "Firefox 128"), watch.now

    async def used() -> int:
        ((_, session),) = await sessions.of("ada", 7)
        return session.used

    watch.now += USED_EVERY - 1
    assert await sessions.find(token) is not None
    assert await used() == began
    watch.now += 1
    assert await sessions.find(token) is not None
    assert await used() == watch.now
    watch.now = began + SESSION_HOURS * 3600 * 10**9 - 1
    session = await sessions.find(token)
    assert session is not None
    assert sessions.stands(session, 7)
    assert not sessions.stands(session, 8)  # the account was changed
    watch.now += 1
    assert not sessions.stands(session, 7)  # although it was used a moment ago
    assert await sessions.of("ada", 7) == ()


async def test_a_use_that_is_noted_late_does_not_bring_an_ended_login_back(connections: Connections) -> None:
    watch, client = SessionClock(), await connections.client("operator")
    sessions = Sessions(client, watch)
    token = await sessions.begin("ada", 7, "")
    watch.now += USED_EVERY
    read = sessions._bucket.get

    async def ended_meanwhile(key: str) -> Any:
        entry = await read(key)
        sessions._bucket.get = read  # type: ignore[method-assign]
        await Sessions(client, watch).end_token(token)
        return entry

    sessions._bucket.get = ended_meanwhile  # type: ignore[method-assign, assignment]
    await sessions.find(token)
    assert await sessions.find(token) is None


@pytest.mark.parametrize("token", ["", "x", ".", "*.x", "a>.x", "../ada.x", "ada.", "Ada.x", "a" * 5000])
async def test_what_is_no_token_finds_nothing(connections: Connections, token: str) -> None:
    found = Accounts(await connections.client("operator"))
    assert await found.who(token) is None
    await found.sessions.end_token(token)
    found.close()


async def test_a_login_from_before_has_ended(connections: Connections) -> None:
    """It was kept under the hash alone, and its token named no account."""
    client = await connections.client("admin")
    await accounts.add(client, "ada", "Ada", PASSWORDS["ada"])
    operator = await connections.client("operator")
    bucket = await operator.jetstream().key_value(OPERATOR_SESSIONS)
    old = msgspec.json.encode({"name": "ada", "revision": 1})
    await bucket.put("0" * 64, old)
    found = Accounts(operator)
    assert await found.who("an-old-token") is None
    assert await found.sessions_of("ada") == ()
    found.close()


def test_the_token_is_in_no_key() -> None:
    key = session_key("ada.smith.a secret")
    assert key is not None
    account, id = key.rsplit(".", 1)
    assert (account, len(id), "secret" in key) == ("ada.smith", 64, False)
    assert LoginSession("ada", 1, 0, 0).stands(1, 0)
