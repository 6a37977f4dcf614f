"""`switchboard desk`: the settings of the operators' desk (docs/desk.md)."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from nats.js.errors import KeyNotFoundError, NotFoundError

from deploy.cli import accounts
from deploy.cli.connection import connected
from deploy.cli.settings import Local
from shared.contract.desk_settings import DeskSettings, SettingsError, read_settings
from shared.contract.subjects import DESK_SETTINGS, DESK_STATE
from shared.service.settings import environment, load

_NO_PLACE = "There is no place for the desk's settings: run `switchboard setup`."


class DeskCommandError(Exception):
    """The desk's settings cannot be read or written; the text says why."""


def check(options: argparse.Namespace) -> int:
    """Say what is wrong in a file. Raises `DeskCommandError`."""
    settings, _ = _read(options.file)
    print(f"{options.file} is valid: {_said(settings)}.")
    return 0


def set_(options: argparse.Namespace) -> int:
    """Let the settings of a file hold. Raises `DeskCommandError` or `ConnectionFailed`."""
    settings, document = _read(options.file)
    env = environment()

    async def command() -> list[str]:
        """The accounts that it names and that there are not."""
        async with connected(load(Local, env), env, "admin") as client:
            try:
                await (await client.jetstream().key_value(DESK_STATE)).put(DESK_SETTINGS, document)
            except NotFoundError:
                raise DeskCommandError(_NO_PLACE) from None
            known = {account.name for account in await accounts.accounts(client)}
        return sorted(settings.named - known)

    unknown = asyncio.run(command())
    if unknown:
        print(
            f"There is no account {', '.join(unknown)} (yet): `switchboard operator add` makes one.",
            file=sys.stderr,
        )
    print(f"The settings of {options.file} hold within seconds: {_said(settings)}.")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print the settings that hold, as they were written. Raises `DeskCommandError` or `ConnectionFailed`."""
    env = environment()

    async def command() -> bytes:
        async with connected(load(Local, env), env, "admin") as client:
            try:
                bucket = await client.jetstream().key_value(DESK_STATE)
                return (await bucket.get(DESK_SETTINGS)).value or b""
            except KeyNotFoundError:
                return b""
            except NotFoundError:
                raise DeskCommandError(_NO_PLACE) from None

    document = asyncio.run(command())
    if not document:
        print("There are no settings; `switchboard desk set FILE` makes some.", file=sys.stderr)
        return 1
    print(document.decode().rstrip("\n"))
    return 0


def _read(file: str) -> tuple[DeskSettings, bytes]:
    try:
        document = Path(file).read_bytes()
    except OSError as error:
        raise DeskCommandError(f"{file} cannot be read: {error.strerror}") from error
    try:
        return read_settings(document), document
    except SettingsError as error:
        raise DeskCommandError("\n".join(f"{file}: {problem}" for problem in error.problems)) from error


def _said(settings: DeskSettings) -> str:
    queues = len(settings.queues)
    return f"{queues} queue{'' if queues == 1 else 's'}"
