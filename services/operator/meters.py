"""What the operator service counts of its own work. Labels are few: no operator, no conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

#: What only one replica does, as the metric names it.
ASSIGNING: Final = "assigning"
MAILING: Final = "mailing"


class DeskMeter:
    """Of all that one replica does by itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.lapsed = Counter(
            "switchboard_leases_lapsed_total",
            "Conversations that went back to the queue since their operator was gone",
            registry=registry,
        )
        self._assigned = Counter(
            "switchboard_assignments_total",
            "Conversations that were given to an operator by the rules of their queue (given), or taken back "
            "since the operator did not answer (missed)",
            ["outcome"],
            registry=registry,
        )
        self.given = self._assigned.labels("given")
        self.missed = self._assigned.labels("missed")
        self.agreed = Counter(
            "switchboard_agreed_times_noted_total",
            "Agreed times that were noted as nearly over, or over",
            registry=registry,
        )
        self._left_out = Counter(
            "switchboard_webhook_entries_left_out_total",
            "Entries of which no webhook was made, since they cannot be read",
            registry=registry,
        )
        self._redelivered = Counter(
            "switchboard_webhook_redeliveries_total",
            "Entries (entry) and webhooks (webhook) that came again: somebody had them and did not end them",
            ["what"],
            registry=registry,
        )
        for what in ("entry", "webhook"):
            self._redelivered.labels(what)
        self._leads = Gauge(
            "switchboard_leads",
            "1 while this replica does what only one of them shall do",
            ["task"],
            registry=registry,
        )

    def leads(self, task: str, held: Callable[[], bool]) -> None:
        """``held`` says whether this replica does it."""
        self._leads.labels(task).set_function(lambda: float(held()))

    def left_out(self) -> None:
        """Nobody is told of an entry."""
        self._left_out.inc()

    def redelivered(self, what: str, count: int) -> None:
        """Something was delivered for the ``count``-th time."""
        if count > 1:
            self._redelivered.labels(what).inc()
