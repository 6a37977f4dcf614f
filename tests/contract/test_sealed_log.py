"""The log with its words sealed: written by who has keys, read by who has them or not."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from services.workflow.state_cache import StateCache
from shared.contract.conversation import Conversation
from shared.contract.entry import Entry, RecordedEntry, encode
from shared.contract.facts import BotSaid, ChoiceMade, ConversationErased, OperatorSaid, TextWritten
from shared.contract.sealing import DataKey, key_id
from shared.eventlog.connection import ConnectionState
from shared.eventlog.errors import IdReused, Unreachable
from shared.eventlog.key_blocks import NAME_BYTES, KeyBlocks
from shared.eventlog.keyring import Keyring
from shared.eventlog.messages import StoredMessage
from shared.eventlog.subscription import Start, Subscription
from shared.service import conversation_keys, live_entries
from shared.service.chat_log import ChatLog, open_log
from shared.service.conversation_keys import ConversationKeys, keys_of
from shared.service.health import Health
from shared.service.live_entries import LiveEntries
from tests import examples
from tests.conftest import MASTERS, Connections, connected
from tests.faults.injectors import lossy
from tests.replica import Replica, answered, causes, greet, history

A, B = examples.CONVERSATION, examples.OTHER_CONVERSATION


def said(id: str, text: str) -> Entry:
    return Entry(id=id, facts=(TextWritten(session="s", text=text),))


def texts(entries: list[RecordedEntry]) -> list[str]:
    return [fact.text for entry in entries for fact in entry.facts if isinstance(fact, TextWritten | BotSaid)]


def long(text: str) -> str:
    """So long that this process does not know it again when it comes back: see `encode_sealed`."""
    return text.ljust(5000)


async def destroy(connections: Connections, *ids: bytes) -> None:
    admin = await connected(connections.server, "admin")
    for id in ids:
        await KeyBlocks(admin, MASTERS).destroy(id[:NAME_BYTES], [id[NAME_BYTES]])
    await admin.close()


async def test_words_are_sealed_for_whoever_has_no_key(connections: Connections) -> None:
    visitor, bot, reader = [await connections.log(user) for user in ("proxy", "workflow", "reader")]
    await visitor.append(A, "visitor", said("1", "my secret"))
    await bot.append(A, "bot", Entry(id="2", cause=1, facts=(BotSaid(text="kept"),)))

    assert texts(await history(await connections.log("operator"), A)) == ["my secret", "kept"]
    sealed = await history(reader, A)
    assert texts(sealed) == ["", ""]
    assert [(entry.sealed, entry.erased, bool(entry.key)) for entry in sealed] == [(True, False, True)] * 2
    assert all(b"secret" not in message.data for message in await reader.fetch(A))


async def test_a_conversation_goes_on_with_the_key_that_it_has(connections: Connections) -> None:
    visitor, bot = await connections.log("proxy"), await connections.log("workflow")
    await visitor.append(A, "visitor", said("1", "first"))
    await visitor.append(A, "visitor", said("2", "second"))
    assert texts(await history(bot, A)) == ["first", "second"]
    await bot.append(A, "bot", Entry(id="3", facts=(BotSaid(text="third"),)))
    await bot.append(B, "bot", Entry(id="4", facts=(BotSaid(text="elsewhere"),)))

    first = {entry.key for entry in await history(bot, A)}
    assert len(first) == 1
    assert {entry.key for entry in await history(bot, B)}.isdisjoint(first)


async def test_behind_an_erasure_another_key_is_used_by_who_has_the_old_one_at_hand(
    connections: Connections,
) -> None:
    """Sealed with a key that is going to be destroyed, a visitor's new words would be lost."""
    visitor = await connections.log("proxy")
    await visitor.append(A, "visitor", said("1", long("forget this")))
    eraser = await connections.log("eraser")
    erased = Entry(id="2", needs=4, facts=(ConversationErased(by="ada"),))
    position = await eraser.append(A, "eraser", erased)
    await history(visitor, A)
    assert visitor.keys is not None
    old = await visitor.fetch(A)
    visitor.keys.reset()  # a connection was lost
    (await visitor.keys.ready(old[:1]))(old[0])  # an earlier page, read once more
    await visitor.append(A, "visitor", said("3", long("keep this")))
    before = {id for each in old if (id := key_id(each.data)) is not None}
    await destroy(connections, *before)

    found = await history(await connections.log("operator"), A)
    assert texts(found) == ["", long("keep this")]
    assert [(each.position > position, each.erased) for each in found] == [
        (False, True),
        (False, False),
        (True, False),
    ]


async def test_what_stands_in_the_open_is_read_beside_what_is_sealed(connections: Connections) -> None:
    client = await connections.client("proxy")
    await (await open_log(client)).append(A, "visitor", said("1", "from before"))
    visitor = await connections.log("proxy")
    await visitor.append(A, "visitor", said("2", "since then"))
    found = await history(visitor, A)
    assert texts(found) == ["from before", "since then"]
    assert [bool(entry.key) for entry in found] == [False, True]


async def test_the_same_again_under_another_key_is_stored_once(connections: Connections) -> None:
    """The proxy was killed before it heard of the first try, and the client sends it again."""
    one, other = await connections.log("proxy"), await connections.log("proxy")
    position = await one.append(A, "visitor", said("1", "hello"))
    assert await other.append(A, "visitor", said("1", "hello")) == position
    with pytest.raises(IdReused):
        await other.append(A, "visitor", said("1", "something else"))
    assert texts(await history(one, A)) == ["hello"]


async def test_a_repeat_under_another_key_is_no_sign_of_another_log(connections: Connections) -> None:
    """Its follower is told what is stored, not what was sent: or it would take the log for another."""
    one, other = await connections.log("proxy"), await connections.log("proxy")
    resets: list[None] = []
    health = Health("test")
    link = ConnectionState(health)
    late = lossy(lambda _: True)
    subscription = Subscription(other, link, health, lambda _: None, lambda: resets.append(None), feed=late)
    await subscription.start()
    follower = subscription.of(A)
    position = await one.append(A, "visitor", said("1", "hello"))
    assert await other.append(A, "visitor", said("1", "hello")) == position
    follower.lost()
    follower.disturb()
    await asyncio.wait_for(follower.reached(position), 10)
    assert not resets
    await subscription.stop()


async def test_the_largest_entry_fits_when_it_is_sealed(connections: Connections) -> None:
    log = await connections.log("workflow")
    room = 508 * 1024 - len(encode(Entry(id="1", facts=(BotSaid(text=""),))))
    await log.append(A, "bot", Entry(id="1", facts=(BotSaid(text="x" * room),)))
    assert texts(await history(log, A)) == ["x" * room]


async def test_words_whose_key_was_destroyed_read_as_erased(connections: Connections) -> None:
    log = await connections.log("proxy")
    await log.append(A, "visitor", said("1", "forget me"))
    choice = ChoiceMade(group="g", item="i")
    await log.append(A, "visitor", Entry(id="2", facts=(choice,)))
    await destroy(connections, *{entry.key for entry in await history(log, A)})

    late = await connections.log("proxy")
    found = await history(late, A)
    assert [(entry.sealed, entry.erased) for entry in found] == [(True, True)] * 2
    assert texts(found) == [""]
    assert [type(fact) for entry in found for fact in entry.facts] == [TextWritten, ChoiceMade]
    # Whoever writes there once more takes another key.
    await late.append(A, "visitor", said("3", "here again"))
    assert texts(await history(late, A)) == ["", "here again"]


async def test_words_whose_key_is_lost_are_sealed_and_not_erased_and_come_back_with_it(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await connections.log("proxy")
    await log.append(A, "visitor", said("1", "still mine"))
    (entry,) = await history(log, A)
    admin = await connections.client("admin")
    jetstream = admin.jetstream()
    subject = f"key.{entry.key[:NAME_BYTES].hex()}.0"
    block = await jetstream.get_last_msg("KEYS", subject)
    await jetstream.delete_msg("KEYS", block.seq or 0)

    monkeypatch.setattr(conversation_keys, "LOST_SECONDS", 0.2)
    late = await connections.log("operator")
    (found,) = await history(late, A)
    assert (found.sealed, found.erased) == (True, False)
    await jetstream.publish(subject, block.data or b"")
    async with asyncio.timeout(10):
        while texts(await history(late, A)) != ["still mine"]:
            await asyncio.sleep(0.05)


async def test_nothing_is_sent_while_no_key_can_be_had(connections: Connections) -> None:
    admin = await connections.client("admin")
    config = (await admin.jetstream().stream_info("KEYS")).config
    await admin.jetstream().delete_stream("KEYS")
    log = await connections.log("proxy")
    with pytest.raises(Unreachable, match="KEYS"):
        await log.append(A, "visitor", said("1", "wait"))
    assert await log.length() == 0
    await admin.jetstream().add_stream(config)
    await log.append(A, "visitor", said("1", "wait"))
    assert texts(await history(log, A)) == ["wait"]


class SlowRing(Keyring[DataKey]):
    """Hands out no key before it is let go."""

    def __init__(self, connections_client: object) -> None:
        super().__init__(connections_client, MASTERS, DataKey)  # type: ignore[arg-type]
        self.open = asyncio.Event()
        self.asked = asyncio.Event()

    async def get(self, id: bytes) -> DataKey:
        self.asked.set()
        await self.open.wait()
        return await super().get(id)


class Feed:
    """The operators' feed of a log, over a ring that is slow at first."""

    def __init__(self) -> None:
        self.given: list[tuple[str, int]] = []
        self.words: list[str] = []

    async def start(self, connections: Connections) -> Feed:
        client = await connections.client("operator")
        self.health = Health("operator")
        link = ConnectionState(self.health)
        self.ring = SlowRing(client)
        self.log = await open_log(client, ConversationKeys(self.ring, self.health))
        self.entries = LiveEntries(self.log, self._give)
        self.subscription = Subscription(
            self.log, link, self.health, self.entries.take, self.entries.reset, Start.BEGINNING
        )
        await self.subscription.start()
        return self

    def _give(self, message: StoredMessage, entry: RecordedEntry) -> None:
        self.given.append((message.key, message.sequence))
        self.words += texts([entry])

    def of(self, conversation: str) -> list[int]:
        return [sequence for key, sequence in self.given if key == conversation]

    async def reached(self, log: ChatLog, conversation: str) -> None:
        await self.subscription.of(conversation).reached(await log.last(conversation))


@pytest.fixture
async def feed(connections: Connections) -> Feed:
    return await Feed().start(connections)


@pytest.mark.parametrize("most", [10_000, 2, 0], ids=["all kept", "some kept", "none kept"])
async def test_what_waits_for_its_key_comes_in_order_and_others_do_not_wait(
    connections: Connections, feed: Feed, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(live_entries, "MAX_HELD", most)
    visitor = await connections.log("proxy")
    plain = await open_log(await connections.client("proxy"))
    mine = [await visitor.append(A, "visitor", said("0", long("words 0")))]
    await feed.reached(visitor, A)
    await feed.ring.asked.wait()
    for number in range(1, 6):
        mine.append(await visitor.append(A, "visitor", said(str(number), long(f"words {number}"))))
        await plain.append(B, "visitor", said(str(number), "in the open"))
    await feed.reached(visitor, A)
    await feed.reached(plain, B)

    assert feed.of(A) == []
    assert len(feed.of(B)) == 5
    assert feed.entries.place(feed.subscription.checkpoint) is None
    waiting = asyncio.create_task(feed.entries.given(A))
    await asyncio.sleep(0)
    assert not waiting.done()
    feed.ring.open.set()
    await asyncio.wait_for(waiting, 10)
    assert feed.of(A) == mine
    assert feed.entries.place(feed.subscription.checkpoint) == feed.subscription.checkpoint
    assert [word for word in feed.words if word != "in the open"] == [long(f"words {n}") for n in range(6)]
    await visitor.append(A, "visitor", said("6", long("at once")))
    await feed.reached(visitor, A)
    assert feed.words[-1] == long("at once")
    await feed.subscription.stop()


async def test_what_waits_when_the_log_is_replaced_is_told_to_nobody(
    connections: Connections, feed: Feed
) -> None:
    visitor = await connections.log("proxy")
    await visitor.append(A, "visitor", said("0", long("of the old log")))
    await feed.reached(visitor, A)
    await feed.ring.asked.wait()
    feed.entries.reset()
    feed.ring.open.set()
    await asyncio.wait_for(feed.entries.given(A), 10)
    assert feed.given == []
    await feed.subscription.stop()


async def test_keys_that_were_at_hand_are_proven_again_after_a_lost_connection(
    connections: Connections,
) -> None:
    """A store that was put back from an older copy may lack the block of a key that nobody used yet."""
    client, health = await connections.client("proxy"), Health("test")
    link = ConnectionState(health)
    log = await open_log(client, keys_of(client, MASTERS, link, health))
    await log.append(A, "visitor", said("1", "before"))
    before = (await history(log, A))[0].key
    admin = await connections.client("admin")
    jetstream = admin.jetstream()
    block = await jetstream.get_last_msg("KEYS", f"key.{before[:NAME_BYTES].hex()}.0")
    await jetstream.delete_msg("KEYS", block.seq or 0)  # the copy was made before it
    await link.disconnected()
    await log.append(A, "visitor", said("2", "after"))
    await log.append(B, "visitor", said("1", "new"))
    for name in (A, B):
        assert all(entry.key[:NAME_BYTES] != before[:NAME_BYTES] for entry in (await history(log, name))[-1:])
    assert texts(await history(await connections.log("operator"), B)) == ["new"]


@pytest.mark.timeout(30)
async def test_an_input_that_waits_for_its_key_is_answered_when_it_comes(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then its mailbox waits, and takes no time from the others."""
    visitor = await connections.log("proxy")
    await greet(visitor)
    replica = await Replica(connections).start()
    await answered(visitor)
    gate, asked, get = asyncio.Event(), asyncio.Event(), Keyring.get

    async def slow(ring: Keyring[DataKey], id: bytes) -> DataKey:
        asked.set()
        await gate.wait()
        return await get(ring, id)

    monkeypatch.setattr(Keyring, "get", slow)
    replica.keys.reset()
    asked_at = await visitor.append(A, "visitor", said("1", long("Are you there?")))
    await asked.wait()
    looked, at_hand = 0, StateCache.at_hand

    def counted(folds: StateCache, conversation: str) -> Conversation | None:
        nonlocal looked
        looked += 1
        return at_hand(folds, conversation)

    monkeypatch.setattr(StateCache, "at_hand", counted)
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert await visitor.last(A) == asked_at
    assert looked == 0  # nobody asks again and again
    gate.set()
    assert asked_at in causes(await answered(visitor))
    await replica.crash()


async def test_an_expectation_means_nothing_once_a_connection_was_lost_while_its_key_was_fetched(
    connections: Connections, feed: Feed
) -> None:
    """The store may have been put back from a copy meanwhile, which uses its numbers anew."""
    visitor = await connections.log("proxy")
    position = await visitor.append(A, "visitor", said("0", "hello"))
    await feed.reached(visitor, A)
    keys = feed.log.keys
    assert keys is not None
    keys.reset()  # the key must be fetched once more
    for lost in (True, False):
        feed.ring.open.clear()
        feed.ring.asked.clear()
        claim = Entry(id=f"lost {lost}", facts=(OperatorSaid(operator="ann", text="Hi"),))
        append = feed.log.append(A, "operator", claim, expect=position)
        await feed.ring.asked.wait()
        if lost:
            feed.subscription.of(A).lost()
        feed.ring.open.set()
        if lost:
            with pytest.raises(Unreachable, match="another log"):
                await append
            keys.reset()
        else:
            assert await append == position + 1
    await feed.subscription.stop()


async def test_a_service_whose_keys_do_not_answer_says_so_until_they_do(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_keys, "PAUSE_SECONDS", 0.05)
    client, health = await connections.client("proxy"), Health("test")
    log = await open_log(client, ConversationKeys(Keyring(client, MASTERS, DataKey), health))
    admin = await connections.client("admin")
    config = (await admin.jetstream().stream_info("KEYS")).config
    await admin.jetstream().delete_stream("KEYS")
    with contextlib.suppress(Unreachable):
        await log.append(A, "visitor", said("1", "x"))
    assert "KEYS" in health.reasons["keys"]
    await admin.jetstream().add_stream(config)
    async with asyncio.timeout(20):
        while "keys" in health.reasons:
            await asyncio.sleep(0.02)
