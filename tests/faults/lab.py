"""The laboratory: the real server, the real services, many clients, and the verdict of the checker."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import nats
from nats.aio.client import Client

from deploy.cli import accounts
from deploy.cli.reconcile import compared
from deploy.local.embedded import EmbeddedNats
from shared.contract.sealing import opened
from shared.eventlog.connection import inbox_prefix
from shared.eventlog.errors import LogError
from shared.service.chat_log import ChatLog
from tests.conftest import declare, log_of
from tests.faults.checker import (
    LATE,
    ClientTranscript,
    Line,
    Violation,
    bounded,
    check,
    same_state,
    silent,
    unanswered,
)
from tests.faults.external_checks import Break
from tests.faults.history import Deeds
from tests.faults.run import LawBroken, Trial, quantile
from tests.faults.workload import PATIENCE, Clerk, Guest, serve_until_done
from tests.processes import TOUR, Service

PASSWORD = "correct horse"
#: What a service may grow by in a scenario (MiB): caches fill, nothing else.
MAX_GROWTH = 150.0
#: The services that keep what they read in a file.
READ_MODELS = ("operator", "analytics")
#: How long an answer may be behind when nobody waits for it (seconds): some leases.
MAX_BEHIND = 30.0
#: How soon after its end the last client of something broken is back (seconds).
BACK_SECONDS = 3.0
#: Views of the desk that are compared before and after a replay.
VIEWS = ("queue", "live", "resolved")


class Lab:
    """A running Switchboard. ``nats_url`` leads the services elsewhere than straight to the server.

    ``settings`` are for all services. ``breaks`` are when something was broken, for those laws that allow
    for it.
    """

    def __init__(
        self,
        trial: Trial,
        *,
        server: EmbeddedNats | None = None,
        nats_url: str = "",
        proxies: int = 1,
        workflows: int = 1,
        operators: int = 1,
        analytics: int = 1,
        clerks: int = 3,
        replicas: int = 1,
        max_bytes: int = 1024**3,
        flow: str = TOUR,
        settings: Mapping[str, str] | None = None,
        growth: float = MAX_GROWTH,
    ) -> None:
        self.trial = trial
        self._growth = growth
        self.server = server or EmbeddedNats(trial.folder / "data")
        self.history = Deeds()
        self.guests: list[Guest] = []
        self.clerks: list[Clerk] = []
        self._nats_url = nats_url
        self._max_bytes = max_bytes
        self._replicas = replicas
        self._settings = {"SWITCHBOARD_FLOW": flow, **(settings or {})}
        self._clerks = clerks
        self._memory: dict[str, tuple[float, float]] = {}  # at rest, and the peak (MiB)
        self._sampler: asyncio.Task[None] | None = None
        self._files = itertools.count()
        self._clients: list[Client] = []
        counts = {"proxy": proxies, "workflow": workflows, "operator": operators, "analytics": analytics}
        self._counts = counts
        self.parts: dict[str, list[Service]] = {}
        self.breaks: list[Break] = []

    def make(self, name: str, module: str = "", **settings: str) -> Service:
        """A service that is not started yet. What it keeps of the log it has in a file of its own."""
        if name in READ_MODELS:
            file = self.trial.folder / f"{name}-{next(self._files)}.readmodel"
            settings = {f"SWITCHBOARD_{name.upper()}_FILE": str(file), **settings}
        return Service(
            name,
            self.server,
            self.trial.folder,
            module,
            **{
                **({"SWITCHBOARD_NATS_URL": self._nats_url} if self._nats_url else {}),
                **self._settings,
                "SWITCHBOARD_MESSAGES_PER_MINUTE": "60000",
                "SWITCHBOARD_MESSAGE_BURST": "1000",
                "SWITCHBOARD_CONNECTS_PER_MINUTE": "1000000",
                "SWITCHBOARD_CONNECT_BURST": "1000000",
                **settings,
            },
        )

    def use(self, name: str, services: Sequence[Service]) -> None:
        """Take these as the services of this name. What was there and is not among them is killed."""
        for service in self.parts.get(name, []):
            if service not in services:
                service.kill()
        self.parts[name] = list(services)

    @property
    def services(self) -> list[Service]:
        return [service for group in self.parts.values() for service in group]

    def urls(self, name: str) -> list[str]:
        return [service.url for service in self.parts[name]]

    async def __aenter__(self) -> Lab:
        try:
            if self.server.process is None:
                await asyncio.to_thread(self.server.start)
            for name, count in self._counts.items():  # not before: the server has its port now
                self.parts[name] = [self.make(name) for _ in range(count)]
            admin = await self.connect("admin")
            await declare(admin, max_bytes=self._max_bytes, replicas=self._replicas)
            names = [f"clerk{number}" for number in range(self._clerks)]
            for name in names:
                await accounts.add(admin, name, name.capitalize(), PASSWORD)
            await self.restart(self.services)
            for name in names:
                chance = random.Random(self.trial.chance.random())
                self.clerks.append(Clerk(self.urls("operator"), name, PASSWORD, self.history, chance))
            await asyncio.gather(*(clerk.log_in() for clerk in self.clerks))
            self._sampler = asyncio.create_task(self._sample())
            return self
        except BaseException:
            await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._sampler is not None:
            self._sampler.cancel()
        await asyncio.gather(*(guest.__aexit__() for guest in self.guests), return_exceptions=True)
        await asyncio.gather(*(clerk.close() for clerk in self.clerks), return_exceptions=True)
        for client in self._clients:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(), 2)
        for service in self.services:
            service.kill()
        self.server.kill()
        self.history.write(self.trial.folder / "history.jsonl")

    # --- parts ---

    @contextlib.asynccontextmanager
    async def broken(self) -> AsyncIterator[None]:
        """Whatever is broken in this block counts as broken until its clients had time to come back."""
        begun = time.time()
        try:
            yield
        finally:
            self.breaks.append(Break(begun, time.time() + BACK_SECONDS))

    async def connect(self, user: str) -> Client:
        """A client of our own, straight to the server."""
        client = await nats.connect(
            self.server.url(user).split(","),
            inbox_prefix=inbox_prefix(user).encode(),
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,
            error_cb=_quiet,
        )
        self._clients.append(client)
        return client

    async def log(self, user: str = "operator") -> ChatLog:
        return await log_of(await self.connect(user), user)

    async def restart(self, services: Sequence[Service]) -> None:
        """kill -9, start, and wait until all are ready."""
        for service in services:
            service.kill()
            service.launch()
        await self.ready(services)

    async def ready(self, services: Sequence[Service]) -> None:
        """Wait until all are ready. What ended by itself is told with its exit code."""
        try:
            await asyncio.gather(*(service.ready(seconds=60) for service in services))
        except AssertionError as error:
            codes = {f"{s.name}:{s.port}": s.process.poll() for s in services if s.process is not None}
            raise AssertionError(f"{error}\nexit codes {codes}") from error

    async def probe(self) -> Guest:
        """A visitor whom nobody takes from the bot, to ask when there are answers again."""
        (guest,) = await self.invite(1)
        self.spare([guest])
        return guest

    def spare(self, guests: Sequence[Guest]) -> None:
        """Let no operator take these from the bot."""
        for clerk in self.clerks:
            clerk.spared.update(guest.conversation for guest in guests)

    async def invite(
        self, count: int, people: float = 0.0, kind: type[Guest] = Guest, **options: Any
    ) -> list[Guest]:
        """New visitors, connected and asked their first question."""
        guests = [
            kind(
                self.urls("proxy"),
                self.history,
                self.trial.chance.randrange(10**9),
                people=people if self.clerks else 0.0,
                **options,
            )
            for _ in range(count)
        ]
        self.guests += guests
        for start in range(0, count, 50):
            await asyncio.gather(*(guest.__aenter__() for guest in guests[start : start + 50]))
        await asyncio.gather(*(guest.question() for guest in guests))
        return guests

    # --- work ---

    def talk(
        self,
        guests: Sequence[Guest],
        turns: int,
        pause: tuple[float, float] = (0.0, 0.1),
        takeovers: float = 0.1,
    ) -> asyncio.Task[None]:
        """All guests take so many turns each, while the clerks serve; done when both are."""

        async def converse(guest: Guest, chance: random.Random) -> None:
            for _ in range(turns):
                await guest.turn()
                await asyncio.sleep(chance.uniform(*pause))

        tasks = [
            asyncio.create_task(converse(guest, random.Random(self.trial.chance.random())))
            for guest in guests
        ]
        return asyncio.create_task(serve_until_done(self.clerks, tasks, takeovers))

    async def under(
        self, work: asyncio.Task[None], fault: Callable[[], Awaitable[None]], most: int = 10**9
    ) -> int:
        """Do ``fault`` again and again until the work is done, or so often; how often it was."""
        times = 0
        while not work.done() and times < most:
            await fault()
            times += 1
        await work
        return times

    async def stop(self, work: asyncio.Task[None]) -> None:
        """End an endless talk. Raises what ended it before, or on the way."""
        work.cancel()
        (error,) = await asyncio.gather(work, return_exceptions=True)
        if isinstance(error, Exception):
            raise error

    async def settle(self, guests: Sequence[Guest] | None = None) -> None:
        """Wait until these visitors (or all) have an answer to all they said, nobody waits for a person
        any more, and no clerk has one in hand.
        """
        for clerk in self.clerks:
            await clerk.finish()
        while True:
            waits = [*map(_settled, guests or self.guests), self._nobody_waits()]
            await serve_until_done(self.clerks, [asyncio.create_task(wait) for wait in waits])
            # A handback's answer may be on its way yet, behind the lease of a replica that was killed.
            end = time.monotonic() + MAX_BEHIND
            while unanswered(await self.lines()) and time.monotonic() < end:
                await asyncio.sleep(0.2)
            if await self._queue() == 0:  # else such an answer was one that asks for a person
                return

    async def _nobody_waits(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self._queue() != 0:
                await asyncio.sleep(0.1)

    async def _queue(self) -> int:
        """How many wait for a person, as the desk has it; -1 where it does not say."""
        if not self.clerks:
            return 0
        answer = await self.clerks[0].call("GET", "/api/conversations?view=queue&limit=1")
        return -1 if answer is None or answer.is_error else len(answer.json()["conversations"])

    async def recovery(self, probe: Guest) -> float:
        """Seconds until a visitor gets an answer again."""
        begun = time.monotonic()
        await probe.turn()
        return time.monotonic() - begun

    # --- verdict ---

    async def lines(self) -> list[Line]:
        """The whole log, as the checker reads it."""
        return await read_log(await self.log())

    async def transcript(self, guest: Guest) -> ClientTranscript:
        """What the guest saw, and what a newcomer with the same cookie is told."""
        again = Guest(self.urls("proxy"), self.history)
        again.cookie = guest.cookie
        async with again:  # the state comes last: everything has been told
            with contextlib.suppress(AssertionError):  # the checker will say what is missing
                await guest.until(lambda guest: guest.position() >= again.position(), 15)
        return ClientTranscript(
            guest.conversation, guest.transcript, sorted(guest.acknowledged), again.transcript
        )

    async def verdict(self, replay: bool = True, late: float = LATE) -> list[Line]:
        """Hold everything against the laws; the log. Raises `LawBroken`.

        ``late`` is how long after its time a timer may have fired (seconds).
        """
        violations: list[Violation] = []
        transcripts: list[ClientTranscript] = []
        for start in range(0, len(self.guests), 25):
            batch = self.guests[start : start + 25]
            transcripts += await asyncio.gather(*(self.transcript(guest) for guest in batch))
        lines = await self.lines()
        self.history.write(self.trial.folder / "history.jsonl")
        (self.trial.folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        violations += check(lines, transcripts, self.history.deeds(), time.time(), late)
        for service, (rest, peak) in self._memory.items():
            violations += bounded(service, rest, peak, self._growth)
        grown = (f"{name.split()[0]} {rest:.0f}/{peak:.0f}" for name, (rest, peak) in self._memory.items())
        self.trial.figure("MiB at first/at most", " ".join(sorted(grown)))
        if replay:
            violations += await self.replayed()
            violations += await self.reconciled()
        deeds = self.history.deeds()
        outcomes = [sum(deed.outcome == kind for deed in deeds) for kind in ("ok", "fail", "unknown")]
        turns = [seconds for guest in self.guests for _, seconds in guest.turns]
        self.trial.figure("visitors", len(self.guests))
        self.trial.figure("turns", sum(line["author"] == "bot" for line in lines))
        self.trial.figure("entries", len(lines))
        self.trial.figure("ok/fail/unknown", "/".join(map(str, outcomes)))
        if turns:
            self.trial.figure("turn p50/p99", f"{quantile(turns, 0.5):.3f}/{quantile(turns, 0.99):.2f} s")
        if violations:
            raise LawBroken(violations)
        return lines

    async def replayed(self) -> list[Violation]:
        """Kill everything and start it again: the same state, and nothing written meanwhile."""
        reader = await self.log()
        for guest in self.guests:
            await guest.__aexit__()
        await asyncio.sleep(0.3)  # what the last reconnects appended has come by
        before, live = await reader.length(), await self.told()
        begun = time.monotonic()
        await self.restart(self.services)
        self.trial.figure("restart to ready", f"{time.monotonic() - begun:.1f} s")
        await asyncio.sleep(0.5)
        replayed, after = await self.told(), await reader.length()
        rebuilt = await self._rebuilt()
        return (
            same_state("told", live, replayed) + same_state("rebuilt", live, rebuilt) + silent(before, after)
        )

    async def reconciled(self) -> list[Violation]:
        """The numbers are those of the log, counted by another path."""
        found: list[Violation] = []
        for url in self.urls("analytics"):
            done = await compared(await self.log(), url, url)
            found += [Violation("reconciled", "of the log", str(each)) for each in done.differences]
        return found

    async def _rebuilt(self) -> dict[str, Any]:
        """What is told by services that have no file, and read all of the log."""
        for name in READ_MODELS:
            if self.parts[name]:
                anew = self.make(name, **{f"SWITCHBOARD_{name.upper()}_FILE": ""})
                self.use(name, [anew])
                anew.launch()
        await self.ready(self.services)
        return await self.told()

    async def told(self) -> dict[str, Any]:
        """What the desk and the numbers say, of all that must come out of a replay alike."""
        state: dict[str, Any] = {}
        for url in self.urls("operator")[:1] if self.clerks else ():
            for view in VIEWS:
                state[view] = {row["id"]: row for row in await self._pages(url, view)}
        async with httpx.AsyncClient() as client:
            for url in self.urls("analytics"):
                stored = await (await self.log()).length()
                async with asyncio.timeout(30):
                    while True:
                        numbers = (await client.get(f"{url}/api/summary")).json()
                        if numbers.get("position", 0) >= stored:
                            break
                        await asyncio.sleep(0.2)
                # They depend on when they were asked, not on the log.
                state["summary"] = {k: v for k, v in numbers.items() if k not in ("generated", "hours")}
        return state

    async def _pages(self, url: str, view: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        before = ""
        while True:
            path = f"/api/conversations?view={view}&limit=500{before}"
            answer = await self.clerks[0].call("GET", path, url=url)
            assert answer is not None
            assert answer.is_success, answer.text
            page = answer.json()
            rows += page["conversations"]
            if page["next"] is None:
                return rows
            before = f"&before={page['next']}"

    # --- memory ---

    async def _sample(self) -> None:
        while True:
            for service in self.services:
                if service.process is not None and service.process.poll() is None:
                    size = memory(service.process.pid)
                    name = f"{service.name} on port {service.port}"
                    rest, peak = self._memory.get(name, (size, size))
                    # A process that was just started has not loaded its code yet.
                    self._memory[name] = max(rest, 80.0), max(peak, size)
            await asyncio.sleep(0.5)


def memory(pid: int) -> float:
    """The resident memory of a process (MiB), 0.0 for one that is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def read_log(log: ChatLog) -> list[Line]:
    """The log up to its end of now, as the checker reads it. What is no entry comes as an empty one."""
    lines: list[Line] = []
    counts = Counter[int]()
    ends = await log.ends()
    async for batch in log.read():
        assert log.keys is not None, "the checker judges by the words"
        find = await log.keys.fetched(batch)
        for message in batch:
            try:
                entry = msgspec.json.decode(opened(message.data, message.key, message.author, find))
            except (msgspec.DecodeError, RecursionError):
                entry = {}
            lines.append(
                {
                    "stream": message.stream,
                    "position": message.sequence,
                    "conversation": message.key,
                    "author": message.author,
                    "time": message.time / 1e9,
                    "entry": entry if isinstance(entry, dict) else {},
                }
            )
            counts[message.stream] += 1
            if message.sequence != counts[message.stream]:
                raise LogError(f"stream {message.stream} has {message.sequence} where {counts} were read")
    if any(counts[stream] < end for stream, end in enumerate(ends)):
        raise LogError(f"{counts} entries were read of {ends}")
    return lines


async def _settled(guest: Guest) -> None:
    await guest.settled()
    await guest.question()


async def _quiet(error: Exception) -> None:
    """Errors of the connection are what a fault provokes."""
