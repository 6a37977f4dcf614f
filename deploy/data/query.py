"""SQL over an exported folder: it can read its tables, and nothing else."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb

from deploy.data.exporter import ExportError
from deploy.data.schema import TABLES

#: What one question may take.
MAX_SECONDS: Final = 60.0
MAX_MEMORY: Final = "1GB"
MAX_ROWS: Final = 10_000


class QueryError(Exception):
    """The text says what is wrong with the question."""


class QueryResult(NamedTuple):
    """``more``: there are more rows than were asked for."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    more: bool


def ask(folder: Path, sql: str, rows: int = MAX_ROWS, seconds: float = MAX_SECONDS) -> QueryResult:
    """What one SELECT says of the folder's tables. Raises `QueryError`, `ExportError`."""
    if not (folder / "manifest.json").exists():
        raise ExportError(f"{folder} is no export: `switchboard export {folder}` makes one")
    root = str(folder.resolve()).replace("'", "''")
    with duckdb.connect(":memory:", config={"memory_limit": MAX_MEMORY, "temp_directory": ""}) as made:
        for table in TABLES:
            if any((folder / table.name).glob("*/*.parquet")):
                source = f"read_parquet('{root}/{table.name}/*/*.parquet', hive_partitioning = true)"
                made.execute(f"CREATE VIEW {table.name} AS SELECT * FROM {source}")
            else:
                columns = ", ".join(f'NULL::{each.type} AS "{each.name}"' for each in table.columns)
                made.execute(f"CREATE VIEW {table.name} AS SELECT {columns}, NULL::DATE AS day WHERE FALSE")
        made.execute(f"SET allowed_directories = ['{root}/']")
        made.execute("SET enable_external_access = false")
        made.execute("SET lock_configuration = true")
        return _answer(made, sql, rows, seconds)


def _answer(made: duckdb.DuckDBPyConnection, sql: str, rows: int, seconds: float) -> QueryResult:
    timer = threading.Timer(seconds, made.interrupt)
    try:
        statements = made.extract_statements(sql)
        kinds = {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}
        if len(statements) != 1 or statements[0].type not in kinds:
            raise QueryError("one question at a time, and only SELECT: the data is only read")
        timer.start()
        cursor = made.execute(statements[0])
        found = cursor.fetchmany(rows + 1)
        return QueryResult([each[0] for each in cursor.description or ()], found[:rows], len(found) > rows)
    except duckdb.InterruptException as error:
        raise QueryError(f"the question took more than {seconds:.0f} s: ask for less") from error
    except duckdb.Error as error:
        raise QueryError(str(error)) from error
    finally:
        timer.cancel()
