"""Deterministic simulation of the pure core: replicas with stale folds over a log that misbehaves.

Everything that chance decides comes from one seed: visitors and operators append, deliveries come
late, twice and out of order, folds lag behind, replicas crash between any two steps, answers to an
append are lost. After all that the promise must hold. What is real: `evolve`, `respond`, `decode`, the
operators' decisions. What is simulated: the log with its expectation, and the loop around them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from services.operator.domain import decisions
from services.operator.domain.decisions import NotYours, Operator
from shared.contract.conversation import NEW, Conversation, evolve, step
from shared.contract.entry import Entry, RecordedEntry, decode, encode
from shared.contract.facts import (
    BotSaid,
    ChoiceAsked,
    ChoiceMade,
    ConversationClaimed,
    ConversationReset,
    ConversationStarted,
    EditorOpened,
    Fact,
    TextWritten,
)
from shared.flow.decide import Moment, respond
from shared.flow.language.flow import parse
from tests import examples

SEEDS = int(os.environ.get("SWITCHBOARD_SIMULATIONS", "2000"))
FIRST_SEED = int(os.environ.get("SWITCHBOARD_TEST_SEED", "1"))

FLOW = parse(
    b"""{"ask":  {"sendRequest": {"kind": "ChoiceRequest", "groupId": "g", "question": "?",
                  "choices": [{"itemId": 1, "content": "on"}, {"itemId": 2, "content": "person"}]}},
         "on":   {"matchResponse": {"kind": "ChoiceResponse", "groupId": "g", "itemId": 1}, "next": "edit"},
         "edit": {"sendRequest": {"kind": "StartChatSession", "sessionId": "s"}},
         "got":  {"matchResponse": {"kind": "UserText", "sessionId": "s"}, "next": "ask"},
         "call": {"matchResponse": {"kind": "ChoiceResponse", "groupId": "g", "itemId": 2}, "next": "hand"},
         "hand": {"handoff": {"queue": "q"}, "next": "ask"}}""",
    "simulated",
)
OPERATORS = (Operator("ann", "Ann"), Operator("bob", "Bob"))
C = examples.CONVERSATION


class Bugs:
    """What a careless program would do. None of it is on, unless a test plants it."""

    no_expectation = False  # appends whatever came between
    newest_first = False  # answers the latest input, as it is delivered
    acks_first = False  # acknowledges a delivery before its input has an outcome
    holes = False  # folds what it happened to hear, which an expectation does not prove complete


class OneLog:
    """The conversation's log: appends with an expectation, and the ids that the server remembers."""

    def __init__(self, chance: random.Random, bugs: Bugs) -> None:
        self.entries: list[RecordedEntry] = []
        self._ids: dict[str, int] = {}
        self._chance = chance
        self.bugs = bugs

    @property
    def last(self) -> int:
        return len(self.entries)

    def append(self, author: str, entry: Entry, expect: int | None = None) -> int | None:
        """The position; None for a conflict. A known id is answered with the original's position."""
        key = f"{author}:{entry.id}"
        if expect is not None and expect != self.last and not self.bugs.no_expectation:
            return None
        remembered = self._chance.random() < 0.8  # else the duplicate window is over
        if key in self._ids and remembered:
            return self._ids[key]
        position = self.last + 1
        time = examples.FIRST_TIME + position
        self.entries.append(decode(position, C, author, time, encode(entry)))
        self._ids.setdefault(key, position)
        return position


class SimulatedReplica:
    """A program that folds what it has read so far. Reading lags behind, and may stop at any entry."""

    def __init__(self, log: OneLog) -> None:
        self.log = log
        self.state: Conversation = NEW

    def read(self, most: int | None = None) -> None:
        """Fold further, at most so many entries: a fold is a complete prefix, possibly a short one."""
        unread = self.log.entries[self.state.position :]
        for recorded in unread[:most]:
            self.state = self.fold(recorded)

    def fold(self, recorded: RecordedEntry) -> Conversation:
        return evolve(self.state, recorded)

    def crash(self) -> None:
        self.state = NEW


class SimulatedMailbox(SimulatedReplica):
    """The mailbox of `shared.eventlog.worker`, one step at a time."""

    def fold(self, recorded: RecordedEntry) -> Conversation:
        if self.log.bugs.holes and recorded.author == "operator":
            return replace(self.state, position=recorded.position)
        return super().fold(recorded)

    def turn(self, delivered: int, chance: random.Random, bugs: Bugs) -> Iterator[str]:
        """Catch up, decide, append, acknowledge; the caller may stop it (a crash) after each step."""
        self.read(max(0, delivered - self.state.position))  # complete up to the delivery, no further
        if chance.random() < 0.5:
            self.read(chance.randrange(3))
        yield "read"
        if bugs.acks_first:
            yield "ack"
        while self.state.inbox.owes(delivered):
            item = self.state.inbox.unanswered[-1 if bugs.newest_first else 0]
            state = self.state
            entry = respond(state, item, FLOW, Moment(now=examples.FIRST_TIME))
            assert isinstance(entry, Entry)
            yield "decided"
            position = self.log.append("bot", entry, expect=state.position)
            yield "appended"
            if position is None or chance.random() < 0.2:  # a conflict, or the answer was lost
                self.read()
            else:
                self.read(position - self.state.position)
        yield "ack"


class SimulatedWorld:
    """One simulated conversation from a seed."""

    def __init__(self, seed: int, bugs: Bugs) -> None:
        self.chance = random.Random(seed)
        self.bugs = bugs
        self.log = OneLog(self.chance, bugs)
        self.visitor = SimulatedReplica(self.log)
        self.desks = [SimulatedReplica(self.log) for _ in OPERATORS]
        self.workflows = [SimulatedMailbox(self.log) for _ in range(self.chance.choice((1, 2, 3)))]
        self.unacknowledged: set[int] = set()
        self.delivered_up_to = 0
        self.running: list[tuple[int, Iterator[str], SimulatedMailbox]] = []
        self.sent: list[tuple[str, Fact]] = []

    def run(self) -> None:
        """Some hundred random steps, then rest until nothing is in hand."""
        moves = [self.speak, self.speak, self.operate, self.deliver, self.deliver, self.advance]
        for _ in range(self.chance.randrange(20, 120)):
            self.chance.choice([*moves, self.advance, self.advance, self.crash])()
        for desk, who in zip(self.desks, OPERATORS, strict=True):  # nobody stays with a person
            desk.read()
            given = decisions.hand_back(desk.state, who, None)
            if not isinstance(given, NotYours):
                self.log.append("operator", Entry(id=f"end-{who.name}", facts=given), desk.log.last)
        for _ in range(10_000):
            self.deliver(all_of_them=True)
            if not self.running and not self.unacknowledged and self.delivered_up_to == self.log.last:
                return
            self.advance()
        raise AssertionError("it never comes to rest")

    def speak(self) -> None:
        """The visitor sends something, or sends again what it sent before."""
        self.visitor.read(self.chance.randrange(4))
        if not self.log.entries:
            self.log.append("visitor", Entry(id="start", facts=(ConversationStarted(door="web"),)), 0)
            return
        if self.sent and self.chance.random() < 0.3:
            id, fact = self.chance.choice(self.sent[-5:])  # sent again: a lost Ack, another socket
            if f"visitor:{id}" in self.visitor.state.inbox.ids:
                return  # the session knows all ids of its conversation that it has read
        else:
            id, fact = f"v{len(self.sent)}", self.chance.choice(ANSWERS)
            if self.chance.random() < 0.02:
                fact = ConversationReset()
            self.sent.append((id, fact))
        self.log.append("visitor", Entry(id=id, facts=(fact,)))

    def operate(self) -> None:
        """An operator claims, speaks or hands back, on whatever its desk has read."""
        number = self.chance.randrange(len(OPERATORS))
        who, desk = OPERATORS[number], self.desks[number]
        desk.read(self.chance.choice((0, 1, 5, None)))
        state = desk.state
        if not state.visit.started:
            return
        act = self.chance.choice(("claim", "say", "back", "back"))
        if act == "claim":
            decision = decisions.claim(state, who)
        elif act == "say":
            decision = decisions.say(state, who, "hello")
        else:
            decision = decisions.hand_back(state, who, None)
        if decision and not isinstance(decision, NotYours):
            id = f"{who.name}-{self.log.last}-{self.chance.random()}"
            self.log.append("operator", Entry(id=id, facts=decision), expect=state.position)

    def deliver(self, all_of_them: bool = False) -> None:
        """Hand an input to some replica: a new one, or one that was not acknowledged, in any order."""
        while self.delivered_up_to < self.log.last:
            self.delivered_up_to += 1
            if self.log.entries[self.delivered_up_to - 1].author in ("visitor", "operator"):
                self.unacknowledged.add(self.delivered_up_to)
                if not all_of_them:
                    break
        if self.unacknowledged:
            position = self.chance.choice(sorted(self.unacknowledged))
            workflow = self.chance.choice(self.workflows)
            if not any(runs is workflow for _, _, runs in self.running):  # one mailbox for a conversation
                self.running.append((position, workflow.turn(position, self.chance, self.bugs), workflow))

    def advance(self) -> None:
        """One step of one replica. An acknowledgement may be lost."""
        if not self.running:
            return
        number = self.chance.randrange(len(self.running))
        position, turn, _ = self.running[number]
        step_taken = next(turn, None)
        if step_taken == "ack" and self.chance.random() < 0.9:
            self.unacknowledged.discard(position)
        if step_taken is None:
            del self.running[number]

    def crash(self) -> None:
        """kill -9 of a replica in the middle of whatever it does."""
        if self.running and self.chance.random() < 0.5:
            _, _, workflow = self.running.pop(self.chance.randrange(len(self.running)))
            workflow.crash()
        else:
            self.chance.choice(self.desks).crash()


ANSWERS: tuple[Fact, ...] = (
    ChoiceMade(group="g", item=1),
    ChoiceMade(group="g", item=1),
    ChoiceMade(group="g", item=2),
    TextWritten(session="s", text="text"),
    TextWritten(session="s", text="text"),
    TextWritten(session="other", text="stale"),
)


def broken_laws(entries: list[RecordedEntry]) -> list[str]:
    """What the log says against the promise. It looks at the log alone, not at how it came about."""
    wrong: list[str] = []
    state, owner = NEW, ""
    answered: set[int] = set()
    for recorded in entries:
        before = state
        state, effective = step(state, recorded)
        if recorded.author == "bot":
            if not effective:
                wrong.append(f"{recorded.position} of the bot has no effect")
            if recorded.cause in answered:
                wrong.append(f"{recorded.cause} is answered twice")
            answered.add(recorded.cause or 0)
            if before.inbox.unanswered and recorded.cause != before.inbox.unanswered[0].position:
                wrong.append(f"{recorded.cause} is answered before {before.inbox.unanswered[0].position}")
            if owner and any(isinstance(f, BotSaid | ChoiceAsked | EditorOpened) for f in recorded.facts):
                wrong.append(f"the bot speaks at {recorded.position}, {owner} owns")
        for fact in recorded.facts:
            if isinstance(fact, ConversationClaimed):
                if owner:
                    wrong.append(f"claimed at {recorded.position}, {owner} owns")
                owner = fact.operator
            elif type(fact).__name__ in ("ConversationHandedBack", "ConversationReset"):
                owner = ""
    if state.inbox.unanswered:
        wrong.append(f"{[item.position for item in state.inbox.unanswered]} have no outcome")
    return wrong


def failing_seed(seeds: range, bugs: Bugs) -> tuple[int, list[str]] | None:
    """The first seed under which the promise does not hold, and what is wrong."""
    for seed in seeds:
        world = SimulatedWorld(seed, bugs)
        try:
            world.run()
        except AssertionError as error:
            return seed, [str(error)]
        if wrong := broken_laws(world.log.entries):
            return seed, wrong
    return None


def test_the_core_keeps_the_promise_under_every_seed() -> None:
    found = failing_seed(range(FIRST_SEED, FIRST_SEED + SEEDS), Bugs())
    assert found is None, f"SWITCHBOARD_TEST_SEED={found[0]} SWITCHBOARD_SIMULATIONS=1: {found[1]}"


@pytest.mark.parametrize("bug", ["no_expectation", "newest_first", "acks_first", "holes"])
def test_the_simulation_finds_a_planted_bug(bug: str) -> None:
    bugs = Bugs()
    setattr(bugs, bug, True)
    assert failing_seed(range(1, 500), bugs) is not None


def test_a_seed_repeats_its_run() -> None:
    worlds = [SimulatedWorld(7, Bugs()), SimulatedWorld(7, Bugs())]
    for world in worlds:
        world.run()
    assert worlds[0].log.entries == worlds[1].log.entries
    assert len(worlds[0].log.entries) > 5
