"""What the REST door takes and gives, as JSON. Times are RFC 3339, UTC."""

from __future__ import annotations

from typing import Annotated, cast

import msgspec
from msgspec import Meta

from services.proxy.domain.rest_state import State
from services.proxy.domain.sse_events import Kind
from services.proxy.domain.turns import Role, Turns
from services.proxy.domain.turns import TurnMessage as Line
from shared.timestamps import format_time

SESSION = "0b9f3a52-7d0e-4a6e-9c55-3f1d2f6a8b17"

UserId = Annotated[
    str, Meta(min_length=1, max_length=256, description="who the visitor is to you", examples=["sam"])
]
Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, examples=["2026-01-31T12:00:00.000Z"])]


class NewMessage(msgspec.Struct):
    """A message of the visitor. Without `session_id` a session begins."""

    user_id: UserId
    message: Annotated[
        str, Meta(min_length=1, description="at most 16 KiB of UTF-8", examples=["Where is my order?"])
    ]
    session_id: Annotated[str | None, Meta(description="from an earlier answer", examples=[SESSION])] = None


class Accepted(msgspec.Struct, frozen=True):
    """The message is stored."""

    session_id: Annotated[
        str, Meta(description="lets whoever holds it into the session: keep it secret", examples=[SESSION])
    ]
    status: Annotated[str, Meta(examples=["ok"])]
    message: Annotated[
        str,
        Meta(examples=[f"Message received. Connect to /sessions/{SESSION}/stream for response."]),
    ]


class Message(msgspec.Struct, frozen=True):
    """Plain text; what the bot and what a person says is the `assistant`'s."""

    id: Annotated[str, Meta(examples=["17"])]
    role: Role
    content: Annotated[str, Meta(examples=["Where is my order?"])]
    timestamp: Time


class Session(msgspec.Struct, frozen=True):
    """`state`: where the current turn stands."""

    id: Annotated[str, Meta(examples=[SESSION])]
    user_id: Annotated[str, Meta(examples=["sam"])]
    state: State
    messages: list[Message]
    created_at: Time
    updated_at: Time


class SessionAnswer(msgspec.Struct, frozen=True):
    session: Session


class StreamEvent(msgspec.Struct, frozen=True):
    """`id` is for `Last-Event-ID`. The `data` of all `token`s of a turn are the answer, exactly."""

    id: str
    event: Kind
    data: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request was not fulfilled; with `state` where a turn is open."""

    error: Annotated[str, Meta(examples=["there is no such session"])]
    state: State | None = None


_encoder = msgspec.json.Encoder()


def accepted(session_id: str) -> Accepted:
    received = f"Message received. Connect to /sessions/{session_id}/stream for response."
    return Accepted(session_id, "ok", received)


def session(id: str, turns: Turns, state: State) -> SessionAnswer:
    """The session as it is now, its messages yet to be filled in."""
    return SessionAnswer(
        Session(
            id=id,
            user_id=turns.state.visit.begun.user,
            state=state,
            messages=[],
            created_at=format_time(turns.created),
            updated_at=format_time(turns.updated),
        )
    )


def message(line: Line) -> Message:
    """A message as JSON. Made one by one: of tens of thousands, other visitors have their turns between."""
    made = Message(str(line.position), line.role, line.text, format_time(line.time))
    return cast(Message, msgspec.Raw(_encoder.encode(made)))
