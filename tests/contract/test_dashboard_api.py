"""The dashboard's API: numbers of a real log, for those whom the operator service knows."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from deploy.cli import accounts
from services.analytics.domain.definitions import CURRENT, DEFINITIONS
from shared.contract.entry import Entry
from shared.contract.facts import (
    ConversationClaimed,
    ConversationRated,
    ConversationReset,
    ConversationResolved,
    OperatorSaid,
)
from shared.contract.roles import Role
from shared.contract.sessions import session_token
from shared.contract.subjects import DESK_SETTINGS, DESK_STATE
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import (  # noqa: F401 (fixtures)
    PASSWORDS,
    VERSION,
    Api,
    WrittenChats,
    chat,
    clients,
)
from tests.processes import Service

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Dashboard:
    """A dashboard beside a console, and those who look at it."""

    def __init__(
        self,
        services: Services,
        connections: Connections,
        chat: WrittenChats,  # noqa: F811
        clients: list[httpx.AsyncClient],  # noqa: F811
    ) -> None:
        self.services = services
        self.chat = chat
        self._connections = connections
        self._clients = clients
        self.desk: Service
        self.service: Service

    async def begin(self, **settings: str) -> None:
        self.desk = await self.services.start("operator")
        port = {"SWITCHBOARD_OPERATOR_PORT": str(self.desk.port)}
        self.service = await self.services.start("analytics", **{**port, **settings})

    async def person(self, name: str, role: Role = "operator") -> httpx.AsyncClient:
        """A browser at the dashboard, whose person has logged in at the console."""
        if role != "operator":
            await accounts.change_role(await self._connections.client("admin"), name, role)
        console = await Api(self.desk, self._clients).enter(name)
        browser = self.stranger()
        browser.cookies.update(dict(console.http.cookies))
        return browser

    def stranger(self) -> httpx.AsyncClient:
        browser = httpx.AsyncClient(base_url=self.service.url, timeout=15)
        self._clients.append(browser)
        return browser

    async def operator_does(self, id: str, *facts: Any) -> None:
        log = await self._connections.log("operator")
        for number, fact in enumerate(facts):
            await log.append(id, "operator", Entry(id=f"{fact.operator} {number}", facts=(fact,)))

    async def counted(self, browser: httpx.AsyncClient) -> None:
        """Until all that was stored is counted, and no older answer is given any more."""
        last = await self.chat.visitor.length()
        async with asyncio.timeout(20):
            while (await told(browser, "/api/state"))["position"] < last:
                await asyncio.sleep(0.05)


@pytest.fixture
async def dashboard(
    services: Services,
    connections: Connections,
    chat: WrittenChats,  # noqa: F811
    clients: list[httpx.AsyncClient],  # noqa: F811
) -> Dashboard:
    return Dashboard(services, connections, chat, clients)


async def told(browser: httpx.AsyncClient, path: str, status: int = 200, **query: Any) -> Any:
    answer = await browser.get(path, params=query)
    assert answer.status_code == status, answer.text
    assert answer.headers["cache-control"] == "no-store"
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
    return answer.json()


async def value(browser: httpx.AsyncClient, id: str, **query: Any) -> Any:
    return (await told(browser, f"/api/numbers/{id}", **query))["number"]["value"]


async def helped(dashboard: Dashboard, name: str, by: str, score: int) -> str:
    """A conversation in which somebody was helped, and said how it was."""
    id = await dashboard.chat.waiting(name)
    await dashboard.operator_does(
        id,
        ConversationClaimed(operator=by),
        OperatorSaid(operator=by, text="Hello"),
        ConversationResolved(operator=by),
    )
    rated = Entry(id="rated", facts=(ConversationRated(score=score, comment="a secret word"),))
    await dashboard.chat.visitor.append(id, "visitor", rated)
    return id


async def test_who_is_not_logged_in_learns_where_to_and_nothing_else(dashboard: Dashboard) -> None:
    await dashboard.begin()
    stranger = dashboard.stranger()
    for path in ("/api/me", "/api/definitions", "/api/numbers", "/api/state", "/api/numbers/turns/rows"):
        said = await told(stranger, path, 401)
        assert said["detail"] == "log in at the console first"
        assert said["console"] == dashboard.desk.url
    for token in ("nonsense", session_token("ada", "made up"), session_token("nobody", "x"), "a.b" * 2000):
        stranger.cookies.set("switchboard_operator", token)
        assert (await stranger.get("/api/numbers")).status_code in (401, 431)
    assert (await dashboard.stranger().get("/api/summary")).status_code == 200
    page = await dashboard.stranger().get("/")
    assert page.status_code == 200
    assert "switchboard_operator" not in page.text


async def test_another_page_of_the_same_host_may_not_ask(dashboard: Dashboard) -> None:
    await dashboard.begin()
    ada = await dashboard.person("ada")
    for headers in ({"sec-fetch-site": "same-site"}, {"origin": "http://127.0.0.1:1"}):
        answer = await ada.get("/api/numbers", headers=headers)
        assert answer.status_code == 403, headers
    assert (await ada.get("/api/me", headers={"sec-fetch-site": "same-origin"})).status_code == 200


async def test_a_right_that_ends_is_gone_within_five_seconds(
    dashboard: Dashboard, connections: Connections
) -> None:
    await dashboard.begin()
    admin = await connections.client("admin")
    ada, bob = await dashboard.person("ada", "supervisor"), await dashboard.person("bob")
    assert (await told(ada, "/api/me"))["names"] == "all"
    await accounts.change_role(admin, "ada", "operator")  # her session ends with it
    await accounts.disable(admin, "bob")
    async with asyncio.timeout(5):
        for browser in (ada, bob):
            while (await browser.get("/api/me")).status_code != 401:
                await asyncio.sleep(0.05)


async def test_without_the_operator_service_nobody_is_known_and_that_is_said(dashboard: Dashboard) -> None:
    await dashboard.begin()
    ada = await dashboard.person("ada")
    assert (await told(ada, "/api/me"))["name"] == "ada"
    dashboard.desk.kill()
    async with asyncio.timeout(10):
        while (answer := await ada.get("/api/me")).status_code != 503:
            await asyncio.sleep(0.05)
    assert "operator service" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "1"
    assert (await dashboard.stranger().get("/api/summary")).status_code == 200


async def test_numbers_are_told_compared_and_followed_to_their_conversations(dashboard: Dashboard) -> None:
    await dashboard.begin()
    ids = {await helped(dashboard, "one", "ada", 5), await helped(dashboard, "two", "bob", 2)}
    waiting = await dashboard.chat.waiting("three")
    ada = await dashboard.person("ada", "supervisor")
    await dashboard.counted(ada)

    found = await told(ada, "/api/numbers", zone="Asia/Kathmandu")
    numbers = {each["id"]: each for each in found["numbers"]}
    assert set(numbers) == set(CURRENT)
    assert (numbers["handoffs"]["value"]["value"], numbers["handoffs"]["before"]["value"]) == (3, 0)
    assert numbers["rating"]["value"]["value"] == 3.5
    assert found["about"]["zone"] == "Asia/Kathmandu"
    assert found["about"]["since"].endswith("T18:15:00.000Z")  # midnight there

    by_score = await told(ada, "/api/numbers/rating/groups", by="score")
    assert {each["name"]: each["value"]["rows"] for each in by_score["groups"]} == {"5": 1, "2": 1}
    by_operator = await told(ada, "/api/numbers/claims/groups", by="operator")
    assert {each["name"]: each["value"]["value"] for each in by_operator["groups"]} == {"ada": 1, "bob": 1}
    assert (await value(ada, "claims", operator="bob"))["value"] == 1

    rows = await told(ada, "/api/numbers/handoffs/rows", most=2)
    assert (rows["total"], len(rows["rows"])) == (3, 2)
    assert rows["rows"][0]["conversation"] == waiting
    assert rows["rows"][0]["link"] == f"{dashboard.desk.url}/#conversation={waiting}"
    low = await told(ada, "/api/numbers/rating/rows", where="score", named="2")
    assert [each["value"] for each in low["rows"]] == [2]
    assert {each["conversation"] for each in low["rows"]} < ids
    assert "secret" not in str(low)

    series = await told(ada, "/api/numbers/handoffs/series", step="day")
    assert len(series["points"]) == len(series["before"]) == 28
    assert sum(each["value"]["value"] for each in series["points"]) == 3
    week = await told(ada, "/api/numbers/conversations/week")
    assert sum(each["value"]["value"] for each in week["hours"]) == 3

    state = await told(ada, "/api/state")
    assert (state["complete"], state["lag"]) == (True, 0)
    assert sum(each["counted"] for each in state["streams"]) == await dashboard.chat.visitor.length()
    assert [each["counted"] for each in state["streams"]] == [each["end"] for each in state["streams"]]


async def test_how_conversations_went_through_a_flow_is_drawn_on_its_own_graph(dashboard: Dashboard) -> None:
    await dashboard.begin()
    await dashboard.chat.waiting("one")
    waits = await dashboard.chat.waiting("two")
    again = Entry(id="again", facts=(ConversationReset(),))
    await dashboard.chat.visitor.append(waits, "visitor", again)
    ada = await dashboard.person("ada")
    await dashboard.counted(ada)
    (version,) = (await told(ada, "/api/flows"))["versions"]
    assert version == {"flow": "default", "version": VERSION, "started": 2}
    found = await told(ada, f"/api/flows/{VERSION}/funnel")
    assert (found["flow"], found["started"], found["why"]) == ("default", 2, "")
    assert {each["state"]: each["reached"] for each in found["states"]} == {"hello": 2, "pick": 2}
    boxes = {each["state"]: each for part in found["parts"] for each in part["boxes"]}
    assert {"hello", "pick"} <= set(boxes)
    assert boxes["pick"]["lines"][-2:] == [["s", ""], ["s", ""]]  # room for numbers
    assert all(each["width"] > 0 and each["height"] > 0 for each in boxes.values())
    narrowed = await told(ada, f"/api/flows/{VERSION}/funnel", door="rest")
    assert (narrowed["started"], narrowed["states"]) == (0, [])
    assert "no version" in (await told(ada, "/api/flows/0123/funnel", 404))["detail"]
    await told(ada, "/api/flows/a.b*/funnel", 400)


async def test_times_are_told_in_working_time_where_that_is_asked(
    dashboard: Dashboard, connections: Connections
) -> None:
    await dashboard.begin()
    bucket = await (await connections.client("admin")).jetstream().key_value(DESK_STATE)
    other = DAYS[(time.gmtime().tm_wday + 3) % 7]  # the queue of these conversations is closed today
    hours = {"zone": "UTC", other: ["09:00-17:00"]}
    await bucket.put(DESK_SETTINGS, json.dumps({"queues": {"sales": {"hours": hours}}}).encode())
    await helped(dashboard, "one", "ada", 5)
    ada = await dashboard.person("ada")
    await dashboard.counted(ada)
    around = await value(ada, "waiting_time")
    working = await value(ada, "waiting_time", hours="working")
    assert around["rows"] == working["rows"] == 1
    assert around["value"] > 0 == working["value"]
    assert "hours" in (await told(ada, "/api/numbers", 400, hours="mine"))["detail"]


async def test_operators_see_themselves_supervisors_all_and_a_setting_hides_everybody(
    dashboard: Dashboard,
) -> None:
    await dashboard.begin()
    await helped(dashboard, "one", "ada", 5)
    await helped(dashboard, "two", "bob", 2)
    bob = await dashboard.person("bob")
    await dashboard.counted(bob)
    assert (await told(bob, "/api/me"))["names"] == "own"
    found = await told(bob, "/api/numbers/claims/groups", by="operator")
    assert [each["name"] for each in found["groups"]] == ["bob"]
    assert (await value(bob, "claims", operator="bob"))["value"] == 1
    refused = await told(bob, "/api/numbers/claims", 403, operator="ada")
    assert "take bob" in refused["detail"]
    await told(bob, "/api/numbers/claims/rows", 403, where="operator", named="ada")
    own = await told(bob, "/api/numbers/claims/rows", where="operator", named="bob")
    assert own["total"] == 1

    dashboard.service.kill()
    dashboard.service.set(SWITCHBOARD_OPERATOR_NAMES="no")
    await dashboard.service.start()
    ada = await dashboard.person("ada", "admin")
    await dashboard.counted(ada)
    assert (await told(ada, "/api/me"))["names"] == "none"
    for path in ("claims/groups?by=operator", "claims?operator=ada", "claims/rows?where=operator&named=ada"):
        assert (await ada.get(f"/api/numbers/{path}")).status_code == 403, path
    assert (await value(ada, "claims"))["value"] == 2


async def test_an_open_dashboard_shows_numbers_and_nobody(dashboard: Dashboard) -> None:
    await dashboard.begin(SWITCHBOARD_DASHBOARD_OPEN="yes")
    await helped(dashboard, "one", "ada", 5)
    stranger = dashboard.stranger()
    await dashboard.counted(stranger)
    me = await told(stranger, "/api/me")
    assert (me["name"], me["names"], me["rows"]) == ("", "none", False)
    assert (await value(stranger, "claims"))["value"] == 1
    await told(stranger, "/api/numbers/claims/rows", 403)
    await told(stranger, "/api/numbers/claims/groups", 403, by="operator")
    ada = await dashboard.person("ada")
    assert (await told(ada, "/api/numbers/claims/rows"))["total"] == 1


BAD: tuple[tuple[str, dict[str, Any], int, str], ...] = (
    ("/api/numbers/turnes", {}, 404, "there are abandonment, answer_failures"),
    ("/api/numbers/handoff_rate", {"definition": 9}, 404, "there are 1, 2"),
    ("/api/numbers", {"zone": "Mars/Base"}, 400, "it is a name of IANA's, as Europe/Berlin"),
    ("/api/numbers", {"since": "yesterday"}, 400, "neither a date, as 2026-11-27, nor a time"),
    ("/api/numbers", {"since": "2026-02-30"}, 400, "no day of the calendar"),
    ("/api/numbers", {"since": "1999-01-01"}, 400, "2000-01-01 to 2100-12-31"),
    ("/api/numbers", {"since": "2026-11-27", "until": "2026-11-01"}, 400, "before since"),
    ("/api/numbers", {"since": "2005-01-01", "until": "2026-11-01"}, 400, "may have 3660"),
    ("/api/numbers/turns/groups", {"by": "queues"}, 400, "by"),
    ("/api/numbers/turns/groups", {"by": "operator"}, 400, "possible are door, flow, version, queue"),
    ("/api/numbers/turns", {"operator": "ada"}, 400, "possible are"),
    ("/api/numbers/turns/series", {"since": "2025-01-01", "step": "hour"}, 400, "at most 1000 points"),
    ("/api/numbers/turns/rows", {"most": 100_000}, 400, "most"),
    ("/api/numbers/turns", {"queue": "q" * 300}, 400, "queue"),
)


async def test_bad_questions_are_told_what_would_be_right(
    served: tuple[Dashboard, httpx.AsyncClient],
) -> None:
    _, ada = served
    for path, query, status, words in BAD:
        assert words in (await told(ada, path, status, **query))["detail"], (path, query)


@pytest.fixture
async def served(dashboard: Dashboard) -> tuple[Dashboard, httpx.AsyncClient]:
    await dashboard.begin()
    ada = await dashboard.person("ada", "supervisor")
    await dashboard.counted(ada)
    return dashboard, ada


async def test_fifty_dashboards_cost_as_one(served: tuple[Dashboard, httpx.AsyncClient]) -> None:
    _, ada = served
    day = f"{datetime.fromtimestamp(time.time() - 3 * 86_400, UTC):%Y-%m-%d}"
    before = await asked(ada)
    answers = await asyncio.gather(*(ada.get("/api/numbers", params={"since": day}) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert await asked(ada) - before == 2 * len(CURRENT)  # each of the period, and of the one before


async def asked(browser: httpx.AsyncClient) -> int:
    """How many questions the store has answered."""
    text = (await browser.get("/metrics")).text
    (line,) = [line for line in text.splitlines() if line.startswith("switchboard_numbers_asked_total ")]
    return int(float(line.split()[1]))


async def test_the_api_describes_itself(served: tuple[Dashboard, httpx.AsyncClient]) -> None:
    _, ada = served
    found = await told(ada, "/api/definitions")
    assert [(each["id"], each["version"]) for each in found] == [(d.id, d.version) for d in DEFINITIONS]
    schema = (await ada.get("/docs/openapi.json")).json()
    for path, route in schema["paths"].items():
        if path != "/api/summary":
            answers = route["get"]["responses"]
            assert answers["401"]["content"]["application/problem+json"]["examples"], path
            assert answers["200"]["content"]["application/json"]["examples"], path


async def test_settings_say_where_the_other_page_is_and_who_gets_the_cookie(
    dashboard: Dashboard,
    clients: list[httpx.AsyncClient],  # noqa: F811
) -> None:
    await dashboard.begin(SWITCHBOARD_OPERATOR_URL="https://desk.example.com/")
    said = await told(dashboard.stranger(), "/api/me", 401)
    assert said["console"] == "https://desk.example.com"
    for settings, url, domain in (
        ({}, "http://shop.test:9996", ""),
        (
            {
                "SWITCHBOARD_ANALYTICS_URL": "https://numbers.example.com",
                "SWITCHBOARD_SESSION_DOMAIN": "example.com",
            },
            "https://numbers.example.com",
            "Domain=example.com",
        ),
    ):
        console = Api(await dashboard.services.start("operator", **settings), clients)
        led = await console.http.get("/dashboard?to=https://evil.test", headers={"host": "shop.test"})
        assert (led.status_code, led.headers["location"]) == (303, url)
        entered = await console.http.post("/api/login", json={"name": "ada", "password": PASSWORDS["ada"]})
        assert ("Domain" in entered.headers["set-cookie"]) == bool(domain)
        assert domain in entered.headers["set-cookie"]
