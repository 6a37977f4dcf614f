"""``docs/numbers.md``: ``python -m tests.numbers_page`` writes it, and with ``--check`` compares it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from services.analytics.domain.definition import LEFT_HOURS, Definition, Topic
from services.analytics.domain.definitions import CURRENT, DEFINITIONS

PATH: Final = Path(__file__).parent.parent / "docs" / "numbers.md"

HEAD: Final = f"""\
<!-- Made by `python -m tests.numbers_page` of services/analytics/domain/definitions.py; do not edit. -->
# What the numbers mean

Each number is a question about the facts on the log, and can be asked of any period of all history. The same
log gives the same numbers, on any machine and at any time.

- **A period** goes from one moment up to another. An event belongs to the period in which it was stored, a
  matter to the one in which it began. Days and hours are those of the time zone that is asked for, also where
  clocks change.
- **A share** is of what the sentence names first. Where there is nothing, there is no number, not 0.
- **Times** are told by their median, and by what nine in ten and nineteen in twenty did not exceed.
- **Working time**: times that people take can be told in the working hours of the queue, as the
  [desk's settings](desk.md) say now. Without a queue, or in one without hours, all time counts.
- **Left** is whoever wrote nothing to the bot for {LEFT_HOURS} hours, counted up to the newest entry.
- **Erased** conversations lose their words and keep their numbers. Nothing here holds a visitor's words.
- **Versions**: when a number gets another meaning it gets another version. The one before stays, and both are
  counted over all history.
- **Proof**: `switchboard reconcile` counts the log by another path, and compares with what analytics tells.
- Snoozing, notes, labels and priorities change no number.
"""

_TOPICS: Final[dict[Topic, str]] = {
    "visitors": "Visitors",
    "bot": "The bot",
    "people": "People",
    "assistant": "The assistant",
}
_UNITS: Final = {
    "count": "how many",
    "share": "share",
    "seconds": "time",
    "score": "1 to 5",
    "tokens": "tokens",
    "cost": "currency of the prices",
}


def text() -> str:
    """What the file should hold."""
    parts = [HEAD]
    for topic, title in _TOPICS.items():
        parts.append(f"\n## {title}\n")
        parts += [_definition(each) for each in DEFINITIONS if each.topic == topic]
    return "".join(parts)


def _definition(each: Definition) -> str:
    newest = CURRENT[each.id].version
    version = f", version {each.version}" if newest > 1 else ""
    told = ", ".join(each.groups)
    working = " Also in working time." if each.working else ""
    return (
        f"\n### {each.name}\n\n{each.says}{working}\n\n"
        f"`{each.id}`{version}: {_UNITS[each.unit]}. By {told}. Of {_facts(each.of)}.\n"
    )


def _facts(of: tuple[str, ...]) -> str:
    return ", ".join(f"`{fact}`" if fact[:1].isupper() else fact for fact in of)


def main() -> int:
    wanted = text()
    if "--check" not in sys.argv[1:]:
        PATH.write_text(wanted, "utf-8")
    elif not PATH.exists() or PATH.read_text("utf-8") != wanted:
        print("docs/numbers.md is out of date: run `python -m tests.numbers_page`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
