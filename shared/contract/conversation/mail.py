"""Mail: what an operator said and the visitor may not have seen, and what was mailed of it."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from shared.contract.conversation.rule import Rules
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    AddressGiven,
    ChoiceMade,
    ConversationErased,
    ConversationRated,
    ConversationReset,
    Fact,
    MailBegun,
    MailEnded,
    MailStopped,
    OperatorSaid,
    TextWritten,
)

#: The times of so many mails are kept: no more than these go out within an hour (`MAX_AN_HOUR`).
MAX_AN_HOUR: Final = 4


class Mail(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="contract", tag="mail/1"):
    """Whoever does something has seen what was said to them before. Times in nanoseconds since 1970, UTC."""

    since: int = 0  # when the first of the operators' words was said that may be unseen; 0: there are none
    first: int = 0  # its position
    last: int = 0  # that of the last one
    begun: int = 0  # up to which position they are about to be mailed; 0: they are not
    attempts: int = 0  # how often that was begun
    times: tuple[int, ...] = ()  # when mails were begun, the latest
    stopped: bool = False  # the visitor wants no more


def _said(state: Mail, recorded: RecordedEntry, fact: OperatorSaid) -> Mail:
    if state.since:
        return replace(state, last=recorded.position)
    return replace(state, since=recorded.time, first=recorded.position, last=recorded.position)


def _here(state: Mail, recorded: RecordedEntry, fact: Fact) -> Mail:
    if not state.since and not state.begun:
        return state
    return Mail(times=state.times, stopped=state.stopped)


def _address_given(state: Mail, recorded: RecordedEntry, fact: AddressGiven) -> Mail:
    return Mail(times=state.times)


def _begun(state: Mail, recorded: RecordedEntry, fact: MailBegun) -> Mail:
    times = (*state.times, recorded.time)[-MAX_AN_HOUR:]
    again = state.begun == fact.until
    return replace(state, begun=fact.until, attempts=state.attempts + 1 if again else 1, times=times)


def _ended(state: Mail, recorded: RecordedEntry, fact: MailEnded) -> Mail:
    if fact.until >= state.last:
        return Mail(times=state.times, stopped=state.stopped)
    return replace(state, begun=0, attempts=0, since=recorded.time, first=fact.until + 1)


def _stopped(state: Mail, recorded: RecordedEntry, fact: MailStopped) -> Mail:
    return Mail(times=state.times, stopped=True)


def _reset(state: Mail, recorded: RecordedEntry, fact: Fact) -> Mail:
    return Mail(times=state.times, stopped=state.stopped)


def _erased(state: Mail, recorded: RecordedEntry, fact: Fact) -> Mail:
    return Mail()


RULES: Final[Rules[Mail]] = {
    OperatorSaid: _said,
    TextWritten: _here,
    ChoiceMade: _here,
    ConversationRated: _here,
    AddressGiven: _address_given,
    MailBegun: _begun,
    MailEnded: _ended,
    MailStopped: _stopped,
    ConversationReset: _reset,
    ConversationErased: _erased,
}
