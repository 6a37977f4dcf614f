"""Names on the broker: streams, subjects, and what belongs to which.

``chat.<shard>.<conversation>.<author>`` holds the log; the server republishes each stored message
to ``live.<stream>.<shard>.<conversation>.<author>``. ``draft.<shard>.<conversation>`` carries the assistant's
words while they are made, ``timer.at.<conversation>.<id>`` a schedule that fires to
``timer.due.<conversation>.<id>``.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from shared.contract.facts import Author

SHARDS: Final = 256
STREAM: Final = "CHAT-0"
STREAM_SUBJECTS: Final = "chat.*.*.*"
LIVE: Final = "live.0.*.*.*"
LIVE_MAPPING: Final = "live.0.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}"

#: The workflow's shared durable consumer: a wake-up and a lease for each input.
WORKFLOW_DURABLE: Final = "workflow"
WORKFLOW_DELIVERY: Final = "deliver.workflow.0"

#: Push consumers for the bulk of a replay, one for each service that reads the log from its beginning.
REPLAYERS: Final = ("operator", "analytics")

#: Flow contents by content hash, kept for ever.
FLOWS: Final = "FLOWS"

#: Which version of each flow new conversations begin with: a key-value bucket, a key for each name.
RELEASES: Final = "FLOW_RELEASES"

#: The assistant's words while they are made: in memory, for ten minutes.
DRAFTS: Final = "DRAFTS"

#: Schedules of armed timers, and what they fire; apart, since schedules switch off a stream's `deny_purge`.
TIMERS: Final = "TIMERS"
TIMERS_DURABLE: Final = "timers"
TIMERS_DELIVERY: Final = "deliver.timers"

#: Core NATS: how many operators are there right now, told by the operator service every few seconds.
PRESENCE: Final = "typing.presence"

#: Core NATS: what a flow's ``service`` may ask; a backend subscribes to one of these.
SERVICES: Final = "service"


class Address(NamedTuple):
    """What a subject of the log names."""

    conversation: str
    author: str


def conversation_of(secret: str, door: str) -> str:
    """The conversation's name: 32 hex digits from which the visitor's secret cannot be found.

    ``door`` (at most 16 characters) keeps the same secret at two doors apart (BLAKE2's
    personalization, RFC 7693 section 2.5).
    """
    return blake2b(secret.encode(), digest_size=16, person=door.encode()).hexdigest()


@lru_cache(maxsize=65_536)
def shard_of(conversation: str) -> int:
    """The conversation's shard, 0 to 255: FNV-1a, 32 bits, of its name. Fixed for ever."""
    value = 0x811C9DC5
    for byte in conversation.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value % SHARDS


def chat(conversation: str, author: Author) -> str:
    """The subject on which ``author`` appends to the conversation."""
    return f"chat.{shard_of(conversation)}.{conversation}.{author}"


def everyone(conversation: str) -> str:
    """The filter over all authors of the conversation: what an expectation guards."""
    return f"chat.{shard_of(conversation)}.{conversation}.*"


def address(subject: str) -> Address:
    """Read ``chat.<s>.<c>.<author>`` or ``live.<k>.<s>.<c>.<author>``."""
    _, conversation, author = subject.rsplit(".", 2)
    return Address(conversation, author)


def replay_consumer(service: str) -> str:
    """The durable through which ``service`` replays."""
    return f"replay-{service}"


def replay_delivery(service: str) -> str:
    """The subject to which that durable delivers."""
    return f"deliver.replay.{service}"


def flow(version: str) -> str:
    """The subject under which a flow's content is kept."""
    return f"flow.{version}"


def release(name: str) -> str:
    """The subject under which the release of the flow ``name`` is kept."""
    return f"$KV.{RELEASES}.{name}"


def draft(conversation: str) -> str:
    """The subject of the drafts in the conversation."""
    return f"draft.{shard_of(conversation)}.{conversation}"


def timer_at(conversation: str, id: str) -> str:
    """The subject of a timer's schedule; publishing it again replaces the schedule."""
    return f"timer.at.{conversation}.{id}"


def timer_due(conversation: str, id: str) -> str:
    """The subject to which a timer's schedule fires."""
    return f"timer.due.{conversation}.{id}"


def due_timer(subject: str) -> tuple[str, str]:
    """The conversation and the timer's id of a `timer_due` subject."""
    _, _, conversation, id = subject.split(".", 3)
    return conversation, id


def typing(conversation: str, who: Author) -> str:
    """Core NATS: who is typing right now. Never on the log."""
    return f"typing.{shard_of(conversation)}.{conversation}.{who}"


def message_id(author: Author, conversation: str, id: str) -> str:
    """``Nats-Msg-Id``. Ids are stream-wide on the server, so they carry author and conversation."""
    return f"{author}:{conversation}:{id}"
