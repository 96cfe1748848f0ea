from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen.backends.tflite.writer import write
from smidgen.errors import (
    DataError,
    ForeignRuntimeError,
    RuntimeCrashedError,
    RuntimeRefusedError,
    RuntimeTimeoutError,
    SmidgenError,
    ToolMissingError,
)
from smidgen.ir import GraphBuilder, QuantParams, TensorType
from smidgen.ops import get_op
from smidgen.verify.runtimes import TITLES, RuntimeName, RuntimePool, computed_tensors, run_tflite

pytestmark = pytest.mark.oracle

NAMES: tuple[RuntimeName, ...] = ("tflm", "litert_ref", "litert_xnnpack")
LITERT: tuple[RuntimeName, ...] = ("litert_ref", "litert_xnnpack")
MLPERF = {
    "kws_ref_model_int8": ((49, 10, 1), (12,)),
    "vww_96_int8": ((96, 96, 3), (2,)),
    "pretrainedResnet_quant": ((32, 32, 3), (10,)),
    "ad01_int8": ((640,), (640,)),
}


@pytest.fixture(scope="module")
def pool() -> Any:
    with RuntimePool() as pool:
        yield pool


def mlperf(shared: Path, name: str, count: int) -> tuple[bytes, list[np.ndarray[Any, Any]]]:
    model = (shared / "models" / "mlperf_tiny" / f"{name}.tflite").read_bytes()
    rng = np.random.default_rng(0)
    return model, [rng.integers(-128, 127, (count, *MLPERF[name][0]), np.int8, endpoint=True)]


def sum_of(width: int) -> bytes:
    """A small model: x + y, int8."""
    quant = QuantParams.per_tensor(0.5, 3)
    b = GraphBuilder()
    x = b.input("x", TensorType((1, width), "int8", quant))
    y = b.input("y", TensorType((1, width), "int8", quant))
    return write(b.build([b.add(get_op("ADD")(), [x, y], quant=quant)]))


@pytest.mark.parametrize("name", MLPERF)
def test_real_models_run_everywhere(shared: Path, pool: RuntimePool, name: str) -> None:
    model, inputs = mlperf(shared, name, 4)
    results = {runtime: pool.run(runtime, model, inputs) for runtime in NAMES}
    for result in results.values():
        assert [o.shape for o in result.outputs] == [(4, *MLPERF[name][1])]
        assert result.outputs[0].dtype == np.int8
        assert result.tensors is None
        assert result.version[0].isdigit()
        assert result.seconds > 0
    if name != "ad01_int8":  # FULLY_CONNECTED is the operator on which the two may differ
        np.testing.assert_array_equal(results["tflm"].outputs[0], results["litert_ref"].outputs[0])


@pytest.mark.parametrize("runtime", NAMES)
def test_every_tensor_can_be_had(shared: Path, pool: RuntimePool, runtime: RuntimeName) -> None:
    model, inputs = mlperf(shared, "kws_ref_model_int8", 3)
    result = pool.run(runtime, model, inputs, intermediates=True)
    assert result.tensors is not None
    assert list(result.tensors) == computed_tensors(model) == list(range(22, 35))
    assert result.tensors[22].shape == (3, 25, 5, 64)
    np.testing.assert_array_equal(result.tensors[34], result.outputs[0])
    np.testing.assert_array_equal(pool.run(runtime, model, inputs).outputs[0], result.outputs[0])


def test_intermediate_tensors_are_the_real_ones(shared: Path, pool: RuntimePool) -> None:
    # A runtime that let tensors overwrite each other would not agree with another on all of them.
    model, inputs = mlperf(shared, "pretrainedResnet_quant", 2)
    tflm = pool.run("tflm", model, inputs, intermediates=True).tensors
    litert = pool.run("litert_ref", model, inputs, intermediates=True).tensors
    assert tflm is not None
    assert litert is not None
    assert len(tflm) == 16
    for number, tensor in tflm.items():
        np.testing.assert_array_equal(tensor, litert[number])


def test_samples_are_independent(shared: Path, pool: RuntimePool) -> None:
    model, (x,) = mlperf(shared, "kws_ref_model_int8", 3)
    together = pool.run("tflm", model, [x]).outputs[0]
    alone = [pool.run("tflm", model, [x[i : i + 1]]).outputs[0] for i in range(3)]
    np.testing.assert_array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize("runtime", LITERT)
def test_a_model_that_aborts_litert_is_a_crash(
    shared: Path, pool: RuntimePool, runtime: RuntimeName
) -> None:
    model = (shared / "zoo" / "tflm_keyword_scrambled_8bit.tflite").read_bytes()
    x = np.zeros((3, 96), np.int16)
    with pytest.raises(RuntimeCrashedError, match=rf"{TITLES[runtime]}: crashed .*\(SIG[A-Z]+"):
        pool.run(runtime, model, [x])
    assert pool.run("tflm", model, [x]).outputs[0].shape == (3, 2)
    assert pool.run(runtime, sum_of(4), [np.ones((1, 4), np.int8)] * 2).outputs[0].shape == (1, 4)


@pytest.mark.parametrize("runtime", LITERT)
def test_a_refusal_is_given_in_the_runtimes_words(
    shared: Path, pool: RuntimePool, runtime: RuntimeName
) -> None:
    model = (shared / "zoo" / "tflm_person_detect_int8.tflite").read_bytes()
    with pytest.raises(RuntimeRefusedError, match="quantized_dimension must be in range"):
        pool.run(runtime, model, [np.zeros((1, 96, 96, 1), np.int8)])


def test_tflm_says_which_operator_it_lacks(shared: Path, pool: RuntimePool) -> None:
    model = (shared / "zoo" / "coral_deeplabv3_mnv2_dm05_uint8.tflite").read_bytes()
    with pytest.raises(RuntimeRefusedError) as caught:
        pool.run("tflm", model, [np.zeros((1, 513, 513, 3), np.uint8)])
    assert "allocate" in caught.value.message
    assert caught.value.output


@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize("cut", [0, 4, 2000])
def test_damaged_files_are_refused(
    shared: Path, pool: RuntimePool, runtime: RuntimeName, cut: int
) -> None:
    model, inputs = mlperf(shared, "kws_ref_model_int8", 1)
    with pytest.raises(ForeignRuntimeError):
        pool.run(runtime, model[:cut], inputs)


@pytest.mark.parametrize("runtime", NAMES)
@pytest.mark.parametrize(
    "wrong",
    [
        [np.zeros((1, 4), np.float32)] * 2,
        [np.zeros((1, 5), np.int8)] * 2,
        [np.zeros((1, 4), np.int8)],
        [np.zeros((1, 4), np.int8)] * 3,
    ],
    ids=["dtype", "shape", "too few", "too many"],
)
def test_inputs_that_do_not_fit_are_refused(
    pool: RuntimePool, runtime: RuntimeName, wrong: list[np.ndarray[Any, Any]]
) -> None:
    with pytest.raises(RuntimeRefusedError):
        pool.run(runtime, sum_of(4), wrong)


def test_objects_are_never_sent(pool: RuntimePool) -> None:
    with pytest.raises(DataError):
        pool.run("tflm", sum_of(4), [np.array([[None] * 4])] * 2)


@pytest.mark.parametrize("runtime", NAMES)
def test_one_process_takes_many_models(pool: RuntimePool, runtime: RuntimeName) -> None:
    rng = np.random.default_rng(1)
    start = time.perf_counter()
    for i in range(200):
        width = 1 + i % 17
        x, y = rng.integers(-50, 50, (2, 2, width), np.int8)
        out = pool.run(runtime, sum_of(width), [x, y]).outputs[0]
        expected = x.astype(int) + y - 3  # equal scales: an addition of what is over zero
        np.testing.assert_array_equal(out, np.clip(expected, -128, 127))
    assert time.perf_counter() - start < 60


def test_a_model_that_takes_too_long_is_ended(shared: Path) -> None:
    model, (x,) = mlperf(shared, "vww_96_int8", 2)
    with RuntimePool() as pool:
        pool.run("tflm", model, [x[:1]])
        start = time.perf_counter()
        with pytest.raises(RuntimeTimeoutError, match=r"took over 0\.5 seconds"):
            pool.run("tflm", model, [np.repeat(x, 200, axis=0)], timeout=0.5)
        assert time.perf_counter() - start < 10
        assert len(pool.run("tflm", model, [x]).outputs[0]) == 2


def test_memory_is_limited(shared: Path) -> None:
    model, inputs = mlperf(shared, "kws_ref_model_int8", 1)
    with RuntimePool(memory=64 << 20) as starved, pytest.raises(RuntimeCrashedError):
        starved.run("tflm", model, inputs)


def test_a_runtime_that_is_absent_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolMissingError, match=r"pip install 'smidgen\[verify\]'"):
        run_tflite("tflm", b"", [])


def test_unknown_runtimes_are_refused() -> None:
    with pytest.raises(SmidgenError, match="use one of tflm, litert_ref, litert_xnnpack"):
        run_tflite("tvm", b"", [])  # type: ignore[arg-type]


def test_one_model_alone() -> None:
    result = run_tflite("tflm", sum_of(2), [np.full((1, 2), 3, np.int8)] * 2)
    np.testing.assert_array_equal(result.outputs[0], [[3, 3]])
