"""The NATS client protocol without I/O, as much of it as the live feed's connection needs.

Every service reads every entry here, so this is where a message must cost least: nats-py's way of one
(a dict of all headers, a `Msg`, a queue, a task) takes ten times as long and was a third of a turn.
The protocol: docs.nats.io/reference/reference-protocols/nats-protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec
import structlog

from shared.eventlog.messages import StoredMessage, stored
from shared.eventlog.request_multiplexer import Push, Reply

log = structlog.get_logger()

#: The server's lines are shorter, its INFO included; messages are at most 8 MiB (bytes).
MAX_LINE = 64 * 1024
MAX_MESSAGE = 8 * 1024 * 1024

#: The name of the subscription to the answers to requests. Those of the live feed and of what is pushed have
#: others.
ANSWERS: Final = b"2"

#: Is given each entry of a stream that is stored. Must not wait.
TakeLive = Callable[[StoredMessage], None]


class Live(NamedTuple):
    """What is subscribed to of the live feed: a stream's entries."""

    stream: int
    take: TakeLive


class ProtocolError(Exception):
    """The server said or did something that ends the connection."""


class Info(msgspec.Struct):
    """What the server says of itself first."""

    tls_required: bool = False
    max_payload: int = 1024 * 1024


class ProtocolReader:
    """The protocol without I/O: bytes in, pongs out.

    Entries go to one of ``lives``, replies to ``reply``, and what is pushed to one of ``pushes``. The names
    in both are those of the subscriptions.
    """

    def __init__(
        self,
        lives: Mapping[bytes, Live],
        reply: Callable[[str, Reply], None] = lambda subject, reply: None,
        pushes: Mapping[bytes, Push] | None = None,
    ) -> None:
        self._lives = lives
        self._reply = reply
        self._pushes = pushes or {}
        self._rest = b""
        self.info: Info | None = None
        self.pongs = 0

    def receive(self, data: bytes) -> bytes:
        """Take what came; what to send back. Raises `ProtocolError`."""
        data = self._rest + data if self._rest else data
        answer = b""
        at, size = 0, len(data)
        while at < size:
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            behind = end + 2
            if data.startswith((b"HMSG ", b"MSG "), at):
                words = data[at:end].split(b" ")
                behind += int(words[-1]) + 2
                if behind > size:
                    if behind - at > MAX_MESSAGE:
                        raise ProtocolError(f"a message of {behind - at} bytes")
                    break
                # HMSG <subject> <sid> [reply] <bytes of headers> <bytes in all>; MSG has none of the former.
                length = int(words[-2]) if len(words[0]) == 4 else 0
                self._message(words, data[end + 2 : end + 2 + length], data[end + 2 + length : behind - 2])
            elif data.startswith(b"PING", at):
                answer += b"PONG\r\n"
            elif data.startswith(b"PONG", at):
                self.pongs += 1
            elif data.startswith(b"INFO ", at):
                self.info = msgspec.json.decode(data[at + 5 : end], type=Info)
            elif data.startswith(b"-ERR 'Permissions Violation for Publish", at):
                log.error("request_forbidden", error=data[at + 5 : end].decode(errors="replace"))
            elif data.startswith(b"-ERR", at):
                raise ProtocolError(data[at + 4 : end].decode(errors="replace").strip())
            elif not data.startswith(b"+OK", at):
                raise ProtocolError(f"a line that is no NATS: {data[at : at + 40]!r}")
            at = behind
        self._rest = data[at:]
        if len(self._rest) > MAX_LINE and b"\r\n" not in self._rest:
            raise ProtocolError("a line without an end")
        return answer

    def _message(self, words: list[bytes], head: bytes, body: bytes) -> None:
        name = words[2]
        live = self._lives.get(name)
        if live is not None:
            message = stored(live.stream, words[1].decode(), head, body)
            if message is not None:
                live.take(message)
        elif name == ANSWERS:
            self._reply(words[1].decode(), Reply(head, body))
        elif len(words) > (5 if head else 4):  # a status of the server's asks for no answer
            push = self._pushes.get(name)
            if push is not None:
                push(words[1].decode(), words[3].decode(), body)
