from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen.backends.c.compile import compile as compile_firmware
from smidgen.errors import DataError, EmulatorError, SmidgenError
from smidgen.frontends.tflite import read
from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op
from smidgen.transforms.quantize import quantize
from smidgen.verify import ORACLE, Row, Verification, difference, verify
from tests.streaming import frames, ring

Array = np.ndarray[Any, Any]


def random_inputs(graph: Graph, count: int) -> list[Array]:
    rng = np.random.default_rng(0)
    arrays = []
    for type in graph.input_types:
        shape = (count, *type.shape[1:])
        if type.dtype == "float32":
            arrays.append(rng.normal(size=shape).astype(np.float32))
        else:
            arrays.append(rng.integers(-128, 127, shape, np.int8, endpoint=True))
    return arrays


def row_of(check: Verification, runtime: str) -> Row:
    return next(row for row in check.rows if runtime in row.runtime)


def three_sums(shift: float = 0.0) -> Graph:
    """y = ((x + a) + b) + c with int8 constants; `shift` is added to b."""
    quant = QuantParams.per_tensor(0.5, 3)
    b = GraphBuilder("sums")
    value = b.input("x", TensorType((1, 8), "int8", quant))
    for i, amount in enumerate((5, -7 + shift, 9)):
        constant = b.constant(np.full((1, 8), amount, np.int8), quant=quant)
        value = b.add(get_op("ADD")(), [value, constant], quant=quant, outputs=[f"sum{i}"])
    return b.build([value])


def clamped(shift: int) -> Graph:
    """y = (x - 100 + shift) + 110, of which a large x leaves 127 in the end."""
    quant = QuantParams.per_tensor(1.0, 0)
    b = GraphBuilder("clamped")
    value = b.input("x", TensorType((1, 8), "int8", quant))
    for i, amount in enumerate((shift - 100, 110)):
        constant = b.constant(np.full((1, 8), amount, np.int8), quant=quant)
        value = b.add(get_op("ADD")(), [value, constant], quant=quant, outputs=[f"sum{i}"])
    return b.build([value])


@pytest.mark.oracle
@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("name", "ref_differs_at"),
    [
        ("kws_ref_model_int8", None),
        ("pretrainedResnet_quant", None),
        ("vww_96_int8", None),
        ("ad01_int8", "FULLY_CONNECTED"),  # BUILTIN_REF rounds it once, TFLM twice
    ],
)
def test_real_models_agree_with_the_oracle(
    shared: Path, name: str, ref_differs_at: str | None
) -> None:
    model = shared / "models" / "mlperf_tiny" / f"{name}.tflite"
    inputs = random_inputs(read(model), 12)
    check = verify(model, inputs, runtimes=("host", "tflm", "litert_ref", "litert_xnnpack"))
    assert check.ok
    assert check.proven
    assert (check.samples, check.oracle) == (12, ORACLE)
    for runtime in ("host C", ORACLE):
        row = row_of(check, runtime)
        assert row.exact
        assert row.samples == 12
        assert row.tensors >= 10
        assert row.version
        assert row.seconds > 0
    row = row_of(check, "BUILTIN_REF")
    if ref_differs_at is None:
        assert row.exact
    else:
        assert row.outcome == "differs"
        assert row.first_divergent is not None
        assert row.divergent_layer is not None
        assert row.divergent_layer.startswith(ref_differs_at)
        assert row.max_difference in (1, 2)
    assert not row_of(check, "XNNPACK").must_agree


@pytest.mark.oracle
@pytest.mark.toolchain
@pytest.mark.emulator
def test_all_runtimes_on_one_graph() -> None:
    check = verify(three_sums(), random_inputs(three_sums(), 20), emulator_samples=5)
    assert [row.runtime for row in check.rows] == [
        "int_ref",
        "host C",
        "emulated cortex-m4",
        ORACLE,
        "LiteRT BUILTIN_REF",
        "LiteRT XNNPACK",
    ]
    assert [row.samples for row in check.rows] == [20, 20, 5, 20, 20, 20]
    assert all(row.exact and row.tensors == 3 for row in check.rows[1:5])
    assert check.rows[2].version.startswith("unicorn")


@pytest.mark.oracle
@pytest.mark.toolchain
@pytest.mark.emulator
def test_float_graphs_agree_within_rounding(shared: Path) -> None:
    model = shared / "zoo" / "tflm_hello_world_float.tflite"
    check = verify(model, random_inputs(read(model), 20), emulator_samples=2)
    assert check.proven
    for row in check.rows[1:]:
        assert row.outcome == "agrees"
        assert row.unit == ""
        assert row.max_difference is not None
        assert row.max_difference < 1e-5
        assert row.tensors == 3


@pytest.mark.toolchain
@pytest.mark.emulator
def test_qemu_is_asked_for_by_name() -> None:
    check = verify(three_sums(), random_inputs(three_sums(), 2), runtimes=("qemu",))
    row = check.rows[1]
    assert row.exact
    assert row.runtime == "emulated cortex-m4 (QEMU)"
    assert row.version.lower().startswith("qemu")


@pytest.mark.toolchain
@pytest.mark.emulator
def test_other_firmware_is_found_out() -> None:
    graph = three_sums()
    wrong = compile_firmware(three_sums(shift=2))
    check = verify(graph, np.zeros((3, 8), np.int8), runtimes=("emulator",), firmware=wrong)
    assert not check.ok
    row = check.rows[1]
    assert row.outcome == "differs"
    assert row.max_difference == 2
    assert row.first_divergent == "sum1"
    assert row.divergent_layer == "ADD 'sum1'"


@pytest.mark.toolchain
@pytest.mark.emulator
def test_the_sample_that_differs_is_the_one_that_is_traced() -> None:
    # A larger sum is hidden where the sum is clamped to 127 afterwards: in the first sample only.
    inputs = np.stack([np.full(8, 127, np.int8), np.zeros(8, np.int8)])
    graph, wrong = clamped(0), compile_firmware(clamped(10))
    both = verify(graph, inputs, runtimes=("emulator",), firmware=wrong).rows[1]
    assert (both.max_difference, both.first_divergent) == (10, "sum0")
    first = verify(graph, inputs[:1], runtimes=("emulator",), firmware=wrong)
    assert first.rows[1].max_difference == 0
    assert first.rows[1].first_divergent == "sum0"
    assert first.rows[1].status == "outputs exact, tensors inside differ"
    assert not first.ok


@pytest.mark.oracle
def test_the_very_file_is_what_foreign_runtimes_run(shared: Path) -> None:
    path = shared / "models" / "mlperf_tiny" / "kws_ref_model_int8.tflite"
    inputs = random_inputs(read(path), 2)
    for model in (path, str(path), path.read_bytes(), read(path)):
        check = verify(model, inputs, runtimes=("tflm",))
        assert check.proven
        assert check.rows[1].tensors == 13


@pytest.mark.toolchain
def test_an_absent_runtime_is_said_to_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "tflite_micro" else real(n, *a)
    )
    check = verify(three_sums(), np.zeros((1, 8), np.int8), runtimes=("host", "tflm"))
    assert check.ok
    assert not check.proven
    assert check.rows[2].outcome == "not run"
    assert "pip install 'smidgen[verify]'" in check.rows[2].status


@pytest.mark.oracle
def test_a_crash_is_a_row_and_no_failure_of_ours(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The graph is ours, the file one that LiteRT does not survive.
    crasher = (shared / "zoo" / "tflm_keyword_scrambled_8bit.tflite").read_bytes()
    monkeypatch.setattr("smidgen.backends.tflite.writer.write", lambda graph: crasher)
    b = GraphBuilder()
    graph = b.build([b.input("x", TensorType((1, 96), "int16", QuantParams.per_tensor(0.5, 0)))])
    check = verify(graph, np.zeros((3, 96), np.int16), runtimes=("litert_ref",))
    assert check.rows[1].outcome == "not run"
    assert "crashed on this model (SIG" in check.rows[1].status


@pytest.mark.toolchain
def test_firmware_that_faults_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    firmware = compile_firmware(three_sums())

    def fault(*args: object, **keywords: object) -> None:
        raise EmulatorError("read of address 0x0")

    monkeypatch.setattr(firmware, "run", fault)
    check = verify(
        three_sums(), np.zeros((1, 8), np.int8), runtimes=("emulator",), firmware=firmware
    )
    assert not check.ok
    assert check.rows[1].status == "failed: read of address 0x0"


def test_bad_requests_are_refused() -> None:
    with pytest.raises(SmidgenError, match="no runtime is called tvm; use some of host"):
        verify(three_sums(), np.zeros((1, 8), np.int8), runtimes=("host", "tvm"))
    with pytest.raises(DataError):
        verify(three_sums(), np.zeros((1, 9), np.int8))


def test_without_runtimes_there_is_only_the_reference() -> None:
    check = verify(three_sums(), np.zeros((2, 8), np.int8), runtimes=())
    assert [row.outcome for row in check.rows] == ["reference"]
    assert check.ok
    assert not check.proven


NAN = np.array([1.0, np.nan], np.float32)


@pytest.mark.parametrize(
    ("expected", "found", "size", "allowed"),
    [
        (np.array([-128], np.int8), np.array([127], np.int8), 255.0, False),
        (np.array([3], np.int8), np.array([3], np.int8), 0.0, True),
        (np.array([3], np.int8), np.array([3], np.int16), float("inf"), False),
        (np.zeros((1, 2), np.int8), np.zeros((2, 1), np.int8), float("inf"), False),
        (np.zeros((0,), np.int8), np.zeros((0,), np.int8), 0.0, True),
        (np.array([True]), np.array([False]), 1.0, False),
        (np.array([100, 0], np.float32), np.array([100, 0.005], np.float32), 0.005, True),
        (np.array([100, 0], np.float32), np.array([100, 0.05], np.float32), 0.05, False),
        (np.zeros(2, np.float32), np.full(2, 1e-20, np.float32), 1e-20, False),
        (NAN, NAN, 0.0, True),
        (NAN, np.ones(2, np.float32), float("inf"), False),
        (np.array([np.inf], np.float32), np.array([-np.inf], np.float32), float("inf"), False),
    ],
)
def test_difference(expected: Array, found: Array, size: float, allowed: bool) -> None:
    result = difference(expected, found)
    assert result[0] == pytest.approx(size, rel=1e-4)
    assert result[1] is allowed


def test_rows_can_be_kept() -> None:
    row = Row("host C", "agrees", True, max_difference=0.0)
    assert replace(row, samples=4).samples == 4


@pytest.mark.e2e
def test_a_model_that_remembers_is_compared_step_by_step() -> None:
    graph = quantize(ring(), frames(64), stream=True)
    result = verify(graph, random_inputs(graph, 12), runtimes=["host", "emulator", "tflm"])
    assert result.proven, result.verdict
    assert all(row.exact for row in result.rows[1:])
    assert [row.samples for row in result.rows[1:]] == [12, 8, 12]
    assert all(row.tensors for row in result.rows[1:])
