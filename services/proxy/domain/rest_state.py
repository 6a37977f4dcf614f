"""The state that a session is in, as clients of the REST door know it, and which moves it may make.

Two states pass: ``user_writing`` lasts from a message's receipt to its append and is never on the
log, ``ai_committed`` is the moment in which an answer is stored.
"""

from __future__ import annotations

from typing import Final, Literal

from services.proxy.domain.turns import Turns

State = Literal["idle", "user_writing", "user_committed", "ai_generating", "ai_committed", "error", "timeout"]

#: The allowed moves.
MOVES: Final[dict[State, frozenset[State]]] = {
    "idle": frozenset({"user_writing", "timeout"}),
    "user_writing": frozenset({"user_committed", "error"}),
    "user_committed": frozenset({"ai_generating", "error"}),
    "ai_generating": frozenset({"ai_committed", "error"}),
    "ai_committed": frozenset({"idle"}),
    "error": frozenset({"idle"}),
    "timeout": frozenset({"idle"}),
}

#: How an answer that is stored in one piece ends a turn.
_ANSWERED: Final[tuple[State, ...]] = ("ai_generating", "ai_committed", "idle")

#: The states passed through in between, where one entry of the log leads further than one move.
PASSED: Final[dict[tuple[State, State], tuple[State, ...]]] = {
    ("idle", "user_committed"): ("user_writing",),
    ("user_committed", "idle"): ("ai_generating", "ai_committed"),
    ("user_committed", "timeout"): _ANSWERED,
    ("ai_generating", "idle"): ("ai_committed",),
    ("ai_generating", "user_committed"): ("ai_committed", "idle", "user_writing"),
    ("ai_generating", "timeout"): ("ai_committed", "idle"),
    ("error", "user_committed"): ("idle", "user_writing"),
    ("error", "timeout"): ("idle",),
    ("timeout", "user_committed"): ("idle", "user_writing"),
}


def state_of(turns: Turns, writing: bool = False, stuck: bool = False) -> State:
    """Where the session stands.

    ``writing``: a message has come in that is not stored yet. ``stuck``: the answer is overdue, though
    nothing on the log says that it failed.
    """
    if turns.owed and not stuck:
        generating = turns.state.answer.generating
        if generating is not None and not turns.owed_by_visitor(generating.cause):
            return "user_committed"  # what is being answered is what a timer asked for
        return turns.state.turn
    if writing:
        return "user_writing"
    if turns.failed or turns.owed:
        return "error"
    return "timeout" if turns.state.ownership.ended_by_bot else "idle"


def path(before: State, after: State) -> tuple[State, ...]:
    """Every state entered on the way from one to the other, the last included; none if it stays."""
    return () if before == after else (*PASSED.get((before, after), ()), after)
