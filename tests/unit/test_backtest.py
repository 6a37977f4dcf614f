"""Recorded conversations with another version of their flow: what is found, and what nobody can know."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from services.workflow.domain.authoring.backtest import Ending, Verdict, compare
from services.workflow.domain.authoring.backtest_report import lines, report
from services.workflow.domain.authoring.simulator import Simulator
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    ChoiceMade,
    ConversationClaimed,
    ConversationHandedBack,
    Fact,
    TextWritten,
)
from shared.flow.effects import Generated, GoTo
from shared.flow.language.flow import Flow, parse
from tests import examples

OLD: dict[str, Any] = {
    "hello": {"sendRequest": {"kind": "BotText", "content": "Hi!"}, "next": "menu"},
    "menu": {
        "sendRequest": {
            "kind": "ChoiceRequest",
            "groupId": "menu",
            "question": "Which?",
            "choices": [{"itemId": name, "content": name} for name in ("hours", "order", "talk", "person")],
        },
        "after": {"delay": "10m", "say": "Still there?"},
    },
    **{
        f"is-{name}": {
            "matchResponse": {"kind": "ChoiceResponse", "groupId": "menu", "itemId": name},
            "next": name,
        }
        for name in ("hours", "order", "talk", "person")
    },
    "hours": {"sendRequest": {"kind": "BotText", "content": "9 to 5."}, "next": "menu"},
    "order": {"sendRequest": {"kind": "StartChatSession", "sessionId": "order", "chatText": "Number?"}},
    "got": {"matchResponse": {"kind": "UserText", "sessionId": "order", "save": "number"}, "next": "look"},
    "look": {"service": {"subject": "service.look", "save": "found", "onError": "person"}, "next": "done"},
    "done": {"sendRequest": {"kind": "BotText", "content": "It arrives soon."}},
    "talk": {"assistant": {"system": "Help.", "onError": "person", "goTo": ["order"]}},
    "person": {"handoff": {"queue": "service", "nobody": {"next": "nobody"}}, "next": "menu"},
    "nobody": {"sendRequest": {"kind": "BotText", "content": "Nobody is here."}, "next": "menu"},
}


def flow(states: dict[str, Any]) -> Flow:
    return parse(json.dumps(states).encode(), "shop")


def changed(**states: Any) -> Flow:
    """The old flow with these states instead; None removes one."""
    new = {**copy.deepcopy(OLD), **states}
    return flow({name: state for name, state in new.items() if state is not None})


def choice(item: str) -> ChoiceMade:
    return ChoiceMade(group="menu", item=item, text=item)


class Recording(Simulator):
    """A conversation with the old flow."""

    def __init__(self, operators: int = -1) -> None:
        super().__init__(flow(OLD), now=examples.FIRST_TIME, operators=operators, inactivity=86_400)
        self.begin()

    def to(self, *facts: Fact) -> list[RecordedEntry]:
        for fact in facts:
            self.now += 5_000_000_000
            self.visitor(fact)
        return self.entries


def every() -> list[list[RecordedEntry]]:
    """A conversation of each kind."""
    served, failed, spoken, operated, waited = (Recording() for _ in range(5))
    served.to(choice("order"), TextWritten(session="order", text="12"))
    served.served({"days": 2})
    failed.to(choice("order"), TextWritten(session="order", text="12"))
    failed.served(failure="timeout")
    spoken.to(choice("talk"), TextWritten(session="assistant", text="Where is it?"))
    spoken.spoke(Generated(text="Let us see.", tool=GoTo("order")))
    operated.to(choice("person"), TextWritten(session="", text="Hello?"))
    operated.operator(ConversationClaimed(operator="ann"))
    operated.operator(ConversationHandedBack(operator="ann"))
    operated.to(choice("hours"))
    waited.wait(700)
    waited.to(choice("hours"), choice("nothing"))
    alone = Recording(operators=0)
    alone.to(choice("person"), choice("hours"))
    silent = Recording()
    silent.wait(90_000)
    silent.to(choice("hours"))
    rehearsals = (served, failed, spoken, operated, waited, alone, silent)
    return [rehearsal.entries for rehearsal in rehearsals]


def verdict(entries: list[RecordedEntry], new: Flow) -> Verdict:
    found = compare(entries, new)
    assert found is not None
    return found


@pytest.mark.parametrize("number", range(7))
def test_the_same_version_does_the_same(number: int) -> None:
    found = verdict(every()[number], flow(OLD))
    assert found.divergence is None
    assert found.after == found.before
    assert found.reworded == ()


def test_a_conversation_of_another_flow_is_none_of_ours() -> None:
    assert compare(every()[0], parse(json.dumps(OLD).encode(), "garden")) is None


def test_other_words_alone_are_no_divergence() -> None:
    new = changed(hours={"sendRequest": {"kind": "BotText", "content": "9 to 6."}, "next": "menu"})
    found = verdict(Recording().to(choice("hours"), choice("person")), new)
    assert found.divergence is None
    assert found.reworded == ("menu",)
    assert found.after == Ending(handed_off=True, left_at=None)


def test_other_names_alone_are_no_divergence() -> None:
    new = changed(
        **{"is-hours": {**OLD["is-hours"], "next": "open"}}, hours=None, open={**OLD["hours"], "next": "menu"}
    )
    assert verdict(Recording().to(choice("hours"), choice("order")), new).divergence is None


def test_a_planted_divergence_is_found_where_it_is() -> None:
    new = changed(**{"is-hours": {**OLD["is-hours"], "next": "person"}})
    found = verdict(Recording().to(choice("hours"), choice("order")), new)
    assert found.divergence is not None
    assert (found.divergence.state, found.divergence.said) == ("menu", 'the choice "hours"')
    assert found.divergence.then == 'goes to "menu"'
    assert found.divergence.now == 'hands off to "service"'
    assert found.divergence.kind == "other"
    assert found.before == Ending(handed_off=False, left_at="order")
    assert found.after == Ending(handed_off=True, left_at=None)  # that much is known


def test_an_answer_that_nothing_takes_any_more_is_stuck_and_the_rest_unknown() -> None:
    found = verdict(Recording().to(choice("hours"), choice("person")), changed(**{"is-hours": None}))
    assert found.divergence is not None
    assert found.divergence.kind == "stuck"
    assert found.divergence.now == "refused (no_transition)"
    assert found.after is None


def test_what_no_backend_was_asked_is_unknown() -> None:
    new = changed(hours={"service": {"subject": "service.hours", "onError": "person"}, "next": "menu"})
    found = verdict(Recording().to(choice("hours")), new)
    assert found.divergence is not None
    assert found.divergence.kind == "unknown"
    assert 'asks the backend of "hours"' in found.divergence.now


def test_a_timer_that_would_fire_first_is_a_divergence() -> None:
    sooner = {**OLD["menu"], "after": {"delay": "2s", "next": "person"}}
    found = verdict(Recording().to(choice("hours")), changed(menu=sooner))
    assert found.divergence is not None
    assert (found.divergence.said, found.divergence.now) == ("a timer", "a timer fires first")


def test_a_timer_that_is_gone_is_a_divergence() -> None:
    recording = Recording()
    recording.wait(700)
    menu = {name: value for name, value in OLD["menu"].items() if name != "after"}
    found = verdict(recording.entries, changed(menu=menu))
    assert found.divergence is not None
    assert found.divergence.now == "there is no such timer"


def test_the_report_counts_by_state_and_gives_what_nobody_knows_as_a_range() -> None:
    conversations = [Recording().to(choice("hours"), choice("person")) for _ in range(3)]
    conversations += [Recording().to(choice("order")) for _ in range(6)]
    conversations += [Recording().to(choice("person"))]
    found = report(verdict(each, changed(**{"is-hours": None})) for each in conversations)
    assert (found.conversations, found.same, found.diverged, found.stuck) == (10, 7, 3, 3)
    assert (found.handoffs.before, found.handoffs.least, found.handoffs.most) == (0.4, 0.1, 0.4)
    assert (found.left.before, found.left.least) == (0.6, 0.6)
    assert found.states[0].state == "menu"
    assert [(way.said, way.count) for way in found.states[0].ways] == [('the choice "hours"', 3)]
    text = "\n".join(lines(found))
    assert "10 conversations: 7 go as they went, 3 diverge, of them 3 get stuck." in text
    assert "handed off   40.0% -> 10.0% to 40.0%" in text


def test_the_report_holds_no_word_of_a_visitor() -> None:
    recording = Recording()
    entries = recording.to(choice("order"), TextWritten(session="order", text="my secret"))
    found = verdict(entries, changed(got=None))
    assert "secret" not in repr(found)


def test_conditions_that_cannot_be_told_are_reported_then_and_now() -> None:
    def weighing(when: str) -> Flow:
        return changed(
            got={
                "matchResponse": {
                    "kind": "UserText",
                    "sessionId": "order",
                    "save": {"as": "number", "kind": "number"},
                },
                "next": [{"when": when, "next": "person"}, {"next": "done"}],
            }
        )

    def recording(old: Flow) -> list[RecordedEntry]:
        rehearsal = Simulator(old, now=examples.FIRST_TIME)
        rehearsal.begin()
        rehearsal.visitor(choice("order"))
        rehearsal.visitor(TextWritten(session="order", text="12"))
        return rehearsal.entries

    broken, sound = weighing("number > 'heavy'"), weighing("number * 2 > 20.5")
    entries = recording(broken)
    found = report([verdict(entries, broken), verdict(entries, sound), verdict(recording(sound), broken)])
    (untold,) = found.untold
    assert (untold.state, untold.condition, untold.then, untold.now) == ("got", "number > 'heavy'", 2, 2)
    text = lines(found)
    assert "  got: number > 'heavy'" in text
    assert text[text.index("  got: number > 'heavy'") + 1].startswith(
        "         2 -> 2  a value is of the wrong"
    )
    assert lines(report([verdict(recording(sound), sound)]))[-1].startswith("  left early")
