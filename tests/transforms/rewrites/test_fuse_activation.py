from __future__ import annotations

from typing import Any

import pytest

from smidgen.transforms.rewrites import fuse_activation
from tests.transforms.rewrites.hand import Net, Q, ops, rewritten, whys

LAYERS = ["conv", "depthwise", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "AVERAGE_POOL_2D"]


def layer(n: Net, kind: str, **how: Any) -> str:
    if kind in ("conv", "depthwise"):
        made: str = getattr(n, kind)(n.x, *([4] if kind == "conv" else []), **how)
        return made
    if kind == "FULLY_CONNECTED":
        return n.layer(kind, n.x, (5, 108), "fc", **how)
    if kind == "AVERAGE_POOL_2D":
        return n.add(kind, n.x, filter_height=2, filter_width=2, **how)
    return n.add(kind, n.x, n.constant(1, 6, 6, 3), **how)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("activation", ["RELU", "RELU6"])
@pytest.mark.parametrize("kind", LAYERS)
def test_the_layer_before_clamps(kind: str, activation: str, dtype: str) -> None:
    n = Net(dtype)
    graph = n.build(n.add(activation, layer(n, kind), name="out"))
    small, report = rewritten(graph, fuse_activation.RULE)
    assert len(small.nodes) == 1
    assert small.nodes[0].op.fused_activation_function == activation
    assert small.outputs == ("out",)
    assert report.changes[0].what == f"fused into {graph.nodes[0].label}"


def test_another_scale_would_round_differently() -> None:
    n = Net("int8")
    graph = n.build(n.add("RELU", n.conv(n.x, 4), quant=Q(0.05, -128)))
    small, report = rewritten(graph, fuse_activation.RULE)
    assert ops(small) == ["CONV_2D", "RELU"]
    assert whys(report) == ["it changes the scale or zero point, which rounds a second time"]


@pytest.mark.parametrize(
    ("first", "second", "fused"),
    [
        ("RELU", "RELU6", "RELU6"),
        ("RELU6", "RELU", "RELU6"),
        ("RELU", "RELU", "RELU"),
        ("RELU_N1_TO_1", "RELU", None),
    ],
)
def test_two_clamps_become_one_if_there_is_one(first: str, second: str, fused: str | None) -> None:
    n = Net("int8")
    graph = n.build(n.add(second, n.conv(n.x, 4, fused_activation_function=first)))
    small, report = rewritten(graph, fuse_activation.RULE)
    if fused is None:
        assert ops(small) == ["CONV_2D", second]
        assert whys(report) == [f"no activation does what it and {first} do"]
    else:
        assert ops(small) == ["CONV_2D"]
        assert small.nodes[0].op.fused_activation_function == fused


@pytest.mark.parametrize("reader", ["another layer", "an output"])
def test_what_is_needed_without_the_clamp_stays(reader: str) -> None:
    n = Net()
    c = n.conv(n.x, 4)
    graph = n.build(n.add("RELU", c), n.add("TANH", c) if reader == "another layer" else c)
    small, report = rewritten(graph, fuse_activation.RULE)
    assert "RELU" in ops(small)
    assert whys(report) == ["the output of CONV_2D 'conv' is needed without it, too"]


def test_what_has_no_activation_to_fuse_into_is_left_alone() -> None:
    n = Net()
    graph = n.build(n.add("RELU", n.add("TANH", n.x)))
    small, report = rewritten(graph, fuse_activation.RULE)
    assert ops(small) == ["TANH", "RELU"]
    assert not report.refusals
