"""A service's signs of life: readiness with its reasons, metrics, version.

``GET /healthz`` says the process is alive, ``GET /readyz`` whether it may serve and why not,
``GET /metrics`` gives Prometheus's text format.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from shared.service.version import VERSION as VERSION

# When each series began: nobody asks for it, and it is a third more series to keep.
disable_created_metrics()  # type: ignore[no-untyped-call]

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


class Health:
    """Readiness and metrics of one service. Ready means: no part has a reason against it."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.reasons: dict[str, str] = {}
        self.draining = False
        self._on_drain: list[Callable[[], None]] = []
        self._on_scrape: list[Callable[[], Awaitable[None]]] = []
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        Gauge(
            "switchboard_build_info",
            "Version of this service",
            ["service", "version"],
            registry=self.registry,
        ).labels(service, VERSION).set(1)
        Gauge("switchboard_ready", "1 while this service may serve", registry=self.registry).set_function(
            lambda: float(self.is_ready)
        )
        self.nats_errors = Counter(
            "switchboard_nats_errors_total",
            "Errors of the NATS connection",
            ["error"],
            registry=self.registry,
        )

        self._responses = Counter(
            "switchboard_http_responses_total",
            "Answers to HTTP requests, by status; not those to health, metrics and sockets",
            ["status"],
            registry=self.registry,
        )

    def counted(self, send: Send) -> Send:
        """``send`` of a request whose answer is to be counted."""

        async def count(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                self._responses.labels(str(message["status"])).inc()
            await send(message)

        return count

    def ready(self, part: str) -> None:
        self.reasons.pop(part, None)

    def unready(self, part: str, reason: str) -> None:
        self.reasons[part] = reason

    def on_drain(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` when the service begins to end: for what would never end by itself."""
        self._on_drain.append(notify)

    def on_scrape(self, prepare: Callable[[], Awaitable[None]]) -> None:
        """Await ``prepare`` before the metrics are read: for what takes too long to be counted on the way."""
        self._on_scrape.append(prepare)

    def drain(self) -> None:
        """From here on `/readyz` says no, for good."""
        self.draining = True
        for notify in self._on_drain:
            notify()
        self.unready("drain", "this service is shutting down")

    @property
    def is_ready(self) -> bool:
        return not self.reasons

    async def answer(self, scope: Scope, send: Send) -> bool:
        """Serve ``/healthz``, ``/readyz`` and ``/metrics``; False if the path is none of these."""
        if scope["type"] != "http" or scope["path"] not in ("/healthz", "/readyz", "/metrics"):
            return False
        if scope["method"] not in ("GET", "HEAD"):
            await respond(send, 405, b'{"error":"use GET"}', extra=[(b"allow", b"GET, HEAD")])
        elif scope["path"] == "/healthz":
            body = msgspec.json.encode({"alive": True, "service": self.service, "version": VERSION})
            await respond(send, 200, body)
        elif scope["path"] == "/readyz":
            body = msgspec.json.encode({"ready": self.is_ready, "reasons": self.reasons})
            await respond(send, 200 if self.is_ready else 503, body)
        else:
            for prepare in self._on_scrape:
                await prepare()
            accept = dict(scope["headers"]).get(b"accept", b"")
            if b"application/openmetrics-text" in accept:
                body = openmetrics(self.registry)  # type: ignore[no-untyped-call]
                await respond(send, 200, body, OPENMETRICS)
            else:
                await respond(send, 200, generate_latest(self.registry), CONTENT_TYPE_LATEST)
        return True


async def respond(
    send: Send,
    status: int,
    body: bytes,
    content_type: str = "application/json",
    extra: list[tuple[bytes, bytes]] | None = None,
) -> None:
    """Send one whole HTTP response."""
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        *(extra or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def settle() -> None:
    """After start: what is loaded stays, so the garbage collector need not walk it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
