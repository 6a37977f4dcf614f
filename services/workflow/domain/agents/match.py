"""``match``: does the value hold one of the words, or match the pattern?"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from shared.contract.agents import AgentRequest, Answered, MatchConfiguration
from shared.flow.language.comparison import unified
from shared.flow.language.patterns import TextMatch as Matcher
from shared.flow.language.patterns import pattern, words
from shared.flow.language.words import holds_no_word


class Match:
    configuration = MatchConfiguration

    def answer(
        self, configuration: MatchConfiguration, memory: Any, request: AgentRequest, said: bool | None
    ) -> Answered:
        text = request.text
        found = (
            configuration.found_in(text)
            or configuration.found_in(unified(text))
            or any(matcher.takes(text) is not None for matcher in _matchers(configuration))
        )
        return Answered(result=found)


@lru_cache(maxsize=256)
def _matchers(configuration: MatchConfiguration) -> tuple[Matcher, ...]:
    """The same in the form that flows compare, which knows the words of all scripts."""
    matchers = [pattern(configuration.pattern, configuration.ignoreCase)] if configuration.pattern else []
    options = [option for option in configuration.words if not holds_no_word(option)]
    if options and configuration.ignoreCase:
        matchers.append(words(options))
    return tuple(matchers)
