"""Feeds the log into the numbers, and knows when they are complete."""

from __future__ import annotations

from services.analytics.domain.projections import Projection
from shared.contract.codec import entry_of
from shared.eventlog.errors import Unreachable
from shared.eventlog.messages import StoredMessage
from shared.service.chat_log import ChatLog
from shared.service.health import Health


class ReadModel:
    """The projection of the log. Before it is `complete` it is half-replayed and must not be shown."""

    def __init__(self, health: Health) -> None:
        self.projection = Projection()
        self._health = health
        self._log: ChatLog | None = None
        self._complete = False

    def follow(self, log: ChatLog) -> None:
        """From here on the subscription's word in the health says whether the log was read to its end."""
        self._log = log

    def on_message(self, message: StoredMessage) -> None:
        self.projection.fold(entry_of(message))

    def reset(self) -> None:
        """The log is another one: begin anew."""
        self.projection = Projection()
        self._complete = False

    def complete(self) -> bool:
        """Whether the log was read to its end once. Losing touch later leaves the numbers whole, if old."""
        if not self._complete and self._log is not None:
            self._complete = "log" not in self._health.reasons
        return self._complete

    @property
    def reasons(self) -> dict[str, str]:
        """Why the service is not ready, by part."""
        return self._health.reasons

    async def last(self) -> int | None:
        """How many entries the log has, or None while it cannot be reached."""
        if self._log is None:
            return None
        try:
            return await self._log.length(timeout=1.0)
        except Unreachable:
            return None
