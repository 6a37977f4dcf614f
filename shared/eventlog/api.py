"""The server's answers to JetStream's requests (ADR-7 for errors), as far as they are read here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.eventlog.errors import Conflict, Full, LogError
from shared.eventlog.request_multiplexer import Reply, RequestMultiplexer

CONFLICTS: Final = (10071, 10164)  # wrong last sequence; the same for racing appends on a replicated stream
_FULL: Final = (10047, 10077, 10122, 10023)  # no storage, max_bytes, limits of the account or the server


class ApiError(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class PubAck(msgspec.Struct):
    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


class StreamState(msgspec.Struct):
    first_seq: int = 0
    last_seq: int = 0


class StreamConfig(msgspec.Struct):
    metadata: dict[str, str] = {}
    num_replicas: int = 1


class StreamInfo(msgspec.Struct):
    state: StreamState = msgspec.field(default_factory=StreamState)
    config: StreamConfig = msgspec.field(default_factory=StreamConfig)
    error: ApiError | None = None


class StoredRaw(msgspec.Struct):
    subject: str
    seq: int
    time: str
    data: bytes = b""  # base64 on the wire


class StoredReply(msgspec.Struct):
    message: StoredRaw | None = None
    error: ApiError | None = None


#: What is no answer to a publish: the message may be stored or not.
NO_ANSWER: Final = (nats.errors.Error, TimeoutError, msgspec.MsgspecError)

_pub_ack = msgspec.json.Decoder(PubAck)
stream_info = msgspec.json.Decoder(StreamInfo)
stored_reply = msgspec.json.Decoder(StoredReply)


def acknowledged(reply: Reply | None) -> PubAck:
    """What the server says of a publish. Raises one of `NO_ANSWER` where that says nothing of its fate."""
    if reply is None:
        raise TimeoutError
    if reply.head and reply.status == "503":
        raise nats.errors.NoRespondersError
    return _pub_ack.decode(reply.data)


def append_error(error: ApiError) -> LogError:
    """The server's refusal of what was to be stored."""
    if error.err_code in CONFLICTS:
        return Conflict(error.description)
    if error.err_code in _FULL:
        return Full(error.description)
    return LogError(f"the log refused the entry: {error.description} ({error.err_code})")


async def publish(
    client: Client,
    requests: RequestMultiplexer,
    subject: str,
    data: bytes,
    headers: Mapping[str, str],
    timeout: float,
    again: bool = False,
) -> PubAck:
    """Publish to a stream; the server's answer. Raises one of `NO_ANSWER`.

    ``again``: by the client's own way.
    """
    if not client.is_connected:
        # A publish made now would sit in the client's buffer and land at some later time.
        raise nats.errors.ConnectionReconnectingError
    return acknowledged(await requests.one(subject, data, headers, timeout, again))
