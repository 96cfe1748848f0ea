from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smidgen.data import Dataset, to_model
from smidgen.evaluate import evaluate
from smidgen.interpreter import interpret, random_inputs
from smidgen.ir import Graph, TensorType
from smidgen.transforms.quantize import quantize
from smidgen.transforms.rewrites import (
    fold_permutation,
    fold_permutation_in_float,
    move_transposes,
    move_transposes_in_float,
    remove_identity,
    simplify,
)
from smidgen.transforms.rewrites.channels_last import to_channels_last
from tests.transforms.rewrites.channels_first import IMAGES, First, random_network, sequence_network
from tests.transforms.rewrites.hand import Net, ops, rewritten


def moved(graph: Graph) -> int:
    return sum(graph.type(n.outputs[0]).size for n in graph.nodes if n.op.name == "TRANSPOSE")


def channels_last(graph: Graph) -> Graph:
    """The graph without transposes, proved to compute the same; source layouts at the doors."""
    result = to_channels_last(graph)
    x = random_inputs(graph, 3)
    given = [to_model(result, array, input=i) for i, array in enumerate(x)]
    wants, gots = interpret(graph, x), interpret(result, given)
    assert result.inputs == graph.inputs
    assert result.outputs == graph.outputs
    for name, want, got in zip(graph.outputs, wants, gots, strict=True):
        if name in result.channels_first:
            want = np.moveaxis(want, 1, -1)
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4 * max(1, np.abs(want).max()))
    return result


@pytest.mark.parametrize("network", IMAGES)
def test_no_transpose_is_left(network) -> None:
    result = channels_last(network(First()))
    assert "TRANSPOSE" not in ops(result)
    assert result.type("x") == TensorType((1, 10, 8, 3), "float32")
    assert "x" in result.channels_first


def test_sequences_have_their_channels_last() -> None:
    result = channels_last(sequence_network(First((1, 3, 9))))
    assert "TRANSPOSE" not in ops(result)
    assert result.type("x").shape == (1, 9, 3)
    assert result.output_types[0].shape == (1, 12, 4)
    assert result.channels_first == {"x", *result.outputs}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_random_networks(seed: int) -> None:
    result = channels_last(random_network(First(seed=seed)))
    assert "TRANSPOSE" not in ops(result)
    assert to_channels_last(result) is result


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_inside_a_graph_whose_doors_stay(seed: int) -> None:
    """What the weights behind a flattening take in counts for nothing, so that is done, too."""
    graph = random_network(First(seed=seed))
    result, _ = rewritten(
        graph,
        move_transposes.RULE,
        move_transposes_in_float.RULE,
        remove_identity.RULE,
        fold_permutation.RULE,
        fold_permutation_in_float.RULE,
        tolerance=1e-4,
    )
    assert result.channels_first == frozenset()
    assert ops(result).count("TRANSPOSE") <= 1 + len(graph.outputs)
    assert moved(result) <= moved(graph)


def test_a_shuffle_of_channels_takes_one_transpose() -> None:
    n = First()
    x = n.pool(n.x)
    x = n.add("TANH", n.add("CONCATENATION", x, x, axis=1))
    x = n.permute(n.reshape(x, 1, 2, 3, 5, 4), 0, 2, 1, 3, 4)
    result = channels_last(n.build(n.pool(n.reshape(x, 1, 6, 5, 4))))
    assert ops(result).count("TRANSPOSE") == 1


def test_what_is_moved_is_moved_where_it_is_smallest() -> None:
    """A channels-first softmax over rows, far from the convolution."""
    n = First()
    x = n.add("TANH", n.conv(n.x, 6))
    x = n.add("STRIDED_SLICE", x, begin=(0,) * 4, end=(1, 6, 2, 8), strides=(1,) * 4)
    result = channels_last(n.build(n.add("SOFTMAX", n.add("RELU", x))))
    transposes = [node for node in result.nodes if node.op.name == "TRANSPOSE"]
    assert [result.type(node.outputs[0]).size for node in transposes] == [6 * 2 * 8]


def test_an_input_that_is_flattened_stays_as_it_is() -> None:
    n = First()
    result = channels_last(n.build(n.linear(n.reshape(n.x, 1, 240), 4)))
    assert result.type("x").shape == (1, 3, 10, 8)
    assert result.channels_first == frozenset()


def test_an_input_that_is_an_output_too() -> None:
    n = First()
    result = channels_last(n.build(n.conv(n.x, 3), n.x))
    assert "TRANSPOSE" not in ops(result) or moved(result) <= 240


def test_a_transposed_constant_as_an_output() -> None:
    n = First()
    fixed = n.constant(1, 2, 3, 4)
    channels_last(n.build(fixed, n.last(fixed), n.first(n.last(n.x))))


def test_outputs_that_are_one_tensor_in_two_orders() -> None:
    n = First()
    y = n.conv(n.x, 5)
    result = channels_last(n.build(y, n.last(y), n.permute(y, 0, 3, 2, 1)))
    assert moved(result) <= 2 * 400


def test_quantized_graphs_keep_every_byte() -> None:
    n = Net("int8")
    first = n.add("TRANSPOSE", n.conv(n.x, 4), perm=(0, 3, 1, 2))
    y = n.add("ADD", n.add("LEAKY_RELU", first), n.constant(4, 1, 1))
    y = n.add("MEAN", n.add("CONCATENATION", y, first, axis=1), axis=(2, 3), keep_dims=True)
    graph = n.build(n.conv(n.add("TRANSPOSE", y, perm=(0, 2, 3, 1)), 3, name="end", kernel=1))
    result, _ = rewritten(graph, move_transposes.RULE)
    assert "TRANSPOSE" not in ops(result)


def test_sums_of_floats_keep_their_order_where_bytes_count() -> None:
    n = Net()
    first = n.add("TRANSPOSE", n.x, perm=(0, 3, 1, 2))
    graph = n.build(n.add("MEAN", first, axis=(2, 3)))
    exact, _ = rewritten(graph, move_transposes.RULE)
    assert ops(exact) == ["TRANSPOSE", "MEAN"]
    assert ops(rewritten(graph, move_transposes_in_float.RULE, tolerance=1e-5)[0]) == ["MEAN"]


def test_data_comes_as_the_source_model_takes_it() -> None:
    """Quantized from channels-first samples, and measured on channels-first targets."""
    n = First((1, 3, 6, 5))
    graph = to_channels_last(n.build(n.add("TANH", n.conv(n.x, 2))))
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (40, 3, 6, 5)).astype(np.float32)
    want = np.moveaxis(interpret(graph, np.ascontiguousarray(np.moveaxis(x, 1, -1)))[0], -1, 1)
    data = Dataset(x, want, x, want)
    assert evaluate(graph, data).value < 1e-9
    integer = quantize(graph, data)
    assert integer.channels_first == graph.channels_first == {"x", *graph.outputs}
    assert evaluate(integer, data).value < 1e-3


def test_simplify_uses_the_rule() -> None:
    assert ops(simplify(IMAGES[0](First()))).count("TRANSPOSE") == 1  # of the input


def test_a_state_is_held_as_it_is_wanted() -> None:
    """The last columns of a channels-first sequence, remembered for the next step."""
    n = First((1, 3, 4))
    x = n.add("RELU", n.conv1d(n.x, 6))
    past = n.b.state(
        "past", TensorType((1, 6, 2), "float32"), n.rng.normal(0, 1, (1, 6, 2)).astype(np.float32)
    )
    both = n.add("CONCATENATION", past, x, axis=2)
    keep = {"begin": (0, 0, 4), "end": (1, 6, 6), "strides": (1,) * 3}
    n.b.becomes(past, n.add("STRIDED_SLICE", both, **keep))
    graph = n.build(n.conv1d(both, 4))
    result = to_channels_last(graph)
    assert "TRANSPOSE" not in ops(result)
    assert result.channels_first == {"x", *result.outputs}
    assert result.states[0].initial.shape == (1, 2, 6)
    steps = random_inputs(graph, 5)
    want = interpret(graph, steps, stream=True)[0]
    got = interpret(result, np.moveaxis(steps[0], 1, -1), stream=True)[0]
    np.testing.assert_allclose(got, np.moveaxis(want, 1, -1), rtol=1e-4, atol=1e-4)


# -- into the weights ----------------------------------------------------------------------------


def classifier(n: First, *between: str) -> Graph:
    """Flattened channels-first, as AlexNet and LeNet are."""
    x = n.add("RELU", n.conv(n.x, 6, stride=2))
    _, c, h, w = n.shape(x)
    x = n.reshape(n.pool(x), 1, c * (-(-h // 2)) * (-(-w // 2)))
    for op in between:
        x = n.add(op, x)
    return n.build(n.linear(n.add("RELU", n.linear(x, 7)), 5))


@pytest.mark.parametrize("between", [(), ("RELU", "TANH"), ("SOFTMAX",)])
def test_a_flattened_image_is_read_by_reordered_weights(between) -> None:
    result = channels_last(classifier(First(), *between))
    assert ops(result).count("TRANSPOSE") == (between == ("SOFTMAX",))


def test_a_flattened_image_may_be_read_twice() -> None:
    n = First()
    x = n.reshape(n.conv(n.x, 6), 1, 480)
    y = n.add("ADD", n.add("RELU", x), n.add("MUL", x, n.constant(480)))
    result = channels_last(n.build(n.linear(y, 3), n.linear(x, 2)))
    assert "TRANSPOSE" not in ops(result)
    n = First()
    x = n.reshape(n.conv(n.x, 6), 1, 480)
    assert "TRANSPOSE" in ops(channels_last(n.build(n.linear(x, 2), x)))  # the world reads it


def test_an_image_made_of_a_vector_has_reordered_weights() -> None:
    """A decoder: linear, reshape to (c, h, w), convolve."""
    n = First((1, 3, 2, 2))
    x = n.linear(n.reshape(n.x, 1, 12), 6 * 4 * 4)
    x = n.add("RELU", n.reshape(n.add("LEAKY_RELU", x), 1, 6, 4, 4))
    result = channels_last(n.build(n.conv(n.up(x), 2)))
    assert "TRANSPOSE" not in ops(result)


def test_a_shuffle_is_taken_up_by_the_next_convolution() -> None:
    n = First()
    x = n.conv(n.x, 6)
    x = n.permute(n.reshape(x, 1, 2, 3, 10, 8), 0, 2, 1, 3, 4)
    x = n.depthwise(n.add("RELU", n.reshape(x, 1, 6, 10, 8)))
    assert "TRANSPOSE" not in ops(channels_last(n.build(n.conv(x, 4))))


def test_a_flattened_image_reaches_a_convolution_as_channels() -> None:
    n = First()
    x = n.reshape(n.conv(n.x, 6), 1, 480, 1, 1)
    assert "TRANSPOSE" not in ops(channels_last(n.build(n.conv(x, 4, kernel=1))))


@pytest.mark.parametrize("depthwise", [False, True])
def test_integer_weights_are_reordered_with_their_scales(depthwise) -> None:
    n = Net("int8", image=(1, 4, 4, 6))
    x = n.add("TRANSPOSE", n.add("RESHAPE", n.x, new_shape=(1, 4, 4, 2, 3)), perm=(0, 1, 2, 4, 3))
    x = n.add("RESHAPE", x, new_shape=(1, 4, 4, 6))
    x = n.depthwise(x, multiplier=2) if depthwise else x
    flat = n.add("TRANSPOSE", n.conv(x, 4, kernel=1, name="pointwise"), perm=(0, 3, 1, 2))
    size = 4 * (4 if depthwise else 16)
    flat = n.add("RESHAPE", flat, new_shape=(1, size))
    graph = n.build(n.layer("FULLY_CONNECTED", flat, (5, size), "head"))
    assert "TRANSPOSE" not in ops(rewritten(graph, fold_permutation.RULE)[0])


def test_weights_that_others_read_stay_as_they_are() -> None:
    n = First((1, 4, 3, 3))
    w = n.constant(5, 36)
    flat = n.reshape(n.last(n.x), 1, 36)
    graph = n.build(*(n.add("FULLY_CONNECTED", x, w) for x in (flat, n.reshape(n.x, 1, 36))))
    result, _ = rewritten(graph, fold_permutation_in_float.RULE, tolerance=1e-5)
    assert "TRANSPOSE" not in ops(result)
    assert rewritten(graph, fold_permutation.RULE)[0] is graph
