"""What the log needs of the service around it: to say whether it may serve, and to count."""

from __future__ import annotations

from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter

log = structlog.get_logger()


class Observer(Protocol):
    """A service's health, as far as the log goes. A part with a reason against it makes it unready."""

    @property
    def registry(self) -> CollectorRegistry:
        """Where metrics are registered."""

    @property
    def nats_errors(self) -> Counter:
        """Errors of the connection, by their kind."""

    def ready(self, part: str) -> None:
        """The part may serve."""

    def unready(self, part: str, reason: str) -> None:
        """The part may not serve; the reason is shown to whoever asks."""


class LoggingObserver:
    """For a program without a health probe: logs why it may not serve, once for each reason."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.nats_errors = Counter("nats_errors", "Errors by their kind", ["error"], registry=self.registry)
        self._reasons: dict[str, str] = {}

    def ready(self, part: str) -> None:
        self._reasons.pop(part, None)

    def unready(self, part: str, reason: str) -> None:
        if self._reasons.get(part) != reason:
            self._reasons[part] = reason
            log.info("not_ready", part=part, reason=reason)
