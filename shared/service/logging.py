"""Structured logs: JSON lines, or colours on a terminal. One line for each handled entry."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
from collections.abc import Callable
from time import gmtime, strftime, time_ns
from typing import Any, BinaryIO

import msgspec
import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

#: How long a line that reports no trouble may wait for others (seconds).
LATER_SECONDS = 0.02

#: Methods that are not named as the level is.
_LEVEL_OF = {"exception": "error", "warn": "warning", "fatal": "critical"}

_encoder = msgspec.json.Encoder(enc_hook=repr)


def configure(service: str, level: str, format: str) -> None:
    """Set up structlog for this process, and send the standard library's warnings the same way."""
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    if console:
        renderer: list[Any] = [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
        factory: Callable[..., Any] = structlog.PrintLoggerFactory(sys.stderr)
    else:
        renderer = [
            # Never the frames' locals: they hold what visitors wrote, and their secrets.
            ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.EventRenamer("event"),
            structlog.processors.JSONRenderer(serializer=lambda event, **_: _encoder.encode(event)),
        ]
        # Not `sys.stderr.buffer`: with PYTHONUNBUFFERED, as in containers, that gathers nothing.
        lines = _Lines(open(sys.stderr.fileno(), "wb", closefd=False))  # noqa: SIM115
        atexit.register(lines.flush)

        def factory(*args: Any) -> _Lines:
            return lines

    structlog.configure(
        processors=[_stamped(service), *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Bridge()]
    root.setLevel(max(LEVELS[level], logging.WARNING))


def _stamped(service: str) -> Processor:
    """Every line says which service wrote it, how serious it is, and when (RFC 3339, UTC).

    Each second is named once: structlog's own time stamp takes as long as the rest of the line.
    """
    known, name = -1, ""

    def stamp(logger: Any, method: str, event: EventDict) -> EventDict:
        nonlocal known, name
        second, rest = divmod(time_ns(), 1_000_000_000)
        if second != known:
            known, name = second, strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
        event["service"] = service
        event["level"] = _LEVEL_OF.get(method, method)
        event["timestamp"] = f"{name}.{rest // 1000:06d}Z"
        return event

    return stamp


class _Lines:
    """Writes lines in their order: at once who reports trouble, others within `LATER_SECONDS`.

    A system call for each line of a busy service is a twentieth of its work.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._write = file.write
        self.flush = file.flush
        self._awaited: asyncio.AbstractEventLoop | None = None  # the loop that is going to flush

    def trouble(self, line: bytes) -> None:
        self._write(line + b"\n")
        self.flush()

    def word(self, line: bytes) -> None:
        self._write(line + b"\n")
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a thread, or before the start or after the end
            self.flush()
            return
        if self._awaited is not loop:
            self._awaited = loop
            loop.call_later(LATER_SECONDS, self._flush_later)

    def _flush_later(self) -> None:
        self._awaited = None
        self.flush()

    debug = info = word
    warn = warning = error = critical = exception = fatal = trouble


class _Bridge(logging.Handler):
    """Hands records of the standard library's logging to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        event: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        structlog.get_logger().log(record.levelno, record.getMessage(), **event)
