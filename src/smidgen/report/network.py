"""A picture of the graph: operators as boxes from top to bottom, values as lines between them.

The layout is the usual one in layers (Sugiyama, Tagawa, Toda, 1981): an operator lies below all it
reads, a line over several layers gets a place in each, and places are sorted by where their
neighbours lie, so that few lines cross.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any

from smidgen.ir import Graph

ROW = 46.0  # between the tops of two layers
BOX = (158.0, 30.0)
GAP = 14.0
_LINE = 10.0  # room that a line takes between boxes
_SWEEPS = 8


def graph_record(graph: Graph) -> dict[str, Any]:
    """What the picture shows, as JSON values: boxes in execution order, and lines between them."""
    boxes: list[dict[str, Any]] = []
    made: dict[str, int] = {}

    def add(kind: str, title: str, shape: tuple[int, ...], reads: Sequence[str | None]) -> int:
        sources = sorted({made[name] for name in reads if name is not None and name in made})
        boxes.append({"kind": kind, "title": title, "shape": list(shape), "reads": sources})
        return len(boxes) - 1

    for name in graph.sources:
        kind = "input" if name in graph.inputs else "state"
        made[name] = add(kind, name, graph.type(name).shape, ())
    for node in graph.nodes:
        number = add("op", node.label, graph.type(node.outputs[0]).shape, node.inputs)
        made.update(dict.fromkeys(node.outputs, number))
    for name in graph.results:
        kind = "output" if name in graph.outputs else "state"
        add(kind, name, graph.type(name).shape, (name,))
    return {"boxes": boxes}


def network(record: dict[str, Any]) -> str:
    """The picture as SVG.

    Args:
        record: from `graph_record`.
    """
    boxes = record["boxes"]
    rows, ends = _rows(boxes)
    rows = _sorted(rows, ends)
    centres, width = _places(rows, len(boxes))
    height = len(rows) * ROW
    parts = []
    for path in ends:
        points = [centres[place] for place in path]
        parts.append(f'<path class="wire" d="{_curve(points)}"/>')
    for i, box in enumerate(boxes):
        x, y = centres[i]
        shown = box["title"].split(" ")[0] if box["kind"] == "op" else box["title"]
        told = escape(f"{box['title']}: {'×'.join(map(str, box['shape']))}")
        css = "a" if box["kind"] == "op" else "c" if box["kind"] == "state" else "b"
        parts.append(
            f'<g class="buffer" tabindex="0"><title>{told}</title>'
            f'<rect class="box {css}" x="{x - BOX[0] / 2:.1f}" y="{y - BOX[1] / 2:.1f}" '
            f'width="{BOX[0]:g}" height="{BOX[1]:g}" rx="5"/>'
            f'<text class="inside" text-anchor="middle" x="{x:.1f}" y="{y - 1:.1f}">'
            f"{escape(_cut(shown))}</text>"
            f'<text class="inside" text-anchor="middle" x="{x:.1f}" y="{y + 11:.1f}">'
            f"{escape('×'.join(map(str, box['shape'])))}</text></g>"
        )
    scale = min(1.0, 960 / width)
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="the network" '
        f'style="width:{width * scale:.0f}px;max-width:100%;margin:auto">{"".join(parts)}</svg>'
    )


def _cut(text: str, length: int = 24) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _rows(boxes: Sequence[dict[str, Any]]) -> tuple[list[list[int]], list[list[int]]]:
    """Places by layer, and the places that each line goes through; lines have places beyond boxes.

    A box is below all that it reads; inputs that are read late come down to their first reader.
    """
    depth = [0] * len(boxes)
    for i, box in enumerate(boxes):
        depth[i] = 1 + max((depth[j] for j in box["reads"]), default=-1)
    first: dict[int, int] = {}
    for i, box in enumerate(boxes):
        for j in box["reads"]:
            first[j] = min(first.get(j, depth[i]), depth[i])
    for i, box in enumerate(boxes):
        if not box["reads"] and i in first:
            depth[i] = first[i] - 1
    rows: list[list[int]] = [[] for _ in range(max(depth, default=0) + 1)]
    for i, at in enumerate(depth):
        rows[at].append(i)
    paths, count = [], len(boxes)
    for i, box in enumerate(boxes):
        for j in box["reads"]:
            path = [j]
            for at in range(depth[j] + 1, depth[i]):
                rows[at].append(count)
                path.append(count)
                count += 1
            paths.append([*path, i])
    return rows, paths


def _sorted(rows: list[list[int]], paths: list[list[int]]) -> list[list[int]]:
    """Each row sorted by the mean position of the neighbours above, then below, and so on."""
    above: dict[int, list[int]] = {}
    below: dict[int, list[int]] = {}
    for path in paths:
        for a, b in pairwise(path):
            above.setdefault(b, []).append(a)
            below.setdefault(a, []).append(b)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for at in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            position = {place: k for k, place in enumerate(rows[at - 1 if down else at + 1])}
            means = {}
            for k, place in enumerate(rows[at]):
                near = [position[n] for n in (above if down else below).get(place, ())]
                means[place] = sum(near) / len(near) if near else float(k)
            rows[at] = sorted(rows[at], key=means.__getitem__)
    return rows


def _places(rows: list[list[int]], boxes: int) -> tuple[dict[int, tuple[float, float]], float]:
    """The centre of every place, and the width of the picture."""

    def room(place: int) -> float:
        return (BOX[0] if place < boxes else _LINE) + GAP

    width = max((sum(map(room, row)) for row in rows), default=0.0) + GAP
    centres = {}
    for at, row in enumerate(rows):
        x = (width - sum(map(room, row))) / 2
        for place in row:
            centres[place] = (x + room(place) / 2, at * ROW + ROW / 2)
            x += room(place)
    return centres, width


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """A smooth line through places, from the bottom of the first box to the top of the last."""
    (x, y), *rest = points
    y += BOX[1] / 2
    text = f"M{x:.1f} {y:.1f}"
    for k, (to_x, to_y) in enumerate(rest):
        end = to_y - BOX[1] / 2 if k == len(rest) - 1 else to_y
        middle = (y + end) / 2
        text += f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {end:.1f}"
        x, y = to_x, end
    return text
