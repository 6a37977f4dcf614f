"""A service without some of the product's tricks: ``python -m tests.bench.without TRICK,... services.proxy``.

The product has no switches for them; here they are taken out of the running program, each at the one place
where it is. A trick that cannot be found any more is an error.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final


def _replace(module: ModuleType | type, name: str, by: Any) -> None:
    if not hasattr(module, name):
        raise SystemExit(f"{module.__name__} has no {name} any more: tests/bench/without.py is out of date")
    setattr(module, name, by)


def gathered_writes() -> None:
    """Who is woken together writes together: here each request is written by itself."""
    from shared.eventlog import live_connection

    connection = live_connection._Connection
    _replace(connection, "_hurry", lambda self: self._write())


def late_acknowledgements() -> None:
    """What asks for no answer waits for company: here it is written by itself."""
    from shared.eventlog import live_connection

    connection = live_connection._Connection
    publish = connection.publish

    def at_once(self: Any, subject: str, answer: str, data: bytes, headers: dict[str, str]) -> bool:
        done = publish(self, subject, answer, data, headers)
        if not answer:
            self._write()
        return done

    _replace(connection, "publish", at_once)


def requests_over_the_feed() -> None:
    """Appends and reads go over the feed's lean connection: here over nats-py's."""
    from shared.eventlog.log import Log

    _replace(Log, "goes_over", lambda self, line: None)


def direct_websockets() -> None:
    """Texts come and go without the tasks of ASGI: here by receive and send."""
    from services.proxy.transports import websocket

    _replace(websocket, "DIRECT", "no such extension")


def decoded_once() -> None:
    """What a flow says again and again is decoded and turned into frames once: here each time."""
    from services.proxy.domain.identity_cache import IdentityCache
    from shared.contract import entry

    _replace(entry, "_kept", entry._facts_of)
    _replace(IdentityCache, "__call__", lambda self, source: self._make(source))


def shards_once() -> None:
    """A key's shard is remembered: here it is hashed each time."""
    from shared import shards
    from shared.eventlog import layout

    _replace(layout, "shard_of", shards.shard_of.__wrapped__)


def late_log_lines() -> None:
    """Log lines wait for company: here each is written by itself."""
    from shared.service import logging

    _replace(logging._Lines, "word", logging._Lines.trouble)
    _replace(logging._Lines, "info", logging._Lines.trouble)
    _replace(logging._Lines, "debug", logging._Lines.trouble)


def collector_at_rest() -> None:
    """Python's collector looks at what a start made no more, and seldom at the rest: here as Python is."""
    import gc

    for each in ("collect", "freeze", "set_threshold"):
        _replace(gc, each, lambda *arguments: 0)


TRICKS: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each
    for each in (
        gathered_writes,
        late_acknowledgements,
        requests_over_the_feed,
        direct_websockets,
        decoded_once,
        shards_once,
        late_log_lines,
        collector_at_rest,
    )
}


if __name__ == "__main__":
    for trick in sys.argv[1].split(","):
        TRICKS[trick]()
    service = sys.argv[2]
    sys.argv = [service]
    runpy.run_module(service, run_name="__main__", alter_sys=True)
