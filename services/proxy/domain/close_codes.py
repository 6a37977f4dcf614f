"""Why a socket is closed: the one table, the same as on the page ``docs/protocol.md``.

The codes follow RFC 6455 section 7.4; 4000 to 4999 are private use.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class CloseCode(NamedTuple):
    """``reconnect`` says what the client does: "no", "at once", "fresh", "resume", "backoff", "later", or
    "asked": when the visitor asks for it."""

    code: int
    reason: str
    reconnect: str


BROKEN: Final = CloseCode(1002, "not the WebSocket protocol", "no")  # sent by the WebSocket library
BINARY: Final = CloseCode(1003, "binary frames are not spoken here: send JSON text", "no")
NOT_A_FRAME: Final = CloseCode(1007, "not JSON of a known form", "no")
TOO_BIG: Final = CloseCode(1009, "the frame is larger than 64 KiB", "no")  # sent by the WebSocket library
NOT_ALLOWED: Final = CloseCode(1008, "not allowed", "no")
EXPIRED: Final = NOT_ALLOWED._replace(reason="the token has expired")
RESTARTING: Final = CloseCode(1012, "this server restarts", "at once")
STALE: Final = CloseCode(4000, "the conversation began anew", "fresh")
UNKNOWN: Final = CloseCode(4001, "no conversation to come back to", "asked")
TOO_SLOW: Final = CloseCode(4008, "too slow a reader", "resume")
NO_LOG: Final = CloseCode(4013, "the log cannot be reached", "backoff")
TOO_MANY: Final = CloseCode(4029, "too many ...; come back in ... s", "later")  # see `too_many`

ALL: Final = (
    *(BROKEN, BINARY, NOT_A_FRAME, NOT_ALLOWED, TOO_BIG),
    *(RESTARTING, STALE, UNKNOWN, TOO_SLOW, NO_LOG, TOO_MANY),
)


#: The browser kept no cookie, or may not send it here.
NO_COOKIE: Final = UNKNOWN._replace(reason=f"{UNKNOWN.reason}: no cookie came")


def too_many(reason: str, seconds: int) -> CloseCode:
    """The closing for a limit that is reached; its first number is when to come back."""
    return TOO_MANY._replace(reason=f"{reason}; come back in {seconds} s")


def explained(closing: CloseCode, detail: str) -> CloseCode:
    """The same closing with a more exact reason, cut to what a close frame holds (123 bytes)."""
    text = f"{closing.reason}: {detail}".encode()[:120].decode(errors="ignore")
    return closing._replace(reason=text)
