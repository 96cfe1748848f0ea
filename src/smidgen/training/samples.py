"""The training set of a run: which samples a step sees, and what is held apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from smidgen.data import Dataset, arrange, arrange_all, check_count
from smidgen.errors import DataError, RecipeError
from smidgen.ir import Graph
from smidgen.training.augment import augmented, get_augment
from smidgen.training.distil import Features
from smidgen.training.losses import Loss, as_targets, get_loss, raw_output
from smidgen.training.module import GraphModule
from smidgen.training.objective import Batch, Head, Objective, Teacher
from smidgen.training.processes import place
from smidgen.training.settings import Training

Array = np.ndarray[Any, Any]
Tensor = torch.Tensor

EVALUATION_BATCH = 500


class Samples:
    """The training set: which samples a step sees, and what is held apart."""

    def __init__(
        self,
        module: GraphModule,
        data: Dataset,
        training: Training,
        teacher: Teacher | None,
        features: Features | None,
    ) -> None:
        graph = module.graph
        check_count(graph, data.inputs)
        self.graph = graph
        self.training = training
        self.teacher = teacher
        self.x = data.inputs
        self.targets = _targets(graph, data, has_labels=data.y is not None or teacher is None)
        order = np.random.default_rng((training.seed, 0)).permutation(len(data.x))
        held = round(training.validation * len(order))
        self.held, self.train = order[:held], order[held:]
        if not len(self.train):
            raise DataError("no training samples are left", hint="hold fewer apart")
        views = () if teacher is None else teacher.views
        self.views = tuple(views)
        self.augment = get_augment(training.augment, graph.input_types, mirrors=not self.views)
        self.objective = Objective(
            _heads(graph, training, self.targets), teacher, training.teacher_weight,
            training.temperature, features,
        )  # fmt: skip

    def fingerprint(self) -> str:
        """Of samples, labels and teacher: shapes and some of the bytes."""
        digest = hashlib.sha256(b"" if self.teacher is None else self.teacher.identity.encode())
        for array in (*self.x, *self.targets):
            digest.update(repr((array.shape, array.dtype)).encode())
            digest.update(np.ascontiguousarray(array[:: max(1, len(array) // 256)]).tobytes())
        return digest.hexdigest()

    def batch(self, step: int, device: torch.device) -> Batch:
        """What a step sees; a function of the step and the seed alone."""
        training = self.training
        epoch, index = divmod(step, training.steps_per_epoch(len(self.train)))
        order = np.random.default_rng((training.seed, 1, epoch)).permutation(len(self.train))
        size = min(training.batch_size, len(self.train))
        rows = self.train[order[index * size : (index + 1) * size]]
        rank, world = place()
        rows = rows[rank::world]
        rng = np.random.default_rng((training.seed, 2, step, rank))
        x = [arrange(self.graph, array[rows], input=i) for i, array in enumerate(self.x)]
        views = rng.integers(0, max(1, len(self.views)), len(rows))
        for i, view in enumerate(self.views):
            x = [np.where((views == i).reshape(-1, *(1,) * (a.ndim - 1)), view(a), a) for a in x]
        x = augmented(self.augment, x, rng)
        targets = [y[rows] for y in self.targets]
        if training.mixup:
            x, targets = _mix(x, targets, self.graph, training.mixup, rng)
        x = [array.astype(np.float32, copy=False) for array in x]
        return Batch(rows, views, _tensors(x, device), _tensors(targets, device))

    @property
    def metric(self) -> str:
        """What `score` is: "accuracy" of classes, else "loss"."""
        return "accuracy" if self.targets and self.targets[0].dtype.kind == "i" else "loss"

    def score(self, module: GraphModule, device: torch.device) -> float:
        """Accuracy of the first output's classes, else the loss, on the samples held apart."""
        if not len(self.held):
            return float("nan")
        module.eval()
        total = 0.0
        first = self.objective.heads[0]
        with torch.no_grad():
            for i in range(0, len(self.held), EVALUATION_BATCH):
                rows = self.held[i : i + EVALUATION_BATCH]
                inputs = _tensors(arrange_all(self.graph, [a[rows] for a in self.x]), device)
                if not self.targets:
                    batch = Batch(rows, np.zeros(len(rows), int), inputs)
                    total += float(self.objective(module, batch)) * len(rows)
                    continue
                raw = module.values(inputs, [h.raw for h in self.objective.heads])
                y = _tensors([targets[rows] for targets in self.targets], device)
                if self.metric == "accuracy":
                    total += float((raw[first.raw].flatten(1).argmax(-1) == y[0]).sum())
                else:
                    losses = [
                        head.weight * float(head.loss(raw[head.raw], targets))
                        for head, targets in zip(self.objective.heads, y, strict=True)
                    ]
                    total += sum(losses) * len(rows)
        return total / len(self.held)


def _tensors(arrays: Sequence[Array], device: torch.device) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays)


def _targets(graph: Graph, data: Dataset, *, has_labels: bool) -> list[Array]:
    """What each output that is trained is to become: (n,) or (n, ...)."""
    if len(data.further_y) >= len(graph.outputs):
        raise DataError(
            f"labels of {1 + len(data.further_y)} outputs for a model of {len(graph.outputs)}",
            where=f"y{len(data.further_y)}",
        )
    if not has_labels:
        return []
    first = as_targets(graph, data.y, arrange(graph, data.x))
    others = [as_targets(graph, y, data.x, i) for i, y in enumerate(data.further_y, 1)]
    return [first, *others]


def _heads(graph: Graph, training: Training, targets: list[Array]) -> list[Head]:
    """The outputs that are trained, each with its loss; the first one where there are no labels."""
    count = max(1, len(targets))
    one = isinstance(training.loss, str) or callable(training.loss)
    losses: Any = (training.loss,) * count if one else training.loss
    weights = training.loss_weights or (1.0,) * count
    for name, given in (("loss", losses), ("loss_weights", weights)):
        if len(given) != count:
            raise RecipeError(
                f"{name} has {len(given)} for {count} outputs that have labels",
                hint="give one for each, or one for all",
            )
    heads = []
    for i, (wanted, weight) in enumerate(zip(losses, weights, strict=True)):
        raw, link = raw_output(graph, i)
        loss: Loss = _no_labels
        if targets:
            loss = get_loss(wanted, link, targets[i], training.label_smoothing)
        heads.append(Head(raw, link, loss, weight))
    return heads


def _no_labels(outputs: Tensor, targets: Tensor) -> Tensor:
    raise AssertionError("there are no labels")


def _mix(
    x: list[Array], targets: list[Array], graph: Graph, alpha: float, rng: np.random.Generator
) -> tuple[list[Array], list[Array]]:
    """Each sample mixed with another one, and their targets with them (Zhang et al., 2017)."""
    part = np.float32(rng.beta(alpha, alpha))
    other = rng.permutation(len(x[0]))
    mixed = []
    for i, y in enumerate(targets):
        if y.dtype.kind == "i":
            y = np.eye(graph.output_types[i].shape[-1], dtype=np.float32)[y]
        mixed.append(part * y + (1 - part) * y[other])
    return [part * array + (1 - part) * array[other] for array in x], mixed
