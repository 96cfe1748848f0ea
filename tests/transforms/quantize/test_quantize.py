"""The whole of quantization: other people's runtimes compute what the reference says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from smidgen.backends.c.host import HostModel
from smidgen.backends.tflite import write_tflite
from smidgen.errors import DataError
from smidgen.frontends.tflite import read
from smidgen.interpreter import interpret, random_inputs
from smidgen.transforms.quantize import PRESETS, quantize
from tests.examples import examples
from tests.graphs import difference
from tests.random_graphs import graphs, runtime_of
from tests.transforms.quantize.networks import Net, branches, classifier, images

SINGLE = {"FULLY_CONNECTED"}  # what LiteRT's reference kernels round once and TFLM twice


def agrees(pool, graph, x, *, compact=True):
    """TFLM and compiled C give the reference's bytes, and LiteRT where it rounds alike."""
    file = write_tflite(graph, compact=compact)
    want = interpret(graph, x)
    for engine in ("tflm", "host"):
        got = HostModel(graph).run(x) if engine == "host" else pool.run("tflm", file, x).outputs
        for a, b in zip(want, got, strict=True):
            np.testing.assert_array_equal(b.reshape(a.shape), a, err_msg=engine)
    inside = pool.run("litert_ref", file, [a[:1] for a in x], intermediates=True).tensors
    seen = {}
    interpret(graph, [a[:1] for a in x], observe=seen.__setitem__)
    alike = list(itertools.takewhile(lambda n: n.op.name not in SINGLE, graph.nodes))
    tensors = list(inside.values())
    for node, tensor in zip(alike, tensors, strict=False):
        np.testing.assert_array_equal(tensor, seen[node.outputs[0]], err_msg=node.label)


@pytest.mark.oracle
@pytest.mark.toolchain
@pytest.mark.parametrize("preset", [p for p in PRESETS if p not in ("int8-float-io", "int4")])
def test_tflm_litert_and_compiled_c_agree_with_the_reference(preset, pool):
    graph = quantize(classifier(), images(), preset)
    agrees(pool, graph, random_inputs(graph, 20))


@pytest.mark.oracle
@pytest.mark.toolchain
@pytest.mark.parametrize("compact", [True, False])
def test_branches_with_shared_scales_agree_too(compact, pool):
    graph = quantize(branches(), images())
    agrees(pool, graph, random_inputs(graph, 20), compact=compact)


@pytest.mark.oracle
def test_float_inputs_and_outputs_agree(pool):
    """QUANTIZE rounds the same everywhere, so the floats that come out are equal, too."""
    graph, x = quantize(classifier(), images(), "int8-float-io"), images(20, seed=9)
    want = interpret(graph, x)[0]
    (got,) = pool.run("tflm", write_tflite(graph, compact=True), [x]).outputs
    np.testing.assert_array_equal(got, want)


def test_a_compact_file_comes_back_whole():
    graph = quantize(classifier(), images())
    assert not difference(graph, read(write_tflite(graph, compact=True)))


@pytest.mark.oracle
@pytest.mark.toolchain
def test_random_networks_agree(pool):
    """What is quantized need not look like a network that anybody would draw."""
    compared = 0
    for graph in examples(graphs(2, 8, dtype="float32"), 12, "quantize"):
        rng = np.random.default_rng(1)
        x = [rng.normal(size=(30, *t.shape[1:])).astype(np.float32) for t in graph.input_types]
        if any(t.dtype != "float32" for t in graph.input_types):
            continue
        integer = quantize(graph, x)
        if runtime_of(integer) != "tflm":
            continue
        compared += 1
        inputs = random_inputs(integer, 4)
        file = write_tflite(integer, compact=True)
        for a, b in zip(
            interpret(integer, inputs), pool.run("tflm", file, inputs).outputs, strict=True
        ):
            if a.dtype.kind == "f":  # what no integer kernel computes stays float
                np.testing.assert_allclose(b.reshape(a.shape), a, rtol=1e-4, atol=1e-5)
            else:
                np.testing.assert_array_equal(b.reshape(a.shape), a)
    assert compared >= 6


def test_the_same_arguments_give_the_same_graph():
    assert not difference(
        quantize(classifier(), images()), quantize(classifier(), images()), names=True
    )


def test_test_samples_are_never_read():
    from smidgen import Dataset

    x = images()
    poison = np.full_like(x, 1e6)
    plain, other = Dataset(x), Dataset(x, None, poison, np.zeros(len(x), np.uint8))
    assert not difference(quantize(classifier(), plain), quantize(classifier(), other), names=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(bad):
    x = images()
    x[3, 1, 2, 0] = bad
    with pytest.raises(DataError, match="NaN or infinity"):
        quantize(classifier(), x)


def test_samples_of_another_shape_are_refused():
    with pytest.raises(DataError, match=r"give \(n, 8, 8, 3\)"):
        quantize(classifier(), images()[:, :7])


def test_a_graph_without_layers_stays_what_it_is():
    net = Net("empty")
    graph = net.build(net.x)
    assert quantize(graph, images()).nodes == ()
