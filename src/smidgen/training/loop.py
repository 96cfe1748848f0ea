"""The training loop: one plain function."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from smidgen.data import Dataset
from smidgen.training import checkpoint as checkpoints
from smidgen.training.average import Average
from smidgen.training.distil import Features, digest
from smidgen.training.module import GraphModule
from smidgen.training.objective import Teacher
from smidgen.training.processes import is_first, share_buffers, share_gradients
from smidgen.training.samples import Samples
from smidgen.training.settings import Training


@dataclass(frozen=True)
class Epoch:
    """What one pass came to.

    Args:
        number: from 1; the last one may be a part of a pass.
        loss: mean over its training batches.
        score: on the samples held apart: accuracy of classes, else the loss; NaN without any.
        seconds: it took.
    """

    number: int
    loss: float
    score: float
    seconds: float


@dataclass(frozen=True)
class Progress:
    """Where a run stands: what `fit` tells its caller after every step."""

    step: int
    steps: int
    loss: float
    epochs: tuple[Epoch, ...]


@dataclass
class _Run:
    """What changes during a run, and goes into a checkpoint."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)


def fit(
    module: GraphModule,
    data: Dataset,
    training: Training | None = None,
    *,
    teacher: Teacher | None = None,
    features: Features | None = None,
    checkpoint: str | Path | None = None,
    save_every: float = 30.0,
    threads: int | None = None,
    before_step: Callable[[int, int], None] | None = None,
    identity: str = "",
    progress: Callable[[Progress], None] | None = None,
) -> list[Epoch]:
    """Train a module in place. Reads `data.x` and `data.y` only, never the test samples.

    Started under torchrun, every process takes its share of each batch and all take the same
    steps. With a checkpoint the run goes on where it was interrupted, whatever interrupted it, and
    ends with the same weights.

    Args:
        module: the model; its hooks' parameters are trained with it.
        data: training samples as the source model takes them, and labels (or a teacher).
        training: settings.
        teacher: who else to learn from; the labels may then be missing.
        features: values inside that the student learns from the teacher as well.
        checkpoint: file that keeps the state of the run; removed by nobody.
        save_every: seconds between checkpoints; one is written at the end as well.
        threads: of torch; as many as it likes by default.
        before_step: called with (step, steps) before each, for schedules of pruning.
        identity: of what the module's hooks do; a checkpoint is that of a run with the same.
        progress: called after every step. An exception from it ends the run, which a checkpoint
            then lets go on from that step.

    Returns:
        One entry for each pass.

    Raises:
        DataError: if samples or labels do not fit the model, or the checkpoint is another run's.
        RecipeError: if settings do not fit the model.

    Example:
        >>> module = GraphModule(model)
        >>> epochs = fit(module, data, Training(epochs=1, batch_size=16))
        >>> len(epochs)
        1
    """
    training = training or Training()
    graph = module.graph
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if features is not None:
        module.add_module("features", features)  # so that its maps are trained, and kept
    module.to(device)
    samples = Samples(module, data, training, teacher, features)
    objective = samples.objective
    optimizer = _optimizer(module, training)
    average = Average(module, training.ema) if training.ema else None
    total = training.steps(len(samples.train))
    per_epoch = training.steps_per_epoch(len(samples.train))
    run, path = _Run(), Path(checkpoint) if checkpoint is not None else None
    inside = None if features is None else features.pairs
    fingerprint = (
        f"{training.fingerprint()} {samples.fingerprint()} {digest(graph)} {inside} {identity}"
    )
    if path is not None and (state := checkpoints.restore(path, fingerprint)) is not None:
        _put_back(state, run, module, optimizer, average)

    def keep() -> None:
        if path is not None and is_first():
            checkpoints.save(path, _state(run, module, optimizer, average), fingerprint)

    saved = started = time.monotonic()
    with use_threads(threads):
        while run.step < total:
            if before_step is not None:
                before_step(run.step, total)
            for group in optimizer.param_groups:
                group["lr"] = training.learning_rate_at(run.step, total)
            module.train()
            loss = objective(module, samples.batch(run.step, device))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            share_gradients(module)
            if training.clip:
                nn.utils.clip_grad_norm_(module.parameters(), training.clip)
            optimizer.step()
            if average is not None:
                average.update(module)
            run.losses.append(float(loss.detach()))
            run.step += 1
            if run.step % per_epoch == 0 or run.step == total:
                share_buffers(module)
                with average.in_place(module) if average is not None else _as_is():
                    score = samples.score(module, device)
                now = time.monotonic()
                mean = float(np.mean(run.losses))
                run.epochs.append(Epoch(len(run.epochs) + 1, mean, score, now - started))
                run.losses, started = [], now
            if path is not None and _due(run, total, saved, save_every):
                keep()
                saved = time.monotonic()
            if progress is not None:
                try:
                    progress(Progress(run.step, total, float(loss.detach()), tuple(run.epochs)))
                except BaseException:  # whoever ends the run here can go on from here
                    keep()
                    raise
    if average is not None:
        average.copy_to(module)
    if features is not None:
        del module.features
    module.eval()
    return run.epochs


def _optimizer(module: nn.Module, training: Training) -> torch.optim.Optimizer:
    wide = [p for p in module.parameters() if p.requires_grad and p.dim() > 1]
    rest = [p for p in module.parameters() if p.requires_grad and p.dim() <= 1]
    groups = [
        {"params": wide, "weight_decay": training.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    if training.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=training.learning_rate)
    return torch.optim.SGD(groups, lr=training.learning_rate, momentum=0.9, nesterov=True)


@contextmanager
def _as_is() -> Iterator[None]:
    yield


@contextmanager
def use_threads(count: int | None) -> Iterator[None]:
    """Let torch use so many threads inside; as many as it likes if None."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _due(run: _Run, total: int, saved: float, every: float) -> bool:
    return run.step == total or time.monotonic() - saved >= every


def _state(
    run: _Run, module: nn.Module, optimizer: torch.optim.Optimizer, average: Average | None
) -> dict[str, Any]:
    return {
        "step": run.step,
        "losses": run.losses,
        "epochs": [[e.number, e.loss, e.score, e.seconds] for e in run.epochs],
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": None if average is None else [average.mean, average.updates],
    }


def _put_back(
    state: dict[str, Any],
    run: _Run,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: Average | None,
) -> None:
    run.step, run.losses = state["step"], state["losses"]
    run.epochs = [Epoch(*e) for e in state["epochs"]]
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    if average is not None:
        average.mean, average.updates = state["average"]
