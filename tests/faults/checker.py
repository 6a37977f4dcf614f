"""Hold a log and its clients' transcripts against the promise. A program of its own::

    python -m tests.faults.checker LOG.jsonl TRANSCRIPT.json ...

It shares no code with the services: its own small reading of the facts, straight from the JSON, so
that a mistake in the product's fold is not made here again.

The laws: an acknowledged message is in the log exactly once; each visitor message has exactly one
outcome; outcomes come in the order of the messages; no bot text while an operator owns; each
client's transcript is what the log says, in its order, without gap or repeat.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

#: One line of the log: {"position", "conversation", "author", "entry": {...}}.
Line = dict[str, Any]

SPOKEN = {"BotSaid", "ChoiceAsked", "EditorOpened", "EditorClosed"}
INPUTS = {"TextWritten", "ChoiceMade", "ConversationStarted", "ConversationReset"}


class Violation(NamedTuple):
    """A broken law, where, and how."""

    law: str
    conversation: str
    detail: str

    def __str__(self) -> str:
        return f"{self.law}: conversation {self.conversation}: {self.detail}"


class Transcript(NamedTuple):
    """What one client of ``switchboard.v1`` saw: its frames, and the ids it holds acknowledged.

    ``whole`` is a later replay of the conversation to a client that knew nothing.
    """

    conversation: str
    frames: list[dict[str, Any]]
    acknowledged: list[str]
    whole: list[dict[str, Any]]


def check(lines: Iterable[Line], transcripts: Iterable[Transcript]) -> list[Violation]:
    """Every violation found, in the order of the conversations."""
    conversations: dict[str, list[Line]] = {}
    violations: list[Violation] = []
    last = 0
    for line in lines:
        if line["position"] <= last:
            violations.append(Violation("order", line["conversation"], f"position {line['position']} twice"))
        last = line["position"]
        conversations.setdefault(line["conversation"], []).append(line)
    for name, own in conversations.items():
        violations += _outcomes(name, own)
    for transcript in transcripts:
        own = conversations.get(transcript.conversation, [])
        violations += _acknowledged(transcript, own)
        violations += _told(transcript.conversation, "what was streamed", transcript.frames, own)
        violations += _told(transcript.conversation, "what was replayed", transcript.whole, own)
    return violations


def _facts(line: Line) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = line["entry"].get("facts", [])
    return found


def _outcomes(name: str, lines: list[Line]) -> list[Violation]:
    """Exactly one outcome for each message, in order; none of the bot's while a person owns."""
    waiting: list[int] = []
    answered: dict[int, int] = {}
    ids: set[tuple[str, str]] = set()
    owner = "bot"
    violations: list[Violation] = []
    for line in lines:
        position, author, entry = line["position"], line["author"], line["entry"]
        key = (author, str(entry.get("id")))
        if key in ids:
            violations.append(Violation("once", name, f"{author}'s id {key[1]} is stored twice"))
        ids.add(key)
        cause = entry.get("cause")
        if author == "bot" and cause is not None:
            if cause in answered:
                violations.append(
                    Violation(
                        "one outcome", name, f"{cause} is answered at {answered[cause]} and at {position}"
                    )
                )
            elif cause not in waiting:
                violations.append(
                    Violation("one outcome", name, f"{position} answers {cause}, which waits for none")
                )
            elif cause != waiting[0]:
                violations.append(Violation("order", name, f"{cause} is answered before {waiting[0]}"))
            answered[cause] = position
            waiting = [other for other in waiting if other != cause]
        for fact in _facts(line):
            kind = fact["kind"]
            if author == "bot" and owner != "bot" and kind in SPOKEN:
                violations.append(
                    Violation("one speaker", name, f"the bot speaks at {position}, owned by {owner}")
                )
            if kind == "ConversationReset":
                owner, waiting = "bot", [position]
            elif kind in INPUTS and owner == "bot":
                waiting.append(position)
            elif kind == "HandoffRequested":
                owner, waiting = "queue", []
            elif kind == "ConversationClaimed":
                if owner == "operator":
                    violations.append(Violation("one owner", name, f"claimed at {position}, owned already"))
                owner, waiting = "operator", []
            elif kind == "ConversationHandedBack":
                owner = "bot"
                waiting.append(position)
            elif kind == "ConversationResolved":
                owner = "bot"
    violations += [Violation("one outcome", name, f"{position} has no outcome") for position in waiting]
    return violations


def _acknowledged(transcript: Transcript, lines: list[Line]) -> list[Violation]:
    stored = [line["entry"].get("id") for line in lines if line["author"] == "visitor"]
    return [
        Violation(
            "acknowledged",
            transcript.conversation,
            f"{id} was acknowledged and is stored {stored.count(id)} times",
        )
        for id in transcript.acknowledged
        if stored.count(id) != 1
    ]


def _told(name: str, what: str, frames: list[dict[str, Any]], lines: list[Line]) -> list[Violation]:
    """The frames that were told are those of the log, in order, none twice, none missing."""
    wanted = [seen for line in lines for seen in _expected(line, _refused(lines))]
    told = [_seen(frame) for frame in frames]
    told = [seen for seen in told if seen[0] not in _refused(lines)]
    for index, (want, got) in enumerate(zip(wanted, told, strict=False)):
        if want != got:
            return [
                Violation("transcript", name, f"{what} differs at frame {index}: {got} instead of {want}")
            ]
    if len(wanted) != len(told):
        return [Violation("transcript", name, f"{what} has {len(told)} frames instead of {len(wanted)}")]
    return []


def _refused(lines: list[Line]) -> set[int]:
    return {
        line["entry"]["cause"]
        for line in lines
        for fact in _facts(line)
        if fact["kind"] in ("InputRefused", "DecisionFailed") and line["entry"].get("cause")
    }


def _expected(line: Line, refused: set[int]) -> list[tuple[int, str]]:
    """Position and words of each frame that this entry becomes."""
    position = line["position"]
    if position in refused:
        return []
    seen = []
    for fact in _facts(line):
        match fact["kind"]:
            case "BotSaid" | "TextWritten" | "OperatorSaid":
                seen.append((position, _words(fact["text"])))
            case "ChoiceAsked":
                seen.append((position, f"?{fact['group']}"))
            case "EditorOpened":
                seen.append((position, f"+{fact['session']}"))
            case "EditorClosed":
                seen.append((position, f"-{fact['session']}"))
            case "ChoiceMade":
                seen.append((position, f"!{fact['group']}/{fact['item']}"))
            case "ConversationClaimed":
                seen.append((position, "joined"))
            case "ConversationHandedBack" | "ConversationResolved":
                seen.append((position, "left"))
            case _:
                pass
    # What the visitor said comes to its own socket as an Ack: only the place can be compared.
    return [(position, "")] if line["author"] == "visitor" and seen else seen


def _seen(frame: dict[str, Any]) -> tuple[int, str]:
    position = _position(frame["cursor"])
    match frame["kind"]:
        case "Ack" | "UserText" | "ChoiceResponse":
            return position, ""
        case "BotText" | "OperatorText":
            return position, _words(frame["content"])
        case "ChoiceRequest":
            return position, f"?{frame['groupId']}"
        case "StartChatSession":
            return position, f"+{frame['sessionId']}"
        case "EndChatSession":
            return position, f"-{frame['sessionId']}"
        case "OperatorJoined":
            return position, "joined"
        case "OperatorLeft":
            return position, "left"
        case kind:
            return position, kind


def _words(text: str) -> str:
    """The text without its tags: HTML is cleaned at the door, so only the words are comparable."""
    return re.sub(r"<[^>]*>", "", text)


def _position(cursor: str) -> int:
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    return int(json.loads(raw)[1])


def main(paths: list[str]) -> int:
    """Read the files, print what is wrong; the number of violations is the exit code (at most 100)."""
    lines = [json.loads(line) for line in Path(paths[0]).read_text().splitlines()]
    transcripts = [Transcript(**json.loads(Path(path).read_text())) for path in paths[1:]]
    violations = check(lines, transcripts)
    for violation in violations:
        print(violation)
    print(f"{len(lines)} entries, {len(transcripts)} transcripts, {len(violations)} violations")
    return min(len(violations), 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
