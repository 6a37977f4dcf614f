"""What deciding needs from outside, and what it is given: a decision that cannot be made yet says why.

Deciding is pure. Where it takes a backend's or the assistant's answer, it gives a `Effect`; the edge
performs that, and asks again with the answer.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from shared.contract.queue_figures import QueueFigures


class Moment(msgspec.Struct, frozen=True):
    """What the world is like at the time of a decision.

    ``now`` in nanoseconds since 1970, UTC; ``operators`` how many people are present, -1 for unknown
    (somebody is assumed); ``inactivity`` in seconds, after which a silent conversation ends, 0 for never;
    ``thanks`` in seconds, for which mere thanks do not reopen what an operator closed, 0 for not at all;
    ``queues`` how they stand, as far as that is known.
    """

    now: int
    operators: int = -1
    inactivity: int = 0
    queues: Mapping[str, QueueFigures] = {}
    thanks: int = 0


class CallService(msgspec.Struct, frozen=True, kw_only=True):
    """Ask a backend: over HTTP (``url``) or NATS (``subject``), one of which is "".

    The answer belongs on the log, as a `ServiceAnswered` for this cause and ``state``; ``value`` is
    what `picked` takes out of the answer by ``pick``. ``timeout`` in seconds.
    """

    state: str
    url: str = ""
    subject: str = ""
    method: str = "GET"
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    timeout: float = 5.0
    pick: str = ""


class Generate(msgspec.Struct, frozen=True, kw_only=True):
    """Let the assistant speak. ``system`` is ready to be sent; "", 0 and None mean the settings' own.

    ``go_to`` are the states that it may choose from; ``handoff`` says whether it may ask for a person.
    ``asked`` is what it answers to where that is not the conversation so far (an agent's question).
    """

    state: str
    system: str
    asked: str | None = None
    model: str = ""
    max_tokens: int = 0
    temperature: float | None = None
    go_to: tuple[str, ...] = ()
    handoff: bool = False


Effect = CallService | Generate


class HandoffRequest(msgspec.Struct, frozen=True):
    """The assistant asks for a person."""

    reason: str = ""


class GoTo(msgspec.Struct, frozen=True):
    """The assistant wants the flow to go on at ``state``, one of `Generate.go_to`."""

    state: str


class Generated(msgspec.Struct, frozen=True, kw_only=True):
    """What the assistant said, exactly as it was streamed, and what it took.

    ``cost`` in millionths of the price's currency unit; ``estimated`` where the provider did not count.
    """

    text: str
    tool: HandoffRequest | GoTo | None = None
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost: int = 0
    estimated: bool = False
    attempt: int = 1


class GenerationFailed(msgspec.Struct, frozen=True, kw_only=True):
    """The assistant gave no whole answer. ``text`` is what was streamed before it broke off."""

    reason: str
    attempt: int = 1
    text: str = ""


#: What the assistant answered so far in this turn, by the name of the state.
Results = Mapping[str, Generated | GenerationFailed]
NO_RESULTS: Results = {}
