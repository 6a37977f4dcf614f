"""`switchboard run`: NATS and the four services on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from deploy.cli.settings import PASSWORD_VARIABLES, Local
from deploy.local.ports import assign, assign_internal
from deploy.local.processes import hold
from deploy.local.supervisor import Supervisor
from services.analytics.settings import Settings as AnalyticsSettings
from services.operator.settings import Settings as OperatorSettings
from services.proxy.settings import ProxySettings
from services.workflow.assistant.profiles import describe
from services.workflow.flow_files import FlowFiles
from services.workflow.settings import DEFAULT_FLOW, WorkflowSettings
from shared.service.settings import SettingError, environment, load, unknown, variable, variables

#: Every setting there is, by the structs that read them.
SETTINGS = (Local, ProxySettings, WorkflowSettings, OperatorSettings, AnalyticsSettings)


def run(options: argparse.Namespace) -> int:
    """Start everything, and stay. Raises `SettingError`, `BrokenFlow`, `FolderError` or `PortError`."""
    env = environment()
    if options.flow:
        env[variable("flow")] = options.flow
    settings = _check_settings(env)
    make_absolute(env)
    _check_flows(settings)
    env.setdefault(variable("origins"), "loopback")
    data = Path(settings.data).absolute()
    with hold(data) as lock:
        ports = assign(settings, {"workflow": options.workflows, "proxy": options.proxies})
        internal = assign_internal(settings, ports)
        return asyncio.run(_supervise(settings, env, data, ports, internal, lock, options.verbose))


def make_absolute(env: dict[str, str]) -> None:
    """The services run in the project's root: what is relative here would be another file there."""
    files = ("nats_ca", "agents_file", "operator_file", "analytics_file", "smtp_password_file", "smtp_ca")
    for name in ("flow", "flows", "oidc_client_secret_file", *files):
        if value := env.get(variable(name)):
            env[variable(name)] = str(Path(value).absolute())


async def _supervise(
    settings: Local,
    env: dict[str, str],
    data: Path,
    ports: dict[str, int],
    internal: dict[str, int],
    lock: int,
    verbose: bool,
) -> int:
    notes = [describe(load(WorkflowSettings, env).provider())]
    return await Supervisor(settings, env, data, ports, lock, _say, verbose, notes, internal).run()


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


def _say(text: str) -> None:
    print(text, flush=True)
