"""Conversations leave the hot log for the archive, against the real server: whole, sealed, at any kill."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import pytest
from nats.aio.client import Client

from deploy import archiving, resharding
from deploy.log_copy import ReshardError
from shared.contract import entry, sealing
from shared.contract.entry import Entry, RecordedEntry
from shared.contract.facts import (
    BotSaid,
    ConversationClaimed,
    ConversationErased,
    ConversationResolved,
    ConversationStarted,
    TextWritten,
    TimerArmed,
)
from shared.contract.sealing import DataKey
from shared.eventlog.keyring import Keyring
from shared.eventlog.master_keys import KeyringError
from shared.eventlog.messages import StoredMessage
from shared.eventlog.provisioning import stream_config
from shared.service.archive import BUCKETS, MAX_STAY, Archive, bucket_of, open_archive
from shared.service.chat_log import ChatLog, open_log
from tests import examples
from tests.conftest import Connections
from tests.contract.test_resharding import Mortal, ProcessEnded, WrittenLog, mortal

NOTE_WRITTEN = examples.NOTE_WRITTEN
RESOLVED = [f"{number:032x}" for number in range(300, 306)]
LIVE, CLAIMED, OWED, BARE, GONE = (f"{number:032x}" for number in range(400, 405))


class ArchivedLog(WrittenLog):
    """A log, its archive, and who moves conversations from one to the other."""

    async def talk(self, name: str, resolved: bool = True, answered: bool = True) -> None:
        """A sealed conversation of a visitor, the bot, and an operator who resolves it."""
        visitor, bot, operator = [
            await self.connections.log(user) for user in ("proxy", "workflow", "operator")
        ]
        started = Entry(id="s", facts=(ConversationStarted(door="web"),))
        asked = Entry(id="a", facts=(TextWritten(session="s", text=f"marmalade {name}"),))
        for said in (started, asked):
            cause = await visitor.append(name, "visitor", said)
            if answered:
                await bot.append(name, "bot", Entry(id=str(cause), cause=cause, facts=(BotSaid(text="!"),)))
        if resolved:
            claim = Entry(id="c", facts=(ConversationClaimed(operator="ann", name="Ann"),))
            await operator.append(name, "operator", claim)
            await operator.append(
                name, "operator", Entry(id="r", facts=(ConversationResolved(operator="ann"),))
            )
            await operator.append(name, "desk", Entry(id="n", needs=6, facts=(NOTE_WRITTEN,)))
        await self.stop(visitor, bot, operator)

    async def stop(self, *logs: ChatLog) -> None:
        """Once the server has noticed it, too: a run refuses while anybody is connected."""
        await super().stop(*logs)
        async with asyncio.timeout(10):
            while await resharding.users(self.admin):
                pass

    async def archive(
        self,
        streams: int,
        client: Client | None = None,
        before: Callable[[], int] = time.time_ns,
        until: str | None = None,
    ) -> int:
        """With a small age: what ended before this moment. ``until``: it is killed where it says so."""
        self.lines.clear()

        def tell(line: str) -> None:
            self.lines.append(line)
            if until is not None and until in line:
                raise ProcessEnded

        return await archiving.archive_older(
            client or self.admin,
            before(),
            streams,
            lambda: self.masters,
            1024**3,
            1,
            tell,
            lambda what, done, total: None,
        )

    async def hot(self) -> dict[str, list[StoredMessage]]:
        log = await open_log(self.admin)
        found: dict[str, list[StoredMessage]] = {}
        async for batch in log.read():
            for message in batch:
                found.setdefault(message.key, []).append(message)
        return found

    async def opened(self, messages: list[StoredMessage]) -> list[RecordedEntry]:
        """The entries, their words opened where their key is left."""
        ring = Keyring(self.admin, self.masters, DataKey)
        for message in messages:
            if (id := sealing.key_id(message.data)) is not None:
                with contextlib.suppress(KeyringError):
                    await ring.get(id)
        return [entry.decode(m.sequence, m.key, m.author, m.time, m.data, ring.cached) for m in messages]


@pytest.fixture
async def world(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> ArchivedLog:
    monkeypatch.setattr(resharding, "CONNECTIONS_SECONDS", 0.1)
    return ArchivedLog(connections)


def same(kept: list[StoredMessage], then: list[StoredMessage]) -> bool:
    """Byte for byte, with the positions and times of the hot log."""
    return [each[:5] for each in kept] == [each[:5] for each in then]


@pytest.mark.parametrize("streams", [4, 2])
async def test_what_is_over_leaves_the_log_whole_and_still_sealed(world: ArchivedLog, streams: int) -> None:
    await world.begin(4)
    for name in RESOLVED:
        await world.talk(name)
    await world.talk(LIVE, resolved=False)
    then = await world.hot()

    assert await world.archive(streams) == len(RESOLVED)

    archive, log = await open_archive(world.admin), await open_log(world.admin)
    assert log.layout.streams == streams
    assert set(await world.hot()) == {LIVE}
    for name in RESOLVED:
        kept = await archive.messages(name)
        assert same(kept, then[name])
        assert not any(b"marmalade" in each.data for each in kept)
        said = [fact for each in await world.opened(kept) for fact in each.facts]
        assert NOTE_WRITTEN in said
        assert TextWritten(session="s", text=f"marmalade {name}") in said
        assert await log.last(name) == 0
    assert await archive.messages(LIVE) == []
    # Until the streams from before are dropped, they hold the subjects: then nothing does.
    await resharding.drop_old(world.admin)
    for number in range(streams):
        info = await world.admin.jsm().stream_info(f"CHAT-{number}", subjects_filter=">")
        assert not [subject for subject in info.state.subjects or {} if LIVE not in subject]
    assert await world.archive(streams) == 0


async def test_what_is_not_over_or_stands_open_or_is_young_stays(world: ArchivedLog) -> None:
    await world.begin(2)
    youngest = time.time_ns()
    await world.talk(LIVE, resolved=False)
    await world.talk(OWED, answered=False, resolved=False)
    await world.talk(CLAIMED)
    await world.talk(RESOLVED[0])
    operator = await world.log("operator")
    again = Entry(id="c2", facts=(ConversationClaimed(operator="ann", name="Ann"),))
    await operator.append(CLAIMED, "operator", again)
    bare = await open_log(await world.connections.client("proxy"))
    for said in (ConversationStarted(door="web"), TextWritten(session="s", text="in the open")):
        cause = await bare.append(BARE, "visitor", Entry(id=said.__class__.__name__, facts=(said,)))
    bot = await world.log("workflow")
    sequence = 0
    for message in await bare.fetch(BARE):
        sequence = message.sequence
        await bot.append(BARE, "bot", Entry(id=str(sequence), cause=sequence, facts=(BotSaid(text="!"),)))
    assert sequence == cause
    await operator.append(BARE, "operator", Entry(id="c", facts=again.facts))
    await operator.append(BARE, "operator", Entry(id="r", facts=(ConversationResolved(operator="ann"),)))
    await world.stop(operator, bare, bot)

    assert await world.archive(2, before=lambda: youngest) == 0
    assert await world.archive(2) == 1

    assert set(await world.hot()) == {LIVE, OWED, CLAIMED, BARE}


async def test_what_is_resolved_and_owes_an_answer_stays(world: ArchivedLog) -> None:
    await world.begin(1)
    await world.talk(OWED)
    visitor = await world.log("proxy")
    await visitor.append(OWED, "visitor", Entry(id="b", facts=(TextWritten(session="s", text="and?"),)))
    await world.stop(visitor)

    assert await world.archive(1) == 0

    assert set(await world.hot()) == {OWED}


async def test_what_is_resolved_and_has_a_timer_stays(world: ArchivedLog) -> None:
    await world.begin(1)
    await world.talk(OWED)
    bot = await world.log("workflow")
    armed = TimerArmed(id="inactivity:1", at="2999-01-01T00:00:00Z")
    await bot.append(OWED, "bot", Entry(id="t", facts=(armed,)))
    await world.stop(bot)

    assert await world.archive(1) == 0

    assert set(await world.hot()) == {OWED}


async def test_what_does_not_fit_into_one_message_stays(world: ArchivedLog) -> None:
    await world.begin(1)
    await world.talk(RESOLVED[0])
    await world.talk(LIVE, resolved=False)
    visitor, operator = await world.log("proxy"), await world.log("operator")
    for id in ("x", "y"):
        long = TextWritten(session="s", text=id * 450_000)
        await visitor.append(LIVE, "visitor", Entry(id=id, facts=(long,)))
    claim = ConversationClaimed(operator="ann", name="Ann")
    for id, fact in (("c", claim), ("r", ConversationResolved(operator="ann"))):
        await operator.append(LIVE, "operator", Entry(id=id, facts=(fact,)))
    await world.stop(visitor, operator)
    assert sum(len(each.data) for each in (await world.hot())[LIVE]) > MAX_STAY

    assert await world.archive(1) == 1

    assert set(await world.hot()) == {LIVE}


async def test_while_services_are_connected_nothing_is_archived(world: ArchivedLog) -> None:
    await world.begin(1)
    await world.talk(GONE)
    visitor = await world.log("proxy")

    with pytest.raises(ReshardError, match="Connected are: proxy"):
        await world.archive(1)

    assert await stream_config(world.admin, "ARCHIVE-0") is None
    await world.stop(visitor)


async def test_an_archived_conversation_can_be_erased(world: ArchivedLog) -> None:
    """Its data keys are destroyed; the archive itself changes nothing."""
    await world.begin(1)
    await world.talk(GONE)
    await world.archive(1)
    kept = await (await open_archive(world.admin)).messages(GONE)
    keys = {id for each in kept if (id := sealing.key_id(each.data)) is not None}
    await world.opened(kept)  # this process wrote it, and reads its own words once without their key
    assert "marmalade" in repr(await world.opened(kept))

    await world.destroy(keys)

    assert "marmalade" not in repr(await world.opened(kept))
    assert same(await (await open_archive(world.admin)).messages(GONE), kept)


async def test_an_erased_conversation_leaves_too(world: ArchivedLog) -> None:
    await world.begin(1)
    await world.talk(GONE, resolved=False)
    eraser = await world.log("eraser")
    await eraser.append(GONE, "eraser", Entry(id="e", needs=4, facts=(ConversationErased(by="ada"),)))
    await world.stop(eraser)

    assert await world.archive(1) == 1

    assert await world.hot() == {}


async def test_a_visitor_who_comes_back_begins_anew_and_both_stays_are_kept(world: ArchivedLog) -> None:
    await world.begin(1)
    await world.talk(GONE)
    first = (await world.hot())[GONE]
    await world.archive(1)
    await resharding.drop_old(world.admin)

    await world.talk(GONE)
    second = (await world.hot())[GONE]
    assert second[0].sequence > first[-1].sequence  # no position is given twice, in an empty stream neither
    assert await world.archive(1) == 1

    assert same(await (await open_archive(world.admin)).messages(GONE), first + second)


async def test_what_grew_since_it_was_archived_stays(world: ArchivedLog) -> None:
    await world.begin(1)
    await world.talk(GONE)
    then = (await world.hot())[GONE]

    with pytest.raises(ReshardError, match="appended"):
        await resharding.reshard(
            world.admin,
            1,
            lambda: world.masters,
            1024**3,
            1,
            lambda _: None,
            lambda *_: None,
            {GONE: then[-2].sequence},
        )

    assert (await world.hot())[GONE] == then


async def test_what_goes_on_after_a_run_was_cut_short_is_archived_again_whole(world: ArchivedLog) -> None:
    await world.begin(1)
    await world.talk(GONE)
    with pytest.raises(ProcessEnded):
        await world.archive(2, until="Copying")
    assert await (await open_archive(world.admin)).messages(GONE)
    # It is in both, and what is said now is in the log alone.
    operator = await world.log("operator")
    again = Entry(id="c2", facts=(ConversationClaimed(operator="ann", name="Ann"),))
    await operator.append(GONE, "operator", again)
    await operator.append(GONE, "operator", Entry(id="r2", facts=(ConversationResolved(operator="ann"),)))
    await world.stop(operator)
    then = (await world.hot())[GONE]

    assert await world.archive(2) == 1

    assert await world.hot() == {}
    assert same(await (await open_archive(world.admin)).messages(GONE), then)


async def test_a_copy_that_was_made_with_them_is_made_again_without(world: ArchivedLog) -> None:
    await world.begin(1)
    await world.talk(GONE)
    await world.talk(LIVE, resolved=False)
    with pytest.raises(ProcessEnded):
        await world.reshard(2, until="Keeping")

    assert await world.archive(2) == 1

    assert set(await world.hot()) == {LIVE}


async def test_what_is_archived_is_not_told_live(world: ArchivedLog) -> None:
    await world.begin(1)
    await world.talk(GONE)
    await world.archive(1)

    config = await stream_config(world.admin, "ARCHIVE-0")

    assert config is not None
    assert config.get("republish") is None
    assert (config["deny_delete"], config["deny_purge"]) == (True, True)


def some_of_one_bucket() -> tuple[str, str]:
    first: dict[str, str] = {}
    for number in range(BUCKETS + 1):
        name = f"{number:032x}"
        if (other := first.setdefault(bucket_of(name), name)) != name:
            return other, name
    raise AssertionError("there are more buckets than BUCKETS")


async def test_a_bucket_holds_several_conversations_apart(world: ArchivedLog) -> None:
    await world.begin(1)
    names = some_of_one_bucket()
    for name in names:
        await world.talk(name)
    then = await world.hot()

    await world.archive(1)

    archive = await open_archive(world.admin)
    for name in names:
        assert same(await archive.messages(name), then[name])


#: Where it is killed, as a share of its requests.
KILLS = [number / 6 for number in range(6)]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("streams", [3])
async def test_killed_anywhere_nothing_is_lost_and_the_next_run_ends_it(
    world: ArchivedLog, streams: int
) -> None:
    async def begin() -> dict[str, list[StoredMessage]]:
        await world.again(2)
        for name in RESOLVED[:3]:
            await world.talk(name)
        await world.talk(LIVE, resolved=False)
        return await world.hot()

    await world.begin(2)
    await begin()
    await world.admin.close()
    counting = await mortal(world)
    assert await world.archive(streams, counting) == 3
    requests = 10**9 - counting.left
    assert requests > 50
    await counting.close()
    world.admin = await world.connections.client("admin")

    for share in KILLS:
        then = await begin()
        told = await world.told()
        await world.admin.close()
        client: Mortal = await mortal(world)
        client.left = int(requests * share)
        with contextlib.suppress(ProcessEnded):
            await world.archive(streams, client)
        await client.close()
        world.admin = await world.connections.client("admin")
        if await world.open_streams():
            hot, archive = await world.hot(), Archive(world.admin)
            for name in RESOLVED[:3]:
                assert same(hot[name], then[name]) if name in hot else await archive.messages(name), share
        await world.archive(streams)
        archive = await open_archive(world.admin)
        for name in RESOLVED[:3]:
            assert same(await archive.messages(name), then[name]), (share, world.lines)
        assert await world.told() == {LIVE: told[LIVE]}
        assert await world.open_streams() == streams
