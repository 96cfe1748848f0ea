"""All exact rules together, on anything: outputs are the same, to the byte, everywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smidgen.backends.tflite import write_tflite
from smidgen.frontends import load
from smidgen.interpreter import interpret, random_inputs
from smidgen.ir import Graph
from smidgen.transforms.rewrites import REWRITES, apply, shrink, simplify
from smidgen.verify.runtimes import RuntimeName, RuntimePool
from tests.random_graphs import graphs
from tests.transforms.rewrites.networks import network

EXACT = [rewrite for rewrite in REWRITES if rewrite.exact]


def same_bytes(graph: Graph, seed: int) -> Graph:
    small, report = apply(graph, EXACT)
    assert small.input_types == graph.input_types
    assert small.output_types == graph.output_types
    assert small.outputs == graph.outputs
    assert report.bytes_after <= report.bytes_before
    x = random_inputs(graph, 20, seed)
    for rounding in ("double", "single"):
        before, after = (interpret(g, x, rounding=rounding) for g in (graph, small))
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    return small


@pytest.mark.parametrize("seed", range(1000, 1150))
def test_networks(seed: int) -> None:
    same_bytes(network(seed, dead=(0.3, 0.8)[seed % 2]), seed)


@settings(max_examples=40, deadline=None)
@given(graphs(), st.integers(0, 2**32 - 1))
def test_graphs_of_any_operators(graph: Graph, seed: int) -> None:
    same_bytes(graph, seed)


@settings(max_examples=40, deadline=None)
@given(graphs(dtype="float32"), st.integers(0, 2**32 - 1))
def test_float_graphs_mean_the_same(graph: Graph, seed: int) -> None:
    simple = simplify(graph)
    x = random_inputs(graph, 8, seed)
    for a, b in zip(interpret(graph, x), interpret(simple, x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * max(1, float(np.abs(a).max())))


def test_shrinking_twice_changes_nothing_more() -> None:
    for seed in range(20):
        small, _ = shrink(network(seed))
        again, report = shrink(small)
        assert not report.changes
        assert again.constant_bytes == small.constant_bytes


@pytest.mark.oracle
@pytest.mark.parametrize("runtime", ["tflm", "litert_ref"])
def test_other_engines_agree_that_nothing_changed(runtime: RuntimeName) -> None:
    changed = 0
    with RuntimePool() as pool:
        for seed in range(60):
            graph = network(seed)
            small, report = apply(graph, EXACT)
            x = random_inputs(graph, 12, seed)
            before, after = (pool.run(runtime, write_tflite(g), x).outputs for g in (graph, small))
            assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
            changed += bool(report.changes)
    assert changed > 40


# -- real models -------------------------------------------------------------------------------

MLPERF = {  # bytes of all weights, multiply-accumulates
    "vww_96_int8": (29_066, 3_727_313),
    "kws_ref_model_int8": (22_016, 2_656_768),
    "pretrainedResnet_quant": (77_360, 12_501_632),
    "ad01_int8": (264_192, 264_192),
}


def weight_bytes(graph: Graph) -> int:
    layers = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    return sum(graph.type(n.inputs[1]).bytes for n in graph.nodes if n.op.name in layers)


@pytest.mark.parametrize("name", MLPERF)
def test_mlperf_tiny(shared: Path, name: str) -> None:
    graph = load(shared / "models" / "mlperf_tiny" / f"{name}.tflite")
    small, report = shrink(graph)
    assert (weight_bytes(small), report.macs_after) == MLPERF[name]


def test_visual_wake_words_constants(shared: Path) -> None:
    """Weights, biases and requantization tables: what the firmware stores."""
    graph = load(shared / "models" / "mlperf_tiny" / "vww_96_int8.tflite")
    assert weight_bytes(graph) == 208_112
    small, report = shrink(graph)
    assert report.bytes_after == 33_122
    layers = [n for n in small.nodes if len(n.inputs) == 3]
    channels = sum(small.type(n.outputs[0]).shape[-1] for n in layers)
    assert channels == 1_014
    assert report.bytes_after + 5 * channels < 46_000  # a multiplier and a shift for each
    assert len(write_tflite(small)) < 55_000


@pytest.mark.oracle
@pytest.mark.slow
def test_visual_wake_words_on_tflm(shared: Path) -> None:
    """1,000 inputs: real images, extremes, noise, blocks; the same bytes before and after."""
    path = shared / "models" / "mlperf_tiny" / "vww_96_int8.tflite"
    small, _ = shrink(load(path))
    images = np.load(shared / "data" / "vww" / "vww96_coco_open.npz")["x"]
    rng = np.random.default_rng(0)
    blocks = rng.integers(-128, 128, (300, 12, 12, 3), np.int8).repeat(8, 1).repeat(8, 2)
    noise = random_inputs(small, 1000 - len(images) - len(blocks))[0]
    x = np.concatenate([(images.astype(int) - 128).astype(np.int8), blocks, noise])
    assert len(x) == 1000
    with RuntimePool(timeout=250) as pool:
        before, after = (
            pool.run("tflm", model, [x]).outputs[0]
            for model in (path.read_bytes(), write_tflite(small))
        )
    assert np.array_equal(before, after)
    assert len(np.unique(before, axis=0)) > 50
