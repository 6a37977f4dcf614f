"""What a replica of the operator service tells the consoles that show a conversation."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.operator.desk import Desk
from services.operator.transports.events import EventHub
from services.operator.watches import MAX_REPORTS, Watches
from shared.contract.presence import WATCH_SECONDS, VisitorReport
from tests.examples import CONVERSATION, CONVERSATION_STARTED, OTHER_CONVERSATION, recorded


class DeskWithConsoles:
    """Two conversations, and consoles that listen; the clock stands still."""

    def __init__(self) -> None:
        self.now = 0.0
        self.hub = EventHub()
        self.watches = Watches(self.hub, lambda: self.now)
        self.desk = Desk()
        for position, name in enumerate((CONVERSATION, OTHER_CONVERSATION), 1):
            self.desk.apply(recorded(position, "visitor", CONVERSATION_STARTED, conversation=name))
        self._feeds: dict[str, AsyncIterator[bytes]] = {}

    async def console(self, name: str) -> None:
        async def welcome() -> bool:
            return True

        feed = self._feeds[name] = self.hub.listen(welcome, name)
        await anext(feed)

    def shows(self, name: str, conversation: str = CONVERSATION) -> None:
        self.watches.asked(conversation, name, self.desk)

    def tells(self, whereabouts: Any, replica: str = "a", **more: Any) -> None:
        self.watches.reported(CONVERSATION, VisitorReport(replica, whereabouts, **more))

    async def told(self, name: str) -> str:
        """Where the visitor is by the next event."""
        event, data, *_ = (await anext(self._feeds[name])).decode().split("\n")
        assert event == "event: presence"
        whereabouts: str = json.loads(data.removeprefix("data: "))["whereabouts"]
        return whereabouts

    async def nothing_more(self, name: str) -> None:
        self.hub.close()
        assert [frame async for frame in self._feeds[name]] == []


@pytest.fixture
def desk() -> DeskWithConsoles:
    return DeskWithConsoles()


async def test_a_console_is_told_of_the_conversation_that_it_shows_and_only_what_is_new(
    desk: DeskWithConsoles,
) -> None:
    await desk.console("ada")
    await desk.console("bob")
    desk.shows("ada")
    desk.shows("bob", OTHER_CONVERSATION)
    desk.tells("online")
    assert await desk.told("ada") == "online"
    desk.tells("online")
    desk.tells("gone", "another replica")  # the visitor has moved on from there
    desk.tells("away")
    assert await desk.told("ada") == "away"
    desk.shows("ada", OTHER_CONVERSATION)
    desk.tells("online")
    await desk.nothing_more("ada")


async def test_of_a_replica_that_is_silent_nothing_is_known_any_more(desk: DeskWithConsoles) -> None:
    await desk.console("ada")
    desk.shows("ada")
    desk.tells("online")
    assert await desk.told("ada") == "online"
    desk.now += WATCH_SECONDS + 1
    desk.shows("ada")
    assert await desk.told("ada") == "unknown"


async def test_who_asks_no_more_or_is_gone_is_told_no_more(desk: DeskWithConsoles) -> None:
    desk.shows("nobody")  # the feed of this name is another replica's
    assert len(desk.watches) == 0
    await desk.console("ada")
    desk.shows("ada")
    desk.shows("ada", "f" * 32)  # there is no such conversation
    assert len(desk.watches) == 1
    desk.now += WATCH_SECONDS + 1
    desk.watches.expire()
    assert len(desk.watches) == 0
    desk.shows("ada")
    desk.hub.close()
    desk.watches.forget(CONVERSATION)
    assert len(desk.watches) == 0


async def test_what_is_kept_of_one_conversation_is_bounded(desk: DeskWithConsoles) -> None:
    await desk.console("ada")
    desk.shows("ada")
    for number in range(MAX_REPORTS):
        desk.tells("away", str(number))
    assert await desk.told("ada") == "away"
    desk.tells("online", "0")  # those that are known are heard
    assert await desk.told("ada") == "online"
    desk.tells("away", "0")
    assert await desk.told("ada") == "away"
    desk.tells("online", "one too many")
    await desk.nothing_more("ada")
