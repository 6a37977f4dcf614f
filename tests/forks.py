"""Services that start at once: forked from a process that has imported all of them already.

To import a service takes more than a second of a core, and the tests start hundreds. Each is a process of its
own as ever, with its own environment, its own end, and what `python -m` would run.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.processes import die_with_parent

#: What all services import between them.
IMPORTED = ("proxy", "workflow", "operator", "analytics")
_SET_CHILD_SUBREAPER = 36
_LARGEST = 1 << 17


class ForkedProcess:
    """What tests use of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises `subprocess.TimeoutExpired` (seconds)."""
        end = None if timeout is None else time.monotonic() + timeout
        pause = 0.0005  # as `subprocess` does it
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            time.sleep(pause := min(pause * 2, 0.05))
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process that forks; started with the first fork, gone with this process.

    A forked process becomes a child of this process, not of that one (`prctl(2)`, a "child subreaper").
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._line: socket.socket | None = None

    def fork(self, module: Sequence[str], environment: Mapping[str, str], output: int) -> ForkedProcess:
        """Run ``python -m module [argument ...]``; ``output`` is the file that it writes to."""
        line = self._line or self._start()
        request = json.dumps({"module": list(module), "environment": dict(environment)}).encode()
        assert len(request) < _LARGEST
        socket.send_fds(line, [request], [output])
        told = line.recv(64)
        assert told, "the process that forks has ended: can all services be imported?"
        return ForkedProcess(int(told))

    def _start(self) -> socket.socket:
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1)
        self._line, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        subprocess.Popen(
            [sys.executable, "-m", __name__, str(other.fileno())],
            cwd=self._root,
            pass_fds=[other.fileno()],
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        other.close()
        return self._line


def serve(line: socket.socket) -> None:
    """Fork for each request; returns in the new processes alone, as what was asked for."""
    for name in IMPORTED:
        importlib.import_module(f"services.{name}.app")
    assert threading.active_count() == 1, "a process with threads cannot be forked safely"
    while True:
        data, files, _, _ = socket.recv_fds(line, _LARGEST, 1)
        if not data:
            return
        request = json.loads(data)
        told, tell = os.pipe()
        between = os.fork()
        if between:
            for each in (files[0], tell):
                os.close(each)
            pid = os.read(told, 64)
            os.close(told)
            os.waitpid(between, 0)
            line.send(pid)
            continue
        os.close(told)
        # Asked for here: the new process may run only when this one has ended, and would name another.
        parent = os.getpid()
        if pid_of_service := os.fork():
            os.write(tell, str(pid_of_service).encode())
            os._exit(0)
        os.close(tell)
        _become(request, files[0], line, parent)
        return


def _become(request: dict[str, object], output: int, line: socket.socket, between: int) -> None:
    line.close()
    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    environment = request["environment"]
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    while os.getppid() == between:
        time.sleep(0.0005)
    die_with_parent()
    module = request["module"]
    assert isinstance(module, list)
    sys.argv = list(module)
    runpy.run_module(module[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
