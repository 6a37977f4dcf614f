"""The file in which the numbers are kept: the service goes on from it, and the log is always right."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any, cast

import duckdb
import httpx
import pytest
from msgspec.structs import replace

from deploy.provisioning import wipe
from services.analytics import store as stores
from services.analytics.read_model import ReadModel
from services.analytics.settings import Settings as AnalyticsSettings
from services.analytics.store import NumbersStore, StoreError
from services.analytics.transports import http
from shared.contract import subjects
from shared.contract.entry import Entry, RecordedEntry, encode
from shared.contract.facts import Fact, TextWritten, VariableSaved
from shared.eventlog.checkpoint import Checkpoint, Place
from shared.eventlog.connection import ConnectionState
from shared.eventlog.messages import StoredMessage
from shared.eventlog.subscription import Start, Subscription
from shared.service.chat_log import ChatLog
from shared.service.health import Health
from tests.conftest import Connections, Services, connected, declare
from tests.contract.test_analytics import Logs, caught_up, scrape
from tests.examples import Story, recorded
from tests.numbers import numbers_of, shown_by
from tests.processes import Service
from tests.unit.test_analytics import CLAIM, START, TEXT

SECRET = "the word that a visitor"
PLACE = Checkpoint((Place("epoch", 7, 1),))


@pytest.fixture
async def logs(connections: Connections) -> Logs:
    users = [await connections.log(user) for user in ("proxy", "workflow", "operator")]
    return Logs(*users)


async def counted(service: Service, logs: Logs) -> dict[str, Any]:
    """The summary of all that is on the log, but for when it was asked for."""
    summary = await caught_up(service, await logs.visitor.length())
    return {name: value for name, value in summary.items() if name != "generated"}


def told(service: Service, event: str) -> list[dict[str, Any]]:
    """What the service logged, of one kind."""
    lines = [json.loads(line) for line in service.output.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


async def test_it_goes_on_where_it_was_killed(logs: Logs, services: Services, tmp_path: Path) -> None:
    file = str(tmp_path / "numbers" / "numbers.duckdb")
    await asyncio.gather(*(logs.conversation(number) for number in range(6)))
    service = await services.start("analytics", SWITCHBOARD_ANALYTICS_FILE=file)
    before = await counted(service, logs)
    service.kill()
    await asyncio.gather(*(logs.conversation(number) for number in range(6, 12)))
    await service.start()
    after = await counted(service, logs)
    assert (before["conversations"]["started"], after["conversations"]["started"]) == (6, 12)
    assert told(service, "log_read")[-1]["stored"] == before["position"]
    anew = await services.start("analytics")
    assert await counted(anew, logs) == after


async def test_killed_at_any_moment_nothing_is_counted_twice_or_missed(
    logs: Logs, services: Services, tmp_path: Path
) -> None:
    service = services.make("analytics", SWITCHBOARD_ANALYTICS_FILE=str(tmp_path / "numbers.duckdb"))
    chance = random.Random(7)
    for round in range(6):
        service.launch()
        talk = asyncio.gather(*(logs.conversation(round * 10 + number) for number in range(10)))
        await asyncio.sleep(chance.uniform(0.0, 0.8))  # the moment is the point
        service.kill()
        await talk
    await service.start()
    anew = await services.start("analytics")
    assert await counted(service, logs) == await counted(anew, logs)
    assert await scrape(service) == await scrape(anew)


async def test_a_file_of_another_log_is_counted_anew(logs: Logs, services: Services, tmp_path: Path) -> None:
    await asyncio.gather(*(logs.conversation(number) for number in range(3)))
    service = await services.start("analytics", SWITCHBOARD_ANALYTICS_FILE=str(tmp_path / "numbers.duckdb"))
    await counted(service, logs)
    await service.stop()
    admin = await connected(services.server, "admin")
    await wipe(admin)
    await declare(admin)
    await admin.close()
    await logs.conversation(7)
    await service.start()
    assert (await counted(service, logs))["conversations"]["started"] == 1


async def test_a_file_that_is_broken_is_set_aside_and_made_anew(
    logs: Logs, services: Services, tmp_path: Path
) -> None:
    file = tmp_path / "numbers.duckdb"
    file.write_bytes(b"this is no database" * 1000)
    await logs.conversation(1)
    service = await services.start("analytics", SWITCHBOARD_ANALYTICS_FILE=str(file))
    assert (await counted(service, logs))["conversations"]["started"] == 1
    (line,) = told(service, "numbers_begin_anew")
    assert Path(line["kept_as"]).read_bytes().startswith(b"this is no database")
    assert file.stat().st_mode & 0o777 == 0o600


async def test_two_replicas_cannot_share_a_file(logs: Logs, services: Services, tmp_path: Path) -> None:
    """The second one waits, says why, and goes on once the first has ended."""
    file = str(tmp_path / "numbers.duckdb")
    await logs.conversation(1)
    first = await services.start("analytics", SWITCHBOARD_ANALYTICS_FILE=file)
    second = services.make("analytics", SWITCHBOARD_ANALYTICS_FILE=file)
    second.launch()
    async with asyncio.timeout(30):
        while "each replica needs a file of its own" not in str(await second.ready(503)):
            await asyncio.sleep(0.05)
    await first.stop()
    await second.ready()
    assert (await counted(second, logs))["conversations"]["started"] == 1


def test_a_file_that_another_version_made_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story, file = talk(), tmp_path / "numbers.duckdb"
    with NumbersStore(file) as store:
        store.write(story, PLACE)
    with NumbersStore(file) as store:
        assert (store.counted, store.checkpoint) == (len(story), PLACE)
    monkeypatch.setattr(stores, "MAKER", "a later version")
    with NumbersStore(file) as store:
        assert (store.counted, store.checkpoint, shown_by(store).started) == (0, None, 0)
    assert len(list(tmp_path.glob("numbers.duckdb.*"))) == 1


def test_what_cannot_be_written_is_not_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = talk()
    with NumbersStore(tmp_path / "numbers.duckdb") as store:
        store.write(story[:2], PLACE)
        before = shown_by(store)

        def fails(*_: object) -> None:
            raise duckdb.IOException("No space left on device")

        with monkeypatch.context() as broken:
            broken.setattr(store, "_note", fails)
            with pytest.raises(StoreError, match="No space left on device"):
                store.write(story[2:], None)
        assert (shown_by(store), store.counted, store.checkpoint) == (before, 2, PLACE)
        store.write(story[2:], None)
        assert shown_by(store) == numbers_of(story)


def test_what_is_no_longer_in_memory_is_read_from_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "MAX_TRACKED", 2)
    stories = [talk(f"{number:032x}") for number in range(5)]
    together = [entry for entries in zip(*stories, strict=True) for entry in entries]
    assert numbers_of(*([entry] for entry in together)) == numbers_of(together)


async def test_a_store_that_duckdb_gave_up_ends_the_service(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts it again opens the file anew, and reads on from there."""
    ended = asyncio.Event()
    monkeypatch.setattr("services.analytics.read_model.signal.raise_signal", lambda _: ended.set())
    store = NumbersStore(None)

    def fails(*_: object) -> None:
        raise duckdb.FatalException("the database has been invalidated")

    monkeypatch.setattr(store, "_note", fails)
    model = ReadModel(store, health)
    model.follow(cast(ChatLog, None), lambda: PLACE)
    data = encode(Entry(id="1", facts=(START,)))
    model.on_message(StoredMessage(1, "a" * 32, "visitor", 1, data, stream=0))
    await asyncio.wait_for(ended.wait(), 10)
    assert model.position == 0


async def test_a_fault_of_ours_is_seen_and_loses_no_number(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, seen = NumbersStore(None), asyncio.Event()
    monkeypatch.setattr("services.analytics.read_model.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(health, "unready", lambda name, reason: seen.set() if name == "store" else None)

    def fails(*_: object) -> None:
        raise KeyError("nobody thought of this")

    with monkeypatch.context() as broken:
        broken.setattr(store, "_note", fails)
        model = ReadModel(store, health)
        model.follow(cast(ChatLog, None), lambda: PLACE)
        data = encode(Entry(id="1", facts=(START,)))
        model.on_message(StoredMessage(1, "a" * 32, "visitor", 1, data, stream=0))
        await asyncio.wait_for(seen.wait(), 10)
        assert model.position == 0
    await asyncio.wait_for(model.written(), 10)
    assert model.position == 1
    await model.stop()


def test_no_word_of_a_visitor_is_in_the_file(tmp_path: Path) -> None:
    """Also where the log holds them in the open, as logs from before sealing do."""
    store = NumbersStore(tmp_path / "numbers.duckdb")
    said = TextWritten(session="s", text=f"{SECRET} said")
    saved = VariableSaved(name="name", value=f"{SECRET} saved")
    facts: list[tuple[str, Fact]] = [("visitor", START), ("visitor", said), ("bot", saved), ("visitor", said)]
    store.write([recorded(n, author, fact) for n, (author, fact) in enumerate(facts, start=1)], PLACE)
    assert store.counted == 4
    store.close()
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


async def test_a_state_that_cannot_be_read_is_met_once(
    logs: Logs, services: Services, tmp_path: Path
) -> None:
    """The service ends, and whoever starts it again lets it count all anew."""
    file = tmp_path / "numbers.duckdb"
    await logs.conversation(1)
    service = await services.start("analytics", SWITCHBOARD_ANALYTICS_FILE=str(file))
    before = await counted(service, logs)
    await service.stop()
    with duckdb.connect(str(file)) as connection:
        connection.execute("UPDATE tracked SET state = 'nonsense'")
    service.launch()
    assert service.process is not None
    name = subjects.conversation_of("visitor 1", "web")
    await logs.visitor.append(name, "visitor", Entry(id="later", facts=(TEXT,)))
    assert await asyncio.to_thread(service.process.wait, 30) == 0
    assert told(service, "numbers_begin_anew")
    await service.start()
    after = await counted(service, logs)
    assert after["conversations"] == before["conversations"]
    assert after["position"] == before["position"] + 1


async def test_numbers_that_cannot_be_read_are_no_ones_business(
    logs: Logs, services: Services, tmp_path: Path
) -> None:
    store = NumbersStore(tmp_path / "numbers.duckdb")
    health = Health("test")
    model = ReadModel(store, health)
    model.follow(cast(ChatLog, None), lambda: PLACE)
    model._complete = True
    store._connection.execute("DROP TABLE matters")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(
            cast(Any, http.build(lambda: http.Parts(model), health, AnalyticsSettings()))
        ),
        base_url="http://here",
    ) as client:
        answer = await client.get("/api/summary")
    assert answer.status_code == 503
    assert answer.json()["error"] == "the numbers cannot be read now, try again"
    assert "matters" not in answer.text
    await model.stop()


async def test_reading_waits_while_too_much_is_not_written(
    logs: Logs, connections: Connections, link: ConnectionState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be written: of a long log only some batches are read. Once it can, all is."""
    monkeypatch.setattr("services.analytics.read_model.BATCH", 5)
    monkeypatch.setattr("services.analytics.read_model.MOST_BATCHES", 1000)
    await asyncio.gather(*(logs.conversation(number) for number in range(40)))
    log, health, store = await connections.log("analytics"), Health("test"), NumbersStore(None)
    numbers, write = ReadModel(store, health), store.write
    full = asyncio.Event()
    loop = asyncio.get_running_loop()

    def refuses(*_: object) -> None:
        loop.call_soon_threadsafe(full.set)
        raise StoreError("no space")

    monkeypatch.setattr(store, "write", refuses)
    subscription = Subscription(
        *(log, link, health, numbers.on_message, numbers.reset, Start.BEGINNING), room=numbers.room
    )
    numbers.follow(log, lambda: subscription.checkpoint)
    starting = asyncio.create_task(subscription.start())
    await full.wait()
    await asyncio.wait([starting], timeout=0.5)  # nothing tells that nothing happens
    assert not starting.done()
    assert health.reasons["store"] == "no space"
    monkeypatch.setattr(store, "write", write)
    await starting
    await numbers.written()
    assert (await numbers.numbers()).position == await log.length()
    await subscription.stop()
    await numbers.stop()


def talk(conversation: str = "a" * 32) -> list[RecordedEntry]:
    story = Story()
    story.visitor(START)
    story.visitor(TEXT)
    story.operator(CLAIM)
    return [replace(entry, conversation=conversation) for entry in story.entries]
