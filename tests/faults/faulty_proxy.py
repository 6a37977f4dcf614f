"""The proxy with a fault of its own: appends of entries that name one end as nobody foresaw.

Tests only. In an entry's words, ``POISON raised`` makes the append raise, ``POISON failed`` makes it fail
later, ``POISON cancelled`` cancels it; none of them is an error that the log is known to answer with.
"""

from __future__ import annotations

import asyncio

from services.proxy.app import Proxy
from services.proxy.hub import Hub
from services.proxy.settings import ProxySettings
from shared.contract.entry import Entry
from shared.runtime.service import main

POISONS = ("raised", "failed", "cancelled")


def faulty(
    self: Hub, conversation: str, entry: Entry, expect: int | None, version: str = ""
) -> asyncio.Future[int]:
    """Instead of `Hub.append`."""
    words = str(entry.facts)
    if "POISON raised" in words:
        raise ValueError("a fault of the test")
    if "POISON" not in words:
        return append(self, conversation, entry, expect, version)
    position: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    if "POISON failed" in words:
        position.get_loop().call_later(0.01, position.set_exception, ValueError("a fault of the test"))
    else:
        position.get_loop().call_later(0.01, position.cancel)
    return position


append = Hub.append

if __name__ == "__main__":
    Hub.append = faulty  # type: ignore[method-assign]
    main("proxy", ProxySettings, lambda settings: settings.proxy_port, Proxy)
