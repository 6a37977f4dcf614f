"""Asks the assistant for operators: for a draft of the next reply, for a summary. The workflow answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
import nats.errors
from nats.aio.client import Client

from services.operator.buckets import Unavailable
from services.operator.domain.limits import Failures
from shared.contract import subjects
from shared.contract.suggestions import (
    BUSY,
    EMPTY,
    LOG,
    NOT_CONFIGURED,
    Suggestion,
    SuggestionAsked,
    SuggestionsOffered,
)

#: How long one may take (seconds): as long as an answer of the assistant may by default, and less than
#: load balancers wait.
SUGGESTION_SECONDS: Final = 50.0
#: How long to wait for whether there is an assistant at all, and for how long that is believed (seconds).
OFFER_SECONDS: Final = 2.0
FRESH_SECONDS: Final = 15.0
#: Of one account in a minute: each costs money.
MOST_A_MINUTE: Final = 12

_WHY: Final = {
    NOT_CONFIGURED: "there is no assistant that suggests anything",
    EMPTY: "the visitor has not said anything yet",
    BUSY: "the assistant is busy with other suggestions, try again in a moment",
    LOG: "the conversation cannot be read now, try again",
}


class NotSuggested(Exception):
    """There is no suggestion. The text says why; with ``again`` another try may bring one."""

    def __init__(self, why: str, again: bool) -> None:
        super().__init__(why)
        self.again = again


class TooManySuggestions(Exception):
    """An account asks too often; ``seconds`` until it may again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"more than {MOST_A_MINUTE} suggestions in a minute")
        self.seconds = seconds


class Suggester:
    """Asks for operators. ``clock`` in seconds."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._asked = Failures(MOST_A_MINUTE)
        self._offered = False
        self._known_at = float("-inf")

    async def offered(self) -> bool:
        """Whether there is an assistant to ask. Where no workflow answers there is none now."""
        now = self._clock()
        if now - self._known_at > FRESH_SECONDS:
            try:
                question = msgspec.json.encode(SuggestionsOffered())
                answer = await self._request(subjects.SUGGESTIONS_OFFERED, question, OFFER_SECONDS)
                self._offered = _offer.decode(answer).offered
                self._known_at = now
            except (nats.errors.Error, TimeoutError):
                return False
        return self._offered

    async def suggest(self, account: str, asked: SuggestionAsked) -> Suggestion:
        """What the assistant suggests. Raises `NotSuggested`, `TooManySuggestions`, `Unavailable`."""
        now = self._clock()
        if wait := self._asked.wait(account, now):
            raise TooManySuggestions(wait)
        self._asked.add(account, now)
        try:
            answer = await self._request(subjects.SUGGESTIONS, msgspec.json.encode(asked), SUGGESTION_SECONDS)
        except nats.errors.NoRespondersError as error:
            raise NotSuggested("no workflow service is there to ask", again=True) from error
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(f"no suggestion came: {error!r}") from error
        found = _suggestion.decode(answer)
        if found.failure or not found.text:
            why = _WHY.get(found.failure, "the assistant gave no answer, try again")
            raise NotSuggested(why, again=found.failure not in (NOT_CONFIGURED, EMPTY))
        return found

    async def _request(self, subject: str, question: bytes, seconds: float) -> bytes:
        """The answer. Raises one of nats-py's errors, or `TimeoutError`."""
        inbox = f"{subjects.SUGGESTED}.{secrets.token_hex(16)}"
        subscription = await self._client.subscribe(inbox, max_msgs=1)
        try:
            await self._client.publish(subject, question, reply=inbox)
            answer = await subscription.next_msg(timeout=seconds)
        finally:
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()
        if answer.header and answer.header.get("Status") == "503":
            raise nats.errors.NoRespondersError
        return answer.data


_offer = msgspec.json.Decoder(SuggestionsOffered)
_suggestion = msgspec.json.Decoder(Suggestion)
