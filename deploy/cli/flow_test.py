"""`switchboard flow test`: the dialogues beside a flow, performed with it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from services.workflow.domain.authoring.dialogue_runner import Mismatch, perform
from services.workflow.domain.authoring.dialogues import Dialogue, read_dialogues
from services.workflow.flow_files import BrokenFlow, read_flow, told
from shared.flow.language.flow import Flow, FlowError

#: What follows a flow's name in the name of its dialogues' file.
ENDING = ".test.json"
#: Lines of a failed dialogue that are shown before the one that fails.
MAX_BEFORE = 6


def test(options: argparse.Namespace) -> int:
    """Exit code 1 if a dialogue fails, or a file cannot be read."""
    performed = failed = 0
    for name in options.files:
        flow_file, dialogue_file = _pair(Path(name))
        flow, dialogues = read_flow(flow_file), _dialogues(dialogue_file)
        print(dialogue_file)
        for dialogue in dialogues:
            performed += 1
            mismatch = _perform(dialogue, flow)
            if mismatch is None:
                print(f"  ok    {dialogue.name}")
            else:
                failed += 1
                print(f"  FAIL  {dialogue.name}\n" + "\n".join(_difference(dialogue_file, mismatch)))
    sentence = f"{performed} dialogue{'s' * (performed != 1)}"
    print(f"{sentence}, {f'{failed} failed' if failed else 'all as written'}.")
    return 1 if failed else 0


def _perform(dialogue: Dialogue, flow: Flow) -> Mismatch | None:
    return perform(dialogue, flow, time.time_ns())


def _pair(file: Path) -> tuple[Path, Path]:
    """The flow's file and its dialogues', whichever of them is named."""
    if file.name.endswith(ENDING):
        return file.with_name(file.name.removesuffix(ENDING) + ".json"), file
    return file, file.with_name(file.stem + ENDING)


def _dialogues(file: Path) -> list[Dialogue]:
    try:
        return read_dialogues(file.read_bytes())
    except OSError as error:
        remedy = 'write one: [{"name": "hello", "dialogue": [{"bot": "Hi!"}]}]'
        raise BrokenFlow([f"{file} cannot be read ({error.strerror}); {remedy}."]) from error
    except FlowError as error:
        raise BrokenFlow([told(file, problem) for problem in error.problems]) from error


def _difference(file: Path, mismatch: Mismatch) -> list[str]:
    before = mismatch.before[-MAX_BEFORE:]
    lines = [f"        {file}:{mismatch.line}"]
    lines += ["          ..."] * (len(before) < len(mismatch.before))
    lines += [f"          {line}" for line in before]
    return [*lines, *_coloured(f"        - {mismatch.expected}", f"        + {mismatch.instead}")]


def _coloured(expected: str, instead: str) -> list[str]:
    if not sys.stdout.isatty():
        return [expected, instead]
    return [f"\x1b[31m{expected}\x1b[0m", f"\x1b[32m{instead}\x1b[0m"]
