"""Operators that move, choose and reduce are quantized with what is around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smidgen import quantize
from smidgen.backends.tflite.writer import write
from smidgen.interpreter import interpret
from smidgen.ir import Graph
from smidgen.ops import get_op
from smidgen.verify.runtimes import RuntimePool
from tests.host_batch import HostBatch
from tests.transforms.rewrites.hand import Net

Array = np.ndarray[Any, Any]


def mixed() -> Graph:
    """Two branches of a split, resized, mirrored, gathered, stacked and reduced."""
    n = Net("float32", (1, 6, 6, 3), seed=4)
    low, high = n.b.add_multi(get_op("SPLIT")(2, 3), [n.conv(n.x, 8, padding="SAME")])
    low = n.add("RESIZE_BILINEAR", low, size=(12, 12), half_pixel_centers=True)
    high = n.add("MIRROR_PAD", high, paddings=((0, 0), (2, 0), (1, 1), (0, 0)))
    high = n.add("SPACE_TO_DEPTH", high, block_size=2)
    high = n.add("DEPTH_TO_SPACE", n.conv(high, 16, name="deep", kernel=1), block_size=2)
    chosen = n.b.constant(np.array([0, 2, 1, 3, 5, 5, 4, 0, 7, 6, 2, 1], np.int32))
    high = n.b.add(get_op("GATHER")(1), [high, chosen])
    high = n.add("TILE", n.add("SLICE", high, begin=(0,) * 4, size=(-1, -1, 6, -1)),
                 multiples=(1, 1, 2, 1))  # fmt: skip
    both = n.add("PACK", low, high, axis=3)
    first, second = n.b.add_multi(get_op("UNPACK")(2, 3), [both])
    most = n.add("REDUCE_MAX", first, axis=(1, 2))
    least = n.add("REDUCE_MIN", second, axis=(1, 2))
    total = n.add("SUM", first, axis=(1, 2))
    joined = n.b.add(get_op("CONCATENATION")(1), [most, least, total])
    return n.build(joined, n.add("ARG_MAX", joined, axis=1))


def samples(graph: Graph, count: int) -> Array:
    (type,) = graph.input_types
    return np.random.default_rng(0).normal(0, 1, (count, *type.shape[1:])).astype(np.float32)


@pytest.fixture(scope="module")
def models() -> tuple[Graph, Graph, Array]:
    graph = mixed()
    x = samples(graph, 64)
    return graph, quantize(graph, [x]), x


def test_nothing_in_between_stays_float(models: tuple[Graph, Graph, Array]) -> None:
    _, int8, _ = models
    assert not [node.label for node in int8.nodes if "QUANTIZE" in node.op.name]
    assert {int8.type(name).dtype for name in int8.inputs} == {"int8"}


def test_the_result_is_close(models: tuple[Graph, Graph, Array]) -> None:
    graph, int8, x = models
    (given,), (made, chosen) = int8.input_types, int8.output_types
    assert given.quant is not None
    assert made.quant is not None
    assert chosen.dtype == "int32"
    q = np.round(x / given.quant.scale) + given.quant.zero_point
    got, places = interpret(int8, np.clip(q, -128, 127).astype(np.int8))
    want, right = interpret(graph, x)
    real = (got.astype(np.float32) - made.quant.zero_point) * made.quant.scale
    extremes, sums = (slice(None), slice(0, 8)), (slice(None), slice(8, 12))
    assert np.abs(real - want)[extremes].max() < 0.2 * np.abs(want[extremes]).max()
    # The steps of 72 elements add up.
    assert np.linalg.norm((real - want)[sums]) < 0.4 * np.linalg.norm(want[sums])
    assert (places == right).mean() > 0.8


@pytest.mark.oracle
@pytest.mark.toolchain
def test_compiled_code_and_runtimes_agree(
    models: tuple[Graph, Graph, Array], pool: RuntimePool
) -> None:
    _, int8, _ = models
    x = np.random.default_rng(1).integers(-128, 128, (8, 6, 6, 3)).astype(np.int8)
    wanted = interpret(int8, x)
    compiled = HostBatch([int8]).run(0, x)
    for got, want in zip(compiled, wanted, strict=True):
        np.testing.assert_array_equal(got, want)
    litert = pool.run("litert_ref", write(int8), [x]).outputs[0]
    assert litert.shape == wanted[0].shape  # its SUM is wrong, see the matrix
    np.testing.assert_array_equal(litert[:, :8], wanted[0][:, :8])
