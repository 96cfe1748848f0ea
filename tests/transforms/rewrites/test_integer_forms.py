from __future__ import annotations

import numpy as np
import pytest

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


def test_they_are_integer_layers_then() -> None:
    n = Net("float32")
    y = n.add("SQUARE", n.add("NEG", n.x))
    samples = np.random.default_rng(0).normal(0, 1, (16, 6, 6, 3)).astype(np.float32)
    integer = quantize(n.build(y), samples)
    assert float_layers(integer) == []
    assert ops(integer) == ["MUL", "MUL"]
