"""`switchboard flow`: what an author of flows needs, from a first draft to the versions in use."""

from __future__ import annotations

import argparse
from typing import Any

from deploy.cli.lazy_commands import Command, LazyCommand, count

Verbs = Any  # argparse's own type for a set of sub-commands is private


def add_parser(commands: Verbs) -> None:
    """The verbs of `switchboard flow`."""
    flow = commands.add_parser(
        "flow",
        help="check, draw, try and test flows; publish and move their versions",
        description="Flows: the files that lead conversations. docs/flows.md says how to write one.",
    )
    verbs = flow.add_subparsers(required=True, metavar="VERB")

    check = _verb(verbs, "check", "find every problem of flow files", LazyCommand("flow_check", "check"))
    check.add_argument("files", nargs="+", metavar="FILE")
    check.add_argument("--json", action="store_true", help="the problems as JSON")

    draw = _verb(
        verbs,
        "draw",
        "draw a flow as Mermaid or SVG",
        LazyCommand("flow_check", "draw"),
        "Without -o the picture is printed as Mermaid, which many pages and editors show.",
    )
    draw.add_argument("file", metavar="FILE")
    draw.add_argument("-o", "--output", metavar="FILE", help="x.svg or x.mmd")

    attempt = _verb(
        verbs, "try", "talk to a flow in the terminal, with no server", LazyCommand("flow_try", "talk")
    )
    attempt.add_argument("file", metavar="FILE")
    attempt.add_argument("--language", default="", metavar="TAG", help="the visitor's, such as de")
    attempt.add_argument("--assistant", action="store_true", help="the configured assistant speaks")
    attempt.add_argument("--services", action="store_true", help="backends are asked over HTTP")

    test = _verb(
        verbs,
        "test",
        "perform the dialogues that lie beside flows",
        LazyCommand("flow_test", "test"),
        "The dialogues of order.json are in order.test.json; docs/flows.md says how to write them.",
    )
    test.add_argument("files", nargs="+", metavar="FILE")

    publish = _verb(
        verbs,
        "publish",
        "let new conversations begin with this file's content",
        LazyCommand("flow_releases", "publish"),
        "Conversations that have begun stay on their version. What is published comes before a file of the"
        " same name that the workflow reads; `withdraw` undoes that.",
    )
    publish.add_argument("file", metavar="FILE")
    publish.add_argument("--name", default="", metavar="NAME", help="the flow's name, if not the file's")
    publish.add_argument(
        "--share",
        type=_percent,
        default=100,
        metavar="PERCENT",
        help="only for so many of the new conversations; the others begin as before",
    )

    share = _verb(
        verbs,
        "share",
        "change the share of a candidate; 100 makes it the version",
        LazyCommand("flow_releases", "share"),
    )
    share.add_argument("name", metavar="NAME")
    share.add_argument("share", type=_percent, metavar="PERCENT")

    rollback = _verb(
        verbs,
        "rollback",
        "back to the version before, or to VERSION",
        LazyCommand("flow_releases", "rollback"),
        "Without VERSION: a candidate is dropped; where there is none, the version published before is back.",
    )
    rollback.add_argument("name", metavar="NAME")
    rollback.add_argument("version", nargs="?", default="", metavar="VERSION")

    withdraw = _verb(
        verbs,
        "withdraw",
        "publish nothing: begin with the workflow's file again",
        LazyCommand("flow_releases", "withdraw"),
    )
    withdraw.add_argument("name", metavar="NAME")

    listed = _verb(
        verbs,
        "list",
        "versions, their shares, and how many live conversations each has",
        LazyCommand("flow_releases", "listed"),
    )
    listed.add_argument("--json", action="store_true", help="as JSON")

    migrate = _verb(
        verbs,
        "migrate",
        "move live conversations to another version",
        LazyCommand("flow_migrate", "migrate"),
        "States of the same name are the same place, unless the map (a JSON object from old to new) says"
        " otherwise. All conversations are looked at first: if one has no place to go, nothing is moved.",
    )
    migrate.add_argument("name", metavar="NAME")
    migrate.add_argument("--to", required=True, metavar="VERSION|FILE")
    migrate.add_argument("--map", metavar="FILE", help="where states of other names go")
    migrate.add_argument("--dry-run", action="store_true", help="only say what would happen")
    migrate.add_argument(
        "--only-mapped", action="store_true", help="move those that have a place, and leave the others"
    )

    replay = _verb(
        verbs,
        "replay",
        "what this version would have done in recorded conversations",
        LazyCommand("flow_replay", "replay"),
        "Sends nothing. Visitors, backends and the assistant do what they did; behind the first thing that"
        " the bot does otherwise, a conversation counts as unknown.",
    )
    replay.add_argument("file", metavar="FILE")
    replay.add_argument(
        "--name", default="", metavar="NAME", help="the recorded flow, if not the file's name"
    )
    replay.add_argument(
        "--last", type=count, default=10_000, metavar="N", help="only the last N conversations (10000)"
    )
    replay.add_argument("--json", action="store_true", help="the report as JSON")


def _verb(verbs: Verbs, name: str, help: str, command: Command, more: str = "") -> argparse.ArgumentParser:
    sentence = help[0].upper() + help[1:] + "."
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=help, description=f"{sentence} {more}".rstrip()
    )
    parser.set_defaults(command=command)
    return parser


def _percent(text: str) -> int:
    number = text.removesuffix("%").strip()
    if not number.isdecimal() or int(number) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 100")
    return int(number)
