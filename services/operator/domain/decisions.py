"""What an operator may do: a state in, facts or a refusal out."""

from __future__ import annotations

import msgspec

from shared.contract.conversation import Conversation
from shared.contract.facts import (
    AddressAsked,
    ConversationClaimed,
    ConversationHandedBack,
    ConversationResolved,
    ConversationTransferred,
    OperatorFact,
    OperatorSaid,
    RatingAsked,
)
from shared.contract.roles import Role


class Operator(msgspec.Struct, frozen=True):
    """Who acts: the account's ``name``, and ``display``, the name that visitors see."""

    name: str
    display: str
    role: Role = "operator"


class NotYours(msgspec.Struct, frozen=True):
    """Refused: someone else has the conversation. ``operator`` is "" when no person has it."""

    operator: str
    operator_name: str
    error: str


Decision = tuple[OperatorFact, ...] | NotYours


def claim(state: Conversation, who: Operator) -> Decision:
    """Take the conversation over. No facts: it is this operator's already."""
    if state.ownership.owner != "operator":
        return (ConversationClaimed(operator=who.name, name=who.display),)
    return () if state.ownership.operator == who.name else _not_yours(state)


def take_over(state: Conversation, who: Operator, owner: str) -> Decision:
    """Take the conversation over from ``owner``: an account that cannot log in any more, or any, for a
    supervisor. Where somebody else has it by now, it is asked for again.
    """
    if not state.ownership.is_of(owner) or owner == who.name:
        return claim(state, who)
    return (ConversationTransferred(operator=owner, to=who.name, name=who.display),)


def say(state: Conversation, who: Operator, text: str) -> Decision:
    """Speak to the visitor."""
    if not state.ownership.is_of(who.name):
        return _not_yours(state)
    return (OperatorSaid(operator=who.name, text=text, name=who.display),)


def hand_back(state: Conversation, who: Operator, place: str | None) -> Decision:
    """Let the bot go on, at the flow's state ``place`` or where it was."""
    if not state.ownership.is_of(who.name):
        return _not_yours(state)
    return (ConversationHandedBack(operator=who.name, state=place),)


def transfer(state: Conversation, who: Operator, to: Operator, note: str = "") -> Decision:
    """Let another operator go on. No facts: it is theirs already."""
    if state.ownership.is_of(to.name):
        return ()
    if not state.ownership.is_of(who.name):
        return _not_yours(state)
    return (ConversationTransferred(operator=who.name, to=to.name, name=to.display, note=note),)


def give(state: Conversation, to: Operator, by: Operator, owner: str) -> Decision:
    """Let ``to`` go on, as a supervisor says who thinks that ``owner`` has it ("": nobody). No facts: it is
    theirs already.
    """
    ownership = state.ownership
    if ownership.is_of(to.name):
        return ()
    if ownership.status == "resolved":
        return NotYours("", "", "the conversation is resolved: reopen it first")
    if ownership.owner != "operator":
        return (ConversationClaimed(operator=to.name, name=to.display, by=by.name),)
    if ownership.operator != owner:
        return _not_yours(state)
    return (ConversationTransferred(operator=owner, to=to.name, name=to.display, by=by.name),)


def release(state: Conversation, who: Operator, queue: str | None, note: str = "") -> Decision:
    """Let the visitor wait in ``queue`` again; None: in the one where they waited last."""
    if not state.ownership.is_of(who.name):
        return _not_yours(state)
    found = state.ownership.queue if queue is None else queue
    return (ConversationTransferred(operator=who.name, queue=found, note=note),)


def lapse(state: Conversation, operator: str, missed: bool = False) -> Decision:
    """Let somebody else go on: the operator has not been there for long, or ``missed`` to answer what they
    were given. No facts: it is theirs no more.
    """
    if not state.ownership.is_of(operator):
        return ()
    queue = state.ownership.queue
    return (ConversationTransferred(operator=operator, queue=queue, lapsed=True, missed=missed),)


def give_out(state: Conversation, to: Operator) -> Decision:
    """Give what waits in a queue to the next who is free. No facts: it does not wait there any more."""
    if state.ownership.owner != "queue":
        return ()
    return (ConversationClaimed(operator=to.name, name=to.display, automatic=True),)


def resolve(state: Conversation, who: Operator) -> Decision:
    """Close the conversation as done."""
    return (
        (ConversationResolved(operator=who.name),) if state.ownership.is_of(who.name) else _not_yours(state)
    )


def resolve_unjoined(state: Conversation, who: Operator) -> Decision:
    """Close a conversation as done that nobody owns, or this operator. No facts: it is closed."""
    if state.ownership.owner == "operator":
        return resolve(state, who)
    if state.ownership.status == "resolved":
        return ()
    return (ConversationResolved(operator=who.name, unjoined=True),)


def reopen(state: Conversation, who: Operator) -> Decision:
    """Take a conversation that is resolved, and go on with it. No facts: it is this operator's already."""
    if state.ownership.owner == "operator" or state.ownership.status == "resolved":
        return claim(state, who)
    return NotYours("", "", "this conversation is not resolved: claim it to take it over")


def ask_rating(state: Conversation, who: Operator) -> Decision:
    """Ask the visitor how it was. No facts: they were asked already in this matter, or have said so."""
    if state.asked.rating:
        return ()
    if not state.visit.started or not (
        state.ownership.status == "resolved" or state.ownership.is_of(who.name)
    ):
        return _not_yours(state)
    return (RatingAsked(operator=who.name, name=who.display),)


def ask_address(state: Conversation, who: Operator, text: str) -> Decision:
    """Ask the visitor for an e-mail address. No facts: it was asked last, and is not answered."""
    if not state.ownership.is_of(who.name):
        return _not_yours(state)
    if state.asked.last == "address":
        return ()
    return (AddressAsked(operator=who.name, text=text, name=who.display),)


def may_type(state: Conversation, who: Operator) -> Decision:
    """Whether the visitor may see this operator typing; never any facts."""
    return () if state.ownership.is_of(who.name) else _not_yours(state)


def _not_yours(state: Conversation) -> NotYours:
    if state.ownership.owner == "operator":
        name = state.ownership.operator_name or state.ownership.operator
        return NotYours(state.ownership.operator, name, f"taken by {name}")
    where = "waits in a queue" if state.ownership.owner == "queue" else "is with the bot"
    return NotYours("", "", f"nobody has this conversation, it {where}: claim it first")
