"""The four MLPerf Tiny int8 models: firmware and host code are byte-identical to TFLM."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.firmware import TFLM, different, samples
from smidgen import compile, load, shrink, write_tflite
from smidgen.backends.c.host import FAST, QUICK, HostModel
from smidgen.interpreter import interpret
from smidgen.ir import Graph
from smidgen.verify.runtimes import RuntimePool

FILES = {
    "KWS": "kws_ref_model_int8.tflite",
    "VWW": "vww_96_int8.tflite",
    "IC": "pretrainedResnet_quant.tflite",
    "AD": "ad01_int8.tflite",
}
pytestmark = [pytest.mark.e2e, pytest.mark.oracle]


@pytest.fixture(scope="module", params=FILES)
def model(request, shared) -> tuple[str, Graph, bytes]:
    path = shared / "models" / "mlperf_tiny" / FILES[request.param]
    return request.param, load(path), path.read_bytes()


@pytest.mark.toolchain
def test_host_code_is_identical(model):
    _, graph, file = model
    x = samples(graph, 300)
    with RuntimePool(timeout=250) as pool:
        want = pool.run("tflm", file, [x]).outputs[0]
    for features in ((), ("dsp",), ("host",)):
        flags = FAST if features == ("host",) else QUICK  # those of cores are no faster for it
        assert different(HostModel(graph, flags=flags, features=features).run(x)[0], want) == 0


@pytest.mark.emulator
def test_firmware_is_identical_in_every_tensor(model):
    name, graph, file = model
    firmware = compile(graph)
    x = samples(graph, 4)
    with RuntimePool(timeout=250) as pool:
        want = pool.run("tflm", file, [x]).outputs[0]
        inside = pool.run("tflm", write_tflite(graph), [x[:1]], intermediates=True).tensors
        reference = pool.run("litert_ref", file, [x]).outputs[0]
    assert different(firmware.run(x).outputs[0], want) == 0
    names = [n for node in graph.nodes for n in node.outputs]
    assert inside is not None
    tensors = dict(zip(names, inside.values(), strict=True))
    steps = firmware.profile([x[:1]])
    assert len(steps) >= len(names) - 1  # RESHAPE runs no code
    for step in steps:
        assert different(step.tensor, tensors[step.value]) == 0, step.layer
    # LiteRT's reference kernels round once where TFLM rounds twice, in FULLY_CONNECTED only.
    assert different(reference, want) == 0 or name == "AD"
    # Smaller than TensorFlow Lite Micro with CMSIS-NN, by the margins we promise.
    _, code, ram, _ = TFLM[name]
    assert firmware.code_bytes <= 0.4 * code
    assert firmware.ram_bytes <= 0.8 * ram


@pytest.mark.emulator
@pytest.mark.toolchain
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
@pytest.mark.parametrize("optimize", ["speed", "balanced", "flash"])
def test_every_way_of_compiling_is_identical(model, toolchain, optimize):
    _, graph, _ = model
    x = samples(graph, 3)
    run = compile(graph, "nucleo-l4r5zi", toolchain=toolchain, optimize=optimize).run(x)
    assert different(run.outputs[0], interpret(graph, x)[0]) == 0


@pytest.mark.emulator
@pytest.mark.toolchain
def test_riscv_firmware_is_identical(model):
    _, graph, file = model
    x = samples(graph, 3)
    with RuntimePool(timeout=250) as pool:
        want = pool.run("tflm", file, [x]).outputs[0]
    run = compile(graph, "esp32-c3-devkitm-1", toolchain="zig").run(x)
    assert different(run.outputs[0], want) == 0
    assert run.cycles is not None


@pytest.mark.emulator
def test_shrinking_vww_changes_no_byte(shared):
    path = shared / "models" / "mlperf_tiny" / FILES["VWW"]
    graph = load(path)
    small, report = shrink(graph)
    weights = [
        sum(v.type.bytes for v in g.values.values() if v.is_constant and v.type.dtype == "int8")
        for g in (graph, small)
    ]
    assert weights[0] == 208_112
    assert weights[1] <= 44_035
    assert report.changes
    assert compile(small).constant_bytes <= 46_000
    x = samples(graph, 20)
    images = np.load(shared / "data" / "vww" / "vww96_coco_open.npz")["x"][:20]
    x = np.concatenate([x, (images.astype(np.int16) - 128).astype(np.int8)])
    with RuntimePool(timeout=250) as pool:
        before = pool.run("tflm", path.read_bytes(), [x]).outputs[0]
        after = pool.run("tflm", write_tflite(small), [x]).outputs[0]
    assert different(before, after) == 0
    assert different(interpret(small, x)[0], before) == 0


def test_loading_and_compiling_is_quick(shared):
    """IC in under 5 seconds of processor time, Python's start included."""
    path = shared / "models" / "mlperf_tiny" / FILES["IC"]
    code = (
        "import json, resource, sys, smidgen\n"
        "fw = smidgen.compile(smidgen.load(sys.argv[1]))\n"
        "size = fw.flash_bytes\n"
        "used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]\n"
        "print(json.dumps([size, sum(u.ru_utime + u.ru_stime for u in used)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    size, seconds = json.loads(done.stdout)
    assert size > 0
    assert seconds < 5
