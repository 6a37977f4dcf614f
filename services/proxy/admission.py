"""Admission: what every door asks before it lets anyone do anything. One object for all of them.

A door, in this order:

    if not admission.origin_ok(scope, DOOR): HTTP 403
    address = admission.address(scope)
    if refusal := admission.connect(address, DOOR): 429, 4029 or `error`
    if refusal := admission.enter(DOOR, visitor, address): the same   # before it accepts
    try:
        ... for each message of the visitor:
        if refusal := admission.message(visitor, DOOR): the same
    finally:
        admission.leave(DOOR, visitor, address)

``visitor`` is the conversation's name, so a visitor's sockets, streams and requests at one door
count together. HTTP answers a `Refusal` with `refuse`; a WebSocket closes with
``close_codes.too_many(refusal.reason, refusal.retry_after_seconds)``; Socket.IO sends ``error`` with
``refusal.text``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from services.proxy.domain import addresses, limits, origins
from services.proxy.domain.close_codes import TOO_SLOW, CloseCode
from services.proxy.door_queues import OUTCOMES, Outcome
from services.proxy.settings import ProxySettings
from shared.service.health import Health, Receive, Scope, Send, respond

log = structlog.get_logger()

#: When to come back where nobody can know when a place will be free (seconds).
FULL_SECONDS = 10
#: Which proxies are trusted, if all are.
ANY = ("*",)


class Refusal(NamedTuple):
    """A limit is reached: which, in words for the client, and when to come back (whole seconds)."""

    reason: str
    retry_after_seconds: int

    @property
    def text(self) -> str:
        return f"{self.reason}; come back in {self.retry_after_seconds} s"


class BodyRefused(Exception):
    """A request's body is too large, or ends early: ``status`` is 413 or 400, the text says why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Admission:
    """The limits of this process: n replicas allow n times as much."""

    def __init__(
        self, settings: ProxySettings, health: Health, clock: Callable[[], float] = monotonic
    ) -> None:
        self._origins = settings.origins
        self._trusts_all = settings.trusted_proxies == ANY
        self._clock = clock
        self._connects = limits.Buckets(settings.connect_burst, settings.connects_per_minute)
        self._warnings = limits.Buckets(settings.connect_burst, settings.connects_per_minute)
        self._behind_proxies = bool(settings.trusted_proxies)
        self._messages = limits.Buckets(settings.message_burst, settings.messages_per_minute)
        self._places = limits.Places(
            settings.max_sockets, settings.max_sockets_per_visitor, settings.max_sockets_per_address
        )
        #: How long a door's own handshake may take after HTTP's, such as a first packet (seconds).
        #: A request's head and body have the same time; the server itself sees to that.
        self.handshake_seconds = settings.handshake_seconds
        registry = health.registry
        #: Open sockets and streams, by their doors.
        self.open = Gauge("switchboard_sockets_open", "Open sockets and streams", ["door"], registry=registry)
        self._slow = Counter(
            "switchboard_slow_readers_total",
            "Clients that left too much unread, and were cut off",
            ["door"],
            registry=registry,
        )
        self._closed = Counter(
            "switchboard_sockets_closed_total",
            "Sockets that the server closed, by the code of the table of closings",
            ["door", "code"],
            registry=registry,
        )
        self._appended = Counter(
            "switchboard_appends_total",
            "What clients said, by how its append ended",
            ["door", "outcome"],
            registry=registry,
        )
        self._foreign = Counter(
            "switchboard_origin_refused_total",
            "Requests refused for their origin",
            ["door"],
            registry=registry,
        )
        self._limited = Counter(
            "switchboard_limited_total",
            "Refusals because a limit was reached",
            ["door", "limit"],
            registry=registry,
        )

    def begin(self, door: str) -> None:
        """A door with sockets names itself once: a counter that appears with its first event shows no
        increase."""
        self.open.labels(door)
        self._slow.labels(door)
        for outcome in OUTCOMES:
            self._appended.labels(door, outcome)

    def closed(self, door: str, closing: CloseCode) -> None:
        """The server closed a client's connection."""
        self._closed.labels(door, str(closing.code)).inc()
        if closing.code == TOO_SLOW.code:
            self._slow.labels(door).inc()

    def appended(self, door: str, outcome: Outcome) -> None:
        """An append of a client's ended."""
        self._appended.labels(door, outcome).inc()

    def origin_ok(self, scope: Scope, door: str) -> bool:
        """Whether the page that asks may (none: it is no browser). The same rule at every door."""
        values = _values(scope, b"origin")
        host = "".join(_values(scope, b"host"))
        # Two headers are no browser's: whichever was looked at, another part might look at the other.
        if len(values) <= 1 and origins.allowed(values[0] if values else None, host, self._origins):
            return True
        self._foreign.labels(door).inc()
        log.info("origin_refused", door=door, origin=", ".join(values)[:200])
        return False

    def cors(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Headers with which an allowed page of another origin may read the answer. After `origin_ok`."""
        headers = [(b"vary", b"Origin")]
        headers += [(b"access-control-allow-origin", value.encode()) for value in _values(scope, b"origin")]
        return headers

    def address(self, scope: Scope) -> str:
        """The client's address as limits count it.

        With trusted proxies uvicorn has put the right-most untrusted hop of X-Forwarded-For in place
        of the peer. Where all are trusted (``*``) it takes the left-most, which the client itself
        may have written; here it is the right-most: what the nearest proxy saw.
        """
        client = scope.get("client")
        host = str(client[0]) if client else ""
        if self._trusts_all:
            host = addresses.last_hop(", ".join(_values(scope, b"x-forwarded-for"))) or host
        return addresses.counted(host)

    def connect(self, address: str, door: str) -> Refusal | None:
        """Count a connect (a socket, a stream, a new session) of this address."""
        now = self._clock()
        wait = self._connects.take(address, now)
        if wait:
            self._warnings.take(address, now)
        return self._answer("too many connects", wait, door)

    def turned_away(self, host: str) -> int:
        """When this peer may open a WebSocket again (whole seconds), 0 for at once.

        Asked before anything else. An address that was told "too many connects" as often as it may
        connect does not listen: to accept a WebSocket only to close it with 4029 costs three times as
        much as HTTP's 429, and the others wait meanwhile. Behind trusted proxies every peer is a
        proxy, and none is turned away here.
        """
        if self._behind_proxies:
            return 0
        wait = self._warnings.wait(addresses.counted(host), self._clock())
        if wait:
            self._limited.labels("websocket", "storm").inc()
        return math.ceil(wait)

    def message(self, visitor: str, door: str) -> Refusal | None:
        """Count a message of this visitor, over all of the visitor's sockets and streams."""
        return self._answer("too many messages", self._messages.take(visitor, self._clock()), door)

    def enter(self, door: str, visitor: str, address: str) -> Refusal | None:
        """Take the place of a socket or stream. Unless it was refused, `leave` must follow."""
        full = self._places.enter(visitor, address)
        if full is None:
            self.open.labels(door).inc()
            return None
        return self._refuse(f"too many sockets {full}", FULL_SECONDS, door)

    def leave(self, door: str, visitor: str, address: str) -> None:
        """Give the place back."""
        self._places.leave(visitor, address)
        self.open.labels(door).dec()

    async def body(self, receive: Receive) -> bytes:
        """The request's whole body. Raises `BodyRefused` where it is too large, or the client went."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise BodyRefused(400, "the body ended early")
            body += message.get("body", b"")
            if len(body) > limits.MAX_BODY:
                raise BodyRefused(413, f"the body is larger than {limits.MAX_BODY // 1024} KiB")
            if not message.get("more_body", False):
                return bytes(body)

    def _answer(self, reason: str, wait: float, door: str) -> Refusal | None:
        return None if wait == 0 else self._refuse(reason, math.ceil(wait), door)

    def _refuse(self, reason: str, seconds: int, door: str) -> Refusal:
        self._limited.labels(door, reason.removeprefix("too many ").replace(" ", "_")).inc()
        return Refusal(reason, seconds)


async def refuse(send: Send, refusal: Refusal) -> None:
    """The HTTP answer: 429 with when to come back (RFC 6585, RFC 9110 section 10.2.3)."""
    body = msgspec.json.encode({"error": refusal.text})
    await respond(send, 429, body, extra=[(b"retry-after", str(refusal.retry_after_seconds).encode())])


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
