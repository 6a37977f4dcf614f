"""Webhooks: the signature, the events of an entry, where they may go and when again."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from services.operator import webhook_posts
from services.operator.domain.webhook_delivery import DELAYS, delay_after, is_public
from services.operator.domain.webhook_events import EventOfEntry, body_of, events_of
from services.operator.webhook_posts import WebhookPoster
from shared.contract.desk_facts import AgreedTimeReached
from shared.contract.entry import RecordedEntry
from shared.contract.facts import (
    ConversationClaimed,
    ConversationHandedBack,
    ConversationRated,
    ConversationResolved,
    ConversationTransferred,
    Fact,
    HandoffRequested,
    OperatorSaid,
    TextWritten,
)
from shared.contract.webhooks import WEBHOOK_EVENTS, WebhookEndpoint, make_secret, sign

SECRET = make_secret(bytes(range(32)))


def events(given: RecordedEntry) -> tuple[EventOfEntry, ...]:
    """Where all facts took effect."""
    return events_of(given, given.facts)


def endpoint(url: str = "https://hooks.example/", *, since: int = 0, disabled: str = "") -> WebhookEndpoint:
    return WebhookEndpoint(
        id="e1", url=url, secret=SECRET, events=("message.operator",), since=since, disabled=disabled
    )


def entry(*facts: Fact, position: int = 7, sealed: bool = False) -> RecordedEntry:
    return RecordedEntry(
        position=position,
        conversation="c" * 32,
        author="operator",
        time=0,
        id="a",
        facts=facts,
        sealed=sealed,
    )


class TestSignature:
    def test_is_that_of_the_published_example(self) -> None:
        """https://github.com/standard-webhooks/standard-webhooks, the libraries' tests."""
        headers = sign(
            ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
        )
        assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    @pytest.mark.parametrize("secret", ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_?", "whsec_MfKQ"])
    def test_needs_a_secret_and_does_not_quote_it(self, secret: str) -> None:
        with pytest.raises(ValueError, match=r"whsec_ and base64 of 24 to 64 bytes$"):
            sign([secret], "id", 0, b"")


class TestEndpoint:
    def test_is_told_of_what_it_names_from_when_it_was_added(self) -> None:
        given = endpoint(since=10)
        assert given.wants("message.operator", 10)
        assert not given.wants("message.operator", 9)
        assert not given.wants("conversation.rated", 10)
        assert not endpoint(disabled="gone").wants("message.operator", 10)


class TestEvents:
    def test_each_is_made_of_a_fact(self) -> None:
        made = events(
            entry(
                HandoffRequested(queue="sales"),
                ConversationClaimed(operator="ann"),
                OperatorSaid(operator="ann", text="Hi"),
                ConversationHandedBack(operator="ann"),
                ConversationTransferred(operator="ann"),
                ConversationResolved(operator="ann"),
                ConversationRated(score=5),
                AgreedTimeReached(goal="resolution", queue="sales", due="2023-11-15T08:00:00Z"),
                AgreedTimeReached(goal="resolution", queue="sales", due="2023-11-15T08:00:00Z", over=True),
            )
        )
        assert tuple(each.event for each in made) == WEBHOOK_EVENTS

    def test_most_entries_have_none(self) -> None:
        assert events(entry(TextWritten(session="", text="Hi"))) == ()

    def test_an_id_is_the_same_in_a_resharded_log(self) -> None:
        fact = ConversationClaimed(operator="ann")
        assert events(entry(fact)) == events(entry(fact, position=99))

    def test_two_of_a_kind_have_two_ids(self) -> None:
        said = OperatorSaid(operator="ann", text="Hi")
        first, claimed, second = events(entry(said, ConversationClaimed(operator="ann"), said))
        assert len({first.id, claimed.id, second.id}) == 3
        assert events(entry(said, said))[1] == second

    def test_what_a_receiver_is_sent(self) -> None:
        given = entry(OperatorSaid(operator="ann", text="Hi", name="Ann"))
        (event,) = events(given)
        assert msgspec.json.decode(body_of(given, event, words=False)) == {
            "type": "message.operator",
            "timestamp": "1970-01-01T00:00:00.000Z",
            "data": {"conversation": "c" * 32, "operator": "ann"},
        }
        assert msgspec.json.decode(body_of(given, event, words=True))["data"] == {
            "conversation": "c" * 32,
            "operator": "ann",
            "text": "Hi",
            "name": "Ann",
        }

    def test_words_that_cannot_be_read_are_null(self) -> None:
        given = entry(ConversationRated(score=5), sealed=True)
        (event,) = events(given)
        data = msgspec.json.decode(body_of(given, event, words=True))["data"]
        assert data == {"conversation": "c" * 32, "score": 5, "comment": None}

    def test_a_note_for_colleagues_is_never_sent(self) -> None:
        given = entry(ConversationTransferred(operator="ann", to="bob", note="careful"))
        (event,) = events(given)
        assert b"careful" not in body_of(given, event, words=True)


class TestSchedule:
    def test_ends_after_the_last_delay(self) -> None:
        assert [delay_after(attempt, 0) for attempt in range(1, 10)] == [*DELAYS, None]

    def test_is_longer_by_chance(self) -> None:
        assert delay_after(1, 1) == pytest.approx(6)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111"])
def test_a_public_address(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:8.8.8.8", "::ffff:808:808"),
        *("64:ff9b::808:808", "64:ff9b:1::1", "fec0::1", "::8.8.8.8", "5f00::1", "3fff::1", "2001:db8::1"),
        *("192.88.99.1", "240.0.0.1", "100::1"),
    ],
)
def test_no_public_address(address: str) -> None:
    assert not is_public(address)


class WebhookReceiver:
    """Speaks as much HTTP as it needs, and keeps what it was sent."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.requests: list[tuple[dict[str, str], bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head)}
        self.requests.append((headers, await reader.readexactly(int(headers["content-length"]))))
        if self.status == "silence":
            await reader.read()  # until the sender goes
            writer.close()
            return
        writer.write(f"HTTP/1.1 {self.status}\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(
    status: str, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[WebhookReceiver, str]]:
    receiver = WebhookReceiver(status)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    async with server:
        yield receiver, f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}/hook"


def certified(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A receiver's TLS with a certificate for this name, and a sender's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "receiver.pem"
    pem = certificate.public_bytes(Encoding.PEM)
    file.write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    receiver = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    receiver.load_cert_chain(file)
    return receiver, ssl.create_default_context(cadata=pem.decode())


@pytest.fixture
async def poster() -> AsyncIterator[Callable[[bool], WebhookPoster]]:
    made: list[WebhookPoster] = []

    def make(private: bool) -> WebhookPoster:
        made.append(WebhookPoster(private))
        return made[-1]

    yield make
    for each in made:
        await each.close()


class TestPost:
    @pytest.mark.parametrize(
        "status, outcome",
        [
            ("204 No Content", "delivered"),
            ("410 Gone", "gone"),
            ("503 Busy", "failed"),
            ("302 Found", "failed"),
        ],
    )
    async def test_ends_as_the_receiver_says(
        self, status: str, outcome: str, poster: Callable[[bool], WebhookPoster]
    ) -> None:
        async with receiving(status) as (receiver, url):
            assert (await poster(True).post(endpoint(url), "id", b"{}")).result == outcome
        assert len(receiver.requests) == 1  # no redirect was followed

    async def test_is_signed_and_keeps_the_host(self, poster: Callable[[bool], WebhookPoster]) -> None:
        async with receiving("200 OK") as (receiver, url):
            await poster(True).post(endpoint(url), "id", b"{}")
        ((headers, body),) = receiver.requests
        expected = sign([SECRET], "id", int(headers["webhook-timestamp"]), body)
        assert expected.items() <= headers.items()
        assert headers["host"] == url.split("/")[2]

    @pytest.mark.parametrize("scheme", ["http", "https"])
    async def test_goes_to_nothing_inside(self, scheme: str, poster: Callable[[bool], WebhookPoster]) -> None:
        async with receiving("200 OK") as (receiver, url):
            inside = url.replace("http", scheme, 1)
            assert (await poster(False).post(endpoint(inside), "id", b"{}")).result == "refused"
        assert receiver.requests == []

    @pytest.mark.parametrize("name, outcome", [("localhost", "delivered"), ("other.example", "failed")])
    async def test_has_the_certificate_of_the_name_at_the_checked_address(
        self, name: str, outcome: str, tmp_path: Path
    ) -> None:
        theirs, ours = certified(name, tmp_path)
        asked: list[str | None] = []
        theirs.sni_callback = lambda _socket, host, _context: asked.append(host)
        poster = WebhookPoster(True, ours)
        async with receiving("200 OK", theirs) as (receiver, url):
            assert (await poster.post(endpoint(url), "id", b"{}")).result == outcome
        await poster.close()
        assert asked == ["localhost"]
        assert len(receiver.requests) == (outcome == "delivered")

    async def test_fails_where_nobody_listens(self, poster: Callable[[bool], WebhookPoster]) -> None:
        async with receiving("200 OK") as (_, url):
            pass
        assert (await poster(True).post(endpoint(url), "id", b"{}")).result == "failed"

    async def test_is_tried_at_each_address_of_the_name(
        self, poster: Callable[[bool], WebhookPoster], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with receiving("200 OK") as (receiver, url):
            monkeypatch.setattr(webhook_posts, "_look_up", lambda *_: ["127.0.0.9", "127.0.0.1"])
            assert (await poster(True).post(endpoint(url), "id", b"{}")).result == "delivered"
        assert len(receiver.requests) == 1

    async def test_goes_nowhere_if_one_of_the_addresses_is_inside(
        self, poster: Callable[[bool], WebhookPoster], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(webhook_posts, "_look_up", lambda *_: ["8.8.8.8", "127.0.0.1"])
        assert (await poster(False).post(endpoint(), "id", b"{}")).result == "refused"

    async def test_waits_for_no_slow_name_of_others(
        self, poster: Callable[[bool], WebhookPoster], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        over = threading.Event()

        def look_up(host: str, port: int) -> list[str]:
            if host == "slow.example":
                over.wait(30)
                raise OSError("no such name")
            return ["127.0.0.1"]

        monkeypatch.setattr(webhook_posts, "_look_up", look_up)
        one = poster(True)
        slow = [
            asyncio.create_task(one.post(endpoint("http://slow.example/"), "id", b"{}"))
            for _ in range(webhook_posts.LOOK_UPS)
        ]
        await asyncio.sleep(0)
        async with receiving("200 OK") as (_, url), asyncio.timeout(5):
            assert (await one.post(endpoint(url), "id", b"{}")).result == "delivered"
        over.set()
        assert {outcome.why for outcome in await asyncio.gather(*slow)} == {"no such name"}

    @pytest.mark.parametrize(
        "url", ["https://me:secret@hooks.example/", "ftp://hooks.example/", "https:///", "https://a:b/"]
    )
    async def test_goes_to_nothing_that_is_no_address(
        self, url: str, poster: Callable[[bool], WebhookPoster]
    ) -> None:
        outcome = await poster(True).post(endpoint(url), "id", b"{}")
        assert outcome.result == "refused"
        assert "secret" not in outcome.why
