from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smidgen.ops import get_op
from smidgen.transforms.rewrites import fold_batch_norm, fold_pad, simplify
from tests.transforms.rewrites.hand import Net, ops, rewritten, whys

CLOSE = 1e-4  # folding changes the order of float operations


def norm(n: Net, x: str, name: str = "bn", **fixed: float) -> str:
    """A batch normalization with random statistics, or with some of them fixed."""
    channels = n.b.type(x).shape[-1]
    statistics = {
        "gamma": n.rng.uniform(0.5, 1.5, channels),
        "beta": n.rng.normal(0, 1, channels),
        "mean": n.rng.normal(0, 1, channels),
        "variance": n.rng.uniform(0.1, 2, channels),
    } | {key: np.full(channels, value) for key, value in fixed.items()}
    operands = [n.b.constant(a.astype(np.float32), name=key) for key, a in statistics.items()]
    return n.b.add(get_op("BATCH_NORM")(), [x, *operands], name=name)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", ["conv", "depthwise", "multiplier", "grouped", "fc"])
def test_the_layer_before_takes_it_in(kind: str, bias: bool) -> None:
    n = Net()
    layers: dict[str, Any] = {
        "conv": lambda: n.conv(n.x, 4, bias=bias, padding="SAME"),
        "depthwise": lambda: n.depthwise(n.x, bias=bias),
        "multiplier": lambda: n.depthwise(n.x, multiplier=2, bias=bias, padding="SAME"),
        "grouped": lambda: n.layer("CONV_2D", n.x, (6, 3, 3, 1), "grouped", bias=bias),
        "fc": lambda: n.layer("FULLY_CONNECTED", n.x, (5, 108), "fc", bias=bias),
    }
    graph = n.build(norm(n, layers[kind](), name="out"))
    small, report = rewritten(graph, fold_batch_norm.RULE, tolerance=CLOSE)
    assert len(small.nodes) == 1
    assert len(small.nodes[0].inputs) == 3
    assert report.changes[0].what.startswith("folded into ")
    assert report.changes[0].what.endswith(" before it")


@pytest.mark.parametrize(
    "kind", ["conv", "depthwise", "multiplier", "grouped", "fc", "fc of pixels"]
)
def test_the_layer_after_takes_it_in(kind: str) -> None:
    n = Net(image=(1, 6, 6, 4))
    bn = norm(n, n.add("TANH", n.x))
    layers: dict[str, Any] = {
        "conv": lambda: n.conv(bn, 3),
        "depthwise": lambda: n.depthwise(bn),
        "multiplier": lambda: n.depthwise(bn, multiplier=3),
        "grouped": lambda: n.layer("CONV_2D", bn, (6, 3, 3, 2), "grouped"),
        "fc": lambda: n.layer("FULLY_CONNECTED", bn, (5, 144), "fc"),
        "fc of pixels": lambda: n.layer("FULLY_CONNECTED", bn, (5, 4), "fc", bias=False),
    }
    small, report = rewritten(n.build(layers[kind]()), fold_batch_norm.RULE, tolerance=CLOSE)
    assert len(small.nodes) == 2
    assert report.changes[0].what.endswith(" after it")


def test_all_layers_after_take_it_in_or_none() -> None:
    n = Net()
    bn = norm(n, n.add("TANH", n.x))
    graph = n.build(n.conv(bn, 3, "a"), n.conv(bn, 2, "b"))
    assert ops(rewritten(graph, fold_batch_norm.RULE, tolerance=CLOSE)[0]) == [
        "TANH",
        "CONV_2D",
        "CONV_2D",
    ]
    graph = n.build(n.conv(bn, 3, "c"), n.add("TANH", bn))
    small, _ = rewritten(graph, fold_batch_norm.RULE, tolerance=CLOSE)
    assert "MUL" in ops(small)


def test_padding_is_zero_after_the_normalization_not_before() -> None:
    n = Net()
    graph = n.build(n.conv(norm(n, n.add("TANH", n.x)), 3, padding="SAME"))
    small, report = rewritten(graph, fold_batch_norm.RULE, tolerance=CLOSE)
    assert ops(small) == ["TANH", "MUL", "ADD", "CONV_2D"]
    assert report.changes[0].what == "now a MUL and an ADD: no layer can take it in"


@pytest.mark.parametrize(
    ("how", "fixed"),
    [
        ({"padding": "SAME", "kernel": 1}, {}),  # nothing hangs over the border
        ({"padding": "SAME"}, {"beta": 0.0, "mean": 0.0}),  # zero stays zero
    ],
)
def test_padding_that_does_not_matter(how: dict[str, Any], fixed: dict[str, float]) -> None:
    n = Net()
    graph = n.build(n.conv(norm(n, n.add("TANH", n.x), **fixed), 3, **how))
    small, _ = rewritten(graph, fold_batch_norm.RULE, tolerance=CLOSE)
    assert ops(small) == ["TANH", "CONV_2D"]


@pytest.mark.parametrize("case", ["activation", "read twice", "output"])
def test_a_layer_before_that_others_see_is_left_alone(case: str) -> None:
    n = Net()
    how = {"fused_activation_function": "RELU"} if case == "activation" else {}
    c = n.conv(n.x, 4, **how)
    outputs = [norm(n, c)]
    outputs += [c] if case == "output" else [n.add("TANH", c)] if case == "read twice" else []
    small, _ = rewritten(n.build(*outputs), fold_batch_norm.RULE, tolerance=CLOSE)
    assert "BATCH_NORM" not in ops(small)
    assert {"MUL", "ADD"} <= set(ops(small))


def test_shared_weights_are_not_changed_for_the_other_layer() -> None:
    n = Net()
    w = n.constant(4, 3, 3, 3, name="w")
    a, b = (n.b.add(get_op("CONV_2D")(), [n.x, w], name=name) for name in "ab")
    graph = n.build(norm(n, a), n.add("TANH", b))
    small, _ = rewritten(graph, fold_batch_norm.RULE, tolerance=CLOSE)
    assert "BATCH_NORM" not in ops(small)
    assert np.array_equal(small.data(small.producers["b"].inputs[1]), graph.data(w))


def test_statistics_computed_at_run_time_are_refused() -> None:
    n = Net()
    c = n.conv(n.x, 3)
    mean = n.add("MEAN", n.add("RELU", n.x), axis=(0, 1, 2))
    statistics = [n.add("RESHAPE", mean, new_shape=(3,))] * 4
    graph = n.build(n.b.add(get_op("BATCH_NORM")(), [c, *statistics]))
    small, report = rewritten(graph, fold_batch_norm.RULE, tolerance=CLOSE)
    assert "BATCH_NORM" in ops(small)
    assert whys(report) == ["its statistics are computed at run time"]


def test_a_pad_between_is_folded_first() -> None:
    n = Net()
    p = n.add("PAD", n.x, paddings=((0, 0), (1, 1), (1, 1), (0, 0)))
    graph = n.build(n.add("RELU", norm(n, n.conv(p, 4))))
    small, _ = rewritten(graph, fold_pad.RULE, fold_batch_norm.RULE, tolerance=CLOSE)
    assert ops(small) == ["CONV_2D", "RELU"]
    assert ops(simplify(graph)) == ["CONV_2D"]


@pytest.mark.parametrize("seed", range(60))
def test_random_chains_mean_the_same(seed: int) -> None:
    """Layers, activations, pads and normalizations in any order."""
    n = Net(image=(1, 7, 6, 4), seed=seed)
    x = n.x
    for i in range(int(n.rng.integers(3, 9))):
        padding = (
            str(n.rng.choice(["SAME", "VALID"])) if min(n.b.type(x).shape[1:3]) > 3 else "SAME"
        )
        kind = int(n.rng.integers(6))
        if kind == 0:
            x = n.conv(x, int(n.rng.integers(1, 6)), f"conv{i}", padding=padding)
        elif kind == 1:
            x = n.depthwise(x, f"dw{i}", multiplier=int(n.rng.integers(1, 3)), padding=padding)
        elif kind == 2:
            x = n.add(str(n.rng.choice(["RELU", "RELU6", "TANH"])), x)
        elif kind == 3:
            x = n.add("PAD", x, paddings=((0, 0), (1, 1), (1, 1), (0, 0)))
        else:
            x = norm(n, x, f"bn{i}")
    graph = n.build(n.layer("FULLY_CONNECTED", x, (3, int(np.prod(n.b.type(x).shape))), "fc"))
    rules = (fold_pad.RULE, fold_batch_norm.RULE)
    small, _ = rewritten(graph, *rules, tolerance=1e-3)
    assert "BATCH_NORM" not in ops(small)
