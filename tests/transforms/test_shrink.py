"""Which channels go together in a whole graph, and removing them."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.errors import GraphError
from smidgen.interpreter import interpret
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op
from smidgen.transforms.shrink import Channels, remove_channels
from tests.transforms.rewrites.networks import network

RNG = np.random.default_rng(0)


def f32(*shape: int) -> np.ndarray:
    return RNG.normal(0, 1, shape).astype(np.float32)


class Net:
    """A float network by hand."""

    def __init__(self) -> None:
        self.b = GraphBuilder("net")
        self.x = self.b.input("x", TensorType((1, 4, 4, 3), "float32"))

    def conv(self, x: str, channels: int, name: str, kernel: int = 1) -> str:
        w = f32(channels, kernel, kernel, self.b.type(x).shape[3])
        operands = [x, self.b.constant(w), self.b.constant(f32(channels))]
        return self.b.add(get_op("CONV_2D")(padding="SAME"), operands, name=name)

    def add(self, op: str, *operands: str, name: str, **attributes: object) -> str:
        return self.b.add(get_op(op)(**attributes), list(operands), name=name)


def residual() -> Graph:
    """x -> a -> c, a + c -> s -> depthwise d -> flat -> fully connected y."""
    n = Net()
    a = n.conv(n.x, 6, "a")
    c = n.conv(a, 6, "c", kernel=3)
    s = n.add("ADD", a, c, name="s")
    d = n.b.add(
        get_op("DEPTHWISE_CONV_2D")(padding="SAME"),
        [s, n.b.constant(f32(1, 3, 3, 12)), n.b.constant(f32(12))],
        name="d",
    )
    flat = n.add("RESHAPE", d, name="flat", new_shape=(1, 192))
    y = n.b.add(get_op("FULLY_CONNECTED")(), [flat, n.b.constant(f32(2, 192))], name="y")
    return n.b.build([y])


def test_a_residual_ties_both_branches_and_all_that_follows() -> None:
    channels = Channels(residual())
    a, c, s = (channels.of(name, 3) for name in "acs")
    assert np.array_equal(a, c)
    assert np.array_equal(a, s)
    assert len(set(a.tolist())) == 6
    assert np.array_equal(channels.of("d", -1), np.repeat(a, 2))  # depth multiplier 2
    assert np.array_equal(channels.of("flat", 1), np.tile(np.repeat(a, 2), 16))


def test_removal_shrinks_every_place() -> None:
    graph = residual()
    small = remove_channels(graph, {"a": [1, 4]})
    shapes = {name: small.type(name).shape for name in ("a", "c", "s", "d", "flat", "y")}
    assert shapes == {
        "a": (1, 4, 4, 4),
        "c": (1, 4, 4, 4),
        "s": (1, 4, 4, 4),
        "d": (1, 4, 4, 8),
        "flat": (1, 128),
        "y": (1, 2),
    }
    conv_c = small.producers["c"]
    assert small.type(conv_c.inputs[1]).shape == (4, 3, 3, 4)  # outputs and inputs are coupled
    assert small.type(small.producers["y"].inputs[1]).shape == (2, 128)
    assert len(small.nodes) == len(graph.nodes)


def test_what_is_left_computes_what_it_did() -> None:
    """Channels whose weights downstream are zero can go without a trace."""
    graph = residual()
    gone = [0, 3, 5]
    graph.data(graph.producers["c"].inputs[1])[..., gone] = 0
    channel = np.tile(np.repeat(np.arange(6), 2), 16)  # of each element that y reads
    graph.data(graph.producers["y"].inputs[1])[:, np.isin(channel, gone)] = 0
    small = remove_channels(graph, {"c": gone})
    x = f32(5, 4, 4, 3)
    np.testing.assert_allclose(interpret(graph, x)[0], interpret(small, x)[0], rtol=1e-4, atol=1e-5)


def test_concatenation_keeps_its_parts_apart() -> None:
    n = Net()
    a, c = n.conv(n.x, 3, "a"), n.conv(n.x, 4, "c")
    both = n.add("CONCATENATION", a, c, name="both", axis=3)
    graph = n.b.build([n.conv(both, 2, "y")])
    channels = Channels(graph)
    together = channels.of("both", 3).tolist()
    assert together == [*channels.of("a", 3).tolist(), *channels.of("c", 3).tolist()]
    small = remove_channels(graph, {"c": [0], "a": [2]})
    assert small.type("both").shape == (1, 4, 4, 5)
    kept = graph.data(graph.producers["y"].inputs[1])[..., [0, 1, 4, 5, 6]]
    assert np.array_equal(small.data(small.producers["y"].inputs[1]), kept)


def test_inputs_outputs_and_mixing_operators_pin() -> None:
    n = Net()
    a = n.conv(n.x, 3, "a")
    soft = n.add("SOFTMAX", a, name="soft")
    y = n.conv(soft, 2, "y")
    graph = n.b.build([y])
    for name, why in (("x", "input 'x'"), ("y", "output 'y'"), ("a", "SOFTMAX 'soft'")):
        with pytest.raises(GraphError, match=why):
            remove_channels(graph, {name: [0]})


def test_a_tensor_keeps_a_channel() -> None:
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.x, 3, "a"), 2, "y")])
    assert remove_channels(graph, {"a": [0, 2]}).type("a").shape == (1, 4, 4, 1)
    with pytest.raises(GraphError, match="too few"):
        remove_channels(graph, {"a": [0, 1, 2]})


def test_an_axis_that_nothing_couples_is_refused() -> None:
    n = Net()
    graph = n.b.build([n.conv(n.conv(n.x, 3, "a"), 2, "y")])
    with pytest.raises(GraphError, match="axis 1"):
        remove_channels(graph, {"a": [0]}, axis=1)


def test_scales_go_with_their_channels() -> None:
    b = GraphBuilder()
    q = QuantParams.per_tensor(0.5, 3)
    x = b.input("x", TensorType((1, 2), "int8", q))
    w = RNG.integers(-127, 127, (4, 2)).astype(np.int8)
    scales = [0.1, 0.2, 0.3, 0.4]
    bias = b.constant(
        np.arange(4, dtype=np.int32), quant=QuantParams.per_channel([0.05, 0.1, 0.15, 0.2], 0)
    )
    w_name = b.constant(w, name="w", quant=QuantParams.per_channel(scales, 0))
    h = b.add(get_op("FULLY_CONNECTED")(), [x, w_name, bias], quant=q, name="h")
    v = b.constant(RNG.integers(-9, 9, (1, 4)).astype(np.int8), quant=QuantParams.per_tensor(0.1))
    graph = b.build([b.add(get_op("FULLY_CONNECTED")(), [h, v], quant=q, name="y")])
    small = remove_channels(graph, {"h": [0, 2]})
    assert small.type("w").quant == QuantParams.per_channel([0.2, 0.4], 0)
    assert np.array_equal(small.data("w"), w[[1, 3]])
    # A lone scale would be multiplied in float32 instead of double, so two stay.
    with pytest.raises(GraphError, match="too few"):
        remove_channels(graph, {"h": [0, 2, 3]})


def test_a_shared_constant_is_split_where_layers_lose_different_channels() -> None:
    n = Net()
    shared = n.b.constant(np.zeros(3, np.float32), name="zeros")
    parts = []
    for name in "ac":
        w = n.b.constant(f32(3, 1, 1, 3))
        parts.append(n.b.add(get_op("CONV_2D")(), [n.x, w, shared], name=name))
    graph = n.b.build([n.conv(parts[0], 2, "y"), n.conv(parts[1], 2, "z")])
    small = remove_channels(graph, {"a": [0]})
    assert small.type(small.producers["a"].inputs[2]).shape == (2,)
    assert small.type(small.producers["c"].inputs[2]).shape == (3,)


def test_a_bias_of_unusual_shape_keeps_its_channels() -> None:
    n = Net()
    operands = [n.x, n.b.constant(f32(3, 1, 1, 3)), n.b.constant(f32(1, 1, 1, 3))]
    a = n.b.add(get_op("CONV_2D")(), operands, name="a")
    graph = n.b.build([n.conv(a, 2, "y")])
    with pytest.raises(GraphError, match="CONV_2D 'a'"):
        remove_channels(graph, {"a": [0]})


@pytest.mark.parametrize("seed", range(40))
def test_any_channels_of_random_networks_can_go(seed: int) -> None:
    """The result is a well-formed graph that runs, whatever was removed."""
    graph = network(seed)
    channels = Channels(graph)
    rng = np.random.default_rng(seed)
    free = {c for site in channels.sites for c in site.channels.tolist()} - set(channels.pinned)
    gone = {c for c in sorted(free) if rng.random() < 0.5}
    while emptied := channels.emptied(gone):
        gone -= set(emptied[0].tolist())
    small = channels.remove(gone)
    assert small.input_types == graph.input_types
    assert small.output_types == graph.output_types
    if gone:
        assert small.constant_bytes < graph.constant_bytes
    x = np.zeros(small.input_types[0].shape, np.int8)
    interpret(small, x)
