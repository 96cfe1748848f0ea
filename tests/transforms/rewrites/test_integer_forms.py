from __future__ import annotations

import numpy as np
import pytest

from smidgen.data import to_inputs
from smidgen.interpreter import interpret
from smidgen.transforms.quantize import float_layers, quantize
from smidgen.transforms.rewrites import integer_forms
from tests.transforms.rewrites.hand import Net, ops, rewritten


@pytest.mark.parametrize(
    ("op", "constant", "becomes"),
    [
        ("SQUARE", None, ["MUL"]),
        ("NEG", None, ["MUL"]),
        ("DIV", [2.0, -0.5, 3.0], ["MUL"]),
        ("DIV", [2.0, 0.0, 3.0], ["DIV"]),
        ("DIV", [2.0, 1e-45, 3.0], ["DIV"]),
        ("POW", [2.0], ["MUL"]),
        ("POW", [0.5], ["SQRT"]),
        ("POW", [-0.5], ["RSQRT"]),
        ("POW", [3.0], ["POW"]),
        ("POW", [2.0, 2.0, 3.0], ["POW"]),
    ],
)
def test_what_has_an_integer_form_takes_it(
    op: str, constant: list[float] | None, becomes: list[str]
) -> None:
    n = Net("float32")
    x = n.add("MAXIMUM", n.x, n.b.constant(np.array([0.1], np.float32)))
    operands = [x] if constant is None else [x, n.b.constant(np.array(constant, np.float32))]
    graph = n.build(n.add(op, *operands))
    if "DIV" in becomes:  # infinite results are compared nowhere
        small, report = integer_forms.RULE(graph)[0], None
    else:
        small, report = rewritten(graph, integer_forms.RULE, tolerance=1e-6)
    assert ops(small) == ["MAXIMUM", *becomes]
    assert report is None or bool(report.changes) == (op not in becomes)


def test_a_quotient_keeps_its_activation() -> None:
    n = Net("float32")
    four = n.b.constant(np.full(1, 4, np.float32))
    y = n.add("DIV", n.x, four, fused_activation_function="RELU6")
    small, _ = rewritten(n.build(y), integer_forms.RULE)
    (node,) = small.nodes
    assert node.op.fused_activation_function == "RELU6"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "becomes"),
    [
        ({}, "MEAN"),
        ({"padding": "SAME", "stride_h": 6, "stride_w": 6}, "MEAN"),
        ({"padding": "SAME", "stride_h": 3, "stride_w": 6}, "AVERAGE_POOL_2D"),
        ({"filter_height": 5}, "AVERAGE_POOL_2D"),
        ({"fused_activation_function": "RELU"}, "AVERAGE_POOL_2D"),
    ],
)
def test_an_average_over_the_whole_image_is_a_mean(
    options: dict[str, object], becomes: str
) -> None:
    n = Net("float32")
    size = {"filter_height": 6, "filter_width": 6, "padding": "VALID", "stride_h": 1, "stride_w": 1}
    graph = n.build(n.add("AVERAGE_POOL_2D", n.x, **size | options))
    small, _ = rewritten(graph, integer_forms.RULE, tolerance=1e-6)
    assert ops(small) == [becomes]


def test_such_an_average_has_a_scale_of_its_own() -> None:
    n = Net("float32")
    pooled = n.add("AVERAGE_POOL_2D", n.x, filter_height=6, filter_width=6)
    samples = np.random.default_rng(0).exponential(1, (64, 6, 6, 3)).astype(np.float32)
    integer = quantize(n.build(pooled), samples)
    types = [integer.type(name) for name in (*integer.inputs, *integer.outputs)]
    finer, coarser = types[1].quant, types[0].quant
    assert finer is not None and coarser is not None and finer.scales[0] < coarser.scales[0] / 2
    (got,) = interpret(integer, to_inputs(integer, [samples]))
    error = (got.astype(float) - finer.zero_points[0]) * finer.scales[0] - samples.mean(
        (1, 2), keepdims=True
    )
    assert np.abs(error).max() < coarser.scales[0] / 2


def test_they_are_integer_layers_then() -> None:
    n = Net("float32")
    y = n.add("SQUARE", n.add("NEG", n.x))
    samples = np.random.default_rng(0).normal(0, 1, (16, 6, 6, 3)).astype(np.float32)
    integer = quantize(n.build(y), samples)
    assert float_layers(integer) == []
    assert ops(integer) == ["MUL", "MUL"]
