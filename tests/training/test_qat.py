"""Training in integers: it starts as `quantize` ends, gains, and is what the device computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from smidgen import Dataset, Graph, Recipe, Rule, evaluate, finetune, quantize, train_quantized
from smidgen import prune as smidgen_prune
from smidgen.backends.tflite import write_tflite
from smidgen.data import arrange, decode, to_model
from smidgen.errors import DataError, RecipeError, UnsupportedModelError
from smidgen.interpreter import interpret
from smidgen.ir import GraphBuilder, TensorType
from smidgen.ops import get_op
from smidgen.training.loop import fit
from smidgen.training.module import run_module
from smidgen.training.settings import Training
from smidgen.training.simulate import Simulation
from smidgen.transforms.prune.weights import prunable
from smidgen.transforms.quantize import post_training
from tests.training.digits import digits, network

pytestmark = pytest.mark.torch

SETTINGS: dict[str, Any] = {"epochs": 2, "batch_size": 64, "learning_rate": 1e-3, "threads": 1}
FEW_BITS = Recipe((Rule(weight_dtype="int4"),), fit_weights=False, correct_bias=False)
RECIPES = {
    "int8": "int8",
    "int4": "int4",
    "float io": "int8-float-io",
    "equalized": "int8-equalized",
    "plain": "int8-plain",
    "mixed": Recipe((Rule(), Rule(operator="FULLY_CONNECTED", dtype="float32"))),
    "int16x8": Recipe((Rule(dtype="int16", weights="per-channel"),), correct_bias=False),
}


@pytest.fixture(scope="module")
def model() -> Graph:
    return finetune(
        network(), digits(), epochs=6, batch_size=64, learning_rate=5e-3, ema=0.9, threads=1
    )


@pytest.mark.parametrize("name", RECIPES)
def test_without_epochs_it_is_what_quantize_makes(model: Graph, name: str) -> None:
    recipe = RECIPES[name]
    trained = train_quantized(model, digits(), recipe, epochs=0)
    assert write_tflite(trained) == write_tflite(quantize(model, digits(), recipe))


@pytest.mark.parametrize("name", ["int8", "float io", "mixed", "int16x8", "int4"])
def test_the_integer_graph_is_what_was_trained(model: Graph, name: str) -> None:
    data = digits()
    simulation = Simulation(post_training(model, data, RECIPES[name]))
    fit(simulation.module, data, Training(epochs=2, batch_size=64), threads=1)
    integer = simulation.to_graph()
    samples = np.concatenate([data.x, data.x_test])
    (want,) = run_module(simulation.module, [arrange(integer, samples)])
    (got,) = interpret(integer, [to_model(integer, samples)])
    type = integer.output_types[0]
    real = decode(type, got)
    assert (real.argmax(-1) == want.argmax(-1)).mean() >= 0.999
    step = max(type.quant.scale if type.quant is not None else 0, 1 / 256)
    assert (np.abs(real - want) < 1.5 * step).mean() > 0.98


@pytest.mark.parametrize(
    ("operator", "recipe"), [("MEAN", "int8"), ("MEAN", "int16x8"), ("SUM", "int8")]
)
@pytest.mark.parametrize("size", [(8, 8), (5, 6)])
def test_sums_are_rounded_as_the_device_does(
    operator: str, recipe: str, size: tuple[int, int]
) -> None:
    op: Any = get_op(operator)
    builder = GraphBuilder(operator)
    x = builder.input("x", TensorType((1, *size, 4), "float32"))
    graph = builder.build([builder.add(op((1, 2)), [x])])
    samples = np.random.default_rng(0).normal(0.5, 1, (2000, *size, 4)).astype(np.float32)
    start = post_training(graph, Dataset(samples), recipe)
    simulation = Simulation(start)
    (want,) = interpret(start.integer, [to_model(start.integer, samples)])
    (found,) = run_module(simulation.module, [samples])
    (type,) = start.integer.output_types
    assert type.quant is not None
    steps = found / type.quant.scale + type.quant.zero_point
    apart = np.abs(steps - want)
    assert apart.max() < (0.01 if recipe == "int8" else 1.01)  # int16 sums have more digits
    assert (apart < 0.01).mean() > 0.99
    training = simulation.module.train()(torch.from_numpy(samples))[0].detach().numpy()
    assert (np.rint(training / type.quant.scale + type.quant.zero_point) == want).mean() > 0.99


def test_few_bits_gain(model: Graph) -> None:
    before = evaluate(quantize(model, digits(), FEW_BITS), digits()).value
    after = train_quantized(model, digits(), FEW_BITS, **SETTINGS | {"epochs": 6})
    assert evaluate(after, digits()).value >= max(0.9, before)
    real = evaluate(model, digits()).value
    assert evaluate(after, digits()).value > real - 0.02


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["int8", "int4"])
def test_litert_runs_what_was_trained(model: Graph, name: str) -> None:
    from smidgen.verify.runtimes import run_tflite

    integer = train_quantized(model, digits(), name, **SETTINGS)
    inputs = to_model(integer, digits().x_test)
    outputs = run_tflite("litert_ref", write_tflite(integer), [inputs]).outputs[0]
    (want,) = interpret(integer, [inputs])
    assert (outputs.argmax(-1) == want.argmax(-1)).mean() >= 0.99
    assert np.abs(outputs.astype(int) - want).max() <= 2


@pytest.mark.parametrize("recipe", ["int8", "int4"])
def test_zeros_stay(model: Graph, recipe: str) -> None:
    sparse = smidgen_prune(model, weights=0.6)
    integer = train_quantized(sparse, digits(), recipe, **SETTINGS)
    masks = [sparse.data(name) == 0 for name in prunable(sparse)]
    assert sum(mask.sum() for mask in masks) > 0.59 * sum(mask.size for mask in masks)
    weights = [integer.data(n.inputs[1]) for n in integer.nodes if len(n.inputs) == 3]
    for mask, data in zip(masks, weights, strict=True):
        assert (data[mask] == 0).all()


def test_a_run_goes_on_from_its_checkpoint(model: Graph, tmp_path: Path) -> None:
    def kill(progress: Any) -> None:
        if progress.step == 20:
            raise KeyboardInterrupt

    path, settings = tmp_path / "run.ckpt", SETTINGS | {"ema": 0.9}
    undisturbed = train_quantized(model, digits(), "int4", **settings)
    kept = settings | {"checkpoint": path, "progress": kill}
    with pytest.raises(KeyboardInterrupt):
        train_quantized(model, digits(), "int4", **kept)
    assert path.exists()
    resumed = train_quantized(model, digits(), "int4", checkpoint=path, **settings)
    assert write_tflite(resumed) == write_tflite(undisturbed)
    with pytest.raises(DataError, match="another run"):
        train_quantized(model, digits(), "int8", checkpoint=path, **settings)


def test_a_teacher_takes_the_place_of_labels(model: Graph) -> None:
    data = digits()
    silent = Dataset(data.x, None, data.x_test, data.y_test)
    integer = train_quantized(model, silent, "int4", teacher=model, features=True, **SETTINGS)
    assert evaluate(integer, data).value > 0.88


def test_what_does_not_fit_is_refused(model: Graph) -> None:
    with pytest.raises(RecipeError, match="no recipe 'int2'"):
        train_quantized(model, digits(), "int2")
    with pytest.raises(RecipeError, match="quantized already"):
        train_quantized(quantize(model, digits()), digits())
    with pytest.raises(UnsupportedModelError, match="features are learned"):
        train_quantized(model, digits(), features=True)
