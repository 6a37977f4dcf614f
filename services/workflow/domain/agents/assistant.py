"""``assistant``: an LLM answers the configured question about the value with yes or no."""

from __future__ import annotations

from typing import Any

from shared.contract.agents import AgentRequest, Answered, Ask, AssistantConfiguration


class AssistantAgent:
    configuration = AssistantConfiguration

    def answer(
        self, configuration: AssistantConfiguration, memory: Any, request: AgentRequest, said: bool | None
    ) -> Answered | Ask:
        if said is None:
            return Ask(question=configuration.question, text=request.text)
        return Answered(result=said)
