"""The proxy with faults of its own: what names one ends as nobody foresaw.

Tests only. ``POISON heard`` makes the taking of what a client says raise. In an entry's words, ``POISON
raised`` makes the append raise, ``POISON failed`` makes it fail later, ``POISON cancelled`` cancels it; none
of them is an error that the log is known to answer with. ``POISON stored`` is stored, and cannot be read;
``POISON streamed`` cannot be told to who waits for an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from services.proxy.app import Proxy
from services.proxy.domain import sse_events
from services.proxy.domain.agent_session import AgentTalk
from services.proxy.domain.session import ClientSession
from services.proxy.domain.socketio_chat import Chat
from services.proxy.hub import Hub
from services.proxy.settings import ProxySettings
from shared.contract import entry
from shared.contract.entry import Entry
from shared.service.lifecycle import main

#: Each ends the connection of who says it, and nothing of it is stored.
POISONS = ("raised", "failed", "cancelled", "heard")


def faulty(
    self: Hub, conversation: str, entry: Entry, expect: int | None, version: str = ""
) -> asyncio.Future[int]:
    """Instead of `Hub.append`."""
    words = str(entry.facts)
    if "POISON raised" in words:
        raise ValueError("a fault of the test")
    if "POISON failed" not in words and "POISON cancelled" not in words:
        return append(self, conversation, entry, expect, version)
    position: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    if "POISON failed" in words:
        position.get_loop().call_later(0.01, position.set_exception, ValueError("a fault of the test"))
    else:
        position.get_loop().call_later(0.01, position.cancel)
    return position


append, decode = Hub.append, entry.decode


def poisoned(function: Callable[..., Any], word: str, about: Callable[..., object]) -> Callable[..., Any]:
    """``function``, which raises where what it is ``about`` names the poison ``word``."""

    def instead(*arguments: Any, **named: Any) -> Any:
        if f"POISON {word}" in str(about(*arguments)):
            raise ValueError("a fault of the test")
        return function(*arguments, **named)

    return instead


if __name__ == "__main__":
    Hub.append = faulty  # type: ignore[method-assign]
    for side in (ClientSession, Chat, AgentTalk):
        setattr(side, "receive", poisoned(side.receive, "heard", lambda _, *said: said))  # noqa: B010
    entry.decode = poisoned(entry.decode, "stored", lambda *message: decode(*message).facts)
    sse_events.encode = poisoned(sse_events.encode, "streamed", lambda events, _: events)
    main("proxy", ProxySettings, lambda settings: settings.proxy_port, Proxy)
