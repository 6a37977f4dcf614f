"""Agents: what they are, what may be asked of them, and the configurations of those that come along.

An agent looks at what a user of another platform does and says yes or no to each request. It is a
pure function of what it remembers and the request, so it survives whatever the workflow survives.

Others are added by a Python package with an entry point in the group `GROUP` that names an `Agent`;
proxy and workflow must both have it installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Protocol

import msgspec
import re2

#: The group of entry points in which packages name their agents.
GROUP: Final = "switchboard.agents"

MAX_WORDS: Final = 200
MAX_WORD: Final = 100  # characters
MAX_PATTERN: Final = 1_000  # characters
MAX_QUESTION: Final = 2_000  # characters
#: Memory that one compiled pattern of a stranger may take (bytes).
PATTERN_MEMORY: Final = 1024 * 1024


class AgentRequest(msgspec.Struct, frozen=True):
    """What the platform asks about. ``value`` and ``annotations`` are any JSON."""

    key: str
    value: Any = None
    annotations: Any = None

    @property
    def text(self) -> str:
        """The value as text: itself, or its JSON; "" for none."""
        if isinstance(self.value, str):
            return self.value
        return "" if self.value is None else msgspec.json.encode(self.value).decode()


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, what the agent remembers from here (JSON), and what it says of its own accord."""

    result: bool
    memory: Any = None
    interjections: tuple[str, ...] = ()
    error: str = ""  # why there is no better answer; shown to the platform


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """The agent wants the assistant to say yes or no to ``question`` about ``text`` before it answers."""

    question: str
    text: str


class Agent(Protocol):
    """What an entry point names. No clock, no chance, no I/O: the same arguments, the same answer."""

    @property
    def configuration(self) -> type[msgspec.Struct]:
        """What may be configured, with defaults; its ``__post_init__`` refuses nonsense by ValueError."""

    def answer(
        self, configuration: Any, memory: Any, request: AgentRequest, said: bool | None
    ) -> Answered | Ask:
        """Answer, or `Ask` first; ``said`` is then the assistant's yes or no.

        ``memory`` is what the last `Answered` remembered, None at first.
        """


class EmojiConfiguration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The agent ``emoji``: does the value contain an emoji?"""


class MatchConfiguration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The agent ``match``: does the value hold one of these whole words, or match the pattern (RE2)?"""

    words: tuple[str, ...] = ()
    pattern: str = ""
    ignoreCase: bool = True

    def __post_init__(self) -> None:
        if not self.words and not self.pattern:
            raise ValueError("needs `words` or a `pattern`")
        if len(self.words) > MAX_WORDS:
            raise ValueError(f"`words` may hold at most {MAX_WORDS}")
        if any(not word.strip() or len(word) > MAX_WORD for word in self.words):
            raise ValueError(f"a word has 1 to {MAX_WORD} characters")
        if len(self.pattern) > MAX_PATTERN:
            raise ValueError(f"`pattern` may have at most {MAX_PATTERN} characters")
        self.found_in("")  # compiles

    def found_in(self, text: str) -> bool:
        """Whether one of the words or the pattern is in ``text``. In time linear to its length."""
        return any(each.search(text) is not None for each in _patterns(self))


class AssistantConfiguration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The agent ``assistant``: an LLM answers the question about the value with yes or no."""

    question: str = ""

    def __post_init__(self) -> None:
        if not self.question.strip():
            raise ValueError("needs a `question`")
        if len(self.question) > MAX_QUESTION:
            raise ValueError(f"`question` may have at most {MAX_QUESTION} characters")


#: The agents that come along.
CONFIGURATIONS: Final[Mapping[str, type[msgspec.Struct]]] = {
    "emoji": EmojiConfiguration,
    "match": MatchConfiguration,
    "assistant": AssistantConfiguration,
}


class BadConfiguration(ValueError):
    """An agent cannot be configured like that; the text says why, and may go to a stranger."""


def configured(kind: type[msgspec.Struct], configuration: Mapping[str, Any]) -> Any:
    """``configuration`` checked against ``kind``. Raises `BadConfiguration`."""
    try:
        return msgspec.convert(configuration, kind)
    except msgspec.ValidationError as error:
        raise BadConfiguration(str(error)) from error


@lru_cache(maxsize=256)
def _patterns(configuration: MatchConfiguration) -> tuple[Any, ...]:
    """What to look for: the words as one pattern, and the pattern. Raises ValueError."""
    options = re2.Options()
    options.case_sensitive = not configuration.ignoreCase
    options.max_mem = PATTERN_MEMORY
    options.log_errors = False
    sources = [configuration.pattern] if configuration.pattern else []
    if configuration.words:
        # RE2's \b knows ASCII letters only.
        words = "|".join(re2.escape(word.strip()) for word in configuration.words)
        sources.append(rf"(?:^|[^\pL\pM\pN_])(?:{words})(?:$|[^\pL\pM\pN_])")
    try:
        return tuple(re2.compile(source, options) for source in sources)
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"`pattern` is none of RE2's: {words}") from error
