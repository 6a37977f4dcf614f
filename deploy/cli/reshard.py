"""`switchboard reshard`: the log in another number of streams."""

from __future__ import annotations

import argparse
import asyncio

from deploy import resharding
from deploy.cli.connection import connected
from deploy.cli.progress import ProgressLine
from deploy.cli.settings import Local
from deploy.cli.words import known_masters
from deploy.provisioning import PREVIOUS
from shared.service.settings import environment, load


def reshard(options: argparse.Namespace) -> int:
    """Copy the log, or remove what an earlier copy kept.

    Raises `ConnectionFailed` and what `deploy.resharding` raises.
    """
    env = environment()
    settings = load(Local, env)
    shown = _Shown()

    async def command() -> bool:
        async with connected(settings, env, "admin") as client:
            if options.drop_old:
                removed = await resharding.drop_old(client)
                print(f"Removed: {', '.join(removed) or 'nothing, there was none'}.")
                return False
            return await resharding.reshard(
                client,
                options.streams,
                lambda: known_masters(settings),
                settings.log_max_bytes,
                settings.log_replicas,
                shown.tell,
                shown.progress,
            )

    try:
        done = asyncio.run(command())
    finally:
        shown.end()
    if done:
        print(
            f"The old streams are {PREVIOUS}-0 ...: `switchboard reshard --drop-old` removes them for good."
        )
        print("Start the services now. Where SWITCHBOARD_LOG_STREAMS is set, set it to the new number first.")
    elif not options.drop_old:
        print(f"The log has {options.streams} stream(s) already.")
    return 0


class _Shown:
    """What is being done, a line for each step, and how far it is."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: ProgressLine | None = None

    def tell(self, line: str) -> None:
        self.end()
        print(line, flush=True)

    def progress(self, what: str, done: int, total: int) -> None:
        if self._bar is None or what != self._what:
            self.end()
            self._what, self._bar = what, ProgressLine(what)
        self._bar(done, total)

    def end(self) -> None:
        if self._bar is not None:
            self._bar.end()
            self._bar = None
