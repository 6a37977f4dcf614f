"""The tables of the numbers' file: the columns of each, and its key."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

MEASURES: Final = {
    "kind": "VARCHAR",
    "time": "BIGINT",
    "conversation": "VARCHAR",
    "talk": "INTEGER",
    "matter": "INTEGER",
    "position": "BIGINT",
    "fact": "INTEGER",
    "part": "INTEGER",
    "name": "VARCHAR",
    "detail": "VARCHAR",
    "version": "VARCHAR",
    "value": "BIGINT",
}
MATTERS: Final = {
    "conversation": "VARCHAR",
    "number": "INTEGER",
    "talk": "INTEGER",
    "opened": "BIGINT",
    "begun": "BIGINT",
    "active": "BIGINT",
    "door": "VARCHAR",
    "flow": "VARCHAR",
    "version": "VARCHAR",
    "status": "VARCHAR",
    "owner": "VARCHAR",
    "place": "VARCHAR",
    "question": "VARCHAR",
    "asked": "BIGINT",
    "handed_off": "BIGINT",
    "joined": "BIGINT",
    "queue": "VARCHAR",
    "waits": "BIGINT",
    "speaker": "VARCHAR",
    "outcome": "VARCHAR",
    "closed": "BIGINT",
    "current": "BOOLEAN",
}
TRACKED: Final = {"conversation": "VARCHAR", "state": "VARCHAR"}
PLACE: Final = {"maker": "VARCHAR", "checkpoint": "VARCHAR", "counted": "BIGINT", "newest": "BIGINT"}


TABLES: Final = (
    ("measures", MEASURES, ""),
    ("matters", MATTERS, ", PRIMARY KEY (conversation, number)"),
    ("tracked", TRACKED, ", PRIMARY KEY (conversation)"),
    ("place", PLACE, ""),
)
#: Another one when a table changes.
DIGEST: Final = blake2b(repr(TABLES).encode(), digest_size=8).hexdigest()
