"""Asks the backends that a flow names, over HTTP or NATS. All that can go wrong is a failure with a name.

The address is the flow's author's; a visitor's words reach only its path, query and body. Nothing of
one call is kept for the next: no cookies, no credentials of the machine, no redirects (an answer from
elsewhere is not what the author asked for).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from time import perf_counter
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx
import msgspec
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry, Counter, Histogram

from shared.contract.subjects import SERVICES
from shared.flow.decide import CallService
from shared.flow.language.values import picked

log = structlog.get_logger()

#: The largest answer (bytes): it is kept on the log, with the conversation.
MAX_ANSWER: Final = 128 * 1024
#: The longest a backend may take, whatever the flow says (seconds).
MAX_SECONDS: Final = 25.0
#: Time to reach a backend (seconds).
CONNECT_SECONDS: Final = 5.0

#: What a backend over NATS says when it fails (NATS micro, ADR-32).
_ERROR_CODE = "Nats-Service-Error-Code"
_KEY = "Idempotency-Key"
_JSON = ("application/json", "text/json")


class BackendAnswer(NamedTuple):
    """What a backend answered; ``failure`` says why there is nothing, "" where there is."""

    value: Any = None
    failure: str = ""


class _Failed(Exception):
    """``failure``: timeout, unreachable, status_<code>, too_large, not_json, bad_request, not_allowed."""

    def __init__(self, failure: str, detail: str = "") -> None:
        super().__init__(detail or failure)
        self.failure = failure


class Backends:
    """One pool of connections for all. ``hosts``: those that may be asked over HTTP, none for any."""

    def __init__(self, client: Client, hosts: Iterable[str], registry: CollectorRegistry) -> None:
        self._nats = client
        self._hosts = frozenset(host.lower() for host in hosts)
        self._http: httpx.AsyncClient | None = None
        self._calls = Counter(
            "switchboard_service_calls_total",
            "Backends asked by flows, by outcome",
            ["outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "switchboard_service_seconds", "How long backends took to answer", registry=registry
        )

    async def ask(self, need: CallService, conversation: str, cause: int) -> BackendAnswer:
        """The backend's answer, or why there is none; never raises.

        The key is the same however often this is asked for this input and state, so that a backend
        can tell a repeat after a crash from a second wish.
        """
        key = f"{conversation}:{cause}:{quote(need.state, safe='')}"
        started = perf_counter()
        try:
            async with asyncio.timeout(min(need.timeout, MAX_SECONDS)):
                body, is_json = await (self._over_http if need.url else self._over_nats)(need, key)
            answer = BackendAnswer(_value(body, is_json, need.pick))
        except TimeoutError:
            answer = BackendAnswer(failure="timeout")
        except _Failed as error:
            answer = BackendAnswer(failure=error.failure)
            log.info("service_failed", state=need.state, failure=error.failure, detail=str(error)[:200])
        except Exception:  # whatever it is, the flow has an onError for it
            log.exception("service_failed", state=need.state)
            answer = BackendAnswer(failure="bad_request")
        self._seconds.observe(perf_counter() - started)
        self._calls.labels(answer.failure or "answered").inc()
        return answer

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _over_http(self, need: CallService, key: str) -> tuple[bytes, bool]:
        """The body, and whether it says that it is JSON. Raises `_Failed`."""
        try:
            accepted = {"Accept": "application/json, text/plain;q=0.5", "Accept-Encoding": "identity"}
            # A visitor's words may be of any script. Space around a value is none of it (RFC 9110, 5.5).
            own = {name: value.strip() for name, value in need.headers.items()}
            headers = httpx.Headers({**accepted, **own, _KEY: key}, encoding="utf-8")
            if need.body is not None:
                headers.setdefault("Content-Type", "application/json")
            request = self._client().build_request(need.method, need.url, headers=headers, content=need.body)
        except (httpx.InvalidURL, ValueError, TypeError) as error:  # UnicodeEncodeError is a ValueError
            raise _Failed("bad_request", repr(error)) from error
        if request.url.scheme not in ("http", "https") or not request.url.host:
            raise _Failed("bad_request", "no http or https address")
        if self._hosts and not {request.url.host, request.url.netloc.decode()} & self._hosts:
            raise _Failed("not_allowed", f"{request.url.host} is not among SWITCHBOARD_SERVICE_HOSTS")
        try:
            response = await self._client().send(request, stream=True)
            try:
                if not response.is_success:
                    raise _Failed(f"status_{response.status_code}")
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise _Failed("not_json", "packed, though none was asked for: its size has no bound")
                body = b""
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        raise _Failed("too_large", f"more than {MAX_ANSWER} bytes")
            finally:
                await response.aclose()
        except httpx.TimeoutException as error:
            raise _Failed("timeout", repr(error)) from error
        except httpx.LocalProtocolError as error:  # a header that cannot be sent
            raise _Failed("bad_request", repr(error)) from error
        except httpx.RequestError as error:
            raise _Failed("unreachable", repr(error)) from error
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return body, kind in _JSON or kind.endswith("+json")

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(
                timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
                follow_redirects=False,
                trust_env=False,
                # One visitor's session at a backend must not become another's.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                headers={"User-Agent": "switchboard"},
            )
        return self._http

    async def _over_nats(self, need: CallService, key: str) -> tuple[bytes, bool]:
        tokens = need.subject.split(".")
        if tokens[0] != SERVICES or len(tokens) < 2 or not all(map(_is_token, tokens)):
            raise _Failed("bad_request", f"no subject below {SERVICES}.")
        if not self._nats.is_connected:  # it would be kept, and asked at some later time
            raise _Failed("unreachable", "not connected to NATS")
        headers = {"Content-Type": "application/json", **need.headers, _KEY: key}
        if any("\r" in text or "\n" in text for pair in headers.items() for text in pair):
            raise _Failed("bad_request", "a header with a line end")
        try:
            reply: Msg = await self._nats.request(
                need.subject, need.body or b"", timeout=MAX_SECONDS + 1, headers=headers
            )
        except nats.errors.NoRespondersError as error:
            raise _Failed("unreachable", f"nobody answers to {need.subject}") from error
        except nats.errors.MaxPayloadError as error:
            raise _Failed("bad_request", "the request is too large") from error
        except nats.errors.TimeoutError as error:
            raise _Failed("timeout") from error
        except nats.errors.Error as error:
            raise _Failed("unreachable", repr(error)) from error
        if reply.headers and (code := reply.headers.get(_ERROR_CODE)):
            raise _Failed(f"status_{code}" if code.isdecimal() and len(code) < 6 else "status_500")
        if len(reply.data) > MAX_ANSWER:
            raise _Failed("too_large", f"more than {MAX_ANSWER} bytes")
        return reply.data, False  # its headers say nothing: some clients send back those of the request


def _is_token(token: str) -> bool:
    return bool(token) and token.isprintable() and not any(each in " *>" for each in token)


def _value(body: bytes, is_json: bool, pick: str) -> Any:
    """What ``pick`` names of the JSON; a text where it is none and need not be. Raises `_Failed`."""
    if not body.strip():
        return None
    try:
        return picked(msgspec.json.decode(body), pick)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        if is_json or pick:
            raise _Failed("not_json", repr(error)) from error
        return body.decode("utf-8", "replace")
