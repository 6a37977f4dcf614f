"""A command's connection to NATS: the one it is told of, the one that runs here, or one for a moment."""

from __future__ import annotations

import contextlib
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import nats
import nats.errors
from nats.aio.client import Client

from deploy.cli.settings import Local, password_variable
from deploy.local.embedded import EmbeddedNats, passwords
from deploy.local.ports import LOOPBACK, in_use
from deploy.local.processes import FolderError, hold
from shared.eventlog.connection import ConnectionState, inbox_prefix

#: How long `setup` waits for a NATS that is not there yet, and `log --follow` for one that went (seconds).
PATIENCE = 60


class ConnectionFailed(Exception):
    """NATS cannot be reached; the text says which and why."""


@contextlib.asynccontextmanager
async def connected(
    settings: Local,
    environment: Mapping[str, str],
    role: str,
    *,
    patience: int = 1,
    link: ConnectionState | None = None,
) -> AsyncIterator[Client]:
    """A connection as the user ``role``. Raises `ConnectionFailed`, `FolderError` or `ServerError`.

    Without SWITCHBOARD_NATS_URL it goes to the embedded server; where none runs, one is started over
    the data folder for as long as the connection lasts. ``patience`` (seconds) is for a server that is
    away, now or later; ``link`` is told of reconnects.
    """
    with contextlib.ExitStack() as stack:
        if settings.nats_url:
            url, user = settings.nats_url, settings.nats_user or role
            password = settings.nats_password or environment.get(password_variable(user), "")
        else:
            data = Path(settings.data).absolute()
            if not (data / "passwords.json").exists():
                raise FolderError(
                    f"There is no store in {data}: `switchboard run` makes one, SWITCHBOARD_DATA names one."
                )
            url, user, password = f"nats://{LOOPBACK}:{settings.nats_port}", role, passwords(data)[role]
            if not in_use(LOOPBACK, settings.nats_port):
                stack.enter_context(hold(data))
                server = EmbeddedNats(data, 0, settings.nats_sync, settings.nats_max_store)
                server.start()
                stack.callback(server.stop)
                url = server.url()
        client = await _connect(settings, url, user, password, patience, link)
        try:
            yield client
        finally:
            await client.close()


async def _connect(
    settings: Local, url: str, user: str, password: str, patience: int, link: ConnectionState | None
) -> Client:
    problems: list[Exception] = []

    async def remember(error: Exception) -> None:
        if not problems and patience > 1:
            print(f"Waiting for NATS at {url}: {_words(error)}", file=sys.stderr)
        problems.append(error)
        if link is not None:
            await link.error(error)

    async def reconnected() -> None:
        if link is not None:
            await link.connected()

    try:
        client = await nats.connect(
            url.split(","),
            user=user,
            password=password,
            inbox_prefix=inbox_prefix(user).encode(),
            name="switchboard-command",
            tls=ssl.create_default_context(cafile=settings.nats_ca) if settings.nats_ca else None,
            connect_timeout=5,
            reconnect_time_wait=1,
            max_reconnect_attempts=patience,
            error_cb=remember,
            reconnected_cb=reconnected,
        )
    except (nats.errors.Error, OSError, TimeoutError) as error:
        cause = problems[-1] if problems else error
        raise ConnectionFailed(f"NATS at {url} cannot be used as {user}: {_words(cause)}.") from error
    await reconnected()
    return client


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    return str(error).removeprefix("nats: ").strip("'") or type(error).__name__
