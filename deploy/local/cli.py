"""The `switchboard` command."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from deploy.local import accounts, flows, tail
from deploy.local.connection import ConnectionFailed, connected
from deploy.local.embedded import ServerError
from deploy.local.part import PartError
from deploy.local.ports import PortError, assign
from deploy.local.processes import FolderError, hold
from deploy.local.settings import PASSWORD_VARIABLES, Local
from deploy.local.supervisor import Supervisor
from services.analytics.settings import Settings as AnalyticsSettings
from services.operator.settings import Settings as OperatorSettings
from services.proxy.settings import ProxySettings
from services.workflow.assistant.profiles import describe
from services.workflow.domain.releases import ReleaseError
from services.workflow.flow_files import BrokenFlow, FlowFiles
from services.workflow.settings import DEFAULT_FLOW, WorkflowSettings
from shared.contract import entry
from shared.runtime import declare, logging
from shared.runtime.broker import Link
from shared.runtime.log import Log, LogError
from shared.runtime.settings import SettingError, environment, load, unknown, variable, variables
from shared.runtime.vitals import VERSION, Vitals

#: Every setting there is, by the structs that read them.
SETTINGS = (Local, ProxySettings, WorkflowSettings, OperatorSettings, AnalyticsSettings)
#: How long `setup` waits for a NATS that is not there yet, and `log --follow` for one that went (seconds).
PATIENCE = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    logging.configure("switchboard", "warning", "console")
    try:
        code: int = options.command(options)
    except SettingError as error:
        print(error, file=sys.stderr)
        return 2
    except (
        accounts.AccountError,
        BrokenFlow,
        ConnectionFailed,
        declare.DeclareError,
        FolderError,
        LogError,
        PartError,
        PortError,
        ReleaseError,
        ServerError,
    ) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `switchboard log | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="switchboard",
        description="Answer a website's visitors with a bot, and let a person take over.",
        epilog="Settings are environment variables, and .env in the working folder; .env.example lists all.",
    )
    parser.add_argument("--version", action="version", version=f"switchboard {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="start NATS and the four services here, until Ctrl-C")
    run.add_argument("--flow", metavar="FILE", help="the flow of new conversations")
    run.add_argument("--workflows", type=_count, default=1, metavar="N", help="replicas of the workflow")
    run.add_argument("--proxies", type=_count, default=1, metavar="N", help="replicas of the proxy")
    run.add_argument("--verbose", action="store_true", help="show all that the services log")
    run.set_defaults(command=_run)

    setup = commands.add_parser("setup", help="declare the streams on NATS")
    setup.add_argument(
        "--new-epoch", action="store_true", help="make every client begin anew: after a restore, to be sure"
    )
    setup.set_defaults(command=_setup)

    wipe = commands.add_parser("wipe", help="remove every conversation, flow and account for good")
    wipe.add_argument("--yes", action="store_true", help="do not ask")
    wipe.set_defaults(command=_wipe)

    log = commands.add_parser("log", help="print the log as JSON lines")
    log.add_argument("--last", type=_count, metavar="N", help="only the last N entries")
    log.add_argument("--from", dest="start", type=_count, metavar="POSITION", help="only from there on")
    log.add_argument("--conversation", type=_conversation, metavar="C", help="only of this conversation")
    log.add_argument("--follow", action="store_true", help="go on with what comes")
    log.set_defaults(command=_log)
    schema = log.add_subparsers(metavar="schema").add_parser("schema", help="print an entry's JSON Schema")
    schema.set_defaults(command=_schema)

    operator = commands.add_parser("operator", help="the operators' accounts")
    verbs = operator.add_subparsers(required=True, metavar="VERB")
    add = verbs.add_parser("add", help="make an account; asks for its password")
    add.add_argument("name")
    add.add_argument("--display", default="", metavar="NAME", help="the name that visitors see")
    add.set_defaults(command=_operator_add)
    passwd = verbs.add_parser("passwd", help="change an account's password; ends its sessions")
    passwd.add_argument("name")
    passwd.set_defaults(command=_operator_passwd)
    verbs.add_parser("list", help="name all accounts").set_defaults(command=_operator_list)

    flows.add_parser(commands)
    return parser


def _conversation(text: str) -> str:
    if re.fullmatch("[0-9a-f]{32}", text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no conversation: the name has 32 hex digits")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    env = environment()
    if options.flow:
        env[variable("flow")] = options.flow
    settings = _check_settings(env)
    # The services run in the project's root: what is relative here would be another file there.
    for name in ("flow", "flows", "nats_ca"):
        if value := getattr(settings, name):
            env[variable(name)] = str(Path(value).absolute())
    _check_flows(settings)
    env.setdefault(variable("origins"), "loopback")
    data = Path(settings.data).absolute()
    with hold(data) as lock:
        ports = assign(settings, {"workflow": options.workflows, "proxy": options.proxies})
        return asyncio.run(_supervise(settings, env, data, ports, lock, options.verbose))


async def _supervise(
    settings: Local, env: dict[str, str], data: Path, ports: dict[str, int], lock: int, verbose: bool
) -> int:
    notes = [describe(load(WorkflowSettings, env).provider())]
    return await Supervisor(settings, env, data, ports, lock, _say, verbose, notes).run()


def _check_settings(env: dict[str, str]) -> Local:
    """Read the settings of every part, so that a bad one is named before anything starts."""
    known = {name for kind in SETTINGS for name in variables(kind).values()}
    for sentence in unknown(known | PASSWORD_VARIABLES, env):
        print(sentence, file=sys.stderr)
    problems: list[str] = []
    for kind in SETTINGS:
        try:
            load(kind, env)
        except SettingError as error:
            problems += str(error).splitlines()
    if (ca := env.get(variable("nats_ca"))) and not Path(ca).is_file():
        problems.append(f"{variable('nats_ca')} names {ca}, which is no file.")
    if problems:
        raise SettingError("\n".join(dict.fromkeys(problems)))
    return load(Local, env)


def _check_flows(settings: Local) -> None:
    """Read the flows that the workflow will read, so that an error is told before anything starts."""
    files = FlowFiles(Path(settings.flow or DEFAULT_FLOW), Path(settings.flows) if settings.flows else None)
    for warning in files.warnings:
        print(warning, file=sys.stderr)


def _setup(options: argparse.Namespace) -> int:
    env = environment()
    settings = load(Local, env)

    async def command() -> None:
        async with connected(settings, env, "admin", patience=PATIENCE) as client:
            await declare.declare(client, settings.log_max_bytes, settings.log_replicas)
            if options.new_epoch:
                await declare.new_epoch(client)

    asyncio.run(command())
    print("The streams are declared." + (" The epoch is new." if options.new_epoch else ""))
    return 0


def _wipe(options: argparse.Namespace) -> int:
    env = environment()
    settings = load(Local, env)
    where = settings.nats_url or Path(settings.data).absolute()
    if not options.yes:
        print(f"This removes every conversation, flow and operator's account of {where} for good.")
        with contextlib.suppress(EOFError):
            options.yes = input("Type yes to go on: ").strip() == "yes"
        if not options.yes:
            print("Nothing was removed.")
            return 1

    async def command() -> list[str]:
        async with connected(settings, env, "admin") as client:
            return await declare.wipe(client)

    removed = asyncio.run(command())
    print(f"Removed: {', '.join(removed) or 'nothing, there was none'}. `switchboard setup` declares anew.")
    return 0


def _log(options: argparse.Namespace) -> int:
    env = environment()
    settings = load(Local, env)
    what = tail.Selection(options.start, options.last, options.conversation)

    async def command() -> None:
        vitals = Vitals("log")
        link = Link(vitals)
        patience = PATIENCE if options.follow else 1
        async with connected(settings, env, "reader", patience=patience, link=link) as client:
            if options.follow:
                await tail.follow(Log(client), link, vitals, what)
            else:
                await tail.show(Log(client), what)

    asyncio.run(command())
    return 0


def _schema(options: argparse.Namespace) -> int:
    print(msgspec.json.format(msgspec.json.encode(entry.schema())).decode())
    return 0


def _operator_add(options: argparse.Namespace) -> int:
    env = environment()
    settings = load(Local, env)
    accounts.check_name(options.name)
    password = _ask_password()

    async def command() -> None:
        async with connected(settings, env, "admin") as client:
            await accounts.add(client, options.name, options.display, password)

    asyncio.run(command())
    print(f"The account {options.name} is made.")
    return 0


def _operator_passwd(options: argparse.Namespace) -> int:
    env = environment()
    settings = load(Local, env)
    password = _ask_password()

    async def command() -> None:
        async with connected(settings, env, "admin") as client:
            await accounts.change(client, options.name, password)

    asyncio.run(command())
    print(f"The password of {options.name} is changed.")
    return 0


def _operator_list(options: argparse.Namespace) -> int:
    env = environment()
    settings = load(Local, env)

    async def command() -> list[accounts.Account]:
        async with connected(settings, env, "admin") as client:
            return await accounts.accounts(client)

    for account in asyncio.run(command()):
        print(f"{account.name:<32} {account.display:<32} {account.created}")
    return 0


def _ask_password() -> str:
    """From the terminal, twice; else the first line of the input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise accounts.AccountError("The two were not the same.")
    return password


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
