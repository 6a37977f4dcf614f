"""`switchboard webhooks`: what the command understands."""

from __future__ import annotations

import argparse
from typing import Any

from deploy.cli.lazy_commands import LazyCommand

Verbs = Any  # argparse's own type for a set of sub-commands is private


def add_parser(commands: Verbs) -> None:
    """The verbs of `switchboard webhooks`."""
    webhooks = commands.add_parser(
        "webhooks",
        help="tell other systems what happens at the desk",
        description="Webhooks: docs/webhooks.md says what they hold and how a receiver checks them.",
    )
    verbs = webhooks.add_subparsers(required=True, metavar="VERB")

    add = _verb(verbs, "add", "make an endpoint; shows its secret, once")
    add.add_argument(
        "url", metavar="URL", help="where events are posted to, such as https://example.com/hooks"
    )
    add.add_argument(
        "--event", action="append", metavar="EVENT", help="one that it is told of; without any, of all"
    )
    add.add_argument("--words", action="store_true", help="send what people wrote, too")

    _verb(verbs, "list", "name all endpoints", "listed")

    change = _verb(verbs, "change", "change an endpoint")
    change.add_argument("id", metavar="ID")
    change.add_argument("--url", metavar="URL", help="where events are posted to from now on")
    change.add_argument("--event", action="append", metavar="EVENT", help="of these alone it is told")
    change.add_argument(
        "--words", action=argparse.BooleanOptionalAction, default=None, help="send what people wrote, too"
    )

    for name, help in (
        ("rotate", "give an endpoint a new secret; shows it, once"),
        ("disable", "tell an endpoint nothing for now"),
        ("enable", "tell an endpoint again"),
        ("remove", "remove an endpoint for good"),
    ):
        _verb(verbs, name, help).add_argument("id", metavar="ID")
    verbs.choices["remove"].add_argument("--yes", action="store_true", help="do not ask")

    dead = _verb(verbs, "dead", "list what could not be delivered")
    dead.add_argument("id", metavar="ID", nargs="?", help="to this endpoint")
    resend = _verb(verbs, "resend", "send again what could not be delivered")
    resend.add_argument("id", metavar="ID", nargs="?", help="to this endpoint")
    resend.add_argument("--webhook", metavar="WEBHOOK", help="only this one, as `dead` names it")


def _verb(verbs: Verbs, name: str, help: str, function: str = "") -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=help)
    parser.set_defaults(command=LazyCommand("webhooks", function or name))
    return parser
