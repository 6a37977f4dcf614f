"""The forms of flows: how conversations went through them, and what draws their graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from services.analytics.funnel import StateNumbers
from services.analytics.transports.schemas import AboutNumbers

if TYPE_CHECKING:
    from shared.flow.placing import PlacedArrow, PlacedBox, PlacedPart


class BegunVersion(Struct):
    flow: str
    version: str
    started: int


class BegunVersions(Struct):
    """Versions of flows that were begun in the period, those with most first."""

    about: AboutNumbers
    versions: list[BegunVersion]


class DrawnBox(Struct):
    """A state on the graph; ``x`` and ``y`` are its upper left corner. ``lines``: each with its style: n is
    the name, t what it says, s a note; two empty ones at the end are for numbers.
    """

    state: str
    look: str
    x: float
    y: float
    width: float
    height: float
    lines: list[tuple[str, str]]


class DrawnArrow(Struct):
    """``path`` is that of SVG. ``x`` and ``y`` are the middle of the label."""

    path: str
    dashed: bool
    x: float
    y: float
    width: float
    height: float
    lines: list[str]


class DrawnPart(Struct):
    """The flow, or a sub-flow of it."""

    scope: str
    width: float
    height: float
    boxes: list[DrawnBox]
    arrows: list[DrawnArrow]


class FlowFunnel(Struct):
    """``parts`` draw the flow's own graph; without any, ``why`` says why there is none."""

    about: AboutNumbers
    flow: str
    version: str
    started: int
    states: Annotated[list[StateNumbers], Meta(description="those that were reached most first")]
    parts: list[DrawnPart]
    why: str = ""


def drawn(part: PlacedPart) -> DrawnPart:
    return DrawnPart(
        part.scope,
        *(round(part.size.width, 1), round(part.size.height, 1)),
        [_box(each) for each in part.boxes],
        [_arrow(each) for each in part.arrows],
    )


def _box(placed: PlacedBox) -> DrawnBox:
    at, size = placed.at, placed.size
    corner = (round(at.x - size.width / 2, 1), round(at.y - size.height / 2, 1))
    sides = (round(size.width, 1), round(size.height, 1))
    lines = [(style, line.strip("\N{FIGURE SPACE}")) for style, line in placed.lines]
    return DrawnBox(placed.box.name, placed.box.look, *corner, *sides, lines)


def _arrow(placed: PlacedArrow) -> DrawnArrow:
    middle = (round(placed.at.x, 1), round(placed.at.y, 1))
    sides = (round(placed.size.width, 1), round(placed.size.height, 1))
    return DrawnArrow(placed.path, placed.arrow.dashed, *middle, *sides, list(placed.lines))
