"""Single sign-on: operators log in at a provider, over HTTP, and come back into their accounts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from deploy.cli import accounts
from services.operator.sso_settings import SignOnSettings
from shared.contract.accounts import Account
from shared.contract.roles import Role
from tests.conftest import Connections, Services
from tests.contract.test_operator_api import PASSWORDS, WrittenChats, chat  # noqa: F401
from tests.contract.test_rights import Administrator, administrator  # noqa: F401
from tests.oidc import CLIENT, SECRET, OidcServer, new_key, oidc_server
from tests.processes import Service

CALLBACK = "/login/sso/callback"
ROLES = "operator=chat,supervisor=leads,admin=it"


@pytest.fixture
async def provider() -> AsyncIterator[OidcServer]:
    async with oidc_server() as provider:
        yield provider


class SignOnSite:
    """The operator service beside its provider, and browsers that go from one to the other."""

    def __init__(self, services: Services, provider: OidcServer, folder: Path) -> None:
        self._services = services
        self._provider = provider
        self._folder = folder
        self._clients: list[httpx.AsyncClient] = []

    async def starts(self, url: str = "http://localhost:9997", **settings: str) -> Service:
        """The service, which believes that browsers see it at `url`."""
        secret = self._folder / "secret"
        secret.write_text(SECRET + "\n")
        self._provider.redirect = url + CALLBACK
        return await self._services.start(
            "operator",
            **{
                "SWITCHBOARD_OIDC_ISSUER": self._provider.issuer,
                "SWITCHBOARD_OIDC_CLIENT_ID": CLIENT,
                "SWITCHBOARD_OIDC_CLIENT_SECRET_FILE": str(secret),
                "SWITCHBOARD_OPERATOR_URL": url,
                **settings,
            },
        )

    def browser(self, service: Service) -> httpx.AsyncClient:
        client = httpx.AsyncClient(base_url=service.url, timeout=15)
        self._clients.append(client)
        return client

    async def back_at(self, browser: httpx.AsyncClient) -> str:
        """The address, below the console's, to which the provider sends the browser back."""
        begun = await browser.get("/login/sso")
        assert begun.status_code == 303, begun.text
        back = urlsplit(await self._provider.approved(begun.headers["location"]))
        return f"{back.path}?{back.query}"

    async def logs_in(self, browser: httpx.AsyncClient) -> str:
        """Where the browser is at the end."""
        answer = await browser.get(await self.back_at(browser))
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


@pytest.fixture
async def site(
    chat: WrittenChats,  # noqa: F811 (the accounts of ada and bob)
    services: Services,
    provider: OidcServer,
    tmp_path: Path,
) -> AsyncIterator[SignOnSite]:
    site = SignOnSite(services, provider, tmp_path)
    yield site
    await site.close()


async def stored(connections: Connections) -> dict[str, Account]:
    found = await accounts.accounts(await connections.client("admin"))
    return {account.name: account for account in found}


async def refused(browser: httpx.AsyncClient, service: Service, address: str, why: str) -> None:
    """The browser is told a reference alone, and the log why."""
    answer = await browser.get(address)
    page, _, reference = answer.headers["location"].partition("?sso=")
    assert (answer.status_code, page, len(reference)) == (303, "/", 8)
    assert "switchboard_operator" not in answer.headers.get("set-cookie", "")
    await service.wrote(reference)
    (line,) = [line for line in service.output.splitlines() if reference in line]
    assert why in line, line
    assert (await browser.get("/api/me")).status_code == 401


async def test_an_account_that_waits_for_it_is_that_of_whoever_comes_first(
    site: SignOnSite,
    provider: OidcServer,
    connections: Connections,
    administrator: Administrator,  # noqa: F811
) -> None:
    one = await site.starts()
    two = await site.starts()
    browser, other = site.browser(one), site.browser(two)
    options = {"password": True, "sign_on": "Single sign-on", "logout": False}
    assert (await browser.get("/api/login/options")).json() == options

    # Ada has a password: who is called so at the provider is not let in by that alone.
    await refused(browser, one, await site.back_at(browser), "`switchboard operator sso ada` lets it")
    await administrator.done("sso", "ada")
    assert await site.logs_in(browser) == "/"
    me = (await browser.get("/api/me")).json()
    assert (me["name"], me["display"], me["role"]) == ("ada", "Ada", "operator")
    assert (await stored(connections))["ada"].subject == f"{provider.issuer} u-1"
    assert "single sign-on" in await administrator.done("list")
    login = {"name": "ada", "password": PASSWORDS["ada"]}
    assert (await browser.post("/api/login", json=login)).status_code == 401

    # Another login of hers ends none; somebody else of that name is not her, and she stays who she is.
    assert await site.logs_in(other) == "/"
    assert (await browser.get("/api/me")).status_code == 200
    provider.person = {"sub": "u-2", "preferred_username": "ada"}
    stranger = site.browser(two)
    await refused(stranger, two, await site.back_at(stranger), "the account ada is another person's")
    provider.person = {"sub": "u-1", "preferred_username": "lovelace"}
    renamed = site.browser(one)
    assert await site.logs_in(renamed) == "/"
    assert (await renamed.get("/api/me")).json()["name"] == "ada"

    provider.person = {"sub": "u-3", "preferred_username": "nobody"}
    await refused(stranger, two, await site.back_at(stranger), "operator add nobody --sso` makes one")
    await administrator.done("add", "nobody", "--sso", "--role", "supervisor")
    assert await site.logs_in(stranger) == "/"
    assert (await stranger.get("/api/me")).json()["role"] == "supervisor"
    await administrator.done("disable", "nobody")
    assert (await stranger.get("/api/me")).status_code == 401
    await refused(stranger, two, await site.back_at(stranger), "the account nobody is disabled")
    said = one.output + two.output
    assert not [word for word in (SECRET, *provider.nonces) if word in said]


async def test_accounts_are_made_and_get_their_role_from_the_provider(
    site: SignOnSite, provider: OidcServer, connections: Connections
) -> None:
    service = await site.starts(
        SWITCHBOARD_LOGIN_FAILURES="100",
        SWITCHBOARD_OIDC_ACCOUNTS="create",
        SWITCHBOARD_OIDC_NAME_CLAIM="email",
        SWITCHBOARD_OIDC_NAME_DOMAIN="example.com",
        SWITCHBOARD_OIDC_ROLE_CLAIM="realm_access.roles",
        SWITCHBOARD_OIDC_ROLES=ROLES,
        SWITCHBOARD_SECOND_FACTOR_ROLES="supervisor,admin",
    )
    browser, second = site.browser(service), site.browser(service)
    provider.person = {"sub": "u-7", "name": "Grace Hopper", "email": "Grace@example.com"}
    provider.userinfo = {"realm_access": {"roles": ["other", "chat", "leads"]}}
    assert await site.logs_in(browser) == "/"
    me = (await browser.get("/api/me")).json()
    assert me | {"availability": ""} == {
        "name": "grace",
        "display": "Grace Hopper",
        "role": "supervisor",
        "availability": "",
        "enrol": False,  # her second factor is the provider's
        "password": False,
    }
    assert (await browser.get("/api/conversations")).status_code == 200

    # A role that has changed there holds from the next login on, which ends those with the one before.
    provider.userinfo = {"realm_access": {"roles": ["chat"]}}
    assert await site.logs_in(second) == "/"
    assert (await second.get("/api/me")).json()["role"] == "operator"
    assert (await browser.get("/api/me")).status_code == 401
    provider.userinfo = {"realm_access": {"roles": ["none of these"]}}
    await refused(browser, service, await site.back_at(browser), "which gives no role")
    provider.userinfo = {"realm_access": {"roles": ["it"]}}
    for claims, why in (
        ({"email": "grace@example.org"}, "is not of example.com (SWITCHBOARD_OIDC_NAME_DOMAIN)"),
        ({"email": "grace@example.com", "email_verified": False}, "has not verified the e-mail"),
        ({"email": "two words@example.com"}, "no account can be called so"),
        ({"email": None}, "there is no text 'email'"),
        ({"email": ["grace@example.com"]}, "there is no text 'email'"),
    ):
        provider.person = {"sub": "u-8", **claims}
        fresh = site.browser(service)
        await refused(fresh, service, await site.back_at(fresh), why)
        provider.person = {"sub": "u-7", "email": "grace@example.com"}
        assert await site.logs_in(fresh) == "/"  # who fails is not kept out by that
    assert set(await stored(connections)) == {"ada", "bob", "grace"}


TWISTS: list[tuple[dict[str, Any], str]] = [
    ({"nonce": "another"}, "nonce is missing or not the one"),
    ({"nonce": None}, "nonce is missing"),
    ({"aud": "another-client"}, "aud is missing or not the one"),
    ({"aud": [CLIENT, "another-client"]}, "azp is not this client"),
    ({"azp": "another-client"}, "azp is not this client"),
    ({"iss": "https://login.example.org"}, "iss is missing or not the one"),
    ({"exp": 1_000_000_000}, "has expired"),
    ({"exp": None}, "exp is missing"),
    ({"iat": 4_000_000_000}, "iat is missing or not the one"),
    ({"sub": None}, "sub is no text"),
    ({"sub": ""}, "sub is no text"),
]


async def test_a_token_that_is_not_for_this_login_lets_nobody_in(
    site: SignOnSite,
    provider: OidcServer,
    administrator: Administrator,  # noqa: F811
) -> None:
    service = await site.starts(SWITCHBOARD_LOGIN_FAILURES="100")
    await administrator.done("sso", "ada")
    browser = site.browser(service)
    for twist, why in TWISTS:
        provider.twist = twist
        await refused(browser, service, await site.back_at(browser), why)
    provider.twist = {}
    provider.sign_with = new_key("one")  # it says that it is the provider's
    await refused(browser, service, await site.back_at(browser), "by no key of the provider")
    provider.sign_with = None
    assert await site.logs_in(browser) == "/"


async def test_an_answer_counts_once_and_only_in_the_browser_that_began(
    site: SignOnSite,
    provider: OidcServer,
    administrator: Administrator,  # noqa: F811
) -> None:
    one, two = await site.starts(SWITCHBOARD_LOGIN_FAILURES="100"), await site.starts()
    await administrator.done("sso", "ada")
    hers, other = site.browser(one), site.browser(one)
    address = await site.back_at(hers)
    cookie = hers.cookies["switchboard_sso"]
    # Mallory lets Ada open the answer that is his: she would be at his desk.
    await refused(other, one, address, "this browser has not begun it")
    other.cookies.set("switchboard_sso", "x" * 200, path="/login/sso")
    await refused(other, one, address, "this browser has not begun it")
    other = site.browser(one)
    await site.back_at(other)
    await refused(other, one, address, "state is not the one")

    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    for change, why in (
        ({"iss": "https://other.example"}, "is of another issuer"),  # a mix-up (RFC 9207)
        ({"iss": ""}, "does not name its issuer"),
        ({"code": ""}, "has no code"),
        ({"error": "access_denied", "error_description": "She said no"}, "She said no"),
        ({"code": "made up"}, "invalid_grant"),
    ):
        fresh = site.browser(one)
        begun = await site.back_at(fresh)
        answer = {name: values[0] for name, values in parse_qs(urlsplit(begun).query).items()} | change
        wanted = urlencode({name: value for name, value in answer.items() if value})
        await refused(fresh, one, f"{CALLBACK}?{wanted}", why)
    twice = f"{address}&{urlencode({'state': query['state']})}"
    await refused(site.browser(one), one, twice, "something twice")

    assert (await hers.get(address)).headers["location"] == "/"
    assert (await hers.get("/api/me")).status_code == 200
    replayed = site.browser(two)
    replayed.cookies.set("switchboard_sso", cookie, path="/login/sso")
    await refused(replayed, two, address, "was used already")


async def test_keys_that_change_are_found_and_others_are_not_asked_for_all_the_time(
    site: SignOnSite,
    provider: OidcServer,
    administrator: Administrator,  # noqa: F811
) -> None:
    service = await site.starts(SWITCHBOARD_LOGIN_FAILURES="100")
    await administrator.done("sso", "ada")
    browser = site.browser(service)
    assert await site.logs_in(browser) == "/"
    assert await site.logs_in(browser) == "/"
    assert provider.asked.count("/jwks") == 1
    provider.rotate()
    async with asyncio.timeout(30):  # within ten seconds of the last time nothing is asked again
        while await site.logs_in(browser) != "/":
            await asyncio.sleep(0.5)
    assert provider.asked.count("/jwks") == 2
    before = provider.asked.count("/jwks")
    provider.sign_with = new_key("two")
    for _ in range(3):
        assert await site.logs_in(browser) != "/"
    assert provider.asked.count("/jwks") <= before + 1


async def test_what_is_wrong_with_the_provider_is_in_the_log(
    site: SignOnSite,
    provider: OidcServer,
    administrator: Administrator,  # noqa: F811
) -> None:
    await administrator.done("sso", "ada")
    service = await site.starts(SWITCHBOARD_LOGIN_FAILURES="100")
    browser = site.browser(service)
    provider.describes = {"issuer": provider.issuer + "/"}
    await refused(browser, service, "/login/sso", "they must be the same, to the last character")
    provider.describes = {"token_endpoint": "http://login.example.org/token"}
    await refused(browser, service, "/login/sso", "it must begin with https://")
    provider.describes = {"jwks_uri": 7}
    await refused(browser, service, "/login/sso", "not of the form that is wanted")
    provider.describes = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert await site.logs_in(browser) == "/"
    await browser.post("/api/logout")
    provider.secret = "another"
    await refused(browser, service, await site.back_at(browser), "invalid_client")
    public = await site.starts(SWITCHBOARD_OIDC_CLIENT_SECRET_FILE="")
    provider.secret = None
    assert await site.logs_in(site.browser(public)) == "/"
    gone = await site.starts(SWITCHBOARD_OIDC_ISSUER="http://127.0.0.1:9")
    await refused(site.browser(gone), gone, "/login/sso", "cannot be reached")


async def test_many_failures_at_one_address_wait(
    site: SignOnSite,
    provider: OidcServer,
    administrator: Administrator,  # noqa: F811
) -> None:
    await administrator.done("sso", "ada")
    service = await site.starts()
    browser = site.browser(service)
    ends = [(await browser.get(f"{CALLBACK}?state=x")).headers["location"] for _ in range(6)]
    assert ends[-1] == "/?sso=wait"
    assert ends[0] != "/?sso=wait"
    # A colleague at the same address logs in with a password.
    login = {"name": "bob", "password": PASSWORDS["bob"]}
    assert (await browser.post("/api/login", json=login)).status_code == 200


async def test_passwords_can_be_switched_off_and_the_provider_is_told_of_the_logout(
    site: SignOnSite,
    provider: OidcServer,
    administrator: Administrator,  # noqa: F811
) -> None:
    await administrator.done("sso", "ada")
    service = await site.starts(
        SWITCHBOARD_PASSWORD_LOGIN="no", SWITCHBOARD_OIDC_LOGOUT="yes", SWITCHBOARD_OIDC_LABEL="Acme"
    )
    browser = site.browser(service)
    options = {"password": False, "sign_on": "Acme", "logout": True}
    assert (await browser.get("/api/login/options")).json() == options
    login = {"name": "bob", "password": PASSWORDS["bob"]}
    answer = await browser.post("/api/login", json=login)
    assert (answer.status_code, "single sign-on" in answer.text) == (403, True)
    assert await site.logs_in(browser) == "/"
    out = urlsplit((await browser.post("/api/logout")).json()["next"])
    assert f"{out.scheme}://{out.netloc}{out.path}" == f"{provider.issuer}/logout"
    assert parse_qs(out.query) == {
        "client_id": [CLIENT],
        "post_logout_redirect_uri": ["http://localhost:9997/"],
    }
    assert (await browser.get("/api/me")).status_code == 401


@pytest.mark.parametrize(
    "settings, why",
    [
        ({"password_login": False}, "PASSWORD_LOGIN=no needs"),
        ({"oidc_issuer": "http://login.example.org"}, "OIDC_ISSUER must begin with https://"),
        ({"oidc_client_id": ""}, "OIDC_CLIENT_ID is not set"),
        ({"operator_url": ""}, "OPERATOR_URL is not set"),
        ({"operator_url": "http://desk.example.org"}, "OPERATOR_URL must begin with https://"),
        ({"oidc_scopes": "profile"}, "OIDC_SCOPES lacks openid"),
        ({"oidc_role_claim": "groups"}, "go together"),
        ({"oidc_role_claim": "groups", "oidc_roles": ("king=x",)}, "may not hold 'king=x'"),
        ({"oidc_role_claim": "groups", "oidc_roles": ("admin=",)}, "may not hold 'admin='"),
    ],
)
def test_settings_that_cannot_work_are_named(settings: dict[str, Any], why: str) -> None:
    whole: dict[str, Any] = {
        "oidc_issuer": "https://login.example.org",
        "oidc_client_id": "switchboard",
        "operator_url": "https://desk.example.org",
    }
    SignOnSettings(**whole)
    given = settings if "password_login" in settings else whole | settings
    with pytest.raises(ValueError, match=why):
        SignOnSettings(**given)


def test_the_roles_of_the_settings() -> None:
    found = SignOnSettings(
        oidc_issuer="https://login.example.org",
        oidc_client_id="switchboard",
        operator_url="https://desk.example.org",
        oidc_role_claim="groups",
        oidc_roles=("operator=chat", "admin=it", "admin=ops"),
    ).sign_on_rules()
    wanted: dict[Role, frozenset[str]] = {"operator": frozenset({"chat"}), "admin": frozenset({"it", "ops"})}
    assert found.roles == wanted
