"""No room: the log's own limit is reached, and then the disk itself."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
from nats.aio.client import Client

from deploy.local.embedded import EmbeddedNats
from shared.contract.subjects import chat, conversation_of
from tests.conftest import LAYOUT, declare
from tests.faults.checker import Violation
from tests.faults.lab import Lab
from tests.faults.run import LawBroken, Trial
from tests.faults.volumes import mounted, run, tmpfs

#: The log's limit on the small volume, and what it is raised to (bytes).
LIMIT = 24 * 2**20
RAISED = 48 * 2**20
#: One filler (bytes): an entry of facts that nobody knows.
FILLER = 256 * 1024


async def full(trial: Trial) -> None:
    """Visitors are told, nothing is lost, and when there is room again everything goes on."""
    async with mounted(trial.folder / "small", *tmpfs(96)) as folder:
        server = EmbeddedNats(folder / "data", max_store="80MB")
        limit = trial.of(LIMIT, LIMIT // 4)
        numbers = trial.of(1, 0)
        async with Lab(trial, server=server, max_bytes=limit, analytics=numbers) as lab:
            await _limit(lab)
            await lab.verdict(replay=not trial.short)
    if trial.short:
        return
    async with mounted(trial.folder / "tiny", *tmpfs(24)) as folder:
        # What must never be configured: limits above the volume's size. Still nothing may be lost.
        server = EmbeddedNats(folder / "data", max_store="1GB")
        trial.folder = trial.folder / "volume"  # the services' own files are elsewhere
        trial.folder.mkdir()
        async with Lab(trial, server=server, max_bytes=512 * 2**20) as lab:
            await _volume(lab, folder)
            await lab.verdict()


async def _limit(lab: Lab) -> None:
    """The log's limit: a clear refusal, `log_full`; more room, and it goes on."""
    trial = lab.trial
    visitors = await lab.invite(trial.of(10, 5))
    filled = await _fill(lab)
    refused = 0
    for visitor in visitors:
        id = await visitor.say(_long_answer(await visitor.question()))
        await visitor.settled()
        refused += visitor.refused.get(id) == "log_full"
        assert id not in visitor.acknowledged or visitor.refused.get(id) != "log_full"
    trial.say(f"{filled} fillers: the log is full, {refused} of {len(visitors)} visitors are told so")
    admin = await lab.connect("admin")
    await declare(admin, max_bytes=RAISED)
    for visitor in visitors:
        await visitor.turn()
    await lab.settle()
    trial.figure("told log_full", f"{refused} of {len(visitors)}")
    if refused < len(visitors):
        raise LawBroken([Violation("told", "", f"{len(visitors) - refused} visitors were not refused")])


def _long_answer(asked: dict[str, Any]) -> dict[str, Any]:
    """An answer that the flow knows, too long for what is left of the log."""
    words = "text " * 2000
    if asked["kind"] == "ChoiceRequest":
        item = asked["choices"][0]["itemId"]
        return {"kind": "ChoiceResponse", "groupId": asked["groupId"], "itemId": item, "content": words}
    return {"kind": "UserText", "sessionId": asked["sessionId"], "content": words}


async def _volume(lab: Lab, folder: object) -> None:
    """The disk itself: no false acknowledgement; room, a restart of the server, and it goes on."""
    trial = lab.trial
    visitors = await lab.invite(8)
    work = lab.talk(visitors, 10**6)
    filled = await _fill(lab)
    trial.say(f"{filled} fillers: the disk is full")
    await asyncio.sleep(15)
    told = sum(4013 in visitor.closings or "log_full" in visitor.refused.values() for visitor in visitors)
    await asyncio.to_thread(run, "mount", "-o", "remount,size=128m", str(folder))
    await asyncio.to_thread(lab.server.kill)
    await asyncio.to_thread(lab.server.start)
    await asyncio.sleep(3)
    await lab.stop(work)
    await lab.settle()
    trial.say(f"there is room again and all goes on; {told} of {len(visitors)} visitors were told")
    trial.figure("disk full: told", f"{told} of {len(visitors)}")
    if not told:
        raise LawBroken([Violation("told", "", "nobody was told that the disk is full")])


async def _fill(lab: Lab) -> int:
    """Append fillers until no stream of the log takes more; how many they took."""
    writer = await lab.connect("proxy")
    count = 0
    for conversation in _one_for_each_stream():
        count += await _fill_stream(writer, chat(conversation, "visitor"))
    return count


def _one_for_each_stream() -> list[str]:
    found: dict[int, str] = {}
    for number in itertools.count():
        name = conversation_of(f"filler {number}", "websocket")
        found.setdefault(LAYOUT.stream_of(name), name)
        if len(found) == LAYOUT.streams:
            return list(found.values())
    raise AssertionError


async def _fill_stream(writer: Client, subject: str) -> int:
    count = 0
    for size in (FILLER, 1024):
        text = "x" * size
        while True:
            entry = {"id": f"{size}-{count}", "facts": [{"kind": "Filler", "text": text}]}
            try:
                reply = await writer.request(subject, msgspec.json.encode(entry), timeout=3)
            except Exception:
                break  # a full disk does not even answer
            if "error" in msgspec.json.decode(reply.data):
                break
            count += 1
    return count
