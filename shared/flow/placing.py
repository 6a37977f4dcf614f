"""Where everything of a flow's picture stands: what draws it only writes it down. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from textwrap import wrap
from typing import Final

import msgspec

from shared.flow.drawing import ROOM, Arrow, Box, Drawing
from shared.flow.layout import LayoutEdge, Point, Size, layout

#: Widths of a character of a name and of a text, on average, and what a line takes (pixels).
NAME_WIDTH: Final = 7.4
TEXT_WIDTH: Final = 6.1
LINE: Final = 15.0
PADDING: Final = 10.0
#: How wide a text gets before it is broken (characters).
_WRAP: Final = 30
_LABEL_WRAP: Final = 22


class PlacedBox(msgspec.Struct, frozen=True):
    """A state. ``lines``: each with its style: n for its name, t for what it says, s for notes."""

    box: Box
    at: Point
    size: Size
    lines: tuple[tuple[str, str], ...]


class PlacedArrow(msgspec.Struct, frozen=True):
    """``path`` is that of SVG; ``lines`` are its label's, of which ``at`` is the middle."""

    arrow: Arrow
    path: str
    at: Point
    size: Size
    lines: tuple[str, ...]


class PlacedPart(msgspec.Struct, frozen=True):
    """The flow ("" as its ``scope``), or a sub-flow of it."""

    scope: str
    size: Size
    boxes: tuple[PlacedBox, ...]
    arrows: tuple[PlacedArrow, ...]


def placed(picture: Drawing) -> list[PlacedPart]:
    """The flow, then each sub-flow."""
    return [_part(picture, scope) for scope in dict.fromkeys(box.scope for box in picture.boxes)]


def _part(picture: Drawing, scope: str) -> PlacedPart:
    boxes = {box.name: box for box in picture.boxes if box.scope == scope}
    inside = [arrow for arrow in picture.arrows if arrow.source in boxes]
    circles = [arrow for arrow in inside if arrow.source == arrow.target]
    for arrow in circles:  # written into the box
        box = boxes[arrow.source]
        boxes[box.name] = Box(box.name, box.look, box.text, (*box.notes, f"↺ {arrow.label}"), scope)
    for arrow in inside:  # out of the sub-flow: the name of where it goes
        if arrow.target not in boxes and not _calls(boxes[arrow.source], arrow):
            boxes[arrow.target] = Box(arrow.target, "plain", "", ("elsewhere",), scope)
    arrows = [arrow for arrow in inside if arrow.source != arrow.target and arrow.target in boxes]
    words = {name: _words(box) for name, box in boxes.items()}
    sizes = {name: _size(lines) for name, lines in words.items()}
    edges = [LayoutEdge(arrow.source, arrow.target, _label_size(arrow.label)) for arrow in arrows]
    found = layout(sizes, edges)
    return PlacedPart(
        scope,
        found.size,
        tuple(PlacedBox(box, found.boxes[name], sizes[name], words[name]) for name, box in boxes.items()),
        tuple(
            PlacedArrow(arrow, _path(points), at, edge.label, tuple(wrap(arrow.label, _LABEL_WRAP)))
            for arrow, points, at, edge in zip(arrows, found.lines, found.labels, edges, strict=True)
        ),
    )


def _calls(box: Box, arrow: Arrow) -> bool:
    """A call leads into a sub-flow, which has a frame of its own."""
    return box.look == "call" and arrow.dashed


def _words(box: Box) -> tuple[tuple[str, str], ...]:
    """The lines of a box, each with its style."""
    lines = [("n", box.name.rpartition("/")[2])]
    lines += [("t", line) for line in wrap(box.text, _WRAP)]
    for note in box.notes:
        lines += [("s", line) for line in ([note] if note == ROOM else wrap(note, _WRAP))]
    return tuple(lines)


def _size(words: Sequence[tuple[str, str]]) -> Size:
    longest = max(len(line) * (NAME_WIDTH if style == "n" else TEXT_WIDTH) for style, line in words)
    return Size(max(70.0, longest + 2 * PADDING), len(words) * LINE + 2 * PADDING - 4)


def _label_size(label: str) -> Size:
    if not label:
        return Size(0, 0)
    lines = wrap(label, _LABEL_WRAP)
    return Size(max(map(len, lines)) * 5.7 + 8, len(lines) * 13.0 + 4)


def _path(points: tuple[Point, ...]) -> str:
    path = [f"M{points[0].x:.1f} {points[0].y:.1f}"]
    for one, other in itertools.pairwise(points):
        if abs(one.x - other.x) < 0.5:
            path.append(f"L{other.x:.1f} {other.y:.1f}")
        else:
            half = (one.y + other.y) / 2
            path.append(f"C{one.x:.1f} {half:.1f} {other.x:.1f} {half:.1f} {other.x:.1f} {other.y:.1f}")
    return "".join(path)
