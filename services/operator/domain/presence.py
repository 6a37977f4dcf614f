"""Where a visitor is, of what the replicas of the proxy say. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from shared.contract.presence import VisitorReport, Whereabouts

#: Who has a page in front of them at one replica is online, whatever the others say, and so on.
_RANK: Final[tuple[Whereabouts, ...]] = ("online", "away", "untold", "gone", "unknown")
NOT_KNOWN: Final = VisitorReport("", "unknown")


def merged(reports: Iterable[VisitorReport]) -> VisitorReport:
    """One report of them all, under no replica's name."""
    ordered = sorted(reports, key=lambda report: _RANK.index(report.whereabouts))
    if not ordered:
        return NOT_KNOWN
    return replace(ordered[0], replica="", seen=max(report.seen for report in ordered))
