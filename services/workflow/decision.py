"""What to do about an input: its outcome, or what deciding it takes first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from services.workflow.domain.agents import BUILT_IN, respond_agent
from services.workflow.flow_catalog import FlowCatalog
from services.workflow.mailboxes import TurnProgress
from services.workflow.presence import Presence
from services.workflow.repository import Repository
from shared.contract.agents import Agent
from shared.contract.conversation import Conversation, Input
from shared.contract.entry import MAX_ENTRY, Entry
from shared.eventlog.mailbox import WakeUp
from shared.flow.decide import Effect, Moment, begins, failed, respond
from shared.flow.language.diagnostics import Diagnostic
from shared.flow.language.flow import Flow

log = structlog.get_logger()

#: How often older programs may have given an input back before it came to us: a rollout of a quarter
#: of an hour. It says nothing about the input.
NEWER_DELIVERIES = 200
#: The most that is asked for one input. Flows are held to less; this also counts what broke off here.
MAX_NEEDS = 16

#: Remarks on flows that are remembered as said.
MAX_REMARKED = 1_000


@dataclass(frozen=True, slots=True)
class EffectLimits:
    """How much one input may take; after how many seconds of silence a conversation ends (0: never), and for
    how many mere thanks leave it closed.
    """

    max_deliveries: int = 20
    max_entry: int = MAX_ENTRY
    inactivity: int = 0
    thanks: int = 0


class Decision:
    """Finds the flow, or the agent, and lets it decide."""

    def __init__(
        self,
        repository: Repository,
        flows: FlowCatalog,
        presence: Presence,
        limits: EffectLimits,
        agents: Mapping[str, Agent] = BUILT_IN,
    ) -> None:
        self._repository = repository
        self._flows = flows
        self._presence = presence
        self._limits = limits
        self._agents = agents
        self._remarked: set[tuple[str, str]] = set()

    async def decide(
        self, conversation: str, state: Conversation, item: Input, turn: TurnProgress, lease: WakeUp | None
    ) -> Entry | Effect:
        """The entry that answers ``item``, or the effect needed first. Raises `LogError` without the flow."""
        most = self._limits.max_deliveries + (NEWER_DELIVERIES if state.needs > 1 else 0)
        if lease is not None and lease.count > most:
            return _failure(item, "too_many_deliveries")
        flow = await self._flow(conversation, state, item) if state.engagement is None else None
        try:
            decided = self._respond(state, item, turn, flow)
        except Exception:  # deciding is pure: what fails once fails always
            log.exception("decide_failed", conversation=conversation, position=item.position)
            return _failure(item, "internal")
        if not isinstance(decided, Entry) and turn.performed >= MAX_NEEDS:
            return _failure(item, "endless_flow")
        return decided

    def _respond(
        self, state: Conversation, item: Input, turn: TurnProgress, flow: Flow | None
    ) -> Entry | Effect:
        limits, results = self._limits, turn.results
        moment = Moment(
            *(self._repository.now(), self._presence.operators, limits.inactivity, self._presence.queues),
            thanks=limits.thanks,
        )
        if state.engagement is not None:
            return respond_agent(state, item, moment, results, self._agents, limits.max_entry)
        if flow is None:
            return _failure(item, "flow_missing")
        remarks: list[Diagnostic] = []
        decided = respond(state, item, flow, moment, results, limits.max_entry, remarks)
        for remark in remarks:
            self._remark(flow, str(remark))
        return decided

    def _remark(self, flow: Flow, remark: str) -> None:
        """Say it once for each version: what is wrong with a flow is wrong in every conversation."""
        known = (flow.version, remark)
        if known in self._remarked:
            return
        if len(self._remarked) >= MAX_REMARKED:
            self._remarked.clear()
        self._remarked.add(known)
        log.warning("flow_remark", flow=flow.name, version=flow.version, remark=remark)

    async def _flow(self, conversation: str, state: Conversation, item: Input) -> Flow | None:
        """The flow that the conversation is bound to, or that it shall begin with."""
        if begins(state, item):
            return await self._flows.begin(self._repository.log, state.visit.begun.flow, conversation)
        return await self._flows.bound(self._repository.log, state.progress.flow, state.progress.version)


def _failure(item: Input, reason: str) -> Entry:
    return Entry(id=str(item.position), cause=item.position, facts=failed(reason))
