"""`switchboard flow replay`: recorded conversations with another version of their flow. Sends nothing."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec

from deploy.cli import history
from deploy.cli.progress import ProgressLine
from deploy.cli.settings import Local
from deploy.cli.words import opened_log
from services.workflow.domain.authoring.backtest import Verdict, compare
from services.workflow.domain.authoring.backtest_report import as_json, lines, report
from services.workflow.flow_files import read_flow
from shared.contract.entry import RecordedEntry
from shared.contract.facts import FlowStarted
from shared.flow.language.flow import Flow
from shared.service.chat_log import ChatLog
from shared.service.settings import environment, load

#: How many verdicts lie between two looks at the progress.
STRIDE = 50


def replay(options: argparse.Namespace) -> int:
    flow = read_flow(Path(options.file), options.name)
    env = environment()
    settings = load(Local, env)

    async def command() -> list[list[RecordedEntry]]:
        async with opened_log(settings, env) as log:
            return await newest(log, flow.name, options.last)

    found = report(verdicts(asyncio.run(command()), flow))
    if options.json:
        print(msgspec.json.format(msgspec.json.encode(as_json(found))).decode())
    else:
        print("\n".join(lines(found)))
    return 0


async def newest(log: ChatLog, name: str, count: int) -> list[list[RecordedEntry]]:
    """The entries of the last ``count`` conversations that began with the flow ``name``.

    Those whose words are sealed or erased are left out: what the visitor said decides what the bot says.
    """
    kept: dict[str, list[RecordedEntry]] = {}
    left_out: set[str] = set()
    mine: dict[str, None] = {}  # in the order in which they began
    closed: set[str] = set()
    async for recorded in history.recorded(log, "Reading the log"):
        conversation = recorded.conversation
        if recorded.sealed:
            closed.add(conversation)
        if conversation in left_out:
            continue
        kept.setdefault(conversation, []).append(recorded)
        started = next((fact for fact in recorded.facts if isinstance(fact, FlowStarted)), None)
        if conversation in mine or started is None:
            continue
        if started.flow != name:
            left_out.add(conversation)
            del kept[conversation]
            continue
        mine[conversation] = None
        if len(mine) > count:
            oldest = next(iter(mine))
            left_out.add(oldest)
            del mine[oldest], kept[oldest]
    if closed := closed.intersection(mine):
        print(f"Left out, since their words are sealed or erased: {len(closed)}.", file=sys.stderr)
    return [kept[conversation] for conversation in mine if conversation not in closed]


def verdicts(conversations: list[list[RecordedEntry]], flow: Flow) -> list[Verdict]:
    found: list[Verdict] = []
    progress = ProgressLine("Replaying")
    for number, entries in enumerate(conversations, start=1):
        verdict = compare(entries, flow)
        if verdict is not None:
            found.append(verdict)
        if number % STRIDE == 0:
            progress(number, len(conversations))
    progress.end()
    return found
