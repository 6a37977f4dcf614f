"""A small provider of single sign-on (OpenID Connect) on this machine: its rules are the standard's.

It asks nobody for a password: its page lets the browser go on as `person`. `twist`, `sign_with` and `rotate`
let it do what a broken or hostile one would.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import html
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import httpx
import uvicorn
from joserfc import jwk, jwt

Message = dict[str, Any]
CLIENT, SECRET = "switchboard", "the client's own secret: /+"
ICON = '<link rel="icon" href="data:,">'
PAGE = """<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Sign in</title>
<main><h1>Sign in</h1>
<form method="post" action="/approve?{query}"><button>Continue as {name}</button></form></main></html>"""


def new_key(name: str) -> jwk.ECKey:
    return jwk.ECKey.generate_key("P-256", {"kid": name, "use": "sig"})


class OidcServer:
    """``async with oidc_server() as provider``. `issuer` is its address."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.redirect = ""  # the one that it knows of the client
        self.person: dict[str, Any] = {"sub": "u-1", "preferred_username": "ada", "name": "Ada Lovelace"}
        self.userinfo: dict[str, Any] = {}  # what only userinfo tells
        self.twist: dict[str, Any] = {}  # claims of ID tokens that are otherwise; None: left out
        self.answers: dict[str, str] = {}  # of the answer's parameters
        self.describes: dict[str, Any] = {}  # of what it says of itself
        self.secret: str | None = SECRET
        self.nonces: list[str] = []
        self.asked: list[str] = []  # paths, in order
        self.key = new_key("one")
        self.sign_with: jwk.ECKey | None = None
        self._codes: dict[str, dict[str, str]] = {}
        self._access: dict[str, dict[str, Any]] = {}

    def rotate(self) -> None:
        """From now on another key signs, and the one before it is gone."""
        self.key = new_key(secrets.token_hex(4))

    async def approved(self, address: str) -> str:
        """Somebody is at `address`, and goes on: where the browser is sent back to."""
        query = urlsplit(address).query
        async with httpx.AsyncClient() as client:
            page = await client.get(address)
            assert page.status_code == 200, page.text
            answer = await client.post(f"{self.issuer}/approve?{query}")
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.asked.append(scope["path"])
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = dict(parse_qsl(scope["query_string"].decode()))
        status, said, extra = self._answer(scope["path"], query, dict(parse_qsl(body.decode())), headers)
        data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        kind = b"text/html" if isinstance(said, str) else b"application/json"
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *extra]}
        )
        await send({"type": "http.response.body", "body": data})

    def _answer(
        self, path: str, query: dict[str, str], form: dict[str, str], headers: dict[str, str]
    ) -> tuple[int, Any, list[tuple[bytes, bytes]]]:
        match path:
            case "/.well-known/openid-configuration":
                return 200, self._description(), []
            case "/jwks":
                return 200, {"keys": [self.key.as_dict(private=False)]}, []
            case "/authorize":
                name = html.escape(str(self.person.get("name", "")))
                return 200, PAGE.format(query=html.escape(urlencode(query)), name=name), []
            case "/approve":
                return self._approve(query)
            case "/token":
                return self._token(form, headers)
            case "/userinfo":
                found = self._access.get(headers.get("authorization", "").removeprefix("Bearer "))
                return (200, found, []) if found else (401, {"error": "invalid_token"}, [])
            case "/logout":
                client = html.escape(query["client_id"])
                return 200, f"{ICON}<title>Signed out</title>Signed out of {client}", []
        return 404, {}, []

    def _description(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "end_session_endpoint": f"{self.issuer}/logout",
            "response_types_supported": ["code"],
            "authorization_response_iss_parameter_supported": True,
            **self.describes,
        }

    def _approve(self, query: dict[str, str]) -> tuple[int, Any, list[tuple[bytes, bytes]]]:
        wanted = {
            "response_type": "code",
            "client_id": CLIENT,
            "redirect_uri": self.redirect,
            "code_challenge_method": "S256",
        }
        wrong = [name for name, value in wanted.items() if query.get(name) != value]
        wrong += [name for name in ("state", "nonce", "code_challenge") if not query.get(name)]
        if wrong or "openid" not in query.get("scope", "").split():
            return 400, f"<title>Refused</title>{wrong}", []
        code = secrets.token_urlsafe()
        self._codes[code] = query
        self.nonces.append(query["nonce"])
        answer = {"code": code, "state": query["state"], "iss": self.issuer, **self.answers}
        back = f"{self.redirect}?{urlencode({name: value for name, value in answer.items() if value})}"
        return 303, "", [(b"location", back.encode())]

    def _token(
        self, form: dict[str, str], headers: dict[str, str]
    ) -> tuple[int, Any, list[tuple[bytes, bytes]]]:
        if not self._is_client(form, headers):
            return 401, {"error": "invalid_client"}, []
        asked = self._codes.pop(form.get("code", ""), None)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != asked["redirect_uri"]
            or base64.urlsafe_b64encode(challenge).decode().rstrip("=") != asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}, []
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.person,
            **self.twist,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        signer = self.sign_with or self.key
        token = jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, signer)
        access = secrets.token_urlsafe()
        self._access[access] = {"sub": self.person["sub"], **self.userinfo}
        return 200, {"id_token": token, "access_token": access, "token_type": "Bearer"}, []

    def _is_client(self, form: dict[str, str], headers: dict[str, str]) -> bool:
        if self.secret is None:
            return form.get("client_id") == CLIENT and "client_secret" not in form
        if (posted := form.get("client_secret")) is not None:
            return (form.get("client_id"), posted) == (CLIENT, self.secret)
        basic = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
        name, _, secret = basic.partition(":")
        return (unquote(name), secret) == (CLIENT, quote(self.secret, safe=""))


@contextlib.asynccontextmanager
async def oidc_server() -> AsyncIterator[OidcServer]:
    listening = socket.create_server(("127.0.0.1", 0))
    provider = OidcServer(listening.getsockname()[1])
    server = uvicorn.Server(uvicorn.Config(provider, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve([listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield provider
    finally:
        server.should_exit = True
        await task
        listening.close()
