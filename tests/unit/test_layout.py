"""Where a log's entries are, and how its streams are read as one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.eventlog.layout import MAX_STREAMS, Layout, Position, key_and_author
from shared.eventlog.merging import in_order
from shared.eventlog.messages import StoredMessage
from shared.shards import SHARDS, shard_of


@pytest.mark.parametrize("streams", range(1, MAX_STREAMS + 1))
def test_each_subject_is_one_streams(streams: int) -> None:
    layout = Layout("LOG", "log", streams)
    if streams == 1:
        assert layout.subjects_of(0) == ["log.*.*.*"]
        return
    all_of_them = [subject for stream in range(streams) for subject in layout.subjects_of(stream)]
    assert sorted(all_of_them) == sorted(f"log.{shard}.*.*" for shard in range(SHARDS))
    for key in ("", "a", "foobar"):
        assert f"log.{shard_of(key)}.*.*" in layout.subjects_of(layout.stream_of(key))


def test_a_key_stays_in_its_stream() -> None:
    """Known values: another one would lose what is stored under it."""
    layout = Layout("LOG", "log", 4)
    assert [layout.stream_of(key) for key in ("", "a", "foobar")] == [1, 0, 0]
    assert layout.everyone("a") == "log.44.a.*"
    assert key_and_author("live.2.44.a.writer") == key_and_author("log.44.a.writer") == ("a", "writer")


@pytest.mark.parametrize("streams", range(1, MAX_STREAMS + 1))
def test_asides_are_in_the_stream_of_their_key(streams: int) -> None:
    layout = Layout("LOG", "log", streams, "note")
    all_of_them = [subject for stream in range(streams) for subject in layout.subjects_of(stream)]
    shards = ["*"] if streams == 1 else list(range(SHARDS))
    wanted = [
        f"{prefix}.{shard}.*.{end}" for shard in shards for prefix, end in (("log", "*"), ("note", "note"))
    ]
    assert sorted(all_of_them) == sorted(wanted)
    if streams > 1:
        assert "note.44.*.note" in layout.subjects_of(layout.stream_of("a"))


def test_an_aside_is_covered_by_its_own_expectation_alone() -> None:
    layout = Layout("LOG", "log", 4, "note")
    assert layout.subject("a", "writer") == "log.44.a.writer"
    assert layout.subject("a", "note") == "note.44.a.note"
    assert (layout.everyone("a"), layout.everything("a")) == ("log.44.a.*", "*.44.a.*")
    assert key_and_author("live.2.44.a.note") == key_and_author("note.44.a.note") == ("a", "note")
    without = Layout("LOG", "log", 4)
    assert without.everything("a") == without.everyone("a")


@pytest.mark.parametrize("streams", [0, MAX_STREAMS + 1])
def test_a_log_has_as_many_streams_as_permissions_name(streams: int) -> None:
    with pytest.raises(ValueError, match="1 to 8 streams"):
        Layout("LOG", "log", streams)


async def read(stored: list[StoredMessage], size: int, start: int) -> AsyncIterator[list[StoredMessage]]:
    for at in range(start - 1, len(stored), size):
        yield stored[at : at + size]


TIMES = st.lists(st.integers(0, 9), max_size=12)


@given(st.lists(TIMES, min_size=1, max_size=4), st.booleans(), st.integers(1, 5), st.data())
async def test_streams_are_read_in_the_order_of_time_and_each_in_its_own(
    times: list[list[int]], steady: bool, size: int, data: st.DataObject
) -> None:
    """Whatever the sizes of the batches, and also where a server's clock was set back."""
    times = [sorted(each) for each in times] if steady else times
    streams = [
        [StoredMessage(at + 1, "key", "a", time, b"", stream=stream) for at, time in enumerate(each)]
        for stream, each in enumerate(times)
    ]
    starts = [data.draw(st.integers(1, len(each) + 1)) for each in streams]
    ends = [data.draw(st.integers(0, len(each))) for each in streams]
    reads = [partial(read, each, size) for each in streams]

    merged = [message async for batch in in_order(reads, starts, ends) for message in batch]

    wanted = [each[start - 1 : end] for each, start, end in zip(streams, starts, ends, strict=True)]
    for stream, messages in enumerate(wanted):
        assert [message for message in merged if message.stream == stream] == messages
    if steady:
        assert merged == sorted(merged, key=lambda message: (message.time, message.stream, message.sequence))
    assert len(merged) == sum(map(len, wanted))


async def test_of_two_streams_what_was_stored_first_comes_first() -> None:
    first, second, third = (
        StoredMessage(sequence, "key", "a", time, b"", stream=stream)
        for sequence, time, stream in ((1, 10, 0), (1, 20, 1), (2, 30, 0))
    )
    reads = [partial(read, [first, third], 9), partial(read, [second], 9)]
    batches = [batch async for batch in in_order(reads, [1, 1], [2, 1])]
    assert [message for batch in batches for message in batch] == [first, second, third]


def test_a_position_is_ordered_within_its_stream() -> None:
    assert Position(0, 9) < Position(0, 10)
    assert StoredMessage(7, "key", "a", 1, b"", stream=2).position == (2, 7)
