"""`switchboard erase`: conversations that are to be forgotten, and what they hold with them."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
import time
from collections.abc import Mapping
from typing import Final, NamedTuple

from nats.aio.client import Client

from deploy.cli import history
from deploy.cli.connection import connected
from deploy.cli.progress import ProgressLine
from deploy.cli.settings import Local
from deploy.cli.words import known_masters, log_with
from services.operator.erasure import age_seconds, destroy_keys, erased
from shared.contract import sealing
from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.entry import Entry
from shared.eventlog.command import execute
from shared.eventlog.key_blocks import KeyBlocks
from shared.service.chat_log import ChatLog
from shared.service.settings import environment, load
from shared.timestamps import format_time

#: Conversations that are shown before they are erased; of more it is said how many there are.
SHOWN: Final = 20


class EraseError(ValueError):
    """Nothing was erased; the text says what is wrong, and what would be right."""


class Found(NamedTuple):
    """A conversation with something to forget. ``open``: some of its words were never sealed."""

    state: Conversation
    updated: int
    entries: int
    open: bool


class Wanted(NamedTuple):
    """Which conversations are meant."""

    names: frozenset[str]
    attributes: tuple[tuple[str, str], ...]
    before: int | None  # the last entry must be older (nanoseconds since 1970)

    def matches(self, name: str, found: Found) -> bool:
        if self.names and name not in self.names:
            return False
        if self.before is not None and found.updated >= self.before:
            return False
        return all(value in _values(found.state, attribute) for attribute, value in self.attributes)


def erase(options: argparse.Namespace) -> int:
    """Erase what the options name. Raises `EraseError`, `ConnectionFailed`, `LogError` and `KeyringError`."""
    wanted = _wanted(options)
    env = environment()
    settings = load(Local, env)
    return asyncio.run(_erase(settings, env, wanted, options))


async def _erase(settings: Local, env: Mapping[str, str], wanted: Wanted, options: argparse.Namespace) -> int:
    masters = known_masters(settings)
    async with connected(settings, env, "eraser") as client:
        log = await log_with(client, masters)
        found = await _find(log, wanted)
        _show(found, wanted)
        if options.dry_run or not found:
            return 1 if wanted.names - found.keys() else 0
        if not options.yes and not _agreed(len(found)):
            print("Nothing was erased.")
            return 1
        blocks, progress, keys = KeyBlocks(client, masters), ProgressLine("Erasing"), 0
        await blocks.newest()  # nothing is said to be erased whose keys could not be destroyed
        try:
            for number, name in enumerate(found, 1):
                keys += await _forget(log, client, blocks, name, options)
                progress(number, len(found))
        finally:
            progress.end()
    print(f"{_conversations(len(found))} erased, {keys} key{'s' * (keys != 1)} destroyed.")
    if left := sum(each.open for each in found.values()):
        print(
            f"{_conversations(left)} had words from before sealing. Nobody is shown them any more, and they "
            "stand in the log until `switchboard reshard` copies it: docs/privacy.md."
        )
    return 1 if wanted.names - found.keys() else 0


async def _forget(
    log: ChatLog, client: Client, blocks: KeyBlocks, name: str, options: argparse.Namespace
) -> int:
    """Say that it is erased, then destroy its keys; how many. A run that was cut short is done again."""
    source = _NewestFold(log, name)

    async def decide(state: Conversation) -> Entry | None:
        return erased(state, options.by or getpass.getuser(), options.why or "")

    async def append(entry: Entry, expect: int | None) -> int:
        return await log.append(name, "eraser", entry, expect)

    done = await execute(source, append, "", decide)
    before = done.sequence or source.erased_at
    return await destroy_keys(log, blocks, name, before) if before else 0


class _NewestFold:
    """A conversation's fold, read anew each time; ``erased_at`` is where it was erased last."""

    def __init__(self, log: ChatLog, name: str) -> None:
        self._log = log
        self._name = name
        self.erased_at = 0

    async def known(self) -> None:
        return None

    async def newest(self) -> Conversation:
        state = NEW
        async for window in self._log.entries(self._name):
            for entry in window:
                state = evolve(state, entry)
                if entry.author == "eraser":
                    self.erased_at = entry.position
        return state

    def expectation(self, state: Conversation) -> int:
        return state.position

    def holds(self, state: Conversation, _: str) -> bool:
        return False  # whether there is something to erase, the state says


async def _find(log: ChatLog, wanted: Wanted) -> dict[str, Found]:
    """What is meant and has something to forget: begun and not erased, or erased and not to the end."""
    found: dict[str, Found] = {}
    async for entry in history.recorded(log, "Reading the log"):
        before = found.get(entry.conversation)
        state, entries, open = (before.state, before.entries, before.open) if before else (NEW, 0, False)
        # What a flow says to everybody stands in the open: of the bot's entries none tells.
        bare = entry.author != "bot" and not entry.key and bool(sealing.take_out(entry.facts)[1])
        open = open or bare
        noted = entry.author == "desk" and before is not None  # a note keeps nothing for longer
        updated = before.updated if before is not None and noted else entry.time
        found[entry.conversation] = Found(evolve(state, entry), updated, entries + 1, open)
    unfinished = wanted.names  # asked for by name: what was cut short is ended
    return {
        name: each
        for name, each in found.items()
        if (each.state.visit.started or name in unfinished) and wanted.matches(name, each)
    }


def _values(state: Conversation, attribute: str) -> set[str]:
    """What a conversation holds under a name: a variable of its flow, or who the visitor says to be."""
    values = {str(state.progress.variables[attribute])} if attribute in state.progress.variables else set()
    if attribute == "user":
        values |= {state.visit.begun.user, state.engagement.user if state.engagement is not None else ""}
    return values - {""}


def _wanted(options: argparse.Namespace) -> Wanted:
    """Raises `EraseError`."""
    attributes = []
    for given in options.attribute or ():
        name, mark, value = given.partition("=")
        if not mark or not name or not value:
            raise EraseError(f"--attribute {given}: write NAME=VALUE, such as email=ann@example.com.")
        attributes.append((name, value))
    before = None
    if options.older_than is not None:
        try:
            before = time.time_ns() - age_seconds(options.older_than) * 1_000_000_000
        except ValueError as error:
            raise EraseError(f"--older-than {error}.") from error
    if not (options.conversation or attributes or before is not None):
        raise EraseError("Say what to erase: conversations, --attribute NAME=VALUE or --older-than 400d.")
    return Wanted(frozenset(options.conversation), tuple(attributes), before)


def _show(found: Mapping[str, Found], wanted: Wanted) -> None:
    for name in sorted(wanted.names - found.keys()):
        print(f"{name}: there is no such conversation.", file=sys.stderr)
    for name, each in list(found.items())[:SHOWN]:
        state = "" if each.state.visit.started else ", erased already: its keys are looked at again"
        print(f"{name}  {each.entries} entries, the last at {format_time(each.updated)}{state}")
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN:,} more")
    if not found:
        print("There is nothing to erase.")


def _agreed(count: int) -> bool:
    """Whether whoever sits there says yes. Raises `EraseError` where nobody does."""
    if not sys.stdin.isatty():
        raise EraseError("Nobody is there to agree: add --yes, or --dry-run to look only.")
    return input(f"Erase {_conversations(count)} for ever? [y/N] ").strip().lower() in ("y", "yes")


def _conversations(count: int) -> str:
    return f"{count:,} conversation{'s' * (count != 1)}"
