"""A flow's picture as SVG, complete in one file. Pure."""

from __future__ import annotations

import itertools
from html import escape
from textwrap import wrap
from typing import Final

from services.workflow.domain.authoring.drawing import COLOURS, Arrow, Box, Drawing
from services.workflow.domain.authoring.layout import GraphLayout, LayoutEdge, Point, Size, layout

#: Widths of a character of the fonts below, on average, and what a line takes (pixels).
_NAME_WIDTH: Final = 7.4
_TEXT_WIDTH: Final = 6.1
_LINE: Final = 15.0
_PADDING: Final = 10.0
_MARGIN: Final = 24.0
#: How wide a text gets before it is broken (characters).
_WRAP: Final = 30
_LABEL_WRAP: Final = 22

_STYLE: Final = (
    "text{font:12px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1d2430}"
    ".n{font-weight:600}.t{fill:#3d4757}.s{font-style:italic;fill:#667085}"
    ".l{fill:#3d4757;font-size:11px}.e{fill:none;stroke:#7b8494;stroke-width:1.4}"
    ".d{stroke-dasharray:5 4}.f{fill:none;stroke:#b6bdca;stroke-dasharray:2 4}"
    ".h{font-size:14px;font-weight:600}"
    ".h{font-size:14px;font-weight:600}"
)


def svg(picture: Drawing) -> str:
    """The whole picture: the flow, and each sub-flow in a frame below it."""
    parts: list[str] = []
    y, width = _MARGIN, 0.0
    for scope in dict.fromkeys(box.scope for box in picture.boxes):
        part, size = _part(picture, scope)
        title = scope or picture.name
        parts.append(f'<text class="h" x="{_MARGIN:g}" y="{y + 4:.0f}">{escape(title)}</text>')
        y += 18
        if scope:
            frame = f'x="{_MARGIN / 2:g}" y="{y - 34:.0f}" width="{size.width + _MARGIN:.0f}"'
            parts.append(f'<rect class="f" rx="10" {frame} height="{size.height + 52:.0f}"/>')
        parts.append(f'<g transform="translate({_MARGIN:g} {y:.0f})">{part}</g>')
        y += size.height + 2 * _MARGIN
        width = max(width, size.width)
    total = Size(width + 2 * _MARGIN, y)
    marker = (
        '<marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"'
        ' orient="auto-start-reverse"><path d="M0 0 10 5 0 10z" fill="#7b8494"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total.width:.0f} {total.height:.0f}"'
        f' width="{total.width:.0f}" height="{total.height:.0f}" role="img">'
        f"<title>{escape(picture.name)}</title><style>{_STYLE}</style><defs>{marker}</defs>"
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _part(picture: Drawing, scope: str) -> tuple[str, Size]:
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
    sizes = {name: _size(box) for name, box in boxes.items()}
    edges = [LayoutEdge(arrow.source, arrow.target, _label_size(arrow.label)) for arrow in arrows]
    placed = layout(sizes, edges)
    drawn = [_line(points, arrow) for points, arrow in zip(placed.lines, arrows, strict=True)]
    drawn += [_box(box, placed.boxes[name], sizes[name]) for name, box in boxes.items()]
    drawn += _labels(placed, arrows)
    return "".join(drawn), placed.size


def _calls(box: Box, arrow: Arrow) -> bool:
    """A call leads into a sub-flow, which has a frame of its own."""
    return box.look == "call" and arrow.dashed


def _words(box: Box) -> list[tuple[str, str]]:
    """The lines of a box, each with its style."""
    lines = [("n", box.name.rpartition("/")[2])]
    lines += [("t", line) for line in wrap(box.text, _WRAP)]
    return lines + [("s", line) for note in box.notes for line in wrap(note, _WRAP)]


def _size(box: Box) -> Size:
    words = _words(box)
    longest = max(len(line) * (_NAME_WIDTH if style == "n" else _TEXT_WIDTH) for style, line in words)
    return Size(max(70.0, longest + 2 * _PADDING), len(words) * _LINE + 2 * _PADDING - 4)


def _label_size(label: str) -> Size:
    if not label:
        return Size(0, 0)
    lines = wrap(label, _LABEL_WRAP)
    return Size(max(map(len, lines)) * 5.7 + 8, len(lines) * 13.0 + 4)


def _box(box: Box, at: Point, size: Size) -> str:
    fill, stroke = COLOURS[box.look]
    x, y = at.x - size.width / 2, at.y - size.height / 2
    radius = {"asks": 14, "end": 16, "assistant": 14}.get(box.look, 5)
    rect = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{size.width:.1f}" height="{size.height:.1f}" rx="{radius}"'
        f' fill="{fill}" stroke="{stroke}" stroke-width="{2.2 if box.look == "asks" else 1.3}"/>'
    )
    texts = (
        f'<text class="{style}" x="{at.x:.1f}" y="{y + _PADDING + 9 + number * _LINE:.1f}"'
        f' text-anchor="middle">{escape(line)}</text>'
        for number, (style, line) in enumerate(_words(box))
    )
    return rect + "".join(texts)


def _line(points: tuple[Point, ...], arrow: Arrow) -> str:
    path = [f"M{points[0].x:.1f} {points[0].y:.1f}"]
    for one, other in itertools.pairwise(points):
        if abs(one.x - other.x) < 0.5:
            path.append(f"L{other.x:.1f} {other.y:.1f}")
        else:
            half = (one.y + other.y) / 2
            path.append(f"C{one.x:.1f} {half:.1f} {other.x:.1f} {half:.1f} {other.x:.1f} {other.y:.1f}")
    dashed = " d" if arrow.dashed else ""
    return f'<path class="e{dashed}" d="{"".join(path)}" marker-end="url(#a)"/>'


def _labels(placed: GraphLayout, arrows: list[Arrow]) -> list[str]:
    drawn = []
    for at, arrow in zip(placed.labels, arrows, strict=True):
        if not arrow.label:
            continue
        lines, size = wrap(arrow.label, _LABEL_WRAP), _label_size(arrow.label)
        top = at.y - size.height / 2
        drawn.append(
            f'<rect x="{at.x - size.width / 2:.1f}" y="{top:.1f}" width="{size.width:.1f}"'
            f' height="{size.height:.1f}" fill="#fff" rx="3"/>'
        )
        drawn += [
            f'<text class="l" x="{at.x:.1f}" y="{top + 12 + number * 13:.1f}" text-anchor="middle">'
            f"{escape(line)}</text>"
            for number, line in enumerate(lines)
        ]
    return drawn
