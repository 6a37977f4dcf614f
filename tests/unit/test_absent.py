"""Entries whose words are absent: what is shown in their place, fact by fact."""

from __future__ import annotations

import pytest
from msgspec.structs import asdict

from services.operator.domain.absent import ERASED, SEALED, marked
from services.operator.domain.transcript import spoken
from services.proxy.domain import rendering
from shared.contract.entry import RecordedEntry
from shared.contract.facts import EditorOpened, Fact
from shared.contract.sealing import take_out
from tests import examples
from tests.examples import EXAMPLES
from tests.unit.test_entry import author_of


def wordless(fact: Fact, erased: bool) -> RecordedEntry:
    """An entry with this fact, as it is read when its words are gone."""
    facts, words = take_out((fact,))
    return RecordedEntry(
        position=1,
        conversation=examples.CONVERSATION,
        author=author_of(fact),
        time=1,
        facts=facts,
        sealed=bool(words),
        erased=bool(words) and erased,
    )


@pytest.mark.parametrize("fact", EXAMPLES.values(), ids=list(EXAMPLES))
@pytest.mark.parametrize(("erased", "why"), [(True, ERASED), (False, SEALED)])
def test_operators_are_told_why_there_are_no_words(fact: Fact, erased: bool, why: str) -> None:
    entry = wordless(fact, erased)
    (shown,) = marked(entry, entry.facts)
    before = spoken(fact, None)
    if isinstance(fact, EditorOpened):  # what it says stands in the editor, and is no line of its own
        before = None
    assert spoken(shown, None) == (why if before and entry.sealed else before)


@pytest.mark.parametrize("fact", EXAMPLES.values(), ids=list(EXAMPLES))
@pytest.mark.parametrize("table", [rendering.BARE, rendering.MODERN], ids=["bare", "modern"])
def test_visitors_are_shown_nothing_that_is_empty(fact: Fact, table: dict[type, rendering._Maker]) -> None:
    entry = wordless(fact, erased=True)
    (left,) = entry.facts
    if type(fact) in table and not rendering.wordless(entry, left):
        assert "" not in asdict(table[type(fact)]({}, left, {})).values()
