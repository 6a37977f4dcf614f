"""What every door asks the edge: addresses, origins, limits, bodies."""

from __future__ import annotations

from typing import Any

import pytest

from services.proxy.admission import Admission, BodyRefused, Refusal
from services.proxy.domain import close_codes
from services.proxy.settings import ProxySettings
from shared.service.health import Health

SHOP = "https://shop.example"


class TurnedClock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def scope(client: str = "192.0.2.1", **headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "client": (client, 4711), "headers": raw}


def edge(clock: TurnedClock | None = None, **settings: Any) -> Admission:
    return Admission(ProxySettings(origins=(SHOP,), **settings), Health("test"), clock or TurnedClock())


def counted(edge_health: Health, name: str, **labels: str) -> float | None:
    return edge_health.registry.get_sample_value(name, labels)


# --- limits -----------------------------------------------------------------------------------


def test_messages_of_a_visitor_count_together_over_all_doors() -> None:
    clock = TurnedClock()
    one = edge(clock, message_burst=2, messages_per_minute=6)
    assert one.message("ann", "websocket") is None
    assert one.message("ann", "rest") is None
    assert one.message("bob", "rest") is None
    refusal = one.message("ann", "websocket")
    assert refusal == Refusal("too many messages", 10)
    clock.now += refusal.retry_after_seconds
    assert one.message("ann", "websocket") is None


def test_a_refusal_reads_the_same_everywhere() -> None:
    refusal = Refusal("too many connects", 12)
    assert refusal.text == "too many connects; come back in 12 s"
    closing = close_codes.too_many(*refusal)
    assert (closing.code, closing.reason, closing.reconnect) == (4029, refusal.text, "later")
    assert len(closing.reason.encode()) <= 123


def test_connects_are_counted_by_address() -> None:
    one = edge(connect_burst=1, connects_per_minute=1)
    assert one.connect(one.address(scope("192.0.2.1")), "rest") is None
    assert one.connect(one.address(scope("192.0.2.2")), "rest") is None
    assert one.connect(one.address(scope("192.0.2.1")), "rest") == Refusal("too many connects", 60)


def test_a_place_that_was_left_is_free_and_one_that_was_refused_was_never_taken() -> None:
    health = Health("test")
    one = Admission(ProxySettings(max_sockets=1), health, TurnedClock())
    assert one.enter("rest", "ann", "192.0.2.1") is None
    assert one.enter("rest", "bob", "192.0.2.1") == Refusal("too many sockets in all", 10)
    assert counted(health, "switchboard_sockets_open", door="rest") == 1
    one.leave("rest", "ann", "192.0.2.1")
    assert one.enter("rest", "bob", "192.0.2.1") is None
    assert counted(health, "switchboard_sockets_open", door="rest") == 1
    assert counted(health, "switchboard_limited_total", door="rest", limit="sockets_in_all") == 1


# --- addresses --------------------------------------------------------------------------------


def test_whoever_is_not_trusted_says_nothing_about_addresses() -> None:
    assert edge().address(scope("192.0.2.1", x_forwarded_for="203.0.113.9")) == "192.0.2.1"


def test_where_every_proxy_is_trusted_the_nearest_ones_word_counts() -> None:
    one = edge(trusted_proxies=("*",))
    assert one.address(scope("10.0.0.1", x_forwarded_for="198.51.100.1, 203.0.113.9")) == "203.0.113.9"
    assert one.address(scope("10.0.0.1")) == "10.0.0.1"


def test_a_request_without_a_peer_has_an_address_too() -> None:
    assert edge().address({**scope(), "client": None}) == ""


# --- origins ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "ok"),
    [(SHOP, True), ("http://chat.example", True), ("https://evil.test", False), ("null", False)],
)
def test_origins_are_exact_at_every_door(origin: str, ok: bool) -> None:
    health = Health("test")
    one = Admission(ProxySettings(origins=(SHOP,)), health, TurnedClock())
    assert one.origin_ok(scope(origin=origin, host="chat.example"), "rest") is ok
    assert counted(health, "switchboard_origin_refused_total", door="rest") == (None if ok else 1)


def test_no_origin_is_no_browser() -> None:
    assert edge().origin_ok(scope(host="chat.example"), "rest")


def test_two_origins_are_none_that_may_enter() -> None:
    twice = scope()
    twice["headers"] = [(b"origin", SHOP.encode()), (b"origin", SHOP.encode())]
    assert not edge().origin_ok(twice, "rest")


def test_an_allowed_page_may_read_the_answer_and_caches_know_for_whom_it_is() -> None:
    assert edge().cors(scope(origin=SHOP)) == [
        (b"vary", b"Origin"),
        (b"access-control-allow-origin", SHOP.encode()),
    ]
    assert edge().cors(scope()) == [(b"vary", b"Origin")]


# --- bodies -----------------------------------------------------------------------------------


async def read(*messages: dict[str, Any]) -> bytes:
    coming = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(coming)

    return await edge().body(receive)


def part(body: bytes, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_is_read_whole() -> None:
    assert await read(part(b"one ", True), part(b"two", False)) == b"one two"
    assert await read(part(b"x" * 65536, False)) == b"x" * 65536


async def test_a_body_that_is_too_large_is_not_read_to_its_end() -> None:
    with pytest.raises(BodyRefused, match="larger than 64 KiB") as refused:
        await read(part(b"x" * 65536, True), part(b"x", True))
    assert refused.value.status == 413


async def test_half_a_body_is_none() -> None:
    with pytest.raises(BodyRefused, match="ended early"):
        await read(part(b"half", True), {"type": "http.disconnect"})


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"cookie_partitioned": True}, "SWITCHBOARD_COOKIE_SAMESITE=none"),
        ({"cookie_partitioned": True, "cookie_samesite": "strict"}, "SWITCHBOARD_COOKIE_SAMESITE=none"),
        (
            {"cookie_partitioned": True, "cookie_samesite": "none", "cookie_secure": "no"},
            "SWITCHBOARD_COOKIE_SECURE to yes or auto",
        ),
    ],
)
def test_a_cookie_that_browsers_would_drop_is_refused_at_the_start(
    settings: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(ValueError, match=remedy):
        ProxySettings(**settings)
    ProxySettings(cookie_partitioned=True, cookie_samesite="none")
