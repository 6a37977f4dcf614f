"""``match``: does the value hold one of the words, or match the pattern?"""

from __future__ import annotations

from typing import Any

from shared.contract.agents import Answered, MatchConfiguration, Request


class Match:
    configuration = MatchConfiguration

    def answer(
        self, configuration: MatchConfiguration, memory: Any, request: Request, said: bool | None
    ) -> Answered:
        return Answered(result=configuration.found_in(request.text))
