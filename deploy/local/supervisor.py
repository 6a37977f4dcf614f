"""`switchboard run`: the embedded NATS and the four services as processes, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import nats
import nats.errors

from deploy.cli import accounts
from deploy.cli.settings import PASSWORD_VARIABLES, SECRETS, Local, password_variable
from deploy.local.embedded import EmbeddedNats, master_key_file, proxies_secret
from deploy.local.ports import LOOPBACK, SERVICES
from deploy.local.supervised_process import Say, SupervisedProcess
from deploy.provisioning import declare
from shared.eventlog.connection import inbox_prefix

ROOT = Path(__file__).parents[2]
#: How long nats-server may take to close its store (seconds).
SERVER_PATIENCE = 15.0
#: A start that takes longer than this is explained (seconds).
LONG_START = 5.0
#: The services that keep what they read in a file, and how it ends.
_FILES = {"operator": "sqlite", "analytics": "duckdb"}


class Supervisor:
    """Starts all parts in order, keeps them alive, and stops them in the reverse order."""

    def __init__(
        self,
        settings: Local,
        environment: Mapping[str, str],
        data: Path,
        ports: Mapping[str, int],
        lock: int,
        say: Say,
        verbose: bool = False,
        notes: Sequence[str] = (),
        internal: Mapping[str, int] | None = None,
    ) -> None:
        """``internal``: the ports of health and metrics, where they are not on ``ports``."""
        self._settings = settings
        self._internal = internal or {}
        withheld = PASSWORD_VARIABLES.union(*SECRETS.values())
        self._environment = {key: value for key, value in environment.items() if key not in withheld}
        self._secrets = {
            kind: {name: environment[name] for name in names if name in environment}
            for kind, names in SECRETS.items()
        }
        if not self._secrets["proxy"].get("SWITCHBOARD_SECRET"):
            self._secrets["proxy"]["SWITCHBOARD_SECRET"] = proxies_secret(data)
        if not settings.master_key and not settings.nats_url:
            master = ",".join(master_key_file(data).read_text().split())
            for kind in ("proxy", "workflow", "operator"):
                self._secrets[kind]["SWITCHBOARD_MASTER_KEY"] = master
        self._passwords = {
            user: environment.get(password_variable(user), "") for user in ("admin", *SERVICES)
        }
        self._data = data
        self._logs = data / "logs"
        self._ports = ports
        self._say = say
        self._verbose = verbose
        self._notes = notes
        self._logs.mkdir(exist_ok=True)
        self._nats: EmbeddedNats | None = None
        self._server: SupervisedProcess | None = None
        self._url = settings.nats_url
        if not settings.nats_url:
            self._nats = EmbeddedNats(data, settings.nats_port, settings.nats_sync, settings.nats_max_store)
            self._passwords = {user: self._nats.password(user) for user in self._passwords}
            self._url = self._nats.url()
            self._secrets["operator"].setdefault("SWITCHBOARD_ERASER_PASSWORD", self._nats.password("eraser"))
            self._server = self._part(
                "nats-server",
                self._nats.command,
                {**self._environment, **self._nats.environment},
                partial(_server_listening, self._nats),
                keep=(lock,),
            )
        self._services = [self._service(name, port) for name, port in ports.items()]

    async def run(self) -> int:
        """Run until SIGINT, SIGTERM or SIGHUP; the exit code. Raises `PartError`, `DeclareError`."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._told_to_stop, stop)
        start = asyncio.create_task(self._start())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([start, stopped], return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                start.result()
                await stopped
            else:
                start.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await start
        finally:
            await self._stop()
        self._say("Stopped.")
        return 0

    def _told_to_stop(self, stop: asyncio.Event) -> None:
        if not stop.is_set():
            self._say("\nStopping; Ctrl-C once more kills.")
            stop.set()
            return
        for part in self._parts:
            part.kill()

    @property
    def _parts(self) -> list[SupervisedProcess]:
        return [*self._services, *([self._server] if self._server is not None else [])]

    async def _start(self) -> None:
        began = time.monotonic()
        if self._server is not None:
            await self._server.start()
        password = await self._prepare()
        explain = asyncio.create_task(self._explain())
        try:
            async with asyncio.TaskGroup() as group:
                for part in self._services:
                    group.create_task(part.start())
        except ExceptionGroup as failures:  # one clear sentence says more than all of them
            raise failures.exceptions[0] from None
        finally:
            explain.cancel()
        self._say(self._welcome(time.monotonic() - began, password))

    async def _prepare(self) -> str | None:
        """Declare the streams, see to a first account; its password while it is the generated one."""
        if not self._passwords["admin"]:
            self._say(f"streams        not looked at: {password_variable('admin')} is not set")
            return None
        began = time.monotonic()
        client = await nats.connect(
            self._url.split(","),
            user="admin",
            password=self._passwords["admin"],
            inbox_prefix=inbox_prefix("admin").encode(),
            connect_timeout=5,
            allow_reconnect=False,
            error_cb=_ignore,
        )
        try:
            settings = self._settings
            await declare(client, settings.log_max_bytes, settings.log_replicas, settings.log_streams or None)
            password = await accounts.first(client, self._data)
        finally:
            await client.close()
        self._say(f"{'streams':<14} ready  {time.monotonic() - began:.1f} s")
        return password

    async def _explain(self) -> None:
        """Say what the start waits for, when it takes long (a large log is replayed)."""
        while True:
            await asyncio.sleep(LONG_START)
            for name in self._ports:
                status, body = await ask(*self._health_of(name), "/readyz")
                if status != 200:
                    self._say(f"{name:<14} waits  {body or 'it does not answer yet'}")

    async def _stop(self) -> None:
        patience = self._settings.drain_seconds + 5
        await asyncio.gather(*(part.stop(patience) for part in self._services))
        if self._server is not None:
            await self._server.stop(SERVER_PATIENCE)

    def _service(self, name: str, port: int) -> SupervisedProcess:
        kind = name.partition("-")[0]
        environment = {
            **self._environment,
            **self._secrets.get(kind, {}),
            "SWITCHBOARD_NATS_URL": self._url,
            f"SWITCHBOARD_{kind.upper()}_PORT": str(port),
            "SWITCHBOARD_LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
        }
        if name in self._internal:
            environment["SWITCHBOARD_INTERNAL_PORT"] = str(self._internal[name])
        if (ending := _FILES.get(kind)) is not None:  # each replica has a file of its own
            environment.setdefault(f"SWITCHBOARD_{kind.upper()}_FILE", str(self._data / f"{name}.{ending}"))
        if self._passwords[kind]:
            environment |= {
                "SWITCHBOARD_NATS_USER": kind,
                "SWITCHBOARD_NATS_PASSWORD": self._passwords[kind],
            }
        command = [sys.executable, "-m", f"services.{kind}"]
        return self._part(name, command, environment, partial(_service_listening, *self._health_of(name)))

    def _health_of(self, name: str) -> tuple[str, int]:
        """Where a process answers for itself: host and port."""
        if name in self._internal:
            return self._settings.internal_host or self._settings.host, self._internal[name]
        return self._settings.host, self._ports[name]

    def _part(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str],
        listening: Callable[[int], Awaitable[bool]],
        keep: tuple[int, ...] = (),
    ) -> SupervisedProcess:
        return SupervisedProcess(
            name,
            command,
            environment,
            listening,
            self._logs,
            self._say,
            folder=ROOT,
            verbose=self._verbose,
            keep=keep,
        )

    def _welcome(self, seconds: float, password: str | None) -> str:
        login = f"   name {accounts.FIRST}, password {password}" if password else ""
        lines = [
            "",
            f"Switchboard runs, after {seconds:.1f} s. Data and logs are in {self._data}. Ctrl-C stops it.",
            f"  demo page  {self._address('proxy')}",
            f"  console    {self._address('operator')}{login}",
            f"  dashboard  {self._address('analytics')}",
        ]
        lines += [f"  {name:<10} {self._address(name)}" for name in self._ports if name not in SERVICES]
        lines += [f"  {note}" for note in self._notes]
        if self._internal:
            places = ", ".join(f"{name} {port}" for name, port in self._internal.items())
            lines.append(f"  health and metrics on ports of their own: {places}")
        return "\n".join(lines)

    def _address(self, name: str) -> str:
        host = reachable(self._settings.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self._ports[name]}/"


def reachable(host: str) -> str:
    """An address under which this machine reaches what listens on ``host``."""
    return LOOPBACK if host in ("0.0.0.0", "::", "") else host


async def ask(host: str, port: int, path: str) -> tuple[int, str]:
    """GET a path of a service on this machine: status and body; status 0 if it does not answer."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(reachable(host), port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
                return int(head.split(b" ", 2)[1]), body.decode(errors="replace")
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError, IndexError):
        return 0, ""


async def _service_listening(host: str, port: int, pid: int) -> bool:
    return (await ask(host, port, "/readyz"))[0] == 200


async def _server_listening(server: EmbeddedNats, pid: int) -> bool:
    return server.listening(pid)


async def _ignore(error: Exception) -> None:
    """nats-py would print the error with a trace; the call that failed reports it."""
