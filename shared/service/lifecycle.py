"""The skeleton that all services share: settings, logs, uvicorn, health, and an orderly end.

On SIGTERM or SIGINT: readiness goes off, uvicorn closes what is open (WebSockets with 1012), the
service finishes the work in hand, and the process leaves with exit code 0.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Protocol, TypeVar

import structlog
import uvicorn

from shared.eventlog.connection import BadCertificate
from shared.service import logging, settings
from shared.service.health import VERSION, Health, Receive, Scope, Send, respond, settle
from shared.service.http_hardening import punctual
from shared.service.settings import Common
from shared.service.sockets import CannotListen, listen
from shared.service.tasks import end_others
from shared.service.websocket_hardening import BoundedWebSocket

log = structlog.get_logger()

#: uvloop takes one new connection from each listening socket a round, however many wait. With one
#: socket, visitors who arrive at a busy moment would wait behind the work of all who are there.
ACCEPTS = 16
#: How often an open WebSocket is pinged, unless a service's settings say otherwise.
PING_SECONDS = 20.0


class Application(Protocol):
    """What a service's ``app.py`` builds. Nothing connects before `start`."""

    async def start(self) -> None:
        """Begin to work in the background; return at once, even while NATS is down."""

    async def stop(self) -> None:
        """Finish the work in hand and let go of everything."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request or WebSocket."""


S = TypeVar("S", bound=Common)
A = TypeVar("A", bound=Application)


def main(
    name: str,
    kind: type[S],
    port: Callable[[S], int],
    build: Callable[[S, Health], A],
    largest_frame: int = 64 * 1024,
    ping: Callable[[S], float] = lambda settings: PING_SECONDS,
    turned_away: Callable[[A, str], int] = lambda app, host: 0,
) -> None:
    """Run a service until it is told to stop: the whole of a ``__main__``."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}", description=f"Switchboard's {name}.")
    parser.add_argument("--version", action="version", version=f"switchboard {name} {VERSION}")
    parser.parse_args()
    try:
        values = settings.load(kind)
    except settings.SettingError as error:
        settings.fail(error)
        return
    logging.configure(name, values.log_level, values.log_format)
    health = Health(name)
    try:
        app = build(values, health)
    except settings.SettingError as error:
        settings.fail(error)
        return
    except BadCertificate as error:
        settings.fail(settings.SettingError(f"{settings.variable('nats_ca')}: {error}"))
        return
    try:
        listener = listen(values.host, port(values), settings.variable(f"{name}_port"))
        internal = _internal(values)
    except CannotListen as error:
        settings.fail(error)
        return
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn_run = serve(
            *(app, health, values, listener, largest_frame, ping(values)),
            functools.partial(turned_away, app),
            internal,
        )
        if sys.platform == "win32":
            asyncio.run(uvicorn_run)
        else:
            import uvloop

            uvloop.run(uvicorn_run)


async def serve(
    app: Application,
    health: Health,
    values: Common,
    listener: socket.socket,
    largest_frame: int,
    ping_seconds: float = PING_SECONDS,
    turned_away: Callable[[str], int] = lambda host: 0,
    internal: socket.socket | None = None,
) -> None:
    """Serve ``app`` with its health on ``listener`` until SIGTERM or SIGINT.

    With an ``internal`` socket its health is there, and ``listener`` has nothing of it.

    A WebSocket is pinged every ``ping_seconds``, and closed when no answer comes within the same time.
    ``turned_away`` says of a peer's address when it may open one again (seconds), 0 for at once.
    """

    async def edge(scope: Scope, receive: Receive, send: Send) -> None:
        if internal is None and await health.answer(scope, send):
            return
        if scope["type"] == "http":
            send = health.counted(send)
        try:
            await app(scope, receive, send)
        except Exception:
            # No trace goes to a stranger: uvicorn answers 500 or closes with 1011 by itself.
            log.exception("request_failed", type=scope["type"])
            if scope["type"] == "http":
                with contextlib.suppress(RuntimeError):
                    await respond(send, 500, b'{"error":"internal error"}')
            else:
                with contextlib.suppress(RuntimeError):
                    await send({"type": "websocket.close", "code": 1011})

    config = uvicorn.Config(
        edge,
        http=punctual(values.handshake_seconds, turned_away=turned_away),
        ws=BoundedWebSocket,
        ws_max_size=largest_frame,
        ws_ping_interval=ping_seconds,
        ws_ping_timeout=ping_seconds,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(values.trusted_proxies),
        forwarded_allow_ips=list(values.trusted_proxies),
        timeout_graceful_shutdown=int(values.drain_seconds) or 1,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if not health.draining:
            log.info("draining")
            health.drain()
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop)
    try:
        async with _health_apart(health, values, internal):
            await app.start()
            settle()
            log.info("serving", address="{}:{}".format(*listener.getsockname()[:2]), version=VERSION)
            try:
                await server.serve([listener, *(listener.dup() for _ in range(ACCEPTS - 1))])
            finally:
                await app.stop()
    finally:
        await end_others()
    log.info("stopped")


def _internal(values: Common) -> socket.socket | None:
    """Where health and metrics are, apart from all else; None: they are not. Raises `CannotListen`."""
    if not values.internal_port:
        return None
    host = values.internal_host or values.host
    return listen(host, values.internal_port, settings.variable("internal_port"))


@contextlib.asynccontextmanager
async def _health_apart(
    health: Health, values: Common, internal: socket.socket | None
) -> AsyncIterator[None]:
    """Health and metrics on ``internal``, before the service begins and until it has ended."""
    if internal is None:
        yield
        return

    async def edge(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not await health.answer(scope, send):
            await respond(send, 404, b'{"error":"/healthz, /readyz and /metrics are here, nothing else"}')

    config = uvicorn.Config(
        edge,
        http=punctual(values.handshake_seconds),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([internal]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to us: it would raise them again at the end, and exit with 143."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
