"""The file of the operator service's lists: it goes on from there, and the log is always right."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.provisioning import wipe
from services.operator import desk as desks
from services.operator.desk import Desk, DeskError
from services.operator.domain.desk import VIEWS
from shared.contract.desk_facts import NoteWritten
from shared.contract.entry import RecordedEntry
from shared.contract.facts import ConversationErased, ConversationStarted, TextWritten
from shared.eventlog.checkpoint import Checkpoint, Place
from tests.conftest import Services, connected, declare
from tests.contract.test_operator_api import Api, WrittenChats
from tests.contract.test_operator_api import chat as chat
from tests.contract.test_operator_api import clients as clients
from tests.examples import recorded
from tests.processes import Service
from tests.properties.test_notes import histories as noted_histories
from tests.properties.test_numbers import histories

PLACE = Checkpoint((Place("epoch", 7, 1),))
TALK = "c" * 32
SECRET = "the word that was erased"
NOTED = "what colleagues were told"


async def lists(service: Service, clients: list[httpx.AsyncClient]) -> dict[str, Any]:
    """All that the API lists."""
    api = await Api(service, clients).enter("ada")
    return {view: await api.view(view) for view in VIEWS}


async def test_it_goes_on_where_it_was_killed(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient], tmp_path: Path
) -> None:
    file = str(tmp_path / "desk" / "desk.sqlite")
    first = await chat.waiting("one")
    service = await services.start("operator", SWITCHBOARD_OPERATOR_FILE=file)
    api = await Api(service, clients).enter("ada")
    assert (await api.do(first, "claim")).status_code == 200
    assert (await api.do(first, "label", label="vip")).status_code == 200
    await api.shows("mine", first)
    service.kill()
    second = await chat.waiting("two")
    await service.start()
    shown = await lists(service, clients)
    assert [(row["id"], row["labels"]) for row in shown["mine"]] == [(first, ["vip"])]
    assert [row["id"] for row in shown["queue"]] == [second]
    anew = await services.start("operator")
    assert await lists(anew, clients) == shown
    assert (await (await Api(service, clients).enter("ada")).do(first, "say", text="Hi")).status_code == 200


async def test_killed_at_any_moment_it_is_as_one_that_reads_from_the_beginning(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient], tmp_path: Path
) -> None:
    service = services.make("operator", SWITCHBOARD_OPERATOR_FILE=str(tmp_path / "desk.sqlite"))
    chance = random.Random(5)
    for round in range(5):
        service.launch()
        talk = asyncio.gather(*(chat.waiting(f"{round}-{number}") for number in range(10)))
        await asyncio.sleep(chance.uniform(0.2, 1.2))  # the moment is the point
        service.kill()
        await talk
    await service.start()
    anew = await services.start("operator")
    assert await lists(service, clients) == await lists(anew, clients)


async def test_a_file_of_another_log_is_emptied(
    chat: WrittenChats, services: Services, tmp_path: Path
) -> None:
    await chat.waiting("one")
    service = await services.start("operator", SWITCHBOARD_OPERATOR_FILE=str(tmp_path / "desk.sqlite"))
    await service.stop()
    assert b"I need help" in _bytes(tmp_path, "desk")
    admin = await connected(services.server, "admin")
    await wipe(admin)
    await declare(admin)
    await admin.close()
    await service.start()
    await service.stop()
    assert b"I need help" not in _bytes(tmp_path, "desk")


async def test_a_broken_file_is_made_anew_and_two_replicas_cannot_share_one(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient], tmp_path: Path
) -> None:
    file = tmp_path / "desk.sqlite"
    file.write_bytes(b"this is no database" * 1000)
    waiting = await chat.waiting("one")
    first = await services.start("operator", SWITCHBOARD_OPERATOR_FILE=str(file))
    assert [row["id"] for row in (await lists(first, clients))["queue"]] == [waiting]
    assert file.stat().st_mode & 0o777 == 0o600
    assert "desk_begins_anew" in first.output
    second = services.make("operator", SWITCHBOARD_OPERATOR_FILE=str(file))
    second.launch()
    async with asyncio.timeout(30):
        while "each replica needs a file of its own" not in str(await second.ready(503)):
            await asyncio.sleep(0.05)
    await first.stop()
    await second.ready()
    assert [row["id"] for row in (await lists(second, clients))["queue"]] == [waiting]


# --- the file alone ----------------------------------------------------------------------------


@given(histories() | noted_histories(), st.integers(0, 25), st.integers(0, 25))
@settings(max_examples=60, deadline=None)
def test_cut_between_any_two_entries_it_is_as_one_that_reads_from_the_beginning(
    tmp_path_factory: pytest.TempPathFactory, history: list[RecordedEntry], cut: int, back: int
) -> None:
    """What was read behind the last checkpoint comes again."""
    path = tmp_path_factory.mktemp("desk") / "desk.sqlite"
    _read(Desk(path), history[:cut]).close()
    again = _read(Desk(path), history[max(0, cut - back) :])
    whole = _read(Desk(), history)
    for view in VIEWS:
        assert again.page(view, "ada", 50) == whole.page(view, "ada", 50)
    again.close()
    whole.close()


@given(histories() | noted_histories())
@settings(max_examples=30, deadline=None)
def test_what_is_no_longer_in_memory_is_read_from_the_file(history: list[RecordedEntry]) -> None:
    one_by_one, whole = Desk(), _read(Desk(), history)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(desks, "MAX_KEPT", 0)
        for entry in history:
            one_by_one.apply(entry)
            one_by_one.write(None)
        for view in VIEWS:
            assert one_by_one.page(view, "ada", 50) == whole.page(view, "ada", 50)
    one_by_one.close()
    whole.close()


def test_a_file_that_another_version_made_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "desk.sqlite"
    desk = Desk(path)
    desk.apply(recorded(1, "visitor", ConversationStarted(door="web"), conversation=TALK))
    desk.write(PLACE)
    desk.close()
    desk = Desk(path)
    assert (desk.checkpoint, desk.find(TALK) is not None) == (PLACE, True)
    desk.close()
    monkeypatch.setattr(desks, "MAKER", "a later version")
    desk = Desk(path)
    assert (desk.checkpoint, desk.find(TALK)) == (None, None)
    desk.close()


def test_what_cannot_be_written_is_kept_and_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "desk.sqlite"
    desk = Desk(path)
    desk.apply(recorded(1, "visitor", ConversationStarted(door="web"), conversation=TALK))

    def fails(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(desk, "_note", fails)
        with pytest.raises(DeskError, match="disk is full"):
            desk.write(PLACE)
    assert (desk.waiting, desk.checkpoint) == (1, None)
    desk.write(PLACE)
    desk.close()
    again = Desk(path)
    assert (again.checkpoint, again.find(TALK) is not None) == (PLACE, True)
    again.close()


def test_no_word_of_an_erased_conversation_stays_in_the_file(tmp_path: Path) -> None:
    """Nor in what SQLite keeps beside it, once that was written."""
    desk = Desk(tmp_path / "desk.sqlite")
    said = TextWritten(session="s", text=SECRET)
    for number in range(200):
        conversation = f"{number:032x}"
        desk.apply(recorded(1, "visitor", ConversationStarted(door="web"), conversation=conversation))
        desk.apply(recorded(2, "visitor", said, conversation=conversation))
        desk.apply(recorded(3, "desk", NoteWritten(operator="ada", text=NOTED), conversation=conversation))
        desk.write(None)
    assert SECRET.encode() in _bytes(tmp_path)
    assert NOTED.encode() in _bytes(tmp_path)
    for number in range(200):
        erased = ConversationErased(by="ada", reason="")
        desk.apply(recorded(4, "eraser", erased, conversation=f"{number:032x}"))
    desk.write(PLACE)
    assert SECRET.encode() not in _bytes(tmp_path)
    assert NOTED.encode() not in _bytes(tmp_path)
    desk.close()
    assert SECRET.encode() not in _bytes(tmp_path)


def test_what_is_erased_soon_after_is_gone_when_the_file_is_closed(tmp_path: Path) -> None:
    """The file is not written anew for each conversation that is erased."""
    desk = Desk(tmp_path / "desk.sqlite")
    for number in range(300):
        conversation = f"{number:032x}"
        facts = ConversationStarted(door="web"), TextWritten(session="s", text=SECRET)
        desk.apply(recorded(1, "visitor", *facts, conversation=conversation))
        desk.write(None)
        desk.apply(recorded(2, "eraser", ConversationErased(by="ada", reason=""), conversation=conversation))
        desk.write(None)
    desk.close()
    assert SECRET.encode() not in _bytes(tmp_path)


def test_rows_that_go_farther_than_the_checkpoint_are_not_believed(tmp_path: Path) -> None:
    """The log may be put back from a copy that lacks them; nobody would notice."""
    path = tmp_path / "desk.sqlite"
    for place in (None, PLACE):
        desk = Desk(path)
        desk.write(place)
        desk.apply(recorded(1, "visitor", ConversationStarted(door="web"), conversation=TALK))
        assert desk.page("live", "ada", 9).conversations  # which writes what it shows
        desk.close()
        desk = Desk(path)
        assert (desk.checkpoint, desk.find(TALK), desk.count("live")) == (None, None, 0)
        desk.close()


def test_what_a_list_writes_it_writes_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "desk.sqlite"
    desk = Desk(path)
    desk.follow(lambda: PLACE)
    desk.apply(recorded(1, "visitor", ConversationStarted(door="web"), conversation=TALK))
    assert desk.count("live") == 1
    desk.close()
    desk = Desk(path)
    assert (desk.checkpoint, desk.count("live")) == (PLACE, 1)
    desk.close()


def erased_in_vain(desk: Desk) -> None:
    """Words are erased, and the file cannot be written anew for now."""
    facts = ConversationStarted(door="web"), TextWritten(session="s", text=SECRET)
    for number in range(200):
        desk.apply(recorded(1, "visitor", *facts, conversation=f"{number:032x}"))
    desk.write(PLACE)
    for number in range(200):
        erased = ConversationErased(by="ada", reason="")
        desk.apply(recorded(2, "eraser", erased, conversation=f"{number:032x}"))


def test_where_the_process_is_killed_before_it_tidied_up_the_next_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "desk.sqlite"
    desk = Desk(path)
    erased_in_vain(desk)
    monkeypatch.setattr(desk, "_tidy", lambda: None)
    desk.write(replace(PLACE, "b"))
    desk.close()  # as one that is killed: what it has to do it does not
    assert to_be_tidied(path)
    again = Desk(path)
    again.write(again.checkpoint)
    again.close()
    assert not to_be_tidied(path)
    assert SECRET.encode() not in _bytes(tmp_path)


def to_be_tidied(path: Path) -> bool:
    """Whether the file says that words were erased since it was last written anew."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        return bool(file.execute("SELECT untidy FROM place").fetchone()[0])


def test_a_file_that_cannot_be_written_anew_is_still_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """VACUUM needs as much space again."""
    desk = Desk(tmp_path / "desk.sqlite")
    erased_in_vain(desk)
    whole = desk._file

    class FullDisk:
        def __getattr__(self, name: str) -> Any:
            return getattr(whole, name)

        def __enter__(self) -> Any:
            return whole.__enter__()

        def __exit__(self, *error: Any) -> Any:
            return whole.__exit__(*error)

        def execute(self, question: str, *values: Any) -> sqlite3.Cursor:
            if question == "VACUUM":
                raise sqlite3.OperationalError("database or disk is full")
            return whole.execute(question, *values)

    monkeypatch.setattr(desk, "_file", FullDisk())
    desk.write(replace(PLACE, "b"))
    assert (desk.waiting, desk.count("live")) == (0, 0)
    assert "desk_not_tidied" in capsys.readouterr().out
    monkeypatch.setattr(desk, "_file", whole)
    desk.close()
    assert SECRET.encode() not in _bytes(tmp_path)


def test_a_row_that_cannot_be_read_is_met_once(tmp_path: Path) -> None:
    path = tmp_path / "desk.sqlite"
    desk = Desk(path)
    desk.apply(recorded(1, "visitor", ConversationStarted(door="web"), conversation=TALK))
    desk.write(PLACE)
    desk.close()
    with sqlite3.connect(path) as file:
        file.execute("UPDATE conversations SET content = 'nonsense'")
    file.close()
    desk = Desk(path)
    with pytest.raises(DeskError, match="cannot be read"):
        desk.find(TALK)
    with pytest.raises(DeskError, match="thrown away"):
        desk.write(PLACE)
    desk.close()
    again = Desk(path)
    assert (again.checkpoint, again.find(TALK)) == (None, None)
    again.close()


async def test_the_service_makes_a_desk_anew_that_it_cannot_read(
    chat: WrittenChats, services: Services, clients: list[httpx.AsyncClient], tmp_path: Path
) -> None:
    path = tmp_path / "desk.sqlite"
    waiting = await chat.waiting("one")
    service = await services.start("operator", SWITCHBOARD_OPERATOR_FILE=str(path))
    await service.stop()
    with sqlite3.connect(path) as file:
        file.execute("UPDATE conversations SET content = 'nonsense'")
    file.close()
    await service.start()
    api = await Api(service, clients).enter("ada")
    answer = await api.http.get("/api/conversations", params={"view": "queue"})
    assert (answer.status_code, answer.json()["error"]) == (503, "the lists cannot be read now, try again")
    assert service.process is not None
    assert await asyncio.to_thread(service.process.wait, 30) == 0  # whoever runs it starts it again
    assert "desk_unusable" in service.output
    await service.start()
    assert [row["id"] for row in (await lists(service, clients))["queue"]] == [waiting]


def replace(place: Checkpoint, epoch: str) -> Checkpoint:
    return Checkpoint((Place(epoch, 9, 2), *place.places[1:]))


def _bytes(folder: Path, begin: str = "") -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob(f"{begin}*")))


def _read(desk: Desk, history: list[RecordedEntry]) -> Desk:
    for entry in history:
        desk.apply(entry)
    desk.write(PLACE)
    return desk
