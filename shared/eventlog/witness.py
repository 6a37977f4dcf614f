"""What the readers and writers of a stream tell its follower: see `Follower`."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Appended(NamedTuple):
    """What was to be stored."""

    key: str
    author: str
    data: bytes


class Witness(Protocol):
    """Is told all that anybody here learns of a stream, to find out later whether it still holds."""

    @property
    def sequence(self) -> int:
        """The sequence of the newest entry of the stream that was delivered here, 0 for none."""

    @property
    def losses(self) -> int:
        """How often a connection was lost so far: from each loss on the log may be another."""

    def read(self, losses: int, sequence: int, time: int) -> None:
        """An answer to a read ends with this entry; ``losses`` is as it was when the read was asked for.

        Raises `Unreachable` where one came since: nobody could say which log the answer is of.
        """

    def stored(self, sequence: int, appended: Appended) -> None:
        """The server has acknowledged an append."""
