"""Post-training quantization: recipe → calibrate → equalize → convert → correct biases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smidgen.data import Dataset, to_model
from smidgen.errors import DataError, RecipeError
from smidgen.ir import Graph
from smidgen.numerics.affine import quantize as quantize_array
from smidgen.transforms.quantize.calibrate import calibrate
from smidgen.transforms.quantize.convert import convert
from smidgen.transforms.quantize.correct_bias import correct_bias
from smidgen.transforms.quantize.equalize import equalize
from smidgen.transforms.quantize.layer_errors import LayerError, layer_errors, snr_db
from smidgen.transforms.quantize.recipe import PRESETS, Recipe, Rule, get_recipe

__all__ = [
    "PRESETS",
    "LayerError",
    "Recipe",
    "Rule",
    "get_recipe",
    "layer_errors",
    "quantize",
    "snr_db",
]

# Enough for stable ranges, few enough to be quick; bias means need fewer.
CALIBRATION_SAMPLES = 1000
BIAS_SAMPLES = 256


def quantize(
    graph: Graph,
    data: Dataset | np.ndarray[Any, Any],
    recipe: str | Recipe = "int8",
    *,
    samples: int = CALIBRATION_SAMPLES,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Graph:
    """Turn a float graph into an integer one, with ranges found on calibration samples.

    Only the training samples of `data` are read, never the test samples.

    Args:
        graph: a float graph from any front end.
        data: training samples as the source model takes them (or just the array).
        recipe: a preset's name or a `Recipe`.
        samples: how many samples to calibrate on, drawn at random.
        seed: of that draw.
        progress: called with (samples done, samples to do).

    Returns:
        The int8 graph.

    Raises:
        RecipeError: if the graph is quantized already or the recipe is unknown.
        DataError: if the samples do not fit the model.

    Example:
        >>> int8 = quantize(model, data)                      # doctest: +SKIP
    """
    recipe = get_recipe(recipe)
    if graph.is_quantized:
        raise RecipeError("the model is quantized already", hint="quantize the float model")
    if len(graph.inputs) != 1:
        raise DataError(
            f"the model has {len(graph.inputs)} inputs, a Dataset has one",
            hint="calibrate a model with one input",
        )
    graph = prepare(graph)
    x = data.x if isinstance(data, Dataset) else np.asarray(data)
    chosen = np.random.default_rng(seed).permutation(len(x))[:samples]
    arrays = [to_model(graph, x[np.sort(chosen)])]
    if recipe.equalize:
        graph = equalize(graph)
    observers = {n: recipe.rule(node).observer for node in graph.nodes for n in node.outputs}
    ranges = calibrate(graph, arrays, observers, progress=progress)
    integer = convert(graph, ranges, recipe)
    if recipe.correct_bias:
        subset = [_to_integer(integer, a[:BIAS_SAMPLES]) for a in arrays]
        integer = correct_bias(graph, integer, subset)
    return integer


def prepare(graph: Graph) -> Graph:
    """The float graph as it is quantized: batch norms folded, activations fused, and so on."""
    from smidgen.transforms.rewrites import simplify

    return simplify(graph)


def _to_integer(graph: Graph, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    quant = graph.input_types[0].quant
    if quant is None:
        return array
    return quantize_array(array, quant.scale, quant.zero_point, "int8")
