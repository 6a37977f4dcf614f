"""Makes the streams of a log, with what replays them, and whatever else is kept beside it.

Run by a user who may create streams. Idempotent: what exists is compared with what is wanted and mended
where the server allows it; what the server returns is checked, because it silently switches some settings
off.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.eventlog.layout import UNFINISHED, Layout, replay_consumer, replay_delivery

SECOND: Final = 1_000_000_000

#: Messages of a replay on their way: the server cuts off a client with 64 MB pending.
MAX_REPLAY_PENDING: Final = 8_192

#: In a stream's metadata: which request created it.
CREATION: Final = "creation"
#: The server's errors: there is another stream with this name; its folder could not be made (this one has no
#: code of its own).
_IN_USE: Final = 10058
_NO_STORE: Final = "error creating store for stream"

#: Nothing is dropped for its age or its number. Said, since what is not is left as somebody else set it.
FOR_EVER: Final[Mapping[str, Any]] = {"max_age": 0, "max_msgs": -1, "max_msgs_per_subject": -1}


class DeclareError(Exception):
    """The streams could not be declared; the text says why and what to do."""


def log_stream(
    layout: Layout, number: int, max_bytes: int, max_message: int, replicas: int
) -> dict[str, Any]:
    """The configuration of one stream of a log.

    ``max_bytes`` of all streams together must be below the volume's size: a full disk freezes.
    """
    return {
        "name": layout.names[number],
        "subjects": layout.subjects_of(number),
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "deny_delete": True,
        "deny_purge": True,
        "allow_direct": True,
        "max_msg_size": max_message,
        "max_bytes": max_bytes,
        **FOR_EVER,
        "duplicate_window": 600 * SECOND,
        "num_replicas": replicas,
        "republish": {"src": layout.subjects, "dest": layout.live_mapping(number)},
    }


def replay_settings(stream: int, reader: str) -> dict[str, Any]:
    """A reader's durable for replays of a stream: pushed, acknowledged in bulk, set back by its reader."""
    return {
        "durable_name": replay_consumer(reader),
        "name": replay_consumer(reader),
        "deliver_subject": replay_delivery(stream, reader),
        "deliver_policy": "all",
        "ack_policy": "all",
        "ack_wait": 30 * SECOND,
        "max_deliver": -1,
        "max_ack_pending": MAX_REPLAY_PENDING,
    }


def bucket_stream(name: str, replicas: int, ttl_hours: int = 0) -> dict[str, Any]:
    """A key-value bucket, in the form of ADR-8."""
    return {
        "name": f"KV_{name}",
        "subjects": [f"$KV.{name}.>"],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "max_msgs_per_subject": 1,
        "max_age": ttl_hours * 3600 * SECOND,
        "allow_direct": True,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "num_replicas": replicas,
    }


async def find_layout(client: Client, layout: Layout) -> Layout | None:
    """The layout with as many streams as the log has, None where there is none. Raises `DeclareError`."""
    config = await stream_config(client, layout.names[0])
    if config is None:
        return None
    # A log from before there could be several streams does not say how many it has.
    streams = int((config.get("metadata") or {}).get("streams", "1"))
    if not streams:
        raise DeclareError(UNFINISHED)
    return replace(layout, streams=streams)


async def declare_log(
    client: Client,
    layout: Layout,
    max_bytes: int,
    max_message: int,
    replicas: int = 1,
    readers: Iterable[str] = (),
) -> None:
    """Create or mend the streams of a log, and the durables through which ``readers`` replay.

    ``max_bytes`` is for all streams together, ``max_message`` for one entry with its headers (bytes).
    The first stream says how many there are, and so is made first. Raises `DeclareError`.
    """
    for number, name in enumerate(layout.names):
        wanted = log_stream(layout, number, max_bytes // layout.streams, max_message, replicas)
        minted = {"epoch": secrets.token_hex(8), "streams": str(layout.streams)}
        await declare_stream(client, wanted, minted)
        for reader in readers:
            await declare_consumer(client, name, replay_settings(number, reader))


async def new_epoch(client: Client, layout: Layout) -> None:
    """Mint new epochs: every cursor and snapshot made before is told to begin anew. Raises `DeclareError`."""
    for name in layout.names:
        config = await stream_config(client, name)
        if config is None:
            raise DeclareError(f"the stream {name} does not exist: run `switchboard setup`")
        config["metadata"] = {**(config.get("metadata") or {}), "epoch": secrets.token_hex(8)}
        answer = await api(client, f"STREAM.UPDATE.{name}", config)
        if "config" not in answer:
            raise DeclareError(f"the epoch could not be changed: {reason(answer)}")


async def remove_streams(client: Client, names: Iterable[str]) -> list[str]:
    """Remove streams with all that they hold; the names of those that existed. Raises `DeclareError`."""
    removed = []
    for name in names:
        answer = await api(client, f"STREAM.DELETE.{name}", {})
        if answer.get("success"):
            removed.append(name)
        elif answer.get("error", {}).get("code") != 404:
            raise DeclareError(f"the stream {name} could not be removed: {reason(answer)}")
    return removed


async def declare_stream(
    client: Client, wanted: dict[str, Any], minted: Mapping[str, str] | None = None
) -> None:
    """Create or mend a stream. ``minted`` are metadata that it keeps from its beginning on.

    Raises `DeclareError`.
    """
    name, minted = wanted["name"], minted or {}
    found = await stream_config(client, name)
    if found is None:
        found = await create_stream(client, {**wanted, "metadata": dict(minted)})
    elif _differs(wanted, found) or _lacks(minted, found):
        metadata = {**minted, **(found.get("metadata") or {})}
        # Settings that are not ours to know (a placement, a mirror's compression) stay as they are.
        answer = await api(client, f"STREAM.UPDATE.{name}", {**found, **wanted, "metadata": metadata})
        if "config" not in answer:
            raise DeclareError(f"the stream {name} could not be declared: {reason(answer)}")
        found = answer["config"]
    wrong = _differs(wanted, found) + _lacks(minted, found)
    if wrong:
        raise DeclareError(f"the server did not keep these settings of the stream {name}: {', '.join(wrong)}")


async def create_stream(client: Client, config: dict[str, Any], patience: float = 30.0) -> dict[str, Any]:
    """Create a stream, empty; its configuration, also where somebody else has just created it.

    A server still clears away what it has removed when it has answered already (nats-server 2.15,
    `fileStore.Delete` and `stream.stop`): for moments it cannot make the folder of a new stream, and a second
    removal of the same name may fail behind its back, so that a new stream begins with what the old one had.
    Both are tried again for ``patience`` seconds. Raises `DeclareError`.
    """
    name = config["name"]
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        creation = secrets.token_hex(8)
        metadata = {**(config.get("metadata") or {}), CREATION: creation}
        answer = await api(client, f"STREAM.CREATE.{name}", {**config, "metadata": metadata})
        found: dict[str, Any] | None = answer.get("config")
        error = answer.get("error", {})
        if found is None and error.get("err_code") == _IN_USE:
            found = await stream_config(client, name)
        if found is not None:
            if (found.get("metadata") or {}).get(CREATION) != creation:
                return found  # somebody else's
            if answer["state"]["last_seq"] < max(config.get("first_seq", 0), 1):
                return found
            await remove_streams(client, [name])
        elif error.get("err_code") != _IN_USE and error.get("description") != _NO_STORE:
            raise DeclareError(f"the stream {name} could not be declared: {reason(answer)}")
        if loop.time() > deadline:
            raise DeclareError(
                f"the stream {name} could not be created: the server still holds what was removed under this "
                "name, or cannot write its folder. Look at its log, restart it, and run this again."
            )
        await asyncio.sleep(0.1)


async def declare_consumer(client: Client, stream: str, wanted: dict[str, Any]) -> None:
    """Create or mend a durable consumer. Raises `DeclareError`."""
    name = wanted["durable_name"]
    answer = await api(client, f"CONSUMER.INFO.{stream}.{name}", {})
    if "config" not in answer or _differs(wanted, answer["config"]):
        # A durable keeps its old settings unless they are updated explicitly.
        body = {"stream_name": stream, "config": wanted}
        answer = await api(client, f"CONSUMER.DURABLE.CREATE.{stream}.{name}", body)
    if "config" not in answer:
        raise DeclareError(f"the consumer {name} of {stream} could not be declared: {reason(answer)}")
    if wrong := _differs(wanted, answer["config"]):
        raise DeclareError(
            f"the server did not keep these settings of the consumer {name}: {', '.join(wrong)}"
        )


async def stream_config(client: Client, name: str) -> dict[str, Any] | None:
    """The configuration of a stream, None where there is none."""
    answer = await api(client, f"STREAM.INFO.{name}", {})
    if "config" not in answer and answer.get("error", {}).get("code") != 404:
        raise DeclareError(f"the stream {name} cannot be read: {reason(answer)}")
    config: dict[str, Any] | None = answer.get("config")
    return config


def _differs(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return [key for key, value in wanted.items() if (found.get(key) or None) != (value or None)]


def _lacks(minted: Mapping[str, str], found: dict[str, Any]) -> list[str]:
    """The metadata that the stream should have and has not."""
    return [f"metadata.{key}" for key in minted if not (found.get("metadata") or {}).get(key)]


async def api(client: Client, subject: str, body: dict[str, Any]) -> dict[str, Any]:
    """The server's answer to a request of JetStream's API, an error included. Raises `DeclareError`."""
    payload = msgspec.json.encode(body) if body else b""
    # Where a stream or consumer has no leader, nobody answers, nor later. To ask once more changes nothing.
    tries, seconds = (10, 2.0) if ".INFO." in subject else (1, 10.0)
    for left in reversed(range(tries)):
        try:
            reply = await client.request(f"$JS.API.{subject}", payload, timeout=seconds)
        except TimeoutError as error:
            if not left:
                raise DeclareError(
                    f"NATS does not answer to {subject} within {tries * seconds:.0f} s: is JetStream on, is "
                    "this user an admin, and are most of the cluster's servers there?"
                ) from error
        except nats.errors.Error as error:
            raise DeclareError(
                f"NATS does not answer to {subject} ({error!r}): is JetStream on, and is this user an admin?"
            ) from error
        else:
            break
    answer: dict[str, Any] = msgspec.json.decode(reply.data)
    return answer


def reason(answer: dict[str, Any]) -> str:
    """Why the server refused, for people."""
    error = answer.get("error", {})
    words = str(error.get("description", answer))
    if error.get("err_code") in (10023, 10047):  # no room for what the stream asks
        words += (
            "; SWITCHBOARD_LOG_MAX_BYTES must be below what the server may store (SWITCHBOARD_NATS_MAX_STORE)"
        )
    return words
