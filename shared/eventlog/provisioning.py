"""The one place that creates streams, durables and buckets: run by the admin user (`switchboard setup`).

Idempotent. What exists is compared with what is wanted and mended where the server allows it; what
the server returns is checked, because it silently switches some settings off.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
import nats.errors
from nats.aio.client import Client

from shared.contract import entry, subjects
from shared.eventlog import key_blocks

SECOND = 1_000_000_000

#: The workflow's lease on a delivery (seconds): a visitor waits this long when a replica dies.
ACK_WAIT_SECONDS = 5
MAX_ACK_PENDING = 2_000
#: Messages of a replay on their way: the server cuts off a client with 64 MB pending.
MAX_REPLAY_PENDING = 8_192

OPERATORS = "OPERATORS"
OPERATOR_SESSIONS = "OPERATOR_SESSIONS"
SESSION_HOURS = 12

#: How long drafts are kept (seconds), and how much of them in all: an answer is committed long before.
DRAFT_SECONDS = 600
MAX_DRAFT_BYTES = 256 * 1024**2

#: Everything that `declare` makes and `wipe` removes.
STREAMS = (
    subjects.STREAM,
    key_blocks.STREAM,
    subjects.FLOWS,
    subjects.DRAFTS,
    subjects.TIMERS,
    f"KV_{subjects.RELEASES}",
    f"KV_{OPERATORS}",
    f"KV_{OPERATOR_SESSIONS}",
)


#: Nothing is dropped for its age or its number. Said, since what is not is left as somebody else set it.
_FOR_EVER = {"max_age": 0, "max_msgs": -1, "max_msgs_per_subject": -1}


class DeclareError(Exception):
    """The streams could not be declared; the text says why and what to do."""


def chat_stream(max_bytes: int, replicas: int) -> dict[str, Any]:
    """The log's configuration. ``max_bytes`` must be below the volume's size: a full disk freezes."""
    return {
        "name": subjects.STREAM,
        "subjects": [subjects.STREAM_SUBJECTS],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        "deny_delete": True,
        "deny_purge": True,
        "allow_direct": True,
        "max_msg_size": entry.MAX_MESSAGE,
        "max_bytes": max_bytes,
        **_FOR_EVER,
        "duplicate_window": 600 * SECOND,
        "num_replicas": replicas,
        "republish": {"src": subjects.STREAM_SUBJECTS, "dest": subjects.LIVE_MAPPING},
    }


def flows_stream(replicas: int) -> dict[str, Any]:
    return {
        "name": subjects.FLOWS,
        "subjects": ["flow.*"],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        **_FOR_EVER,
        "deny_delete": True,
        "deny_purge": True,
        "allow_direct": True,
        "max_msg_size": entry.MAX_MESSAGE,
        "duplicate_window": 600 * SECOND,
        "num_replicas": replicas,
    }


def drafts_stream() -> dict[str, Any]:
    """The assistant's words while they are made: whoever joins in the middle reads them here."""
    return {
        "name": subjects.DRAFTS,
        "subjects": ["draft.*.*"],
        "storage": "memory",
        "retention": "limits",
        "discard": "old",
        "allow_direct": True,
        "max_age": DRAFT_SECONDS * SECOND,
        "max_bytes": MAX_DRAFT_BYTES,
        "max_msg_size": 64 * 1024,
        "num_replicas": 1,
    }


def timers_stream(replicas: int) -> dict[str, Any]:
    """Schedules, and what they fire; a firing leaves with its acknowledgement."""
    return {
        "name": subjects.TIMERS,
        "subjects": ["timer.at.*.*", "timer.due.*.*"],
        "storage": "file",
        "retention": "workqueue",
        "discard": "old",  # the server takes no schedules with "new"
        "allow_direct": True,
        "allow_msg_schedules": True,
        "max_age": 0,
        "max_msg_size": 16 * 1024,
        "num_replicas": replicas,
    }


def timers_consumer() -> dict[str, Any]:
    """What fires is pushed to one of the workflow's replicas until one acknowledges it."""
    return {
        "durable_name": subjects.TIMERS_DURABLE,
        "name": subjects.TIMERS_DURABLE,
        "deliver_subject": subjects.TIMERS_DELIVERY,
        "deliver_group": subjects.TIMERS_DURABLE,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": ACK_WAIT_SECONDS * SECOND,
        "max_deliver": -1,
        "max_ack_pending": MAX_ACK_PENDING,
        "filter_subject": "timer.due.*.*",
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


def workflow_consumer() -> dict[str, Any]:
    """The workflow's durable: pushed to a queue group, acknowledged one by one, never given up."""
    return {
        "durable_name": subjects.WORKFLOW_DURABLE,
        "name": subjects.WORKFLOW_DURABLE,
        "deliver_subject": subjects.WORKFLOW_DELIVERY,
        "deliver_group": subjects.WORKFLOW_DURABLE,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": ACK_WAIT_SECONDS * SECOND,
        "max_deliver": -1,
        "max_ack_pending": MAX_ACK_PENDING,
        "filter_subjects": ["chat.*.*.visitor", "chat.*.*.operator"],
    }


def replay_consumer(service: str) -> dict[str, Any]:
    """A service's durable for replays: pushed, acknowledged in bulk, set back by its reader."""
    return {
        "durable_name": subjects.replay_consumer(service),
        "name": subjects.replay_consumer(service),
        "deliver_subject": subjects.replay_delivery(service),
        "deliver_policy": "all",
        "ack_policy": "all",
        "ack_wait": 30 * SECOND,
        "max_deliver": -1,
        "max_ack_pending": MAX_REPLAY_PENDING,
    }


async def declare(client: Client, max_bytes: int = 8 * 1024**3, replicas: int = 1) -> None:
    """Create or mend all streams, buckets and durables. Raises `DeclareError`."""
    await _stream(client, chat_stream(max_bytes, replicas), epoch=True)
    await _stream(client, key_blocks.keys_stream(replicas))
    await _stream(client, flows_stream(replicas))
    await _stream(client, bucket_stream(OPERATORS, replicas))
    await _stream(client, bucket_stream(OPERATOR_SESSIONS, replicas, SESSION_HOURS))
    await _stream(client, bucket_stream(subjects.RELEASES, replicas))
    await _stream(client, drafts_stream())
    await _stream(client, timers_stream(replicas))
    await _consumer(client, subjects.STREAM, workflow_consumer())
    await _consumer(client, subjects.TIMERS, timers_consumer())
    for service in subjects.REPLAYERS:
        await _consumer(client, subjects.STREAM, replay_consumer(service))


async def wipe(client: Client) -> list[str]:
    """Remove every stream of Switchboard with all that it holds; the names of those that existed."""
    removed = []
    for name in STREAMS:
        answer = await _api(client, f"STREAM.DELETE.{name}", {})
        if answer.get("success"):
            removed.append(name)
        elif answer.get("error", {}).get("code") != 404:
            raise DeclareError(f"the stream {name} could not be removed: {_reason(answer)}")
    return removed


async def new_epoch(client: Client) -> str:
    """Mint a new epoch: every cursor and snapshot made before is told to begin anew."""
    answer = await _api(client, f"STREAM.INFO.{subjects.STREAM}", {})
    if "config" not in answer:
        raise DeclareError(f"the stream {subjects.STREAM} does not exist: run `switchboard setup`")
    config = answer["config"]
    config["metadata"] = {**config.get("metadata", {}), "epoch": secrets.token_hex(8)}
    answer = await _api(client, f"STREAM.UPDATE.{subjects.STREAM}", config)
    if "config" not in answer:
        raise DeclareError(f"the epoch could not be changed: {_reason(answer)}")
    return str(config["metadata"]["epoch"])


async def _stream(client: Client, wanted: dict[str, Any], epoch: bool = False) -> None:
    name = wanted["name"]
    answer = await _api(client, f"STREAM.INFO.{name}", {})
    found = answer.get("config")
    if found is None:
        if answer.get("error", {}).get("code") != 404:
            raise DeclareError(f"the stream {name} cannot be read: {_reason(answer)}")
        metadata = {"epoch": secrets.token_hex(8)} if epoch else {}
        answer = await _api(client, f"STREAM.CREATE.{name}", {**wanted, "metadata": metadata})
    elif _differs(wanted, found):
        # Settings that are not ours to know (a placement, a mirror's compression) stay as they are.
        metadata = dict(found.get("metadata") or {})
        if epoch:
            metadata.setdefault("epoch", secrets.token_hex(8))
        answer = await _api(client, f"STREAM.UPDATE.{name}", {**found, **wanted, "metadata": metadata})
    if "config" not in answer:
        raise DeclareError(f"the stream {name} could not be declared: {_reason(answer)}")
    wrong = _differs(wanted, answer["config"])
    if epoch and not answer["config"].get("metadata", {}).get("epoch"):
        wrong.append("metadata.epoch")
    if wrong:
        raise DeclareError(f"the server did not keep these settings of the stream {name}: {', '.join(wrong)}")


async def _consumer(client: Client, stream: str, wanted: dict[str, Any]) -> None:
    name = wanted["durable_name"]
    answer = await _api(client, f"CONSUMER.INFO.{stream}.{name}", {})
    if "config" not in answer or _differs(wanted, answer["config"]):
        # A durable keeps its old settings unless they are updated explicitly.
        body = {"stream_name": stream, "config": wanted}
        answer = await _api(client, f"CONSUMER.DURABLE.CREATE.{stream}.{name}", body)
    if "config" not in answer:
        raise DeclareError(f"the consumer {name} of {stream} could not be declared: {_reason(answer)}")
    if wrong := _differs(wanted, answer["config"]):
        raise DeclareError(
            f"the server did not keep these settings of the consumer {name}: {', '.join(wrong)}"
        )


def _differs(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    return [key for key, value in wanted.items() if (found.get(key) or None) != (value or None)]


async def _api(client: Client, subject: str, body: dict[str, Any]) -> dict[str, Any]:
    payload = msgspec.json.encode(body) if body else b""
    try:
        reply = await client.request(f"$JS.API.{subject}", payload, timeout=10.0)
    except (nats.errors.Error, TimeoutError) as error:
        raise DeclareError(
            f"NATS does not answer to {subject} ({error!r}): is JetStream on, and is this user an admin?"
        ) from error
    answer: dict[str, Any] = msgspec.json.decode(reply.data)
    return answer


def _reason(answer: dict[str, Any]) -> str:
    error = answer.get("error", {})
    words = str(error.get("description", answer))
    if error.get("err_code") in (10023, 10047):  # no room for what the stream asks
        words += (
            "; SWITCHBOARD_LOG_MAX_BYTES must be below what the server may store (SWITCHBOARD_NATS_MAX_STORE)"
        )
    return words
