"""The picture of a graph: every operator has a box, lines run downwards, nothing overlaps."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from smidgen import load
from smidgen.report.network import BOX, graph_record, network


def boxes_of(svg: str) -> list[tuple[float, float, str]]:
    found = []
    for group in ElementTree.fromstring(svg).iter("g"):
        (title,), (rect,) = group.findall("title"), group.findall("rect")
        found.append((float(rect.get("x", 0)), float(rect.get("y", 0)), title.text or ""))
    return found


@pytest.mark.parametrize(
    "file",
    ["models/mlperf_tiny/pretrainedResnet.h5", "zoo/yunet_n_320.onnx", "zoo/mww_vad_v2.tflite"],
)
def test_every_operator_is_drawn_below_what_it_reads(shared: Path, file: str) -> None:
    graph = load(shared / file)
    record = graph_record(graph)
    svg = network(record)
    boxes = boxes_of(svg)
    ends = len(graph.sources) + len(graph.results)
    assert len(boxes) == len(record["boxes"]) == len(graph.nodes) + ends
    for node in graph.nodes:
        assert any(title.startswith(node.label) for _, _, title in boxes)
    for (x, y, _), box in zip(boxes, record["boxes"], strict=True):
        assert all(boxes[j][1] < y for j in box["reads"])
        assert x >= 0
    rows: dict[float, list[float]] = {}
    for x, y, _ in boxes:
        rows.setdefault(y, []).append(x)
    assert all(abs(a - b) >= BOX[0] for row in rows.values() for a, b in combinations(row, 2))
    lines = sum(len(box["reads"]) for box in record["boxes"])
    assert len(re.findall('class="wire"', svg)) == lines


def test_names_stay_text() -> None:
    box = {"kind": "input", "title": "<b onclick='x'>", "shape": [1, 2], "reads": []}
    svg = network({"boxes": [box, {**box, "kind": "output", "reads": [0]}]})
    assert [title for _, _, title in boxes_of(svg)] == ["<b onclick='x'>: 1×2"] * 2
