"""CONV_2D by Winograd's transformation: exact on this machine, and on emulated cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen import compile, load, write_tflite
from smidgen.interpreter import interpret
from smidgen.ops._winograd import tile_lead, transform
from smidgen.verify.runtimes import RuntimePool
from tests.host_batch import HostBatch
from tests.kernels.conv_layers import ACTIVATIONS, ZERO_POINTS, extremes, kernels, layer, only
from tests.kernels.exact_blocks import run_sanitized

pytestmark = pytest.mark.toolchain

Array = np.ndarray[Any, Any]
WINOGRAD = "sm_conv_2d_int8_winograd"


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, WINOGRAD, "sm_conv_2d_int8")


def test_the_transformation_is_exact_at_its_extremes() -> None:
    b = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    a = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
    rng = np.random.default_rng(0)
    g = rng.choice(np.array([-128, -127, 127]), (50, 3, 3, 1))
    d = rng.choice(np.array([-128, 127]), (50, 4, 4))
    v = transform(g)
    u = np.einsum("iy,nyx,jx->nij", b, d, b)
    assert np.abs(v).max() <= 9 * 128 and np.abs(u).max() <= 4 * 128
    four_times = np.einsum("iy,nyx,jx->nij", a, u * v[..., 0], a)
    windows = np.lib.stride_tricks.sliding_window_view(d, (3, 3), axis=(1, 2))
    np.testing.assert_array_equal(four_times, 4 * np.einsum("nijyx,nyxc->nij", windows, g))


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("seed", range(3))
def test_any_layer_is_computed_as_the_reference_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graphs = []
    for _ in range(14):
        size = rng.integers(1, 12, 2)
        padding = "SAME" if (size < 3).any() or rng.random() < 0.6 else "VALID"
        points = int(rng.choice(ZERO_POINTS)), int(rng.choice(ZERO_POINTS))
        graph = layer(
            rng,
            (int(size[0]), int(size[1]), 16 * int(rng.integers(1, 5))),
            (int(rng.integers(1, 68)), 3, 3),
            padding=padding,
            activation=ACTIVATIONS[rng.integers(4)],
            bias=rng.random() < 0.8,
            spread=float(rng.choice([0.01, 1.0, 1.0, 20.0])),
            points=points,
        )
        assert kernels(graph) == {WINOGRAD}
        graphs.append(graph)
    batch = HostBatch(graphs, features=["dsp"])
    for i, graph in enumerate(graphs):
        x = extremes(rng, graph)
        np.testing.assert_array_equal(batch.run(i, x)[0], interpret(graph, x)[0], f"{i}")


@pytest.mark.usefixtures("alone")
def test_weights_of_the_largest_magnitude() -> None:
    rng = np.random.default_rng(3)
    for value in (-128, 127):
        weights = np.full((2, 3, 3, 64), value, np.int8)
        weights[1, 1] = -1 - weights[1, 1]
        graph = layer(rng, (5, 5, 64), (2, 3, 3), weights=weights)
        assert kernels(graph) == {WINOGRAD}
        x = extremes(rng, graph)
        got = HostBatch([graph], features=["dsp"]).run(0, x)[0]
        np.testing.assert_array_equal(got, interpret(graph, x)[0])


@pytest.mark.usefixtures("alone")
def test_other_windows_and_channels_go_elsewhere() -> None:
    rng = np.random.default_rng(4)
    for graph in (
        layer(rng, (5, 5, 16), (4, 3, 3), stride=(1, 2)),
        layer(rng, (5, 5, 16), (4, 3, 2)),
        layer(rng, (5, 5, 24), (4, 3, 3)),
    ):
        assert kernels(graph) != {WINOGRAD}


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("size", [(4, 8), (5, 6), (3, 3)])
@pytest.mark.parametrize("channels", [5, 16, 30])
def test_no_byte_beyond_input_output_and_scratch_is_touched(
    size: tuple[int, int], channels: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    graph = layer(rng, (*size, 16), (channels, 3, 3), activation="RELU6", points=(3, 9))
    x = extremes(rng, graph)[5:]
    for got in run_sanitized(graph, [x], tmp_path, features=["dsp"]):
        np.testing.assert_array_equal(got, interpret(graph, x)[0])


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size", [(6, 9), (7, 4), (3, 3), (12, 30)])
@pytest.mark.parametrize("out_c", [16, 3, 40])
def test_the_lead_is_what_a_simulation_needs(
    size: tuple[int, int], out_c: int, padding: str
) -> None:
    """Walk the tiles, note when each input byte is read last and each output byte written first."""
    pad = 1 if padding == "SAME" else 0
    out_h, out_w = (s - 2 + 2 * pad for s in size)
    read = np.full((*size, 16), -1)
    written = np.zeros((out_h, out_w, out_c), int)
    time = 0
    for oy in range(0, out_h, 2):
        for ox in range(0, out_w, 4):
            y, x = oy - pad, ox - pad
            read[max(y, 0) : y + 4, max(x, 0) : x + 6] = time
            written[oy : oy + 2, ox : ox + 4] = time + 1
            time += 2
    last_read, first_write = read.ravel(), written.ravel()

    def safe(lead: int) -> bool:
        at = np.arange(first_write.size) - lead  # where each output byte lies in the input
        inside = (at >= 0) & (at < last_read.size)
        return bool((first_write[inside] > last_read[at[inside]]).all())

    lead = tile_lead((1, *size, 16), (1, out_h, out_w, out_c), (pad, pad))
    assert safe(lead) and safe(lead + 1) and safe(lead + 100)


CASES: dict[str, dict[str, Any]] = {
    "relu": {"x_shape": (8, 8, 16), "w_shape": (16, 3, 3), "activation": "RELU"},
    "signed, odd": {"x_shape": (7, 9, 32), "w_shape": (9, 3, 3), "points": (-128, 4)},
}


@pytest.mark.emulator
@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "nucleo-h743zi2"])
@pytest.mark.parametrize("case", CASES)
def test_on_emulated_cores(case: str, board: str, toolchain: str) -> None:
    rng = np.random.default_rng(6)
    graph = layer(rng, **CASES[case])
    assert kernels(graph) == {WINOGRAD}
    x = extremes(rng, graph)
    run = compile(graph, board, toolchain=toolchain).run(x)
    np.testing.assert_array_equal(run.outputs[0], interpret(graph, x)[0])


@pytest.mark.emulator
@pytest.mark.oracle
def test_resnet_at_full_speed_is_tflms_in_every_tensor(shared: Path) -> None:
    path = shared / "models" / "mlperf_tiny" / "pretrainedResnet_quant.tflite"
    graph = load(path)
    x = np.random.default_rng(7).integers(-128, 128, (1, 32, 32, 3)).astype(np.int8)
    firmware = compile(graph, "nucleo-l4r5zi", optimize="speed", flash="240KB")
    chosen = [call.kernel.symbol for call in firmware.arena.calls]
    assert chosen.count(WINOGRAD) == 4
    assert firmware.flash_bytes < 240 * 1024
    with RuntimePool() as pool:
        inside = pool.run("tflm", write_tflite(graph), [x], intermediates=True).tensors
    assert inside is not None
    names = [name for node in load(path).nodes for name in node.outputs]
    wanted = dict(zip(names, inside.values(), strict=True))
    for step in firmware.profile([x]):
        np.testing.assert_array_equal(step.tensor, wanted[step.value], step.layer)
