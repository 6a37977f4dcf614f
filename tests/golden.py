"""The wire form of every fact, kept for ever in ``tests/contract/facts.golden.json``.

After adding a fact or a field: extend `tests.examples`, then run ``python -m tests.golden``. It
adds the new forms, and never changes or removes one: logs out there hold them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from shared.contract.facts import Fact
from tests.examples import EXAMPLES

PATH: Final = Path(__file__).parent / "contract" / "facts.golden.json"

Golden = dict[str, list[dict[str, Any]]]


def wire(fact: Fact) -> dict[str, Any]:
    """The fact as the log holds it."""
    form: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(fact))
    return form


def load() -> Golden:
    """All forms that were ever written, by tag."""
    return msgspec.json.decode(PATH.read_bytes(), type=Golden) if PATH.exists() else {}


def missing(golden: Golden) -> Golden:
    """The forms of today's examples that the file lacks."""
    forms = {tag: wire(fact) for tag, fact in EXAMPLES.items()}
    return {tag: [form] for tag, form in forms.items() if form not in golden.get(tag, [])}


def main() -> None:
    """Add what is missing."""
    golden = load()
    new = missing(golden)
    for tag, forms in new.items():
        golden.setdefault(tag, []).extend(forms)
    PATH.write_bytes(msgspec.json.format(msgspec.json.encode(golden), indent=2) + b"\n")
    print(f"added: {', '.join(new) or 'nothing'}")


if __name__ == "__main__":
    main()
