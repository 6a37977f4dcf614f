"""`switchboard flow check` and `draw`: what is wrong with a flow, and what it looks like."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from services.workflow.domain.authoring.svg import svg
from services.workflow.flow_files import NO_FLOWS, BrokenFlow, beside, read_flow, told
from shared.flow.drawing import drawing, mermaid
from shared.flow.language.flow import Diagnostic, FlowError, parse


class _CheckResult(msgspec.Struct, frozen=True):
    """A problem as `--json` tells it. ``kind``: "error" or "warning"; ``line`` 0 for unknown."""

    file: str
    line: int
    state: str
    kind: str
    reason: str
    remedy: str


def check(options: argparse.Namespace) -> int:
    """Name every problem of the files; 1 if one of them is an error."""
    found: list[_CheckResult] = []
    broken = False
    for name in options.files:
        file = Path(name)
        if name.endswith(NO_FLOWS) and len(options.files) > 1:  # what *.json names, too
            continue
        problems, warnings, states = _problems(file)
        broken = broken or bool(problems)
        for kind, these in (("error", problems), ("warning", warnings)):
            for each in these:
                place = str(file.parent / each.file) if each.file else str(file)
                found.append(_CheckResult(place, each.line, each.state, kind, each.reason, each.remedy))
                if not options.json:
                    print(told(file, each) + (" (a warning)" if kind == "warning" else ""))
        if not options.json:
            count = f"{len(problems)} error{'s' * (len(problems) != 1)}"
            good = f"a valid flow of {states} state{'s' * (states != 1)}"
            print(f"{file}: {count if problems else good}.")
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    return 1 if broken else 0


def draw(options: argparse.Namespace) -> int:
    """Print a flow's picture, or write it. Raises `BrokenFlow`."""
    picture = drawing(read_flow(Path(options.file)))
    if options.output is None:
        print(mermaid(picture), end="")
        return 0
    output = Path(options.output)
    if output.suffix not in (".svg", ".mmd"):
        raise BrokenFlow([f"{output} is no kind of picture that is known: name it .svg or .mmd."])
    try:
        output.write_text(svg(picture) if output.suffix == ".svg" else mermaid(picture), encoding="utf-8")
    except OSError as error:
        raise BrokenFlow([f"{output} cannot be written: {error.strerror}."]) from error
    return 0


def _problems(file: Path) -> tuple[tuple[Diagnostic, ...], tuple[Diagnostic, ...], int]:
    """Errors, warnings, and the number of states."""
    try:
        flow = parse(file.read_bytes(), file.stem, beside(file))
    except OSError as error:
        remedy = "Name a file that is there."
        return (Diagnostic("", f"the file cannot be read: {error.strerror}.", remedy),), (), 0
    except FlowError as error:
        return error.problems, (), 0
    return (), flow.warnings, len(flow.states)
