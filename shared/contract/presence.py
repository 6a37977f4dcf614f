"""What is told of a visitor while an operator looks at the conversation: over core NATS, never on the log."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

#: An operator's console asks so often at least for the conversation that it shows (seconds) ...
ASK_SECONDS: Final = 10.0
#: ... and so long after it has asked last nobody tells it anything any more.
WATCH_SECONDS: Final = 25.0

#: What is kept of an address, of a page's title and of what a browser calls itself (characters).
MAX_ADDRESS: Final = 500
MAX_TITLE: Final = 200
MAX_BROWSER: Final = 300

#: "online": a page of the visitor's is in front of them. "away": all of them are behind others. "untold": the
#: visitor is connected by a client that does not tell. "gone": they have closed the last page that told.
#: "unknown": nothing is known, which does not mean that nobody is there.
Whereabouts = Literal["online", "away", "untold", "gone", "unknown"]


class VisitorReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one replica of the proxy knows of a conversation's visitor right now.

    ``page``, ``title``, ``referrer`` and ``browser`` are what a page tells of itself where it is allowed to;
    ``seen`` is the position up to which the visitor has seen the conversation, 0 for not known.
    """

    replica: str
    whereabouts: Whereabouts
    page: str = ""
    title: str = ""
    referrer: str = ""
    browser: str = ""
    seen: int = 0


class WatchAsked(msgspec.Struct, frozen=True):
    """A console shows the conversation: whoever knows of its visitor tells it for `WATCH_SECONDS`.

    ``console`` is the name that the console has given its feed of events.
    """

    console: str
