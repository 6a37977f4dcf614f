"""What consoles are told of the conversation that they show, beside the log: where its visitor is, what they
have seen, and the assistant's words while they are made.

Only who looks is told, and only while they look: a console asks again every few seconds. Nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from services.operator.desk import Desk
from services.operator.domain.presence import NOT_KNOWN, merged
from services.operator.transports import schemas
from services.operator.transports.events import EventHub
from shared.contract.conversation import Generating
from shared.contract.drafts import DraftPiece
from shared.contract.presence import WATCH_SECONDS, VisitorReport
from shared.service.drafts import Drafts

#: Replicas of the proxy of which something is kept for one conversation.
MAX_REPORTS: Final = 64


class _Console:
    """One console, and the conversation that it shows."""

    def __init__(self, hub: EventHub, name: str, conversation: str) -> None:
        self.conversation = conversation
        self.until = 0.0
        self.generating: Generating | None = None
        self._hub = hub
        self._name = name
        self._told = schemas.presence(conversation, NOT_KNOWN)

    def draft(self, draft: DraftPiece) -> None:
        self._hub.tell(self._name, "draft", schemas.draft(self.conversation, draft))

    def presence(self, report: VisitorReport) -> None:
        event = schemas.presence(self.conversation, report)
        if event != self._told:
            self._told = event
            self._hub.tell(self._name, "presence", event)

    def drafts_over(self) -> None:
        self._hub.tell(self._name, "draft", schemas.drafts_over(self.conversation))


class Watches:
    """Of the consoles at this replica."""

    def __init__(self, hub: EventHub, clock: Callable[[], float] = monotonic) -> None:
        self._hub = hub
        self._clock = clock
        self._consoles: dict[str, _Console] = {}
        self._shown: dict[str, set[str]] = {}  # the consoles that show a conversation
        self._reports: dict[str, dict[str, tuple[float, VisitorReport]]] = {}
        self._drafts: Drafts | None = None

    def begin(self, drafts: Drafts) -> None:
        """From here on the assistant's words can be heard."""
        self._drafts = drafts

    def stop(self) -> None:
        if self._drafts is not None:
            self._drafts.stop()

    def asked(self, conversation: str, name: str, desk: Desk) -> None:
        """A console shows the conversation, and no other any more."""
        if not self._hub.has(name):
            return  # its feed is another replica's
        summary = desk.find(conversation)
        if summary is None:
            return
        console = self._consoles.get(name)
        if console is None or console.conversation != conversation:
            self._leave(name)
            console = self._consoles[name] = _Console(self._hub, name, conversation)
            self._shown.setdefault(conversation, set()).add(name)
        console.until = self._clock() + WATCH_SECONDS
        self._follow(console, summary.state.answer.generating)
        self._tell(conversation)

    def reported(self, conversation: str, report: VisitorReport) -> None:
        """A replica of the proxy says where the visitor is."""
        if conversation not in self._shown:
            return
        reports = self._reports.setdefault(conversation, {})
        if report.replica in reports or len(reports) < MAX_REPORTS:
            reports[report.replica] = self._clock(), report
        self._tell(conversation)

    def changed(self, conversation: str, generating: Generating | None) -> None:
        """Something was appended: perhaps the assistant has begun to answer, or is done."""
        for name in self._shown.get(conversation, ()):
            self._follow(self._consoles[name], generating)

    def forget(self, conversation: str) -> None:
        """The conversation was erased: nobody looks at it any more."""
        for name in tuple(self._shown.get(conversation, ())):
            self._leave(name)

    def expire(self) -> None:
        """Let go of what no console has asked for lately."""
        now = self._clock()
        for name, console in tuple(self._consoles.items()):
            if console.until < now or not self._hub.has(name):
                self._leave(name)

    def __len__(self) -> int:
        """How many consoles look at a conversation."""
        return len(self._consoles)

    def _leave(self, name: str) -> None:
        console = self._consoles.pop(name, None)
        if console is None:
            return
        if self._drafts is not None:
            self._drafts.leave(console.conversation, console)
        shown = self._shown[console.conversation]
        shown.discard(name)
        if not shown:
            del self._shown[console.conversation]
            self._reports.pop(console.conversation, None)

    def _follow(self, console: _Console, generating: Generating | None) -> None:
        if generating == console.generating:
            return
        before, console.generating = console.generating, generating
        if before is not None:
            console.drafts_over()
        if self._drafts is not None:
            self._drafts.follow(console.conversation, console, generating)

    def _tell(self, conversation: str) -> None:
        since = self._clock() - WATCH_SECONDS
        reports = self._reports.get(conversation, {})
        for replica in [name for name, (time, _) in reports.items() if time < since]:
            del reports[replica]  # it is gone, and with it what it knew
        report = merged(report for _, report in reports.values()) if reports else NOT_KNOWN
        for name in self._shown.get(conversation, ()):
            self._consoles[name].presence(report)
