"""The operators' console with much to show, beside the same with little: ``python -m tests.bench.console``.

Three minutes. A browser shows lists of 50 and of 1,000 conversations, and opens one of 20 and one of 2,000
entries, in turns; 50 consoles follow the feed of events beside somebody who follows the log itself. With
``--entries`` the log has so many in all before that, and it is said how long the service took to read them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from time import perf_counter, time_ns
from typing import Any, Final
from uuid import uuid4

import httpx
from nats.aio.msg import Msg
from playwright.async_api import Page, async_playwright

from deploy.cli import accounts
from shared.contract import subjects
from shared.contract.entry import Entry
from shared.contract.facts import ConversationStarted, TextWritten
from tests.bench.fill import Filler
from tests.bench.measure import percentile, resident
from tests.bench.stage import DEFAULT_SYNC, Stack, launch
from tests.conftest import log_of
from tests.journeys.conftest import LIGHT, SWITCHES, WHOLE, chromium

PASSWORD: Final = "open the console"
FEW, MANY = 50, 1_000
SHORT, LONG = 20, 2_000
CONSOLES: Final = 50
EVENTS: Final = 300
PAUSE_SECONDS: Final = 0.03
ROUNDS: Final = 5

#: Scrolls the list for so many frames, and tells how long each took (ms).
SCROLL: Final = """async frames => {
  const list = document.querySelector("[data-role=list]");
  const took = [];
  let before = performance.now();
  for (let frame = 0; frame < frames; frame += 1) {
    list.scrollTop = (list.scrollTop + 60) % Math.max(1, list.scrollHeight - list.clientHeight);
    await new Promise((drawn) => requestAnimationFrame(drawn));
    const now = performance.now();
    took.push(now - before);
    before = now;
  }
  return took;
}"""
#: From the click until the conversation's lines are drawn (ms).
OPEN: Final = """async ([id, lines]) => {
  const began = performance.now();
  document.querySelector(`[data-role=row][data-id="${id}"]`).click();
  for (;;) {
    await new Promise((drawn) => requestAnimationFrame(drawn));
    const shown = document.querySelectorAll("[data-role=transcript] [data-role=line]").length;
    if (shown >= lines) break;
  }
  await new Promise((drawn) => requestAnimationFrame(drawn));
  return performance.now() - began;
}"""


async def main(entries: int) -> None:
    async with AsyncExitStack() as ends:
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="switchboard-console-")))
        stack = Stack(folder, DEFAULT_SYNC, ())
        await stack.start()
        ends.push_async_callback(stack.stop)
        admin = await stack.client("admin")
        ends.push_async_callback(admin.close)
        await accounts.add(admin, "ada", "Ada", PASSWORD)
        filler = Filler(stack)
        if entries:
            await _start(stack, filler, entries)
        else:
            stack.services["operator"] = await launch(stack.make("operator"))
        url = stack.services["operator"].url
        await _events(stack, url)
        playwright = await ends.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=chromium(LIGHT, *WHOLE), args=SWITCHES)
        ends.push_async_callback(browser.close)
        await _pages(filler, await browser.new_page(), url)


async def _start(stack: Stack, filler: Filler, entries: int) -> None:
    """How long the service takes to read the log, from nothing and from its file."""
    await filler.fill(4, entries // 4)
    for how in ("from nothing", "from its file"):
        service = stack.services["operator"] = stack.make("operator")
        service.set(SWITCHBOARD_OPERATOR_FILE=str(stack.folder / "desk.sqlite"))
        began = perf_counter()
        await launch(service, seconds=600)
        seconds = perf_counter() - began
        assert service.process is not None
        size = resident(service.process.pid) / 1e6
        print(f"{entries:,} entries {how}: ready after {seconds:.1f} s, {size:.0f} MB", flush=True)
        if how == "from nothing":
            await service.stop()


async def _events(stack: Stack, url: str) -> None:
    """How long after it was sent a visitor's word is at each of many consoles, and at a reader of the log."""
    visitor = await log_of(await stack.client("proxy"), "proxy")
    reader = await stack.client("reader")
    ids = [subjects.conversation_of(f"bench-{number}", "web") for number in range(20)]
    for id in ids:
        await visitor.append(id, "visitor", Entry(id="1", facts=(ConversationStarted(door="web"),)))
    sent: dict[str, int] = {}
    raw: list[float] = []
    consoles: list[float] = []

    async def stored(message: Msg) -> None:
        name = (message.headers or {}).get("Nats-Msg-Id", "").rpartition(":")[2]
        if name in sent:
            raw.append((time_ns() - sent[name]) / 1e6)

    await reader.subscribe("live.>", cb=stored)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=httpx.Limits(max_connections=None)) as http:
        entered = await http.post("/api/login", json={"name": "ada", "password": PASSWORD})
        assert entered.status_code == 200, entered.text
        ready = asyncio.Semaphore(0)
        listening = [asyncio.create_task(_listens(http, sent, consoles, ready)) for _ in range(CONSOLES)]
        for _ in listening:
            await ready.acquire()
        for number in range(EVENTS):
            name = str(uuid4())
            sent[name] = time_ns()
            fact = TextWritten(session="s", text=name)
            await visitor.append(ids[number % len(ids)], "visitor", Entry(id=name, facts=(fact,)))
            await asyncio.sleep(PAUSE_SECONDS)
        async with asyncio.timeout(60):
            while len(consoles) < EVENTS * CONSOLES or len(raw) < EVENTS:
                await asyncio.sleep(0.05)
        for task in listening:
            task.cancel()
    for name, times in (("the log's feed", raw), (f"each of {CONSOLES} consoles", consoles)):
        ordered = sorted(times)
        p50, p99 = percentile(ordered, 0.5), percentile(ordered, 0.99)
        print(f"a word at {name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms", flush=True)
    ratio = percentile(sorted(consoles), 0.99) / percentile(sorted(raw), 0.99)
    print(f"p99 at the consoles is {ratio:.1f} times that of the log's feed", flush=True)


async def _listens(
    http: httpx.AsyncClient, sent: dict[str, int], times: list[float], ready: asyncio.Semaphore
) -> None:
    async with http.stream("GET", "/api/events") as response:
        ready.release()
        kind = ""
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: ") and kind == "message":
                now = time_ns()
                if (text := json.loads(line[6:])["text"]) in sent:
                    times.append((now - sent[text]) / 1e6)


async def _pages(filler: Filler, page: Page, url: str) -> None:
    await filler.fill(2, FEW)
    await _enters(page, url)
    await _list(page, FEW)
    few = await _frames(page)
    await filler.fill(2, MANY)
    await page.reload()
    await _list(page, MANY)
    rows = await page.locator("[data-role=list] [data-role=row]").count()
    many = await _frames(page)
    print(f"scrolling: a frame p95 {percentile(sorted(few), 0.95):.1f} ms with about {FEW} conversations, "
          f"{percentile(sorted(many), 0.95):.1f} ms with {rows}", flush=True)  # fmt: skip
    [brief] = await _named(filler, SHORT)
    [lengthy] = await _named(filler, LONG)
    await page.reload()
    await _list(page, FEW)
    for id in (brief, lengthy):
        await page.locator(f"[data-role=row][data-id='{id}']").wait_for()
    took: dict[str, list[float]] = {brief: [], lengthy: []}
    lines = {brief: 1, lengthy: LONG // 2}
    for _ in range(ROUNDS):
        for id in (lengthy, brief):
            took[id].append(await page.evaluate(OPEN, [id, lines[id]]))
    short, long = median(took[brief]), median(took[lengthy])
    print(f"opening: {short:.0f} ms for {SHORT} entries, {long:.0f} ms for {LONG}: {long / short:.1f} times")


async def _named(filler: Filler, length: int) -> list[str]:
    return [subjects.conversation_of(cookie, "websocket") for cookie in await filler.fill(length, 1, 1)]


async def _enters(page: Page, url: str) -> None:
    await page.goto(url)
    await page.locator("[data-role=login-name]").fill("ada")
    await page.locator("[data-role=login-password]").fill(PASSWORD)
    await page.locator("[data-role=login-submit]").click()


async def _list(page: Page, wanted: int) -> None:
    """The list of live conversations, with at least so many."""
    await page.locator("[data-role=tab][data-view=live]").click()
    rows, more = page.locator("[data-role=list] [data-role=row]"), page.locator("[data-role=more]")
    await _until(lambda: _at_least(rows.count, 1))
    async with asyncio.timeout(120):
        while await rows.count() < wanted:
            if await more.is_visible():
                await more.click()
            await asyncio.sleep(0.2)


async def _frames(page: Page) -> Sequence[float]:
    await asyncio.sleep(1)
    frames: list[float] = await page.evaluate(SCROLL, 120)
    return frames[5:]


async def _at_least(count: Callable[[], Awaitable[int]], wanted: int) -> bool:
    return await count() >= wanted


async def _until(holds: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.console", description=__doc__)
    parser.add_argument("--entries", type=int, default=0, help="on the log before anything is measured")
    os.environ.setdefault("SWITCHBOARD_LOG_LEVEL", "warning")
    asyncio.run(main(parser.parse_args().entries))
