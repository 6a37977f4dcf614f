"""What NATS holds for webhooks. `switchboard webhooks` makes the log's consumers, `setup` all else."""

from __future__ import annotations

from typing import Any

from nats.aio.client import Client

from shared.contract import subjects
from shared.eventlog.provisioning import SECOND, DeclareError, api, declare_consumer, reason

#: How long webhooks are kept that were not delivered, how many there may be, and how many at work at once.
WEBHOOK_DAYS = 30
MAX_WEBHOOKS = 1_000_000
MAX_WEBHOOKS_PENDING = 10_000
#: Entries of the log at work at once, and how long a replica may be silent about one (seconds).
MAX_ENTRIES_PENDING = 1_000
ACK_WAIT_SECONDS = 30


def webhooks_stream(replicas: int) -> dict[str, Any]:
    """What webhooks are due, now or later, and which are dead; what was delivered leaves."""
    return {
        "name": subjects.WEBHOOKS,
        "subjects": [subjects.WEBHOOKS_AT, subjects.WEBHOOKS_DUE, subjects.WEBHOOKS_DEAD],
        "storage": "file",
        "retention": "workqueue",
        "discard": "old",  # the server takes no schedules with "new"
        "allow_direct": True,
        "allow_msg_schedules": True,
        "max_msgs": MAX_WEBHOOKS,
        "max_msgs_per_subject": 1,
        "max_age": WEBHOOK_DAYS * 86_400 * SECOND,
        "max_msg_size": 2048,
        "duplicate_window": 600 * SECOND,
        "num_replicas": replicas,
    }


def webhooks_due_consumer() -> dict[str, Any]:
    """Pushed to one of the operator service's replicas; those that wait for another attempt are not in it."""
    return {
        "durable_name": subjects.WEBHOOKS_DUE_DURABLE,
        "name": subjects.WEBHOOKS_DUE_DURABLE,
        "deliver_subject": subjects.WEBHOOKS_DUE_DELIVERY,
        "deliver_group": subjects.WEBHOOKS_DUE_DURABLE,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": ACK_WAIT_SECONDS * SECOND,
        "max_deliver": -1,
        "max_ack_pending": MAX_WEBHOOKS_PENDING,
        "filter_subject": subjects.WEBHOOKS_DUE,
    }


def webhooks_consumer() -> dict[str, Any]:
    """The webhooks' durable on a stream of the log. Where it begins is said when it is made."""
    return {
        "durable_name": subjects.WEBHOOKS_DURABLE,
        "name": subjects.WEBHOOKS_DURABLE,
        "deliver_subject": subjects.WEBHOOKS_DELIVERY,
        "deliver_group": subjects.WEBHOOKS_DURABLE,
        "deliver_policy": "by_start_sequence",
        "ack_policy": "explicit",
        "ack_wait": ACK_WAIT_SECONDS * SECOND,
        "max_deliver": -1,
        "max_ack_pending": MAX_ENTRIES_PENDING,
        "filter_subjects": ["chat.*.*.visitor", "chat.*.*.bot", "chat.*.*.operator", "desk.*.*.desk"],
    }


async def tells_webhooks(client: Client, stream: str) -> bool:
    """Whether the stream has the webhooks' durable. Raises `DeclareError`."""
    answer = await api(client, f"CONSUMER.INFO.{stream}.{subjects.WEBHOOKS_DURABLE}", {})
    return "config" in answer


async def declare_webhooks(client: Client, stream: str, start: int | None = None) -> None:
    """Create or mend the webhooks' durable on a stream of the log. Raises `DeclareError`.

    A new one begins with the sequence ``start``; None: behind what is there now.
    """
    wanted = webhooks_consumer()
    answer = await api(client, f"CONSUMER.INFO.{stream}.{subjects.WEBHOOKS_DURABLE}", {})
    if "config" in answer:  # where it began cannot be changed
        wanted["opt_start_seq"] = answer["config"].get("opt_start_seq")
    elif start is not None:
        wanted["opt_start_seq"] = start
    else:
        state = await api(client, f"STREAM.INFO.{stream}", {})
        if "state" not in state:
            raise DeclareError(f"the stream {stream} cannot be read: {reason(state)}")
        wanted["opt_start_seq"] = state["state"]["last_seq"] + 1
    await declare_consumer(client, stream, wanted)


async def remove_webhooks(client: Client, stream: str) -> None:
    """Remove the webhooks' durable from a stream of the log, if it has it. Raises `DeclareError`."""
    answer = await api(client, f"CONSUMER.DELETE.{stream}.{subjects.WEBHOOKS_DURABLE}", {})
    if not answer.get("success") and answer.get("error", {}).get("code") != 404:
        raise DeclareError(f"the webhooks' consumer of {stream} could not be removed: {reason(answer)}")
