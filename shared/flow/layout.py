"""Where to draw boxes and arrows: in layers from top to bottom, arrows forward where they can be. Pure.

The steps are those of Sugiyama, Tagawa and Toda (1981): break circles, put each box on a layer, order
each layer so that few arrows cross, then find a place for each box near what it is joined to. Between
two layers of boxes lies one of labels, so that a label never covers anything.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

GAP: Final = 26.0
LAYER_GAP: Final = 16.0
#: Room that an arrow takes where it passes a layer.
LANE: Final = 10.0
_SWEEPS: Final = 24


class Size(msgspec.Struct, frozen=True):
    width: float
    height: float


class LayoutEdge(msgspec.Struct, frozen=True):
    """From box to box, with the size of its label."""

    source: str
    target: str
    label: Size = Size(0, 0)


class Point(msgspec.Struct, frozen=True):
    x: float
    y: float


class GraphLayout(msgspec.Struct, frozen=True):
    """``boxes``: the middle of each. ``lines``: each edge's points from source to target.

    ``labels``: the middle of each edge's label.
    """

    size: Size
    boxes: Mapping[str, Point]
    lines: Sequence[tuple[Point, ...]]
    labels: Sequence[Point]


class _Node:
    """A box, or a place where an edge passes a layer."""

    __slots__ = ("above", "below", "height", "layer", "width", "x")

    def __init__(self, layer: int, width: float, height: float) -> None:
        self.layer = layer
        self.width = width
        self.height = height
        self.x = 0.0
        self.above: list[_Node] = []
        self.below: list[_Node] = []


def layout(boxes: Mapping[str, Size], edges: Sequence[LayoutEdge]) -> GraphLayout:
    """Places for all boxes and edges. Edges from a box to itself must not be among them."""
    backward = _backward(boxes, edges)
    ranks = _ranks(boxes, edges, backward)
    nodes = {name: _Node(ranks[name] * 2, size.width, size.height) for name, size in boxes.items()}
    chains = [_chain(nodes, edge, flipped) for edge, flipped in zip(edges, backward, strict=True)]
    layers: list[list[_Node]] = [[] for _ in range(max(ranks.values(), default=0) * 2 + 1)]
    for node in [*nodes.values(), *(node for chain in chains for node in chain[1:-1])]:
        layers[node.layer].append(node)
    layers = _ordered(layers)
    _place(layers)
    return _drawn(nodes, layers, chains, backward)


def _backward(boxes: Iterable[str], edges: Sequence[LayoutEdge]) -> list[bool]:
    """Which edges lead back to where a walk from the first box came from."""
    out: dict[str, list[int]] = {name: [] for name in boxes}
    for number, edge in enumerate(edges):
        out[edge.source].append(number)
    flipped = [False] * len(edges)
    done: set[str] = set()
    for start in out:
        trail = {start: iter(out[start])} if start not in done else {}
        while trail:
            name = next(reversed(trail))
            for number in trail[name]:
                target = edges[number].target
                if target in trail:
                    flipped[number] = True
                elif target not in done:
                    trail[target] = iter(out[target])
                    break
            else:
                del trail[name]
                done.add(name)
    return flipped


def _ranks(boxes: Iterable[str], edges: Sequence[LayoutEdge], backward: Sequence[bool]) -> dict[str, int]:
    """Each box below all that lead to it."""
    before: dict[str, list[str]] = {name: [] for name in boxes}
    after: dict[str, list[str]] = {name: [] for name in before}
    for edge, flipped in zip(edges, backward, strict=True):
        source, target = (edge.target, edge.source) if flipped else (edge.source, edge.target)
        before[target].append(source)
        after[source].append(target)
    left = {name: len(sources) for name, sources in before.items()}
    ready = [name for name, count in left.items() if not count]
    ranks: dict[str, int] = {}
    while ready:
        name = ready.pop()
        ranks[name] = max((ranks[source] + 1 for source in before[name]), default=0)
        for target in after[name]:
            left[target] -= 1
            if not left[target]:
                ready.append(target)
    return ranks


def _chain(nodes: Mapping[str, _Node], edge: LayoutEdge, flipped: bool) -> list[_Node]:
    """The edge's nodes from the upper box to the lower one; the label is next to where it begins."""
    upper, lower = nodes[edge.source], nodes[edge.target]
    if flipped:
        upper, lower = lower, upper
    chain = [upper]
    labelled = lower.layer - 1 if flipped else upper.layer + 1
    for layer in range(upper.layer + 1, lower.layer):
        width, height = (edge.label.width, edge.label.height) if layer == labelled else (0.0, 0.0)
        chain.append(_Node(layer, max(width, LANE), height))
    chain.append(lower)
    for one, other in itertools.pairwise(chain):
        one.below.append(other)
        other.above.append(one)
    return chain


def _ordered(layers: list[list[_Node]]) -> list[list[_Node]]:
    """The layers, each ordered by the middle of its neighbours, up and down, and the best of it kept."""
    best, fewest = layers, _crossings(layers)
    current = [list(layer) for layer in layers]
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in current if down else reversed(current):
            place = {id(node): index for each in current for index, node in enumerate(each)}

            def middle(node: _Node, down: bool = down, place: Mapping[int, int] = place) -> float:
                neighbours = node.above if down else node.below
                if not neighbours:
                    return float(place[id(node)])
                return sum(place[id(each)] for each in neighbours) / len(neighbours)

            layer.sort(key=middle)
        if (count := _crossings(current)) < fewest:
            best, fewest = [list(layer) for layer in current], count
    return best


def _crossings(layers: Sequence[Sequence[_Node]]) -> int:
    count = 0
    for upper, lower in itertools.pairwise(layers):
        place = {id(node): index for index, node in enumerate(lower)}
        ends = [
            place[id(below)] for node in upper for below in sorted(node.below, key=lambda n: place[id(n)])
        ]
        for index, end in enumerate(ends):
            count += sum(end > other for other in ends[index + 1 :])
    return count


def _place(layers: Sequence[Sequence[_Node]]) -> None:
    """Each node as near as may be to the middle of its neighbours."""
    for layer in layers:
        x = 0.0
        for node in layer:
            node.x = x + node.width / 2
            x += node.width + GAP
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wished = []
            for node in layer:
                neighbours = node.above if down else node.below
                neighbours = neighbours or node.below or node.above
                wished.append(sum(each.x for each in neighbours) / len(neighbours) if neighbours else node.x)
            for node, x in zip(layer, _apart(layer, wished), strict=True):
                node.x = x


def _apart(layer: Sequence[_Node], wished: Sequence[float]) -> list[float]:
    """The places nearest to the wished ones (least squares) that keep the order and the gaps.

    Without the gaps it is isotonic regression: pool adjacent violators.
    """
    offsets, offset = [], 0.0
    for index, node in enumerate(layer):
        if index:
            offset += (layer[index - 1].width + node.width) / 2 + GAP
        offsets.append(offset)
    pools: list[tuple[float, int]] = []  # mean, count
    for wish, offset in zip(wished, offsets, strict=True):
        pools.append((wish - offset, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, many), (other, more) = pools[-2:]
            pools[-2:] = [((one * many + other * more) / (many + more), many + more)]
    means = [mean for mean, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _drawn(
    nodes: Mapping[str, _Node],
    layers: Sequence[Sequence[_Node]],
    chains: Sequence[Sequence[_Node]],
    backward: Sequence[bool],
) -> GraphLayout:
    every = [node for layer in layers for node in layer]
    left = min((node.x - node.width / 2 for node in every), default=0.0)
    width = max((node.x + node.width / 2 for node in every), default=0.0) - left
    tops, y = [], 0.0
    for layer in layers:
        tops.append(y)
        y += max((node.height for node in layer), default=0.0) + LAYER_GAP
    heights = [max((node.height for node in layer), default=0.0) for layer in layers]

    def middle(node: _Node) -> Point:
        return Point(node.x - left, tops[node.layer] + heights[node.layer] / 2)

    leaving, coming = _ports(chains, False), _ports(chains, True)
    lines, labels = [], []
    for number, chain in enumerate(chains):
        upper, lower = chain[0], chain[-1]
        first, last = middle(upper), middle(lower)
        points = [Point(first.x + leaving[number], first.y + upper.height / 2)]
        for node in chain[1:-1]:
            at = middle(node)
            half = heights[node.layer] / 2
            points += [Point(at.x, at.y - half), Point(at.x, at.y + half)] if half else [at]
        points.append(Point(last.x + coming[number], last.y - lower.height / 2))
        labelled = chain[-2] if backward[number] else chain[1]
        labels.append(middle(labelled))
        lines.append(tuple(reversed(points)) if backward[number] else tuple(points))
    size = Size(width, max(0.0, y - LAYER_GAP))
    return GraphLayout(size, {name: middle(node) for name, node in nodes.items()}, lines, labels)


def _ports(chains: Sequence[Sequence[_Node]], at_end: bool) -> list[float]:
    """How far from the middle of its box each edge leaves (or comes in), so that they do not meet."""
    sharing: dict[int, list[int]] = {}
    for number, chain in enumerate(chains):
        sharing.setdefault(id(chain[-1 if at_end else 0]), []).append(number)
    found = [0.0] * len(chains)
    for numbers in sharing.values():
        box = chains[numbers[0]][-1 if at_end else 0]
        numbers.sort(key=lambda number: chains[number][-2 if at_end else 1].x)
        step = min(22.0, box.width * 0.7 / len(numbers))
        for index, number in enumerate(numbers):
            found[number] = (index - (len(numbers) - 1) / 2) * step
    return found
