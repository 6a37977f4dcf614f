"""`switchboard flow publish`, `list`, `share`, `rollback`, `withdraw`: what new conversations begin with."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from nats.aio.client import Client

from deploy.cli import history
from deploy.cli.connection import connected
from deploy.cli.settings import Local
from services.workflow import releases
from services.workflow.domain import releases as rules
from services.workflow.domain.releases import Release, ReleaseError
from services.workflow.flow_files import read_flow
from shared.service.chat_log import ChatLog, flow_store, open_log
from shared.service.settings import environment, load
from shared.timestamps import format_time

#: How much of a version is shown; a beginning names it as long as it is the only one.
SHOWN = 8

T = TypeVar("T")


def publish(options: argparse.Namespace) -> int:
    flow = read_flow(Path(options.file), options.name)
    name = check_name(flow.name)
    share = options.share

    async def command(client: Client) -> Release:
        log = await open_log(client)
        await flow_store(log).put(flow.version, flow.content)
        return await _change(
            client, name, lambda release, at, by: rules.published(release, flow.version, share, at, by)
        )

    release = as_workflow(command)
    print(f"{name} {flow.version[:SHOWN]} is published. {_says(name, release)}")
    return 0


def share(options: argparse.Namespace) -> int:
    name = check_name(options.name)

    async def command(client: Client) -> Release:
        return await _change(
            client, name, lambda release, at, by: rules.shared(release, options.share, at, by)
        )

    print(_says(name, as_workflow(command)))
    return 0


def rollback(options: argparse.Namespace) -> int:
    name = check_name(options.name)

    async def command(client: Client) -> Release:
        log = await open_log(client)
        kept = await releases.release_of(client, name)
        version = ""
        if options.version:
            version = await known_version(log, options.version, rules.versions(kept.release))
        return await _change(
            client, name, lambda release, at, by: rules.rolled_back(release, version, at, by)
        )

    print(_says(name, as_workflow(command)))
    return 0


def withdraw(options: argparse.Namespace) -> int:
    name = check_name(options.name)

    async def command(client: Client) -> Release:
        return await _change(client, name, rules.withdrawn)

    print(_says(name, as_workflow(command)))
    return 0


def listed(options: argparse.Namespace) -> int:
    async def command(client: Client) -> tuple[dict[str, Release], Counter[tuple[str, str]]]:
        released = await releases.all_releases(client)
        folds = await history.folds(await open_log(client), history.live)
        return released, Counter((state.progress.flow, state.progress.version) for state in folds.values())

    released, live = as_workflow(command)
    rows = _rows(released, live)
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return 0
    if not rows:
        print("No flow is published, and no conversation is live. The workflow's files are what begins.")
        return 0
    print(f"{'FLOW':<20} {'VERSION':<10} {'NEW':>6} {'LIVE':>7}  SINCE")
    for row in rows:
        share = f"{row.share} %" if row.share else "-"
        since = f"{row.since[:19].replace('T', ' ')} UTC, by {row.by}" if row.since else ""
        version = row.version[:SHOWN] or "(file)"
        print(f"{row.flow:<20} {version:<10} {share:>6} {row.live:>7}  {since}".rstrip())
    return 0


class ReleaseRow(msgspec.Struct, frozen=True):
    """One version of a flow. ``share``: percent of the new conversations; ``live`` ones stand on it."""

    flow: str
    version: str
    share: int
    live: int
    since: str = ""
    by: str = ""


def _rows(released: dict[str, Release], live: Counter[tuple[str, str]]) -> list[ReleaseRow]:
    rows: dict[tuple[str, str], ReleaseRow] = {}
    for name, release in sorted(released.items()):
        shares = {release.version: 100 - release.share if release.candidate else 100}
        if release.candidate:
            shares[release.candidate] = release.share
        for version, share in shares.items():
            since = next(
                (step for step in reversed(release.history) if version in (step.version, step.candidate)),
                None,
            )
            count = live[name, version] if version else 0
            at, by = (since.at, since.by) if since else ("", "")
            rows[name, version] = ReleaseRow(name, version, share, count, at, by)
    for (name, version), count in sorted(live.items()):
        rows.setdefault((name, version), ReleaseRow(name, version, 0, count))
    return sorted(rows.values(), key=lambda row: (row.flow, -row.share))


async def known_version(log: ChatLog, beginning: str, versions: tuple[str, ...]) -> str:
    """The one version that begins so. Raises `ReleaseError`."""
    found = [version for version in versions if version.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    if not found and len(beginning) == 32 and await flow_store(log).get(beginning) is not None:
        return beginning
    known = ", ".join(version[:SHOWN] for version in versions) or "none yet"
    reason = "begins more than one version" if found else "is no version of this flow"
    raise ReleaseError(f"{beginning} {reason}; there are: {known}.")


def check_name(name: str) -> str:
    if not rules.is_name(name):
        raise ReleaseError(
            f"{name!r} cannot be a flow's name: letters, digits, - and _ only, at most 64. Set --name."
        )
    return name


async def _change(client: Client, name: str, change: Callable[[Release, str, str], Release]) -> Release:
    """Read, change, keep; told if somebody else does the same at this moment. Raises `LogError`."""
    kept = await releases.release_of(client, name)
    changed = change(kept.release, format_time(time.time_ns()), _who())
    if changed != kept.release:
        await releases.keep(client, name, changed, kept.revision)
    return changed


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no name for this user id, as in some containers
        return "unknown"


def _says(name: str, release: Release) -> str:
    version = f"version {release.version[:SHOWN]}" if release.version else "the workflow's own file"
    if release.candidate is None:
        return f"New conversations of {name} begin with {version}."
    return (
        f"Of the new conversations of {name}, {release.share} % begin with version"
        f" {release.candidate[:SHOWN]}, the others with {version}."
    )


def as_workflow(command: Callable[[Client], Awaitable[T]]) -> T:
    """Run a command as the workflow's user, who may change releases and write as the bot."""
    env = environment()
    settings = load(Local, env)

    async def run() -> T:
        async with connected(settings, env, "workflow") as client:
            return await command(client)

    return asyncio.run(run())
