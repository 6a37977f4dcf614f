"""What the routes about notes take and give, as JSON. Times are RFC 3339, UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from services.operator.domain.desk import ConversationSummary
from services.operator.domain.notes import Assignment, DeskNotes, Note
from shared.contract.desk_facts import Priority
from shared.timestamps import format_time

#: The longest note (bytes of UTF-8).
MAX_NOTE = 16 * 1024

Account = Annotated[str, Meta(min_length=1, max_length=32, examples=["bob"])]
Label = Annotated[
    str, Meta(min_length=1, max_length=40, description="must not say who the visitor is", examples=["refund"])
]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, examples=["2026-12-01T08:00:00.000Z"])]
_ID = "00000000-0000-4000-8000-000000000001"
Once = Annotated[
    UUID | None, Meta(description="the same request may come again with it, and counts once", examples=[_ID])
]


class WriteNote(msgspec.Struct, forbid_unknown_fields=True):
    """``mentions`` are the accounts of those who are to read it."""

    text: Annotated[str, Meta(min_length=1, examples=["Called twice, wants a refund"])]
    mentions: Annotated[list[Account], Meta(max_length=20)] = []
    id: Once = None


class RemoveNote(msgspec.Struct, forbid_unknown_fields=True):
    note: Annotated[str, Meta(min_length=1, max_length=64, description="its id", examples=[_ID])]
    id: Once = None


class SetLabel(msgspec.Struct, forbid_unknown_fields=True):
    label: Label
    id: Once = None


class SetPriority(msgspec.Struct, forbid_unknown_fields=True):
    priority: Annotated[Priority, Meta(examples=["high"])]
    id: Once = None


class Snooze(msgspec.Struct, forbid_unknown_fields=True):
    until: Annotated[datetime, Meta(tz=True, examples=["2026-12-01T08:00:00Z"])]
    id: Once = None


class MarkRead(msgspec.Struct, forbid_unknown_fields=True):
    position: Annotated[int, Meta(ge=1, description="of the last entry that was seen", examples=[17])]
    id: Once = None


class Assign(msgspec.Struct, forbid_unknown_fields=True):
    """Without ``operator`` and ``queue`` nobody is meant any more."""

    operator: Account | None = None
    queue: Annotated[str, Meta(min_length=1, max_length=64, examples=["orders"])] | None = None
    note: Annotated[str, Meta(max_length=4096, examples=["She knows the case"])] = ""
    id: Once = None


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """A wish that needs no more words."""

    id: Once = None


class NoteLine(msgspec.Struct, kw_only=True):
    id: str
    position: int
    time: Time
    operator: Account
    text: str
    mentions: tuple[str, ...]


class AssignedTo(msgspec.Struct, kw_only=True):
    """``by`` says so."""

    by: Account
    operator: str | None
    queue: str | None
    note: str


class NotedFields(msgspec.Struct, kw_only=True):
    """What was noted about a conversation, except the notes. ``noted`` is the position of the last of it
    (0: nothing was), ``read`` up to which position each account has seen the conversation.
    """

    noted: int
    labels: tuple[Label, ...]
    priority: Priority
    snoozed_until: Time | None
    spam: bool
    read: Annotated[dict[str, int], Meta(examples=[{"ada": 17}])]
    assigned: AssignedTo | None


class DeskDetail(NotedFields, kw_only=True):
    """What was noted about a conversation, the oldest note first, and what its flow has saved.

    ``position`` is that of the last entry of the conversation itself.
    """

    conversation: str
    position: int
    notes: list[NoteLine]
    variables: dict[str, Any]


def desk_detail(summary: ConversationSummary) -> DeskDetail:
    notes = [_note(note) for note in summary.notes.notes]
    variables = dict(summary.state.progress.variables)
    return DeskDetail(
        conversation=summary.id,
        position=summary.state.position,
        notes=notes,
        variables=variables,
        **noted_fields(summary.notes),
    )


def noted_fields(notes: DeskNotes) -> dict[str, Any]:
    """The values of `NotedFields`."""
    return {
        "noted": notes.position,
        "labels": notes.labels,
        "priority": notes.priority,
        "snoozed_until": format_time(notes.snoozed_until) if notes.snoozed_until else None,
        "spam": notes.spam,
        "read": dict(notes.read),
        "assigned": _assigned(notes.assigned) if notes.assigned else None,
    }


def _assigned(assigned: Assignment) -> AssignedTo:
    return AssignedTo(
        by=assigned.operator,
        operator=assigned.to or None,
        queue=assigned.queue or None,
        note=assigned.note,
    )


def _note(note: Note) -> NoteLine:
    return NoteLine(
        id=note.id,
        position=note.position,
        time=format_time(note.time),
        operator=note.operator,
        text=note.text,
        mentions=note.mentions,
    )
