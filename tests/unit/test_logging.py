"""Structured logs: every line whole and in order."""

from __future__ import annotations

import subprocess
import sys
from time import time_ns

import msgspec

from shared.timestamps import parse_time

WRITES = """
import asyncio, structlog
from shared.service import logging

logging.configure("workflow", "info", "json")
log = structlog.get_logger()

async def main():
    log.info("first", position=1)
    log.debug("unheard")
    log.info("second")
    log.warning("third")
    await asyncio.sleep(0)
    log.info("fourth")
    await asyncio.to_thread(log.info, "fifth")
    try:
        secret = "mine"
        raise ValueError("bad")
    except ValueError:
        log.exception("sixth")
    log.info("seventh")

asyncio.run(main())
log.info("eighth")
"""


def test_every_line_is_written_in_order_and_says_who_when_and_how_serious() -> None:
    began = time_ns()
    ended = subprocess.run([sys.executable, "-c", WRITES], capture_output=True, check=True, timeout=60)
    lines = [msgspec.json.decode(line) for line in ended.stderr.splitlines()]
    assert [line["event"] for line in lines] == [
        *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
    ]
    assert [line["level"] for line in lines] == [
        *("info", "info", "warning", "info", "info", "error", "info", "info")
    ]
    assert {line["service"] for line in lines} == {"workflow"}
    assert lines[0]["position"] == 1
    times = [began - 1000, *(parse_time(line["timestamp"]) for line in lines), time_ns()]
    assert times == sorted(times)
    [error] = lines[5]["exception"]
    assert (error["exc_type"], error["exc_value"]) == ("ValueError", "bad")
    assert b"mine" not in ended.stderr
