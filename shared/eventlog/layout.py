"""Where the entries of a log are: its streams, their subjects, and which key belongs to which.

``<prefix>.<shard>.<key>.<author>`` holds an entry. A key lives in exactly one stream, by its shard. The
server republishes each stored entry to ``live.<stream>.<shard>.<key>.<author>``.

A log may have asides: ``<aside>.<shard>.<key>.<aside>`` holds what is noted about a key, in the key's stream.
Nobody's expectation over the key's entries covers them, so they refuse nothing. To readers they are entries
whose author has the name of the aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.shards import SHARDS, shard_of

#: The most streams of a log. The servers' permissions name each of them.
MAX_STREAMS: Final = 8
#: Where the metadata of the first stream say that there are 0 streams, a log is being copied into others.
UNFINISHED: Final = "the log is being copied into other streams: run `switchboard reshard` again to finish it"


class Position(NamedTuple):
    """The place of an entry: the number of its stream, and its sequence there, from 1 on.

    Of two entries of one key the later one has the larger sequence. Between streams sequences say nothing.
    """

    stream: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A log of ``streams`` streams, ``<name>-0`` to ``<name>-<streams - 1>``.

    ``aside`` is what the subjects of its asides begin and end with; "": it has none.
    """

    name: str
    prefix: str
    streams: int = 1
    aside: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.streams <= MAX_STREAMS:
            raise ValueError(f"a log has 1 to {MAX_STREAMS} streams, not {self.streams}")

    @property
    def names(self) -> tuple[str, ...]:
        """The streams' names, by their numbers."""
        return tuple(f"{self.name}-{number}" for number in range(self.streams))

    def stream_of(self, key: str) -> int:
        """The number of the key's stream."""
        return shard_of(key) % self.streams

    def subject(self, key: str, author: str) -> str:
        """Where the author's entries of the key are, or the asides."""
        prefix = self.aside if author == self.aside else self.prefix
        return f"{prefix}.{shard_of(key)}.{key}.{author}"

    def everyone(self, key: str) -> str:
        """The filter over all authors of the key: what an expectation guards."""
        return f"{self.prefix}.{shard_of(key)}.{key}.*"

    def everything(self, key: str) -> str:
        """The filter over all of the key, its asides too: what the expectation of an aside guards."""
        return f"*.{shard_of(key)}.{key}.*" if self.aside else self.everyone(key)

    @property
    def subjects(self) -> str:
        """The filter over all entries of all streams, asides too."""
        return "*.*.*.*" if self.aside else f"{self.prefix}.*.*.*"

    def subjects_of(self, stream: int) -> list[str]:
        """The filters over the entries of one stream, and over its asides."""
        kinds = [(self.prefix, "*"), *([(self.aside, self.aside)] if self.aside else [])]
        if self.streams == 1:
            return [f"{prefix}.*.*.{author}" for prefix, author in kinds]
        shards = range(stream, SHARDS, self.streams)
        return [f"{prefix}.{shard}.*.{author}" for prefix, author in kinds for shard in shards]

    def live(self, stream: int) -> str:
        """The filter over what the server republishes of a stream."""
        return f"live.{stream}.*.*.*"

    def live_mapping(self, stream: int) -> str:
        """To where the server republishes an entry of a stream."""
        first = 2 if self.aside else 1  # the shard's among the wildcards of `subjects`
        shard, key, author = (f"{{{{wildcard({first + each})}}}}" for each in range(3))
        return f"live.{stream}.{shard}.{key}.{author}"


def key_and_author(subject: str) -> tuple[str, str]:
    """What an entry's subject names, live or stored."""
    _, key, author = subject.rsplit(".", 2)
    return key, author


def replay_consumer(reader: str) -> str:
    """The durable consumer, of each stream, through which ``reader`` replays."""
    return f"replay-{reader}"


def replay_delivery(stream: int, reader: str) -> str:
    """The subject to which that durable delivers."""
    return f"deliver.replay.{reader}.{stream}"
