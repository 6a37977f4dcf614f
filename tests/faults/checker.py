"""Hold a log and its clients' transcripts against the promise. A program of its own::

    python -m tests.faults.checker LOG.jsonl TRANSCRIPT.json ...

It shares no code with the services: its own small reading of the facts, straight from the JSON, so
that a mistake in the product's fold is not made here again.

The laws of a log: an acknowledged message is in it exactly once, a refused one not at all, an unknown
one at most once; each visitor message has exactly one outcome; outcomes come in the order of the
messages; one owner at a time, and no bot text while an operator owns; a timer takes effect once, in
time, or means nothing; each client's transcript is what the log says, in its order, without gap or
repeat. What was heard from outside (backends, the assistant) is judged in `witnesses`, what clients of
plain text were told in `plainly`.

The laws of a restart: what was folded anew equals what was folded live, and folding writes nothing.
The laws of a process: its memory stays bounded, and it serves again within the time stated.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.history import Deed, Outcome
from tests.faults.timer_checks import Armed

#: One line of the log: {"stream", "position" (there), "conversation", "author", "time" (seconds),
#: "entry": {...}}. A line without "stream" is of the first.
Line = dict[str, Any]

SPOKEN = {"BotSaid", "AssistantSaid", "ChoiceAsked", "EditorOpened", "EditorClosed"}
#: What the bot notes for itself, or says about its own work.
NOTED = {
    *("FlowStarted", "FlowAdvanced", "FlowMigrated", "AskedAgain", "ServiceAnswered", "AnswerStarted"),
    *("ConditionUntold", "QueueChecked"),
    *("AnswerFailed", "HandoffRequested", "HandoffWithdrawn", "TimerArmed", "TimerFired"),
    *("ConversationEnded", "InputRefused", "DecisionFailed"),
}
INPUTS = {"TextWritten", "ChoiceMade", "ConversationStarted", "ConversationReset"}
#: What only the operator who owns the conversation may do.
OWNERS_ONLY = {"OperatorSaid", "ConversationHandedBack", "ConversationTransferred", "ConversationResolved"}
#: Who may write the facts that the laws are about; from anybody else they count for nothing.
AUTHORS = {
    **dict.fromkeys(INPUTS, "visitor"),
    **dict.fromkeys(SPOKEN | NOTED, "bot"),
    **dict.fromkeys(("ConversationClaimed", *sorted(OWNERS_ONLY)), "operator"),
}
NO_OUTCOME = "has no outcome"
#: The contract level of the programs under test: above it they may not decide.
LEVEL = 6
#: What an operator's deed leaves on the log.
LEAVES = {
    "claim": "ConversationClaimed",
    "handback": "ConversationHandedBack",
    "resolve": "ConversationResolved",
}
#: Whose subject an operator's deed is on, where that is not the operator's.
WRITES_AS = {"note": "desk"}
#: How often a message may be on the log (at least, at most), by what its client was told.
STORED: dict[Outcome, tuple[int, int]] = {"ok": (1, 1), "fail": (0, 0), "unknown": (0, 1)}
#: How late a timer may be where a scenario says nothing else (seconds): some leases.
LATE = 30.0


class Violation(NamedTuple):
    """A broken law, where, and how."""

    law: str
    conversation: str
    detail: str

    def __str__(self) -> str:
        return f"{self.law}: conversation {self.conversation}: {self.detail}"


class ClientTranscript(NamedTuple):
    """What one client of ``switchboard.v1`` saw: its frames, and the ids it holds acknowledged.

    ``whole`` is a later replay of the conversation to a client that knew nothing.
    """

    conversation: str
    frames: list[dict[str, Any]]
    acknowledged: list[str]
    whole: list[dict[str, Any]]


def check(
    lines: Iterable[Line],
    transcripts: Iterable[ClientTranscript],
    deeds: Iterable[Deed] = (),
    now: float = 0.0,
    late: float = LATE,
) -> list[Violation]:
    """Every violation found, in the order of the conversations.

    ``now`` is when the log was read (seconds since 1970): a timer that was due more than ``late`` before
    that was lost. 0.0 asks of no timer that is still armed.
    """
    conversations: dict[str, list[Line]] = {}
    violations: list[Violation] = []
    last: dict[int, int] = {}
    for line in lines:
        stream = line.get("stream", 0)
        if line["position"] <= last.get(stream, 0):
            violations.append(Violation("order", line["conversation"], f"position {line['position']} twice"))
        last[stream] = line["position"]
        conversations.setdefault(line["conversation"], []).append(line)
    for name, own in conversations.items():
        violations += _outcomes(name, own, now, late)
    for transcript in transcripts:
        own = conversations.get(transcript.conversation, [])
        violations += _acknowledged(transcript, own)
        violations += _told(transcript.conversation, "what was streamed", transcript.frames, own)
        violations += _told(transcript.conversation, "what was replayed", transcript.whole, own)
    return violations + _deeds(conversations, deeds)


def unanswered(lines: Iterable[Line]) -> int:
    """How many messages have no outcome yet. While work goes on that is no violation."""
    return sum(violation.detail.endswith(NO_OUTCOME) for violation in check(lines, []))


def same_state(what: str, live: Any, replayed: Any) -> list[Violation]:
    """What was folded anew from the log equals what was folded while it happened."""
    if live == replayed:
        return []
    if isinstance(live, dict) and isinstance(replayed, dict):
        return [
            violation
            for key in sorted({*live, *replayed}, key=str)
            for violation in same_state(f"{what}.{key}", live.get(key), replayed.get(key))
        ]
    return [Violation("replay", "", f"{what} was {live!r} and is {replayed!r} after the replay")]


def silent(before: int, after: int) -> list[Violation]:
    """Replaying wrote nothing: the log ends where it ended."""
    return [] if before == after else [Violation("silent", "", f"the log went from {before} to {after}")]


def bounded(process: str, before: float, peak: float, growth: float) -> list[Violation]:
    """The process's memory (MiB) grew by no more than ``growth``."""
    if peak - before <= growth:
        return []
    return [
        Violation("memory", "", f"{process} grew from {before:.0f} to {peak:.0f} MiB, allowed {growth:.0f}")
    ]


def in_time(what: str, seconds: float, most: float) -> list[Violation]:
    """What was to happen within ``most`` seconds did."""
    return (
        [] if seconds <= most else [Violation("time", "", f"{what}: {seconds:.1f} s, allowed {most:.1f} s")]
    )


def _deeds(conversations: dict[str, list[Line]], deeds: Iterable[Deed]) -> list[Violation]:
    """Done means stored exactly once, not done means not stored, unknown means at most once."""
    violations: list[Violation] = []
    unnamed: dict[tuple[str, str, str], list[Deed]] = {}
    stored: dict[tuple[str, str, str], int] = {}
    for name, lines in conversations.items():
        for line in lines:
            key = name, line["author"], str(line["entry"].get("id"))
            stored[key] = stored.get(key, 0) + 1
    for deed in deeds:
        if not deed.id:
            if deed.action in LEAVES:
                unnamed.setdefault((deed.conversation, deed.who, deed.action), []).append(deed)
            continue
        author = "visitor" if deed.who == "visitor" else WRITES_AS.get(deed.action, "operator")
        times = stored.get((deed.conversation, author, deed.id), 0)
        least, most = STORED[deed.outcome]
        if not least <= times <= most:
            law = {"ok": "acknowledged", "fail": "refused", "unknown": "unknown"}[deed.outcome]
            detail = f"{deed.action} {deed.id} of {deed.who} ended {deed.outcome}, is stored {times} times"
            violations.append(Violation(law, deed.conversation, detail))
    for (name, who, action), same in unnamed.items():
        times = sum(
            fact["kind"] == LEAVES[action] and fact.get("operator") == who
            for line in conversations.get(name, [])
            for fact in facts_of(line)
        )
        done = sum(deed.outcome == "ok" for deed in same)
        open_ended = sum(deed.outcome == "unknown" for deed in same)
        # A claim asked again by the one who has the conversation is ok and stores nothing.
        least = min(done, 1) if action == "claim" else done
        if not least <= times <= done + open_ended:
            detail = f"{action} of {who}: {done} ok, {open_ended} unknown, stored {times} times"
            violations.append(Violation("acknowledged" if times < least else "refused", name, detail))
    return violations


def facts_of(line: Line) -> list[dict[str, Any]]:
    """The facts that the laws are about, whole, and whose author may write them."""
    found = line["entry"].get("facts")
    return [
        fact
        for fact in (found if isinstance(found, list) else ())
        if isinstance(fact, dict)
        and AUTHORS.get(str(fact.get("kind"))) == line["author"]
        and all(isinstance(fact.get(field, ""), str) for field in ("text", "id", "at"))
    ]


def _outcomes(name: str, lines: list[Line], now: float, late: float) -> list[Violation]:
    """Exactly one outcome for each message and timer, in order; none of the bot's while a person owns."""
    waiting: list[int] = []
    armed = Armed(late)
    fired: set[int] = set()
    answered: dict[int, int] = {}
    ids: set[tuple[str, str]] = set()
    owner, needs, holder = "bot", 1, ""
    violations: list[Violation] = []
    for line in lines:
        position, author, entry = line["position"], line["author"], line["entry"]
        key = (author, str(entry.get("id")))
        if entry.get("id") and key in ids:
            violations.append(Violation("once", name, f"{author}'s id {key[1]} is stored twice"))
        ids.add(key)
        if author == "desk":  # it is no part of the conversation, and asks nothing of who decides in it
            continue
        cause = entry.get("cause")
        if author == "bot" and needs > LEVEL:
            violations.append(Violation("level", name, f"the bot decided at {position}, which needs {needs}"))
        needs = max(needs, entry.get("needs", 1))
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
            armed.outcome(line["time"])
        # While a visitor waits for a person the bot speaks of nothing but the waiting.
        silent = owner == "operator" or (owner == "queue" and cause not in fired)
        for fact in facts_of(line):
            kind = fact["kind"]
            if kind == "HandoffRequested" or owner == "bot":
                silent = False
            if silent and kind in SPOKEN:
                violations.append(
                    Violation("one speaker", name, f"the bot speaks at {position}, owned by {owner}")
                )
            if armed.take(fact, line["time"]):
                fired.add(position)
                waiting.append(position)
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
            elif kind == "ConversationTransferred":
                owner = "operator" if fact.get("to") else "queue"
            elif kind == "ConversationHandedBack":
                owner = "bot"
                waiting.append(position)
            elif kind == "ConversationResolved" and fact.get("unjoined"):
                if owner == "operator":
                    detail = f"resolved without joining at {position}, owned by {holder}"
                    violations.append(Violation("one owner", name, detail))
                owner, waiting = "bot", []
            elif kind in ("ConversationResolved", "ConversationEnded", "HandoffWithdrawn"):
                owner = "bot"
            if kind in OWNERS_ONLY and not fact.get("unjoined") and holder != fact.get("operator"):
                detail = f"{fact.get('operator')} acts at {position}, {holder or 'nobody'} owns"
                violations.append(Violation("one owner", name, detail))
            holder = _holder(holder, fact)
    if needs <= LEVEL:  # else a newer program will decide
        violations += [Violation("one outcome", name, f"{position} {NO_OUTCOME}") for position in waiting]
        armed.end(now)
    return violations + [Violation("timers", name, detail) for detail in armed.faults]


def clocks(lines: Iterable[Line]) -> list[Armed]:
    """The timers of each conversation, as they are at the end of the log."""
    found: dict[str, Armed] = {}
    for line in lines:
        armed = found.setdefault(line["conversation"], Armed(LATE))
        if line["author"] == "bot" and line["entry"].get("cause") is not None:
            armed.outcome(line["time"])
        for fact in facts_of(line):
            armed.take(fact, line["time"])
    return list(found.values())


def _holder(holder: str, fact: dict[str, Any]) -> str:
    """The operator who owns the conversation after this fact, "" for none."""
    match fact["kind"]:
        case "ConversationClaimed":
            return str(fact.get("operator"))
        case "ConversationTransferred":
            return str(fact.get("to") or "")
        case "ConversationHandedBack" | "ConversationResolved" | "ConversationReset" | "ConversationEnded":
            return ""
        case _:
            return holder


def _acknowledged(transcript: ClientTranscript, lines: list[Line]) -> list[Violation]:
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
    begins = [
        line["position"] for line in lines if any(f["kind"] == "ConversationReset" for f in facts_of(line))
    ]
    left_out = _refused(lines) | set(begins)
    since = begins[-1] if begins else 0
    wanted = [seen for line in lines if line["position"] >= since for seen in _expected(line, left_out)]
    told = [seen for frame in frames if (seen := _seen(frame))[0] not in left_out]
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
        for fact in facts_of(line)
        if fact["kind"] in ("InputRefused", "DecisionFailed") and line["entry"].get("cause")
    }


def _expected(line: Line, refused: set[int]) -> list[tuple[int, str]]:
    """Position and words of each frame that this entry becomes."""
    position = line["position"]
    if position in refused:
        return []
    seen = []
    for fact in facts_of(line):
        match fact["kind"]:
            case "BotSaid" | "AssistantSaid" | "TextWritten" | "OperatorSaid":
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
            case "ConversationTransferred":
                seen.append((position, "joined" if fact.get("to") else "left"))
            case "ConversationHandedBack" | "ConversationResolved":
                seen.append((position, "left"))
            case _:
                pass
    # What the visitor said comes to its own socket as an Ack: only the place can be compared.
    return [(position, "")] if line["author"] == "visitor" and seen else seen


def _seen(frame: dict[str, Any]) -> tuple[int, str]:
    position = position_of(frame["cursor"])
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


def position_of(cursor: str) -> int:
    """The position in a cursor."""
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    return int(json.loads(raw)[1])


def main(paths: list[str]) -> int:
    """Read the files, print what is wrong; the number of violations is the exit code (at most 100)."""
    lines = [json.loads(line) for line in Path(paths[0]).read_text().splitlines()]
    transcripts = [ClientTranscript(**json.loads(Path(path).read_text())) for path in paths[1:]]
    violations = check(lines, transcripts)
    for violation in violations:
        print(violation)
    print(f"{len(lines)} entries, {len(transcripts)} transcripts, {len(violations)} violations")
    return min(len(violations), 100)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
