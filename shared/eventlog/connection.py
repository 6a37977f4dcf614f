"""The connection to NATS: a FastStream broker with reconnects that never give up.

A service must start, and answer its health probe, while NATS is still down, so connecting runs in
the background; `ConnectionState` tells the readiness probe and whoever waits how it stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog
from nats.aio.client import Client
from nats.errors import SlowConsumerError
from prometheus_client import Counter, Gauge

from shared.eventlog.observer import Observer

if TYPE_CHECKING:
    from faststream.nats import NatsBroker

log = structlog.get_logger()

#: A dead link is noticed after PING_SECONDS * (PINGS + 1), not after nats-py's four minutes.
PING_SECONDS = 5
PINGS = 2


class ConnectionState:
    """How the connection stands; tells its subscriptions when something may have been lost."""

    def __init__(self, health: Observer) -> None:
        self._health = health
        self._disturbed: list[Callable[[], None]] = []
        self._lost: list[Callable[[], None]] = []
        health.unready("nats", "not connected to NATS yet")
        self._connected = Gauge(
            "switchboard_nats_connected", "1 while the connection to NATS stands", registry=health.registry
        )
        self._disconnects = Counter(
            "switchboard_nats_disconnects_total", "Times that connection was lost", registry=health.registry
        )

    def on_disturbance(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` after each reconnect and each dropped message."""
        self._disturbed.append(notify)

    def on_loss(self, notify: Callable[[], None]) -> None:
        """Call ``notify`` whenever the connection is lost: what comes next may be another log."""
        self._lost.append(notify)

    async def connected(self) -> None:
        self._health.ready("nats")
        self._connected.set(1)
        self._notify()

    async def disconnected(self) -> None:
        self._health.unready("nats", "the connection to NATS is lost, trying again")
        self._connected.set(0)
        self._disconnects.inc()
        for notify in self._lost:
            notify()

    async def error(self, error: Exception) -> None:
        # A permission violation reaches only this callback; the caller sees a mere timeout.
        log.warning("nats_error", error=str(error) or type(error).__name__)
        self._health.nats_errors.labels(type(error).__name__).inc()
        if isinstance(error, SlowConsumerError):
            self._notify()

    def _notify(self) -> None:
        for notify in self._disturbed:
            notify()


def inbox_prefix(user: str) -> str:
    """Each user reads its own inboxes only."""
    return f"_INBOX_{user}" if user else "_INBOX"


class ConnectionSettings(Protocol):
    """Where NATS is, and as whom to connect. ``nats_url`` may name several servers, with commas."""

    @property
    def nats_url(self) -> str: ...
    @property
    def nats_user(self) -> str: ...
    @property
    def nats_password(self) -> str: ...
    @property
    def nats_ca(self) -> str: ...
    @property
    def drain_seconds(self) -> float: ...


class BadCertificate(ValueError):
    """The file of trusted certificates cannot be used; the text says why."""


def make_broker(settings: ConnectionSettings, service: str, link: ConnectionState) -> NatsBroker:
    """A FastStream broker that is not connected yet. Raises `BadCertificate`."""
    # Commands want the rest of this file, and not the time that importing FastStream takes.
    from faststream.nats import NatsBroker
    from faststream.security import BaseSecurity, SASLPlaintext

    try:
        tls = ssl.create_default_context(cafile=settings.nats_ca) if settings.nats_ca else None
    except OSError as error:  # ssl.SSLError is one
        raise BadCertificate(f"{settings.nats_ca} is no certificate file: {error}.") from error
    security: BaseSecurity | None = None
    if settings.nats_user:
        security = SASLPlaintext(
            username=settings.nats_user,
            password=settings.nats_password,
            ssl_context=tls,
            use_ssl=tls is not None,
        )
    elif tls is not None:
        security = BaseSecurity(ssl_context=tls, use_ssl=True)
    return NatsBroker(
        [url.strip() for url in settings.nats_url.split(",")],
        name=f"switchboard-{service}",
        security=security,
        inbox_prefix=inbox_prefix(settings.nats_user),
        connect_timeout=2,
        reconnect_time_wait=1,
        max_reconnect_attempts=-1,
        ping_interval=PING_SECONDS,
        max_outstanding_pings=PINGS,
        pending_size=8 * 1024 * 1024,
        error_cb=link.error,
        disconnected_cb=link.disconnected,
        reconnected_cb=link.connected,
        apply_types=False,
        logger=None,
        graceful_timeout=settings.drain_seconds,
    )


async def connect(broker: NatsBroker, link: ConnectionState) -> Client:
    """Connect, however long NATS stays away."""
    while True:
        try:
            client = await broker.connect()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # whatever keeps us out, the way on is to try again
            await link.error(error)
            await asyncio.sleep(1.0)
            continue
        await link.connected()
        return client


async def disconnect(broker: NatsBroker) -> None:
    """Let go of NATS in an orderly way, or at all: while it is away there is nothing to be orderly with."""
    with contextlib.suppress(Exception):
        await broker.stop()
