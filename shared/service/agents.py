"""Agents of installed packages: entry points of the group `switchboard.agents`."""

from __future__ import annotations

from importlib.metadata import entry_points

import structlog

from shared.contract.agents import CONFIGURATIONS, GROUP, Agent

log = structlog.get_logger()


def installed() -> dict[str, Agent]:
    """The agents that packages bring, by name. One that cannot be loaded is left out, loudly."""
    found: dict[str, Agent] = {}
    for point in entry_points(group=GROUP):
        if point.name in CONFIGURATIONS or point.name in found:
            log.warning("agent_ignored", agent=point.name, reason="the name is taken")
            continue
        try:
            agent = point.load()
            agent = agent() if isinstance(agent, type) else agent
            if not isinstance(agent.configuration, type) or not callable(agent.answer):
                raise TypeError("it has no `configuration` and `answer`: see shared/contract/agents.py")
        except Exception as error:  # a stranger's package: whatever it raises, the others go on
            log.error("agent_ignored", agent=point.name, reason=f"{type(error).__name__}: {error}")
            continue
        found[point.name] = agent
    return found
