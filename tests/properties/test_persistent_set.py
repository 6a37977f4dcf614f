"""The set that only grows, held against `frozenset` along every branch of a history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.contract.persistent_set import PersistentSet

steps = st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abcdefghij")), max_size=40)


@given(steps)
def test_every_version_stays_what_it_was_whatever_grows_out_of_it(steps: list[tuple[int, str]]) -> None:
    versions = [(PersistentSet(), frozenset[str]())]
    for number, member in steps:
        grown, model = versions[number % len(versions)]
        versions.append((grown.plus(member), model | {member}))
    for grown, model in versions:
        assert frozenset(grown) == model
        assert len(grown) == len(model)
        assert set(grown) == model
        assert hash(grown) == hash(model)
        assert all((member in grown) == (member in model) for member in "abcdefghij")
