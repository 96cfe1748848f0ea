"""What a training run is told: everything that decides its result, and nothing else."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smidgen.errors import RecipeError

if TYPE_CHECKING:
    from smidgen.training.augment import Augment
    from smidgen.training.losses import Loss

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "one-cycle", "constant")


@dataclass(frozen=True)
class Training:
    """Settings of one run. The same settings, data and number of threads repeat it bit for bit.

    Args:
        epochs: passes over the training samples; a fraction is allowed.
        batch_size: samples of one step, over all processes together.
        optimizer: "adamw", or "sgd" with momentum 0.9.
        learning_rate: the highest one.
        weight_decay: of weights with two axes or more; biases and norms have none.
        schedule: "cosine" falls to 1 % of the highest, "one-cycle" rises for 30 % first,
            "constant" stays.
        warmup: part of the run in which the learning rate rises from 0 ("one-cycle" has its own).
        ema: decay of the moving average of the weights that is kept at the end; 0 for none. Early
            on it averages over less, so that short runs gain too.
        label_smoothing: part of a class's probability that is spread over all of them.
        mixup: the parameter of the beta distribution that mixes two samples; 0 for none.
        clip: the largest norm of the gradient; 0 for any.
        augment: "auto", "image", "audio", "imu", "none", or a function of a batch and a random
            generator.
        loss: "auto", "cross-entropy", "mse", "mae", or a function of raw outputs and targets; a
            sequence where each output has its own.
        loss_weights: of each output's loss in their sum; () for 1.
        validation: part of the training samples held apart to watch the run on.
        temperature: that softens a teacher's and the student's answers.
        teacher_weight: part of the loss that is the teacher's; the labels have the rest.
        seed: of the order of samples, of the split, and of every augmentation.

    Raises:
        RecipeError: if a setting is out of range, by name.

    Example:
        >>> Training(epochs=2, learning_rate=3e-4).steps(samples=1000)
        14
    """

    epochs: float = 5.0
    batch_size: int = 128
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    schedule: str = "cosine"
    warmup: float = 0.05
    ema: float = 0.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    clip: float = 0.0
    augment: str | Augment | None = "auto"
    loss: str | Loss | Sequence[str | Loss] = "auto"
    loss_weights: Sequence[float] = ()
    validation: float = 0.1
    temperature: float = 4.0
    teacher_weight: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "epochs": (0.0, 1e6), "batch_size": (1, 1 << 20), "learning_rate": (0.0, 1e3),
            "weight_decay": (0.0, 1e3), "warmup": (0.0, 1.0), "ema": (0.0, 1.0),
            "label_smoothing": (0.0, 1.0), "mixup": (0.0, 100.0), "clip": (0.0, math.inf),
            "validation": (0.0, 0.9), "temperature": (1e-3, 1e3), "teacher_weight": (0.0, 1.0),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:  # false for NaN too
                raise RecipeError(
                    f"{name} is {value}", hint=f"give a number from {low:g} to {high:g}"
                )
        if not (isinstance(self.loss, str) or callable(self.loss)):
            object.__setattr__(self, "loss", tuple(self.loss))
        object.__setattr__(self, "loss_weights", tuple(self.loss_weights))
        if not all(math.isfinite(w) and w >= 0 for w in self.loss_weights):
            raise RecipeError(
                f"loss_weights are {self.loss_weights}", hint="give numbers from 0, one an output"
            )
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise RecipeError(
                    f"{name} is {getattr(self, name)!r}", hint=f"use one of {', '.join(known)}"
                )

    def steps(self, samples: int) -> int:
        """Steps of the run on so many training samples; the last, smaller batch is left out."""
        return round(self.epochs * self.steps_per_epoch(samples))

    def steps_per_epoch(self, samples: int) -> int:
        """Steps of one pass."""
        return max(1, samples // self.batch_size)

    def learning_rate_at(self, step: int, total: int) -> float:
        """The learning rate of one step of `total`."""
        rise = 0.3 if self.schedule == "one-cycle" else self.warmup
        warm = rise * total
        if step < warm:
            return self.learning_rate * (step + 1) / (warm + 1)
        if self.schedule == "constant":
            return self.learning_rate
        part = (step - warm) / max(1.0, total - warm)
        low = 0.01
        return self.learning_rate * (low + (1 - low) * (1 + math.cos(math.pi * part)) / 2)

    def fingerprint(self) -> str:
        """Text that is equal for equal settings; functions count by their names."""

        def named(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(map(named, value))
            return getattr(value, "__qualname__", repr(value)) if callable(value) else value

        fields = {f.name: named(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return repr(sorted(fields.items()))
