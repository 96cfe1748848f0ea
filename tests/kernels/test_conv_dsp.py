"""CONV_2D for cores with DSP instructions: on this machine, and on emulated ones."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen import compile, load, shrink
from smidgen.backends.c.emit import emit
from smidgen.backends.c.project import write_sources
from smidgen.interpreter import interpret
from smidgen.ir import GraphBuilder, QuantParams, TensorType
from smidgen.ops.conv_2d import Conv2D
from smidgen.verify.runtimes import run_tflite
from tests.host_batch import FLAGS, HostBatch
from tests.kernels.conv_layers import extremes, kernels, layer, only, random_layer

pytestmark = pytest.mark.toolchain

Array = np.ndarray[Any, Any]


def portable(symbols: set[str]) -> bool:
    return not any("paired" in symbol for symbol in symbols)


@pytest.mark.parametrize("seed", range(4))
def test_any_layer_is_computed_as_the_reference_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graphs = [random_layer(rng) for _ in range(40)]
    assert sum(portable(kernels(g)) for g in graphs) < 8  # almost all layers are fast
    fast, plain = HostBatch(graphs, features=["dsp"]), HostBatch(graphs)
    for i, graph in enumerate(graphs):
        x = extremes(rng, graph)
        (want,) = interpret(graph, x)
        np.testing.assert_array_equal(fast.run(i, x)[0], want, str(graph.nodes[0].op))
        np.testing.assert_array_equal(plain.run(i, x)[0], want)


def test_windows_that_have_kernels_of_their_own_in_the_one_for_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    only(monkeypatch, "sm_conv_2d_int8_paired", "sm_conv_2d_int8")
    rng = np.random.default_rng(8)
    graphs = [layer(rng, (5, 6, c), (5, k, k)) for c in (4, 8, 12) for k in (1, 2, 3)]
    assert {symbol for g in graphs for symbol in kernels(g)} == {"sm_conv_2d_int8_paired"}
    batch = HostBatch(graphs, features=["dsp"])
    for i, graph in enumerate(graphs):
        x = extremes(rng, graph)
        np.testing.assert_array_equal(batch.run(i, x)[0], interpret(graph, x)[0])


def test_channels_that_never_vary_need_no_weights() -> None:
    """Converters leave dead channels with biases of 2^30; they cost the layer nothing."""
    rng = np.random.default_rng(13)
    graph = layer(rng, (5, 5, 8), (8, 1, 1), activation="RELU")
    _, weights, bias = graph.nodes[0].inputs
    assert weights is not None and bias is not None
    values = dict(graph.values)
    for name, part in ((weights, 0), (bias, np.array([1 << 30, -(1 << 30), 1000]))):
        data = values[name].data
        assert data is not None
        dead = data.copy()
        dead[2:5] = part
        values[name] = replace(values[name], data=dead)
    changed = replace(graph, values=values)
    assert kernels(changed) == {"sm_conv_2d_int8_paired_1x1"}
    x = extremes(rng, changed)
    got = HostBatch([changed], features=["dsp"]).run(0, x)[0]
    np.testing.assert_array_equal(got, interpret(changed, x)[0])
    assert (got[..., 2] == 127).all()
    assert (got[..., 3] == -128).all()


def test_which_kernel_takes_which_window() -> None:
    rng = np.random.default_rng(9)
    graphs = [
        layer(rng, (5, 6, 8), (5, 1, 1)),
        layer(rng, (5, 6, 8), (5, 3, 3), stride=(2, 1)),
        layer(rng, (5, 6, 8), (5, 3, 3), stride=(1, 2)),
        layer(rng, (5, 6, 7), (5, 3, 3)),
        layer(rng, (5, 6, 7), (5, 1, 1)),
    ]
    suffixes = ["_1x1", "_strips", "", "", ""]
    assert [kernels(g) for g in graphs] == [{f"sm_conv_2d_int8_paired{s}"} for s in suffixes]


def test_every_number_of_channels() -> None:
    rng = np.random.default_rng(7)
    graphs = [layer(rng, (3, 3, c), (68 - c, 1, 1), activation="RELU") for c in range(1, 68)]
    graphs += [layer(rng, (4, 5, c), (c, 3, 3)) for c in (*range(1, 14), 31, 32, 33)]
    batch = HostBatch(graphs, features=["dsp"])
    for i, graph in enumerate(graphs):
        x = extremes(rng, graph)
        np.testing.assert_array_equal(batch.run(i, x)[0], interpret(graph, x)[0], f"{i}")


@pytest.mark.parametrize("activation", ["NONE", "RELU"])
@pytest.mark.parametrize("point", [-128, -3, 127])
def test_near_ties(activation: str, point: int) -> None:
    """Each channel's outputs lie within a few units of half of an odd number, or run through."""
    count = 500
    rng = np.random.default_rng(1)
    scales = rng.uniform(0.002, 0.004, count).astype(np.float32)
    reals = 0.1 * scales.astype(np.float64) / 0.9
    halves = np.arange(count) % 250 - 125 + 0.5
    bias = (np.round(halves / reals) + np.arange(count) // 250 % 9 - 4).astype(np.int32)
    builder = GraphBuilder("ties")
    x = builder.input("x", TensorType((1, 2, 1, 1), "int8", QuantParams.per_tensor(0.1, -7)))
    w = builder.constant(
        np.ones((count, 1, 1, 1), np.int8), quant=QuantParams.per_channel(scales, 0)
    )
    b = builder.constant(bias, quant=QuantParams.per_channel(scales * np.float32(0.1), 0))
    op = Conv2D(fused_activation_function=activation)
    graph = builder.build([builder.add(op, [x, w, b], quant=QuantParams.per_tensor(0.9, point))])
    assert not portable(kernels(graph))
    values = np.arange(-128, 128, dtype=np.int8).reshape(-1, 2, 1, 1)
    got = HostBatch([graph], features=["dsp"]).run(0, values)[0]
    np.testing.assert_array_equal(got, interpret(graph, values)[0])


def test_what_pairs_of_weights_cannot_hold_goes_to_the_portable_kernel() -> None:
    rng = np.random.default_rng(2)
    smallest = rng.integers(-127, 128, (5, 1, 1, 9)).astype(np.int8)
    smallest[3, 0, 0, 4] = -128
    largest = np.full((3, 3, 3, 61), 127, np.int8)  # 549 * 127 * 128 is over 2^23
    graphs = [
        layer(rng, (3, 3, 9), (5, 1, 1), weights=smallest),
        layer(rng, (4, 4, 61), (3, 3, 3), weights=largest),
    ]
    assert all(portable(kernels(g)) for g in graphs)
    smallest[3, 0, 0, 4] = -127
    largest[0, 0] = 0
    largest[1:, :2] = 1
    more = [
        layer(rng, (3, 3, 9), (5, 1, 1), weights=smallest),
        layer(rng, (4, 4, 61), (3, 3, 3), weights=largest),
    ]
    assert not any(portable(kernels(g)) for g in more)
    batch = HostBatch([*graphs, *more], features=["dsp"])
    for i, graph in enumerate(batch.graphs):
        x = extremes(rng, graph)
        np.testing.assert_array_equal(batch.run(i, x)[0], interpret(graph, x)[0])


_EXACT_BLOCKS = """
#include "{name}.c"
#include <stdio.h>
#include <stdlib.h>
int main(void) {{
  int8_t *in = malloc({bytes_in}), *out = malloc({bytes_out});
  void *scratch = malloc({scratch});
  while (fread(in, 1, {bytes_in}, stdin) == {bytes_in}) {{
    {symbol}(&step_0, in, out, scratch);
    fwrite(out, 1, {bytes_out}, stdout);
  }}
  (void){name}_invoke;
  free(in), free(out), free(scratch);
  return 0;
}}
"""


@pytest.mark.parametrize("seed", range(6))
def test_no_byte_beyond_input_output_and_scratch_is_touched(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(100 + seed)
    graph = random_layer(rng)
    while portable(kernels(graph)):
        graph = random_layer(rng)
    batch = HostBatch([graph], features=["dsp"])
    (call,) = batch.arenas[0].calls
    source = emit(graph, batch.arenas[0], "test")
    write_sources(source, tmp_path)
    x = extremes(rng, graph)
    (want,) = interpret(graph, x)
    text = _EXACT_BLOCKS.format(
        name=source.name,
        symbol=call.kernel.symbol,
        bytes_in=x[0].size,
        bytes_out=want[0].size,
        scratch=call.kernel.scratch_bytes(call.site),
    )
    (tmp_path / "main.c").write_text(text, encoding="utf-8")
    sanitize = "-fsanitize=address,undefined"
    program = [str(tmp_path / "main.c"), "-o", str(tmp_path / "main")]
    subprocess.run(["gcc", "-std=c99", "-g", "-O1", sanitize, *program], check=True)
    done = subprocess.run([tmp_path / "main"], input=x.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.int8), want.ravel())


def test_flags_of_this_test_make_warnings_errors() -> None:
    assert "-Werror" in FLAGS and "-Wconversion" in FLAGS


CASES: dict[str, dict[str, Any]] = {
    "pointwise": {"x_shape": (5, 5, 64), "w_shape": (64, 1, 1), "activation": "RELU"},
    "odd pointwise": {"x_shape": (3, 3, 31), "w_shape": (22, 1, 1), "activation": "RELU"},
    "3x3": {"x_shape": (7, 9, 16), "w_shape": (16, 3, 3), "points": (-128, 4)},
    "wide 3x3": {"x_shape": (4, 5, 8), "w_shape": (5, 3, 3), "activation": "RELU"},
    "strided 3x3": {"x_shape": (9, 8, 16), "w_shape": (9, 3, 3), "stride": (2, 2)},
    "stem": {"x_shape": (12, 12, 3), "w_shape": (8, 3, 3), "stride": (2, 2), "activation": "RELU"},
    "tall stem": {"x_shape": (20, 10, 1), "w_shape": (12, 10, 4), "stride": (2, 2)},
    "clamped": {
        "x_shape": (4, 4, 5),
        "w_shape": (6, 2, 2),
        "activation": "RELU6",
        "points": (3, 9),
    },
}


@pytest.mark.emulator
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "nucleo-h743zi2"])
@pytest.mark.parametrize("case", CASES)
def test_on_emulated_cores(case: str, board: str, toolchain: str) -> None:
    rng = np.random.default_rng(3)
    graph = layer(rng, **CASES[case])
    assert not portable(kernels(graph))
    x = extremes(rng, graph)
    run = compile(graph, board, toolchain=toolchain, optimize="balanced").run(x)
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0])


@pytest.mark.emulator
@pytest.mark.parametrize("optimize", ["flash", "speed"])
@pytest.mark.parametrize("case", CASES)
def test_however_far_loops_are_unrolled(case: str, optimize: str) -> None:
    rng = np.random.default_rng(4)
    graph = layer(rng, **CASES[case])
    x = extremes(rng, graph)
    run = compile(graph, "nucleo-l4r5zi", optimize=optimize).run(x)
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0])


@pytest.mark.emulator
@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize(
    "file", ["kws_ref_model_int8", "vww_96_int8", "pretrainedResnet_quant", "ad01_int8"]
)
def test_real_models_give_what_tflm_gives(file: str, shared: Path) -> None:
    data = (shared / "models" / "mlperf_tiny" / f"{file}.tflite").read_bytes()
    graph = load(shared / "models" / "mlperf_tiny" / f"{file}.tflite")
    rng = np.random.default_rng(4)
    x = rng.integers(-128, 128, (2, *graph.input_types[0].shape[1:])).astype(np.int8)
    (want,) = run_tflite("tflm", data, [x]).outputs
    np.testing.assert_array_equal(compile(graph, "nucleo-l4r5zi").run(x).outputs[0], want)
    small, _ = shrink(graph)
    np.testing.assert_array_equal(compile(small, "nucleo-l4r5zi").run(x).outputs[0], want)
