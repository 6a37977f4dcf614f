"""A conversation as a file to keep or to pass on: text, HTML or JSON. What was erased is not in it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, Final, Literal, get_args

import msgspec

from services.operator.domain.desk import ConversationSummary
from services.operator.domain.notes import Note
from services.operator.domain.transcript import TranscriptEntry
from shared.contract.markdown import plain_markdown
from shared.timestamps import format_time

Format = Literal["text", "html", "json"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
#: What each is, and how its file is called.
MEDIA: Final[dict[Format, tuple[str, str]]] = {
    "text": ("text/plain; charset=utf-8", "txt"),
    "html": ("text/html; charset=utf-8", "html"),
    "json": ("application/json", "json"),
}
_WHO: Final = {"visitor": "Visitor", "bot": "Bot", "assistant": "Assistant", "operator": "Operator"}

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }}
dl {{ display: grid; grid-template-columns: auto 1fr; gap: .2rem 1rem; }}
dd {{ margin: 0; }}
section {{ margin: 1rem 0; }}
p {{ margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }}
small, .system, dt {{ color: #555; }}
.note {{ padding: .5rem .8rem; border: 1px dashed #a80; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #111; color: #eee; }}
  small, .system, dt {{ color: #aaa; }}
}}
</style>
<h1>{title}</h1>
<dl>{facts}</dl>
{lines}
"""


class _ExportedLine(msgspec.Struct, kw_only=True):
    time: str
    who: str = msgspec.field(name="from")
    name: str
    text: str


class _Exported(msgspec.Struct, kw_only=True):
    conversation: str
    visitor: str
    started: str
    status: str
    labels: tuple[str, ...]
    variables: dict[str, Any]
    lines: list[_ExportedLine]


def exported(
    form: Format, summary: ConversationSummary, transcript: Sequence[TranscriptEntry], notes: bool
) -> bytes:
    """The file. With ``notes`` also what colleagues noted: for files that no visitor is given."""
    lines = _merged(transcript, summary.notes.notes if notes else ())
    match form:
        case "text":
            return _text(summary, lines).encode()
        case "html":
            return _html(summary, lines).encode()
        case "json":
            variables = dict(summary.state.progress.variables)
            found = _Exported(**_facts(summary), variables=variables, lines=lines)
            return msgspec.json.format(msgspec.json.encode(found))


def _merged(transcript: Sequence[TranscriptEntry], notes: Sequence[Note]) -> list[_ExportedLine]:
    both = [
        *(
            (line.position, line.time, line.who, line.name or _WHO.get(line.who, ""), _plain(line))
            for line in transcript
        ),
        *((note.position, note.time, "note", note.operator, note.text) for note in notes),
    ]
    both.sort(key=lambda each: each[0])
    return [
        _ExportedLine(time=format_time(time), who=who, name=name, text=text)
        for _, time, who, name, text in both
    ]


def _plain(line: TranscriptEntry) -> str:
    return plain_markdown(line.text) if line.who == "assistant" else line.text


def _facts(summary: ConversationSummary) -> dict[str, Any]:
    return {
        "conversation": summary.id,
        "visitor": summary.visitor,
        "started": format_time(summary.started),
        "status": summary.state.ownership.status,
        "labels": summary.notes.labels,
    }


def _said(summary: ConversationSummary) -> list[tuple[str, str]]:
    """What is known, and what the flow has saved, each under a name that the other cannot take."""
    facts = _facts(summary) | {"labels": ", ".join(summary.notes.labels)}
    saved = {f"{name} (saved)": value for name, value in summary.state.progress.variables.items()}
    return [(name, str(value)) for name, value in (facts | saved).items() if value not in ("", None)]


def _text(summary: ConversationSummary, lines: Sequence[_ExportedLine]) -> str:
    head = [f"{name}: {' '.join(value.split())}" for name, value in _said(summary)]
    body = []
    for line in lines:
        name = f"{line.name}: " if line.name else ""
        text = line.text.replace("\n", "\n    ")  # a line of its own begins no entry
        body.append(f"[{line.time}] {name}{'(note) ' if line.who == 'note' else ''}{text}")
    return "\n".join([*head, "", *body, ""])


def _html(summary: ConversationSummary, lines: Sequence[_ExportedLine]) -> str:
    facts = "".join(
        f"<dt>{html.escape(name)}</dt><dd dir=auto>{html.escape(value)}</dd>"
        for name, value in _said(summary)
    )
    body = "\n".join(
        f'<section class="{line.who}"><small>{html.escape(line.name)} {line.time}</small>'
        f"<p dir=auto>{html.escape(line.text)}</p></section>"
        for line in lines
    )
    return _PAGE.format(title=html.escape(f"Conversation with {summary.visitor}"), facts=facts, lines=body)
