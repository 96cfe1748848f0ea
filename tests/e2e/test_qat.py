"""A real network trained in integers: what the simulation predicts is what the device does."""

from __future__ import annotations

import pytest

from benchmarks._tasks import ic
from smidgen import Dataset, run
from smidgen.backends.tflite import write_tflite
from smidgen.data import arrange, to_model
from smidgen.training.loop import fit
from smidgen.training.module import run_module
from smidgen.training.settings import Training
from smidgen.training.simulate import Simulation
from smidgen.transforms.quantize import post_training
from smidgen.verify.runtimes import run_tflite

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]

HELD = 2000  # training images that are not trained on
FEW = 500  # of those, by kernels that are slow
STEPS = 30


@pytest.mark.parametrize("recipe", ["int8", "int4"])
def test_the_resnet_predicts_what_was_simulated(recipe: str) -> None:
    task = ic(train=4000)
    images, labels = task.data.x, task.data.y
    assert labels is not None
    data, held = Dataset(images[HELD:], labels[HELD:]), images[:HELD]
    training = Training(batch_size=64, learning_rate=5e-4, ema=0.95, validation=0.0)
    epochs = STEPS / training.steps_per_epoch(len(data.x))
    training = Training(**{**vars(training), "epochs": epochs})
    simulation = Simulation(post_training(task.model(), data, recipe, samples=200))
    fit(simulation.module, data, training, threads=1)
    integer = simulation.to_graph()
    (simulated,) = run_module(simulation.module, [arrange(integer, held)])
    inputs, want = to_model(integer, held), simulated.argmax(-1)
    (compiled,) = run(integer, inputs)
    assert (compiled.argmax(-1) == want).mean() >= 0.999
    # LiteRT's FULLY_CONNECTED rounds once where TFLM rounds twice: a logit's step here and there.
    few = inputs[:FEW]
    made = run_tflite("litert_ref", write_tflite(integer), [few], timeout=400).outputs[0]
    assert (made.reshape(FEW, -1).argmax(-1) == want[:FEW]).mean() >= 0.995
    assert (compiled.argmax(-1) == labels[:HELD]).mean() > 0.88  # and nothing is spoilt
