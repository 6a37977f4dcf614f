"""The same message with the same id: on two sockets at once, and again past the duplicate window."""

from __future__ import annotations

import asyncio
import uuid

import msgspec

from tests.conftest import LAYOUT
from tests.faults.checker import Violation
from tests.faults.lab import Lab
from tests.faults.run import LawBroken, Trial
from tests.faults.workload import Guest

#: The window, shortened for the test (seconds): the server takes no less than 0.1.
WINDOW_SECONDS = 1.0


async def same_id(trial: Trial) -> None:
    """At once on two sockets and two proxies, and again when the server has forgotten the id."""
    rounds = trial.of(40, 5)
    numbers = trial.of(1, 0)
    async with Lab(trial, proxies=2, workflows=2, clerks=0, operators=0, analytics=numbers) as lab:
        await _shorten(lab)
        guests = await lab.invite(trial.of(20, 8))
        for _ in range(rounds):
            await asyncio.gather(*(_twice(lab, guest) for guest in guests))
        trial.say(f"{rounds * len(guests)} messages sent on two sockets at once")
        await asyncio.sleep(2 * WINDOW_SECONDS)
        before = await (await lab.log()).length()
        for guest in guests:
            await _again(lab, guest)
        after = await (await lab.log()).length()
        trial.say("all of them sent again past the window")
        # A session that began anew knows the ids of its conversation: nothing is appended.
        trial.figure("sent twice", rounds * len(guests))
        trial.figure("sent again past the window", sum(len(guest.sent) for guest in guests))
        await lab.verdict(replay=not trial.short)
        if before != after:
            raise LawBroken([Violation("once", "", f"{after - before} entries were appended again")])


async def _twice(lab: Lab, guest: Guest) -> None:
    """The same answer on a second socket at the same time."""
    asked = await guest.question()
    other = Guest(lab.urls("proxy"), lab.history)
    other.cookie = guest.cookie
    async with other:
        if asked["kind"] == "ChoiceRequest":
            frame = {"kind": "ChoiceResponse", "groupId": asked["groupId"], "itemId": 1}
        else:
            frame = {"kind": "UserText", "sessionId": asked["sessionId"], "content": "the same"}
        id = str(uuid.UUID(int=lab.trial.chance.getrandbits(128), version=4))
        await asyncio.gather(guest.say(frame, id), other.say(frame, id))
        await asyncio.gather(guest.settled(), other.settled())
        assert id in guest.acknowledged, guest.refused
        assert id in other.acknowledged, other.refused
        await guest.question()


async def _again(lab: Lab, guest: Guest) -> None:
    """Everything that the guest ever said, from a client that lost its memory of having said it."""
    other = Guest(lab.urls("proxy"), lab.history)
    other.cookie = guest.cookie
    async with other:
        for id, frame in guest.sent.items():
            await other.say({key: value for key, value in frame.items() if key != "id"}, id)
        await other.settled()


async def _shorten(lab: Lab) -> None:
    admin = await lab.connect("admin")
    for name in LAYOUT.names:
        info = msgspec.json.decode((await admin.request(f"$JS.API.STREAM.INFO.{name}")).data)
        config = {**info["config"], "duplicate_window": int(WINDOW_SECONDS * 1e9)}
        answer = await admin.request(f"$JS.API.STREAM.UPDATE.{name}", msgspec.json.encode(config))
        changed = msgspec.json.decode(answer.data)
        assert changed["config"]["duplicate_window"] == config["duplicate_window"], changed
