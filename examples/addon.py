"""An add-on: follows the log as the user `reader`, and tells who waits for a person, and for how long.

    SWITCHBOARD_NATS_PASSWORD=... python examples/addon.py

With `make run` the password is in `passwords.json` of the data folder. It knows what docs/addons.md and
docs/asyncapi.yaml say, and nothing else of Switchboard. It misses nothing and writes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from datetime import UTC, datetime
from typing import Any

import msgspec
from faststream import FastStream
from faststream.nats import NatsBroker, NatsMessage
from faststream.security import SASLPlaintext

USER = "reader"
ANSWERS = f"_INBOX_{USER}.addon"
BATCH = 250
#: How often the end of the log is looked at (seconds): the live feed may lose even the last entry.
LOOK_SECONDS = 2.0

broker = NatsBroker(
    os.environ.get("SWITCHBOARD_NATS_URL", "nats://127.0.0.1:4222"),
    security=SASLPlaintext(USER, os.environ.get("SWITCHBOARD_NATS_PASSWORD", ""), use_ssl=False),
    inbox_prefix=f"_INBOX_{USER}",
    max_reconnect_attempts=-1,
)
app = FastStream(broker)


class Fact(msgspec.Struct):
    """Any fact, with those fields that matter here."""

    kind: str
    queue: str = ""
    operator: str = ""


class LoggedEntry(msgspec.Struct):
    facts: list[Fact] = []
    stored: int = 0  # nanoseconds since 1970; an entry that was copied into another stream has it


class StreamFollower:
    """Takes each entry of one stream of the log once and in order, whatever the live feed loses."""

    def __init__(self, stream: str, first: int) -> None:
        self.position = first - 1  # of the newest entry that was taken
        self.count = 0
        self.read = False  # up to the stream's end
        self._stream = stream
        self._asking = False

    def take(self, message: NatsMessage) -> bool:
        """Take the entry if it is the next one. False if others are missing before it."""
        position = int(message.headers["Nats-Sequence"])
        if position == self.position + 1:
            self.position, self.count = position, self.count + 1
            _, _, conversation, author = message.headers["Nats-Subject"].split(".")
            entry = msgspec.json.decode(message.body, type=LoggedEntry)
            time = datetime.fromisoformat(message.headers["Nats-Time-Stamp"])
            if entry.stored:
                time = datetime.fromtimestamp(entry.stored / 1e9, UTC)
            for fact in entry.facts:
                note(conversation, author, time, fact)
        return position <= self.position

    async def ask(self, again: bool = False) -> None:
        """Ask for what follows. One question at a time, unless the answer to the last may be lost."""
        if again or not self._asking:
            self._asking = True
            wanted = {"seq": self.position + 1, "next_by_subj": ">", "batch": BATCH}
            await broker.publish(
                wanted, f"$JS.API.DIRECT.GET.{self._stream}", reply_to=f"{ANSWERS}.{self._stream}"
            )

    async def end(self, message: NatsMessage) -> None:
        """A batch has ended."""
        self._asking = False
        if int(message.headers.get("Nats-Num-Pending", 0)) > 0:
            await self.ask()
        else:
            self.read = True


followers: dict[str, StreamFollower] = {}  # one for each stream
waiting: dict[str, datetime] = {}
running: set[asyncio.Task[None]] = set()


@broker.subscriber("live.>", no_reply=True)
async def live(message: NatsMessage) -> None:
    """An entry was stored just now."""
    follower = followers.get(message.headers["Nats-Stream"])
    if follower is not None and not follower.take(message):
        await follower.ask()


@broker.subscriber(f"{ANSWERS}.{{stream}}", no_reply=True)
async def answer(message: NatsMessage) -> None:
    """An entry that was asked for, or the end of a batch."""
    follower = followers[message.path["stream"]]
    if "Status" not in message.headers:
        follower.take(message)
        return
    before = follower.read
    await follower.end(message)
    if not before and all(each.read for each in followers.values()):
        entries = sum(each.count for each in followers.values())
        print(f"read {entries} entries; {len(waiting)} wait", flush=True)


def note(conversation: str, author: str, time: datetime, fact: Fact) -> None:
    """What the fact means for who waits. Twice the same means the same, so entries' ids are not kept."""
    match author, fact.kind:
        case "bot", "HandoffRequested":
            waiting.setdefault(conversation, time)
            print(f"{time:%FT%T} {conversation} waits in {fact.queue}", flush=True)
        case "operator", "ConversationClaimed" if since := waiting.pop(conversation, None):
            seconds = (time - since).total_seconds()
            print(f"{time:%FT%T} {conversation} is with {fact.operator} after {seconds:.1f} s", flush=True)
        case (
            ("visitor", "ConversationReset")
            | ("bot", "HandoffWithdrawn" | "ConversationEnded")
            | ("operator", "ConversationResolved")
        ):
            waiting.pop(conversation, None)


async def about(stream: str) -> dict[str, Any]:
    """What the server says of a stream of the log."""
    info = await broker.request(b"", f"$JS.API.STREAM.INFO.{stream}", timeout=5)
    return msgspec.json.decode(info.body)


async def look() -> None:
    """Look at the end of the log, again and again."""
    while True:
        with contextlib.suppress(Exception):  # while NATS is away
            if not followers:
                number = int((await about("CHAT-0"))["config"]["metadata"].get("streams", "1"))
                names = [f"CHAT-{n}" for n in range(number)]
                firsts = {name: (await about(name))["state"]["first_seq"] or 1 for name in names}
                followers.update({name: StreamFollower(name, first) for name, first in firsts.items()})
            for follower in followers.values():
                await follower.ask(again=True)
        await asyncio.sleep(LOOK_SECONDS)


@app.after_startup
async def begin() -> None:
    running.add(asyncio.create_task(look()))


if __name__ == "__main__":
    asyncio.run(app.run())
