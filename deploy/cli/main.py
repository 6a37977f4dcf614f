"""The `switchboard` command: what it understands. What each command does is in the module that it names."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence

from deploy.cli import flows, webhook_verbs
from deploy.cli.lazy_commands import LazyCommand, count
from shared.contract.roles import ROLES
from shared.service.version import VERSION


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = parser().parse_args(arguments)
    from shared.service import logging

    logging.configure("switchboard", "warning", "console")
    try:
        code: int = options.command(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `switchboard log | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except _wrong_settings() as error:
        print(error, file=sys.stderr)
        return 2
    except _told() as error:
        print(error, file=sys.stderr)
        return 1
    return code


def _wrong_settings() -> type[Exception]:
    from shared.service.settings import SettingError

    return SettingError


def _told() -> tuple[type[Exception], ...]:
    """What is told in a sentence. Asked for, and imported, only where something was raised."""
    from deploy.cli.accounts import AccountError
    from deploy.cli.connection import ConnectionFailed
    from deploy.cli.desk import DeskCommandError
    from deploy.cli.erase import EraseError
    from deploy.cli.reconcile import ReconcileError
    from deploy.cli.replay_bundle import ReplayError
    from deploy.cli.webhooks import WebhookCommandError
    from deploy.data.exporter import ExportError
    from deploy.data.query import QueryError
    from deploy.local.embedded import ServerError
    from deploy.local.ports import PortError
    from deploy.local.processes import FolderError
    from deploy.local.supervised_process import ProcessError
    from deploy.log_copy import ReshardError
    from services.workflow.domain.releases import ReleaseError
    from services.workflow.flow_files import BrokenFlow
    from shared.contract.relocation import Unmovable
    from shared.eventlog.errors import LogError
    from shared.eventlog.master_keys import KeyringError
    from shared.eventlog.provisioning import DeclareError

    return (
        *(AccountError, ConnectionFailed, ServerError, ProcessError, PortError, FolderError),
        *(ReleaseError, BrokenFlow, DeclareError, LogError, KeyringError),
        *(ReshardError, Unmovable, EraseError, ReplayError, DeskCommandError),
        *(WebhookCommandError, ReconcileError, ExportError, QueryError),
    )


def parser() -> argparse.ArgumentParser:
    """What the command understands; its ``command`` does it."""
    parser = argparse.ArgumentParser(
        prog="switchboard",
        description="Answer a website's visitors with a bot, and let a person take over.",
        epilog="Settings are environment variables, and .env in the working folder; .env.example lists all.",
    )
    parser.add_argument("--version", action="version", version=f"switchboard {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="start NATS and the four services here, until Ctrl-C")
    run.add_argument("--flow", metavar="FILE", help="the flow of new conversations")
    run.add_argument("--workflows", type=count, default=1, metavar="N", help="replicas of the workflow")
    run.add_argument("--proxies", type=count, default=1, metavar="N", help="replicas of the proxy")
    run.add_argument("--verbose", action="store_true", help="show all that the services log")
    run.set_defaults(command=LazyCommand("run", "run"))

    setup = commands.add_parser("setup", help="declare the streams on NATS")
    setup.add_argument(
        "--new-epoch", action="store_true", help="make every client begin anew: after a restore, to be sure"
    )
    setup.set_defaults(command=LazyCommand("streams", "setup"))

    reshard = commands.add_parser(
        "reshard", help="copy the log into another number of streams, with the services stopped"
    )
    what = reshard.add_mutually_exclusive_group(required=True)
    what.add_argument("--streams", type=_streams, metavar="N", help="of how many streams, 1 to 8")
    what.add_argument("--drop-old", action="store_true", help="remove the streams from before for good")
    reshard.set_defaults(command=LazyCommand("reshard", "reshard"))

    reconcile = commands.add_parser(
        "reconcile", help="count the log by another path, and compare with what analytics tells"
    )
    reconcile.add_argument("--analytics", metavar="URL", help="the service; the one of this machine")
    reconcile.add_argument("--metrics", metavar="URL", help="its port for metrics, where that is another")
    reconcile.set_defaults(command=LazyCommand("reconcile", "reconcile"))

    export = commands.add_parser("export", help="write what is new on the log as Parquet files")
    export.add_argument("folder", help="a folder of its own, a new one or that of the last time")
    export.set_defaults(command=LazyCommand("export", "export"))

    sql = commands.add_parser("sql", help="ask an exported folder a question in SQL")
    sql.add_argument("folder", help="the folder of `switchboard export`")
    sql.add_argument("question", help="a SELECT over conversations, matters, turns and facts")
    sql.add_argument(
        "--form", choices=("table", "csv", "json"), default="table", help="json: a line for each row"
    )
    sql.add_argument("--rows", type=count, default=1000, metavar="N", help="at most so many (1000)")
    sql.add_argument("--seconds", type=count, default=60, metavar="N", help="at most so long (60)")
    sql.set_defaults(command=LazyCommand("export", "sql"))

    wipe = commands.add_parser("wipe", help="remove every conversation, flow and account for good")
    wipe.add_argument("--yes", action="store_true", help="do not ask")
    wipe.set_defaults(command=LazyCommand("streams", "wipe"))

    log = commands.add_parser("log", help="print the log as JSON lines")
    log.add_argument("--last", type=count, metavar="N", help="only the last N entries")
    log.add_argument("--from", dest="start", type=count, metavar="POSITION", help="only from there on")
    log.add_argument("--conversation", type=_conversation, metavar="C", help="only of this conversation")
    log.add_argument("--follow", action="store_true", help="go on with what comes")
    log.set_defaults(command=LazyCommand("tail", "log"))
    described = log.add_subparsers(metavar="schema | asyncapi")
    schema = described.add_parser("schema", help="print an entry's JSON Schema")
    schema.set_defaults(command=LazyCommand("tail", "schema"))
    asyncapi = described.add_parser("asyncapi", help="print what goes over NATS, as AsyncAPI")
    asyncapi.set_defaults(command=LazyCommand("asyncapi", "asyncapi"))

    erase = commands.add_parser("erase", help="forget conversations for good: docs/privacy.md")
    erase.add_argument("conversation", type=_conversation, nargs="*", metavar="C", help="these conversations")
    erase.add_argument(
        "--attribute",
        action="append",
        metavar="NAME=VALUE",
        help="those with this variable (or user=ID, as doors name users)",
    )
    erase.add_argument("--older-than", metavar="AGE", help="those silent for so long, such as 400d or 36h")
    erase.add_argument("--why", metavar="TEXT", help="kept on the log: do not name the visitor in it")
    erase.add_argument("--by", metavar="NAME", help="who asks for it, if not the account that runs this")
    erase.add_argument("--dry-run", action="store_true", help="only show which these are")
    erase.add_argument("--yes", action="store_true", help="do not ask")
    erase.set_defaults(command=LazyCommand("erase", "erase"))

    operator = commands.add_parser("operator", help="the operators' accounts")
    verbs = operator.add_subparsers(required=True, metavar="VERB")
    add = verbs.add_parser("add", help="make an account; asks for its password")
    add.add_argument("name")
    add.add_argument("--display", default="", metavar="NAME", help="the name that visitors see")
    add.add_argument(
        "--role", choices=ROLES, default="operator", help="a supervisor may take over from anyone"
    )
    add.add_argument("--sso", action="store_true", help="no password: it logs in by single sign-on")
    add.set_defaults(command=LazyCommand("operators", "add"))
    sso = verbs.add_parser("sso", help="let an account log in by single sign-on, without a password")
    sso.add_argument("name")
    sso.set_defaults(command=LazyCommand("operators", "sso"))
    role = verbs.add_parser("role", help="change what an account may do; ends its sessions")
    role.add_argument("name")
    role.add_argument("role", choices=ROLES)
    role.set_defaults(command=LazyCommand("operators", "role"))
    passwd = verbs.add_parser("passwd", help="change an account's password; ends its sessions")
    passwd.add_argument("name")
    passwd.set_defaults(command=LazyCommand("operators", "passwd"))
    remove = verbs.add_parser("remove", help="remove an account for good; ends its sessions")
    remove.add_argument("name")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    remove.set_defaults(command=LazyCommand("operators", "remove"))
    disable = verbs.add_parser("disable", help="let nobody log in with an account; ends its sessions")
    disable.add_argument("name")
    disable.set_defaults(command=LazyCommand("operators", "disable"))
    enable = verbs.add_parser("enable", help="let a disabled account log in again")
    enable.add_argument("name")
    enable.set_defaults(command=LazyCommand("operators", "enable"))
    verbs.add_parser("list", help="name all accounts").set_defaults(
        command=LazyCommand("operators", "listed")
    )
    second = verbs.add_parser("second-factor-off", help="let an account log in with its password alone")
    second.add_argument("name")
    second.set_defaults(command=LazyCommand("operators", "second_factor_off"))
    logins = verbs.add_parser("logins", help="where an account is logged in")
    logins.add_argument("name")
    logins.set_defaults(command=LazyCommand("operators", "logins"))
    logout = verbs.add_parser("logout", help="end a login of an account, or all of them")
    logout.add_argument("name")
    which = logout.add_mutually_exclusive_group(required=True)
    which.add_argument("login", nargs="?", metavar="LOGIN", help="as `logins` names it, or its beginning")
    which.add_argument("--all", action="store_true", help="all of them")
    logout.set_defaults(command=LazyCommand("operators", "logout"))

    desk = commands.add_parser("desk", help="the operators' desk: queues, hours, agreed times (docs/desk.md)")
    verbs = desk.add_subparsers(required=True, metavar="VERB")
    check = verbs.add_parser("check", help="say what is wrong in a file of settings")
    check.add_argument("file", metavar="FILE")
    check.set_defaults(command=LazyCommand("desk", "check"))
    set_ = verbs.add_parser("set", help="let the settings of a file hold")
    set_.add_argument("file", metavar="FILE")
    set_.set_defaults(command=LazyCommand("desk", "set_"))
    verbs.add_parser("show", help="print the settings that hold").set_defaults(
        command=LazyCommand("desk", "show")
    )

    webhook_verbs.add_parser(commands)

    keys = commands.add_parser("keys", help="the keys of sealed words, and their master key")
    verbs = keys.add_subparsers(required=True, metavar="VERB")
    verbs.add_parser(
        "check", help="open every key with the master key, and say what is missing"
    ).set_defaults(command=LazyCommand("keys", "check"))
    verbs.add_parser("rotate", help="wrap all keys by a new master key").set_defaults(
        command=LazyCommand("keys", "rotate")
    )

    flows.add_parser(commands)

    bundle = commands.add_parser(
        "replay-bundle", help="replay a conversation that was saved as a test: docs/flow-tools.md"
    )
    bundle.add_argument("file", metavar="FILE", help="what the console saved")
    bundle.add_argument("--flow", metavar="FLOW", help="decide by this flow's file, not by the one of then")
    bundle.add_argument("--name", default="", help="the flow's name, if its file is called otherwise")
    bundle.add_argument("--json", action="store_true", help="the report as JSON")
    bundle.set_defaults(command=LazyCommand("replay_bundle", "replay_bundle"))
    return parser


def _conversation(text: str) -> str:
    if re.fullmatch("[0-9a-f]{32}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no conversation: the name has 32 hex digits")
    return text


def _streams(text: str) -> int:
    from shared.eventlog.layout import MAX_STREAMS

    if not text.isdecimal() or not 1 <= int(text) <= MAX_STREAMS:
        raise argparse.ArgumentTypeError(f"a log has 1 to {MAX_STREAMS} streams, not {text}")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
