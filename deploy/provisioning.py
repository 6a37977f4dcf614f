"""What NATS holds for Switchboard, and the one place that makes it, as the admin user (`switchboard setup`).

Idempotent: see `shared.eventlog.provisioning`.
"""

from __future__ import annotations

from typing import Any

from nats.aio.client import Client

from deploy.webhook_provisioning import (
    declare_webhooks,
    tells_webhooks,
    webhooks_due_consumer,
    webhooks_stream,
)
from shared.contract import entry, subjects
from shared.contract.subjects import SESSION_HOURS
from shared.eventlog import key_blocks, provisioning
from shared.eventlog.layout import MAX_STREAMS, UNFINISHED, Layout
from shared.eventlog.leaders import spread_leaders
from shared.eventlog.provisioning import (
    FOR_EVER,
    SECOND,
    DeclareError,
    bucket_stream,
    declare_consumer,
    declare_log,
    declare_stream,
    find_layout,
    remove_streams,
    stream_config,
)
from shared.service import archive
from shared.service.chat_log import chat_layout

#: Streams of a new log. By measurement (`python -m tests.bench --parts streams`: everything on one core, each
#: append synced): with 500 visitors four give 1.6 times the turns of one, and two thirds of the waiting; with
#: one nobody feels them; at rest they take 0.8 % of a core more, and a start a second. Eight give no more.
DEFAULT_STREAMS = 4

#: The log's copy while it is made, and its old streams afterwards: see `deploy.resharding`.
NEXT = f"{subjects.LOG}-NEXT"
PREVIOUS = f"{subjects.LOG}-PREVIOUS"

#: The workflow's lease on a delivery (seconds): a visitor waits this long when a replica dies.
ACK_WAIT_SECONDS = 5
MAX_ACK_PENDING = 2_000
#: How long drafts are kept (seconds), and how much of them in all: an answer is committed long before.
DRAFT_SECONDS = 600
MAX_DRAFT_BYTES = 256 * 1024**2

#: Everything that `declare` makes and `wipe` removes.
STREAMS = (
    *Layout(subjects.LOG, subjects.PREFIX, MAX_STREAMS).names,
    *Layout(NEXT, subjects.PREFIX, MAX_STREAMS).names,
    *Layout(PREVIOUS, subjects.PREFIX, MAX_STREAMS).names,
    *archive.LAYOUT.names,
    key_blocks.STREAM,
    subjects.FLOWS,
    subjects.DRAFTS,
    subjects.TIMERS,
    f"KV_{subjects.RELEASES}",
    f"KV_{subjects.OPERATORS}",
    f"KV_{subjects.OPERATOR_SESSIONS}",
    f"KV_{subjects.ANSWERS}",
    f"KV_{subjects.DESK_STATE}",
    f"KV_{subjects.WEBHOOK_ENDPOINTS}",
    subjects.WEBHOOKS,
)


def flows_stream(replicas: int) -> dict[str, Any]:
    return {
        "name": subjects.FLOWS,
        "subjects": ["flow.*"],
        "storage": "file",
        "retention": "limits",
        "discard": "new",
        **FOR_EVER,
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
        "filter_subject": subjects.TIMERS_DUE,
    }


def workflow_consumer() -> dict[str, Any]:
    """The workflow's durable on a stream of the log.

    Pushed to a queue group, acknowledged one by one, never given up.
    """
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


def eraser_consumer() -> dict[str, Any]:
    """The eraser's durable on a stream of the log."""
    return {
        **workflow_consumer(),
        "durable_name": subjects.ERASER_DURABLE,
        "name": subjects.ERASER_DURABLE,
        "deliver_subject": subjects.ERASER_DELIVERY,
        "deliver_group": subjects.ERASER_DURABLE,
        "filter_subjects": ["chat.*.*.eraser"],
    }


async def declare_log_consumers(client: Client, stream: str) -> None:
    """Create or mend the durables that each stream of the log has. Raises `DeclareError`."""
    await declare_consumer(client, stream, workflow_consumer())
    await declare_consumer(client, stream, eraser_consumer())


async def declare(
    client: Client, max_bytes: int = 8 * 1024**3, replicas: int = 1, streams: int | None = None
) -> None:
    """Create or mend all streams, buckets and durables, and spread the log's leaders. Raises `DeclareError`.

    ``streams`` is for a new log: one that exists keeps the number that it has, which is also what None
    means.
    """
    layout = await find_layout(client, chat_layout())
    if layout is None:
        if await stream_config(client, f"{NEXT}-0") is not None:
            raise DeclareError(UNFINISHED)
        layout = chat_layout(streams or DEFAULT_STREAMS)
    elif streams not in (None, layout.streams):
        raise DeclareError(
            f"the log has {layout.streams} stream(s), and SWITCHBOARD_LOG_STREAMS is {streams}: a log keeps "
            f"the number that it has. `switchboard reshard --streams {streams}` changes it."
        )
    await declare_log(client, layout, max_bytes, entry.MAX_MESSAGE, replicas, subjects.REPLAYERS)
    await declare_stream(client, key_blocks.keys_stream(replicas))
    await declare_stream(client, flows_stream(replicas))
    await declare_stream(client, bucket_stream(subjects.OPERATORS, replicas))
    await declare_stream(client, bucket_stream(subjects.OPERATOR_SESSIONS, replicas, SESSION_HOURS))
    await declare_stream(client, bucket_stream(subjects.ANSWERS, replicas))
    await declare_stream(client, bucket_stream(subjects.DESK_STATE, replicas))
    await declare_stream(client, bucket_stream(subjects.RELEASES, replicas))
    await declare_stream(client, bucket_stream(subjects.WEBHOOK_ENDPOINTS, replicas))
    await declare_stream(client, webhooks_stream(replicas))
    await declare_consumer(client, subjects.WEBHOOKS, webhooks_due_consumer())
    await declare_stream(client, drafts_stream())
    await declare_stream(client, timers_stream(replicas))
    for name in layout.names:
        await declare_log_consumers(client, name)
        if await tells_webhooks(client, name):  # `switchboard webhooks` makes it
            await declare_webhooks(client, name)
    await declare_consumer(client, subjects.TIMERS, timers_consumer())
    if replicas > 1:
        await spread_leaders(client, layout.names)


async def wipe(client: Client) -> list[str]:
    """Remove every stream of Switchboard with all that it holds; the names of those that existed."""
    return await remove_streams(client, STREAMS)


async def new_epoch(client: Client) -> None:
    """Mint new epochs: every cursor and snapshot made before is told to begin anew. Raises `DeclareError`."""
    layout = await find_layout(client, chat_layout())
    if layout is None:
        raise DeclareError("there is no log yet: run `switchboard setup`")
    await provisioning.new_epoch(client, layout)
