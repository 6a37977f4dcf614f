"""Fills a log with valid conversations, as fast as the server takes them.

The entries are what the proxy and the workflow would have written: the pure core makes one
conversation of each length, and its copies differ in name, ids and positions. The visitors' entries
and the bot's go in turns, a wave at a time, so that every position is known before it is given.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final, Protocol

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.contract import subjects
from shared.contract.conversation import NEW, evolve
from shared.contract.entry import Entry, RecordedEntry, encode
from shared.contract.facts import Author, ChoiceMade, ConversationStarted, Fact
from shared.flow.decide import Moment, respond
from shared.flow.language.flow import Flow, parse
from shared.service.chat_log import ChatLog, flow_store, open_log
from tests.bench.stage import FLOW

#: Conversations that are under way at once, so that each is spread over its length times this many
#: entries of the log. Also the entries on their way at once: below what the server queues.
WAVE: Final = 500


class Template(msgspec.Struct, frozen=True):
    """A conversation's entries: author, what is before the cause, what is behind it."""

    entries: tuple[tuple[Author, bytes], ...]
    frames: int


def secret(number: int) -> str:
    """The cookie of the visitor with this number."""
    return hashlib.md5(str(number).encode()).hexdigest()


def template(length: int, flow: Flow) -> Template:
    """A conversation of ``length`` entries, as the core leads it."""
    state = NEW
    entries: list[tuple[Author, bytes]] = []
    frames = 0
    answers = (ChoiceMade(group="topic", item="hours"), ChoiceMade(group="more", item="yes"))
    for position in range(1, length + 1):
        author: Author = "visitor" if position % 2 else "bot"
        if author == "visitor":
            fact: Fact = (
                answers[position // 2 % 2 - 1] if position > 1 else ConversationStarted(door="websocket")
            )
            entry = Entry(id="ID", facts=(fact,))
        else:
            decided = respond(state, state.inbox.unanswered[0], flow, Moment(now=position))
            assert isinstance(decided, Entry), "the template's flow needs nothing from outside"
            entry = decided
        kinds = [type(fact).__name__ for fact in entry.facts]
        assert "InputRefused" not in kinds, "the template does not follow the flow"
        frames += sum(kind in ("BotSaid", "ChoiceAsked", "ChoiceMade") for kind in kinds)
        recorded = RecordedEntry(
            position=position,
            conversation="",
            author=author,
            time=position,
            id=f"{author}{position}",
            cause=entry.cause,
            facts=entry.facts,
        )
        state = evolve(state, recorded)
        data = encode(Entry(id="ID", cause=entry.cause, facts=entry.facts))
        entries.append((author, data.replace(b'"ID"', b'"%d"', 1)))
    return Template(tuple(entries), frames)


class Clients(Protocol):
    """Who connects to the server as one of its users: a `Stack`, say."""

    async def client(self, user: str, /) -> Client: ...


class Filler:
    """Fills the log of ``stack``, which no other program writes meanwhile. Its workflow must not run."""

    def __init__(self, stack: Clients) -> None:
        self._stack = stack
        flow = parse(FLOW.read_bytes(), FLOW.stem)
        self._flow = flow
        self._templates: dict[int, Template] = {}
        self.cookies: dict[int, list[str]] = {}
        self._number = 0

    def frames(self, length: int) -> int:
        """Frames that a returning visitor of a conversation of this length is sent."""
        return self._template(length).frames

    async def fill(self, length: int, count: int, at_once: int = WAVE) -> list[str]:
        """Append ``count`` conversations of ``length`` entries, ``at_once`` so many; their cookies."""
        clients: dict[Author, Client] = {
            "visitor": await self._stack.client("proxy"),
            "bot": await self._stack.client("workflow"),
        }
        log = await open_log(clients["bot"])
        await flow_store(log).put(self._flow.version, self._flow.content)
        ends = list(await log.ends())
        added: list[str] = []
        while count:
            wave = min(count, at_once)
            cookies = [secret(self._number + i) for i in range(wave)]
            self._number += wave
            added += cookies
            names = [subjects.conversation_of(cookie, "websocket") for cookie in cookies]
            await self._wave(clients, log, self._template(length), names, ends)
            count -= wave
        for client in clients.values():
            await client.close()
        if at_once == WAVE:
            self.cookies.setdefault(length, []).extend(added)
        return added

    async def last(self) -> int:
        """How many entries there are."""
        client = await self._stack.client("workflow")
        last = await (await open_log(client)).length()
        await client.close()
        return last

    async def skip_workflow(self) -> None:
        """Everything filled in has its outcome: the workflow's durable goes on behind it."""
        client = await self._stack.client("admin")
        log = await open_log(client)
        for name, last in zip(log.layout.names, await log.ends(), strict=True):
            address = f"$JS.API.CONSUMER.RESET.{name}.{subjects.WORKFLOW_DURABLE}"
            reply = await client.request(address, msgspec.json.encode({"seq": last + 1}), timeout=10)
            assert msgspec.json.decode(reply.data)["num_pending"] == 0, reply.data
        await client.close()

    def _template(self, length: int) -> Template:
        if length not in self._templates:
            self._templates[length] = template(length, self._flow)
        return self._templates[length]

    async def _wave(
        self, clients: dict[Author, Client], log: ChatLog, made: Template, names: list[str], ends: list[int]
    ) -> None:
        """One entry of each conversation after the other. ``ends``: the last position of each stream."""
        positions = [0] * len(names)
        places = [subjects.chat(name, "visitor").removesuffix("visitor") for name in names]
        for author, data in made.entries:
            client = clients[author]
            cause = b'"cause":%d' % data_cause(data)
            for index, place in enumerate(places):
                stream = log.layout.stream_of(names[index])
                ends[stream] += 1
                asked, position = positions[index], ends[stream]
                positions[index] = position
                if author == "bot":
                    body = (data % asked).replace(cause, b'"cause":%d' % asked, 1)
                else:
                    body = data % position
                headers = {"Nats-Msg-Id": f"{author}:{names[index]}:{position}"}
                await client.publish(place + author, body, headers=headers)
            await client.flush(timeout=60)
            await _reached(log, sum(ends))


def data_cause(data: bytes) -> int:
    """The cause in an entry's bytes, 0 for none."""
    return msgspec.json.decode(data % 0, type=Entry).cause or 0


async def _reached(log: ChatLog, last: int) -> None:
    for _ in range(2_000):
        try:
            if await log.length() >= last:
                return
        except (nats.errors.Error, TimeoutError):
            pass
        await asyncio.sleep(0.005)
    raise AssertionError(f"the server did not take everything up to {last}")
