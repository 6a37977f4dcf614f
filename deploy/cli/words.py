"""The log for a command: its words opened where the master key is at hand."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from nats.aio.client import Client

from deploy.cli.connection import connected
from deploy.cli.settings import Local, password_variable
from deploy.local.embedded import MASTER_KEY
from shared.eventlog.connection import ConnectionState
from shared.eventlog.keyring import Keyring
from shared.eventlog.master_keys import BadMasterKey, KeyringError, MasterKeys
from shared.service.chat_log import ChatLog, open_log
from shared.service.conversation_keys import keys_of
from shared.service.health import Health

#: Whose user a command is that reads words: it may read keys, and can use none.
READER_OF_WORDS = "operator"


@contextlib.asynccontextmanager
async def opened_log(
    settings: Local, environment: Mapping[str, str], *, patience: int = 1, link: ConnectionState | None = None
) -> AsyncIterator[ChatLog]:
    """The log, to be read. Without the right master key its sealed words stay sealed.

    Raises `ConnectionFailed`, `FolderError`, `LogError` or, for a master key that is none, `BadMasterKey`.
    """
    masters = masters_at_hand(settings)
    variable = password_variable(READER_OF_WORDS)
    may = not settings.nats_url or settings.nats_password or environment.get(variable)
    role = READER_OF_WORDS if masters is not None and may else "reader"
    async with connected(settings, environment, role, patience=patience, link=link) as client:
        yield await log_with(client, masters, link)


async def log_with(
    client: Client, masters: MasterKeys | None, link: ConnectionState | None = None
) -> ChatLog:
    """The log over this connection. Where the master key opens no keys, a line says why."""
    if masters is not None:
        health = Health("switchboard")
        try:
            await Keyring(client, masters, lambda id, secret: None).check()
        except KeyringError as error:
            print(f"Sealed words stay sealed: {error}.", file=sys.stderr)
        else:
            return await open_log(client, keys_of(client, masters, link or ConnectionState(health), health))
    return await open_log(client)


def known_masters(settings: Local) -> MasterKeys:
    """The master keys that the settings or the data folder have. Raises `BadMasterKey`."""
    masters = masters_at_hand(settings)
    if masters is not None:
        return masters
    if settings.nats_url:
        raise BadMasterKey("SWITCHBOARD_MASTER_KEY is not set: the key with which the services were started.")
    raise BadMasterKey(
        f"There is no {_file(settings)}: put it back from a copy. Without it no sealed word can be read."
    )


def masters_at_hand(settings: Local) -> MasterKeys | None:
    """The same; None where there are none."""
    if settings.master_key:
        return MasterKeys.parse(settings.master_key)
    if settings.nats_url or not (path := _file(settings)).exists():
        return None
    return MasterKeys.parse(path.read_text())


def _file(settings: Local) -> Path:
    """Where `switchboard run` keeps the master key."""
    return Path(settings.data).absolute() / MASTER_KEY
