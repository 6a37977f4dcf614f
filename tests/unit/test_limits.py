"""The limits' arithmetic: token buckets and places, with a clock that the tests turn."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.proxy.domain import addresses
from services.proxy.domain.limits import Buckets, Places

KEYS = st.sampled_from(["a", "b", "c"])
#: Who comes, and how long after the one before (seconds).
COMING = st.lists(st.tuples(KEYS, st.floats(0, 40)), max_size=200)
BURST, PER_MINUTE = 5, 30


def test_a_burst_passes_and_the_next_is_told_when_to_come_back() -> None:
    buckets = Buckets(burst=2, per_minute=60)
    assert [buckets.take("ann", 100.0), buckets.take("ann", 100.0)] == [0.0, 0.0]
    assert buckets.take("ann", 100.0) == pytest.approx(1.0)
    assert buckets.wait("ann", 100.0) == pytest.approx(1.0)
    assert buckets.wait("bob", 100.0) == 0.0
    assert buckets.take("bob", 100.0) == 0.0
    assert buckets.take("ann", 100.5) == pytest.approx(0.5)  # asking too early costs nothing


@given(st.integers(1, 50), st.integers(1, 10_000), st.floats(0, 1e7))
def test_who_comes_back_at_the_time_that_was_named_is_let_in(burst: int, per_minute: int, now: float) -> None:
    buckets = Buckets(burst, per_minute)
    while not (wait := buckets.take("ann", now)):
        pass
    assert buckets.take("ann", now + math.ceil(wait)) == 0.0


@given(COMING)
def test_no_stretch_of_time_lets_more_in_than_the_burst_and_the_rate(coming: list[tuple[str, float]]) -> None:
    buckets = Buckets(BURST, PER_MINUTE)
    now = 0.0
    entered: dict[str, list[float]] = {}
    for key, pause in coming:
        now += pause
        if buckets.take(key, now) == 0.0:
            entered.setdefault(key, []).append(now)
    for times in entered.values():
        for first, begin in enumerate(times):
            for last in range(first, len(times)):
                assert last - first + 1 <= BURST + (times[last] - begin) * PER_MINUTE / 60 + 0.01


@given(COMING)
def test_what_is_forgotten_makes_no_difference(coming: list[tuple[str, float]]) -> None:
    buckets = Buckets(BURST, PER_MINUTE)
    interval = 60 / PER_MINUTE
    everything: dict[str, float] = {}  # the same arithmetic by one who never forgets
    now = 0.0
    for key, pause in coming:
        now += pause
        full_at = max(everything.get(key, now), now) + interval
        wait = full_at - now - BURST * interval
        if wait <= 1e-6:
            everything[key] = full_at
        assert buckets.take(key, now) == (wait if wait > 1e-6 else 0.0)


@given(COMING)
def test_after_a_pause_in_which_all_buckets_filled_only_the_last_are_remembered(
    coming: list[tuple[str, float]],
) -> None:
    buckets = Buckets(BURST, PER_MINUTE)
    now = 0.0
    for key, pause in coming:
        now += pause
        buckets.take(key, now)
    buckets.take("the first after the pause", now + 2 * BURST * 60 / PER_MINUTE + 1)
    assert len(buckets) == 1


def test_a_flood_of_invented_keys_takes_a_bounded_room() -> None:
    buckets = Buckets(burst=5, per_minute=5, most_keys=1_000)
    for number in range(50_000):
        assert buckets.take(str(number), number / 1e6) == 0.0
        assert len(buckets) <= 2_000


# --- places -----------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), KEYS, KEYS), max_size=100))
def test_places_are_never_more_than_the_limits_and_all_come_back(
    steps: list[tuple[bool, str, str]],
) -> None:
    places = Places(in_all=5, per_visitor=3, per_address=4)
    taken: list[tuple[str, str]] = []
    for comes, visitor, address in steps:
        by_visitor, by_address = Counter(v for v, _ in taken), Counter(a for _, a in taken)
        if comes:
            full = places.enter(visitor, address)
            free = len(taken) < 5 and by_visitor[visitor] < 3 and by_address[address] < 4
            assert (full is None) == free
            if free:
                taken.append((visitor, address))
        elif taken:
            places.leave(*taken.pop())
        assert len(places) == len(taken)
    for pair in taken:
        places.leave(*pair)
    assert [places.enter("a", "a") for _ in range(3)] == [None] * 3
    assert places.enter("a", "b") == "of this visitor"
    assert places.enter("b", "a") is None
    assert places.enter("c", "a") == "from this address"
    assert places.enter("c", "b") is None
    assert places.enter("c", "c") == "in all"


# --- addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unknown", "unknown"),
        ("x" * 1000, "x" * 64),
    ],
)
def test_who_has_one_ipv6_address_has_its_whole_network(host: str, key: str) -> None:
    assert addresses.counted(host) == key


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("203.0.113.9,", ""),
        ("", ""),
    ],
)
def test_the_nearest_proxys_word_is_the_last_of_the_header(header: str, host: str) -> None:
    assert addresses.last_hop(header) == host
