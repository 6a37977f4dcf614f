"""What of an entry other systems are told by webhooks. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from shared.contract import facts
from shared.contract.desk_facts import AgreedTimeReached
from shared.contract.entry import RecordedEntry
from shared.contract.webhooks import WebhookEvent
from shared.timestamps import format_time


class _EventPlan(NamedTuple):
    event: WebhookEvent
    plain: tuple[str, ...]  # the fact's fields that every receiver is sent
    words: tuple[str, ...] = ()  # and those that only an endpoint with words is: what people wrote or are


#: A transfer's note is for whoever goes on, so it is not among its words.
_PLANS: Final[Mapping[type, _EventPlan]] = {
    facts.HandoffRequested: _EventPlan("conversation.handoff", ("queue",), ("reason",)),
    facts.ConversationClaimed: _EventPlan("conversation.claimed", ("operator",), ("name",)),
    facts.OperatorSaid: _EventPlan("message.operator", ("operator",), ("text", "name")),
    facts.ConversationHandedBack: _EventPlan("conversation.handed_back", ("operator",)),
    facts.ConversationTransferred: _EventPlan(
        "conversation.transferred", ("operator", "to", "queue", "lapsed"), ("name",)
    ),
    facts.ConversationResolved: _EventPlan("conversation.resolved", ("operator",)),
    facts.ConversationRated: _EventPlan("conversation.rated", ("score",), ("comment",)),
}


def _plan_of(fact: facts.Fact) -> _EventPlan | None:
    if isinstance(fact, AgreedTimeReached):
        event: WebhookEvent = "agreed_time.over" if fact.over else "agreed_time.near"
        return _EventPlan(event, ("goal", "queue", "due"))
    return _PLANS.get(type(fact))


class EventOfEntry(NamedTuple):
    """An event, and the fact that it is made of.

    ``id`` is the same at every attempt, after a restart and in a resharded log: no position
    is part of it.
    """

    id: str
    event: WebhookEvent
    fact: facts.Fact


def may_have_events(entry: RecordedEntry) -> bool:
    """Whether it is worth to look which of its facts took effect."""
    return any(_plan_of(fact) is not None for fact in entry.facts)


def events_of(entry: RecordedEntry, effective: Sequence[facts.Fact]) -> tuple[EventOfEntry, ...]:
    """The events of an entry, in its order. ``effective`` are those of its facts that took effect.

    Whoever lost a race has claimed nothing, and nobody is told that they had.
    """
    found: list[EventOfEntry] = []
    seen: Counter[WebhookEvent] = Counter()
    for fact in entry.facts:
        plan = _plan_of(fact)
        if plan is None:
            continue
        # Counted among those of its kind only: a later program may know facts that this one does not.
        which = (entry.conversation, entry.author, entry.id, plan.event, seen[plan.event])
        id = blake2b(msgspec.json.encode(which), digest_size=16).hexdigest()
        seen[plan.event] += 1
        if any(fact is each for each in effective):
            found.append(EventOfEntry(id, plan.event, fact))
    return tuple(found)


def body_of(entry: RecordedEntry, event: EventOfEntry, words: bool) -> bytes:
    """What is posted, as JSON: ``type``, ``timestamp`` (RFC 3339, when it happened) and ``data``.

    With ``words``, words that can not be read any more, or not now, are null: they are never shown as empty.
    """
    plan = _plan_of(event.fact)
    assert plan is not None, "an event is made of a fact that has a plan"
    data: dict[str, Any] = {"conversation": entry.conversation}
    data |= {name: getattr(event.fact, name) for name in plan.plain}
    if words:
        unread = entry.sealed or entry.erased
        data |= {name: None if unread else getattr(event.fact, name) for name in plan.words}
    return msgspec.json.encode({"type": event.event, "timestamp": format_time(entry.time), "data": data})
