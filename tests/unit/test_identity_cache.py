"""What is made of the same objects again and again."""

from __future__ import annotations

from services.proxy.domain.identity_cache import IdentityCache


def test_it_is_made_once_for_each_object_not_for_each_value() -> None:
    made: list[list[int]] = []

    def make(source: list[int]) -> int:
        made.append(source)
        return sum(source)

    kept = IdentityCache(make)
    one, same = [1, 2], [1, 2]
    assert [kept(one), kept(one), kept(same), kept(one)] == [3, 3, 3, 3]
    assert len(made) == 2


def test_it_never_confuses_objects_that_come_and_go() -> None:
    kept = IdentityCache[list[int], int](sum, most=3)
    for number in range(1_000):
        assert kept([number]) == number
