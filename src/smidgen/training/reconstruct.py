"""Reconstruction: an integer model learns to say what its float self says, from samples alone.

Weights start where post-training quantization rounded them. Then block after block, fed by the
integer blocks before it, and at last the whole network, learns which way to round, in which steps
and with which biases, so that its results err least from the float network's. A float weight stays
behind each integer, and gradients pass through rounding to it; it is counted in its own steps.

Sources: Nagel et al., "Up or down? Adaptive rounding for post-training quantization" (2020); Li et
al., "BRECQ: pushing the limit of post-training quantization by block reconstruction" (2021). The
whole network at the end is what their regularizers spare themselves; it is worth most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.data import Dataset
from smidgen.errors import RecipeError
from smidgen.ir import Graph
from smidgen.training.augment import get_augment, mirror
from smidgen.transforms.quantize import CALIBRATION_SAMPLES, Recipe, draw, post_training

Array = np.ndarray[Any, Any]


def reconstruct(
    model: Graph,
    data: Dataset | Array | Sequence[Array],
    recipe: str | Recipe = "int4",
    *,
    samples: int = 1024,
    steps: int = 400,
    block_steps: int = 100,
    augment: Any = "auto",
    seed: int = 0,
    threads: int | None = None,
    checkpoint: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Graph:
    """Quantize a float model, then let the integer model learn the float model's answers.

    It takes no labels, about a thousand samples, and minutes. It is worth them where `quantize`
    loses, which is with int4 weights.

    Args:
        model: any float graph whose operators train.
        data: training samples, as `quantize` takes them; labels and test samples are not read.
        recipe: a preset's name or a `Recipe`, as `quantize` takes it.
        samples: how many to learn from, drawn at random.
        steps: of the whole network, on batches of 32.
        block_steps: of each block before that.
        augment: what the whole network sees: "auto" (square colour images are mirrored), "none"
            or another of `finetune`'s.
        seed: of every draw.
        threads: of torch.
        checkpoint: file that lets an interrupted run go on.
        progress: called with (steps done, steps to do).

    Returns:
        The integer graph.

    Raises:
        RecipeError: if a setting or the recipe is unknown or does not fit.
        DataError: if the samples do not fit, or the checkpoint is another run's.

    Example:
        >>> int4 = reconstruct(model, data, "int4", steps=20, block_steps=5)
        >>> int4.is_quantized
        True
    """
    from smidgen.training.learner import Learner
    from smidgen.training.loop import use_threads

    for name, value in (("steps", steps), ("block_steps", block_steps)):
        if value < 0:
            raise RecipeError(f"{name} is {value}", hint="give a number from 0")
    few = min(samples, CALIBRATION_SAMPLES)
    start = post_training(model, data, recipe, samples=few, seed=seed)
    arrays = draw(start.graph, data, samples, seed)
    chosen = get_augment(augment, start.graph.input_types)
    if augment == "auto" and chosen is not None:
        chosen = mirror  # the float network knows no better what a shift uncovers
    with use_threads(threads):
        learner = Learner(start, arrays, chosen, seed)
        learner.run(steps, block_steps, Path(checkpoint) if checkpoint else None, progress)
    return learner.simulation.to_graph()
