"""What a client may send in Engine.IO (protocol 4) and Socket.IO (protocol 5) packets.

Looked at before python-socketio sees it. That would collect binary attachments without end, take an
event named ``disconnect`` for the real thing, and tell nobody what was wrong.

https://github.com/socketio/engine.io-protocol, https://github.com/socketio/socket.io-protocol
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

#: Between the packets of one polled body.
SEPARATOR: Final = "\x1e"

#: Close, ping (a probe before an upgrade), pong, upgrade, nothing.
_ENGINE: Final = frozenset({"1", "2", "2probe", "3", "3probe", "5", "6"})
#: Names that mean something to python-socketio itself.
_RESERVED: Final = frozenset({"connect", "connect_error", "disconnect", "*"})
#: An event: perhaps a namespace, perhaps the number of the answer that is wanted.
_EVENT: Final = re.compile(r"42(?P<namespace>/[^,]*,)?(?P<number>[0-9]{0,15})(?=\[)")
_CONNECT: Final = re.compile(r"40(?:/[^,]*(?:,|$))?")

NOT_SPOKEN: Final = "not a packet of Engine.IO 4"


def problem(text: str) -> str | None:
    """What is wrong with one packet, in words for the client; None for nothing."""
    if text in _ENGINE:
        return None
    if text.startswith("42"):
        return _event_problem(text)
    if text.startswith("40"):
        found = _CONNECT.match(text)
        rest = text[found.end() :] if found else ""
        if not rest:
            return None
        return None if isinstance(_decoded(rest), dict) else "auth is not a JSON object"
    if text.startswith(("45", "46", "b")):
        return "binary is not spoken here: send JSON"
    if text in ("41", "41/") or text.startswith(("43", "41/")):
        return None  # a farewell, or the answer to something that we never ask
    return NOT_SPOKEN


def _event_problem(text: str) -> str | None:
    found = _EVENT.match(text)
    if found is None:
        return "an event is a JSON array that begins with its name"
    if found["namespace"] not in (None, "/,"):
        return "there is only the default namespace"
    content = _decoded(text[found.end() :])
    if not isinstance(content, list) or not content or not isinstance(content[0], str):
        return "an event is a JSON array that begins with its name"
    if content[0] in _RESERVED:
        return f"the event {content[0]!r} is not the client's to send"
    return None


def _decoded(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
