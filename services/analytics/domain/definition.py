"""What a definition of a number is, and where its rows come from. Pure."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

#: count, tokens, cost (in the currency of the prices): of all rows together. share: how many of all rows are
#: ``part``. seconds: the median, and what nine in ten and nineteen in twenty did not exceed. score: the mean,
#: from 1 to 5.
Unit: TypeAlias = Literal["count", "share", "seconds", "score", "tokens", "cost"]
#: What numbers can be told apart by, and be narrowed to.
Group: TypeAlias = Literal[
    "door", "flow", "version", "queue", "operator", "reason", "state", "outcome", "goal", "score"
]
Topic: TypeAlias = Literal["visitors", "bot", "people", "assistant"]

#: Whoever said nothing for so long while the bot was to talk with them has left.
LEFT_HOURS: Final = 24

#: Where the rows of a definition come from, as ``e``: each has ``time`` (nanoseconds since 1970),
#: ``conversation``, ``matter``, ``position`` and ``value``. ``$now`` is when the newest entry was stored.
SOURCES: Final = {
    "measures": "measures",
    "matters": """(
        SELECT *, number AS matter, begun AS time, 0 AS position, 0 AS value, CASE
            WHEN outcome = '' AND owner = 'bot' AND active < $now - {left} THEN 'left' ELSE outcome
        END AS became FROM matters WHERE begun > 0
    )""",
    "questions": """(
        SELECT time - value AS time, conversation, matter, position, value, name, detail, version
        FROM measures WHERE kind = 'answered' OR (kind = 'unanswered' AND detail NOT IN ('person', 'erased'))
        UNION ALL
        SELECT asked, conversation, number, 0, $now - asked, question, 'left', version FROM matters
        WHERE question IS NOT NULL AND current AND active < $now - {left}
    )""",
    "waits": """(
        SELECT time, conversation, matter, position, value, name, detail FROM measures WHERE kind = 'waited'
        UNION ALL
        SELECT $now, conversation, number, 0, greatest($now - waits, 0), queue, 'waits' FROM matters
        WHERE current AND waits > 0
    )""",
    "ratings": """(
        SELECT max(time) AS time, conversation, matter, max(position) AS position,
            arg_max(value, (position, fact)) AS value, arg_max(name, (position, fact)) AS name
        FROM measures WHERE kind = 'rating' GROUP BY conversation, matter
    )""",
}
Source: TypeAlias = Literal["measures", "matters", "questions", "waits", "ratings"]


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A number. ``where``, ``part`` and ``columns`` are SQL about a row ``e`` of the source.

    ``of``: the facts that it follows from. ``better``: whether more of it is good. ``working``: it can be
    told in working time, too. ``columns``: the row's own groups; door, flow, version and queue are those of
    its matter where it has none.
    """

    id: str
    version: int = 1
    name: str
    topic: Topic
    unit: Unit
    says: str
    of: tuple[str, ...]
    better: Literal["", "more", "less"] = ""
    source: Source = "measures"
    where: str = "TRUE"
    part: str = "TRUE"
    columns: dict[Group, str] = {}
    working: bool = False

    @property
    def groups(self) -> tuple[Group, ...]:
        """What it can be told apart by."""
        return (*self.columns, *(group for group in OF_THE_MATTER if group not in self.columns))


OF_THE_MATTER: Final[tuple[Group, ...]] = ("door", "flow", "version", "queue")
