"""The workflow's folds: the log's clock, and those who watch a conversation."""

from __future__ import annotations

import pytest

from services.workflow import state_cache as module
from services.workflow.state_cache import StateCache
from shared.contract.codec import entry_of
from shared.contract.conversation import Conversation
from shared.contract.entry import Entry, encode
from shared.contract.facts import ConversationStarted, TextWritten
from shared.contract.subjects import conversation_of
from shared.eventlog.messages import StoredMessage

C = conversation_of("a", "web")


def message(position: int, time: int = 1, conversation: str = C, first: bool = False) -> StoredMessage:
    fact = ConversationStarted(door="web") if first else TextWritten(session="s", text="?")
    entry = Entry(id=str(position), facts=(fact,))
    return StoredMessage(position, conversation, "visitor", time, encode(entry), first)


def bring(folds: StateCache, message: StoredMessage) -> None:
    """One more message of the log, as the subscription brings it."""
    if folds.wants(message):
        folds.give(message, entry_of(message))


def test_the_logs_clock_never_goes_back() -> None:
    folds = StateCache()
    for position, time in ((1, 50), (2, 40), (3, 60), (4, 10)):
        bring(folds, message(position, time))
    assert folds.time == 60


def test_who_watches_is_given_each_new_fold_and_no_other_conversations() -> None:
    folds, seen = StateCache(), list[int]()
    with folds.watching(C, lambda state: seen.append(state.position)):
        bring(folds, message(1, first=True))
        bring(folds, message(2, conversation=conversation_of("b", "web"), first=True))
        bring(folds, message(3))
    bring(folds, message(4))
    assert seen == [1, 3]


def test_what_came_by_already_is_not_told_again() -> None:
    folds, seen = StateCache(), list[int]()
    bring(folds, message(1, first=True))
    with folds.watching(C, lambda state: seen.append(state.position)):
        own = message(2)
        bring(folds, own)
        folds.advance(C, entry_of(own))
    assert seen == [2]


def test_when_the_log_was_replaced_who_watches_is_told_that_nothing_is_known() -> None:
    folds, seen = StateCache(), list[Conversation]()
    bring(folds, message(1, first=True))
    with folds.watching(C, seen.append):
        folds.forget()
    assert [state.position for state in seen] == [0]


def test_a_fold_that_is_watched_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    folds, seen = StateCache(), list[int]()
    bring(folds, message(1, first=True))
    with folds.watching(C, lambda state: seen.append(state.position)):
        for number in range(2, 10):
            bring(folds, message(number, conversation=conversation_of(str(number), "web"), first=True))
        bring(folds, message(10))
    assert seen == [10]
