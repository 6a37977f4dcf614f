"""What clients tell of their visitors, and what there is to say of a visitor with several of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from services.proxy.domain.frames import PresenceTold
from shared.contract import cursor as cursors
from shared.contract.presence import MAX_ADDRESS, MAX_BROWSER, MAX_TITLE, VisitorReport, Whereabouts
from shared.contract.visible import cleaned

#: Whoever goes to the next page of a site is gone for a moment: for so long that is not told (seconds).
GRACE_SECONDS = 3.0


class VisitorTold(msgspec.Struct, frozen=True):
    """What one client has told last. ``seen`` is a position, 0 for none."""

    visible: bool
    page: str = ""
    title: str = ""
    referrer: str = ""
    browser: str = ""
    seen: int = 0


class VisitorLeft(NamedTuple):
    """When the last client that told was closed (seconds, by `report`'s clock), and what it told."""

    time: float
    told: VisitorTold


def told_by(frame: PresenceTold, epoch: str, position: int) -> VisitorTold:
    """What a client's frame says; ``position`` is that of the conversation's last entry."""
    cursor = cursors.decode(frame.seen) if frame.seen else None
    seen = cursor.position if cursor is not None and cursor.epoch == epoch else 0
    return VisitorTold(
        visible=frame.visible,
        page=_address(frame.page),
        title=_line(frame.title, MAX_TITLE),
        referrer=_address(frame.referrer),
        browser=_line(frame.browser, MAX_BROWSER),
        seen=max(0, min(seen, position)),
    )


def report(
    replica: str, told: Sequence[VisitorTold], silent: bool, left: VisitorLeft | None, now: float
) -> VisitorReport:
    """What this replica says of the visitor: of the page in front, else of the one that was opened last.

    ``told`` is of the clients that are open, the oldest first; ``silent``: there are others, which tell
    nothing.
    """
    if told:
        shown = next((one for one in reversed(told) if one.visible), told[-1])
        return _report(replica, "online" if shown.visible else "away", shown, max(one.seen for one in told))
    if left is not None and now - left.time < GRACE_SECONDS:
        return _report(replica, "online" if left.told.visible else "away", left.told, left.told.seen)
    if silent:
        return VisitorReport(replica, "untold")
    if left is not None:
        return _report(replica, "gone", left.told, left.told.seen)
    return VisitorReport(replica, "unknown")


def _report(replica: str, whereabouts: Whereabouts, told: VisitorTold, seen: int) -> VisitorReport:
    return VisitorReport(replica, whereabouts, told.page, told.title, told.referrer, told.browser, seen)


def _line(text: str | None, limit: int) -> str:
    return " ".join(cleaned(text or "").split())[:limit]


def _address(text: str | None) -> str:
    """An address of a page on the web; of anything else nothing."""
    line = _line(text, MAX_ADDRESS)
    return line if line.lower().startswith(("http://", "https://")) else ""
