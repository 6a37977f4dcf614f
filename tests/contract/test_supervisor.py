"""`switchboard run` as a person starts it: what it prints, what it refuses, what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from deploy.cli.run import make_absolute
from deploy.local.embedded import EmbeddedNats
from deploy.local.supervised_process import ProcessError, SupervisedProcess, warning

ROOT = Path(__file__).parents[2]
PARTS = ("nats-server", "streams", "proxy", "workflow", "operator", "analytics")
SECONDS = 60.0


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


def settings(data: Path) -> dict[str, str]:
    """An environment with ports of its own."""
    names = ("NATS", "PROXY", "OPERATOR", "ANALYTICS", "WORKFLOW")
    ports = {f"SWITCHBOARD_{name}_PORT": str(port) for name, port in zip(names, free_ports(5), strict=True)}
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SWITCHBOARD_")}
    return {**clean, **ports, "SWITCHBOARD_DATA": str(data)}


class RunningCommand:
    """A `switchboard` command whose lines can be waited for."""

    def __init__(self, env: dict[str, str], *arguments: str) -> None:
        self.env = env
        self.text = ""
        self._lines: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli.main", *(arguments or ("run",))],
            env=env,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)

    def until(self, pattern: str) -> re.Match[str]:
        """Wait for a line, from here on, and give its match."""
        end = time.monotonic() + SECONDS
        seen = ""
        while time.monotonic() < end:
            try:
                line = self._lines.get(timeout=0.2)
            except queue.Empty:
                if self.process.poll() is not None and self._lines.empty() and not self._reader.is_alive():
                    break
                continue
            seen += line
            self.text += line
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"no line like {pattern!r} in:\n{seen}")

    def end(self) -> int:
        """Wait for the end; the exit code."""
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        while not self._lines.empty():
            self.text += self._lines.get()
        return code

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def children(self) -> dict[int, str]:
        """The processes of this run by their ids, with their command lines."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == self.process.pid and fields[0] != "Z":
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        return found

    def child(self, part: str) -> int:
        return next(pid for pid, command in self.children().items() if part in command)

    def get(self, service: str, path: str) -> bytes:
        port = self.env[f"SWITCHBOARD_{service.upper()}_PORT"]
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return bytes(answer.read())


Starter = Callable[..., RunningCommand]


@pytest.fixture
def start() -> Iterator[Starter]:
    runs: list[RunningCommand] = []

    def begin(env: dict[str, str], *arguments: str) -> RunningCommand:
        runs.append(RunningCommand(env, *arguments))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.terminate()
            try:
                run.process.wait(30)
            except subprocess.TimeoutExpired:
                run.process.kill()
                run.process.wait()


def alive(pids: list[int]) -> list[int]:
    left = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                left.append(pid)
    return left


linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")


@linux
def test_a_whole_run(start: Starter, tmp_path: Path) -> None:
    env = settings(tmp_path / "data") | {"OPENAI_API_KEY": "sk-only-the-workflow"}
    run = start(env)
    password = run.until(r"console +http://\S+/ +name operator, password (\S+)").group(1)
    run.until(r"dashboard +http://")
    for part in PARTS:
        assert re.search(rf"^{part} +ready +\d+\.\d s$", run.text, re.MULTILINE), part
    assert f"http://127.0.0.1:{env['SWITCHBOARD_PROXY_PORT']}/" in run.text
    for service in ("proxy", "operator", "analytics", "workflow"):
        assert json.loads(run.get(service, "/readyz")) == {"ready": True, "reasons": {}}

    for secret in ("passwords.json", "operator-password"):
        assert stat.S_IMODE((tmp_path / "data" / secret).stat().st_mode) == 0o600
    assert password == (tmp_path / "data" / "operator-password").read_text().strip()

    processes = run.children()
    assert len(processes) == 5
    secrets = json.loads((tmp_path / "data" / "passwords.json").read_text())
    for pid, command in processes.items():
        environment = Path(f"/proc/{pid}/environ").read_text()
        assert not any(known in command for known in secrets.values())
        if "services." in command:  # each knows its own password; the operator service erases, too
            own = command.rpartition("services.")[2].split()[0]
            known_here = [user for user, known in secrets.items() if known in environment]
            assert known_here == [own, *["eraser"] * (own == "operator")]
        assert ("sk-only-the-workflow" in environment) == ("services.workflow" in command)
    run.until(r"assistant gpt-\S+ at https://api.openai.com/v1 \(openai\), with the key of OPENAI_API_KEY")

    # A second one on the same store, and one on the same ports.
    second = start(env)
    assert second.end() == 1
    assert "is held by another run" in second.text
    third = start({**env, "SWITCHBOARD_DATA": str(tmp_path / "other")})
    assert third.end() == 1
    assert f"Port {env['SWITCHBOARD_NATS_PORT']} on 127.0.0.1 is in use" in third.text
    assert "SWITCHBOARD_NATS_PORT" in third.text
    assert "Traceback" not in second.text + third.text
    assert run.children() == processes

    # What dies comes again.
    os.kill(run.child("services.proxy"), signal.SIGKILL)
    run.until(r"^proxy was ended by SIGKILL; it is started again in 0.5 s\.$")
    run.until(r"^proxy is ready again\.$")
    os.kill(run.child("nats-server"), signal.SIGKILL)
    run.until(r"^nats-server is ready again\.$")

    processes = run.children()
    assert run.interrupt() == 0
    assert run.text.rstrip().endswith("Stopped.")
    assert "killed" not in run.text
    assert alive(list(processes)) == []

    # The second start: the same store, the same account.
    began = time.monotonic()
    again = start(env)
    assert again.until(r"password (\S+)").group(1) == password
    assert time.monotonic() - began < 30  # 5 s on an idle machine
    processes = again.children()
    again.process.kill()
    again.process.wait()
    end = time.monotonic() + 10
    while alive(list(processes)) and time.monotonic() < end:
        time.sleep(0.05)
    assert alive(list(processes)) == [], "orphans"


@linux
def test_replicas_on_the_following_ports(start: Starter, tmp_path: Path) -> None:
    env = settings(tmp_path)
    run = start(env, "run", "--workflows", "2", "--proxies", "2")
    run.until(r"demo page")
    port = int(run.until(r"proxy-2 +http://127\.0\.0\.1:(\d+)/").group(1))
    assert port > int(env["SWITCHBOARD_PROXY_PORT"])
    with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30) as answer:
        assert answer.status == 200
    run.until(r"workflow-2 +http://127\.0\.0\.1:(\d+)/")
    assert len(run.children()) == 7
    assert run.interrupt() == 0


@linux
def test_health_on_ports_of_its_own(start: Starter, tmp_path: Path) -> None:
    env = settings(tmp_path)
    (first,) = free_ports(1)
    run = start(env | {"SWITCHBOARD_INTERNAL_PORT": str(first)}, "run")
    said = run.until(r"health and metrics on ports of their own: (proxy .*)").group(1)
    ports = {name: int(port) for name, port in (each.split() for each in said.split(", "))}
    assert set(ports) == {"proxy", "workflow", "operator", "analytics"}
    assert ports["proxy"] == first
    assert len(set(ports.values())) == 4
    for port in ports.values():
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30) as answer:
            assert answer.status == 200
    with pytest.raises(HTTPError, match="404"):
        run.get("proxy", "/metrics")
    assert run.interrupt() == 0


def test_one_port_for_health_and_for_all_else(start: Starter, tmp_path: Path) -> None:
    env = settings(tmp_path)
    run = start(env | {"SWITCHBOARD_INTERNAL_PORT": env["SWITCHBOARD_PROXY_PORT"]})
    assert run.end() == 1
    assert "SWITCHBOARD_INTERNAL_PORT names port" in run.text


@linux
def test_stopped_while_it_starts(start: Starter, tmp_path: Path) -> None:
    run = start(settings(tmp_path))
    run.until(r"^nats-server +ready")
    assert run.interrupt() == 0
    assert run.children() == {}


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"SWITCHBOARD_PROXY_PORT": "ninety"}, "SWITCHBOARD_PROXY_PORT may not be 'ninety': a whole number"),
        ({"SWITCHBOARD_MAX_SOCKETS": "0"}, "SWITCHBOARD_MAX_SOCKETS may not be '0'"),
        ({"SWITCHBOARD_LOG_LEVEL": "loud"}, "one of debug, info, warning, error"),
        ({"SWITCHBOARD_NATS_SYNC": "never"}, "SWITCHBOARD_NATS_SYNC may not be 'never'"),
        ({"SWITCHBOARD_FLOW": "no/such/file.json"}, "no/such/file.json cannot be read"),
        ({"SWITCHBOARD_NATS_CA": "no/such/ca.pem"}, "SWITCHBOARD_NATS_CA"),
        ({"SWITCHBOARD_DATA": "/proc/data"}, "The data folder /proc/data is not writable"),
    ],
)
def test_a_bad_setting_is_one_sentence(
    start: Starter, tmp_path: Path, bad: dict[str, str], words: str
) -> None:
    run = start({**settings(tmp_path / "data"), **bad})
    assert run.end() != 0
    assert words in run.text
    assert len(run.text.strip().splitlines()) == 1
    assert not (tmp_path / "data" / "passwords.json").exists(), "half started"


def test_a_file_is_the_one_beside_whoever_starts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The services run in another folder."""
    monkeypatch.chdir(tmp_path)
    names = ("FLOW", "FLOWS", "NATS_CA", "AGENTS_FILE", "OPERATOR_FILE", "ANALYTICS_FILE")
    env = {f"SWITCHBOARD_{name}": "some/file" for name in names}
    make_absolute(env)
    assert set(env.values()) == {str(tmp_path / "some" / "file")}


def test_a_mistyped_setting_is_named(start: Starter, tmp_path: Path) -> None:
    run = start({**settings(tmp_path), "SWITCHBOARD_PROXI_PORT": "1", "SWITCHBOARD_PROXY_PORT": "x"})
    assert run.end() != 0
    assert "SWITCHBOARD_PROXI_PORT is no setting; did you mean SWITCHBOARD_PROXY_PORT?" in run.text


def test_one_port_for_two(start: Starter, tmp_path: Path) -> None:
    env = settings(tmp_path)
    env["SWITCHBOARD_PROXY_PORT"] = env["SWITCHBOARD_OPERATOR_PORT"]
    run = start(env)
    assert run.end() == 1
    assert "SWITCHBOARD_PROXY_PORT and SWITCHBOARD_OPERATOR_PORT both name port" in run.text


def test_a_bad_flow(start: Starter, tmp_path: Path) -> None:
    flow = tmp_path / "shop.json"
    flow.write_text('{"hello": {"sendRequest": {"kind": "BotText", "content": "Hi"}, "next": "nowhere"}}')
    run = start(settings(tmp_path / "data"), "run", "--flow", str(flow))
    assert run.end() == 2
    assert "hello" in run.text
    assert "nowhere" in run.text
    assert "Traceback" not in run.text
    check = start(settings(tmp_path / "data"), "flow", "check", str(flow))
    assert check.end() == 1
    assert "nowhere" in check.text


def part(program: str, logs: Path, said: list[str]) -> SupervisedProcess:
    async def ready(pid: int) -> bool:
        return (logs / "ready").exists()

    return SupervisedProcess("it", [sys.executable, "-c", program], os.environ, ready, logs, said.append)


async def test_a_part_that_cannot_start_says_why(tmp_path: Path) -> None:
    program = "print('SWITCHBOARD_X may not be 1.'); raise SystemExit(2)"
    with pytest.raises(
        ProcessError, match=r"it ended with exit code 2: SWITCHBOARD_X may not be 1\. \(all of it"
    ):
        await part(program, tmp_path, []).start()


async def test_a_part_that_keeps_dying_is_started_with_growing_pauses(tmp_path: Path) -> None:
    said: list[str] = []
    (tmp_path / "ready").touch()
    dying = part("import time; time.sleep(0.1); raise SystemExit(3)", tmp_path, said)
    await dying.start()
    while not any("in 1 s" in line for line in said):
        await asyncio.sleep(0.05)
    began = time.monotonic()
    await dying.stop(5)
    assert time.monotonic() - began < 0.5, "a stop does not wait for the pause"
    assert [line for line in said if "exit code" in line] == [
        "it ended with exit code 3; it is started again in 0.5 s.",
        "it ended with exit code 3; it is started again in 1 s.",
    ]


async def test_a_part_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    said: list[str] = []
    program = (
        "import signal, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch(); time.sleep(60)"
    )
    stubborn = part(program, tmp_path, said)
    await stubborn.start()
    await stubborn.stop(0.2)
    assert said[-1] == "it did not stop within 0.2 s and is killed."


def test_what_reaches_the_terminal() -> None:
    assert warning('{"event": "serving", "level": "info"}') == ""
    assert warning('{"event": "nats_error", "level": "warning", "error": "gone"}') == "nats_error error=gone"
    assert warning("[1] 2026/01/01 00:00:00.0 [INF] Server is ready") == ""
    assert warning("[1] 2026/01/01 00:00:00.0 [ERR] disk full") == "disk full"
    assert warning("ValueError: 1") == "ValueError: 1"


def test_commands_over_a_store_that_is_not_running(start: Starter, tmp_path: Path) -> None:
    env = settings(tmp_path)
    empty = start(env, "log")
    assert empty.end() == 1
    assert "There is no store" in empty.text

    EmbeddedNats(tmp_path)  # makes the passwords
    assert start(env, "setup").end() == 0
    log = start(env, "log", "--last", "5")
    assert (log.end(), log.text) == (0, "")
    wipe = start(env, "wipe")
    assert wipe.end() == 1
    assert "Nothing was removed." in wipe.text
    assert start(env, "wipe", "--yes").end() == 0
    assert "run `switchboard setup`" in _ended(start(env, "log")).text


def _ended(run: RunningCommand) -> RunningCommand:
    run.end()
    return run


def test_the_schema_of_the_log(start: Starter, tmp_path: Path) -> None:
    run = start(settings(tmp_path), "log", "schema")
    assert run.end() == 0
    assert "TextWritten" in json.loads(run.text)["$defs"]
