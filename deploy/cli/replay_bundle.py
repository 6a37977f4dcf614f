"""`switchboard replay-bundle`: a recorded conversation as a test of its flow. It reaches nobody."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import msgspec

from deploy.cli.progress import ProgressLine
from services.workflow.flow_files import read_flow
from shared.flow.bundle import MAX_LINE, BadBundle, BundleReport, replayed
from shared.flow.considered import Considered
from shared.flow.language.flow import Flow

#: A value is cut beyond (characters).
MAX_SHOWN = 80


class ReplayError(Exception):
    """The file cannot be replayed; the text says why."""


def replay_bundle(options: argparse.Namespace) -> int:
    """Exit code 1 if the bot decides otherwise, or the file cannot be read. Raises `ReplayError`."""
    file = Path(options.file)
    instead = read_flow(Path(options.flow), options.name) if options.flow else None
    try:
        report = replayed(_lines(file), instead)
    except OSError as error:
        raise ReplayError(f"{file} cannot be read: {error.strerror}.") from error
    except BadBundle as error:
        raise ReplayError(f"{file}: {error}.") from error
    if instead is not None and not report.instead:
        raise ReplayError(
            f"{file}: nothing in it was decided by a flow “{instead.name}”; say with --name which it is."
        )
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        print("\n".join(told(report, instead)))
    return 0 if report.difference is None else 1


def told(report: BundleReport, instead: Flow | None = None) -> list[str]:
    """The report as text."""
    lines = [f"{each.position}: cannot be told at {_at(each.place)}: {each.why}" for each in report.named]
    if report.untold > len(report.named):
        lines.append(f"... and {report.untold - len(report.named):,} more")
    if (found := report.difference) is not None:
        lines.append(f"{report.position}: differs at {_at(found.place)}: {found.why}")
        lines += [f"    {_rule(each)}" for each in found.looked]
    told = f", {report.untold:,} cannot be told" if report.untold else ""
    end = "the bot decides the same" if report.difference is None else "the bot decides otherwise"
    with_flow = "" if instead is None else f" with this “{instead.name}”"
    lines.append(f"{report.entries:,} entries, {report.same:,} decisions the same{told}: {end}{with_flow}.")
    return lines


def _at(place: str | None) -> str:
    return "the beginning" if place is None else f"“{place}”"


def _rule(each: Considered) -> str:
    holds = {True: "yes", False: "no", None: "cannot be told"}[each.holds]
    why = f" ({each.why})" if each.why else ""
    values = "".join(f"; {name} = {_shown(value)}" for name, value in each.values.items())
    return f"{each.state}: {each.rule} {each.text}".rstrip() + f": {holds}{why}{values}"


def _shown(value: object) -> str:
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _lines(file: Path) -> Iterator[bytes]:
    progress, size, read = ProgressLine("Replaying"), file.stat().st_size, 0
    try:
        with file.open("rb") as opened:
            while line := opened.readline(MAX_LINE + 1):
                read += len(line)
                progress(read, size)
                yield line
    finally:
        progress.end()
