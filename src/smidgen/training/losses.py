"""What training makes small: a loss for classes, for targets, and for a teacher's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from smidgen.errors import DataError, RecipeError
from smidgen.ir import Graph

if TYPE_CHECKING:
    from smidgen.ops import Op

Tensor = torch.Tensor
Array = np.ndarray[Any, Any]
Loss = Callable[[Tensor, Tensor], Tensor]
"""Of raw outputs (n, ...) and targets: a number."""


def raw_output(graph: Graph, index: int = 0) -> tuple[str, str]:
    """What a loss reads instead of output `index`, and the function that leads from it there.

    A network that ends in a softmax or a logistic function is trained on what goes into it, which
    is the numerically sound way.

    Returns:
        The value's name, and "softmax", "sigmoid" or "".
    """
    name = graph.outputs[index]
    node = graph.producers.get(name)
    if node is None:
        return name, ""
    op: Op = node.op  # type: ignore[assignment]
    if not op.link() or node.inputs[0] is None:
        return name, ""
    return node.inputs[0], op.link()


def as_targets(graph: Graph, labels: Array | None, samples: Array, index: int = 0) -> Array:
    """Labels of a dataset as the loss of output `index` wants them.

    Args:
        graph: the model.
        labels: class indices (n,), one-hot rows, targets, or None for an autoencoder.
        samples: in the model's layout, which are the targets of an autoencoder.
        index: of the output.

    Returns:
        int64 classes (n,), or float32 targets (n, ...) of the output's shape.

    Raises:
        DataError: if labels do not fit the output.
    """
    from smidgen.data import is_one_hot

    output = graph.output_types[index]
    classes = output.shape[-1]
    if labels is None:
        if samples[0].size != output.size:
            raise DataError("no labels to train on", where="y", hint="add y to the data")
        return samples.reshape(len(samples), *output.shape[1:]).astype(np.float32)
    if labels.size == len(labels) and output.size == classes and classes > 1:
        found = labels.reshape(-1).astype(np.int64)
        if found.min() < 0 or found.max() >= classes:
            raise DataError(
                f"classes from {found.min()} to {found.max()} for {classes} outputs", where="y"
            )
        return found
    if (
        output.size == classes > 1
        and labels.shape[1:] == (classes,)
        and is_one_hot(labels, classes)
    ):
        return np.asarray(labels.argmax(-1), np.int64)
    if labels[0].size != output.size:
        raise DataError(
            f"targets of shape {labels.shape} for outputs of shape {output.shape}",
            where="y",
            hint="give class indices (n,), or targets shaped like the output",
        )
    return labels.reshape(len(labels), *output.shape[1:]).astype(np.float32)


def get_loss(wanted: str | Loss, link: str, targets: Array, smoothing: float) -> Loss:
    """The loss of this name; "auto" chooses by what the targets are.

    Args:
        wanted: "auto", "cross-entropy", "mse", "mae", or a function of raw outputs and targets.
        link: what stands behind the raw outputs, see `raw_output`.
        targets: of the training samples.
        smoothing: how much of a class's probability is spread over all of them.

    Raises:
        RecipeError: if there is none of that name, or it does not fit the targets.
    """
    if callable(wanted):
        return wanted
    is_classes = targets.dtype.kind == "i"
    name = wanted
    if wanted == "auto":
        name = "cross-entropy" if is_classes or link == "sigmoid" else "mse"
    if name == "cross-entropy" and is_classes:
        return lambda y, t: cross_entropy(y.flatten(1), t, smoothing)
    if name == "cross-entropy" and link == "sigmoid":
        return functional.binary_cross_entropy_with_logits
    if name in ("mse", "mae") and not is_classes:
        through = {"softmax": lambda y: y.softmax(-1), "sigmoid": torch.sigmoid}.get(link)
        measure = functional.mse_loss if name == "mse" else functional.l1_loss
        return lambda y, t: measure(through(y) if through else y, t)
    if name not in ("cross-entropy", "mse", "mae"):
        raise RecipeError(
            f"no loss is called {name!r}",
            hint="use auto, cross-entropy, mse, mae, or a function of outputs and targets",
        )
    kind = "classes" if is_classes else "targets"
    raise RecipeError(f"loss {name!r} does not fit {kind} behind {link or 'no link'!r}")


def cross_entropy(logits: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """Of logits (n, c) and classes (n,), or distributions (n, c) as mixup makes them."""
    return functional.cross_entropy(logits, target, label_smoothing=smoothing)


def distillation(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Divergence of the student's softened distribution from the teacher's, times T squared.

    Args:
        student, teacher: logits (n, c).
        temperature: by which both are divided.

    Source: Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network" (2015); the
    factor keeps gradients comparable over temperatures.

    Example:
        >>> logits = torch.tensor([[1.0, 2.0]])
        >>> float(distillation(logits, logits, 4.0))
        0.0
    """
    soft = functional.log_softmax(student / temperature, dim=-1)
    target = functional.log_softmax(teacher / temperature, dim=-1)
    divergence = functional.kl_div(soft, target, reduction="batchmean", log_target=True)
    return divergence * temperature**2
