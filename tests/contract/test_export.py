"""The log as Parquet, written from the real server, and questions about it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from deploy.data import exporter
from deploy.data.exporter import Exporter, ExportError
from deploy.data.query import QueryError, ask
from deploy.data.schema import TABLES
from deploy.provisioning import wipe
from shared.service.chat_log import ChatLog
from tests.conftest import Connections, Services, connected, declare
from tests.contract.test_analytics import Logs


@pytest.fixture
async def logs(connections: Connections) -> Logs:
    users = [await connections.log(user) for user in ("proxy", "workflow", "operator")]
    return Logs(*users)


@pytest.fixture
async def reader(connections: Connections) -> ChatLog:
    return await connections.log("reader")


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    return ask(folder, sql).rows


def everything(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    return {table.name: rows(folder, f"SELECT * FROM {table.name} ORDER BY ALL") for table in TABLES}


async def test_what_is_written_can_be_asked(logs: Logs, reader: ChatLog, tmp_path: Path) -> None:
    await asyncio.gather(*(logs.conversation(number) for number in range(8)))
    folder = tmp_path / "export"
    assert await Exporter(folder).run(reader) == await reader.length()
    assert rows(folder, "SELECT count(*) FROM conversations") == [(8,)]
    assert rows(folder, "SELECT count(*), sum(handed_off) FROM conversations WHERE door = 'web'") == [(8, 4)]
    assert rows(folder, "SELECT queue, count(*) FROM matters WHERE queue <> '' GROUP BY 1 ORDER BY 1") == [
        ("q1", 2),
        ("q3", 2),
    ]
    assert rows(folder, "SELECT count(*), min(seconds) >= 0 FROM turns") == [(12, True)]
    kinds = rows(folder, "SELECT kind, count(*) FROM facts WHERE author = 'operator' GROUP BY 1 ORDER BY 1")
    assert kinds == [("ConversationClaimed", 2), ("OperatorSaid", 2)]
    assert rows(folder, "SELECT DISTINCT fact->>'queue' FROM facts WHERE kind = 'HandoffRequested'") != []
    (today,) = rows(folder, "SELECT DISTINCT day FROM facts")
    assert (folder / "facts" / f"day={today[0]}").is_dir()


async def test_a_log_without_entries_can_be_asked_too(reader: ChatLog, tmp_path: Path) -> None:
    assert await Exporter(tmp_path / "export").run(reader) == 0
    assert rows(tmp_path / "export", "SELECT * FROM matters") == []


async def test_no_word_is_written(logs: Logs, reader: ChatLog, tmp_path: Path) -> None:
    await logs.conversation(1)  # says "Hello", and is told "Yes"
    await Exporter(tmp_path / "export").run(reader)
    for path in (tmp_path / "export").rglob("*.parquet"):
        with duckdb.connect() as made:
            found = made.execute(f"SELECT * FROM '{path}'").fetchall()
        assert "Hello" not in json.dumps(found, default=str)
        assert "Yes" not in json.dumps(found, default=str)


async def test_a_second_run_writes_only_what_is_new(logs: Logs, reader: ChatLog, tmp_path: Path) -> None:
    folder, whole = tmp_path / "export", tmp_path / "whole"
    await asyncio.gather(*(logs.conversation(number) for number in range(4)))
    first = await Exporter(folder).run(reader)
    assert await Exporter(folder).run(reader) == 0
    await asyncio.gather(*(logs.conversation(number) for number in range(4, 9)))
    assert await Exporter(folder).run(reader) == await reader.length() - first
    await Exporter(whole).run(reader)
    assert everything(folder) == everything(whole)


async def test_killed_anywhere_the_next_run_goes_on(
    logs: Logs, reader: ChatLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "CHUNK", 10)
    await asyncio.gather(*(logs.conversation(number) for number in range(6)))
    folder, whole = tmp_path / "export", tmp_path / "whole"
    await Exporter(whole).run(reader)

    class Killed(Exception):
        pass

    for step in ("_facts", "_counted", "_replace"):  # before each of them, once a chunk is done
        calls = 0
        right = getattr(Exporter, step)

        def dies(self: Exporter, *args: Any, right: Any = right) -> None:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise Killed
            right(self, *args)

        with monkeypatch.context() as broken:
            broken.setattr(Exporter, step, dies)
            with pytest.raises(Killed):
                await Exporter(folder).run(reader)
    await Exporter(folder).run(reader)
    assert everything(folder) == everything(whole)


async def test_a_lost_store_is_made_again_and_no_fact_comes_twice(
    logs: Logs, reader: ChatLog, tmp_path: Path
) -> None:
    folder, whole = tmp_path / "export", tmp_path / "whole"
    await logs.conversation(1)
    await Exporter(folder).run(reader)
    (folder / "numbers.duckdb").unlink()
    await logs.conversation(2)
    await Exporter(folder).run(reader)
    await Exporter(whole).run(reader)
    assert everything(folder) == everything(whole)


async def test_a_folder_of_another_log_is_refused(
    logs: Logs, reader: ChatLog, services: Services, connections: Connections, tmp_path: Path
) -> None:
    await logs.conversation(1)
    await Exporter(tmp_path / "export").run(reader)
    admin = await connected(services.server, "admin")
    await wipe(admin)
    await declare(admin)
    await admin.close()
    with pytest.raises(ExportError, match="is of another log"):
        await Exporter(tmp_path / "export").run(await connections.log("reader"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("Dear")
    with pytest.raises(ExportError, match="holds other files: export into an empty folder"):
        await Exporter(tmp_path / "mine").run(reader)


async def test_a_question_reads_the_export_and_nothing_else(
    logs: Logs, reader: ChatLog, tmp_path: Path
) -> None:
    await logs.conversation(1)
    folder, secret = tmp_path / "export", tmp_path / "secret.csv"
    await Exporter(folder).run(reader)
    secret.write_text("a\n4711\n")
    outside = [
        f"SELECT * FROM '{secret}'",
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM read_text('{secret}')",
        f"SELECT * FROM read_text('{folder}/../secret.csv')",
        f"SELECT * FROM glob('{tmp_path}/*.csv')",
        "SELECT * FROM read_csv('http://127.0.0.1:9/')",
        "SELECT getenv('HOME')",
    ]
    for question in outside:
        with pytest.raises(QueryError):
            ask(folder, question)
    for change in (
        f"COPY facts TO '{folder}/mine.csv'",
        "CREATE TABLE mine AS SELECT 1",
        f"ATTACH '{folder}/mine.duckdb'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "SELECT 1; SELECT 2",
        "",
    ):
        with pytest.raises(QueryError, match="only SELECT"):
            ask(folder, change)
    with pytest.raises(QueryError, match='Referenced column "nothing"'):
        ask(folder, "SELECT nothing FROM facts")
    with pytest.raises(QueryError, match="took more than 1 s"):
        ask(folder, "SELECT count(*) FROM range(1000000000) AS a, range(1000) AS b", seconds=1)
    found = ask(folder, "SELECT * FROM range(10)", rows=3)
    assert (len(found.rows), found.more) == (3, True)
    with pytest.raises(ExportError, match="is no export"):
        ask(tmp_path, "SELECT 1")
    assert sorted(path.name for path in folder.iterdir()) == [
        *("conversations", "facts", "manifest.json", "matters", "numbers.duckdb", "turns")
    ]


def test_every_column_is_on_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    for table in TABLES:
        for column in table.columns:
            assert f"| `{column.name}` | {column.type} | {column.says} |" in page, (table.name, column.name)
