"""What the assistant is asked: its instructions, the conversation so far, its tools; and what that costs.

Pure. Tokens are estimated, since the tokenizers of most models have to be downloaded: a token for every
four bytes of UTF-8. That is right for English, and too many rather than too few for other languages,
where a count of characters would be too low (a Chinese character is about a token, not a quarter).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from shared.contract.html_text import plain

Who = Literal["visitor", "bot", "assistant", "operator"]
Role = Literal["system", "user", "assistant"]

BYTES_PER_TOKEN = 4
#: What a message costs besides its text: its role and its delimiters.
TOKENS_PER_MESSAGE = 4

HANDOFF = "handoff"
GO_TO = "go_to"
#: A longer reason of a handoff is cut (characters).
MAX_ARGUMENT = 500


class PromptLine(NamedTuple):
    """Something that was said. A bot's text is HTML, as its flow has it; all others are plain text."""

    who: Who
    text: str


class ChatMessage(NamedTuple):
    role: Role
    content: str


class Parameter(NamedTuple):
    """A text that a tool takes. With ``choices`` it is one of them, else it may be left out."""

    name: str
    description: str
    choices: tuple[str, ...] = ()


class ToolCall(NamedTuple):
    """What the assistant wants to be done, instead of or after saying something. Checked."""

    name: str
    arguments: dict[str, str]


class BadCall(ValueError):
    """The assistant called a tool that it was not given, or with arguments that the tool does not take."""


class Tool(NamedTuple):
    """Something that the assistant may ask for."""

    name: str
    description: str
    parameters: tuple[Parameter, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """The tool as the protocol describes it (a JSON Schema of its arguments)."""
        properties = {
            each.name: {"type": "string", "description": each.description}
            | ({"enum": list(each.choices)} if each.choices else {})
            for each in self.parameters
        }
        return {
            "type": "function",
            "function": {
                "name": self.name,
                "description": self.description,
                "parameters": {
                    "type": "object",
                    "properties": properties,
                    "required": [each.name for each in self.parameters if each.choices],
                    "additionalProperties": False,
                },
            },
        }

    def call(self, arguments: str) -> ToolCall:
        """A call of this tool with these arguments (JSON; "" for none). Raises `BadCall`."""
        try:
            given = msgspec.json.decode(arguments.strip() or "{}", type=dict[str, Any] | str)
            if isinstance(given, str):  # some models write JSON into JSON
                given = msgspec.json.decode(given.strip() or "{}", type=dict[str, Any])
        except (msgspec.MsgspecError, ValueError) as error:
            raise BadCall(f"{self.name}: the arguments are not a JSON object: {error}") from error
        taken = {}
        for parameter in self.parameters:
            value = given.get(parameter.name)
            if parameter.choices and value not in parameter.choices:
                raise BadCall(f"{self.name}: {parameter.name} may not be {value!r}")
            if isinstance(value, str):
                taken[parameter.name] = value[:MAX_ARGUMENT]
        return ToolCall(self.name, taken)


class Prompt(NamedTuple):
    """One question to the assistant. ``model`` "" is the settings', ``temperature`` None the model's own."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[Tool, ...] = ()
    max_tokens: int = 800
    temperature: float | None = None
    model: str = ""


class Usage(NamedTuple):
    """What an answer took. ``estimated`` where the provider did not count."""

    tokens_in: int
    tokens_out: int
    estimated: bool = False


class Prices(NamedTuple):
    """Dollars (or whatever the provider bills in) for a million tokens; 0 for unknown."""

    tokens_in: float
    tokens_out: float


UNKNOWN = Prices(0.0, 0.0)


def tools(handoff: bool, states: Sequence[str] = ()) -> tuple[Tool, ...]:
    """What the assistant may ask for: a person, or to go on at one of these states."""
    offered = []
    if handoff:
        why = Parameter("reason", "In a few words, for the person who takes over: what the user needs.")
        offered.append(
            Tool(
                HANDOFF,
                "Hand the conversation over to a person. Call it when the user asks for one, "
                "or when you cannot help.",
                (why,),
            )
        )
    if states:
        state = Parameter("state", "The part of the dialogue to go to.", tuple(states))
        offered.append(
            Tool(GO_TO, "Leave this conversation and go on with another part of the dialogue.", (state,))
        )
    return tuple(offered)


def estimate(text: str) -> int:
    """How many tokens a text takes, about."""
    return -(-len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def conversation(system: str, lines: Sequence[PromptLine], budget: int) -> tuple[ChatMessage, ...]:
    """The instructions and the newest whole lines that fit into so many tokens, as messages.

    The instructions and the visitor's newest line are always there, even beyond the budget. What one
    side says in a row is one message: some models' templates refuse two of the same role.
    """
    said = [line for line in map(_readable, lines) if line.text]
    visitor = max((index for index, line in enumerate(said) if line.who == "visitor"), default=None)
    left = budget - (_size(system) if system else 0)
    if visitor is not None:
        left -= _size(said[visitor].text)
    kept = []
    for index in reversed(range(len(said))):
        if index != visitor:
            left -= _size(said[index].text)
        if left < 0:
            break
        kept.append(index)
    if visitor is not None and visitor not in kept:
        kept.append(visitor)
    messages: list[ChatMessage] = [ChatMessage("system", system)] if system else []
    for index in reversed(kept):
        role: Role = "user" if said[index].who == "visitor" else "assistant"
        if messages and messages[-1].role == role:
            messages[-1] = ChatMessage(role, f"{messages[-1].content}\n\n{said[index].text}")
        else:
            messages.append(ChatMessage(role, said[index].text))
    return tuple(messages)


def estimated(prompt: Prompt, answer: str) -> Usage:
    """What an answer took where the provider does not say: by the length of what was sent and came."""
    offered = sum(estimate(str(tool.schema)) for tool in prompt.tools)
    asked = sum(_size(message.content) for message in prompt.messages)
    return Usage(asked + offered, estimate(answer), estimated=True)


def cost(usage: Usage, prices: Prices) -> int:
    """In millionths of the prices' unit, rounded; 0 where no price is known."""
    return round(usage.tokens_in * prices.tokens_in + usage.tokens_out * prices.tokens_out)


def _readable(line: PromptLine) -> PromptLine:
    return PromptLine(
        line.who, (plain(line.text, addresses=True) if line.who == "bot" else line.text).strip()
    )


def _size(text: str) -> int:
    return estimate(text) + TOKENS_PER_MESSAGE
