"""What a flow's `service` asks, of real backends over HTTP and NATS: each way to go wrong has a name."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.msg import Msg
from prometheus_client import CollectorRegistry

from services.workflow import backends
from services.workflow.backends import MAX_ANSWER, BackendAnswer, Backends
from shared.flow.decide import CallService
from tests.backend import Backend, Request, says
from tests.conftest import Connections, flushed
from tests.examples import CONVERSATION as C


@pytest.fixture
async def backend() -> AsyncIterator[Backend]:
    async with Backend() as backend:
        yield backend


@pytest.fixture
async def asker(connections: Connections) -> AsyncIterator[Backends]:
    asker = Backends(await connections.client("workflow"), (), CollectorRegistry())
    yield asker
    await asker.close()


async def ask(asker: Backends, url: str = "", **need: Any) -> BackendAnswer:
    return await asker.ask(CallService(state="look up", url=url, **need), C, 17)


async def test_json_is_kept_as_it_is_and_a_part_of_it_can_be_picked(
    asker: Backends, backend: Backend
) -> None:
    backend.will(says({"order": {"items": [{"state": "sent"}]}}))
    assert await ask(asker, backend.url) == BackendAnswer({"order": {"items": [{"state": "sent"}]}})
    assert await ask(asker, backend.url, pick="order.items.0.state") == BackendAnswer("sent")
    assert await ask(asker, backend.url, pick="order.nothing") == BackendAnswer(None)


async def test_a_text_is_kept_as_a_text(asker: Backends, backend: Backend) -> None:
    backend.will(says("sent on Monday", kind="text/plain"), says(b"caf\xe9", kind="text/plain"), says(b""))
    assert await ask(asker, backend.url) == BackendAnswer("sent on Monday")
    assert await ask(asker, backend.url) == BackendAnswer("caf\ufffd")
    assert await ask(asker, backend.url) == BackendAnswer(None)


async def test_method_headers_and_body_are_sent_and_the_key_is_the_same_for_a_repeat(
    asker: Backends, backend: Backend
) -> None:
    for _ in range(2):
        await ask(
            asker,
            f"{backend.url}/orders?id=7",
            method="POST",
            headers={"X-Shop": "one"},
            body=b'{"email":"ada@example.com"}',
        )
    one, again = backend.requests
    assert (one.method, one.path, one.body) == ("POST", "/orders?id=7", b'{"email":"ada@example.com"}')
    assert one.headers["x-shop"] == "one"
    assert one.headers["content-type"] == "application/json"
    assert one.headers["idempotency-key"] == f"{C}:17:look%20up" == again.headers["idempotency-key"]


@pytest.mark.parametrize("name", ["Zoë", "Łucja", " Ann ", "雪"])
async def test_a_header_may_hold_a_visitors_words_in_any_script(
    asker: Backends, backend: Backend, name: str
) -> None:
    assert await ask(asker, backend.url, headers={"X-Name": name}) == BackendAnswer({"ok": True})
    (request,) = backend.requests
    assert request.headers["x-name"].encode("latin-1").decode() == name.strip()


async def test_a_refusal_is_named_by_its_status(asker: Backends, backend: Backend) -> None:
    backend.will(says({"error": "no"}, status=404), says("down", status=503))
    assert await ask(asker, backend.url) == BackendAnswer(failure="status_404")
    assert await ask(asker, backend.url) == BackendAnswer(failure="status_503")


async def test_redirects_are_not_followed(asker: Backends, backend: Backend) -> None:
    async with Backend() as elsewhere:
        backend.will(says("", status=302, location=f"{elsewhere.url}/secret"))
        assert await ask(asker, backend.url) == BackendAnswer(failure="status_302")
        assert elsewhere.requests == []


async def test_nobody_there_is_unreachable(asker: Backends) -> None:
    async with Backend() as gone:
        url = gone.url
    assert await ask(asker, url) == BackendAnswer(failure="unreachable")
    assert await ask(asker, "http://no-such-host.invalid/") == BackendAnswer(failure="unreachable")


async def test_a_broken_answer_is_unreachable(asker: Backends, backend: Backend) -> None:
    async def garbage(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is no HTTP\r\n\r\n")

    async def cut(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")
        writer.close()

    backend.will(garbage, cut)
    assert await ask(asker, backend.url) == BackendAnswer(failure="unreachable")
    assert await ask(asker, backend.url) == BackendAnswer(failure="unreachable")


async def test_a_backend_that_takes_too_long_is_a_timeout(asker: Backends, backend: Backend) -> None:
    async def silent(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def trickling(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    backend.will(silent, trickling)
    assert await ask(asker, backend.url, timeout=0.2) == BackendAnswer(failure="timeout")
    assert await ask(asker, backend.url, timeout=0.2) == BackendAnswer(failure="timeout")


async def test_no_flow_waits_longer_than_the_limit(
    asker: Backends, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    backend.will(silent)
    monkeypatch.setattr(backends, "MAX_SECONDS", 0.2)
    assert await ask(asker, backend.url, timeout=3600) == BackendAnswer(failure="timeout")


async def test_an_answer_that_is_too_large_is_cut_off_whatever_its_length_says(
    asker: Backends, backend: Backend
) -> None:
    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
            await writer.drain()

    backend.will(
        says("x" * (MAX_ANSWER + 1), kind="text/plain"), endless, says("x" * MAX_ANSWER, kind="text/plain")
    )
    assert await ask(asker, backend.url) == BackendAnswer(failure="too_large")
    assert await ask(asker, backend.url) == BackendAnswer(failure="too_large")
    assert await ask(asker, backend.url) == BackendAnswer("x" * MAX_ANSWER)


async def test_what_is_packed_is_not_unpacked(asker: Backends, backend: Backend) -> None:
    backend.will(says(gzip.compress(b"0" * 50_000_000), content_encoding="gzip"))
    assert await ask(asker, backend.url) == BackendAnswer(failure="not_json")
    assert backend.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b'{"a": NaN}', b"\xff", b'"\\ud800"'])
async def test_what_says_that_it_is_json_and_is_none_is_not_json(
    asker: Backends, backend: Backend, body: bytes
) -> None:
    backend.will(says(body))
    assert await ask(asker, backend.url) == BackendAnswer(failure="not_json")


async def test_numbers_of_any_length_are_kept(asker: Backends, backend: Backend) -> None:
    backend.will(says(b"[" + b"9" * 400 + b"]"), says(b"[1e999]"))
    assert await ask(asker, backend.url) == BackendAnswer([int("9" * 400)])
    assert await ask(asker, backend.url) == BackendAnswer(failure="not_json")


async def test_picking_from_what_is_no_json_is_not_json(asker: Backends, backend: Backend) -> None:
    backend.will(says("<html>", kind="text/html"))
    assert await ask(asker, backend.url, pick="a") == BackendAnswer(failure="not_json")


async def test_no_cookie_of_one_call_is_sent_with_the_next(asker: Backends, backend: Backend) -> None:
    backend.will(says({}, set_cookie="session=ada; Path=/"))
    await ask(asker, backend.url)
    await ask(asker, backend.url)
    assert [each.headers.get("cookie") for each in backend.requests] == [None, None]


async def test_only_hosts_that_are_named_are_asked(connections: Connections, backend: Backend) -> None:
    client = await connections.client("workflow")
    for hosts, failure in (
        (("shop.example",), "not_allowed"),
        (("127.0.0.1:1",), "not_allowed"),
        (("127.0.0.1",), ""),
        ((f"127.0.0.1:{backend.port}",), ""),
    ):
        asker = Backends(client, hosts, CollectorRegistry())
        assert (await ask(asker, backend.url)).failure == failure, hosts
        await asker.close()
    assert len(backend.requests) == 2


@pytest.mark.parametrize(
    "need",
    [
        {"url": "file:///etc/passwd"},
        {"url": "http://"},
        {"url": "http://[::1"},
        {"url": "http://127.0.0.1:1/", "headers": {"X": "a\r\nHost: other"}},
        {"subject": "chat.1.2.bot"},
        {"subject": "service"},
        {"subject": "service.>"},
        {"subject": "service.a b"},
        {"subject": "service..a"},
        {"subject": "service.a", "headers": {"X": "a\r\nb: c"}},
        {"url": "", "subject": ""},
    ],
)
async def test_what_cannot_be_asked_is_a_bad_request(asker: Backends, need: dict[str, Any]) -> None:
    answer = await ask(asker, **need)
    assert answer.failure in ("bad_request", "unreachable")
    assert answer.failure == "bad_request" or "127.0.0.1:1/" in need["url"]


async def test_a_backend_over_nats_answers_as_the_backend_user(
    connections: Connections, asker: Backends
) -> None:
    client = await connections.client("backend")
    heard: list[Msg] = []

    async def answer(message: Msg) -> None:
        heard.append(message)
        await message.respond(b'{"state": "sent"}')

    await client.subscribe("service.orders.state", cb=answer)
    await flushed(client)
    found = await ask(asker, subject="service.orders.state", body=b'{"id": 7}', pick="state")
    assert found == BackendAnswer("sent")
    assert heard[0].data == b'{"id": 7}'
    assert (heard[0].headers or {})["Idempotency-Key"] == f"{C}:17:look%20up"


async def test_what_goes_wrong_over_nats_has_a_name(connections: Connections, asker: Backends) -> None:
    client = await connections.client("backend")

    async def fail(message: Msg) -> None:
        await client.publish(
            message.reply, b"", headers={"Nats-Service-Error-Code": "404", "Nats-Service-Error": "no"}
        )

    async def silent(message: Msg) -> None: ...

    async def large(message: Msg) -> None:
        await message.respond(b"x" * (MAX_ANSWER + 1))

    async def text(message: Msg) -> None:
        await message.respond(b"on its way")

    for name, answer in (("fail", fail), ("silent", silent), ("large", large), ("text", text)):
        await client.subscribe(f"service.{name}", cb=answer)
    await flushed(client)
    assert await ask(asker, subject="service.fail") == BackendAnswer(failure="status_404")
    assert await ask(asker, subject="service.silent", timeout=0.2) == BackendAnswer(failure="timeout")
    assert await ask(asker, subject="service.large") == BackendAnswer(failure="too_large")
    assert await ask(asker, subject="service.text") == BackendAnswer("on its way")
    assert await ask(asker, subject="service.text", pick="a") == BackendAnswer(failure="not_json")
    assert await ask(asker, subject="service.nobody") == BackendAnswer(failure="unreachable")


async def test_without_a_connection_nothing_is_asked_later(connections: Connections, asker: Backends) -> None:
    client = await connections.client("backend")
    heard = asyncio.Event()

    async def answer(message: Msg) -> None:
        heard.set()

    await asyncio.to_thread(connections.server.stop)
    async with asyncio.timeout(10):
        while (await ask(asker, subject="service.orders", timeout=0.5)).failure != "unreachable":
            await asyncio.sleep(0.02)
    await asyncio.to_thread(connections.server.start)
    async with asyncio.timeout(10):
        while not client.is_connected:
            await asyncio.sleep(0.02)
    await client.subscribe("service.orders", cb=answer)
    await flushed(client)
    assert not heard.is_set()
