"""What a browser calls itself, in a few words: the same as tests/console/presence.test.js says."""

from __future__ import annotations

import time

import pytest

from services.operator.domain.browsers import browser_name

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
WINDOWS = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT}"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    "agent, name",
    [
        (f"{WINDOWS} Chrome/128.0.0.0 Safari/537.36", "Chrome 128, Windows"),
        (f"{WINDOWS} Chrome/128.0.0.0 Safari/537.36 Edg/127.0.0.0", "Edge 127, Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox 128, Linux"),
        (f"{PHONE} Version/17.5 Mobile/15E148 Safari/604.1", "Safari 17, iPhone"),
        (f"{MAC} Version/17.5 Safari/605.1.15", "Safari 17, macOS"),
        ("python-httpx/0.28.1", "python-httpx/0.28.1"),
        ("", ""),
        ("a\x1b[31mred\nline " + "x" * 1000, "a[31mredline " + "x" * 27),
        ("Firefox/" + "1" * 1000, "Firefox 111111111"),
    ],
)
def test_a_browser_is_named_by_the_one_of_its_names_that_is_its_own(agent: str, name: str) -> None:
    assert browser_name(agent) == name


def test_strangers_words_take_no_long_time() -> None:
    began = time.perf_counter()
    for agent in ("Version/1/" * 10_000, "Version/1" + " " * 100_000, "/" * 100_000):
        browser_name(agent)
    assert time.perf_counter() - began < 0.5
