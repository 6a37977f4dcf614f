"""`switchboard keys`: the keys of sealed words, and the master key that wraps them."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.cli.connection import connected
from deploy.cli.progress import ProgressLine
from deploy.cli.second_factors import broken_second, wrap_second
from deploy.cli.settings import Local
from deploy.cli.words import known_masters
from deploy.local.embedded import MASTER_KEY, write_secret
from deploy.local.ports import LOOPBACK, in_use
from shared.eventlog.key_blocks import BLOCK_KEYS, Audit, KeyBlocks
from shared.eventlog.master_keys import KeyringError, MasterKeys, new_master_key
from shared.service.settings import environment, load


def rotate(options: argparse.Namespace) -> int:
    """Wrap all keys by the newest master key. Raises `ConnectionFailed` or `KeyringError`.

    To be run again where it was cut short.
    """
    env = environment()
    settings = load(Local, env)
    path = None if settings.master_key else _own_file(settings)
    if path is None:
        masters = known_masters(settings)
    else:
        if in_use(LOOPBACK, settings.nats_port):
            raise KeyringError(
                "Switchboard runs over this data folder, and its services hold on to the master key they "
                "began with: stop it, rotate, and start it again."
            )
        lines = path.read_text().split()
        if len(lines) == 1:  # else a rotation was cut short, and this one ends it
            lines.insert(0, new_master_key())
            write_secret(path, "\n".join(lines) + "\n")
        masters = MasterKeys.parse(" ".join(lines))
    asyncio.run(_rotate(settings, env, masters))
    if path is not None:
        write_secret(path, lines[0] + "\n")
    print(f"All keys are wrapped by the master key {masters.id}; those before it open nothing any more.")
    return 0


async def _rotate(settings: Local, env: Mapping[str, str], masters: MasterKeys) -> None:
    async with connected(settings, env, "admin") as client:
        blocks = KeyBlocks(client, masters)
        end = await blocks.end()
        progress = ProgressLine("Wrapping the keys")
        try:
            async for position in blocks.rotate():
                progress(min(position, end), end)
        finally:
            progress.end()
        await wrap_second(client, masters)


def check(options: argparse.Namespace) -> int:
    """Open every key, and say how many there are; 1 if one cannot be opened, or is left over.

    Raises `ConnectionFailed` or `KeyringError`.
    """
    env = environment()
    settings = load(Local, env)
    masters = known_masters(settings)

    async def command() -> tuple[Audit, list[str]]:
        async with connected(settings, env, "admin") as client:
            return await KeyBlocks(client, masters).audit(), await broken_second(client, masters)

    audit, broken = asyncio.run(command())
    print(f"{audit.blocks} blocks of {BLOCK_KEYS} keys; {audit.destroyed} keys are destroyed.")
    print(f"The master key is {masters.id}.")
    if audit.older:
        print(f"{audit.older} blocks are wrapped by one before it: run `switchboard keys rotate`.")
    if audit.leftover:
        print(f"{audit.leftover} blocks are there twice, since something was cut short: the same mends it.")
    for why in (*audit.broken, *broken):
        print(why, file=sys.stderr)
    return 1 if audit.older or audit.leftover or audit.broken or broken else 0


def _own_file(settings: Local) -> Path | None:
    """Where `switchboard run` keeps the master key; None where NATS is another's. Raises `BadMasterKey`."""
    if settings.nats_url:
        return None
    known_masters(settings)
    return Path(settings.data).absolute() / MASTER_KEY
