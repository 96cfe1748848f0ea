"""Dead and constant channels go, exactly; the ones that cannot go stay, and it is said why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smidgen.interpreter import interpret, random_inputs
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.numerics.requantize import quantize_multiplier, requantize
from smidgen.ops import get_op
from smidgen.transforms.rewrites import Report, apply, fold_constant_channels
from tests.transforms.rewrites.networks import network

Array = np.ndarray[Any, Any]
Q = QuantParams.per_tensor
RNG = np.random.default_rng(7)
ZERO_POINT = -5  # of every activation


class Net:
    """An int8 network by hand: layers with random weights, which the test then changes."""

    def __init__(self, image: tuple[int, ...] = (1, 4, 4, 3)) -> None:
        self.b = GraphBuilder("net")
        self.x = self.b.input("x", TensorType(image, "int8", Q(0.1, ZERO_POINT)))

    def layer(
        self, op: str, x: str, shape: tuple[int, ...], name: str, bias: bool = True, **how: object
    ) -> str:
        cls = get_op(op)
        axis = 3 if op == "DEPTHWISE_CONV_2D" else 0
        w = RNG.integers(-127, 128, shape).astype(np.int8)
        scales = RNG.uniform(0.001, 0.002, shape[axis])
        operands = [
            x,
            self.b.constant(w, name=f"{name}_w", quant=QuantParams.per_channel(scales, axis)),
        ]
        if bias:
            quant = QuantParams.per_channel(0.1 * scales, 0)
            data = RNG.integers(-900, 900, shape[axis]).astype(np.int32)
            operands.append(self.b.constant(data, name=f"{name}_b", quant=quant))
        return self.b.add(cls(**how), operands, quant=Q(0.1, ZERO_POINT), name=name)

    def conv(self, x: str, channels: int, name: str, kernel: int = 1, **how: object) -> str:
        shape = (channels, kernel, kernel, self.b.type(x).shape[3])
        return self.layer("CONV_2D", x, shape, name, **{"padding": "SAME", **how})

    def depthwise(self, x: str, name: str) -> str:
        shape = (1, 3, 3, self.b.type(x).shape[3])
        return self.layer("DEPTHWISE_CONV_2D", x, shape, name, padding="SAME")

    def add(self, op: str, *operands: str, name: str, **how: object) -> str:
        return self.b.add(get_op(op)(**how), list(operands), quant=Q(0.1, ZERO_POINT), name=name)


def kill(graph: Graph, layer: str, channel: int, value: int) -> None:
    """Make a layer's channel constant: weights of zero, and the bias that gives `value`."""
    node = graph.producers[layer]
    axis = 3 if node.op.name == "DEPTHWISE_CONV_2D" else 0
    np.moveaxis(graph.data(node.inputs[1]), axis, 0)[channel] = 0
    scale = graph.type(node.inputs[2]).quant.scales[channel]
    graph.data(node.inputs[2])[channel] = round((value - ZERO_POINT) * 0.1 / scale)


def fold(graph: Graph) -> tuple[Graph, Report]:
    """The folded graph, proved on 200 inputs under both roundings."""
    small, report = apply(graph, [fold_constant_channels.RULE])
    x = random_inputs(graph, 200)
    for rounding in ("double", "single"):
        before, after = (interpret(g, x, rounding=rounding) for g in (graph, small))
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    return small, report


def channels(graph: Graph, *names: str) -> list[int]:
    return [graph.type(name).shape[-1] for name in names]


def whys(report: Report) -> list[str]:
    return [f"{r.where}: {r.why}" for r in report.refusals]


def test_a_dead_filter_goes_and_its_constant_joins_the_bias() -> None:
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.x, 4, "a"), 2, "y")])
    kill(graph, "a", 1, value=40)
    bias = graph.data("y_b").copy()
    w = graph.data("y_w")[:, 0, 0, 1].astype(int)
    small, report = fold(graph)
    assert channels(small, "a", "y") == [3, 2]
    assert np.array_equal(small.data("y_b"), bias + (40 - ZERO_POINT) * w)
    assert small.data("y_b").dtype == np.int32
    assert small.type("y_b").quant == graph.type("y_b").quant
    assert [(c.where, c.what) for c in report.changes] == [
        ("CONV_2D 'a'", "1 channels are constant or never read")
    ]


def test_a_clamp_that_always_holds_makes_a_channel_constant() -> None:
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.x, 4, "a", fused_activation_function="RELU"), 2, "y")])
    graph.data("a_b")[2] = -(2**24)  # far below zero, whatever the input
    small, _ = fold(graph)
    assert channels(small, "a") == [3]


def test_a_bound_that_inputs_just_reach_keeps_the_channel() -> None:
    """One step of the bias decides whether the clamp always holds; the bounds are exact."""
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.x, 3, "a", fused_activation_function="RELU"), 2, "y")])
    w = graph.data("a_w")[0].astype(int).ravel()
    most = int(np.where(w > 0, w * (127 - ZERO_POINT), w * (-128 - ZERO_POINT)).sum())
    real = graph.type("x").quant.scale * graph.type("a_w").quant.scales[0] / np.float32(0.1)
    multiplier = quantize_multiplier(float(real))
    rises = next(acc for acc in range(10**6) if requantize(acc, *multiplier) > 0)
    graph.data("a_b")[0] = rises - most
    assert channels(fold(graph)[0], "a") == [3]
    graph.data("a_b")[0] = rises - most - 1
    # A single rounding may already rise where a double one does not; allow for one unit.
    graph.data("a_b")[0] -= int(requantize(rises - 1, *multiplier, rounding="single") > 0)
    assert channels(fold(graph)[0], "a") == [2]


def test_a_constant_stays_where_padding_takes_its_place() -> None:
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.x, 4, "a"), 2, "y", kernel=3)])
    kill(graph, "a", 0, value=40)
    small, report = fold(graph)
    assert channels(small, "a") == [4]
    assert whys(report) == [
        "CONV_2D 'y': 1 of its input channels are constant but differ at the border"
    ]


@pytest.mark.parametrize(
    ("value", "how"),
    [(ZERO_POINT, {}), (40, {"padding": "VALID"})],
    ids=["the zero point", "no padding"],
)
def test_a_constant_goes_where_the_border_does_not_show(value: int, how: dict[str, str]) -> None:
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.x, 4, "a"), 2, "y", kernel=3, **how)])
    kill(graph, "a", 0, value)
    assert channels(fold(graph)[0], "a") == [3]


def test_a_constant_under_zero_border_taps_goes() -> None:
    """Only the middle tap reads the channel, and it never meets the border."""
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.x, 4, "a"), 2, "y", kernel=3)])
    kill(graph, "a", 0, value=40)
    middle = graph.data("y_w")[:, 1, 1, 0].copy()
    graph.data("y_w")[..., 0] = 0
    graph.data("y_w")[:, 1, 1, 0] = middle
    assert channels(fold(graph)[0], "a") == [3]


def test_a_constant_passes_through_a_depthwise_layer() -> None:
    n = Net()
    d = n.depthwise(n.conv(n.x, 4, "a"), "d")
    graph = n.b.build([n.conv(d, 2, "y")])
    kill(graph, "a", 1, value=ZERO_POINT)
    small, _ = fold(graph)
    assert channels(small, "a", "d") == [3, 3]
    assert small.type("d_w").shape == (1, 3, 3, 3)


def test_a_depthwise_channel_that_differs_at_the_border_stays() -> None:
    n = Net()
    graph = n.b.build([n.conv(n.depthwise(n.conv(n.x, 4, "a"), "d"), 2, "y")])
    kill(graph, "a", 1, value=60)
    small, report = fold(graph)
    assert channels(small, "a", "d") == [4, 4]
    assert "differ at the border" in whys(report)[0]


def test_an_input_that_a_dead_depthwise_filter_reads_goes_too() -> None:
    n = Net()
    graph = n.b.build([n.conv(n.depthwise(n.conv(n.x, 4, "a"), "d"), 2, "y")])
    kill(graph, "d", 3, value=17)  # its input does vary
    assert channels(fold(graph)[0], "a", "d") == [3, 3]


def test_a_channel_that_nobody_reads_goes() -> None:
    n = Net()
    a = n.conv(n.x, 4, "a")
    graph = n.b.build([n.conv(a, 2, "y", kernel=3), n.conv(a, 2, "z")])
    graph.data("y_w")[..., 2] = 0
    assert channels(fold(graph)[0], "a") == [4]  # z still reads it
    graph.data("z_w")[..., 2] = 0
    assert channels(fold(graph)[0], "a") == [3]


def test_channels_die_in_a_row() -> None:
    """What only a dead channel reads is dead, and so on to the front."""
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.conv(n.x, 4, "a"), 4, "c"), 2, "y")])
    graph.data("y_w")[..., 1] = 0
    for out in (0, 2, 3):
        graph.data("c_w")[out, ..., 2] = 0  # only filter 1 of c reads channel 2 of a
    small, report = fold(graph)
    assert channels(small, "a", "c") == [3, 3]
    assert len(report.changes) == 2


def test_a_sum_needs_both_sides_constant() -> None:
    n = Net()
    a, c = n.conv(n.x, 4, "a"), n.conv(n.x, 4, "c")
    graph = n.b.build([n.conv(n.add("ADD", a, c, name="s"), 2, "y")])
    kill(graph, "a", 0, value=20)
    assert channels(fold(graph)[0], "a", "c", "s") == [4, 4, 4]
    kill(graph, "c", 0, value=-30)
    assert channels(fold(graph)[0], "a", "c", "s") == [3, 3, 3]


def test_a_residual_that_somebody_else_reads_keeps_its_channels() -> None:
    n = Net()
    a = n.conv(n.x, 4, "a")
    c = n.conv(a, 4, "c")
    s = n.add("ADD", a, c, name="s", fused_activation_function="RELU")
    graph = n.b.build([n.conv(s, 2, "y")])
    graph.data("y_w")[..., 1] = 0  # nobody reads channel 1 of the sum
    assert channels(fold(graph)[0], "a", "c", "s") == [4, 4, 4]  # but c reads that of a
    graph.data("c_w")[..., 1] = 0
    assert channels(fold(graph)[0], "a", "c", "s") == [3, 3, 3]


def test_concatenation_shifts_what_follows() -> None:
    n = Net()
    both = n.add("CONCATENATION", n.conv(n.x, 3, "a"), n.conv(n.x, 4, "c"), name="both", axis=3)
    graph = n.b.build([n.conv(both, 2, "y")])
    kill(graph, "a", 0, value=9)
    kill(graph, "c", 3, value=-70)
    small, _ = fold(graph)
    assert channels(small, "a", "c", "both") == [2, 3, 5]


def test_pools_and_a_flattening_reshape_pass_constants_on() -> None:
    n = Net((1, 4, 6, 3))
    p = n.add(
        "AVERAGE_POOL_2D", n.conv(n.x, 4, "a"), name="p",
        filter_height=2, filter_width=2, stride_h=2, stride_w=2,
    )  # fmt: skip
    flat = n.add("RESHAPE", p, name="flat", new_shape=(1, 24))
    graph = n.b.build([n.layer("FULLY_CONNECTED", flat, (5, 24), "y")])
    kill(graph, "a", 2, value=33)
    small, _ = fold(graph)
    assert channels(small, "a", "p", "flat") == [3, 3, 18]
    assert small.type("y_w").shape == (5, 18)
    assert small.producers["flat"].op.new_shape == (1, 18)


def test_a_flattened_constant_may_differ_from_place_to_place() -> None:
    """A fully connected layer has a weight for every pixel, so the border does not matter."""
    n = Net()
    flat = n.add("RESHAPE", n.depthwise(n.conv(n.x, 4, "a"), "d"), name="flat", new_shape=(1, 64))
    graph = n.b.build([n.layer("FULLY_CONNECTED", flat, (5, 64), "y")])
    kill(graph, "a", 1, value=60)
    assert channels(fold(graph)[0], "a", "d") == [3, 3]


def test_a_layer_without_a_bias_gets_one() -> None:
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.x, 4, "a"), 2, "y", bias=False)])
    kill(graph, "a", 1, value=40)
    small, _ = fold(graph)
    name = small.producers["y"].inputs[2]
    scales = [0.1 * s for s in graph.type("y_w").quant.scales]
    assert small.type(name).dtype == "int32"
    assert np.allclose(small.type(name).quant.scales, scales)
    assert small.type(name).quant.axis == 0


def test_a_bias_that_would_overflow_keeps_the_channel() -> None:
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.x, 4, "a"), 2, "y")])
    kill(graph, "a", 1, value=40)
    graph.data("y_w")[0, 0, 0, 1] = 100
    graph.data("y_b")[0] = 2**31 - 1
    small, report = apply(graph, [fold_constant_channels.RULE])
    assert channels(small, "a") == [4]
    assert whys(report) == [
        "CONV_2D 'y': 1 of its input channels are constant, but its bias would overflow"
    ]


def test_inputs_and_outputs_of_the_model_stay() -> None:
    n = Net()
    graph = n.b.build([n.conv(n.x, 4, "y")])
    kill(graph, "y", 1, value=40)
    graph.data("y_w")[..., 0] = 0
    small, report = fold(graph)
    assert not report.changes
    assert small.input_types == graph.input_types


def test_a_layer_whose_channels_are_all_dead_keeps_what_it_must() -> None:
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.x, 4, "a"), 2, "y")])
    for c in range(4):
        kill(graph, "a", c, value=10 * c)
    assert channels(fold(graph)[0], "a") == [2]  # a lone scale could change the multiplier


def test_a_lone_scale_is_not_made() -> None:
    """With one weight scale a FULLY_CONNECTED multiplies scales in float32, with more in double."""
    n = Net()
    h = n.layer(
        "FULLY_CONNECTED", n.b.input("v", TensorType((1, 6), "int8", Q(0.3, 1))), (3, 6), "h"
    )
    graph = n.b.build([n.layer("FULLY_CONNECTED", h, (2, 3), "y"), n.conv(n.x, 1, "z")])
    kill(graph, "h", 0, value=3)
    kill(graph, "h", 1, value=4)
    small, _ = fold(graph)
    assert channels(small, "h") == [2]


def test_a_value_on_which_roundings_differ_is_no_constant() -> None:
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.x, 4, "a"), 2, "y")])
    kill(graph, "a", 1, value=40)
    real = graph.type("x").quant.scale * graph.type("a_w").quant.scales[1] / np.float32(0.1)
    multiplier = quantize_multiplier(float(real))
    acc = np.arange(10**6)
    double, single = (requantize(acc, *multiplier, rounding=r) for r in ("double", "single"))
    near_ties = acc[double != single]
    assert near_ties.size
    graph.data("a_b")[1] = near_ties[0]
    assert channels(fold(graph)[0], "a") == [4]
    graph.data("a_b")[1] = near_ties[0] + 1
    assert channels(fold(graph)[0], "a") == [3]


def test_a_shared_bias_is_split() -> None:
    n = Net()
    scales = QuantParams.per_channel([0.001, 0.002], 0)
    w = RNG.integers(-127, 128, (2, 1, 1, 4)).astype(np.int8)
    bias = n.b.constant(
        np.array([5, 6], np.int32), name="bias", quant=QuantParams.per_channel([1e-4, 2e-4], 0)
    )
    outputs = []
    for name, x in (("y", n.conv(n.x, 4, "a")), ("z", n.conv(n.x, 4, "c"))):
        operands = [x, n.b.constant(w, quant=scales), bias]
        outputs.append(n.b.add(get_op("CONV_2D")(), operands, quant=Q(0.1, 0), name=name))
    graph = n.b.build(outputs)
    kill(graph, "a", 1, value=40)
    small, _ = fold(graph)
    y, z = (small.producers[name].inputs[2] for name in "yz")
    assert small.data(z).tolist() == [5, 6]
    assert small.data(y).tolist() == (np.array([5, 6]) + 45 * w[:, 0, 0, 1].astype(int)).tolist()


class TestFloat:
    """Floats: only what adds nothing at all goes, so that sums keep their order and rounding."""

    def graph(self, bias: float, activation: str = "RELU") -> Graph:
        b = GraphBuilder()
        x = b.input("x", TensorType((1, 4, 4, 3), "float32"))
        w = RNG.normal(0, 1, (4, 1, 1, 3)).astype(np.float32)
        w[1] = 0
        a_bias = np.array([0.5, bias, 0.5, 0.5], np.float32)
        a = b.add(get_op("CONV_2D")(fused_activation_function=activation),
                  [x, b.constant(w), b.constant(a_bias)], name="a")  # fmt: skip
        v = RNG.normal(0, 1, (2, 3, 3, 4)).astype(np.float32)
        return b.build([b.add(get_op("CONV_2D")(padding="SAME"), [a, b.constant(v)], name="y")])

    def test_a_filter_that_gives_zero_goes(self) -> None:
        graph = self.graph(bias=-2.0)
        small, _ = apply(graph, [fold_constant_channels.RULE])
        assert channels(small, "a") == [3]
        x = random_inputs(graph, 20)
        np.testing.assert_allclose(interpret(graph, x)[0], interpret(small, x)[0], rtol=1e-5)

    def test_a_filter_that_gives_another_constant_stays(self) -> None:
        small, _ = apply(self.graph(bias=2.0), [fold_constant_channels.RULE])
        assert channels(small, "a") == [4]
        small, _ = apply(self.graph(bias=-2.0, activation="NONE"), [fold_constant_channels.RULE])
        assert channels(small, "a") == [4]


@pytest.mark.parametrize("seed", range(150))
def test_random_networks_compute_the_same(seed: int) -> None:
    graph = network(seed, dead=(0.2, 0.5, 0.9)[seed % 3])
    small, report = fold(graph)
    assert small.constant_bytes <= graph.constant_bytes
    assert report.macs_after <= report.macs_before


def test_random_networks_do_lose_channels() -> None:
    """So that the test above means something."""
    reports = [apply(network(seed), [fold_constant_channels.RULE])[1] for seed in range(40)]
    assert sum(bool(report.changes) for report in reports) > 25
    before, after = (
        sum(getattr(r, f"bytes_{end}") for r in reports) for end in ("before", "after")
    )
    assert after < 0.75 * before
