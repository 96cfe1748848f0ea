"""A narrower network that begins with what a model knows: `smidgen.student`."""

from __future__ import annotations

from smidgen.data import Dataset
from smidgen.ir import Graph
from smidgen.training.prune import check_float, means_of, rank


def student(
    model: Graph, width: float = 0.5, data: Dataset | None = None, *, importance: str = "auto"
) -> Graph:
    """A narrower network, to be taught by the model or by another teacher.

    The same part of every layer's channels stays, those that matter most, with the weights they
    have. Half the width is about a quarter of the multiply-accumulates and parameters.

    Args:
        model: a float graph.
        width: part of each group of channels that stays, rounded to multiples of 4.
        data: training samples; with them (and labels) the choice is better, and what the others
            added on average goes into the biases of the layers that read them.
        importance: what channels are ranked by, as in `smidgen.prune`.

    Raises:
        RecipeError: if the width is no part, or the importance needs what is not there.
        UnsupportedModelError: if the model is quantized.

    Example:
        >>> from smidgen import describe, finetune
        >>> small = student(model, 0.5)
        >>> describe(small).macs < 0.5 * describe(model).macs
        True
        >>> taught = finetune(small, data, teacher=model, epochs=1, batch_size=16)
    """
    from smidgen.transforms.prune.channels import remove, uniform
    from smidgen.transforms.shrink import Channels

    check_float(model)
    channels = Channels(model)
    cut = uniform(channels, rank(channels, importance, data), width)
    return remove(cut, None if data is None else means_of(model, data))
