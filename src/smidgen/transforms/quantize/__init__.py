"""Post-training quantization: recipe → calibrate → equalize → convert → correct biases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.data import Dataset, check_count, to_inputs
from smidgen.errors import DataError, RecipeError
from smidgen.interpreter import state_arrays
from smidgen.ir import Graph
from smidgen.transforms.quantize.calibrate import calibrate
from smidgen.transforms.quantize.convert import convert
from smidgen.transforms.quantize.correct_bias import correct_bias
from smidgen.transforms.quantize.equalize import equalize
from smidgen.transforms.quantize.fit_weights import fit_weights
from smidgen.transforms.quantize.float_layers import FloatLayer, float_layers
from smidgen.transforms.quantize.layer_errors import LayerError, layer_errors, snr_db
from smidgen.transforms.quantize.observers import Range
from smidgen.transforms.quantize.recipe import PRESETS, Recipe, Rule, get_recipe

__all__ = [
    "PRESETS",
    "FloatLayer",
    "LayerError",
    "Recipe",
    "Rule",
    "float_layers",
    "get_recipe",
    "layer_errors",
    "quantize",
    "snr_db",
]

Array = np.ndarray[Any, Any]

# Enough for stable ranges, few enough to be quick; bias means need fewer.
CALIBRATION_SAMPLES = 1000
BIAS_SAMPLES = 256
FIT_SAMPLES = 256


def quantize(
    graph: Graph,
    data: Dataset | Array | Sequence[Array],
    recipe: str | Recipe = "int8",
    *,
    samples: int = CALIBRATION_SAMPLES,
    seed: int = 0,
    stream: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Graph:
    """Turn a float graph into an integer one, with ranges found on calibration samples.

    Only the training samples of `data` are read, never the test samples. The same arguments give
    the same graph.

    Args:
        graph: a float graph from any front end.
        data: training samples (n, ...) as the source model takes them: a Dataset, or just the
            array; for a model with several inputs a list with an array for each.
        recipe: a preset's name or a `Recipe`.
        samples: how many samples to calibrate on, drawn at random.
        seed: of that draw.
        stream: whether the samples are consecutive steps of a model with states: then the first
            ones are taken, in order, and states are carried over them. Otherwise each sample finds
            the states as they are at first.
        progress: called with (samples done, samples to do).

    Returns:
        The integer graph.

    Raises:
        RecipeError: if the graph is quantized already, or the recipe is unknown or does not fit.
        DataError: if the samples do not fit the model.

    Example:
        >>> int8 = quantize(model, data)
        >>> head_in_float = Recipe((Rule(), Rule(scope="dense*", dtype="float32")))
        >>> mixed = quantize(model, data, head_in_float)
        >>> int8.output_types[0].dtype, mixed.output_types[0].dtype
        ('int8', 'float32')
    """
    return post_training(
        graph, data, recipe, samples=samples, seed=seed, stream=stream, progress=progress
    ).integer


@dataclass(frozen=True)
class PostTraining:
    """What quantization found; training in integers starts from it.

    Args:
        graph: the float graph that became integer, simplified.
        recipe: with the graph's own names.
        ranges: of its activations.
        integer: the integer graph.
    """

    graph: Graph
    recipe: Recipe
    ranges: Mapping[str, Range]
    integer: Graph


def post_training(
    graph: Graph,
    data: Dataset | Array | Sequence[Array],
    recipe: str | Recipe,
    *,
    samples: int = CALIBRATION_SAMPLES,
    seed: int = 0,
    stream: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PostTraining:
    """`quantize`, with what it found on its way."""
    recipe = get_recipe(recipe)
    if graph.is_quantized:
        raise RecipeError("the model is quantized already", hint="quantize the float model")
    graph = prepare(graph)
    recipe = recipe.for_graph(graph)
    recipe.check(graph)
    arrays = draw(graph, data, samples, None if stream else seed)
    if recipe.equalize:
        graph = equalize(graph)
    arrays += state_arrays(graph, arrays, stream=stream)
    step = graph.opened()  # with what the states hold given, samples are independent
    observers = {n: recipe.observer(node) for node in graph.nodes for n in node.outputs}
    ranges = calibrate(step, arrays, observers, progress=progress)
    integer = convert(graph, ranges, recipe)
    if recipe.fit_weights:
        few = [a[:FIT_SAMPLES] for a in arrays]
        integer = fit_weights(step, integer.opened(), few).closed(integer)
    if recipe.correct_bias:
        few = [a[:BIAS_SAMPLES] for a in arrays]
        integer = correct_bias(step, integer.opened(), few).closed(integer)
    return PostTraining(graph, recipe, ranges, integer)


def prepare(graph: Graph) -> Graph:
    """The float graph as it is quantized: batch norms folded, activations fused, and so on."""
    from smidgen.transforms.rewrites import simplify

    return simplify(graph)


def draw(
    graph: Graph, data: Dataset | Array | Sequence[Array], count: int, seed: int | None
) -> list[Array]:
    """Some of the samples, in the graph's own layout and dtypes: one array for each input.

    They are drawn at random, or the first ones in order if there is no seed.
    """
    if isinstance(data, Dataset):
        given = list(data.inputs)
    else:
        given = [data] if isinstance(data, np.ndarray) else list(data)
        given = [Dataset(array).x for array in given]  # checked as a dataset's are
    check_count(graph, given)
    lengths = {len(array) for array in given}
    if len(lengths) > 1:
        raise DataError(f"inputs have different numbers of samples: {sorted(lengths)}")
    if count < 1:
        raise DataError(f"{count} samples to calibrate on", hint="give at least 1")
    # In random order, so that the first ones are a fair choice as well.
    total = lengths.pop()
    order = np.arange(total) if seed is None else np.random.default_rng(seed).permutation(total)
    chosen = order[:count]
    return to_inputs(graph, [array[chosen] for array in given])
