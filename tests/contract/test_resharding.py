"""`switchboard reshard` against the real server: the same conversations in other streams, nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from msgspec.structs import replace
from nats.aio.client import Client

from deploy import provisioning, resharding
from deploy.cli.main import main
from deploy.log_copy import ReshardError
from deploy.provisioning import NEXT, PREVIOUS
from deploy.webhook_provisioning import declare_webhooks, tells_webhooks
from shared.contract import entry, relocation, sealing, subjects
from shared.contract.desk_facts import ConversationRead, NoteWritten
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import (
    AnswerStarted,
    BotSaid,
    ConversationClaimed,
    ConversationErased,
    ConversationStarted,
    ServiceAnswered,
    TextWritten,
    TimerArmed,
)
from shared.contract.sealing import DataKey
from shared.contract.subjects import WEBHOOKS_DURABLE
from shared.eventlog import follower
from shared.eventlog.connection import ConnectionState
from shared.eventlog.errors import Unknown, Unreachable
from shared.eventlog.key_blocks import NAME_BYTES, KeyBlocks
from shared.eventlog.keyring import Keyring
from shared.eventlog.layout import MAX_STREAMS
from shared.eventlog.master_keys import KeyringError, MasterKeys, new_master_key
from shared.eventlog.messages import StoredMessage
from shared.eventlog.provisioning import DeclareError, find_layout, stream_config
from shared.eventlog.subscription import After, Start, Subscription
from shared.service.chat_log import ChatLog, chat_layout, open_log
from shared.service.health import Health
from tests.conftest import MASTERS, Connections, Services
from tests.faults.nodes import Cluster
from tests.processes import MASTER_KEY, ROOT, Service
from tests.replica import Replica, acknowledged, answered, causes, greet, text, until
from tests.visitor import Visitor, address

#: Other conversations, some in each of eight streams.
SOME = [f"{number:032x}" for number in range(200, 240)]
#: Conversations in shards of all kinds.
NAMES = [f"{number:032x}" for number in range(12)]
OWNED, UNANSWERED, TIMED, SEALED, ERASED = (f"{number:032x}" for number in range(100, 105))


class BroughtMessages:
    """A subscription, and what it brought."""

    def __init__(self, world: WrittenLog, start: Start | After) -> None:
        self._world = world
        self._start = start
        self.messages: list[StoredMessage] = []
        self.resets = 0

    async def __aenter__(self) -> BroughtMessages:
        health = Health("operator")
        log = await self._world.log("operator")
        self.subscription = Subscription(
            log,
            ConnectionState(health),
            health,
            self.messages.append,
            self._reset,
            self._start,
            replay_as="operator",
        )
        self._client = log.client
        async with asyncio.timeout(20):
            await self.subscription.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.subscription.stop()
        await self._client.close()

    def _reset(self) -> None:
        self.resets += 1
        self.messages.clear()


class ToldAnywhere(NamedTuple):
    """What a conversation tells, wherever it is."""

    author: str
    id: str
    time: int
    cause: int | None
    facts: tuple[object, ...]
    sealed: bool


class ProcessEnded(Exception):
    """The process ends here."""


class WrittenLog:
    """A log of so many streams, and whoever writes there."""

    def __init__(self, connections: Connections) -> None:
        self.connections = connections
        self.lines: list[str] = []

    async def begin(self, streams: int) -> None:
        self.admin = await self.connections.client("admin")
        await self.again(streams)
        self.masters = MASTERS

    async def again(self, streams: int) -> None:
        await provisioning.wipe(self.admin)
        await provisioning.declare(self.admin, max_bytes=1024**3, streams=streams)

    async def log(self, user: str) -> ChatLog:
        return await self.connections.log(user)

    async def fill(self, names: Sequence[str] = NAMES) -> None:
        """Conversations that the bot has answered, all at the same time; from before words were sealed."""
        visitor, bot = [await open_log(await self.connections.client(user)) for user in ("proxy", "workflow")]
        for turn in range(4):
            for name in names:
                if turn == 0:
                    said: Any = ConversationStarted(door="web")
                else:
                    said = TextWritten(session="s", text=f"{name} {turn}")
                cause = await visitor.append(name, "visitor", Entry(id=f"v{turn}", facts=(said,)))
                await bot.append(
                    name, "bot", Entry(id=str(cause), cause=cause, facts=(BotSaid(text=f"{turn}!"),))
                )
        await self.stop(visitor, bot)

    async def seal(self, name: str) -> set[bytes]:
        """A conversation with all that names a position; the ids of its keys."""
        visitor, bot, operator = [
            await self.connections.log(user) for user in ("proxy", "workflow", "operator")
        ]
        for n in range(3):
            asked = Entry(id=f"v{n}", facts=(TextWritten(session="s", text=f"Where is {n}?"),))
            cause = await visitor.append(name, "visitor", asked)
            for id, fact in (
                (f"service:{cause}:look", ServiceAnswered(cause=cause, state="look", value={"at": 1.50})),
                (f"answer:{cause}:1", AnswerStarted(cause=cause, attempt=1)),
            ):
                await bot.append(name, "bot", Entry(id=id, facts=(fact,)))
            said = Entry(
                id=str(cause),
                cause=cause,
                facts=(
                    BotSaid(text="Here."),
                    TimerArmed(id=f"inactivity:{cause}", at="2999-01-01T00:00:00Z"),
                ),
            )
            await bot.append(name, "bot", said)
            noted = (
                NoteWritten(operator="ann", text=f"Asks for {n}"),
                ConversationRead(operator="ann", position=cause),
            )
            await operator.append(name, "desk", Entry(id=f"d{n}", needs=6, facts=noted))
        keys = {entry.key async for window in visitor.entries(name, desk=True) for entry in window}
        await self.stop(visitor, bot, operator)
        return keys - {b""}

    async def destroy(self, keys: set[bytes]) -> None:
        for key in keys:
            await KeyBlocks(self.admin, self.masters).destroy(key[:NAME_BYTES], [key[NAME_BYTES]])

    async def stop(self, *logs: ChatLog) -> None:
        for log in logs:
            await log.client.close()

    async def reshard(
        self, streams: int, client: Client | None = None, replicas: int = 1, until: str | None = None
    ) -> bool:
        """``until``: it is killed where it says so."""
        self.lines.clear()

        def tell(line: str) -> None:
            self.lines.append(line)
            if until is not None and until in line:
                raise ProcessEnded

        return await resharding.reshard(
            client or self.admin,
            streams,
            lambda: self.masters,
            1024**3,
            replicas,
            tell,
            lambda what, done, total: None,
        )

    async def open_streams(self) -> int:
        """Of how many streams the log is, 0 while none says so."""
        with contextlib.suppress(DeclareError):
            layout = await find_layout(self.admin, chat_layout())
            return layout.streams if layout is not None else 0
        return 0

    def command(self, folder: Path, *words: str) -> subprocess.Popen[str]:
        """The command itself, as a process of its own."""
        server = self.connections.server
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")},
            "PYTHONPATH": str(ROOT),
            "SWITCHBOARD_NATS_URL": server.url(),
            "SWITCHBOARD_NATS_PASSWORD_ADMIN": server.password("admin"),
            "SWITCHBOARD_MASTER_KEY": MASTER_KEY,
            "SWITCHBOARD_LOG_MAX_BYTES": str(1024**3),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "deploy.cli.main", *words],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    async def told(self) -> dict[str, list[ToldAnywhere]]:
        """Every conversation, with the place of an entry in it instead of its position."""
        log = await self.connections.log("reader")
        ring = Keyring(self.admin, self.masters, DataKey)
        found: dict[str, list[RecordedEntry]] = {}
        async for batch in log.read():
            for message in batch:
                id = sealing.key_id(message.data)
                if id is not None:
                    with contextlib.suppress(KeyringError):
                        await ring.get(id)
                args = message.sequence, message.key, message.author, message.time, message.data
                found.setdefault(message.key, []).append(entry.decode(*args, ring.cached))
        await log.client.close()
        return {name: _told(entries) for name, entries in found.items()}


def _told(entries: Sequence[RecordedEntry]) -> list[ToldAnywhere]:
    places = {each.position: place for place, each in enumerate(entries)}

    def placed(fact: Any) -> Any:
        if isinstance(fact, ConversationRead):
            return replace(fact, position=places[fact.position])
        return replace(fact, cause=places[fact.cause]) if hasattr(fact, "cause") else fact

    return [
        ToldAnywhere(
            each.author,
            each.id,
            each.time,
            None if each.cause is None else places[each.cause],
            tuple(map(placed, each.facts)),
            each.sealed,
        )
        for each in entries
    ]


@pytest.fixture
async def world(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> WrittenLog:
    monkeypatch.setattr(resharding, "CONNECTIONS_SECONDS", 0.1)
    return WrittenLog(connections)


CHANGES = pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (4, 8), (8, 3)])


@CHANGES
async def test_every_conversation_is_the_same_in_other_streams(
    world: WrittenLog, before: int, after: int
) -> None:
    await world.begin(before)
    await world.fill()
    await world.seal(SEALED)
    await world.destroy(await world.seal(ERASED))
    await world.told()  # this process wrote it, and reads its own words once without their key
    then = await world.told()
    assert then[SEALED][1].facts == (ServiceAnswered(cause=0, state="look", value={"at": 1.5}),)
    assert then[ERASED][1].sealed

    assert await world.reshard(after)

    assert await world.told() == then
    assert await find_layout(world.admin, chat_layout()) == chat_layout(after)
    log = await world.log("reader")
    assert await log.length() == sum(map(len, then.values()))
    assert [each.author for each in then[SEALED]].count("desk") == 3
    noted = [message.sequence for message in await log.fetch(SEALED, asides=True) if message.author == "desk"]
    assert len(noted) == 3
    for name in then:
        assert await log.last(name) == (await log.fetch(name))[-1].sequence
    for number in range(MAX_STREAMS):
        assert (await stream_config(world.admin, f"CHAT-{number}") is not None) == (number < after)
        assert (await stream_config(world.admin, f"{PREVIOUS}-{number}") is not None) == (number < before)
        assert await stream_config(world.admin, f"{NEXT}-{number}") is None
    # The server's settings are those of a log that was made so.
    await provisioning.declare(world.admin, max_bytes=1024**3, streams=after)
    await resharding.drop_old(world.admin)
    assert await stream_config(world.admin, f"{PREVIOUS}-0") is None


async def test_words_from_before_sealing_do_not_outlive_their_erasure_in_a_copy(world: WrittenLog) -> None:
    """They stand in the open, and the log deletes nothing; what was said after it is copied."""
    await world.begin(2)
    bare, eraser = await world.connections.client("proxy"), await world.log("eraser")

    async def says(id: str, word: str, name: str = ERASED) -> None:
        data = entry.encode(Entry(id=id, facts=(TextWritten(session="s", text=word),)))
        await bare.jetstream().publish(subjects.chat(name, "visitor"), data)

    await says("1", "marmalade")
    await says("1", "marmalade too", SEALED)
    forgotten = (ConversationErased(by="ada"),)
    await eraser.append(ERASED, "eraser", Entry(id="2", needs=4, facts=forgotten))
    await says("3", "toast")
    await world.stop(eraser)
    await bare.close()

    await world.reshard(3)

    told = await world.told()
    assert [fact for each in told[ERASED] for fact in each.facts] == [
        TextWritten(session="", text=""),
        *forgotten,
        TextWritten(session="s", text="toast"),
    ]
    assert told[SEALED][0].facts == (TextWritten(session="s", text="marmalade too"),)
    log = await world.log("reader")
    data = b"".join([message.data async for batch in log.read() for message in batch])
    assert data.count(b"marmalade") == 1


async def test_what_was_not_answered_is_answered_once_and_nothing_again(world: WrittenLog) -> None:
    """Services go on where they stood: unanswered inputs, a person's conversation, armed timers."""
    await world.begin(1)
    replica = await Replica(world.connections).start()
    visitor, operator = await world.log("proxy"), await world.log("operator")
    for name in (*NAMES, OWNED, UNANSWERED):
        await greet(visitor, name)
        await answered(visitor, conversation=name)
        await visitor.append(name, "visitor", text("one"))
        await answered(visitor, conversation=name)
    await replica.crash()
    replica = await Replica(world.connections).start(inactivity=2)
    await greet(visitor, TIMED)
    await until(visitor, lambda state: bool(state.timers.armed), conversation=TIMED)
    await replica.crash()
    claim = Entry(id="c", facts=(ConversationClaimed(operator="ann", name="Ann"),))
    await operator.append(OWNED, "operator", claim)
    await visitor.append(OWNED, "visitor", text("to a person"))
    await visitor.append(UNANSWERED, "visitor", text("two"))
    await visitor.append(UNANSWERED, "visitor", text("three"))
    await world.stop(visitor, operator)
    then = await world.told()

    await world.reshard(4)

    replica = await Replica(world.connections).start(inactivity=2)
    visitor = await world.log("proxy")
    entries = await answered(visitor, conversation=UNANSWERED)
    assert len(set(causes(entries))) == len(causes(entries)) == 4
    # A timer that was armed before fires, and its conversation ends.
    await until(visitor, lambda state: state.ownership.status == "resolved", conversation=TIMED)
    for name in NAMES:
        await visitor.append(name, "visitor", text("again"))
        await answered(visitor, conversation=name)
    now = await world.told()
    assert now[OWNED][: len(then[OWNED])] == then[OWNED]
    assert not [
        each for each in now[OWNED][len(then[OWNED]) :] if each.author == "bot" and each.cause is not None
    ]
    for name, told in then.items():
        assert now[name][: len(told)] == told
        outcomes = [each.cause for each in now[name] if each.cause is not None]
        assert len(outcomes) == len(set(outcomes)), name
    await replica.crash()


# --- it is cut short --------------------------------------------------------------------------


#: At how many places of a run it is cut short (SWITCHBOARD_TEST_CUTS=400 tries them nearly all).
CUTS = int(os.environ.get("SWITCHBOARD_TEST_CUTS", "10"))


class Mortal(Client):
    """A connection whose process ends after so many requests."""

    left = 10**9

    async def request(self, *args: Any, **kwargs: Any) -> Any:
        self._count()
        return await super().request(*args, **kwargs)

    async def publish(self, *args: Any, **kwargs: Any) -> None:
        if args and not str(args[0]).startswith("$JS.API"):  # a request publishes, too
            self._count()
        await super().publish(*args, **kwargs)

    def _count(self) -> None:
        if self.left == 0:
            raise ProcessEnded
        self.left -= 1


async def mortal(world: WrittenLog) -> Mortal:
    client = Mortal()
    server = world.connections.server
    await client.connect(server.url("admin"), inbox_prefix=b"_INBOX_admin")
    return client


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1)])
async def test_cut_short_anywhere_it_ends_whole_or_leaves_the_log_as_it_was(
    world: WrittenLog, before: int, after: int
) -> None:
    """After any number of requests, each time from the beginning: other numbers in each run."""
    seed = int(os.environ.get("SWITCHBOARD_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"SWITCHBOARD_TEST_SEED={seed} repeats this run")
    await world.begin(before)
    await world.fill(NAMES[:4])
    then = await world.told()
    await world.admin.close()
    counting = await mortal(world)
    await world.reshard(after, counting)
    requests = 10**9 - counting.left
    assert requests > 100
    await counting.close()
    world.admin = await world.connections.client("admin")

    step = 1 + requests // CUTS
    for left in range(random.Random(seed).randrange(step), requests, step):
        await world.again(before)
        await world.fill(NAMES[:4])
        then = await world.told()
        await world.admin.close()
        client = await mortal(world)
        client.left = left
        with contextlib.suppress(ProcessEnded):  # or it needed fewer this time, and is done
            await world.reshard(after, client)
        await client.close()
        world.admin = await world.connections.client("admin")
        if await world.open_streams():
            assert await world.told() == then, world.lines
        else:
            with pytest.raises(DeclareError, match="reshard"):
                await provisioning.declare(world.admin, max_bytes=1024**3)
            with pytest.raises(Unreachable, match=r"reshard|setup"):
                await open_log(world.admin)
        await world.reshard(after)
        assert await world.told() == then, (left, world.lines)
        assert await world.open_streams() == after
        assert await stream_config(world.admin, f"{NEXT}-0") is None


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_killed_at_any_moment_it_is_run_again_until_it_is_done(
    world: WrittenLog, tmp_path: Path
) -> None:
    """The command itself, by kill -9, from 1 to 4 to 8 to 1."""
    seed = int(os.environ.get("SWITCHBOARD_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"SWITCHBOARD_TEST_SEED={seed} repeats this run")
    await world.begin(1)
    await world.fill()
    await world.seal(SEALED)
    await world.told()
    then = await world.told()
    await world.admin.close()
    chance, kills = random.Random(seed), 0
    for streams in (4, 8, 1):
        longest = 0.7
        while True:
            process = world.command(tmp_path, "reshard", "--streams", str(streams))
            try:
                out, _ = process.communicate(timeout=chance.uniform(0.4, longest))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills, longest = kills + 1, longest * 1.2
                continue
            assert process.returncode == 0, out
            break
        world.admin = await world.connections.client("admin")
        assert await world.told() == then
        assert await world.open_streams() == streams
        await resharding.drop_old(world.admin)
        await world.admin.close()
    assert kills


# --- it refuses -------------------------------------------------------------------------------


async def test_while_services_are_connected_it_names_them_and_does_nothing(world: WrittenLog) -> None:
    await world.begin(1)
    replica = await Replica(world.connections).start()
    operator = await world.connections.client("operator")
    with pytest.raises(ReshardError, match=r"Connected are: operator, workflow\. Stop these services"):
        await world.reshard(4)
    await replica.crash()
    await operator.close()
    reader, backend = await world.connections.client("reader"), await world.connections.client("backend")
    assert reader.is_connected
    assert backend.is_connected
    assert await world.reshard(4)  # these write nothing


async def test_what_is_appended_meanwhile_opens_the_log_again(world: WrittenLog) -> None:
    """By a service that comes in the middle, or a NATS that does not say who is connected."""
    await world.begin(1)
    await world.fill()
    visitor = await world.log("proxy")
    late = Entry(id="late", facts=(TextWritten(session="s", text="late"),))

    async def nobody(client: Client) -> list[str]:
        if any("Verifying" in line for line in world.lines):
            await visitor.append(NAMES[0], "visitor", late)
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resharding, "users", nobody)
        with pytest.raises(ReshardError, match="something was appended"):
            await world.reshard(4)
    await visitor.append(NAMES[1], "visitor", late)
    then = await world.told()
    assert then[NAMES[0]][-1].id == "late"
    await visitor.client.close()
    assert await world.reshard(4)
    assert await world.told() == then


async def test_the_old_streams_take_nothing_once_they_were_compared(world: WrittenLog) -> None:
    """Else it would be removed with them. Who gives up then sets up again, and nothing is lost either."""
    await world.begin(2)
    await world.fill()
    with pytest.raises(ProcessEnded):
        await world.reshard(4, until="Removing the old CHAT-0")
    visitor = await world.log("proxy")
    late = Entry(id="late", facts=(TextWritten(session="s", text="late"),))
    for name in NAMES[:2]:  # in either stream
        with pytest.raises(Unknown):
            await visitor.append(name, "visitor", late, deadline=0.1)
    await provisioning.declare(world.admin, max_bytes=1024**3)
    for name in NAMES[:2]:
        await visitor.append(name, "visitor", late)
    then = await world.told()
    assert then[NAMES[0]][-1].id == then[NAMES[1]][-1].id == "late"
    await visitor.client.close()
    assert await world.reshard(4)
    assert await world.told() == then


async def test_where_it_stopped_it_can_be_given_up_by_asking_for_the_old_number(world: WrittenLog) -> None:
    await world.begin(1)
    await world.fill()
    then = await world.told()
    with pytest.raises(ProcessEnded):
        await world.reshard(4, until="Removing the old CHAT-0")
    assert not await world.reshard(1)
    assert await world.told() == then
    for name in (f"{NEXT}-0", f"{PREVIOUS}-0"):
        assert await stream_config(world.admin, name) is None
    visitor = await world.log("proxy")
    await visitor.append(NAMES[0], "visitor", text("and on"))


async def test_once_a_stream_is_gone_only_the_same_change_goes_on(world: WrittenLog) -> None:
    await world.begin(2)
    await world.fill()
    then = await world.told()
    with pytest.raises(ProcessEnded):
        await world.reshard(4, until="Removing the old CHAT-1")
    with pytest.raises(ReshardError, match="--streams 4` to finish"):
        await world.reshard(1)
    with pytest.raises(ReshardError, match="not finished"):
        await resharding.drop_old(world.admin)
    with pytest.raises(DeclareError, match="run `switchboard reshard` again"):
        await provisioning.declare(world.admin)
    assert await world.reshard(4)
    assert await world.told() == then


async def test_a_copy_that_differs_is_found(world: WrittenLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is lost, added, changed or answers another input: nothing is switched."""
    await world.begin(1)
    await world.fill()
    then, relocated = await world.told(), relocation.relocated
    for spoil in (
        lambda data: data.replace(b"3!", b"4!"),
        lambda data: data.replace(b'"stored":1', b'"stored":2'),
        lambda data: data.replace(b'"cause":', b'"cause":1'),
        lambda data: data.replace(b'"id":"v2"', b'"id":"v3"'),
    ):

        def spoiled(*args: Any, spoil: Callable[[bytes], bytes] = spoil) -> bytes:
            return spoil(relocated(*args))

        monkeypatch.setattr(relocation, "relocated", spoiled)
        with pytest.raises(ReshardError, match="The log is as it was"):
            await world.reshard(4)
        assert await world.told() == then
    monkeypatch.setattr(relocation, "relocated", relocated)
    assert await world.reshard(4)
    assert await world.told() == then


async def test_without_the_key_of_sealed_words_nothing_is_copied(world: WrittenLog) -> None:
    """They are bound to the position of what they answer, and could not be sealed again."""
    await world.begin(1)
    await world.seal(SEALED)
    await world.told()
    then, world.masters = await world.told(), MasterKeys.parse(new_master_key())
    with pytest.raises(KeyringError):
        await world.reshard(4)
    world.masters = MASTERS
    assert await world.told() == then
    assert await world.reshard(4)
    assert await world.told() == then


async def test_the_streams_from_before_are_kept_until_they_are_dropped(world: WrittenLog) -> None:
    await world.begin(1)
    await world.fill()
    with pytest.raises(ReshardError, match="there is no log yet"):
        await provisioning.wipe(world.admin)
        await world.reshard(2)
    await world.again(1)
    await world.fill()
    entries = await (await world.log("reader")).length()
    assert not await world.reshard(1)
    assert await world.reshard(2)
    assert not await world.reshard(2)
    info = await world.admin.jsm().stream_info(f"{PREVIOUS}-0")
    assert info.state.messages == entries
    with pytest.raises(ReshardError, match="--drop-old"):
        await world.reshard(4)
    assert await resharding.drop_old(world.admin) == [f"{PREVIOUS}-0"]
    assert await world.reshard(4)


# --- and what reads it then -------------------------------------------------------------------


async def test_readers_begin_anew_and_read_a_log_whose_first_position_is_not_1(
    world: WrittenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a stream has no entry at all, by replay, and behind an old checkpoint."""
    monkeypatch.setattr(follower, "MAX_BUFFERED", 10)  # so that the replay consumers are used
    await world.begin(1)
    await world.fill(NAMES[:2])
    async with BroughtMessages(world, Start.BEGINNING) as reading:
        old = reading.subscription.checkpoint
        count = len(reading.messages)
    assert await world.reshard(8)
    assert await resharding.drop_old(world.admin)
    assert await world.reshard(1)
    for start in (Start.BEGINNING, After(old)):
        async with BroughtMessages(world, start) as reading:
            assert len(reading.messages) == reading.subscription.count == count
            assert not {each.sequence for each in reading.messages} & set(range(1, count + 1))
            assert reading.resets == (start is not Start.BEGINNING)
    await resharding.drop_old(world.admin)
    assert await world.reshard(8)
    for start, first in ((Start.BEGINNING, count), (Start.END, 0)):
        async with BroughtMessages(world, start) as reading:
            for name in SOME:  # a connection was lost, and nothing came meanwhile
                reading.subscription.of(name).lost()
            async with asyncio.timeout(10):
                await reading.subscription.known()
            assert (len(reading.messages), reading.resets) == (first, 0)
            writer = await world.log("proxy")
            for number, name in enumerate(SOME):
                hello = Entry(id=f"{start}", facts=(TextWritten(session="s", text="hello"),))
                sequence = await writer.append(name, "visitor", hello)
                await reading.subscription.of(name).reached(sequence)
                assert len(reading.messages) == first + number + 1
            await writer.client.close()
        count += 40


async def test_nothing_that_has_its_outcome_is_delivered_again(world: WrittenLog) -> None:
    """The workflow would look at all that was ever written, and fold every conversation for it."""
    await world.begin(1)
    replica = await Replica(world.connections).start()
    visitor = await world.log("proxy")
    for name in NAMES:
        await greet(visitor, name)
        await answered(visitor, conversation=name)
    await acknowledged(replica, ["CHAT-0"])
    await replica.crash()
    await visitor.append(NAMES[0], "visitor", text("while it is away"))
    await visitor.client.close()

    await world.reshard(4)

    manager, pending = world.admin.jsm(), 0
    for number in range(4):
        info = await manager.consumer_info(f"CHAT-{number}", "workflow")
        pending += info.num_pending or 0
    assert pending == 1


async def test_whom_webhooks_tell_is_told_what_they_were_not_yet_and_nothing_again(
    world: WrittenLog,
) -> None:
    await world.begin(2)
    await world.fill()
    for stream in ("CHAT-0", "CHAT-1"):
        await declare_webhooks(world.admin, stream)
    visitor = await world.log("proxy")
    for name in NAMES[:5]:
        await visitor.append(name, "visitor", text("told nobody yet"))
    await world.stop(visitor)

    await world.reshard(4)

    pending = [
        (await world.admin.jetstream().consumer_info(f"CHAT-{n}", WEBHOOKS_DURABLE)).num_pending
        for n in range(4)
    ]
    assert sum(each or 0 for each in pending) == 5
    await provisioning.declare(world.admin, max_bytes=1024**3)  # it finds all as it should be


async def test_a_log_without_webhooks_has_none_in_other_streams(world: WrittenLog) -> None:
    await world.begin(1)
    await world.fill()
    await world.reshard(2)
    assert not await tells_webhooks(world.admin, "CHAT-0")


async def test_the_command_says_what_it_does(
    world: WrittenLog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.begin(1)
    await world.fill()
    server = world.connections.server
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWITCHBOARD_NATS_URL", server.url())
    monkeypatch.setenv("SWITCHBOARD_NATS_PASSWORD_ADMIN", server.password("admin"))
    monkeypatch.setenv("SWITCHBOARD_LOG_MAX_BYTES", str(1024**3))

    async def command(*words: str) -> int:
        return await asyncio.to_thread(main, ["reshard", *words])

    assert await command("--streams", "2") == 1  # this test's own connection
    assert "Connected are: admin" in capsys.readouterr().err
    await world.admin.close()
    assert await command("--streams", "2") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == ["Copying 96 entries from 1 stream(s) to 2.", "Verifying the copy."]
    assert "The log has 2 stream(s) now." in said
    assert await command("--streams", "2") == 0
    assert capsys.readouterr().out == "The log has 2 stream(s) already.\n"
    assert await command("--drop-old") == 0
    assert capsys.readouterr().out == "Removed: CHAT-PREVIOUS-0.\n"
    for words in (("--streams", "9"), ("--streams", "0"), ()):
        with pytest.raises(SystemExit):
            await command(*words)


async def test_the_services_go_on_and_say_the_same(world: WrittenLog, services: Services) -> None:
    """A browser is told `reset` and all that it had; the numbers and the desk's times are the same."""
    await world.begin(1)
    names = ("workflow", "proxy", "operator", "analytics")
    started = [await services.start(name) for name in names]
    async with Visitor(started[1].url) as visitor, Visitor(started[1].url, 2) as other:
        for each in (visitor, other, visitor, visitor):
            await each.answer()
            await each.settled()
            await each.question()
        seen = visitor.transcript.copy()
        length = await (await world.log("reader")).length()
        numbers = await summary(started[3], length)
        for service in started:
            service.kill()
        await world.reshard(4)
        started = [await services.start(name) for name in names]
        assert await summary(started[3], length) == numbers
        for each in (visitor, other):
            each.urls = [address(started[1].url)]
        await visitor.until(lambda each: each.resets and len(each.transcript) >= len(without_acks(seen)))
        assert said_in(visitor.transcript) == said_in(seen)
        for each in (visitor, other):
            await each.answer()
            await each.settled()
            await each.question()
    told = await world.told()
    for name, entries in told.items():
        outcomes = [each.cause for each in entries if each.cause is not None]
        assert len(outcomes) == len(set(outcomes)), name


async def summary(service: Service, length: int) -> dict[str, Any]:
    """What analytics says of so many entries, but for what depends on the moment."""
    async with httpx.AsyncClient() as client, asyncio.timeout(20):
        while True:
            answer = await client.get(f"{service.url}/api/summary")
            if answer.status_code == 200 and answer.json()["position"] >= length:
                return {key: value for key, value in answer.json().items() if key not in ("generated", "lag")}
            await asyncio.sleep(0.02)


def without_acks(transcript: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [frame for frame in transcript if frame["kind"] != "Ack"]


def said_in(transcript: list[dict[str, Any]]) -> list[str]:
    """What the bot said, in order."""
    return [frame["content"] for frame in transcript if "content" in frame and frame["kind"] == "BotText"]


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_on_a_cluster_the_copies_have_as_many_replicas(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    await asyncio.to_thread(cluster.start)
    try:
        await cluster.settled()
        world = WrittenLog(Connections(cluster))
        world.admin, world.masters = await world.connections.client("admin"), MASTERS
        await provisioning.declare(world.admin, max_bytes=1024**3, replicas=3, streams=1)
        await world.fill()
        then = await world.told()
        assert await world.reshard(4, replicas=3)
        assert await world.told() == then
        for number in range(4):
            info = await world.admin.jsm().stream_info(f"CHAT-{number}")
            assert info.config.num_replicas == 3
        await world.connections.close()
    finally:
        cluster.kill()
