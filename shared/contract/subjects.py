"""Names on the broker: streams, subjects, and what belongs to which.

``chat.<shard>.<conversation>.<author>`` holds the log, in the streams ``CHAT-0`` and so on, and
``desk.<shard>.<conversation>.desk``, in the same streams, what operators note about a conversation.
``draft.<shard>.<conversation>`` carries the assistant's words while they are made,
``timer.at.<conversation>.<id>`` a schedule that fires to ``timer.due.<conversation>.<id>``.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

from shared.contract.facts import Author
from shared.shards import shard_of

#: The log's name, and what its subjects begin with.
LOG: Final = "CHAT"
PREFIX: Final = "chat"

#: What the subjects of operators' notes begin with, and the author that their entries have.
DESK: Final = "desk"

#: The workflow's shared durable consumer, one for each stream of the log: a wake-up and a lease for each
#: input. All of them deliver to one subject: the server sees no interest in a wildcard.
WORKFLOW_DURABLE: Final = "workflow"
WORKFLOW_DELIVERY: Final = "deliver.workflow"

#: The eraser's shared durable consumer, likewise: a wake-up for each conversation that is to be forgotten.
ERASER_DURABLE: Final = "eraser"
ERASER_DELIVERY: Final = "deliver.eraser"

#: Push consumers for the bulk of a replay, one for each service that reads the log from its beginning.
REPLAYERS: Final = ("operator", "analytics")

#: Flow contents by content hash, kept for ever as ``flow.<hash>``.
FLOWS: Final = "FLOWS"
FLOW_PREFIX: Final = "flow"

#: Which version of each flow new conversations begin with: a key-value bucket, a key for each name.
RELEASES: Final = "FLOW_RELEASES"

#: The assistant's words while they are made: in memory, for ten minutes.
DRAFTS: Final = "DRAFTS"

#: The operators' accounts, and who of them is logged in, for so long at most: key-value buckets.
OPERATORS: Final = "OPERATORS"
OPERATOR_SESSIONS: Final = "OPERATOR_SESSIONS"
SESSION_HOURS: Final = 12

#: What operators say often: a key-value bucket, a key for those of all and one for each operator's own.
ANSWERS: Final = "ANSWERS"
ANSWERS_OF: Final = "of"
#: Beside them what operators look for again and again.
VIEWS_SHARED: Final = "views.shared"
VIEWS_OF: Final = "views.of"

#: How the desk works: a key-value bucket. One key holds its settings, as whoever sets it up wrote them,
#: another what operators have chosen to be: busy, away; the third which replica gives conversations out.
DESK_STATE: Final = "DESK"
DESK_SETTINGS: Final = "settings"
DESK_AVAILABILITY: Final = "availability"
DESK_ASSIGNER: Final = "assigner"
DESK_MAILER: Final = "mailer"

#: Schedules of armed timers, and what they fire; apart, since schedules switch off a stream's `deny_purge`.
TIMERS: Final = "TIMERS"
TIMERS_DUE: Final = "timer.due.*.*"
TIMERS_DURABLE: Final = "timers"
TIMERS_DELIVERY: Final = "deliver.timers"

#: Core NATS: what operators ask the assistant for, and whether they can. The workflows share the questions.
SUGGESTIONS: Final = "suggest.text"
SUGGESTIONS_OFFERED: Final = "suggest.offered"
SUGGESTIONS_QUEUE: Final = "suggest"
#: Where the answers go. No inbox, since the workflow may not write into others', and with the server's
#: `allow_responses` each delivery to it would be remembered.
SUGGESTED: Final = "suggested"

#: Core NATS: whose session a browser's cookie is, asked of the operator services, and where they answer.
LOGINS: Final = "login.asked"
LOGINS_QUEUE: Final = "login"
LOGINS_TOLD: Final = "login-told"

#: Webhooks: the endpoints, all under one key of a bucket, and the stream of what is due to them, now or
#: later, or dead.
WEBHOOK_ENDPOINTS: Final = "WEBHOOK_ENDPOINTS"
WEBHOOK_ENDPOINTS_KEY: Final = "all"
WEBHOOKS: Final = "WEBHOOKS"
WEBHOOKS_AT: Final = "webhook.at.*.*"
WEBHOOKS_DUE: Final = "webhook.due.*.*"
WEBHOOKS_DEAD: Final = "webhook.dead.*.*"
#: The consumers: of each stream of the log, and of what is due.
WEBHOOKS_DURABLE: Final = "webhooks"
WEBHOOKS_DELIVERY: Final = "deliver.webhooks"
WEBHOOKS_DUE_DURABLE: Final = "webhooks-due"
WEBHOOKS_DUE_DELIVERY: Final = "deliver.webhooks-due"

#: Core NATS: which visitors, and which operators, are typing right now.
VISITORS_TYPING: Final = "typing.*.*.visitor"
OPERATORS_TYPING: Final = "typing.*.*.operator"

#: Core NATS: how many consoles are open, and who did something just now, told by each replica of the operator
#: service every few seconds.
PRESENCE: Final = "typing.presence"

#: Core NATS: which conversations operators look at, and what the proxies then tell of their visitors.
WATCHES: Final = "watch.*.*.*"
WATCHES_ASKED: Final = "watch.*.*.operator"

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


def chat(conversation: str, author: Author) -> str:
    """The subject on which ``author`` appends to the conversation."""
    return f"{DESK if author == DESK else PREFIX}.{shard_of(conversation)}.{conversation}.{author}"


def address(subject: str) -> Address:
    """Read ``chat.<s>.<c>.<author>``, and likewise what begins with ``desk``, ``typing`` or ``watch``."""
    _, conversation, author = subject.rsplit(".", 2)
    return Address(conversation, author)


def release(name: str) -> str:
    """The subject under which the release of the flow ``name`` is kept."""
    return f"$KV.{RELEASES}.{name}"


def desk_state(key: str) -> str:
    """The subject under which a key of the desk's bucket is kept."""
    return f"$KV.{DESK_STATE}.{key}"


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


def webhook_due(endpoint: str, id: str) -> str:
    """The subject of an event that an endpoint is to be told of."""
    return f"webhook.due.{endpoint}.{id}"


def webhook_at(endpoint: str, id: str) -> str:
    """The subject of the schedule that makes it due later."""
    return f"webhook.at.{endpoint}.{id}"


def webhook_dead(endpoint: str, id: str) -> str:
    """The subject of one that no attempt delivered."""
    return f"webhook.dead.{endpoint}.{id}"


def webhook_of(subject: str) -> tuple[str, str]:
    """The endpoint and the webhook's id of any of them."""
    _, _, endpoint, id = subject.split(".")
    return endpoint, id


def typing(conversation: str, who: Author) -> str:
    """Core NATS: who is typing right now. Never on the log."""
    return f"typing.{shard_of(conversation)}.{conversation}.{who}"


def watch(conversation: str, who: Author) -> str:
    """Core NATS: the operator looks at the conversation, or what there is to see of the visitor."""
    return f"watch.{shard_of(conversation)}.{conversation}.{who}"
