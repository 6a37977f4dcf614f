"""The subscription when the store is put back from a copy: two logs never mix, and doubt is never used."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
from nats.aio.client import Client

from deploy.local.embedded import EmbeddedNats
from deploy.provisioning import new_epoch
from services.workflow.repository import Repository
from services.workflow.state_cache import StateCache
from shared.contract.conversation import NEW, Conversation, evolve
from shared.contract.entry import Entry
from shared.eventlog import follower as following
from shared.eventlog.connection import ConnectionState, inbox_prefix
from shared.eventlog.errors import Conflict, Unreachable
from shared.eventlog.live_connection import LiveConnection
from shared.eventlog.log import MakeStream
from shared.eventlog.messages import StoredMessage
from shared.eventlog.protocol_reader import TakeLive
from shared.eventlog.stream import MAX_IN_FLIGHT, Stream
from shared.eventlog.subscription import MakeFeed
from shared.eventlog.witness import Appended
from shared.service.chat_log import ChatLog, open_log
from shared.service.conversation_keys import keys_of
from shared.service.health import Health
from shared.service.live_entries import LiveEntries
from tests import examples
from tests.conftest import HAVE_KEYS, MASTERS, Connections
from tests.contract.test_subscription import Followed, grow
from tests.faults.injectors import Pause, changed, halting, hesitant, late, late_proof, late_question, lossy

C = examples.CONVERSATION


class Store:
    """The server's files, copied and put back as an administrator would."""

    def __init__(self, server: EmbeddedNats, copy: Path) -> None:
        self._server = server
        self._copy = copy

    async def copy(self) -> None:
        await asyncio.to_thread(self._server.stop)
        shutil.copytree(self._server.folder / "nats", self._copy)
        await asyncio.to_thread(self._server.start)

    async def put_back(self) -> None:
        await asyncio.to_thread(self._server.stop)
        shutil.rmtree(self._server.folder / "nats")
        shutil.copytree(self._copy, self._server.folder / "nats")
        await asyncio.to_thread(self._server.start)


class Watching(Followed):
    """Remembers all that was ever delivered, also what was dropped by a reset."""

    def __init__(
        self,
        log: ChatLog,
        link: ConnectionState,
        feed: MakeFeed = LiveConnection,
        from_beginning: bool = True,
    ) -> None:
        super().__init__(log, link, from_beginning=from_beginning, feed=feed)
        self.log = log
        self.ever: list[StoredMessage] = []
        self._entries: LiveEntries | None = None
        self._folds: StateCache | None = None

    def _take(self, message: StoredMessage) -> None:
        super()._take(message)
        self.ever.append(message)
        if self._entries is not None:
            self._entries.take(message)

    def _reset(self) -> None:
        super()._reset()
        if self._entries is not None and self._folds is not None:
            self._entries.reset()
            self._folds.forget()

    def folding(self) -> Repository:
        """The log as the workflow uses it, from here on."""
        self._folds = StateCache()
        self._entries = LiveEntries(self.log, self._folds.give, self._folds.wants)
        return Repository(self.log, self.subscription, self._entries, self._folds)

    @property
    def content(self) -> list[tuple[int, int]]:
        return [(message.sequence, message.time) for message in self.messages]


class RestoreLab:
    """A subscription whose connections notice each loss, and a writer beside it."""

    def __init__(self, connections: Connections, writer: ChatLog, folder: Path) -> None:
        self._connections = connections
        self.writer = writer
        self.store = Store(connections.server, folder / "copy")
        self.started: list[Followed] = []
        self._clients: list[Client] = []
        self._written = 0

    async def follow(
        self,
        reads: MakeStream = Stream,
        feed: MakeFeed = LiveConnection,
        from_beginning: bool = True,
        user: str = "analytics",
        link: ConnectionState | None = None,
    ) -> Watching:
        health = Health("test")
        link = link or ConnectionState(health)
        client = Client()
        self._clients.append(client)
        await client.connect(
            self._connections.server.url(user),
            inbox_prefix=inbox_prefix(user).encode(),
            error_cb=link.error,
            disconnected_cb=link.disconnected,
            reconnected_cb=link.connected,
            reconnect_time_wait=0.05,  # type: ignore[arg-type]
            max_reconnect_attempts=-1,
        )
        keys = keys_of(client, MASTERS, link, health) if user in HAVE_KEYS else None
        followed = Watching(await open_log(client, keys, reads), link, feed, from_beginning)
        self.started.append(followed)
        await followed.subscription.start()
        return followed

    async def grow(self, count: int) -> None:
        await grow(self.writer, self._written, count)
        self._written += count

    async def content(self) -> list[tuple[int, int]]:
        """Position and time of all that is stored now."""
        async with asyncio.timeout(20):
            while True:
                try:
                    return [
                        (each.sequence, each.time)
                        async for batch in self.writer.stream_of(C).read(1)
                        for each in batch
                    ]
                except Unreachable:  # it connects anew
                    await asyncio.sleep(0.05)

    async def close(self) -> None:
        for followed in self.started:
            await followed.subscription.stop()
        for client in self._clients:
            await client.close()


@pytest.fixture
async def lab(connections: Connections, tmp_path: Path) -> AsyncIterator[RestoreLab]:
    lab = RestoreLab(connections, await connections.log("proxy"), tmp_path)
    yield lab
    await lab.close()


async def settled(lab: RestoreLab, followed: Watching) -> None:
    """Until the subscription has what is stored now, and is certain of it."""
    stored = await lab.content()
    async with asyncio.timeout(20):
        while not followed.subscription.certain or followed.follower.sequence < len(stored):
            await asyncio.sleep(0.02)
    assert followed.content == stored


@pytest.mark.parametrize(
    ("first", "copied", "lost", "grown"),
    [(5, 2, 3, 5), (5, 1, 4, 8), (5, 2, 3, 2), (1, 4, 9, 30)],
    ids=["grown beyond", "grown far beyond", "still shorter", "other sizes"],
)
async def test_what_was_fetched_between_two_losses_is_proven_too(
    lab: RestoreLab, first: int, copied: int, lost: int, grown: int
) -> None:
    """Lost, and lost again while the gap is fetched; then the store is one that lacks a part of the gap."""
    ends, reads = Pause(), Pause()
    followed = await lab.follow(halting(ends, reads))
    await lab.grow(first)
    await followed.reached(first)
    ends.begin()
    await ends.felt.wait()
    await lab.grow(copied)
    await lab.store.copy()  # the first loss
    await lab.grow(lost)
    reads.begin()
    ends.end()
    await reads.felt.wait()
    newest = first + copied + lost
    assert followed.positions == list(range(1, newest + 1))
    assert not followed.subscription.certain
    await lab.store.put_back()  # the second
    await lab.grow(grown)
    reads.end()
    await settled(lab, followed)
    assert followed.resets == 1


async def test_a_loss_in_the_middle_of_the_first_reading_is_proven_too(lab: RestoreLab) -> None:
    """The reading of a long log begins on one and goes on on another."""
    ends, reads = Pause(), Pause()
    await lab.grow(4)
    await lab.store.copy()
    await lab.grow(6)
    reads.begin()
    starting = asyncio.create_task(lab.follow(halting(ends, reads)))
    await reads.felt.wait()
    await lab.store.put_back()
    await lab.grow(16)
    reads.end()
    followed = await starting
    await settled(lab, followed)
    assert followed.resets == 1


async def test_a_proof_that_was_given_before_a_loss_counts_no_more_after_it(lab: RestoreLab) -> None:
    """The answer was on its way when the store was put back."""
    pause = Pause()
    followed = await lab.follow(late_proof(pause), lossy(lambda message: message.sequence > 5))
    await lab.grow(3)
    await lab.store.copy()
    await lab.grow(2)
    await followed.reached(5)
    pause.begin()
    await pause.felt.wait()
    await lab.store.put_back()
    await lab.grow(9)
    async with asyncio.timeout(20):
        while followed.subscription.certain or followed.health.reasons.keys() & {"feed", "nats"}:
            await asyncio.sleep(0.02)
    pause.end()
    await settled(lab, followed)
    assert followed.resets == 1


async def test_where_a_follower_begins_is_proven_too(lab: RestoreLab) -> None:
    """The log's end was told, and then the store was put back: its positions are not the old one's."""
    pause = Pause()
    await lab.grow(3)
    await lab.store.copy()
    await lab.grow(7)
    pause.begin()
    starting = asyncio.create_task(lab.follow(late_proof(pause), from_beginning=False))
    await pause.felt.wait()
    await lab.store.put_back()
    await lab.grow(9)
    pause.end()
    followed = await starting
    async with asyncio.timeout(20):
        await followed.subscription.known()
        while not followed.subscription.certain or followed.follower.sequence != 12:
            await asyncio.sleep(0.02)
    assert followed.resets == 1


async def test_a_follower_does_not_begin_at_an_end_that_is_no_more(lab: RestoreLab) -> None:
    """The log's end was told, and a shorter copy took its place before that entry was looked at."""
    pause = Pause()
    await lab.grow(3)
    await lab.store.copy()
    await lab.grow(7)
    pause.begin()
    starting = asyncio.create_task(lab.follow(late_question(pause), from_beginning=False))
    await pause.felt.wait()
    await lab.store.put_back()
    pause.end()
    followed = await starting
    assert followed.follower.sequence == 3


async def test_a_log_that_is_shorter_than_it_was_said_to_be_holds_nobody_up(lab: RestoreLab) -> None:
    """Its end was told just before a copy took its place that lacks it, and nothing new is written."""
    pause = Pause()
    followed = await lab.follow(late(pause), lossy(lambda message: message.sequence > 5))
    await lab.grow(7)
    await lab.store.copy()
    await lab.grow(3)
    await followed.reached(5)
    pause.begin()
    await pause.felt.wait()
    await lab.store.put_back()
    pause.end()
    await settled(lab, followed)
    assert followed.positions == [1, 2, 3, 4, 5, 6, 7]


async def test_another_log_that_is_longer_is_known_by_the_time_of_the_newest_entry(lab: RestoreLab) -> None:
    """The feed brings nothing and the log is looked at only when it has grown: no other sign is left."""
    pause = Pause()
    followed = await lab.follow(hesitant(pause), lossy(lambda message: message.sequence > 5))
    await lab.grow(5)
    await lab.store.copy()
    await lab.grow(5)
    await followed.reached(10)
    pause.begin()
    await pause.felt.wait()
    await lab.store.put_back()
    await lab.grow(12)
    pause.end()
    await settled(lab, followed)
    assert followed.resets == 1


async def test_another_log_that_is_shorter_is_known_by_what_it_lacks(lab: RestoreLab) -> None:
    followed = await lab.follow(feed=lossy(lambda message: message.sequence > 5))
    await lab.grow(5)
    await lab.store.copy()
    await lab.grow(5)
    await followed.reached(10)
    await lab.store.put_back()
    async with asyncio.timeout(20):
        while not followed.resets:
            await asyncio.sleep(0.02)
    await settled(lab, followed)
    assert followed.positions == [1, 2, 3, 4, 5]


async def test_a_new_epoch_begins_all_anew_though_every_entry_is_the_same(
    lab: RestoreLab, connections: Connections
) -> None:
    followed = await lab.follow()
    await lab.grow(5)
    await followed.reached(5)
    before = followed.follower.epoch
    await new_epoch(await connections.client("admin"))
    async with asyncio.timeout(20):
        while not followed.resets:
            await asyncio.sleep(0.02)
    await settled(lab, followed)
    assert followed.follower.epoch != before


@pytest.mark.parametrize("grown", [6, 9], ids=["what is next", "and more"])
async def test_what_comes_live_while_in_doubt_waits(lab: RestoreLab, grown: int) -> None:
    """An entry of the new log, at the position that would have been next on the old one."""
    pause, heard, found = Pause(), list[int](), asyncio.Event()

    def told(client: Client, lives: Mapping[str, TakeLive], *told: Callable[[], None]) -> LiveConnection:
        def listening(take: TakeLive) -> TakeLive:
            def listen(message: StoredMessage) -> None:
                take(message)
                heard.append(message.sequence)

            return listen

        def back() -> None:
            told[1]()
            found.set()

        return LiveConnection(client, changed(lives, listening), told[0], back)

    followed = await lab.follow(hesitant(pause), told)
    await lab.grow(5)
    await lab.store.copy()
    await lab.grow(5)
    await followed.reached(10)
    pause.begin()
    await pause.felt.wait()
    heard.clear()
    found.clear()
    await lab.store.put_back()
    async with asyncio.timeout(20):
        await found.wait()
        await lab.grow(grown)
        while 5 + grown not in heard:
            await asyncio.sleep(0.02)
    assert followed.positions == list(range(1, 11))
    pause.end()
    await settled(lab, followed)
    assert followed.resets == 1


async def test_no_conversation_is_folded_while_the_log_is_in_doubt(lab: RestoreLab) -> None:
    """What is loaded then may lack what came meanwhile, or be of a log that is no more."""
    pause = Pause()
    followed = await lab.follow(hesitant(pause), user="workflow")
    await lab.grow(3)
    await lab.store.copy()
    await lab.grow(3)
    await followed.reached(6)
    repository = followed.folding()
    pause.begin()
    await pause.felt.wait()
    await lab.store.put_back()
    async with asyncio.timeout(20):
        while followed.health.reasons.keys() & {"feed", "nats"} or followed.subscription.certain:
            await asyncio.sleep(0.02)
    folding = asyncio.create_task(repository.fold(examples.CONVERSATION))
    for _ in range(3):  # it could have been loaded as often
        assert len(await followed.log.fetch(examples.CONVERSATION)) == 3
    assert not folding.done()
    pause.end()
    assert (await asyncio.wait_for(folding, 20)).position == 3
    assert followed.resets == 1


@pytest.mark.parametrize("grown", [0, 2, 5, 30], ids=["still shorter", "not as long", "as long", "beyond"])
async def test_what_was_folded_ahead_of_the_follower_is_proven_too(lab: RestoreLab, grown: int) -> None:
    """The store that is put back ends between the subscription's position and the fold's newest entry."""
    pause = Pause()
    followed = await lab.follow(hesitant(pause), lossy(lambda message: message.sequence > 5), user="workflow")
    await lab.grow(5)
    await followed.reached(5)
    pause.begin()
    await pause.felt.wait()
    await lab.grow(2)
    await lab.store.copy()
    pause.end()
    async with asyncio.timeout(20):
        while followed.follower.sequence < 7 or not followed.subscription.certain:
            await asyncio.sleep(0.02)
    pause.begin()
    await pause.felt.wait()
    await lab.grow(5)
    repository = followed.folding()
    ahead = await repository.fold(examples.CONVERSATION)
    assert (ahead.position, followed.follower.sequence) == (12, 7)
    await lab.store.put_back()
    await lab.grow(grown)
    pause.end()
    await settled(lab, followed)
    assert followed.resets == 1
    assert await repository.fold(examples.CONVERSATION) == await fresh(lab)


@pytest.mark.parametrize("grown", [0, 1, 9], ids=["shorter", "as long", "beyond"])
async def test_what_was_appended_ahead_of_the_follower_is_proven_too(lab: RestoreLab, grown: int) -> None:
    """It is acknowledged, the feed has not brought it, and the store that is put back lacks it."""
    pause = Pause()
    followed = await lab.follow(
        hesitant(pause), lossy(lambda message: message.sequence > 5), from_beginning=True, user="workflow"
    )
    await lab.grow(5)
    await followed.reached(5)
    await lab.store.copy()
    async with asyncio.timeout(20):
        while followed.health.reasons.keys() & {"feed", "nats"} or not followed.subscription.certain:
            await asyncio.sleep(0.02)
    pause.begin()
    await pause.felt.wait()
    repository = followed.folding()
    state = await repository.fold(examples.CONVERSATION)
    said = Entry(id="1", cause=1, facts=(examples.BOT_SAID,))
    assert (await repository.append(examples.CONVERSATION, said, state)).position == 6
    assert followed.follower.sequence == 5
    await lab.store.put_back()
    await lab.grow(grown)
    pause.end()
    await settled(lab, followed)
    assert followed.resets == 1
    assert await repository.fold(examples.CONVERSATION) == await fresh(lab)


async def test_what_was_read_or_appended_and_is_still_there_resets_nobody(lab: RestoreLab) -> None:
    pause = Pause()
    followed = await lab.follow(hesitant(pause), lossy(lambda message: message.sequence > 5), user="workflow")
    await lab.grow(5)
    await followed.reached(5)
    pause.begin()
    await pause.felt.wait()
    await lab.grow(5)
    repository = followed.folding()
    state = await repository.fold(examples.CONVERSATION)
    said = Entry(id="1", cause=1, facts=(examples.BOT_SAID,))
    state = await repository.append(examples.CONVERSATION, said, state)
    await lab.store.copy()
    pause.end()
    await settled(lab, followed)
    assert followed.resets == 0
    assert await repository.fold(examples.CONVERSATION) is state


async def test_a_store_that_is_put_back_without_a_loss_is_known_by_what_was_read_ahead(
    lab: RestoreLab,
) -> None:
    """As when an administrator restores the stream under a server that goes on."""
    pause, deaf = Pause(), list[bool]()

    def silent(client: Client, lives: Mapping[str, TakeLive], *told: Callable[[], None]) -> LiveConnection:
        def lost() -> None:
            if not deaf:
                told[0]()

        return lossy(lambda message: message.sequence > 5)(client, lives, lost, told[1])

    class Unaware(ConnectionState):
        async def disconnected(self) -> None:
            if not deaf:
                await super().disconnected()

    followed = await lab.follow(hesitant(pause), silent, link=Unaware(Health("test")))
    await lab.grow(5)
    await followed.reached(5)
    await lab.store.copy()
    await settled(lab, followed)
    pause.begin()
    await pause.felt.wait()
    await lab.grow(5)
    assert len(await followed.log.fetch(examples.CONVERSATION)) == 10
    deaf.append(True)
    await lab.store.put_back()
    await lab.grow(9)
    pause.end()
    await settled(lab, followed)
    assert followed.resets == 1


async def test_something_else_in_the_place_of_what_was_appended_is_of_another_log(lab: RestoreLab) -> None:
    followed = await lab.follow()
    await lab.grow(3)
    await followed.reached(3)
    followed.follower.stored(4, Appended(examples.CONVERSATION, "visitor", b"was here"))
    await lab.grow(2)
    async with asyncio.timeout(20):
        while not followed.resets:
            await asyncio.sleep(0.02)
    await settled(lab, followed)


async def test_a_read_during_which_a_connection_was_lost_says_nothing(lab: RestoreLab) -> None:
    """Nobody could say which log the answer is of."""
    followed = await lab.follow()
    await lab.grow(3)
    reading = asyncio.create_task(followed.log.fetch(examples.CONVERSATION))
    while not followed.log.unused < MAX_IN_FLIGHT:
        await asyncio.sleep(0)
    followed.subscription._feed_lost()
    with pytest.raises(Unreachable):
        await reading
    followed.subscription._feed_found()
    assert len(await followed.log.fetch(examples.CONVERSATION)) == 3


async def test_nothing_is_appended_to_another_log_that_is_as_long(lab: RestoreLab) -> None:
    """The server compares positions alone: there the expectation of what was folded before holds."""
    followed = await lab.follow(user="workflow")
    repository = followed.folding()
    await lab.grow(3)
    await lab.store.copy()
    await settled(lab, followed)
    await lab.grow(2)
    await followed.reached(5)
    state = await repository.fold(examples.CONVERSATION)
    assert state.position == 5
    await lab.store.put_back()
    await lab.grow(2)
    await settled(lab, followed)
    with pytest.raises(Conflict):
        await repository.append(
            examples.CONVERSATION, Entry(id="1", cause=1, facts=(examples.BOT_SAID,)), state
        )
    assert len(await lab.content()) == 5


async def fresh(lab: RestoreLab) -> Conversation:
    """The conversation, folded from what is stored now; after `settled`, the writer is there."""
    state = NEW
    async for window in lab.writer.entries(examples.CONVERSATION):
        for recorded in window:
            state = evolve(state, recorded)
    return state


async def test_whoever_waits_has_the_log_asked_where_the_feed_brings_nothing(
    lab: RestoreLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not at the next regular look, which is far away: at once."""
    monkeypatch.setattr(following, "CHECK_SECONDS", 3600.0)
    followed = await lab.follow(feed=lossy(lambda message: True))
    await lab.grow(3)
    async with asyncio.timeout(20):
        await followed.reached(3)
    await lab.grow(3)  # and the next one, too
    async with asyncio.timeout(20):
        await followed.reached(6)
    assert followed.positions == [1, 2, 3, 4, 5, 6]
