"""Fine-tuning and distillation of a graph: `smidgen.finetune`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smidgen.data import Dataset
from smidgen.errors import RecipeError
from smidgen.ir import Graph
from smidgen.training.settings import Training

if TYPE_CHECKING:
    from smidgen.training.loop import Progress


def finetune(
    model: Graph,
    data: Dataset,
    *,
    teacher: Any = None,
    features: bool = False,
    live_teacher: bool = False,
    checkpoint: str | Path | None = None,
    cache: str | Path | None = None,
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    answered: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> Graph:
    """Train a float model further, from labels, from a teacher, or from both.

    Connections that are gone (weights that are exactly zero) stay gone. Batch normalizations that a
    `.tflite` has folded away are put back first (`smidgen.training.batch_norms`); quantizing folds
    them again.

    Args:
        model: any float graph.
        data: training samples and labels; only `x` and `y` are read.
        teacher: a Graph, a file or live model that `smidgen.load` takes, a function of samples, or
            an array of answers to `data.x`; see `smidgen.training.distil.get_teacher`.
        features: learn what lies inside the teacher as well; it must then be a float Graph.
        live_teacher: ask the teacher about every augmented batch.
        checkpoint: file that lets an interrupted run go on.
        cache: folder that keeps a teacher's answers between runs.
        threads: of torch.
        progress: called after every step.
        answered: called with (samples, all) while a teacher answers.
        **settings: fields of `smidgen.training.settings.Training`, such as `epochs=5`.

    Returns:
        The trained graph.

    Raises:
        RecipeError: if a setting is unknown or out of range.
        DataError: if the samples do not fit.

    Example:
        >>> better = finetune(model, data, epochs=1, batch_size=16)
        >>> better.inputs == model.inputs
        True
    """
    from smidgen.training.batch_norms import with_batch_norms
    from smidgen.training.distil import learn_from
    from smidgen.training.loop import fit
    from smidgen.training.module import GraphModule
    from smidgen.training.sparsify import hold_zeros

    training = get_training(settings)
    if training.epochs > 0:
        model = with_batch_norms(model, data, training)
    module = GraphModule(model)
    hold_zeros(module)
    known, inside = learn_from(
        teacher, model, data, training, features=features, live=live_teacher, cache=cache,
        progress=answered,
    )  # fmt: skip
    fit(
        module, data, training, teacher=known, features=inside, checkpoint=checkpoint,
        threads=threads, progress=progress,
    )  # fmt: skip
    return module.to_graph()


def get_training(settings: dict[str, Any]) -> Training:
    """Settings from keyword arguments.

    Raises:
        RecipeError: if one is unknown, or out of range.
    """
    known = Training.__dataclass_fields__
    for name in settings:
        if name not in known:
            raise RecipeError(
                f"no setting is called {name!r}", hint=f"use some of {', '.join(known)}"
            )
    return Training(**settings)
