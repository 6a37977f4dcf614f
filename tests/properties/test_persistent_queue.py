"""The queue of which every version stays what it was, held against a tuple along every branch."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from shared.contract.persistent_queue import PersistentQueue


class Item(NamedTuple):
    position: int
    name: int


#: At which version to go on; then a position to take away, or how far behind the last an item comes.
steps = st.lists(st.tuples(st.integers(0, 200), st.booleans(), st.integers(0, 3)), max_size=120)


@given(steps)
def test_every_version_stays_what_it_was_whatever_becomes_of_it(steps: list[tuple[int, bool, int]]) -> None:
    versions = [(PersistentQueue[Item](), tuple[Item, ...]())]
    for number, (at, adds, far) in enumerate(steps):
        queue, model = versions[-1 - at % min(3, len(versions))]
        if adds or not model:
            item = Item(far + (model[-1].position if model else 0), number)
            versions.append((queue.plus(item), (*model, item)))
        else:
            position = model[far % len(model)].position
            left = tuple(item for item in model if item.position != position)
            versions.append((queue.without(position), left))
    for queue, model in versions:
        assert queue == model
        assert tuple(queue) == model
        assert (len(queue), bool(queue), hash(queue)) == (len(model), bool(model), hash(model))
        assert queue[:1] == model[:1]
        assert not model or (queue[0], queue[-1]) == (model[0], model[-1])
        for position in range(max((item.position for item in model), default=0) + 2):
            assert queue.at(position) == [item for item in model if item.position == position]
            if not queue.at(position):
                assert queue.without(position) is queue


def test_what_was_taken_is_let_go_of_though_something_always_waits() -> None:
    queue = PersistentQueue([Item(0, 0)])
    for number in range(1, 10_000):
        queue = queue.plus(Item(number, number)).without(number - 1)
    assert len(queue) == 1
    assert len(queue._items) < 1_000
