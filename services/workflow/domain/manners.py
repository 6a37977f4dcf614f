"""How a provider wants to be asked, and what its refusals say about that. Pure.

Servers that call themselves compatible with OpenAI's differ in what they take. Their refusals name the
field, or the order of roles that their model's template demands; so it is learned from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_TOKENS: Final = "max_tokens"
MAX_COMPLETION_TOKENS: Final = "max_completion_tokens"


class Manner(NamedTuple):
    """How a request is written. The default is OpenAI's way, except for the newer name of the limit."""

    limit: str = MAX_TOKENS  # what the most tokens of an answer are called; "" for not to be said
    stream_options: bool = True
    temperature: bool = True
    alternate: bool = False  # the user begins and ends, and nobody speaks twice in a row
    system: bool = True  # there may be a message of the role "system"


#: Statuses with which a request is refused for its form; 0: the refusal came within the stream.
_FORM: Final = frozenset({0, 400, 422})
#: llama.cpp and others fail at the model's template, and say so with these.
_TEMPLATE: Final = frozenset({*_FORM, 500, 501})
_ROLES: Final = re.compile(
    r"alternat|\broles?\b|user (?:message|query)|assistant message|prefill|(?:first|last) message|"
    r"start with|end with|jinja|chat.template"
)
_SYSTEM: Final = re.compile(r"\bsystem\b|developer instruction|only user and assistant")
#: The value was refused, not the name.
_VALUE: Final = re.compile(r"too (?:large|big|high|many)|at most|less than|greater than|exceed|maximum")


def adapted(manner: Manner, status: int, refusal: str) -> Iterator[Manner]:
    """Other manners in which the question may be taken, the likeliest first."""
    said = refusal.lower()
    if status in _FORM:
        if "stream_options" in said or "include_usage" in said:
            yield manner._replace(stream_options=False)
        if manner.limit and manner.limit in said:
            other = MAX_COMPLETION_TOKENS if manner.limit == MAX_TOKENS else MAX_TOKENS
            if other in said or not _VALUE.search(said):
                yield manner._replace(limit=other)
            yield manner._replace(limit="")
        if "temperature" in said:
            yield manner._replace(temperature=False)
    if status in _TEMPLATE and _ROLES.search(said):
        whole = manner._replace(alternate=True, system=False)
        if _SYSTEM.search(said) and "optional system" not in said:
            yield manner._replace(system=False)
        else:
            yield manner._replace(alternate=True)
        yield whole
