"""`switchboard flow migrate`: moves live conversations to another version of their flow."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec
from nats.aio.client import Client

from deploy.cli import history
from deploy.cli.flow_releases import SHOWN, as_workflow, check_name, known_version
from deploy.cli.progress import ProgressLine
from deploy.cli.settings import Local
from deploy.cli.words import known_masters, log_with
from services.workflow import releases
from services.workflow.domain import releases as rules
from services.workflow.domain.migration import NoPlace, migrated, unknown_states
from services.workflow.domain.releases import ReleaseError
from services.workflow.flow_files import BrokenFlow, read_flow
from services.workflow.timers import Schedules
from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.entry import Entry, EntryTooLarge
from shared.eventlog.command import execute
from shared.eventlog.errors import Conflict, Unknown
from shared.eventlog.master_keys import KeyringError
from shared.flow.effects import Moment
from shared.flow.language.flow import Flow, FlowError, parse
from shared.service.chat_log import ChatLog, flow_store
from shared.service.settings import environment, load

#: Conversations that are moved at once.
AT_ONCE = 32
#: How often one is tried again that goes on meanwhile, and the pause before it (seconds).
TRIES = 40
PAUSE_SECONDS = 0.25


class StuckConversation(msgspec.Struct, frozen=True):
    """A conversation that is not moved."""

    conversation: str
    state: str
    reason: str


class MigrationReport(msgspec.Struct):
    """What happened. ``moves``: how many went from where to where."""

    moved: int = 0
    moves: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    stuck: list[StuckConversation] = msgspec.field(default_factory=list)
    there: int = 0  # were on the new version already


def migrate(options: argparse.Namespace) -> int:
    name = check_name(options.name)
    places = _map(Path(options.map)) if options.map else {}
    masters = known_masters(load(Local, environment()))

    async def command(client: Client) -> tuple[Flow, MigrationReport, bool]:
        log = await log_with(client, masters)
        if log.keys is None:
            raise KeyringError("Nothing was moved: texts are written anew, and none is written in the open.")
        folds = await history.folds(log, lambda state: history.live(state) and state.progress.flow == name)
        new = await _target(client, log, name, options.to, folds)
        if wrong := unknown_states(places, new):
            raise ReleaseError(
                f"The map leads to states that the new version does not have: {', '.join(wrong)}."
            )
        stands = {each for state in folds.values() for each in (state.progress.place, *state.progress.stack)}
        if unused := sorted(place for place in places if place not in stands):
            print(f"Of the map, nobody stands at: {', '.join(unused)}.", file=sys.stderr)
        migration = Migration(log, name, new, places)
        plan = await migration.plan(folds)
        if options.dry_run or (plan.stuck and not options.only_mapped) or not plan.moved:
            return new, plan, False
        return new, await migration.run([each for each in folds if each not in migration.stuck]), True

    new, report, written = as_workflow(command)
    _tell(name, new, report, written)
    return 1 if report.stuck and not (options.only_mapped and written) else 0


class Migration:
    """Moves the conversations of one flow. ``stuck`` are those that a plan found no place for."""

    def __init__(self, log: ChatLog, name: str, new: Flow, places: Mapping[str, str]) -> None:
        self._log = log
        self._name = name
        self._new = new
        self._places = places
        self._flows: dict[str, Flow | None] = {new.version: new}
        self._schedules = Schedules(log)
        self.stuck: set[str] = set()

    async def plan(self, folds: Mapping[str, Conversation]) -> MigrationReport:
        """What would happen; nothing is written. Raises `Unreachable`."""
        report = MigrationReport()
        for conversation, state in folds.items():
            if state.progress.version == self._new.version:
                report.there += 1
                continue
            try:
                await self._entry(state)
                self._count(report, state)
            except NoPlace as error:
                report.stuck.append(StuckConversation(conversation, state.progress.place or "", str(error)))
                self.stuck.add(conversation)
        return report

    async def run(self, conversations: list[str]) -> MigrationReport:
        """Move them. Raises `LogError`; what was moved stays moved, and a second run does the rest."""
        await flow_store(self._log).put(self._new.version, self._new.content)
        report, places = MigrationReport(), asyncio.Semaphore(AT_ONCE)
        progress, done = ProgressLine("Moving conversations"), 0

        async def one(conversation: str) -> None:
            nonlocal done
            async with places:
                await self._move(conversation, report)
            done += 1
            progress(done, len(conversations))

        try:
            async with asyncio.TaskGroup() as group:
                for conversation in conversations:
                    group.create_task(one(conversation))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            progress.end()
        return report

    async def _move(self, conversation: str, report: MigrationReport) -> None:
        """Move one, on a state that nothing came after: who goes on meanwhile is looked at again."""
        moving = _Moving(self, self._log, conversation)
        for _ in range(TRIES):
            try:
                done = await execute(moving, moving.append, "", moving.decide)
            except MidTurn:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            except (Conflict, Unknown):
                continue
            except (NoPlace, EntryTooLarge) as error:
                place = moving.state.progress.place or ""
                report.stuck.append(StuckConversation(conversation, place, str(error)))
                return
            if done.repeated:
                report.there += 1
            elif done.sequence:
                self._count(report, moving.state)
                after = await moving.newest()
                if after.position == done.sequence and after.timers.armed:
                    await self._schedules.publish(conversation, after.timers.armed)
            return
        reason = "it is in the middle of a turn; run this again"
        report.stuck.append(StuckConversation(conversation, moving.state.progress.place or "", reason))

    def there(self, state: Conversation) -> bool:
        """Whether it is on the new version already."""
        return state.progress.version == self._new.version

    async def entry(self, state: Conversation) -> Entry | None:
        """What moves it; None for one that is not to be moved. Raises `MidTurn` and `NoPlace`."""
        if not history.live(state) or state.progress.flow != self._name:
            return None
        if state.inbox.unanswered:
            raise MidTurn
        return await self._entry(state)

    async def _entry(self, state: Conversation) -> Entry:
        old = await self._flow(state.progress.version)
        return migrated(state, old, self._new, self._places, Moment(time.time_ns()))

    async def _flow(self, version: str) -> Flow | None:
        if version not in self._flows:
            content = await flow_store(self._log).get(version)
            try:
                self._flows[version] = None if content is None else parse(content, self._name)
            except FlowError:
                self._flows[version] = None
        return self._flows[version]

    def _count(self, report: MigrationReport, state: Conversation) -> None:
        place = self._places.get(state.progress.place or "", state.progress.place or "")
        report.moved += 1
        report.moves[state.progress.place or "", place] += 1


class MidTurn(Exception):
    """An input waits for its outcome: the flow must not change under it."""


class _Moving:
    """One conversation, looked for anew each time. ``state`` is the newest that was found."""

    def __init__(self, migration: Migration, log: ChatLog, conversation: str) -> None:
        self._migration = migration
        self._log = log
        self._conversation = conversation
        self.state = NEW

    async def known(self) -> None:
        return None

    async def newest(self) -> Conversation:
        state = NEW
        async for window in self._log.entries(self._conversation):
            for recorded in window:
                if recorded.sealed and not recorded.erased:
                    raise NoPlace("its words cannot be read: `switchboard keys check` says why")
                state = evolve(state, recorded)
        self.state = state
        return state

    def expectation(self, state: Conversation) -> int:
        return state.position

    def holds(self, state: Conversation, _: str) -> bool:
        return self._migration.there(state)  # whoever moved it

    async def decide(self, state: Conversation) -> Entry | None:
        return await self._migration.entry(state)

    async def append(self, entry: Entry, expect: int | None) -> int:
        return await self._log.append(self._conversation, "bot", entry, expect=expect)


async def _target(
    client: Client, log: ChatLog, name: str, wanted: str, folds: Mapping[str, Conversation]
) -> Flow:
    """The version to move to: a file's, or one that is known by its beginning."""
    if Path(wanted).suffix == ".json" or Path(wanted).exists():
        return read_flow(Path(wanted), name)
    released = rules.versions((await releases.release_of(client, name)).release)
    live = [state.progress.version for state in folds.values()]
    version = await known_version(log, wanted, tuple(dict.fromkeys([*released, *live])))
    content = await flow_store(log).get(version)
    if content is None:
        raise ReleaseError(f"The content of version {version} is not there any more.")
    try:
        return parse(content, name)
    except FlowError as error:
        raise ReleaseError(f"Version {version} cannot be used by this program:\n{error}") from error


def _map(file: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except OSError as error:
        raise BrokenFlow([f"{file} cannot be read: {error.strerror}."]) from error
    except msgspec.DecodeError as error:
        remedy = 'write {"old state": "new state"}'
        raise BrokenFlow([f"{file} is no map of states ({error}); {remedy}."]) from error


def _tell(name: str, new: Flow, report: MigrationReport, written: bool) -> None:
    moved = "moved" if written else "to move"
    print(f"{name} to {new.version[:SHOWN]}: {_conversations(report.moved)} {moved}.")
    for (before, after), count in sorted(report.moves.items(), key=lambda item: -item[1]):
        print(f"  {count:>6}  {before}" + (f" -> {after}" if after != before else ""))
    if report.there:
        print(f"  {report.there:>6}  on that version already")
    if not report.stuck:
        return
    print(f"{_conversations(len(report.stuck))} without a place to go:")
    for each in sorted(report.stuck, key=lambda each: each.state):
        print(f"  {each.conversation}  {each.state}: {each.reason}")
    if not written:
        print("Nothing was moved. Let the map name a place for them, or take --only-mapped.")


def _conversations(count: int) -> str:
    return f"{count:,} conversation{'s' * (count != 1)}"
