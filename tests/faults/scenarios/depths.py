"""One visitor's conversation of tens of thousands of messages: what it costs, at every service, and whom."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect

from deploy.local.embedded import EmbeddedNats
from shared.contract.codec import entry_of
from shared.contract.entry import Entry
from shared.contract.facts import ConversationStarted, TextWritten
from shared.contract.subjects import conversation_of
from tests.faults.checker import Violation, bounded, in_time
from tests.faults.lab import PASSWORD, Lab, memory
from tests.faults.run import LawBroken, Trial, quantile
from tests.faults.workload import Guest
from tests.processes import Service
from tests.visitor import V1, address

#: Echoes for ever.
FLOW: Final = {
    "ask": {"sendRequest": {"kind": "StartChatSession", "sessionId": "s"}},
    "got": {"matchResponse": {"kind": "UserText", "sessionId": "s"}, "next": "reply"},
    "reply": {"sendRequest": {"kind": "BotText", "content": "heard"}, "next": "ask"},
}
SECRET: Final = "d0" * 16
CONVERSATION: Final = conversation_of(SECRET, "websocket")
#: Appends on their way at once.
WAVE: Final = 200
#: How long the others pause between turns (seconds).
PAUSE: Final = (0.05, 0.2)
#: What the others' p99 must stay under meanwhile (seconds), and what a process may grow by (MiB).
MAX_SECONDS: Final = 1.0
MAX_GROWTH: Final = 250.0


async def depths(trial: Trial) -> None:
    """Thousands of messages wait for their answer; then a conversation twice as long is read everywhere."""
    many = trial.of(20_000, 400)
    flow = trial.folder / "echo.json"
    flow.write_text(json.dumps(FLOW))
    # The server's own sync: it is the services that are measured, not the disk.
    server = EmbeddedNats(trial.folder / "data", sync="2m")
    async with Lab(trial, server=server, clerks=1, flow=str(flow)) as lab:
        guests = await lab.invite(trial.of(20, 5))
        lab.spare(guests)
        others = _Others(lab, guests, trial)
        await others.beside("alone", lambda: asyncio.sleep(trial.of(8, 1)))
        (workflow,) = lab.parts["workflow"]
        before = {service.name: _memory(service) for service in lab.services}

        workflow.kill()
        last = await _say(lab, many)
        workflow.launch()
        await lab.ready([workflow])
        begun = time.monotonic()
        # What the others say meanwhile is delivered behind what waits already. No door lets a conversation
        # have so much wait (see `limits.MAX_UNANSWERED`): this came past them.
        await others.beside(f"{many} that wait are answered", lambda: _answered(lab, last), waits=True)
        took = time.monotonic() - begun
        trial.figure("an answer behind them", f"{took / many * 1000:.2f} ms")

        frames = await others.beside("a browser reads all of it", lambda: _read(lab))
        assert frames >= 2 * many, f"only {frames} frames of {2 * many} messages"
        seconds = await others.beside("it goes on", lambda: _turns(lab, trial.of(40, 5)))
        trial.figure("a turn at its end", f"{statistics.median(seconds) * 1000:.1f} ms")
        messages = await others.beside("an operator reads it", lambda: _transcript(lab))
        assert messages >= 2 * many, f"only {messages} lines of {2 * many} messages"
        await others.beside("the numbers are complete", lab.told)

        violations = others.violations
        for service in lab.services:
            grown = _memory(service) - before[service.name]
            trial.figure(f"{service.name} grew by", f"{grown:.0f} MiB")
            violations += bounded(service.name, before[service.name], _memory(service), MAX_GROWTH)
        await lab.verdict(replay=False)
        if violations:
            raise LawBroken(violations)


class _Others:
    """The other visitors, who talk all the time that something is done beside them."""

    def __init__(self, lab: Lab, guests: list[Guest], trial: Trial) -> None:
        self._lab = lab
        self._guests = guests
        self._trial = trial
        self.violations: list[Violation] = []

    async def beside(self, what: str, work: Callable[[], Awaitable[Any]], waits: bool = False) -> Any:
        """Do it; tell how long it took, and how long the worst hundredth of their turns was.

        Of all turns that were not over when it began. ``waits``: they may wait until it is done.
        """
        talking = self._lab.talk(self._guests, 10**6, pause=PAUSE, takeovers=0.0)
        await asyncio.sleep(2 * PAUSE[1])  # they begin all at once
        begun = time.monotonic()
        result = await work()
        took = time.monotonic() - begun
        await asyncio.sleep(max(0.0, 1.0 - took))  # a turn or two of each
        await self._lab.stop(talking)
        await asyncio.gather(*(guest.question() for guest in self._guests))
        seconds = [s for guest in self._guests for at, s in guest.turns if at + s >= begun]
        worst = quantile(seconds, 0.99)
        told = f"{took:.2f} s, the others' p99 {worst * 1000:.0f} ms, longest {max(seconds) * 1000:.0f} ms"
        self._trial.say(f"{what}: {told}")
        self._trial.figure(what, told)
        if not self._trial.short:  # of a handful of turns, beside other tests, the worst says nothing
            most = MAX_SECONDS + (took if waits else 0.0)
            self.violations += in_time(f"the others' p99 while {what}", worst, most)
        return result


async def _say(lab: Lab, many: int) -> int:
    """The visitor says so much while nobody answers; the position of the last."""
    log = await lab.log("proxy")
    started = Entry(id="start", facts=(ConversationStarted(door="websocket"),))
    last = await log.append(CONVERSATION, "visitor", started, 0)
    for first in range(0, many, WAVE):
        wave = (
            Entry(id=f"m{number}", facts=(TextWritten(session="s", text=f"message {number}"),))
            for number in range(first, min(many, first + WAVE))
        )
        last = max(await asyncio.gather(*(log.append(CONVERSATION, "visitor", entry) for entry in wave)))
    return last


async def _answered(lab: Lab, last: int) -> None:
    """Wait until the input at ``last`` has its outcome."""
    log = await lab.log()
    after = last
    async with asyncio.timeout(500):
        while True:
            found = await log.fetch(CONVERSATION, after)
            if any(entry_of(message).cause == last for message in found):
                return
            after = max([after, *(message.sequence for message in found)])
            await asyncio.sleep(0.5)


def _socket(lab: Lab) -> connect:
    headers = {"Cookie": f"switchboard={SECRET}"}
    url = address(lab.urls("proxy")[0])
    return connect(url, additional_headers=headers, subprotocols=V1, compression=None, max_size=None)


async def _until(socket: ClientConnection, kind: str) -> int:
    """Read up to a frame of this kind; how many frames came before it."""
    count = 0
    async with asyncio.timeout(120):
        while json.loads(await socket.recv())["kind"] != kind:
            count += 1
    return count


async def _read(lab: Lab) -> int:
    """A browser comes back without a cursor: how many frames it is sent until it knows how things stand."""
    async with _socket(lab) as socket:
        return await _until(socket, "State")


async def _turns(lab: Lab, count: int) -> list[float]:
    """The visitor goes on: how long each turn took (seconds)."""
    took = []
    async with _socket(lab) as socket:
        await _until(socket, "State")
        for _ in range(count):
            begun = time.monotonic()
            said = {"kind": "UserText", "id": str(uuid.uuid4()), "sessionId": "s", "content": "and on"}
            await socket.send(json.dumps(said))
            await _until(socket, "StartChatSession")
            took.append(time.monotonic() - begun)
    return took


async def _transcript(lab: Lab) -> int:
    """The console opens the conversation: how many lines it has."""
    async with httpx.AsyncClient(base_url=lab.urls("operator")[0], timeout=120) as console:
        entered = await console.post("/api/login", json={"name": "clerk0", "password": PASSWORD})
        assert entered.is_success, entered.text
        answer = await console.get(f"/api/conversations/{CONVERSATION}")
        assert answer.is_success, answer.text
        return len(answer.json()["messages"])


def _memory(service: Service) -> float:
    assert service.process is not None
    return memory(service.process.pid)
