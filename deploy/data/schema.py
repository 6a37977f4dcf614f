"""The tables of an export: what each column is, and the version of them all. ``docs/data.md`` lists them."""

from __future__ import annotations

from typing import Final, NamedTuple

#: Another one when a column is added, removed or means something else. Folders of others are refused.
VERSION: Final = 1

_MOMENT: Final = "TIMESTAMP WITH TIME ZONE"


class Column(NamedTuple):
    """``sql`` is what it is, of a row of the store's table or of the facts that are being written."""

    name: str
    type: str
    says: str
    sql: str


class Table(NamedTuple):
    """A folder, with one for each day of UTC in it. ``day``: SQL of the moment (nanoseconds) that decides."""

    name: str
    says: str
    columns: tuple[Column, ...]
    source: str
    day: str


def _moment(name: str, says: str, sql: str) -> Column:
    return Column(name, _MOMENT, says, f"CASE WHEN {sql} > 0 THEN make_timestamptz({sql} // 1000) END")


def _text(name: str, says: str, sql: str = "") -> Column:
    return Column(name, "VARCHAR", says, sql or name)


FACTS: Final = Table(
    "facts",
    "Everything that happened: a row for each fact of each entry, without what people said or are.",
    (
        _moment("time", "when it was stored", "time"),
        Column("stream", "INTEGER", "of the log", "stream"),
        Column("position", "BIGINT", "of the entry in its stream", "position"),
        Column("number", "INTEGER", "of the fact in its entry, from 0", "number"),
        _text("conversation", "its name"),
        _text("author", "visitor, bot, operator, eraser, or desk for what operators note"),
        _text("kind", "what happened: see log.md"),
        _text("entry", "the entry's id"),
        Column("cause", "BIGINT", "position of the input that the bot answers", "cause"),
        _text("fact", "its other fields as JSON; words are missing"),
    ),
    "facts",
    "time",
)

MATTERS: Final = Table(
    "matters",
    "What visitors wanted: see numbers.md. By the day on which the matter was opened.",
    (
        _text("conversation", "its name"),
        Column("number", "INTEGER", "of the matter in its conversation, from 1", "number"),
        Column("talk", "INTEGER", "each start over begins another", "talk"),
        _moment("opened", "when it could begin", "opened"),
        _moment(
            "begun", "the visitor's first words, or when a person was asked for or came; NULL: never", "begun"
        ),
        _moment("active", "when a visitor or an operator last did something", "active"),
        _text("door", "through which the visitor came"),
        _text("flow", "in which it began"),
        _text("version", "of the flow"),
        _text("status", "open or resolved"),
        _text("owner", "bot, queue or operator"),
        _text("place", "the flow's state at which it stands or stopped; NULL: with a person, or over"),
        _text("question", "the state whose question waits for an answer"),
        _moment("handed_off", "when a person was asked for first", "handed_off"),
        _moment("joined", "when a person came first, or resolved it", "joined"),
        _text("queue", "in which it waited last"),
        _text("operator", "who spoke last", "speaker"),
        _text("outcome", "person, completed, left, silence, erased; empty: not over"),
        _moment("closed", "when that came", "closed"),
    ),
    "matters",
    "opened",
)

TURNS: Final = Table(
    "turns",
    "Visitors' texts and choices that the bot answered. By the day of the answer.",
    (
        _moment("time", "when the answer was stored", "time"),
        _text("conversation", "its name"),
        Column("matter", "INTEGER", "its number", "matter"),
        Column("position", "BIGINT", "of the answer", "position"),
        Column("seconds", "DOUBLE", "until the answer", "value / 1e9"),
    ),
    "(SELECT * FROM measures WHERE kind = 'turn')",
    "time",
)

CONVERSATIONS: Final = Table(
    "conversations",
    "Visitors' conversations. By the day on which it began first.",
    (
        _text("conversation", "its name"),
        _moment("begun", "when it began first", "opened"),
        _moment("active", "when a visitor or an operator last did something", "active"),
        _text("door", "through which the visitor came first"),
        Column("talks", "INTEGER", "how often it began, with each start over", "talks"),
        Column("matters", "INTEGER", "how many it had", "matters"),
        Column("handed_off", "INTEGER", "in how many of these a person was asked for", "handed_off"),
        Column("joined", "INTEGER", "in how many of these a person came", "joined"),
        _text("outcome", "of the newest matter"),
    ),
    """(
        SELECT conversation, min(opened) AS opened, max(active) AS active, arg_min(door, number) AS door,
            max(talk) AS talks, count(*) FILTER (begun > 0) AS matters,
            count(*) FILTER (handed_off > 0) AS handed_off, count(*) FILTER (joined > 0) AS joined,
            arg_max(outcome, number) AS outcome
        FROM matters GROUP BY conversation
    )""",
    "opened",
)

#: Those that are made of the store, and written anew for each day on which something changed.
COUNTED: Final = (CONVERSATIONS, MATTERS, TURNS)
TABLES: Final = (FACTS, *COUNTED)
