"""The frames of the WebSocket channel: JSON objects told apart by ``kind``.

A bare client knows the kinds up to `UserText` and none of the fields ``cursor``, ``time``, ``id``;
the rest belongs to the subprotocol ``switchboard.v1``.
"""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import Annotated, Final

import msgspec
import nh3
from msgspec import UNSET, UnsetType

SUBPROTOCOL: Final = "switchboard.v1"

Id = str | int
MessageId = Annotated[
    str,
    msgspec.Meta(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$(?!\n)", description="a UUID"),
]


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=True, omit_defaults=True):
    """All frames are tagged by their class name in ``kind``."""


# --- from the client ---------------------------------------------------------------------------


class ChoiceAnswer(Frame, frozen=True, tag="ChoiceResponse"):
    groupId: Id
    itemId: Id
    content: str | None = None
    id: MessageId | None = None


class TextAnswer(Frame, frozen=True, tag="UserText"):
    sessionId: Id
    content: str
    id: MessageId | None = None


class ResetSession(Frame, frozen=True):
    id: MessageId | None = None


class TypingNow(Frame, frozen=True, tag="Typing"):
    pass


class Ping(Frame, frozen=True):
    """Is anybody there? Scripts see neither the pings of WebSocket itself nor that they stay away."""


class PresenceTold(Frame, frozen=True, tag="Presence"):
    """How things are with the visitor, as far as the page lets it be told. It replaces what was told before.

    ``visible``: the page is in front. ``seen``: the cursor up to which the visitor has seen the conversation.
    What is too long is cut, and what is no address of the web left out.
    """

    visible: bool
    page: str | None = None
    title: str | None = None
    referrer: str | None = None
    browser: str | None = None
    seen: str | None = None


class Rate(Frame, frozen=True):
    score: Annotated[int, msgspec.Meta(ge=1, le=5)]
    comment: str | None = None
    id: MessageId | None = None


class EarlierAsked(Frame, frozen=True, tag="Earlier"):
    """Tell what was before this cursor: for a client that asked for the newest part alone."""

    before: str


BareInput = ChoiceAnswer | TextAnswer | ResetSession
Input = BareInput | TypingNow | Ping | PresenceTold | Rate | EarlierAsked

bare_input: Final = msgspec.json.Decoder(BareInput)
modern_input: Final = msgspec.json.Decoder(Input)


def written(frame: Input) -> int:
    """The longest of what the visitor wrote into the frame (bytes of UTF-8), ids included."""
    match frame:
        case TextAnswer():
            words = [frame.content, frame.sessionId]
        case ChoiceAnswer():
            words = [frame.content or "", frame.groupId, frame.itemId]
        case Rate():
            words = [frame.comment or ""]
        case _:
            return 0
    return max(len(str(word).encode()) for word in words)


# --- to the client -----------------------------------------------------------------------------


class _FactFrame(Frame, frozen=True):
    cursor: str | UnsetType = UNSET
    time: str | UnsetType = UNSET


class BotText(_FactFrame, frozen=True, kw_only=True):
    """``turn``: these words were made as drafts of this turn, which they replace."""

    content: str
    turn: str | UnsetType = UNSET


class ChoiceItem(msgspec.Struct, frozen=True):
    itemId: Id
    content: str


class ChoiceRequest(_FactFrame, frozen=True, kw_only=True):
    groupId: Id
    question: str
    choices: list[ChoiceItem]


class StartChatSession(_FactFrame, frozen=True, kw_only=True):
    sessionId: Id
    chatPrompt: str | UnsetType = UNSET
    chatText: str | UnsetType = UNSET


class EndChatSession(_FactFrame, frozen=True, kw_only=True):
    sessionId: Id


class ChoiceResponse(_FactFrame, frozen=True, kw_only=True):
    groupId: Id
    itemId: Id
    content: str
    id: str | UnsetType = UNSET


class UserText(_FactFrame, frozen=True, kw_only=True):
    sessionId: Id
    content: str
    id: str | UnsetType = UNSET


class OperatorJoined(_FactFrame, frozen=True, kw_only=True):
    name: str


class OperatorText(_FactFrame, frozen=True, kw_only=True):
    name: str
    content: str


class OperatorLeft(_FactFrame, frozen=True, kw_only=True):
    pass


class Ack(Frame, frozen=True):
    id: str
    cursor: str


class Refused(Frame, frozen=True):
    id: str
    reason: str


class Resumed(Frame, frozen=True):
    """First on every connect, and again when the conversation began anew.

    ``earlier``: the newest part follows alone; what is before this cursor may be asked for.
    """

    cursor: str | None
    reset: bool
    earlier: str | UnsetType = UNSET


class Earlier(Frame, frozen=True):
    """A part of what was before the cursor that the client named; its last part has ``earlier``: what to ask
    for next, null where nothing is before."""

    before: str
    frames: list[msgspec.Raw]
    earlier: str | UnsetType | None = UNSET


class State(Frame, frozen=True):
    """``waiting``: for a "choice", a "text", a "person"; "end": the flow is over; None: nothing yet.

    ``rating``: an operator "asked" for one of this matter, or it was "given".
    """

    owner: str
    status: str
    waiting: str | None
    rating: str | UnsetType = UNSET


class Typing(Frame, frozen=True):
    who: str


class Pong(Frame, frozen=True):
    """The answer to `Ping`; nobody who did not ask is sent it."""


class Draft(Frame, frozen=True):
    """The assistant's next words, in its own Markdown, while they are made; never stored.

    ``offset`` counts characters (code points); 0 begins a new attempt, which replaces the one before.
    ``end`` "interrupted": nothing of this attempt was said, forget it.
    """

    turn: str
    attempt: int
    offset: int
    text: str
    end: str | UnsetType = UNSET


_encoder = msgspec.json.Encoder()


def encode(frame: Frame) -> str:
    """The frame's JSON text."""
    return _encoder.encode(frame).decode()


# --- cleaning at the door ----------------------------------------------------------------------

_ATTRIBUTES = {**nh3.ALLOWED_ATTRIBUTES, "a": {*nh3.ALLOWED_ATTRIBUTES.get("a", set()), "target"}}
_SCHEMES = {"http", "https", "mailto", "tel"}
_cleaner = nh3.Cleaner(attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel="noopener")


@lru_cache(maxsize=4096)
def clean(html: str) -> str:
    """A flow's HTML, safe for a browser; links keep ``target`` and get ``rel="noopener"``."""
    return html if not any(sign in html for sign in "<>&") else _cleaner.clean(html)


def as_html(text: str) -> str:
    """A person's text for a client that shows HTML."""
    return escape(text, quote=False)


def lines_as_html(text: str) -> str:
    """A plain text for a client that shows HTML: its line breaks are meant."""
    return escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>")
