"""A flow as a picture's parts: boxes and arrows, with what to write on them. Pure.

States that only take an answer are not drawn: the answer is written on the arrow from the question to
what follows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from shared.contract.facts import BotSaid, ChoiceAsked, EditorClosed, EditorOpened
from shared.contract.html_text import plain
from shared.flow.language.flow import Flow
from shared.flow.language.graph import Edge
from shared.flow.language.state import FlowState

Look = Literal["says", "asks", "handoff", "service", "assistant", "call", "end", "plain"]

#: Holds the place of a line that is written later.
ROOM: Final = "\N{FIGURE SPACE}" * 29

#: Longer texts are cut (characters).
_MAX_LENGTH: Final = 60


class Box(msgspec.Struct, frozen=True):
    """A state. ``scope`` is its sub-flow, ``notes`` what else happens there."""

    name: str
    look: Look
    text: str = ""
    notes: tuple[str, ...] = ()
    scope: str = ""


class Arrow(msgspec.Struct, frozen=True):
    """A way from box to box. ``dashed``: it is taken by time or by failure, not by the visitor."""

    source: str
    target: str
    label: str = ""
    dashed: bool = False


class Drawing(msgspec.Struct, frozen=True):
    """What is to be drawn, in the flow's order."""

    name: str
    first: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def drawing(flow: Flow, room: int = 0) -> Drawing:
    """The parts of the flow's picture. In each box there is ``room`` for so many lines of numbers."""
    out: dict[str, list[Edge]] = {}
    for way in flow.ways:
        out.setdefault(way.source, []).append(way)
    hidden = {name: ways[0].target for name, ways in out.items() if _only_takes(flow.states[name], ways)}
    hidden = {name: target for name, target in hidden.items() if target not in hidden and name != flow.first}
    rooms = (ROOM,) * room
    boxes = [_box(each, flow.first, rooms) for each in flow.states.values() if each.name not in hidden]
    arrows: dict[Arrow, None] = {}
    for name, ways in out.items():
        for way in ways if name not in hidden else ():
            label = _label(flow, way)
            target = hidden.get(way.target, way.target)
            arrows.setdefault(Arrow(name, target, label, way.kind in ("after", "onError", "nobody", "call")))
    return Drawing(flow.name, flow.first, tuple(boxes), tuple(_merged(arrows)))


def _merged(arrows: dict[Arrow, None]) -> Iterator[Arrow]:
    """Arrows between the same two boxes become one, with all their labels."""
    together: dict[tuple[str, str, bool], list[str]] = {}
    for arrow in arrows:
        together.setdefault((arrow.source, arrow.target, arrow.dashed), []).append(arrow.label)
    for (source, target, dashed), labels in together.items():
        yield Arrow(source, target, " / ".join(label for label in labels if label), dashed)


def _only_takes(state: FlowState, ways: list[Edge]) -> bool:
    return state.answer is not None and [way.kind for way in ways] == ["next"]


def _box(state: FlowState, first: str, room: tuple[str, ...]) -> Box:
    look, text = _look(state)
    notes = [f"saves {name}" for name in dict.fromkeys(state.saves)]
    notes += [f"after {span(timer.seconds)}: says more" for timer in state.after if timer.next is None]
    if state.assistant is not None and state.assistant.desk is not None:
        notes.append(f"may hand off to {state.assistant.desk.queue}")
    if state.name == first:
        notes.insert(0, "begins here")
    return Box(state.name, look, cut(text), (*notes, *room), state.scope)


def _look(state: FlowState) -> tuple[Look, str]:
    if state.desk is not None:
        return "handoff", f"to {state.desk.queue}"
    if state.service is not None:
        return "service", str(state.service.subject or "asks a backend")
    if state.assistant is not None:
        return "assistant", "the assistant speaks"
    if state.calls is not None:
        return "call", f"calls {state.calls.partition('/')[0]}"
    match state.effect:
        case BotSaid(text=text):
            return ("says" if state.next or state.branches else "end"), plain(text)
        case ChoiceAsked(question=question):
            return ("asks" if state.asks else "says"), plain(question)
        case EditorOpened(text=text, prompt=prompt):
            return ("asks" if state.asks else "says"), plain(text or "") or prompt or "opens the editor"
        case EditorClosed():
            return "plain", "closes the editor"
        case _:
            return ("plain" if state.next or state.branches else "end"), ""


def _label(flow: Flow, way: Edge) -> str:
    match way.kind:
        case "answer":
            return _answered(flow, way)
        case "when":
            return cut(way.label)
        case "after":
            return f"after {span(int(way.label.removesuffix(' s')))}"
        case "fallback":
            return "not understood"
        case "nobody":
            return "nobody is there"
        case "onError":
            return "on error"
        case "goTo":
            return "if it chooses"
        case "next" if flow.states[way.source].branches:
            return "else"
        case "next" if flow.states[way.source].desk is not None:
            return "handed back"
        case _:
            return ""


def _answered(flow: Flow, way: Edge) -> str:
    taker = flow.states[way.target]
    effect = flow.states[way.source].effect
    if isinstance(effect, ChoiceAsked):
        words = (plain(each.text) for each in effect.choices if str(each.item) == way.label)
        return cut(next(words, way.label))
    if taker.match is not None and taker.match.words:
        return cut(", ".join(taker.match.words.options))
    if taker.match is not None:
        return cut(f"/{taker.match.pattern.pattern}/")
    return f"saves {taker.save.name}" if taker.save is not None else "any text"


def span(seconds: int) -> str:
    """``90`` is "90 s", ``7200`` "2 h"."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def cut(text: str) -> str:
    """On one line, and not longer than a picture can show."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_LENGTH else line[: _MAX_LENGTH - 1].rstrip() + "…"


# --- Mermaid --------------------------------------------------------------------------------------

_SHAPES: Final[dict[Look, tuple[str, str]]] = {
    "says": ("(", ")"),
    "asks": ("{{", "}}"),
    "handoff": ("[/", "/]"),
    "service": ("[(", ")]"),
    "assistant": ("([", "])"),
    "call": ("[[", "]]"),
    "end": ("((", "))"),
    "plain": ("[", "]"),
}


def mermaid(picture: Drawing) -> str:
    """The picture as a flowchart of Mermaid (https://mermaid.js.org/syntax/flowchart.html)."""
    ids = {box.name: f"s{number}" for number, box in enumerate(picture.boxes)}
    lines = ["flowchart TD"]
    for scope in dict.fromkeys(box.scope for box in picture.boxes):
        inside = [box for box in picture.boxes if box.scope == scope]
        indent = "  "
        if scope:
            lines.append(f'  subgraph flow_{len(lines)}["{_quoted(scope)}"]')
            indent = "    "
        for box in inside:
            before, behind = _SHAPES[box.look]
            words = "<br/>".join(_quoted(each) for each in (box.name, box.text, *box.notes) if each)
            lines.append(f'{indent}{ids[box.name]}{before}"{words}"{behind}:::{box.look}')
        if scope:
            lines.append("  end")
    for arrow in picture.arrows:
        line = "-.->" if arrow.dashed else "-->"
        label = f'|"{_quoted(arrow.label)}"|' if arrow.label else ""
        lines.append(f"  {ids[arrow.source]} {line}{label} {ids[arrow.target]}")
    lines += [f"  classDef {look} fill:{fill},stroke:{stroke}" for look, (fill, stroke) in COLOURS.items()]
    return "\n".join(lines) + "\n"


#: What fills a box, and its edge.
COLOURS: Final[dict[Look, tuple[str, str]]] = {
    "says": ("#eef4ff", "#5b7fbd"),
    "asks": ("#fff5db", "#c08a1e"),
    "handoff": ("#fde8ea", "#c4505f"),
    "service": ("#e6f6ec", "#3f9160"),
    "assistant": ("#f1eafd", "#7d5bbe"),
    "call": ("#e2f5f8", "#2f8a99"),
    "end": ("#eceef1", "#7b8494"),
    "plain": ("#ffffff", "#9aa3b2"),
}


def _quoted(text: str) -> str:
    """Text within double quotes: Mermaid knows entities with # there."""
    return re.sub(r'[&"<>#;`\\|\[\]{}()]', lambda found: f"#{ord(found[0])};", text)
