"""What the log needs of the service around it: to say whether it may serve, and to count."""

from __future__ import annotations

from typing import Protocol

from prometheus_client import CollectorRegistry, Counter


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
