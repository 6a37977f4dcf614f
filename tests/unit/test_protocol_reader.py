"""The live feed's reader of the NATS protocol: whole entries out of any pieces of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.eventlog.messages import StoredMessage
from shared.eventlog.protocol_reader import MAX_LINE, Live, ProtocolError, ProtocolReader
from shared.eventlog.request_multiplexer import Reply
from shared.shards import shard_of
from shared.timestamps import parse_time
from tests.examples import CONVERSATION as C

EVERYONE = f"chat.{shard_of(C)}.{C}.*"
STORED = "2026-01-31T12:00:00.1234567Z"
INFO = b'INFO {"server_id":"X","tls_required":true,"max_payload":1048576} \r\n'


def message(position: int, body: bytes, *headers: str, author: str = "visitor", reply: str = "") -> bytes:
    """An entry as nats-server republishes it: the publisher's headers, then its own."""
    own = [
        "Nats-Stream: CHAT-0",
        f"Nats-Subject: chat.{shard_of(C)}.{C}.{author}",
        f"Nats-Sequence: {position}",
        f"Nats-Time-Stamp: {STORED}",
        "Nats-Last-Sequence: 0",
    ]
    return bare(body, *headers, *own, author=author, reply=reply)


def bare(body: bytes, *headers: str, author: str = "visitor", reply: str = "") -> bytes:
    head = "\r\n".join(["NATS/1.0", *headers, "", ""]).encode()
    between = f" {reply}" if reply else ""
    line = f"HMSG live.3.{shard_of(C)}.{C}.{author} 1{between} {len(head)} {len(head) + len(body)}\r\n"
    return line.encode() + head + body + b"\r\n"


def expecting(position: int, over: str = "") -> list[str]:
    return [
        f"Nats-Expected-Last-Subject-Sequence: {position}",
        f"Nats-Expected-Last-Subject-Sequence-Subject: {over or EVERYONE}",
    ]


def test_what_comes_to_a_subscription_of_a_consumers_is_pushed_if_it_may_be_answered() -> None:
    pushed: list[tuple[str, str, bytes]] = []
    entries: list[StoredMessage] = []
    reader = ProtocolReader(
        {b"1": Live(3, entries.append)}, pushes={b"3": lambda *message: pushed.append(message)}
    )
    reader.receive(message(3, b"body", reply="$JS.ACK.x").replace(b" 1 ", b" 3 ", 1))
    reader.receive(b"MSG timer.due.x 3 $JS.ACK.y 4\r\nwhen\r\n")
    reader.receive(b"MSG nobodys 9 $JS.ACK.z 4\r\nlost\r\n")
    reader.receive(b"HMSG _INBOX.x.9 3 27 27\r\nNATS/1.0 409 Leadership\r\n\r\n\r\n")
    assert pushed == [
        (f"live.3.{shard_of(C)}.{C}.visitor", "$JS.ACK.x", b"body"),
        ("timer.due.x", "$JS.ACK.y", b"when"),
    ]
    assert entries == []


def test_what_comes_to_the_second_subscription_answers_a_request() -> None:
    replies: list[tuple[str, Reply]] = []
    entries: list[StoredMessage] = []
    reader = ProtocolReader(
        {b"1": Live(3, entries.append)}, lambda subject, reply: replies.append((subject, reply))
    )
    reader.receive(b'MSG _INBOX.x.7 2 9\r\n{"seq":4}\r\n')
    reader.receive(message(3, b"body").replace(b" 1 ", b" 2 ", 1))
    reader.receive(b"HMSG _INBOX.x.9 2 16 16\r\nNATS/1.0 503\r\n\r\n\r\n")
    [acknowledged, found, nobody] = replies
    assert acknowledged == ("_INBOX.x.7", Reply(b"", b'{"seq":4}'))
    assert acknowledged[1].status == ""
    assert found[1].status == ""
    assert found[1].value(b"Nats-Subject") == f"chat.{shard_of(C)}.{C}.visitor"
    assert found[1].value(b"Nats-Sequence") == "3"
    assert found[1].value(b"Nats-Pending") is None
    assert (nobody[1].status, nobody[1].data) == ("503", b"")
    assert entries == []


def test_of_two_headers_of_one_name_the_servers_counts() -> None:
    [forged], *_ = read(message(3, b"body", "Nats-Sequence: 99"))
    assert forged.sequence == 3


def test_a_request_that_is_forbidden_does_not_end_the_feed() -> None:
    refusal = b"-ERR 'Permissions Violation for Publish to \"chat.7.x.bot\"'\r\n"
    found, *_ = read(refusal, message(3, b"body"))
    assert [each.sequence for each in found] == [3]


def read(*pieces: bytes) -> tuple[list[StoredMessage], bytes, ProtocolReader]:
    found: list[StoredMessage] = []
    reader = ProtocolReader({b"1": Live(3, found.append)})
    return found, b"".join(reader.receive(piece) for piece in pieces), reader


@given(st.lists(st.integers(1, 400), max_size=12))
def test_entries_come_whole_however_the_bytes_are_cut(cuts: list[int]) -> None:
    stream = (
        INFO
        + b"PING\r\n"
        + message(3, b'{"id":"\r\nHMSG x 1 2 3\r\n"}', "Nats-Msg-Id: visitor:x:1")
        + b"+OK\r\nPONG\r\n"
        + message(4, b"", author="bot", reply="_INBOX.x")
        + f"MSG live.3.{shard_of(C)}.{C}.bot 1 5\r\nPING\r\r\n".encode()
        + b"PING\r\n"
    )
    pieces = []
    for cut in cuts:
        pieces.append(stream[:cut])
        stream = stream[cut:]
    found, answer, reader = read(*pieces, stream)
    assert [(each.sequence, each.author, each.data) for each in found] == [
        (3, "visitor", b'{"id":"\r\nHMSG x 1 2 3\r\n"}'),
        (4, "bot", b""),
    ]
    assert {(each.key, each.time) for each in found} == {(C, parse_time(STORED))}
    assert (answer, reader.pongs) == (b"PONG\r\nPONG\r\n", 1)
    assert reader.info is not None
    assert reader.info.tls_required


@pytest.mark.parametrize(
    "headers, first",
    [
        (expecting(0), True),
        (expecting(3), False),
        (expecting(0, "chat.7.other.*"), False),
        (expecting(0)[:1], False),
        ([], False),
    ],
)
def test_only_what_the_server_proved_to_be_first_is_told_as_first(headers: list[str], first: bool) -> None:
    [found], _, _ = read(message(1, b"{}", *headers))
    assert found.first is first


def test_of_marks_written_twice_the_servers_own_count() -> None:
    forged = ["Nats-Sequence: 99", "Nats-Time-Stamp: 1999-01-01T00:00:00Z"]
    [found], _, _ = read(message(7, b"{}", *forged))
    assert (found.sequence, found.time) == (7, parse_time(STORED))


@pytest.mark.parametrize(
    "stranger",
    [
        bare(b"{}"),
        bare(b"{}", "Nats-Sequence: 7"),
        bare(b"\r\nNats-Sequence: 7\r\nNats-Time-Stamp: 1999-01-01T00:00:00Z\r\n"),
        f"MSG live.3.{shard_of(C)}.{C}.bot 1 2\r\n{{}}\r\n".encode(),
    ],
    ids=["no marks", "half of them", "in the body", "no headers"],
)
def test_what_lacks_the_servers_marks_is_no_entry(stranger: bytes) -> None:
    found, _, _ = read(stranger, message(8, b"{}"))
    assert [each.sequence for each in found] == [8]


@pytest.mark.parametrize(
    "ends, reason",
    [
        (b"-ERR 'Permissions Violation for Subscription to \"live\"'\r\n", "Permissions Violation"),
        (b"HTTP/1.1 400 Bad Request\r\n", "no NATS"),
        (b"HMSG live.0.1.x.bot 1 20 99999999999\r\n", "a message of 100000000039 bytes"),
        (b"x" * (MAX_LINE + 1), "without an end"),
    ],
)
def test_what_the_server_should_not_say_ends_the_connection(ends: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        read(ends)
