"""The steps of a squeeze that train: what is asked for, in the order in which it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.data import Dataset
from smidgen.errors import RecipeError
from smidgen.ir import Graph
from smidgen.transforms.quantize import Recipe

_CHANNELS = ("importance", "target", "rounds")
_CONNECTIONS = ("scope",)
_RUN = ("cache", "threads", "progress", "answered")


@dataclass(frozen=True, eq=False)
class Step:
    """One step.

    Args:
        name: in the report.
        run: makes the next graph of a float graph.
    """

    name: str
    run: Callable[[Graph], Graph]


def plan(
    data: Dataset | None,
    *,
    channels: float | None = None,
    weights: float | None = None,
    pattern: str | None = None,
    finetune: bool = False,
    qat: bool = False,
    qat_epochs: float = 2.0,
    qat_learning_rate: float = 1e-4,
    recipe: str | Recipe = "int8",
    teacher: Any = None,
    checkpoint: Path | None = None,
    **options: Any,
) -> list[Step]:
    """Pruning of channels, then of connections, or fine-tuning; then training in integers.

    Args:
        data: training samples and labels.
        channels, weights, pattern: as `smidgen.prune` takes them.
        finetune: train without pruning; a teacher alone asks for that, too.
        qat: train in integers, last of all; `qat_epochs`, `qat_learning_rate` and `recipe` are
            its own.
        teacher: as `smidgen.finetune` takes it; teaches in each step.
        checkpoint: beside which each step keeps itself, see `checkpoints_of`.
        **options: of `smidgen.prune` and `smidgen.finetune`, and of training.

    Raises:
        RecipeError: if there is nothing to train on, or settings come without a step.
    """
    prunes = any(value is not None for value in (channels, weights, pattern))
    tunes = finetune or (teacher is not None and not qat)
    if not (prunes or tunes or qat):
        if options:
            raise RecipeError(
                f"{next(iter(options))} without a step that trains",
                hint="give channels=0.5, weights=0.8, a teacher, finetune=True or qat=True",
            )
        return []
    if data is None:
        raise RecipeError("nothing to train on", hint="give a Dataset (--data)")
    from smidgen.training.finetune import finetune as tune
    from smidgen.training.finetune import get_training
    from smidgen.training.prune import prune
    from smidgen.training.qat import train_quantized
    from smidgen.transforms.prune.weights import check

    others = {k: v for k, v in options.items() if k not in (*_CHANNELS, *_CONNECTIONS)}
    settings = {k: v for k, v in others.items() if k not in _RUN}
    get_training(settings)
    get_training({**settings, "epochs": qat_epochs, "learning_rate": qat_learning_rate})
    check(weights or 0.0, options.get("scope", "lamp"), pattern)
    others |= {"teacher": teacher}

    def some(names: tuple[str, ...], word: str) -> dict[str, Any]:
        mine = {k: options[k] for k in names if k in options}
        path = None if checkpoint is None else _path(checkpoint, word)
        return {**others, **mine, "checkpoint": path}

    steps = []
    if channels is not None:
        more = some(_CHANNELS, "channels")
        steps.append(Step("channels removed", lambda g: prune(g, data, channels=channels, **more)))
    if weights is not None or pattern is not None:
        rest = some(_CONNECTIONS, "connections")
        steps.append(
            Step(
                "connections removed",
                lambda g: prune(g, data, weights=weights, pattern=pattern, **rest),
            )
        )
    if tunes and not prunes:
        name = "fine-tuned" if teacher is None else "taught"
        tuning = some((), "tuned")
        steps.append(Step(name, lambda g: tune(g, data, **tuning)))
    if qat:
        last = {**some((), "integers"), "epochs": qat_epochs, "learning_rate": qat_learning_rate}
        steps.append(
            Step("trained in integers", lambda g: train_quantized(g, data, recipe, **last))
        )
    return steps


def checkpoints_of(path: Path, rounds: int = 1) -> list[Path]:
    """The files that steps keep beside a checkpoint of this name."""
    from smidgen.training.prune import checkpoints_of as of_prune

    words = ("channels", "connections", "tuned", "integers")
    return [found for word in words for found in of_prune(_path(path, word), rounds)]


def _path(checkpoint: Path, word: str) -> Path:
    return checkpoint.with_name(f"{checkpoint.stem}-{word}{checkpoint.suffix}")
