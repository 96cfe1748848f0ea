"""Networks with several inputs: every technique takes them, and so does the command line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smidgen import (
    Dataset,
    Graph,
    describe,
    evaluate,
    finetune,
    prune,
    quantize,
    reconstruct,
    sensitivity,
    student,
    train_quantized,
    write_tflite,
)
from smidgen.errors import SmidgenError
from smidgen.evaluate import real_outputs
from smidgen.ir import GraphBuilder, TensorType
from smidgen.ops import get_op
from smidgen.training.module import GraphModule
from smidgen.training.samples import Samples
from smidgen.training.settings import Training
from smidgen.transforms.prune.weights import sparsity_of
from smidgen.transforms.rewrites import simplify
from tests.test_cli import smidgen
from tests.training.digits import digits

pytestmark = pytest.mark.torch
SETTINGS: dict[str, Any] = {"batch_size": 64, "learning_rate": 5e-3, "threads": 1}


def halves() -> Dataset:
    """The digits, their upper halves apart from the lower ones: neither alone is enough."""
    whole = digits()
    assert whole.x_test is not None
    upper, lower = whole.x[:, :4], whole.x[:, 4:]
    return Dataset(
        upper, whole.y, whole.x_test[:, :4], whole.y_test,
        further_x=(lower.reshape(-1, 32),), further_x_test=(whole.x_test[:, 4:].reshape(-1, 32),),
    )  # fmt: skip


def network(seed: int = 0) -> Graph:
    """A convolution on an image, a dense layer on a vector, and what they have to say together."""
    rng = np.random.default_rng(seed)
    b = GraphBuilder("halves")

    def constant(*shape: int) -> str:
        fan_in = max(1, int(np.prod(shape[1:])))
        return b.constant(rng.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32), name="w")

    upper = b.input("upper", TensorType((1, 4, 8, 1), "float32"))
    lower = b.input("lower", TensorType((1, 32), "float32"))
    conv = get_op("CONV_2D")(
        stride_h=1, stride_w=1, padding="SAME", fused_activation_function="RELU"
    )
    zeros = b.constant(np.zeros(8, np.float32), name="b")
    x = b.add(get_op("RESHAPE")((1, 256)), [b.add(conv, [upper, constant(8, 3, 3, 1), zeros])])
    dense = get_op("FULLY_CONNECTED")(fused_activation_function="RELU")
    y = b.add(dense, [lower, constant(24, 32), None])
    both = b.add(get_op("CONCATENATION")(axis=1), [x, y])
    scores = b.add(get_op("FULLY_CONNECTED")(), [both, constant(10, 280), None])
    return b.build([b.add(get_op("SOFTMAX")(), [scores])])


@pytest.fixture(scope="module")
def trained() -> Graph:
    return finetune(network(), halves(), epochs=20, mixup=0.2, ema=0.9, **SETTINGS)


def blind(data: Dataset, number: int) -> Dataset:
    """The same data without what one of the inputs shows in the test samples."""
    shown = list(data.test_inputs)
    shown[number] = np.zeros_like(shown[number])
    return dataclasses.replace(data, x_test=shown[0], further_x_test=tuple(shown[1:]))


def test_it_learns_from_both_inputs(trained: Graph) -> None:
    data = halves()
    assert evaluate(trained, data).value > 0.9
    for number in (0, 1):
        assert evaluate(trained, blind(data, number)).value < 0.7


@pytest.mark.parametrize(
    "technique",
    ["quantize", "channels", "weights", "taylor", "int8", "int4", "reconstruct", "function"],
)
def test_every_technique_takes_them(trained: Graph, technique: str) -> None:
    data = halves()
    half: dict[str, Any] = {"epochs": 4, **SETTINGS}

    def teach(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """The trained network's answers, as logarithms."""
        assert upper.shape[1:] == (4, 8, 1) and lower.shape[1:] == (32,)
        return np.log(np.maximum(real_outputs(trained, [upper, lower]), 1e-7))

    small = {
        "quantize": lambda: quantize(trained, data),
        "channels": lambda: prune(trained, data, channels=0.5, teacher=trained, **half),
        "weights": lambda: prune(trained, data, weights=0.7, **half),
        "taylor": lambda: prune(trained, data, weights=0.7, importance="taylor", **half),
        "int8": lambda: train_quantized(trained, data, **{**half, "epochs": 1}),
        "int4": lambda: train_quantized(trained, data, "int4", teacher=trained, **half),
        "reconstruct": lambda: reconstruct(trained, data, "int4", steps=50, block_steps=20),
        "function": lambda: finetune(
            student(trained, 0.5, data), dataclasses.replace(data, y=None), teacher=teach, **half
        ),
    }[technique]()
    assert evaluate(small, data).value > 0.85
    if technique == "channels":
        assert describe(small).macs <= 0.5 * describe(trained).macs
    if technique in ("weights", "taylor"):
        assert sparsity_of(small) == pytest.approx(0.7, abs=0.01)


def test_each_group_is_measured(trained: Graph) -> None:
    table = sensitivity(trained, halves(), parts=[0.5])
    assert table.whole > 0.85
    assert [row.size for row in table.rows if row.kind == "channels"] == [8, 24]


def test_an_augmentation_is_given_all_of_them() -> None:
    seen = []

    def swap(x: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
        seen.append([array.shape for array in x])
        return [x[0] + 1, x[1] * 2]

    data = halves()
    module = GraphModule(network())
    plain, changed = (
        Samples(module, data, Training(augment=augment, batch_size=8), None, None).batch(
            0, torch.device("cpu")
        )
        for augment in ("auto", swap)
    )
    assert seen == [[(8, 4, 8, 1), (8, 32)]]
    np.testing.assert_array_equal(changed.inputs[0], plain.inputs[0] + 1)
    np.testing.assert_array_equal(changed.inputs[1], plain.inputs[1] * 2)


@pytest.mark.parametrize(
    ("change", "settings", "why"),
    [
        ({"further_x": (), "further_x_test": ()}, {}, "1 arrays of samples for 2 inputs"),
        ({}, {"augment": "imu"}, "does not fit inputs of shape"),
        ({"further_x": (np.zeros((9, 32)),)}, {}, "x1: 9 samples beside 1437"),
        ({"further_x_test": ()}, {}, "test samples of 1 inputs, training samples of 2"),
        ({"further_x_test": (np.zeros((360, 5)),)}, {}, "x1_test: samples of shape (5,)"),
    ],
)
def test_what_does_not_fit_is_refused(
    change: dict[str, Any], settings: dict[str, Any], why: str
) -> None:
    with pytest.raises(SmidgenError) as caught:
        finetune(network(), dataclasses.replace(halves(), **change), **settings)
    assert why in str(caught.value)


@pytest.mark.emulator
@pytest.mark.oracle
def test_from_the_command_line(trained: Graph, tmp_path: Path) -> None:
    data = halves()
    (upper, lower), (upper_test, lower_test) = data.inputs, data.test_inputs
    np.savez(
        tmp_path / "data.npz", x=upper, x1=lower, y=data.y,
        x_test=upper_test, x1_test=lower_test, y_test=data.y_test,
    )  # fmt: skip
    write_tflite(simplify(trained), tmp_path / "model.tflite")
    done = smidgen(
        "squeeze", tmp_path / "model.tflite", "-d", tmp_path / "data.npz", "--channels", 0.6,
        "--epochs", 2, "--batch-size", 64, "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stages = json.loads(done.stdout)["stages"]
    assert [stage["name"] for stage in stages] == ["as it came", "channels removed"]
    assert stages[1]["macs"] <= 0.6 * stages[0]["macs"]
    assert stages[1]["score"]["value"] > 0.85
