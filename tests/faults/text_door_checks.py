"""What clients of the doors for plain text were told, held against the log. A part of the checker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.faults.checker import STORED, Line, Violation, facts_of
from tests.faults.history import Outcome


class HeardText(NamedTuple):
    """A message that a client of a door for plain text was told, and the position it was told with."""

    position: int
    text: str


def to_be_heard(name: str, lines: Iterable[Line]) -> list[HeardText]:
    """All that such a chat is told. Behind the last of it the log may hold what nobody is told."""
    return [
        HeardText(line["position"], text)
        for line in lines
        if line["conversation"] == name
        for fact in facts_of(line)
        if (text := _plainly(fact))
    ]


def heard(name: str, told: list[HeardText], lines: Iterable[Line]) -> list[Violation]:
    """What a Socket.IO chat was told is what the log says, each message once and in order."""
    wanted = to_be_heard(name, lines)
    for index, (want, got) in enumerate(zip(wanted, told, strict=False)):
        if want.position != got.position or _bare(want.text) != _bare(got.text):
            return [Violation("transcript", name, f"message {index} is {got} instead of {want}")]
    if len(wanted) != len(told):
        return [Violation("transcript", name, f"{len(told)} messages were told instead of {len(wanted)}")]
    return []


def session_of(
    name: str,
    messages: list[dict[str, Any]],
    streamed: list[str],
    posted: list[tuple[str, Outcome]],
    lines: Iterable[Line],
) -> list[Violation]:
    """A REST session's messages are what the log says, and what was streamed is among them, in order.

    Of what was ``posted`` each long text is another: it is stored as often as its outcome allows.
    """
    own = [line for line in lines if line["conversation"] == name]
    written = [
        (str(line["position"]), fact["text"])
        for line in own
        for fact in facts_of(line)
        if fact["kind"] == "TextWritten"
    ]
    told = [(each["id"], each["content"]) for each in messages if each["role"] == "user"]
    answers = [each["content"] for each in messages if each["role"] == "assistant"]
    said = _bare(" ".join(_plainly(fact) for line in own for fact in facts_of(line)))
    violations = []
    if told != written:
        violations.append(Violation("transcript", name, f"the user said {told} instead of {written}"))
    if _bare(" ".join(answers)) != said:
        violations.append(Violation("transcript", name, f"the answers are {answers} instead of {said!r}"))
    for text, outcome in posted:
        times = sum(text == other for _, other in written)
        least, most = STORED[outcome]
        if len(text) > 1 and not least <= times <= most:
            detail = f"{text!r} was posted, ended {outcome}, and is stored {times} times"
            violations.append(Violation("acknowledged" if times < least else "refused", name, detail))
    following = iter(answers)
    if lost := [text for text in streamed if text not in following]:
        violations.append(Violation("transcript", name, f"{lost} was streamed, and is no answer"))
    return violations


def _plainly(fact: dict[str, Any]) -> str:
    """What a door for plain text says of a fact whose texts hold no HTML; "" for nothing."""
    match fact["kind"]:
        case "BotSaid" | "AssistantSaid" | "OperatorSaid":
            return str(fact["text"])
        case "EditorOpened":
            return str(fact.get("text") or fact.get("prompt") or "")
        case "ChoiceAsked":
            choices = (f"{number}. {each['text']}" for number, each in enumerate(fact["choices"], 1))
            return "\n".join([str(fact["question"]), *choices])
        case _:
            return ""


def _bare(text: str) -> str:
    """The words, whatever stands between them."""
    return " ".join(text.split())
