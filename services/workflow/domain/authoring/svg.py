"""A flow's picture as SVG, complete in one file. Pure."""

from __future__ import annotations

from html import escape
from typing import Final

from shared.flow.drawing import COLOURS, Drawing
from shared.flow.layout import Size
from shared.flow.placing import LINE, PADDING, PlacedArrow, PlacedBox, PlacedPart, placed

_MARGIN: Final = 24.0

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
    for each in placed(picture):
        scope, part, size = each.scope, _part(each), each.size
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


def _part(part: PlacedPart) -> str:
    drawn = [_line(each) for each in part.arrows]
    drawn += [_box(each) for each in part.boxes]
    return "".join((*drawn, *(_label(each) for each in part.arrows if each.lines)))


def _box(placed: PlacedBox) -> str:
    box, at, size = placed.box, placed.at, placed.size
    fill, stroke = COLOURS[box.look]
    x, y = at.x - size.width / 2, at.y - size.height / 2
    radius = {"asks": 14, "end": 16, "assistant": 14}.get(box.look, 5)
    rect = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{size.width:.1f}" height="{size.height:.1f}" rx="{radius}"'
        f' fill="{fill}" stroke="{stroke}" stroke-width="{2.2 if box.look == "asks" else 1.3}"/>'
    )
    texts = (
        f'<text class="{style}" x="{at.x:.1f}" y="{y + PADDING + 9 + number * LINE:.1f}"'
        f' text-anchor="middle">{escape(line)}</text>'
        for number, (style, line) in enumerate(placed.lines)
    )
    return rect + "".join(texts)


def _line(placed: PlacedArrow) -> str:
    dashed = " d" if placed.arrow.dashed else ""
    return f'<path class="e{dashed}" d="{placed.path}" marker-end="url(#a)"/>'


def _label(placed: PlacedArrow) -> str:
    at, size = placed.at, placed.size
    top = at.y - size.height / 2
    ground = (
        f'<rect x="{at.x - size.width / 2:.1f}" y="{top:.1f}" width="{size.width:.1f}"'
        f' height="{size.height:.1f}" fill="#fff" rx="3"/>'
    )
    texts = (
        f'<text class="l" x="{at.x:.1f}" y="{top + 12 + number * 13:.1f}" text-anchor="middle">'
        f"{escape(line)}</text>"
        for number, line in enumerate(placed.lines)
    )
    return ground + "".join(texts)
