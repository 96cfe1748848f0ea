"""The training set of a run: which samples a step sees, and what is held apart."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from smidgen.data import Dataset, arrange
from smidgen.errors import DataError
from smidgen.training.augment import get_augment
from smidgen.training.distil import Features
from smidgen.training.losses import as_targets, get_loss, raw_output
from smidgen.training.module import GraphModule
from smidgen.training.objective import Batch, Objective, Teacher
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
        if len(graph.inputs) != 1:
            raise DataError(
                f"the model has {len(graph.inputs)} inputs; a Dataset holds samples of one"
            )
        self.graph = graph
        self.training = training
        self.teacher = teacher
        self.x = data.x
        raw, self.link = raw_output(graph)
        has_labels = data.y is not None or teacher is None
        self.y = as_targets(graph, data.y, arrange(graph, data.x)) if has_labels else None
        order = np.random.default_rng((training.seed, 0)).permutation(len(data.x))
        held = round(training.validation * len(order))
        self.held, self.train = order[:held], order[held:]
        if not len(self.train):
            raise DataError("no training samples are left", hint="hold fewer apart")
        views = () if teacher is None else teacher.views
        self.views = tuple(views)
        self.augment = get_augment(training.augment, graph.input_types[0], mirrors=not self.views)
        loss = None
        if self.y is not None:
            loss = get_loss(training.loss, self.link, self.y, training.label_smoothing)
        self.objective = Objective(
            raw, self.link, loss or _no_labels, teacher, training.teacher_weight,
            training.temperature, features,
        )  # fmt: skip

    def fingerprint(self) -> str:
        """Of samples, labels and teacher: shapes and some of the bytes."""
        digest = hashlib.sha256(b"" if self.teacher is None else self.teacher.identity.encode())
        for array in (self.x, self.y):
            if array is not None:
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
        x = arrange(self.graph, self.x[rows])
        views = rng.integers(0, max(1, len(self.views)), len(rows))
        for i, view in enumerate(self.views):
            x = np.where((views == i).reshape(-1, *(1,) * (x.ndim - 1)), view(x), x)
        if self.augment is not None:
            x = self.augment(x, rng)
        y = None if self.y is None else self.y[rows]
        if training.mixup and y is not None:
            x, y = _mix(x, y, self.classes, training.mixup, rng)
        return Batch(
            rows,
            views,
            torch.from_numpy(np.ascontiguousarray(x, np.float32)).to(device),
            None if y is None else torch.from_numpy(np.ascontiguousarray(y)).to(device),
        )

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return self.graph.output_types[0].shape[-1]

    @property
    def metric(self) -> str:
        """What `score` is: "accuracy" of classes, else "loss"."""
        return "accuracy" if self.y is not None and self.y.dtype.kind == "i" else "loss"

    def score(self, module: GraphModule, device: torch.device) -> float:
        """Accuracy of classes, else the loss, on the samples held apart."""
        if not len(self.held):
            return float("nan")
        module.eval()
        total = 0.0
        with torch.no_grad():
            for i in range(0, len(self.held), EVALUATION_BATCH):
                rows = self.held[i : i + EVALUATION_BATCH]
                x = np.ascontiguousarray(arrange(self.graph, self.x[rows]), np.float32)
                inputs = torch.from_numpy(x).to(device)
                if self.y is None:
                    batch = Batch(rows, np.zeros(len(rows), int), inputs, None)
                    total += float(self.objective(module, batch)) * len(rows)
                    continue
                y = torch.from_numpy(np.ascontiguousarray(self.y[rows])).to(device)
                raw = module.values([inputs], [self.objective.raw])[self.objective.raw]
                if self.metric == "accuracy":
                    total += float((raw.flatten(1).argmax(-1) == y).sum())
                else:
                    total += float(self.objective.loss(raw, y)) * len(rows)
        return total / len(self.held)


def _no_labels(outputs: Tensor, targets: Tensor) -> Tensor:
    raise AssertionError("there are no labels")


def _mix(
    x: Array, y: Array, classes: int, alpha: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Each sample mixed with another one, and their targets with them (Zhang et al., 2017)."""
    part = np.float32(rng.beta(alpha, alpha))
    other = rng.permutation(len(x))
    if y.dtype.kind == "i":
        y = np.eye(classes, dtype=np.float32)[y]
    return part * x + (1 - part) * x[other], part * y + (1 - part) * y[other]
