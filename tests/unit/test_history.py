"""A conversation entry by entry: what each changed, and what is shown where words cannot be read."""

from __future__ import annotations

import msgspec

from services.operator.domain.absent import SEALED
from services.operator.domain.history import MAX_VALUE, HistoryState, HistoryStep, brief, stepped, variables
from services.operator.history import HistoryPlace
from services.operator.transports.history_schemas import HistoryPoint, history_point
from shared.contract.conversation import evolve
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    BotSaid,
    ConversationClaimed,
    ConversationStarted,
    FlowStarted,
    TextWritten,
    VariableSaved,
)
from shared.contract.left_out import UNKNOWN
from tests.examples import recorded

BEGUN = recorded(1, "visitor", ConversationStarted(door="web"))


def walked(*entries: RecordedEntry) -> list[HistoryStep]:
    steps, state = [], HistoryState()
    for entry in entries:
        steps.append(stepped(state, entry))
        state = steps[-1].after
    return steps


def shown(step: HistoryStep) -> HistoryPoint:
    """As the API gives it, through JSON."""
    point = history_point(HistoryPlace(step, 1, 1, None, None), None)
    return msgspec.json.decode(msgspec.json.encode(point), type=HistoryPoint)


def test_each_variable_says_what_the_entry_did_to_it() -> None:
    saves = recorded(
        2, "bot", VariableSaved(name="age", value=20), VariableSaved(name="name", value="Ann"), id="2"
    )
    again = recorded(
        3, "bot", VariableSaved(name="age", value=21), VariableSaved(name="name", value="Ann"), id="3"
    )
    anew = recorded(
        4, "bot", FlowStarted(flow="ages", version="v"), VariableSaved(name="age", value=21), id="4"
    )
    *_, third, fourth = walked(BEGUN, saves, again, anew)
    assert [(each.name, each.value, each.change, each.before) for each in variables(third)] == [
        ("age", 21, "changed", 20),
        ("name", "Ann", "same", None),
    ]
    assert [(each.name, each.value, each.change, each.before) for each in variables(fourth)] == [
        ("age", 21, "same", None),
        ("name", None, "gone", "Ann"),
    ]
    assert shown(third).changed == []
    assert shown(fourth).changed == ["flow", "version"]


def test_a_long_value_is_cut_and_says_so() -> None:
    [_, step] = walked(BEGUN, recorded(2, "bot", VariableSaved(name="a", value="ä" * MAX_VALUE), id="2"))
    [found] = variables(step)
    assert found.cut
    assert len(found.value.encode()) <= MAX_VALUE
    assert brief("x" * 400, 300) == '"' + "x" * 299 + "…"
    assert brief(UNKNOWN, 300) == SEALED


def test_where_a_key_is_lost_nothing_is_shown_in_place_of_the_words() -> None:
    """And from there on nobody says that a text or a value was empty."""
    lost = recorded(2, "visitor", TextWritten(session="s", text=""))
    saved = recorded(3, "bot", VariableSaved(name="age", value=None), BotSaid(text=""), id="3")
    claimed = recorded(4, "operator", ConversationClaimed(operator="ada", name=""))
    begun, *sealed = walked(
        BEGUN, *(msgspec.structs.replace(each, sealed=True) for each in (lost, saved, claimed))
    )
    assert begun.after.words
    assert not any(step.after.words for step in sealed)
    wrote, answered, taken = map(shown, sealed)
    assert [line.text for line in wrote.lines] == [SEALED]
    assert [(each.name, each.value, each.change) for each in answered.variables] == [("age", SEALED, "new")]
    assert (taken.state.operator, taken.state.operator_name) == ("ada", "")


def test_the_state_is_that_of_the_fold() -> None:
    entries = (BEGUN, recorded(2, "bot", FlowStarted(flow="f", version="v"), cause=1))
    [_, step] = walked(*entries)
    state = HistoryState().conversation
    for entry in entries:
        state = evolve(state, entry)
    assert step.after.conversation == state
