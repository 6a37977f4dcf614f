"""The embedded nats-server: the real one, on loopback, with its store in a folder that lasts."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import IO

from deploy.local.processes import die_with_parent

CONFIGURATION = Path(__file__).parents[1] / "nats" / "server.conf"
USERS = ("admin", "proxy", "workflow", "operator", "analytics", "eraser", "backend", "reader")
#: The file in a data folder with the master key of sealed words.
MASTER_KEY = "master-key"
#: How long a start may take (seconds): a store of a million messages needs less than one.
START_SECONDS = 30.0


class ServerError(Exception):
    """The server did not start; the text holds its own last words."""


def binary() -> str:
    """The nats-server that the wheel put beside the interpreter, or the machine's own."""
    path = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if path is None:
        raise ServerError(
            "nats-server is not installed: install the requirements, or set SWITCHBOARD_NATS_URL."
        )
    return path


def passwords(folder: Path) -> dict[str, str]:
    """The NATS users' passwords, made once for a data folder."""
    path = folder / "passwords.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if missing := [user for user in USERS if user not in known]:
        # They begin with a letter: the server would read one that begins like a number as one.
        known |= {user: "p" + secrets.token_hex(24) for user in missing}
        write_secret(path, json.dumps(known, indent=2) + "\n")
    return known


def proxies_secret(folder: Path) -> str:
    """The proxies' ``SWITCHBOARD_SECRET``, made once for a data folder: names on the log depend on it."""
    path = folder / "secret"
    if not path.exists():
        write_secret(path, secrets.token_hex(32) + "\n")
    return path.read_text().strip()


def master_key_file(folder: Path) -> Path:
    """The file with the master key of sealed words, made once for a data folder: without it they are lost.

    A line for each key, the newest first; more than one while they are being changed.
    """
    path = folder / MASTER_KEY
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_secret(path, secrets.token_hex(64) + "\n")
    return path


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


class EmbeddedNats:
    """One nats-server over ``folder``. ``port`` 0 takes a free one and keeps it over restarts.

    ``sync`` is ``always`` (each append reaches the disk before it is acknowledged) or a duration such
    as ``120s``, which loses that much in a power cut.
    """

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        sync: str = "always",
        max_store: str = "10GB",
        host: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.port = port
        self.host = host
        self.process: subprocess.Popen[bytes] | None = None
        self._sync = sync
        self._max_store = max_store
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._passwords = passwords(folder)
        self._forget_ports()

    def url(self, user: str | None = None) -> str:
        """The address, with the user's name and password in it if one is named."""
        credentials = f"{user}:{self._passwords[user]}@" if user else ""
        return f"nats://{credentials}{self.host}:{self.port}"

    def password(self, user: str) -> str:
        return self._passwords[user]

    @property
    def command(self) -> list[str]:
        """What to run. The server writes its ports into the folder once it takes connections."""
        return [
            binary(),
            *("--config", str(CONFIGURATION)),
            *("--addr", self.host),
            *("--port", str(self.port or -1)),
            *("--store_dir", str(self.folder / "nats")),
            *("--ports_file_dir", str(self.folder)),
        ]

    @property
    def environment(self) -> dict[str, str]:
        """What the configuration asks of the environment."""
        names = {f"SWITCHBOARD_NATS_PASSWORD_{user.upper()}": self._passwords[user] for user in USERS}
        return {**names, "SWITCHBOARD_NATS_SYNC": self._sync, "SWITCHBOARD_NATS_MAX_STORE": self._max_store}

    def listening(self, pid: int) -> bool:
        """Whether the server with this process id takes connections; learns its port."""
        for path in self.folder.glob(f"*_{pid}.ports"):
            try:
                address: str = json.loads(path.read_text())["nats"][0]
                self.port = int(address.rsplit(":", 1)[1])
                with socket.create_connection((self.host, self.port), timeout=5) as connection:
                    return connection.recv(5) == b"INFO "
            except (OSError, ValueError, KeyError, IndexError):
                return False  # the file is being written, or the server is gone again
        return False

    def start(self, log: IO[bytes] | None = None) -> None:
        """Start and wait until connections are taken. Raises `ServerError`."""
        self._forget_ports()
        path = self.folder / "nats-server.log"
        with path.open("ab") as own:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log or own,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        end = time.monotonic() + START_SECONDS
        while not self.listening(self.process.pid):
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                words = path.read_text(errors="replace").strip().splitlines()[-3:] if log is None else []
                raise ServerError("nats-server did not start: " + " / ".join(words))
            time.sleep(0.005)

    def _forget_ports(self) -> None:
        """A killed server leaves its file behind, and process ids come again."""
        for stale in self.folder.glob("*.ports"):
            stale.unlink(missing_ok=True)

    def stop(self) -> None:
        """Stop in an orderly way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
