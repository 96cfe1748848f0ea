"""Quantization-aware training: the device's arithmetic in training, and no calibration after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smidgen.data import Dataset
from smidgen.errors import UnsupportedModelError
from smidgen.ir import Graph
from smidgen.training.finetune import get_training
from smidgen.transforms.quantize import CALIBRATION_SAMPLES, Recipe, post_training

if TYPE_CHECKING:
    from smidgen.training.loop import Progress


def train_quantized(
    model: Graph,
    data: Dataset,
    recipe: str | Recipe = "int8",
    *,
    teacher: Any = None,
    features: bool = False,
    live_teacher: bool = False,
    samples: int = CALIBRATION_SAMPLES,
    checkpoint: str | Path | None = None,
    cache: str | Path | None = None,
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    answered: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> Graph:
    """Train a float model as the integer model that it becomes, and return that.

    Training starts from what `quantize` makes of the model. Weights, their steps and the ranges of
    activations are learned; what the training saw is what the device computes. Connections that
    are gone stay gone. Without epochs the result is that of `quantize`.

    Args:
        model: any float graph.
        data: training samples and labels; only `x` and `y` are read.
        recipe: a preset's name or a `Recipe`, as `quantize` takes it.
        teacher: who else to learn from, as in `finetune`; the float model itself is a good one.
        features: learn what lies inside the teacher as well; it must then be a float Graph.
        live_teacher: ask the teacher about every augmented batch.
        samples: how many samples the first ranges are found on.
        checkpoint: file that lets an interrupted run go on.
        cache: folder that keeps a teacher's answers between runs.
        threads: of torch.
        progress: called after every step.
        answered: called with (samples, all) while a teacher answers.
        **settings: fields of `smidgen.training.settings.Training`, such as `epochs=2`.

    Returns:
        The trained integer graph.

    Raises:
        RecipeError: if a setting or the recipe is unknown or does not fit.
        DataError: if the samples do not fit.
        UnsupportedModelError: if the model keeps states, or an operator cannot be trained through.

    Example:
        >>> trained = train_quantized(model, data, "int4", epochs=1, batch_size=16)
        >>> trained.is_quantized
        True
    """
    from smidgen.training.distil import learn_from
    from smidgen.training.loop import fit
    from smidgen.training.simulate import Simulation

    training = get_training(settings)
    if model.states:
        raise UnsupportedModelError(
            f"the model keeps states ({model.states[0].name}): its samples are steps of a sequence",
            hint="quantize the model without training",
        )
    start = post_training(model, data, recipe, samples=samples, seed=training.seed)
    simulation = Simulation(start)
    known, inside = learn_from(
        teacher, start.graph, data, training, features=features, live=live_teacher, cache=cache,
        progress=answered,
    )  # fmt: skip
    fit(
        simulation.module, data, training, teacher=known, features=inside, checkpoint=checkpoint,
        threads=threads, identity=f"{start.recipe} {samples}", progress=progress,
    )  # fmt: skip
    return simulation.to_graph()
