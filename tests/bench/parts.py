"""What is measured: each part of the benchmark plays its rounds and adds its figures to the report."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import msgspec

from tests.bench.fill import Filler
from tests.bench.load import Job
from tests.bench.measure import cpu_seconds, raise_open_files, resident
from tests.bench.report import Figures, Report
from tests.bench.stage import (
    ALL,
    ALWAYS,
    DEFAULT_SYNC,
    PATH,
    DurablePeer,
    Load,
    Peer,
    PeerUnavailable,
    Stack,
    echo_peer,
    launch,
    node_peer,
    raw_appends,
)
from tests.bench.streams import streams

#: Turns a second that thinking visitors ask for together: what every variant bears with ease.
PACE = 1_000


class BenchSize(NamedTuple):
    """How much of everything: the short form, the full one, and the smallest for the test of tests."""

    name: str
    rounds: int
    seconds: float
    warm: float
    clients: tuple[int, ...]
    idle: tuple[int, ...]
    entries: tuple[int, ...]
    reconnects: int
    variants: tuple[str, ...] = (
        *("path", "node", "system", "always", "echo"),
        *("durable", "tuned", "durable always", "tuned always"),
    )


SHORT = BenchSize("short", 3, 1.2, 0.4, (1, 50, 500, 2000), (1_000,), (), 0)
FULL = BenchSize("full", 3, 3.0, 1.0, (1, 50, 500, 2000), (1_000, 5_000, 10_000),
            (10_000, 100_000, 1_000_000), 300)  # fmt: skip
SMOKE = BenchSize("smoke", 1, 0.3, 0.1, (5,), (20,), (1_000,), 5, ("path", "echo"))


class Bench(NamedTuple):
    """What every part is given."""

    size: BenchSize
    folder: Path
    load: Load
    report: Report


async def turns(bench: Bench) -> None:
    """Parts 1 and 2: the product's variants and its peers, in turns."""
    variants: dict[str, Variant] = {}
    raws: dict[str, Stack] = {}
    try:
        for name in bench.size.variants:
            try:
                variants[name] = await _variant(bench.folder, name)
            except PeerUnavailable as error:
                bench.report.note(f"{name} was not measured: {error}")
        raws["sync default"] = await Stack(bench.folder / "raw", DEFAULT_SYNC, ()).start()
        raws["sync always"] = await Stack(bench.folder / "raw-always", ALWAYS, ()).start()
        for round in range(bench.size.rounds):
            for cell, job, names in _cells(bench.size):
                for name in names:
                    if name in raws:
                        figures = await raw_appends(raws[name], _crowd(bench.size), bench.size.seconds)
                        bench.report.add("append", "raw", name, round, figures)
                    elif name in variants:
                        await _turns(bench, name, variants[name], cell, job, round)
    finally:
        for variant in [*variants.values(), *raws.values()]:
            await variant.stop()


#: What turns are played against.
Variant = Stack | Peer | DurablePeer


async def _variant(folder: Path, name: str) -> Variant:
    """``path``: what a turn goes through, with the server's default sync. ``always``: the same with
    the product's sync. ``system``: ``path`` with the operator service and analytics. ``durable`` and
    ``tuned``: the durable bot in two Node processes, as people write it and tuned."""
    if name == "node":
        return await node_peer()
    if name == "echo":
        return await echo_peer()
    sync = ALWAYS if name.endswith("always") else DEFAULT_SYNC
    if name.startswith(("durable", "tuned")):
        peer = DurablePeer(folder / name.replace(" ", "-"), sync, tuned=name.startswith("tuned"))
        return await peer.start()
    return await Stack(folder / name, sync, ALL if name == "system" else PATH).start()


#: The durable peers, with the server's default sync and with the product's.
_DURABLE = ("durable", "tuned", "durable always", "tuned always")


def _cells(size: BenchSize) -> Iterator[tuple[str, Job, tuple[str, ...]]]:
    """The grid: its name, its job, and which variants play it."""
    compared, pair = ("path", "node", "system", "always"), ("path", "node")
    full = size is not SHORT
    window = Job(kind="turns", warm=size.warm, seconds=size.seconds)
    for n in size.clients:
        job = msgspec.structs.replace(window, clients=n)
        # What a variant is compared with stands right behind it: a disk has its moods.
        durable = ("durable", "tuned") if n in (1, 50) else _DURABLE if n == _crowd(size) else ()
        raws = ("sync default",) * (n == min(size.clients)) + ("sync always",) * (n == _crowd(size))
        yield f"N={n} long", job, (*(compared if full or n in (1, 500) else pair), *durable, *raws)
        if full or n != 2000:
            short = msgspec.structs.replace(job, answers=2)
            yield f"N={n} short", short, (*(compared if full or n == 50 else pair), *durable[:2])
        if n == 500 or (full and n > 1):
            thinking = msgspec.structs.replace(job, think=n / PACE, warm=size.warm + 0.5)
            yield f"N={n} long, thinking", thinking, compared
    job = msgspec.structs.replace(window, clients=_crowd(size))
    yield f"N={job.clients} long", job, ("echo",)
    yield f"N={job.clients} long, modern", msgspec.structs.replace(job, modern=True), ("path",)


def _crowd(size: BenchSize) -> int:
    return min(500, max(size.clients))


async def _turns(
    bench: Bench, name: str, variant: Variant, cell: str, job: Job, round: int, part: str = "turns"
) -> None:
    pids = variant.pids
    whole = msgspec.structs.replace(job, port=variant.port, pids=list(pids.values()), echo=name == "echo")
    result = await bench.load.run(whole)
    assert result.turns, f"{name} gave no answer at all"
    turns = result.turns
    figures: Figures = {
        "turns_per_s": result.turns / result.seconds,
        "p50_ms": result.p50 * 1000,
        "p99_ms": result.p99 * 1000,
        "greet_p50_ms": result.greet_p50 * 1000,
        "cpu_ms": sum(result.cpu) * 1000 / turns,
    }
    for process, seconds in zip(pids, result.cpu, strict=True):
        figures[f"cpu_ms {process}"] = seconds * 1000 / turns
    figures["rss_mb"] = sum(resident(pid) for pid in pids.values()) / 1e6
    figures["core_busy"] = sum(result.cpu) / result.seconds
    figures["load_busy"] = result.own / result.seconds
    bench.report.add(part, name, cell, round, figures)
    if result.lost:
        bench.report.note(f"{name}, {cell}, round {round}: {result.lost} visitors lost their answer")
    await asyncio.sleep(0.1)


async def idle(bench: Bench) -> None:
    """Part 3: memory of connections that do nothing. Each on a process of its own, freshly started."""
    limit = raise_open_files(max(bench.size.idle) + 1_000)
    stack = await Stack(bench.folder / "idle", DEFAULT_SYNC, ("workflow",)).start()
    try:
        for round in range(bench.size.rounds):
            for n in bench.size.idle:
                if limit < n + 500:
                    bench.report.note(f"{n} idle connections need more open files than the limit, {limit}")
                    continue
                proxy = await launch(stack.make("proxy"))
                assert proxy.process is not None
                workflow = stack.pids["workflow"]
                before = resident(workflow)
                figures = await _opened(bench, proxy.port, proxy.process.pid, n, echo=False)
                figures["workflow_kb_each"] = (resident(workflow) - before) / n / 1024
                bench.report.add("idle", "proxy", f"N={n}", round, figures)
                await bench.load.run(Job(kind="close"))
                proxy.kill()
                echo = await echo_peer()
                figures = await _opened(bench, echo.port, echo.process.pid, n, echo=True)
                bench.report.add("idle", "echo", f"N={n}", round, figures)
                await bench.load.run(Job(kind="close"))
                await echo.stop()
    finally:
        await stack.stop()


async def _opened(bench: Bench, port: int, pid: int, n: int, echo: bool) -> Figures:
    """Open ``n`` connections and let them rest; memory of each, and CPU of all."""
    # A few first: what the first connection loads is not the price of each.
    await bench.load.run(Job(kind="open", port=port, clients=5, echo=echo))
    before = resident(pid)
    began = perf_counter()
    await bench.load.run(Job(kind="open", port=port, clients=n, echo=echo))
    opened = perf_counter() - began
    await asyncio.sleep(0.5)
    return {"kb_each": (resident(pid) - before) / n / 1024, "opened_per_s": n / opened}


async def million(bench: Bench) -> None:
    """Parts 4 to 6: reconnects, replays and turns over a log that grows."""
    stack = Stack(bench.folder / "million", DEFAULT_SYNC, ())
    await stack.start()
    try:
        filler = Filler(stack)
        few = bench.size is SMOKE
        await filler.fill(200, 2 if few else 10)
        in_a_row = await filler.fill(20, 10 if few else 300, at_once=1)
        have = await filler.last()
        for entries in bench.size.entries:
            began = perf_counter()
            await filler.fill(20, max(0, entries - have) // 20)
            speed = (entries - have) / (perf_counter() - began)
            bench.report.add("fill", "log", f"entries={entries}", 0, {"entries_per_s": speed})
            have = entries
            await _reconnects(bench, stack, filler, in_a_row, entries)
        await filler.skip_workflow()
        await _replays(bench, stack, bench.size.entries[-1])
        await _growth(bench, stack)
    finally:
        await stack.stop()
    shutil.rmtree(stack.folder, ignore_errors=True)


async def _reconnects(bench: Bench, stack: Stack, filler: Filler, in_a_row: list[str], entries: int) -> None:
    """Part 4: from the connect to the last frame of the conversation so far."""
    proxy = await launch(stack.make("proxy"))
    try:
        for round in range(bench.size.rounds):
            for name, length, cookies in (
                ("20", 20, filler.cookies[20]),
                ("20 newest", 20, filler.cookies[20][-500:]),
                ("20 oldest", 20, filler.cookies[20][:500]),
                ("20 in a row", 20, in_a_row),
                ("200", 200, filler.cookies[200]),
            ):
                job = Job(
                    kind="resume",
                    port=proxy.port,
                    cookies=cookies,
                    frames=filler.frames(length),
                    count=bench.size.reconnects,
                )
                result = await bench.load.run(job)
                figures = {
                    "p50_ms": result.p50 * 1000,
                    "p99_ms": result.p99 * 1000,
                    "rebuild_p50_ms": result.greet_p50 * 1000,
                    "rebuild_p99_ms": result.greet_p99 * 1000,
                }
                bench.report.add("reconnect", "path", f"{name} of entries={entries}", round, figures)
    finally:
        proxy.kill()


async def _replays(bench: Bench, stack: Stack, entries: int) -> None:
    """Part 5: start to ready over the filled log, against the same over an empty one."""
    empty = await Stack(bench.folder / "replay-empty", DEFAULT_SYNC, ()).start()
    try:
        for round in range(bench.size.rounds):
            stack.server.stop()
            figures: Figures = {"ready_s": await stack.start_server()}
            bench.report.add("replay", "nats", f"entries={entries}", round, figures)
            for name in ALL:
                blank = await _readied(empty, name)
                filled = await _readied(stack, name)
                figures = {
                    "ready_s": filled.seconds,
                    "ready_s empty": blank.seconds,
                    "rss_mb": filled.memory / 1e6,
                }
                if name not in PATH:
                    figures["entries_per_s"] = entries / max(filled.seconds - blank.seconds, 1e-3)
                    figures["entries_per_cpu_s"] = entries / max(filled.cpu - blank.cpu, 1e-3)
                bench.report.add("replay", name, f"entries={entries}", round, figures)
    finally:
        await empty.stop()


class Readied(NamedTuple):
    """From a service's start until it is ready: wall time, CPU time of it and of nats-server, memory."""

    seconds: float
    cpu: float
    memory: int


async def _readied(stack: Stack, name: str) -> Readied:
    """Start a service, wait until it is ready, and kill it."""
    service = stack.make(name)
    server = stack.pids["nats"]
    began, before = perf_counter(), cpu_seconds(server)
    await launch(service)
    seconds = perf_counter() - began
    assert service.process is not None
    pid = service.process.pid
    readied = Readied(seconds, cpu_seconds(pid) + cpu_seconds(server) - before, resident(pid))
    service.kill()
    return readied


async def _growth(bench: Bench, stack: Stack) -> None:
    """Part 6: the same turns over the filled log and over an empty one."""
    empty = await Stack(bench.folder / "growth-empty", DEFAULT_SYNC, PATH).start()
    try:
        for name in PATH:
            stack.services[name] = await launch(stack.make(name))
        n = _crowd(bench.size)
        for round in range(bench.size.rounds):
            for name, variant in (("empty", empty), ("million", stack)):
                job = Job(kind="turns", clients=n, warm=bench.size.warm, seconds=bench.size.seconds)
                await _turns(bench, name, variant, f"N={n} long", job, round, part="growth")
    finally:
        await empty.stop()


async def doors(bench: Bench) -> None:
    """Part 7: the same turn through each door, side by side on one stack."""
    stack = await Stack(bench.folder / "doors", DEFAULT_SYNC, PATH).start()
    n = min(50, max(bench.size.clients))
    try:
        for round in range(bench.size.rounds):
            for name, door in (("websocket", ""), ("sse", "sse"), ("socketio", "socketio")):
                window = Job(kind="turns", warm=bench.size.warm, seconds=bench.size.seconds)
                job = msgspec.structs.replace(window, clients=n, door=door)
                await _turns(bench, name, stack, f"N={n} long", job, round, part="doors")
    finally:
        await stack.stop()


PARTS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "turns": turns,
    "idle": idle,
    "million": million,
    "doors": doors,
    "streams": streams,
}
