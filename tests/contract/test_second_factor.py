"""The second factor: set up, asked for at each login, taken off; over the API and by command."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pyotp
import pytest
from nats.aio.client import Client
from prometheus_client import CollectorRegistry, Counter

from deploy.cli import accounts
from deploy.cli.second_factors import broken_second, wrap_second
from services.operator.accounts import Accounts
from services.operator.buckets import Unavailable
from services.operator.domain.accounts import AccountRefused
from services.operator.domain.second_factor import STEP
from services.operator.second_factor import PENDING_SECONDS, NoMasterKey, SecondFactors
from services.operator.transports.login import CODE_FAILURES, Caller, CodeWanted, Door, LoginOptions, TooMany
from shared.eventlog.master_keys import MasterKeys
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import PASSWORDS, Api, WrittenChats, chat, clients  # noqa: F401
from tests.contract.test_rights import Administrator, OpenEvents, administrator  # noqa: F401

HERE = Caller("192.0.2.1", "Firefox 128")
ELSEWHERE = Caller("198.51.100.1", "")
OLD, NEW = bytes(range(64)), bytes(range(64, 128))


class Authenticator:
    """The app: it knows the secret, and shows a code for each half minute."""

    def __init__(self, secret: str) -> None:
        self._app = pyotp.TOTP(secret.replace(" ", ""))

    def shows(self, when: float | None = None) -> str:
        return self._app.at(int(time.time() if when is None else when))


async def login(api: Api, name: str, code: str = "") -> httpx.Response:
    body = {"name": name, "password": PASSWORDS[name], "code": code}
    return await api.http.post("/api/login", json=body)


async def enrolled(api: Api, name: str) -> tuple[Authenticator, list[str]]:
    """Set it up as the console does; the app, and the recovery codes."""
    begun = await api.http.post("/api/me/second-factor/begin", json={"password": PASSWORDS[name]})
    assert begun.status_code == 200, begun.text
    app = Authenticator(begun.json()["secret"])
    confirmed = await api.http.post("/api/me/second-factor/confirm", json={"code": app.shows()})
    assert confirmed.status_code == 200, confirmed.text
    codes: list[str] = confirmed.json()["codes"]
    return app, codes


async def test_an_operator_sets_it_up_and_logs_in_with_codes_each_of_which_counts_once(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
) -> None:
    one, two = await asyncio.gather(services.start("operator"), services.start("operator"))
    ada, other, new = Api(one, clients), Api(two, clients), Api(two, clients)
    await ada.enter("ada")
    await other.enter("ada")
    state = (await ada.http.get("/api/me/second-factor")).json()
    assert state == {"on": False, "since": None, "recovery_codes": 0, "demanded": False}

    wrong = await ada.http.post("/api/me/second-factor/begin", json={"password": "not mine"})
    assert (wrong.status_code, wrong.json()["detail"]) == (422, "password: this is not your password")
    begun = (await ada.http.post("/api/me/second-factor/begin", json={"password": PASSWORDS["ada"]})).json()
    uri = urlsplit(begun["uri"])
    assert (uri.scheme, uri.netloc, unquote(uri.path)) == ("otpauth", "totp", "/Switchboard 127.0.0.1:ada")
    assert parse_qs(uri.query)["secret"] == [begun["secret"].replace(" ", "")]
    assert begun["qr"].startswith("data:image/svg+xml")
    assert (await login(new, "ada")).status_code == 200  # it is not confirmed yet
    refused = await ada.http.post("/api/me/second-factor/confirm", json={"code": "000000"})
    assert (refused.status_code, refused.json()["second_factor"]) == (422, "wrong")

    app, codes = await enrolled(ada, "ada")
    assert len(set(codes)) == 10
    assert (await ada.http.get("/api/me")).status_code == 200
    assert (await other.http.get("/api/me")).status_code == 401  # the others have ended
    state = (await ada.http.get("/api/me/second-factor")).json()
    assert (state["on"], state["recovery_codes"]) == (True, 10)
    again = await ada.http.post("/api/me/second-factor/begin", json={"password": PASSWORDS["ada"]})
    assert again.status_code == 409

    needed = await login(new, "ada")
    assert (needed.status_code, needed.json()["second_factor"]) == (401, "needed")
    assert "set-cookie" not in needed.headers
    body = {"name": "ada", "password": "wrong", "code": codes[0]}
    guess = await new.http.post("/api/login", json=body)
    assert guess.json() == {"error": "name or password is wrong"}  # says nothing of a second factor

    code = app.shows(time.time() + STEP)
    assert (await login(new, "ada", f"{code[:3]} {code[3:]}")).status_code == 200
    replayed = await login(Api(one, clients), "ada", code)
    assert (replayed.status_code, replayed.json()["second_factor"]) == (422, "wrong")

    # A recovery code is for who has lost the app: it counts once, however it is written.
    assert (await login(other, "ada", codes[0].upper().replace("-", " "))).status_code == 200
    assert (await login(Api(one, clients), "ada", codes[0])).status_code == 422
    assert (await new.http.get("/api/me")).status_code == 401  # what was lost is logged out
    assert (await other.http.get("/api/me/second-factor")).json()["recovery_codes"] == 9

    ask = {"password": PASSWORDS["ada"], "code": codes[1]}
    renewed = await other.http.post("/api/me/second-factor/recovery-codes", json=ask)
    assert renewed.status_code == 200, renewed.text
    fresh = renewed.json()["codes"]
    assert not set(fresh) & set(codes)
    assert (await login(Api(one, clients), "ada", codes[2])).status_code == 422
    off = await other.http.post("/api/me/second-factor/off", json={**ask, "code": fresh[0]})
    assert (off.status_code, off.json()["name"]) == (200, "ada")
    assert (await other.http.get("/api/me")).status_code == 200
    assert (await login(Api(one, clients), "ada")).status_code == 200
    for path in ("off", "recovery-codes"):
        none = await other.http.post(f"/api/me/second-factor/{path}", json=ask)
        assert (none.status_code, none.json()["detail"]) == (409, "this account has no second factor")
    said = one.output + two.output
    assert not [word for word in (begun["secret"], codes[0], code) if word in said]


async def test_roles_that_must_have_one_can_do_nothing_before(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
) -> None:
    id = await chat.waiting("visitor 1")
    admin = await connections.client("admin")
    await accounts.change_role(admin, "ada", "supervisor")
    service = await services.start("operator", SWITCHBOARD_SECOND_FACTOR_ROLES="supervisor,admin")
    ada, bob = Api(service, clients), Api(service, clients)
    assert (await login(bob, "bob")).json()["enrol"] is False
    assert (await login(ada, "ada")).json()["enrol"] is True
    assert (await ada.http.get("/api/me")).json()["enrol"] is True
    for method, path in (
        ("GET", "/api/conversations"),
        ("GET", f"/api/conversations/{id}"),
        ("GET", "/api/events"),
        ("GET", "/api/operators"),
        ("POST", f"/api/conversations/{id}/claim"),
        ("GET", "/api/answers"),
        ("GET", "/api/me/sessions"),
    ):
        refused = await ada.http.request(method, path)
        assert (refused.status_code, refused.json()["second_factor"]) == (403, "demanded"), path
        assert (await bob.http.get("/api/conversations")).status_code == 200
    _, codes = await enrolled(ada, "ada")
    assert (await ada.http.get("/api/conversations")).status_code == 200
    # Taken off, also its stream of events ends at once.
    listener = OpenEvents(ada)
    async with asyncio.timeout(30):
        while not listener.lines:
            await asyncio.sleep(0.01)
    ask = {"password": PASSWORDS["ada"], "code": codes[0]}
    assert (await ada.http.post("/api/me/second-factor/off", json=ask)).json()["enrol"] is True
    await asyncio.wait_for(listener.task, 30)
    assert (await ada.http.get("/api/conversations")).status_code == 403


async def test_an_admin_or_whoever_runs_switchboard_takes_it_off(
    chat: WrittenChats,  # noqa: F811
    services: Services,
    clients: list[httpx.AsyncClient],  # noqa: F811
    connections: Connections,
    administrator: Administrator,  # noqa: F811
) -> None:
    service = await services.start("operator")
    await accounts.change_role(await connections.client("admin"), "ada", "admin")
    ada, bob = await Api(service, clients).enter("ada"), await Api(service, clients).enter("bob")
    await enrolled(bob, "bob")
    listed = {each["name"]: each for each in (await ada.http.get("/api/accounts")).json()["accounts"]}
    assert {name: each["second_factor"] for name, each in listed.items()} == {"ada": False, "bob": True}
    assert (await bob.http.post("/api/accounts/ada/second-factor-off")).status_code == 403
    assert (await ada.http.post("/api/accounts/bob/second-factor-off")).status_code == 200
    assert (await ada.http.post("/api/accounts/bob/second-factor-off")).status_code == 409
    assert (await bob.http.get("/api/me")).status_code == 401
    assert (await login(bob, "bob")).status_code == 200

    await enrolled(ada, "ada")
    assert "second factor" in await administrator.done("list")
    assert "password alone" in await administrator.done("second-factor-off", "ada")
    assert (await administrator.run("second-factor-off", "ada")).code == 1
    assert (await ada.http.get("/api/me")).status_code == 401
    assert (await login(ada, "ada")).status_code == 200


class SecondsClock:
    """A clock that the test moves, in seconds."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def operator(connections: Connections) -> Client:
    await accounts.add(await connections.client("admin"), "ada", "Ada", PASSWORDS["ada"])
    return await connections.client("operator")


def door_of(client: Client, moment: SecondsClock, *masters: bytes, failures: int = 5) -> Door:
    counter = Counter("logins", "Logins", ["outcome"], registry=CollectorRegistry())
    keys = MasterKeys(masters) if masters else None
    options = LoginOptions(password=True, sign_on=None, logout=False)
    return Door(Accounts(client), SecondFactors(client, keys, moment), failures, counter, options, None)


async def begun(door: Door) -> Authenticator:
    secret = await door.begin_second("ada", PASSWORDS["ada"], HERE)
    assert secret is not None
    return Authenticator(base64.b32encode(secret).decode())


async def test_codes_hold_one_step_before_and_after_and_none_counts_twice(operator: Client) -> None:
    moment = SecondsClock()
    doors = [door_of(operator, moment, OLD, failures=100) for _ in range(2)]
    door = doors[0]
    app = await begun(door)
    confirmed = await door.confirm_second("ada", app.shows(moment.now), HERE)
    assert confirmed is not None

    async def enters(at: float, door: Door = door) -> bool:
        try:
            return await door.log_in("ada", PASSWORDS["ada"], app.shows(at), HERE) is not None
        except CodeWanted:
            return False

    assert not await enters(moment.now)  # confirming was its one use
    moment.now += 10 * STEP
    for off in (-2, 2):
        assert not await enters(moment.now + off * STEP)
    for off in (-1, 0, 1):
        assert await enters(moment.now + off * STEP)
        assert not await enters(moment.now + off * STEP, doors[1])
    moment.now += STEP
    assert not await enters(moment.now - STEP)  # older than one that was used
    moment.now += 10 * STEP
    found = await door.accounts.account("ada")
    assert found is not None
    second = found[0].second
    assert second is not None
    code = app.shows(moment.now)
    both = await asyncio.gather(*(each.factors.fits("ada", second, code) for each in doors))
    assert sorted(both) == [False, True]  # both had read that it was not used yet
    for each in doors:
        each.accounts.close()


async def test_what_is_not_confirmed_in_time_or_after_a_change_does_not_count(operator: Client) -> None:
    moment = SecondsClock()
    door = door_of(operator, moment, OLD)
    app = await begun(door)
    moment.now += PENDING_SECONDS + 1
    with pytest.raises(CodeWanted):
        await door.confirm_second("ada", app.shows(moment.now), HERE)
    app = await begun(door)
    await door.change_password("ada", PASSWORDS["ada"], PASSWORDS["ada"], HERE)
    with pytest.raises(CodeWanted):  # whoever began it had the password of before
        await door.confirm_second("ada", app.shows(moment.now), HERE)
    door.accounts.close()


async def test_wrong_codes_count_wherever_they_come_from_and_only_with_the_password(
    operator: Client,
) -> None:
    moment = SecondsClock()
    door = door_of(operator, moment, OLD, failures=1000)
    app = await begun(door)
    await door.confirm_second("ada", app.shows(moment.now), HERE)
    moment.now += 10 * STEP
    for _ in range(CODE_FAILURES + 1):  # a stranger keeps nobody out
        assert await door.log_in("ada", "wrong", "000000", ELSEWHERE) is None
    for number in range(CODE_FAILURES):
        with pytest.raises(CodeWanted):
            await door.log_in("ada", PASSWORDS["ada"], f"x{number}", Caller(f"203.0.113.{number}", ""))
    with pytest.raises(TooMany):
        await door.log_in("ada", PASSWORDS["ada"], app.shows(moment.now), HERE)
    door.accounts.close()


async def test_the_secret_is_sealed_and_needs_the_master_key(
    operator: Client, connections: Connections
) -> None:
    moment = SecondsClock()
    with pytest.raises(NoMasterKey):
        await begun(door_of(operator, moment))
    door = door_of(operator, moment, OLD)
    app = await begun(door)
    done = await door.confirm_second("ada", app.shows(moment.now), HERE)
    assert done is not None
    with pytest.raises(AccountRefused, match="take it off first"):
        await begun(door)
    moment.now += 10 * STEP
    other = door_of(operator, moment, NEW)
    with pytest.raises(Unavailable, match="cannot be opened"):
        await other.log_in("ada", PASSWORDS["ada"], app.shows(moment.now), HERE)
    # A copy of it does not open another account.
    admin = await connections.client("admin")
    (ada,) = await accounts.accounts(admin)
    assert ada.second is not None
    with pytest.raises(Unavailable, match="cannot be opened"):
        await door.factors.fits("bob", ada.second, app.shows(moment.now))

    # The master key is changed: the one before it opens nothing any more.
    both = MasterKeys([NEW, OLD])
    (told,) = await broken_second(admin, both)
    assert "keys rotate" in told
    await wrap_second(admin, both)
    assert await broken_second(admin, MasterKeys([NEW])) == []
    (told,) = await broken_second(admin, MasterKeys([OLD]))
    assert "second-factor-off ada" in told
    assert await other.log_in("ada", PASSWORDS["ada"], app.shows(moment.now), HERE) is not None
    recovered: Any = await other.log_in("ada", PASSWORDS["ada"], done[1][0], HERE)
    assert recovered is not None
    for each in (door, other):
        each.accounts.close()
