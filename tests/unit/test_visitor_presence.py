"""Where a visitor is: what clients tell, and what proxy and operator service make of it."""

from __future__ import annotations

import asyncio
import json

import pytest

from services.operator.domain.presence import NOT_KNOWN, merged
from services.proxy import presence as edge
from services.proxy.domain.frames import PresenceTold
from services.proxy.domain.presence import GRACE_SECONDS, VisitorLeft, VisitorTold, report, told_by
from services.proxy.presence import VisitorsPresent
from shared.contract import cursor as cursors
from shared.contract.cursor import Cursor
from shared.contract.presence import WATCH_SECONDS, VisitorReport
from shared.contract.subjects import conversation_of, watch
from tests.virtual_time import run

C = conversation_of("a secret", "websocket")
SHOES = VisitorTold(visible=True, title="Shoes", seen=7)
SOCKS = VisitorTold(visible=False, title="Socks", seen=9)
LONG_AGO = VisitorLeft(0.0, SHOES)


def said(*told: VisitorTold, silent: bool = False, left: VisitorLeft | None = None) -> tuple[str, str, int]:
    found = report("a", told, silent, left, now=100.0)
    return found.whereabouts, found.title, found.seen


def test_of_several_pages_the_one_in_front_counts_and_what_was_seen_in_any() -> None:
    assert said(SHOES, SOCKS) == ("online", "Shoes", 9)
    assert said(SOCKS) == ("away", "Socks", 9)


def test_nobody_is_gone_of_whom_nothing_was_ever_told() -> None:
    assert said() == ("unknown", "", 0)
    assert said(silent=True) == ("untold", "", 0)


def test_who_has_closed_the_last_page_is_gone_after_a_moment_unless_somebody_is_there() -> None:
    just_now = VisitorLeft(100.0 - GRACE_SECONDS / 2, SHOES)
    assert said(left=just_now) == ("online", "Shoes", 7)  # perhaps on the way to the next page
    assert said(left=LONG_AGO) == ("gone", "Shoes", 7)
    assert said(silent=True, left=LONG_AGO) == ("untold", "", 0)
    assert said(SOCKS, left=LONG_AGO) == ("away", "Socks", 9)


def test_what_a_client_tells_is_cut_and_cleaned() -> None:
    frame = PresenceTold(
        visible=True,
        page="data:text/html,x",
        title=" A\x00\n shop ",
        referrer="HTTPS://a.example/" + "x" * 600,
    )
    told = told_by(frame, "epoch", 5)
    assert (told.page, told.title, told.referrer[:18], len(told.referrer)) == (
        "",
        "A shop",
        "HTTPS://a.example/",
        500,
    )


@pytest.mark.parametrize(
    ("epoch", "position", "seen"), [("epoch", 4, 4), ("epoch", 99, 5), ("epoch", -1, 0), ("another", 4, 0)]
)
def test_nothing_counts_as_seen_that_is_not_there(epoch: str, position: int, seen: int) -> None:
    cursor = cursors.encode(Cursor(epoch, position, 0, 0))
    assert told_by(PresenceTold(visible=True, seen=cursor), "epoch", 5).seen == seen


def test_of_several_replicas_the_one_that_knows_most_counts() -> None:
    online, gone = VisitorReport("a", "online", title="Shoes"), VisitorReport("b", "gone", seen=9)
    unknown, untold = VisitorReport("c", "unknown"), VisitorReport("d", "untold")
    assert merged([gone, online, unknown]) == VisitorReport("", "online", title="Shoes", seen=9)
    assert merged([unknown, gone]).whereabouts == "gone"
    assert merged([gone, untold]).whereabouts == "untold"  # somebody is there, of whom nothing is told
    assert merged([]) == NOT_KNOWN


class PresenceAtProxy:
    """A replica of the proxy with its readers, in virtual time."""

    def __init__(self) -> None:
        self.readers: dict[str, list[object]] = {}
        self.published: list[tuple[str, str]] = []
        clock = asyncio.get_running_loop().time
        self.present = VisitorsPresent(lambda id: self.readers.get(id, ()), self._publish, clock)

    async def _publish(self, subject: str, message: bytes) -> None:
        self.published.append((subject, json.loads(message)["whereabouts"]))

    def comes(self, conversation: str, told: VisitorTold | None = SHOES) -> object:
        reader = object()
        self.readers.setdefault(conversation, []).append(reader)
        if told is not None:
            self.present.tells(conversation, reader, told)
        return reader

    def goes(self, conversation: str, reader: object) -> None:
        self.readers[conversation].remove(reader)
        self.present.leaves(conversation, reader)

    async def told(self) -> list[str]:
        """What is told by now."""
        await asyncio.sleep(1)
        assert {subject for subject, _ in self.published} <= {watch(C, "visitor")}
        return [whereabouts for _, whereabouts in self.published]


def test_nothing_is_told_of_a_conversation_at_which_nobody_looks() -> None:
    async def look() -> None:
        proxy = PresenceAtProxy()
        reader = proxy.comes(C)
        assert await proxy.told() == []
        proxy.present.watch(C)
        assert await proxy.told() == ["online"]
        for told in (SHOES, SOCKS, SHOES, SOCKS):  # what comes at once is told once
            proxy.present.tells(C, reader, told)
        assert await proxy.told() == ["online", "away"]
        await asyncio.sleep(WATCH_SECONDS)
        proxy.present.tells(C, reader, SHOES)
        assert await proxy.told() == ["online", "away"]

    run(look())


def test_who_goes_to_the_next_page_is_never_said_to_be_gone() -> None:
    async def look() -> None:
        proxy = PresenceAtProxy()
        proxy.present.watch(C)
        proxy.goes(C, proxy.comes(C))
        await asyncio.sleep(GRACE_SECONDS / 2)
        last = proxy.comes(C)
        await asyncio.sleep(GRACE_SECONDS)
        assert set(await proxy.told()) == {"unknown", "online"}
        proxy.goes(C, last)
        await asyncio.sleep(GRACE_SECONDS)
        assert (await proxy.told())[-1] == "gone"

    run(look())


def test_what_is_kept_is_bounded_in_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "MAX_LEFT", 3)

    async def look() -> None:
        proxy = PresenceAtProxy()
        for number in range(10):
            name = f"{number:032x}"
            proxy.goes(name, proxy.comes(name))
        silent = proxy.comes(C, None)
        assert len(proxy.present) == 3
        proxy.goes(C, silent)  # it has told nothing, so there is nothing to keep
        proxy.present.tells(C, silent, SHOES)  # that was on its way when it left
        assert len(proxy.present) == 3
        await asyncio.sleep(edge.LEFT_SECONDS + 1)
        proxy.present.watch(C)
        assert len(proxy.present) == 0

    run(look())
