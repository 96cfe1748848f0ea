"""What one step makes small: the labels' loss, a teacher's, or both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from smidgen.training.losses import Loss, distillation
from smidgen.training.module import GraphModule

if TYPE_CHECKING:
    from smidgen.training.distil import Features

Array = np.ndarray[Any, Any]
Tensor = torch.Tensor
View = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Batch:
    """What a step sees.

    Args:
        rows: positions (n,) of the samples in the training set.
        views: which of the teacher's views (n,) each sample is seen in.
        inputs: one for each of the model's, in its layout (n, ...), augmented.
        targets: of each output that is trained: classes (n,), distributions (n, c) or targets
            (n, ...); () without labels.
    """

    rows: Array
    views: Array
    inputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Head:
    """An output and what it is to become.

    Args:
        raw: name of the value that losses read, see `smidgen.training.losses.raw_output`.
        link: what stands behind it.
        loss: of raw outputs and targets.
        weight: of the loss in the sum over outputs.
    """

    raw: str
    link: str
    loss: Loss
    weight: float = 1.0


class Teacher(Protocol):
    """Who passes on what it knows."""

    @property
    def views(self) -> Sequence[View]:
        """Functions of a batch of arrays that the answers are known for; () for any inputs."""

    @property
    def identity(self) -> str:
        """Text that is equal for teachers that answer alike, as far as one can tell."""

    def answers(self, batch: Batch) -> Tensor:
        """What the teacher says of each sample: logits (n, c), or outputs (n, ...)."""


class Objective:
    """The loss of a batch.

    Args:
        heads: the outputs; where there are no labels, the first one, which the teacher teaches.
        teacher: or None.
        weight: part of the first output's loss that is the teacher's, which distils classes where
            the link is "softmax".
        temperature: that softens its answers.
        features: values inside that are to become the teacher's, see
            `smidgen.training.distil.Features`; their loss is added to the teacher's.
    """

    def __init__(
        self, heads: Sequence[Head], teacher: Teacher | None, weight: float, temperature: float,
        features: Features | None = None,
    ) -> None:  # fmt: skip
        self.heads = tuple(heads)
        self.teacher = teacher
        self.weight = weight
        self.temperature = temperature
        self.features = features

    def __call__(self, module: GraphModule, batch: Batch) -> Tensor:
        """The mean over the batch."""
        first, *others = self.heads
        inside = [] if self.features is None else [a for a, _ in self.features.pairs]
        found = module.values(batch.inputs, [*(h.raw for h in self.heads), *inside])
        total = None
        if batch.targets:
            total = first.loss(found[first.raw], batch.targets[0])
        if self.teacher is not None:
            taught = self.taught(found[first.raw], self.teacher.answers(batch))
            if self.features is not None:
                taught = taught + self.features.loss(found, batch.inputs)
            total = taught if total is None else self.weight * taught + (1 - self.weight) * total
        assert total is not None
        if first.weight != 1.0:
            total = first.weight * total
        for head, targets in zip(others, batch.targets[1:], strict=True):
            total = total + head.weight * head.loss(found[head.raw], targets)
        return total

    def taught(self, outputs: Tensor, answers: Tensor) -> Tensor:
        """The teacher's part: softened distributions of classes, squared distance of numbers."""
        if self.heads[0].link == "softmax":
            return distillation(outputs.flatten(1), answers.flatten(1), self.temperature)
        return torch.nn.functional.mse_loss(outputs, answers.reshape(outputs.shape))
