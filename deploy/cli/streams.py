"""`switchboard setup` and `wipe`: what NATS holds for Switchboard."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from pathlib import Path

from deploy import provisioning
from deploy.cli.connection import PATIENCE, connected
from deploy.cli.settings import Local
from shared.service.settings import environment, load


def setup(options: argparse.Namespace) -> int:
    """Declare the streams. Raises `ConnectionFailed` or `DeclareError`."""
    env = environment()
    settings = load(Local, env)

    async def command() -> None:
        async with connected(settings, env, "admin", patience=PATIENCE) as client:
            await provisioning.declare(
                client, settings.log_max_bytes, settings.log_replicas, settings.log_streams or None
            )
            if options.new_epoch:
                await provisioning.new_epoch(client)

    asyncio.run(command())
    print("The streams are declared." + (" The epoch is new." if options.new_epoch else ""))
    return 0


def wipe(options: argparse.Namespace) -> int:
    """Remove everything, if that is meant. Raises `ConnectionFailed` or `DeclareError`."""
    env = environment()
    settings = load(Local, env)
    where = settings.nats_url or Path(settings.data).absolute()
    if not options.yes:
        print(f"This removes every conversation, flow and operator's account of {where} for good.")
        with contextlib.suppress(EOFError):
            options.yes = input("Type yes to go on: ").strip() == "yes"
        if not options.yes:
            print("Nothing was removed.")
            return 1

    async def command() -> list[str]:
        async with connected(settings, env, "admin") as client:
            return await provisioning.wipe(client)

    removed = asyncio.run(command())
    print(f"Removed: {', '.join(removed) or 'nothing, there was none'}. `switchboard setup` declares anew.")
    return 0
