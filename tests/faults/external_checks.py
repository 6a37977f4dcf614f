"""What was seen outside of the log, held against the log: backends, the assistant's provider, drafts.

A part of the checker, and like it without any code of the services.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tests.faults.checker import Line, Violation, facts_of


class Break(NamedTuple):
    """Something was killed, cut or frozen from ``begun`` until all went on (seconds since 1970)."""

    begun: float
    ended: float


class Call(NamedTuple):
    """A backend was asked at ``time`` (seconds since 1970). ``number`` is its answer, None: it failed."""

    key: str
    time: float
    number: int | None


class StreamedAnswer(NamedTuple):
    """What the provider streamed for one request; ``whole``: to its end."""

    asked: str
    text: str
    whole: bool


class Piece(NamedTuple):
    """A draft: some words of an attempt, or its ``end``."""

    conversation: str
    cause: int
    attempt: int
    offset: int
    text: str
    end: str


def asked_once(lines: Iterable[Line], calls: Iterable[Call], breaks: Iterable[Break]) -> list[Violation]:
    """A backend is asked once for an input and a state, and once more at most for each break meanwhile.

    Its answer is on the log at most once, and is one that it gave.
    """
    violations: list[Violation] = []
    called: dict[str, list[Call]] = {}
    for call in calls:
        called.setdefault(call.key, []).append(call)
    answered: dict[str, float] = {}
    inputs = set()
    for line in lines:
        name = line["conversation"]
        inputs.add((name, line["position"]))
        for fact in facts_of(line):
            if fact["kind"] != "ServiceAnswered":
                continue
            key = f"{name}:{fact['cause']}:{fact['state']}"
            if key in answered:
                violations.append(Violation("backends", name, f"{key} is answered twice"))
            answered[key] = line["time"]
            given = [call.number for call in called.get(key, [])]
            if fact.get("failure"):
                true = fact["failure"] != "status_503" or None in given
            else:
                true = isinstance(fact.get("value"), dict) and fact["value"].get("number") in given
            if not true:
                detail = f"{key} is {fact.get('value', fact.get('failure'))}, the backend answered {given}"
                violations.append(Violation("backends", name, detail))
    spans = list(breaks)
    for key, same in called.items():
        name, position, _ = [*key.split(":", 2), "", ""][:3]
        if not position.isdecimal() or (name, int(position)) not in inputs:
            violations.append(Violation("backends", name, f"asked for {key!r}, which is no input"))
        end = max(answered.get(key, 0.0), same[-1].time)
        allowed = 1 + sum(span.begun <= end and span.ended >= same[0].time for span in spans)
        if len(same) > allowed:
            violations.append(Violation("backends", name, f"{key} was asked {len(same)} times of {allowed}"))
    return violations


def as_streamed(
    lines: Iterable[Line], streams: Iterable[StreamedAnswer], pieces: Iterable[Piece], breaks: Iterable[Break]
) -> list[Violation]:
    """What the assistant said is what its provider streamed for that input, whole, and what the drafts said.

    Attempts only grow. Drafts may lack something only around a break of the server.
    """
    provided = {stream.text: stream for stream in streams}
    drafts: dict[tuple[str, int, int], list[Piece]] = {}
    for piece in pieces:
        drafts.setdefault((piece.conversation, piece.cause, piece.attempt), []).append(piece)
    spans = list(breaks)
    texts: dict[tuple[str, int], str] = {}
    begun: dict[tuple[str, int], tuple[int, float]] = {}  # the newest attempt at each input, and when
    started: set[tuple[str, int, int]] = set()
    answered: set[tuple[str, int]] = set()
    used: set[str] = set()
    violations: list[Violation] = []

    def wrong(law: str, name: str, detail: str) -> None:
        violations.append(Violation(law, name, detail))

    for line in lines:
        name, position, cause = line["conversation"], line["position"], line["entry"].get("cause")
        input = (name, cause)
        for fact in facts_of(line):
            match fact["kind"]:
                case "TextWritten":
                    texts[name, position] = fact["text"]
                case "AnswerStarted":
                    at, attempt = (name, fact["cause"]), fact["attempt"]
                    if attempt <= begun.get(at, (0, 0.0))[0] or at in answered:
                        wrong("attempts", name, f"attempt {attempt} at {at[1]} begins at {position}")
                    begun[at] = attempt, line["time"]
                    started.add((*at, attempt))
                case "AssistantSaid":
                    attempt, since = begun.get(input, (0, 0.0))
                    if fact.get("attempt") != attempt:
                        said = fact.get("attempt")
                        detail = f"{position} says attempt {said} at {cause}, the newest is {attempt}"
                        wrong("attempts", name, detail)
                    stream = provided.get(fact["text"])
                    if stream is None or not stream.whole:
                        wrong("streamed", name, f"{position}: {fact['text']!r} was not streamed whole")
                    elif not stream.asked.endswith(texts.get(input, "\0")):
                        wrong("streamed", name, f"{position} answers {cause} with what {stream.asked!r} got")
                    if fact["text"] in used:
                        wrong("streamed", name, f"{position}: {fact['text']!r} is said twice")
                    used.add(fact["text"])
                    whole = not any(b.begun <= line["time"] and b.ended >= since for b in spans)
                    if detail := _unlike(fact["text"], drafts.get((name, cause, attempt), []), whole):
                        wrong("drafts", name, f"{position}: {detail}")
                case _:
                    pass
        if line["author"] == "bot" and cause is not None:
            answered.add(input)
    for name, cause, attempt in drafts.keys() - started:
        wrong("drafts", name, f"attempt {attempt} at {cause} is not on the log")
    return violations


def _unlike(text: str, pieces: list[Piece], whole: bool) -> str:
    """How the drafts differ from the text, "" if they do not."""
    said = [False] * len(text)
    for piece in pieces:
        end = piece.offset + len(piece.text)
        if text[piece.offset : end] != piece.text:
            return f"the draft at {piece.offset} is {piece.text!r}"
        if piece.end not in ("", "committed"):
            return f"its drafts ended {piece.end}"
        said[piece.offset : end] = [True] * len(piece.text)
    if whole and not all(said):
        return f"{said.count(False)} characters were in no draft"
    return ""


def waited(lines: Iterable[Line]) -> list[float]:
    """From each input that the assistant answered to its answer (seconds)."""
    times: dict[int, float] = {}
    seconds: list[float] = []
    for line in lines:
        times[line["position"]] = line["time"]
        if any(fact["kind"] == "AssistantSaid" for fact in facts_of(line)):
            seconds.append(line["time"] - times.get(line["entry"].get("cause") or 0, line["time"]))
    return seconds
