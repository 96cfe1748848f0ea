"""Pruning of a graph, with the fine-tuning that heals it: `smidgen.prune`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.data import Dataset, to_inputs
from smidgen.errors import RecipeError, UnsupportedModelError
from smidgen.ir import Graph
from smidgen.training.finetune import get_training
from smidgen.training.settings import Training
from smidgen.transforms.prune.weights import check

if TYPE_CHECKING:
    from smidgen.training.loop import Progress
    from smidgen.training.objective import Teacher
    from smidgen.transforms.prune.channels import Cut
    from smidgen.transforms.shrink import Channels

Array = np.ndarray[Any, Any]

IMPORTANCES = ("taylor", "activation", "l2", "l1", "bn")
SAMPLES = 256  # that activations are measured on


def prune(
    model: Graph,
    data: Dataset | None = None,
    *,
    channels: float | None = None,
    weights: float | None = None,
    pattern: str | None = None,
    target: str = "macs",
    importance: str = "auto",
    scope: str = "lamp",
    rounds: int = 1,
    teacher: Any = None,
    checkpoint: str | Path | None = None,
    cache: str | Path | None = None,
    threads: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    answered: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> Graph:
    """Take channels or connections away, and train what is left.

    Channels are removed for good: every tensor they were in gets smaller. Connections become
    zeros, on a schedule while the model trains. Without data, or with `epochs=0`, nothing is
    trained: what goes is chosen from the weights alone. Batch normalizations that a `.tflite` has
    folded away are put back before training, as in `smidgen.finetune`.

    Args:
        model: a float graph.
        data: training samples and labels.
        channels: part of the target's quantity that is to be left, such as 0.5.
        weights: part of the weights that is to be zero, such as 0.8.
        pattern: "2:4" or another N:M, or "block4", see `smidgen.transforms.prune.weights.masks`.
        target: what `channels` is a part of: "macs", "parameters", "flash" (bytes of int8
            constants, about) or "ram" (the peak of activations).
        importance: what channels are ranked by: "taylor" (needs labels or a teacher), "activation"
            (needs samples), "l2", "l1" or "bn"; "auto" is the first that can be had. Weights are
            ranked by magnitude, and by what the loss would change with "taylor".
        scope: what weights are ranked by: "lamp", "global" or "layer".
        rounds: channels go in so many steps, with training after each.
        teacher: as in `smidgen.finetune`.
        checkpoint: file that lets an interrupted run go on; with several rounds each has its own.
        cache: folder that keeps a teacher's answers.
        threads: of torch.
        progress: called after every training step.
        answered: called with (samples, all) while a teacher answers.
        **settings: fields of `smidgen.training.settings.Training`, for each round.

    Raises:
        RecipeError: if nothing is to be pruned, or a setting does not fit.
        DataError: if samples or labels do not fit.
        UnsupportedModelError: if the model is quantized.

    Example:
        >>> small = prune(model, channels=0.6)
        >>> sparse = prune(model, data, weights=0.5, epochs=1, batch_size=16)
    """
    if channels is None and weights is None and pattern is None:
        raise RecipeError(
            "nothing is to be pruned", hint="give channels=0.5, weights=0.8 or pattern='2:4'"
        )
    check_float(model)
    if channels is not None and not 0 < channels <= 1:
        raise RecipeError(f"{channels} of the {target}", hint="give a part in (0, 1]")
    check(weights or 0.0, scope, pattern)
    check_importance(importance)
    if teacher is not None and data is None:
        raise RecipeError("a teacher without samples to teach on", hint="give data")
    if rounds < 1:
        raise RecipeError(f"{rounds} rounds", hint="give at least 1")
    training = get_training(settings)
    trained = data is not None and training.epochs > 0
    kept = None if checkpoint is None else Path(checkpoint)
    found = None
    if data is not None and trained:
        from smidgen.training.batch_norms import with_batch_norms

        model = with_batch_norms(model, data, training)
    if teacher is not None and data is not None:
        from smidgen.training.distil import get_teacher

        found = get_teacher(teacher, model, data, training, cache=cache, progress=answered)
    graph = model
    if channels is not None:
        whole = _quantity(graph, target)
        for number in range(1, rounds + 1):
            left = channels ** (number / rounds) * whole / _quantity(graph, target)
            graph = remove_channels(
                graph, min(1.0, left), data, target=target, importance=importance, teacher=found,
                training=training,
            )  # fmt: skip
            if trained:
                assert data is not None
                several = rounds > 1 or weights is not None or pattern is not None
                path = None if kept is None else _numbered(kept, number if several else 0)
                graph = _train(graph, data, training, found, path, threads, progress)
    if weights is not None or pattern is not None:
        path = None if kept is None else _numbered(kept, rounds + 1 if channels else 0)
        scores = None
        if importance == "taylor":
            from smidgen.training.importance import taylor_weights

            scores = taylor_weights(graph, _that_teaches(data, found), training, teacher=found)
        if trained:
            assert data is not None
            graph = _train(
                graph, data, training, found, path, threads, progress,
                sparsity=(weights or 0.0, scope, pattern), scores=scores,
            )  # fmt: skip
        else:
            from smidgen.transforms.prune.weights import apply_masks, masks

            chosen = masks(graph, weights or 0.0, scope=scope, pattern=pattern, scores=scores)
            graph = apply_masks(graph, chosen)
    return graph


def check_importance(importance: str) -> None:
    """Refuse a name that is none, before a long training."""
    if importance not in ("auto", *IMPORTANCES):
        raise RecipeError(
            f"no importance is called {importance!r}", hint=f"use auto, {', '.join(IMPORTANCES)}"
        )


def check_float(model: Graph) -> None:
    """Refuse a model whose weights are integers."""
    if model.is_quantized:
        raise UnsupportedModelError(
            "the model is quantized: integers are not pruned", hint="load the float model"
        )


def remove_channels(
    graph: Graph,
    left: float,
    data: Dataset | None,
    *,
    target: str = "macs",
    importance: str = "auto",
    teacher: Teacher | None = None,
    training: Training | None = None,
) -> Graph:
    """Remove the least important channels until `left` of the target's quantity is left."""
    from smidgen.transforms.prune.channels import remove

    cut = choose_channels(
        graph, left, data, target=target, importance=importance, teacher=teacher, training=training
    )
    return remove(cut, None if data is None else means_of(graph, data))


def choose_channels(
    graph: Graph,
    left: float,
    data: Dataset | None,
    *,
    target: str = "macs",
    importance: str = "auto",
    teacher: Teacher | None = None,
    training: Training | None = None,
) -> Cut:
    """The channels that `remove_channels` removes."""
    from smidgen.transforms.prune.channels import choose
    from smidgen.transforms.shrink import Channels

    channels = Channels(graph)
    scores = rank(channels, importance, data, teacher, training)
    return choose(channels, scores, left, target=target)


def rank(
    channels: Channels,
    importance: str,
    data: Dataset | None,
    teacher: Teacher | None = None,
    training: Training | None = None,
) -> Array:
    """Scores of all channels, comparable between groups.

    Raises:
        RecipeError: if the importance is unknown, or needs what is not there.
    """
    from smidgen.transforms.prune import importance as plain
    from smidgen.transforms.prune.groups import find_groups

    if importance == "auto":
        teaches = data is not None and (data.y is not None or teacher is not None)
        importance = "taylor" if teaches else "activation" if data is not None else "l2"
    check_importance(importance)
    if importance == "taylor":
        from smidgen.training.importance import taylor

        return taylor(channels, _that_teaches(data, teacher), training, teacher=teacher)
    if importance == "activation":
        if data is None:
            raise RecipeError("activation needs samples", hint="give data, or l2")
        return plain.activation(
            channels, plain.channel_rms(channels.graph, _some(channels.graph, data))
        )
    groups = [g for g in find_groups(channels) if g.pinned is None]
    measure = {"l1": plain.l1, "l2": plain.l2, "bn": plain.batch_norm_scale}[importance]
    return plain.normalized(measure(channels), groups)


def _that_teaches(data: Dataset | None, teacher: Teacher | None) -> Dataset:
    """The data, if a loss can be had from it."""
    if data is None or (data.y is None and teacher is None):
        raise RecipeError("taylor needs labels or a teacher", hint="add y to the data, or l2")
    return data


def means_of(graph: Graph, data: Dataset) -> dict[str, Array]:
    """Mean of each channel of activations on some of the training samples, for `remove`."""
    from smidgen.transforms.prune.importance import channel_means

    return channel_means(graph, _some(graph, data))


def _some(graph: Graph, data: Dataset) -> list[Array]:
    chosen = np.random.default_rng(0).permutation(len(data.x))[:SAMPLES]
    return to_inputs(graph, [array[chosen] for array in data.inputs])


def _quantity(graph: Graph, target: str) -> float:
    from smidgen.transforms.prune.channels import measure_of
    from smidgen.transforms.shrink import Channels

    channels = Channels(graph)
    return measure_of(channels, target)(np.zeros(channels.count, bool))


def checkpoints_of(path: Path, rounds: int) -> list[Path]:
    """The files that `prune` keeps for a checkpoint of this name."""
    return [_numbered(path, number) for number in range(rounds + 2)]


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}") if number else path


def _train(
    graph: Graph,
    data: Dataset,
    training: Training,
    teacher: Teacher | None,
    checkpoint: Path | None,
    threads: int | None,
    progress: Callable[[Progress], None] | None,
    sparsity: tuple[float, str, str | None] | None = None,
    scores: dict[str, Array] | None = None,
) -> Graph:
    from smidgen.training.loop import fit
    from smidgen.training.module import GraphModule
    from smidgen.training.sparsify import hold_zeros, schedule

    module = GraphModule(graph)
    before_step = None
    if sparsity is None:
        hold_zeros(module)
    else:
        part, scope, pattern = sparsity
        before_step = schedule(module, part, scope=scope, pattern=pattern, scores=scores)
    by = "magnitude" if scores is None else "taylor"
    fit(
        module, data, training, teacher=teacher, checkpoint=checkpoint, threads=threads,
        before_step=before_step, identity=f"{sparsity} {by}", progress=progress,
    )  # fmt: skip
    return module.to_graph()
