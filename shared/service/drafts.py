"""Hears what the assistant is saying, in those conversations where somebody is there to read it.

A subscription to a conversation's drafts lasts as long as one answer. What was said before it began,
or was lost on the way, is read from the stream that keeps the drafts for some minutes. Drafts are
only a preview: whatever is missing here arrives with the committed fact.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription
from nats.errors import Error as NatsError

from shared.contract import drafts, subjects
from shared.contract.conversation import Generating
from shared.contract.drafts import DraftAssembly, DraftPiece
from shared.eventlog.errors import Unreachable
from shared.eventlog.stream import Stream

log = structlog.get_logger()

#: Between two looks at what is missing (seconds): what was lost for good is not asked for all the time.
PAUSE_SECONDS = 0.5


class Listener(Protocol):
    def draft(self, draft: DraftPiece) -> None:
        """The next piece of the answer; the first holds all that was said so far. May not block."""


class Drafts:
    """Who reads which answer. Nothing here blocks."""

    def __init__(self, client: Client) -> None:
        self._kept = Stream(client, subjects.DRAFTS)
        self._heard: dict[str, _Heard] = {}

    def follow(self, conversation: str, listener: Listener, generating: Generating | None) -> None:
        """Tell ``listener`` the words of this answer, or of none any more."""
        heard = self._heard.get(conversation)
        if generating is None:
            self.leave(conversation, listener)
            return
        if heard is not None and heard.position > generating.position:
            return  # this listener's state is behind: it will ask again
        if heard is None or heard.position < generating.position:
            if heard is not None:
                heard.stop()
            heard = _Heard(self._kept, conversation, generating)
            self._heard[conversation] = heard
        heard.add(listener)

    def leave(self, conversation: str, listener: Listener) -> None:
        heard = self._heard.get(conversation)
        if heard is not None and heard.remove(listener):
            heard.stop()
            del self._heard[conversation]

    def stop(self) -> None:
        for heard in self._heard.values():
            heard.stop()
        self._heard.clear()

    def __len__(self) -> int:
        """How many answers are listened to."""
        return len(self._heard)


class _Heard:
    """One answer, and who on this proxy reads it."""

    def __init__(self, kept: Stream, conversation: str, generating: Generating) -> None:
        self.position = generating.position
        self._answer = DraftAssembly(generating.cause, generating.attempt)
        self._kept = kept
        self._conversation = conversation
        self._subject = subjects.draft(conversation)
        self._listeners: set[Listener] = set()
        self._missed = asyncio.Event()
        self._missed.set()  # what was said before we listened
        self._task = asyncio.create_task(self._listen())

    def add(self, listener: Listener) -> None:
        if listener not in self._listeners:
            self._listeners.add(listener)
            whole = self._answer.whole
            if whole.text:
                listener.draft(whole)

    def remove(self, listener: Listener) -> bool:
        """Whether nobody is left."""
        self._listeners.discard(listener)
        return not self._listeners

    def stop(self) -> None:
        self._task.cancel()

    async def _listen(self) -> None:
        subscription: NatsSubscription | None = None
        looked = False
        try:
            subscription = await self._kept.client.subscribe(self._subject, cb=self._hear)
            while True:
                await self._missed.wait()
                # The server has the subscription before this request. But a piece that came a moment before
                # may be on its way into the stream still: there is a second look, after the pause.
                await self._catch_up()
                if looked and not self._answer.gap:
                    self._missed.clear()
                looked = True
                await asyncio.sleep(PAUSE_SECONDS)
        except NatsError as error:
            log.info("drafts_not_heard", conversation=self._conversation, error=str(error))
        finally:
            if subscription is not None:
                with contextlib.suppress(NatsError):
                    await subscription.unsubscribe()

    async def _catch_up(self) -> None:
        try:
            async for batch in self._kept.read(1, self._subject):
                for message in batch:
                    self._take(message.data)
        except Unreachable as error:
            log.info("drafts_not_read", conversation=self._conversation, error=str(error))

    async def _hear(self, message: Msg) -> None:
        self._take(message.data)
        if self._answer.gap:
            self._missed.set()

    def _take(self, data: bytes) -> None:
        try:
            piece = self._answer.take(drafts.decoder.decode(data))
        except msgspec.DecodeError as error:
            log.warning("draft_unreadable", conversation=self._conversation, error=str(error))
            return
        if piece is not None:
            for listener in tuple(self._listeners):
                try:
                    listener.draft(piece)
                except Exception as error:  # the others hear it; this one gets the whole when it is stored
                    log.warning("draft_not_told", conversation=self._conversation, exc_info=error)
                    self._listeners.discard(listener)
