"""From turns to the events of a stream, and where a client stands in them.

Pure: what is told depends on the turns and the place alone, so a stream that is opened before, during
or after an answer, or resumed at any replica, tells the same. Events are cut at places that depend on
the text alone, never on how the words came in.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from services.proxy.domain.turns import RestTurn, Turns
from shared.contract import cursor as cursors
from shared.contract.cursor import Cursor

Kind = Literal["token", "message_end", "commit_done", "error"]

#: A word is cut here: some languages, and some people, write no spaces.
MAX_WORD: Final = 24
#: A word with the space before it.
_WORD: Final = re.compile(rf"\s*\S{{1,{MAX_WORD}}}")
_ID: Final = re.compile(r"([A-Za-z0-9_-]{1,200})\.([0-9]{1,18})\.([0-9]{1,9})\.([012])", re.ASCII)


class StreamPlace(NamedTuple):
    """How far a client has been told.

    ``turn`` and ``time`` name the turn, ``attempt`` whose words the client has of it, ``offset`` how
    many characters. ``step``: 0 while there may be more, 1 when the text is whole, 2 when all is told.
    """

    turn: int
    time: int
    attempt: int = 0
    offset: int = 0
    step: int = 0


class SseEvent(NamedTuple):
    """``place`` is where the client stands once it has this."""

    kind: Kind
    data: str
    place: StreamPlace


def place_of(id: str, epoch: str, turns: Turns) -> StreamPlace | None:
    """Where a client with this ``Last-Event-ID`` stands; None where it is not of this conversation.

    An id names the turn as a cursor does, then the attempt, the offset and the step.
    """
    parts = _ID.fullmatch(id)
    cursor = cursors.decode(parts[1]) if parts else None
    if parts is None or cursor is None or cursor.epoch != epoch:
        return None
    if turns.find(cursor.position, cursor.time) is None:
        return None
    return StreamPlace(cursor.position, cursor.time, int(parts[2]), int(parts[3]), int(parts[4]))


def encode(events: list[SseEvent], epoch: str) -> bytes:
    """The events as a browser's EventSource reads them (WHATWG HTML, section 9.2)."""
    frames: list[str] = []
    turn, prefix = 0, ""
    for event in events:
        place = event.place
        if place.turn != turn:  # many events, one turn
            turn = place.turn
            prefix = cursors.encode(Cursor(epoch, place.turn, place.time, 0))
        id = f"{prefix}.{place.attempt}.{place.offset}.{place.step}"
        # Each line of the text is a data line of its own. An event without one would be dropped.
        data = event.data.replace("\n", "\ndata: ") if "\n" in event.data else event.data
        frames.append(f"id: {id}\nevent: {event.kind}\ndata: {data}\n\n")
    return "".join(frames).encode()


def newest(turns: Turns) -> StreamPlace:
    """Before the first event of the newest turn."""
    return StreamPlace(*turns.latest)


def tell(turns: Turns, place: StreamPlace, session: str) -> tuple[list[SseEvent], StreamPlace]:
    """What follows ``place``, as far as it is known now. ``session`` is the data of ``commit_done``."""
    events, place, _ = part(turns, place, session, sys.maxsize)
    return events, place


def part(
    turns: Turns, place: StreamPlace, session: str, most: int
) -> tuple[list[SseEvent], StreamPlace, bool]:
    """The same in parts: with ``most`` events none of a further turn. And whether there are more turns."""
    events: list[SseEvent] = []
    for turn in turns.since(place.turn):
        if turn.position != place.turn:
            if len(events) >= most:
                return events, place, True
            place = StreamPlace(turn.position, turn.time)
        if place.step < 2:
            place = _tell(turns, turn, place, session, events)
    return events, place, False


def _tell(
    turns: Turns, turn: RestTurn, place: StreamPlace, session: str, events: list[SseEvent]
) -> StreamPlace:
    def add(kind: Kind, data: str, at: StreamPlace) -> StreamPlace:
        events.append(SseEvent(kind, data, at))
        return at

    text = turns.text(turn)
    if place.step == 0:
        fails = turn.over and not turn.answered and (turn.failure or turn.refusal)
        if place.offset and not fails and turns.attempt(turn, place.offset) != place.attempt:
            # What the client has of this answer was never said: the whole of it follows.
            place = add("error", turns.interruption, StreamPlace(turn.position, turn.time))
        for end, attempt in _ends(turns, turn, text, place.offset):
            token = text[place.offset : end]
            place = add("token", token, StreamPlace(turn.position, turn.time, attempt, end))
        if not turn.over:
            return place
        if turn.answered:
            place = add("message_end", "", place._replace(step=1))
    done = place._replace(step=2) if turn.answered else StreamPlace(turn.position, turn.time, step=2)
    if turn.failure or (turn.refusal and not turn.answered):
        return add("error", turn.failure or turn.refusal, done)
    return add("commit_done", session, done) if turn.answered else done


def _ends(turns: Turns, turn: RestTurn, text: str, start: int) -> Iterator[tuple[int, int]]:
    """Where the tokens behind ``start`` end, and whose attempt they are, as far as they are certain.

    What the assistant says is cut into words, since it comes in pieces; all else is told as it was said.
    """
    told = bisect_right(turn.parts, start, key=lambda part: part.end)
    for end, attempt in turn.parts[told:]:
        if attempt:
            for word in _WORD.finditer(text, start, end):
                start = word.end()
                yield start, attempt
        if start < end:  # white space at the end
            start = end
            yield end, attempt
    generating = turns.state.answer.generating
    if generating is None or turn.over:
        return
    for word in _WORD.finditer(text, start):
        # More of a word that stands at the end may be on its way.
        if word.end() < len(text) or len(word[0].lstrip()) == MAX_WORD:
            yield word.end(), generating.position
