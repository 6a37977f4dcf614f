"""One supervised process: started, watched, its output kept, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path

import msgspec

from deploy.local.processes import die_with_parent

#: The pause before a dead part is started again: doubled each time, up to the last (seconds).
FIRST_PAUSE, MAX_PAUSE = 0.5, 30.0
#: A part that lived so long begins with the first pause again (seconds).
HEALTHY_AFTER = 30.0
#: What a log file may hold before it is put aside; three are kept (bytes).
LOG_BYTES = 10_000_000

Say = Callable[[str], None]


class ProcessError(Exception):
    """A part ended before it was ever ready; the text holds its own last words."""


class SupervisedProcess:
    """A process by its command. ``listening`` says whether the one with this process id may serve."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        listening: Callable[[int], Awaitable[bool]],
        logs: Path,
        say: Say,
        *,
        folder: Path | None = None,
        verbose: bool = False,
        keep: tuple[int, ...] = (),
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._listening = listening
        self._folder = folder
        self._say = say
        self._verbose = verbose
        self._keep = keep
        self._log = RotatingFileHandler(logs / f"{name}.log", maxBytes=LOG_BYTES, backupCount=2, delay=True)
        self._last_words: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._was_ready = False
        self._stop = asyncio.Event()

    async def start(self) -> None:
        """Start, and return when it is ready. Raises `ProcessError` if it ends before that."""
        began = time.monotonic()
        self._task = asyncio.create_task(self._keep_alive())
        ready = asyncio.create_task(self._until_ready())
        try:
            await asyncio.wait([ready, self._task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        (self._task if self._task.done() else ready).result()
        self._say(f"{self.name:<14} ready  {time.monotonic() - began:.1f} s")

    async def stop(self, patience: float) -> None:
        """End it with SIGTERM, and after ``patience`` seconds with SIGKILL."""
        if self._task is None:
            return
        self._end(signal.SIGTERM)
        done, _ = await asyncio.wait([self._task], timeout=patience)
        if not done:
            self._say(f"{self.name} did not stop within {patience:g} s and is killed.")
            self.kill()
        with contextlib.suppress(ProcessError):
            await self._task
        self._log.close()

    def kill(self) -> None:
        """End it at once."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        self._stop.set()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _keep_alive(self) -> None:
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            began = time.monotonic()
            code = await self._live()
            if self._stop.is_set():
                return
            if not self._was_ready:
                words = " / ".join(self._last_words) or "it said nothing"
                raise ProcessError(
                    f"{self.name} {_ended(code)}: {words} (all of it: {self._log.baseFilename})"
                )
            if time.monotonic() - began > HEALTHY_AFTER:
                pause = FIRST_PAUSE
            self._say(f"{self.name} {_ended(code)}; it is started again in {pause:g} s.")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
            pause = min(pause * 2, MAX_PAUSE)

    async def _live(self) -> int:
        """One life: from start to end; the exit code."""
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            cwd=self._folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=16 * 1024 * 1024,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops all in order
            preexec_fn=die_with_parent,
            pass_fds=self._keep,
        )
        if self._stop.is_set():  # told while it was being born
            self._end(signal.SIGTERM)
        again = asyncio.create_task(self._say_when_ready_again()) if self._was_ready else None
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                self._hear(line.decode(errors="replace").rstrip())
            return await process.wait()
        finally:
            self._process = None
            if again is not None:
                again.cancel()

    async def _until_ready(self) -> None:
        while True:
            process = self._process
            if process is not None and await self._listening(process.pid):
                self._was_ready = True
                return
            await asyncio.sleep(0.02)

    async def _say_when_ready_again(self) -> None:
        await self._until_ready()
        self._say(f"{self.name} is ready again.")

    def _hear(self, line: str) -> None:
        self._log.emit(logging.LogRecord(self.name, logging.INFO, "", 0, line, None, None))
        shown = line if self._verbose else warning(line)
        if shown:
            if not self._was_ready:
                self._last_words = [*self._last_words, shown][-3:]
            if self._was_ready or self._verbose:
                self._say(f"{self.name}: {shown}")


def warning(line: str) -> str:
    """What of a log line a person at the terminal should see: warnings and worse, "" for the rest."""
    if line.startswith("["):  # nats-server: [process] date time [LEVEL] text
        # The users' passwords are in its environment, which no file of ours repeats.
        serious = any(level in line for level in ("[WRN]", "[ERR]", "[FTL]")) and "Plaintext" not in line
        return line.split("] ", 2)[-1] if serious else ""
    try:
        event = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.DecodeError:
        return line  # not through the logs: a trace, or the reason of a refused start
    if event.pop("level", "info") not in ("warning", "error", "critical"):
        return ""
    for known in ("timestamp", "service"):
        event.pop(known, None)
    text = str(event.pop("event", ""))
    return " ".join([text, *(f"{key}={value}" for key, value in event.items() if key != "exception")])


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
