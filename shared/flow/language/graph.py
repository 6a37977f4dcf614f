"""A flow as a graph: which ways lead out of each state. For the checks, and for whoever draws it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from shared.flow.language.state import ExpectedAnswer, FlowState

Kind = Literal["next", "when", "answer", "fallback", "after", "nobody", "onError", "goTo", "call"]


class Edge(NamedTuple):
    """A way from one state to another. ``label``: the condition, the delay, or what the visitor answers."""

    source: str
    target: str
    kind: Kind
    label: str = ""
    at_once: bool = False  # it is taken without waiting for anybody


def named(state: FlowState) -> Iterator[Edge]:
    """The ways that the state itself names, whether the states they lead to exist or not."""
    waits = state.waits
    for branch in state.branches:
        yield Edge(state.name, branch.next, "when", branch.when.source, not waits)
    if state.next is not None:
        yield Edge(state.name, state.next, "next", "", not waits)
    if state.fallback is not None and state.fallback.next is not None:
        yield Edge(state.name, state.fallback.next, "fallback")
    for timer in state.after:
        if timer.next is not None:
            yield Edge(state.name, timer.next, "after", f"{timer.seconds} s")
    desk = state.desk or (state.assistant.desk if state.assistant else None)
    if desk and desk.nobody and desk.nobody.next is not None:
        yield Edge(state.name, desk.nobody.next, "nobody", "", not state.asks)
    if state.service and state.service.on_error is not None:
        yield Edge(state.name, state.service.on_error, "onError", "", True)
    if state.assistant:
        yield Edge(state.name, state.assistant.on_error, "onError", "", not waits)
        for target in state.assistant.go_to:
            yield Edge(state.name, target, "goTo", "", not waits)


def ways(
    states: Mapping[str, FlowState],
    takers: Mapping[ExpectedAnswer, Iterable[str]],
    fallback: str | None = None,
) -> Iterator[Edge]:
    """All ways there are. ``fallback`` is where the settings' own leads."""
    for state in states.values():
        yield from (way for way in named(state) if way.target in states)
        if state.calls is not None and state.calls in states:
            yield Edge(state.name, state.calls, "call", "", True)
        for answer in dict.fromkeys(state.answers):
            for taker in takers.get(answer, ()):
                yield Edge(state.name, taker, "answer", answer.item or "")
        if fallback is None or fallback not in states:
            continue
        if state.asks and not state.assistant and not state.fallback:
            yield Edge(state.name, fallback, "fallback")


def reached(first: str, every: Iterable[Edge]) -> set[str]:
    """All states that a conversation may come to from ``first``."""
    onward: dict[str, list[str]] = {}
    for way in every:
        onward.setdefault(way.source, []).append(way.target)
    seen: set[str] = set()
    ahead = [first]
    while ahead:
        name = ahead.pop()
        if name not in seen:
            seen.add(name)
            ahead += onward.get(name, ())
    return seen


def walked(names: Iterable[str], onward: Callable[[str], Iterable[str]]) -> tuple[list[str], list[list[str]]]:
    """All names, each after those that it leads on to; and the circles that make this impossible."""
    order: list[str] = []
    circles: list[list[str]] = []
    done: set[str] = set()
    for start in names:
        if start in done:
            continue
        path: dict[str, Iterator[str]] = {start: iter(onward(start))}  # depth first, without recursion
        while path:
            name = next(reversed(path))
            for target in path[name]:
                if target in path:
                    trail = list(path)
                    circles.append(trail[trail.index(target) :])
                elif target not in done:
                    path[target] = iter(onward(target))
                    break
            else:
                del path[name]
                done.add(name)
                order.append(name)
    return order, circles
