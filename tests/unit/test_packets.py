"""What is let through to python-socketio, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.proxy.domain.packets import problem

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text",
    [
        *("40", '40{"token":"x"}', "40/,{}", "40/admin,", "41", "3", "2probe", "5", "1"),
        *('42["a"]', '4217["a",{"b":1}]', '42/,["a"]', "43/,1[]", "431[1]"),
    ],
)
def test_what_clients_send_is_let_through(text: str) -> None:
    assert problem(text) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a packet"),
        ("4", "not a packet"),
        ("0", "not a packet"),
        ("49[]", "not a packet"),
        ('44{"message":"x"}', "not a packet"),
        ("hello", "not a packet"),
        ("40[1]", "auth is not a JSON object"),
        ('40"text"', "auth is not a JSON object"),
        ("40{", "auth is not a JSON object"),
        ("42", "begins with its name"),
        ("42[]", "begins with its name"),
        ("42{}", "begins with its name"),
        ("42[1]", "begins with its name"),
        ('42["a"', "begins with its name"),
        ('42["\\ud800"]', "begins with its name"),
        ('42["a",NaN]', "begins with its name"),
        ("42" + "[" * 20_000, "begins with its name"),
        ("42" + "1" * 16 + '["a"]', "begins with its name"),
        ('42/admin,["a"]', "only the default namespace"),
        ('42["disconnect"]', "not the client's to send"),
        ('42["connect",{}]', "not the client's to send"),
        ('42["*",{}]', "not the client's to send"),
        ('451-["a",{"_placeholder":true,"num":0}]', "binary is not spoken here"),
        ('4599999999-["a"]', "binary is not spoken here"),
        ("461-[]", "binary is not spoken here"),
        ("bAAAA", "binary is not spoken here"),
    ],
)
def test_what_is_wrong_is_said(text: str, reason: str) -> None:
    said = problem(text)
    assert said is not None
    assert reason in said


@given(st.text(max_size=200) | st.text(alphabet='0123456789-/,[]{}":ab', max_size=40))
def test_any_text_is_judged(text: str) -> None:
    assert problem(text) is None or isinstance(problem(text), str)


@given(st.sampled_from(["request", "user_message", "whatever"]), st.lists(JSON, max_size=3))
def test_every_event_in_json_is_let_through(event: str, arguments: list[Any]) -> None:
    assert problem("42" + json.dumps([event, *arguments])) is None
