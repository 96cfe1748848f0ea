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
        inputs: in the model's layout (n, ...), augmented.
        targets: classes (n,), distributions (n, c) or targets (n, ...); None without labels.
    """

    rows: Array
    views: Array
    inputs: Tensor
    targets: Tensor | None


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
        raw: name of the value that losses read, see `smidgen.training.losses.raw_output`.
        link: what stands behind it; a teacher of classes is distilled where it is "softmax".
        loss: of raw outputs and targets.
        teacher: or None.
        weight: part of the loss that is the teacher's.
        temperature: that softens its answers.
        features: values inside that are to become the teacher's, see
            `smidgen.training.distil.Features`; their loss is added to the teacher's.
    """

    def __init__(
        self, raw: str, link: str, loss: Loss, teacher: Teacher | None, weight: float,
        temperature: float, features: Features | None = None,
    ) -> None:  # fmt: skip
        self.raw = raw
        self.link = link
        self.loss = loss
        self.teacher = teacher
        self.weight = weight
        self.temperature = temperature
        self.features = features

    def __call__(self, module: GraphModule, batch: Batch) -> Tensor:
        """The mean over the batch."""
        inside = [] if self.features is None else [a for a, _ in self.features.pairs]
        found = module.values([batch.inputs], [self.raw, *inside])
        outputs = found[self.raw]
        if self.teacher is None:
            assert batch.targets is not None
            return self.loss(outputs, batch.targets)
        answers = self.teacher.answers(batch)
        taught = self.taught(outputs, answers)
        if self.features is not None:
            taught = taught + self.features.loss(found, batch.inputs)
        if batch.targets is None:
            return taught
        return self.weight * taught + (1 - self.weight) * self.loss(outputs, batch.targets)

    def taught(self, outputs: Tensor, answers: Tensor) -> Tensor:
        """The teacher's part: softened distributions of classes, squared distance of numbers."""
        if self.link == "softmax":
            return distillation(outputs.flatten(1), answers.flatten(1), self.temperature)
        return torch.nn.functional.mse_loss(outputs, answers.reshape(outputs.shape))
