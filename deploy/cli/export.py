"""`switchboard export` and `switchboard sql`: the log as Parquet files, and questions about them."""

from __future__ import annotations

import argparse
import asyncio
import csv
import sys
from pathlib import Path
from typing import Any

import msgspec

from deploy.cli.connection import connected
from deploy.cli.progress import ProgressLine
from deploy.cli.settings import Local
from deploy.data.exporter import Exporter
from deploy.data.query import QueryResult, ask
from shared.service.chat_log import open_log
from shared.service.settings import environment, load


def export(options: argparse.Namespace) -> int:
    """Write what is new. Raises `ExportError`, `ConnectionFailed`, `FolderError`, `LogError`."""
    env = environment()
    settings = load(Local, env)
    folder, progress = Path(options.folder), ProgressLine("Exporting")

    async def command() -> int:
        async with connected(settings, env, "reader") as client:
            return await Exporter(folder, progress).run(await open_log(client))

    try:
        count = asyncio.run(command())
    finally:
        progress.end()
    print(f"{count:,} new entries are in {folder}." if count else f"{folder} is up to date.")
    return 0


def sql(options: argparse.Namespace) -> int:
    """Answer a question. Raises `QueryError` or `ExportError`."""
    found = ask(Path(options.folder), options.question, options.rows, options.seconds)
    _FORMS[options.form](found)
    if found.more:
        print(f"There are more rows than {options.rows}: --rows shows more of them.", file=sys.stderr)
    return 0


def _table(found: QueryResult) -> None:
    cells = [found.columns, *([_shown(each) for each in row] for row in found.rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(found.columns))]
    for number, row in enumerate(cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def _csv(found: QueryResult) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(found.columns)
    writer.writerows([_shown(each) for each in row] for row in found.rows)


def _json(found: QueryResult) -> None:
    for row in found.rows:
        line = msgspec.json.encode(dict(zip(found.columns, row, strict=True)), enc_hook=str)
        print(line.decode())


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


_FORMS = {"table": _table, "csv": _csv, "json": _json}
