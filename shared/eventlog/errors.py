"""What an append or a read can meet."""

from __future__ import annotations


class LogError(Exception):
    """The base of what an append or a read can meet."""


class Conflict(LogError):
    """Something came between: the expectation did not hold.

    After a retry this may also be the caller's own first try: look for your own entry in the fold
    before you decide again.
    """


class Unknown(LogError):
    """No answer in time. The entry may or may not be stored; the same id may be sent again."""


class Full(LogError):
    """The log has no room. Nothing was stored."""


class IdReused(LogError):
    """The id was used before, with another content."""


class Unreachable(LogError):
    """The log could not be read in time."""


class NoAnswer(Unreachable):
    """Nobody answered in time: asked again, somebody may."""
