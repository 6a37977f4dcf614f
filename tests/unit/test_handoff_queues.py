"""Flows that look at how the operators' queues stand, and tell the visitor their place in line."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.operator.domain.assignment import DeskOperator
from services.operator.domain.queue_figures import HOUR, MIN_WAITS, RecentWaits, queue_figures
from shared.contract.desk_settings import DeskSettings, Queue, Skills
from shared.contract.facts import ConditionUntold, Fact, HandoffRequested, QueueChecked
from shared.contract.queue_figures import QueueFigures
from shared.contract.working_hours import Hours, Week, WorkingHours
from shared.flow.again import decided_again
from shared.flow.language.flow import Flow, FlowError
from tests.dialogue import FlowDialogue, flow_of, said, says, text
from tests.examples import CONVERSATION_STARTED as STARTED
from tests.examples import Story, recorded


def asking(*branches: dict[str, Any], waiting: str = "Wait.", **more: Any) -> Flow:
    """Looks at the queue, then goes to the desk or to the mail."""
    return flow_of(
        look={"next": [*branches, {"next": "mail"}]},
        mail=says("Write to us.", "end"),
        desk={"handoff": {"queue": "orders", "waiting": waiting, **more}},
        end={"end": True},
    )


AVAILABLE = asking({"when": "handoff.orders.available && handoff.orders.waiting < 3", "next": "desk"})


def decided(flow: Flow, figures: QueueFigures | None, name: str = "orders") -> tuple[Fact, ...]:
    dialogue = FlowDialogue(flow)
    dialogue.queues = {name: figures} if figures is not None else {}
    return dialogue.when(STARTED)


@pytest.mark.parametrize(
    ("figures", "heard"),
    [
        (QueueFigures(True, 2), "Wait."),
        (QueueFigures(True, 3), "Write to us."),
        (QueueFigures(False, 0), "Write to us."),
    ],
)
def test_a_flow_goes_on_by_how_its_queue_stands(figures: QueueFigures, heard: str) -> None:
    facts = decided(AVAILABLE, figures)
    assert said(facts) == [heard]
    assert [fact for fact in facts if isinstance(fact, QueueChecked)] == [
        QueueChecked(queue="orders", available=figures.available, waiting=figures.waiting)
    ]
    assert said(decided(AVAILABLE, figures, "")) == [heard]  # told of every queue without settings


def test_what_is_not_known_counts_as_false_and_is_told_to_the_author() -> None:
    facts = decided(AVAILABLE, None)
    assert said(facts) == ["Write to us."]
    assert any(isinstance(fact, ConditionUntold) for fact in facts)
    hopeful = asking({"when": "handoff.orders.available != false", "next": "desk"})
    assert said(decided(hopeful, None)) == ["Wait."]


def test_it_is_decided_again_by_what_was_noted() -> None:
    """Whatever the queues are like by then."""
    facts = decided(AVAILABLE, QueueFigures(True, 1))
    story = Story()
    story.visitor(STARTED)
    (item,) = story.state.inbox.unanswered
    assert decided_again(story.state, item, AVAILABLE, recorded(2, "bot", *facts, cause=1)) == facts


@pytest.mark.parametrize(
    ("figures", "heard"),
    [
        (QueueFigures(True, 2, 61), "Number 3, in about 2 minutes."),
        (QueueFigures(True, 0, 5), "Number 1, in about 1 minutes."),
        (QueueFigures(True, 0), "Number 1, in about ? minutes."),
        (None, "Number ?, in about ? minutes."),
    ],
)
def test_a_place_in_line_is_told_and_what_is_unknown_as_unknown(
    figures: QueueFigures | None, heard: str
) -> None:
    flow = flow_of(
        desk={
            "handoff": {
                "queue": "orders",
                "waiting": "Number {{ handoff.place | ? }}, in about {{ handoff.minutes | ? }} minutes.",
            }
        }
    )
    assert not flow.warnings
    facts = decided(flow, figures)
    assert said(facts) == [heard]
    kinds = [type(fact) for fact in facts]
    assert kinds.index(QueueChecked) < kinds.index(HandoffRequested)


def test_a_flow_that_does_not_look_notes_nothing() -> None:
    flow = asking({"when": "visitor.door == 'web'", "next": "desk"})
    assert not any(isinstance(fact, QueueChecked) for fact in decided(flow, QueueFigures(True, 0)))


def test_a_flow_without_a_queue_has_nothing_to_look_at() -> None:
    with pytest.raises(FlowError, match='"when" looks at "handoff", which nothing saves'):
        flow_of(
            look={"next": [{"when": "handoff.orders.available", "next": "end"}, {"next": "end"}]},
            end={"end": True},
        )


def test_a_variable_of_that_name_is_what_it_was() -> None:
    """In a flow from before there was anything else by it."""
    flow = flow_of(
        ask={"sendRequest": {"kind": "StartChatSession", "sessionId": "s"}},
        got={
            "matchResponse": {"kind": "UserText", "sessionId": "s", "save": {"as": "handoff"}},
            "next": [{"when": "handoff == 'yes'", "next": "desk"}, {"next": "end"}],
        },
        desk={"handoff": {"queue": "orders", "waiting": "You said {{ handoff }}."}},
        end={"end": True},
    )
    dialogue = FlowDialogue(flow).given(STARTED)
    assert said(dialogue.when(text("yes", "s"))) == ["You said yes."]


# --- how the queues stand ---------------------------------------------------------------------

MONDAY = 1_795_424_400 * 10**9  # 9 o'clock UTC
OFFICE: Week = ((Hours(540, 600),), *((),) * 6)  # Monday from 9 to 10


def test_a_queue_is_available_where_somebody_is_free_while_people_work() -> None:
    always = WorkingHours(ZoneInfo("UTC"))
    settings = DeskSettings(
        queues={
            "ada's": Queue(always, members=frozenset({"ada"})),
            "bob's": Queue(always, members=frozenset({"bob"})),
            "office": Queue(WorkingHours(ZoneInfo("UTC"), OFFICE)),
        },
        others=Skills(2),
    )
    ada, bob = DeskOperator("ada", "online", 1), DeskOperator("bob", "online", 2)
    found = queue_figures(settings, [ada, bob], {"ada's": 4, "other": 1}, RecentWaits(), MONDAY)
    assert found == {
        "": QueueFigures(True, 0),
        "ada's": QueueFigures(True, 4),
        "bob's": QueueFigures(False, 0),
        "office": QueueFigures(True, 0),
        "other": QueueFigures(True, 1),
    }
    assert not queue_figures(settings, [ada], {}, RecentWaits(), MONDAY + HOUR)["office"].available
    busy = DeskOperator("ada", "busy", 0)
    assert not queue_figures(settings, [busy], {}, RecentWaits(), MONDAY)[""].available


def test_a_wait_is_expected_by_those_of_the_last_hour() -> None:
    recent = RecentWaits()
    for number in range(MIN_WAITS):
        assert recent.expected("sales", MONDAY) is None
        recent.add("sales", MONDAY + number, (number + 1) * 60 * 10**9)
    assert recent.expected("sales", MONDAY + 10) == 120
    assert recent.expected("support", MONDAY + 10) is None
    assert recent.expected("sales", MONDAY + HOUR + 1) is None  # the first of them is too long ago
