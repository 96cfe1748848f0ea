"""Augmentation: other views of the same samples, so that few samples teach more.

An augmentation is a function of a batch (n, ...) in the model's layout and a random generator; it
returns a batch of the same shape and dtype. Where a model has several inputs it is given a list of
batches, and returns one. Views that a teacher's cached answers must match are
drawn apart from it (see `smidgen.training.distil`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from smidgen.errors import RecipeError
from smidgen.ir import TensorType

Array = np.ndarray[Any, Any]
Augment = Callable[[Any, np.random.Generator], Any]

_SHIFT = 8  # an image is shifted by up to an eighth of its size
_AUDIO_SHIFT = 10  # features are shifted by up to a tenth of the time
_MASKED = 5  # up to a fifth of the time, and of the bands, is masked
_JITTER = 0.05  # noise of an IMU window, in parts of its own deviation
_GAIN = 0.1  # relative change of an IMU window's amplitude


def image(x: Array, rng: np.random.Generator) -> Array:
    """Images (n, h, w, c): mirrored half of the time where they have colours, and shifted.

    Grey images are not mirrored: they are often digits, letters or spectrograms. What a shift
    uncovers repeats the border.

    Example:
        >>> image(np.zeros((4, 32, 32, 3), np.float32), np.random.default_rng(0)).shape
        (4, 32, 32, 3)
    """
    return shift_image(mirror(x, rng) if x.shape[3] > 1 else x, rng)


def mirror(x: Array, rng: np.random.Generator) -> Array:
    """Images (n, h, w, c), half of them mirrored."""
    mirrored = rng.random(len(x)) < 0.5
    return np.where(mirrored[:, None, None, None], x[:, :, ::-1], x)


def shift_image(x: Array, rng: np.random.Generator) -> Array:
    """Images (n, h, w, c) shifted by up to an eighth of their size."""
    return shift(x, rng, x.shape[1] // _SHIFT, x.shape[2] // _SHIFT)


def audio(x: Array, rng: np.random.Generator) -> Array:
    """Features over time (n, time, bands, 1) or (n, time, bands): shifted, then partly masked.

    Masks take the mean of the sample, as silence would. Source: SpecAugment (Park et al., 2019).

    Example:
        >>> audio(np.zeros((4, 49, 10, 1), np.float32), np.random.default_rng(0)).shape
        (4, 49, 10, 1)
    """
    shape = x.shape
    x = x.reshape(*shape[:3], -1)
    x = shift(x, rng, shape[1] // _AUDIO_SHIFT, 0)
    means = x.mean((1, 2), keepdims=True)
    for axis in (1, 2):
        size = shape[axis]
        width = rng.integers(0, max(1, size // _MASKED), len(x), endpoint=True)
        start = (rng.random(len(x)) * (size - width + 1)).astype(int)
        at = np.arange(size)
        masked = (at >= start[:, None]) & (at < (start + width)[:, None])
        masked = np.expand_dims(masked, [a for a in (1, 2, 3) if a != axis])
        x = np.where(masked, means, x).astype(x.dtype)
    return np.asarray(x.reshape(shape))


def imu(x: Array, rng: np.random.Generator) -> Array:
    """Windows of a motion sensor (n, time, axes[, 1]): noise, and another amplitude.

    Source: Um et al., "Data augmentation of wearable sensor data" (2017).

    Example:
        >>> imu(np.zeros((4, 128, 6), np.float32), np.random.default_rng(0)).shape
        (4, 128, 6)
    """
    deviation = x.std(axis=1, keepdims=True)
    noise = rng.normal(0, _JITTER, x.shape) * deviation
    gain = rng.normal(1, _GAIN, (len(x), *(1,) * (x.ndim - 1)))
    return np.asarray((x + noise) * gain, x.dtype)


def shift(x: Array, rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Each image (n, h, w, c) moved by up to so many rows and columns, its border repeated."""
    if not rows and not columns:
        return x
    n, h, w, _ = x.shape
    down = rng.integers(-rows, rows, n, endpoint=True)
    right = rng.integers(-columns, columns, n, endpoint=True)
    y = np.clip(np.arange(h) - down[:, None], 0, h - 1)
    z = np.clip(np.arange(w) - right[:, None], 0, w - 1)
    moved: Array = x[np.arange(n)[:, None, None], y[:, :, None], z[:, None, :]]
    return moved


def augmented(augment: Augment | None, x: list[Array], rng: np.random.Generator) -> list[Array]:
    """A batch of each input, augmented if there is a function for it."""
    if augment is None:
        return x
    return [augment(x[0], rng)] if len(x) == 1 else augment(x, rng)


AUGMENTS: dict[str, Augment | None] = {"image": image, "audio": audio, "imu": imu, "none": None}


def get_augment(
    wanted: str | Augment | None, inputs: Sequence[TensorType], *, mirrors: bool = True
) -> Augment | None:
    """The augmentation of this name; "auto" mirrors and shifts square colour images only.

    A model with several inputs has none but a function that is given.

    Args:
        wanted: a name of `AUGMENTS`, "auto", or a function.
        inputs: types of the model's inputs.
        mirrors: whether images are to be mirrored; not where views already do.

    Raises:
        RecipeError: if there is none of that name, or it does not fit the input.
    """
    if wanted is None or callable(wanted):
        return wanted
    shape = inputs[0].shape
    if wanted == "auto":
        colours = len(shape) == 4 and shape[3] == 3 and shape[1] == shape[2] and len(inputs) == 1
        wanted = "image" if colours else "none"
    if wanted not in AUGMENTS:
        raise RecipeError(
            f"no augmentation is called {wanted!r}", hint=f"use auto, {', '.join(AUGMENTS)}"
        )
    rank = {"image": (4,), "audio": (3, 4), "imu": (3, 4)}.get(wanted, (len(shape),))
    if len(shape) not in rank or (len(inputs) > 1 and wanted != "none"):
        shapes = ", ".join(str(input.shape) for input in inputs)
        raise RecipeError(
            f"augmentation {wanted!r} does not fit inputs of shape {shapes}",
            hint="give a function of a batch and a random generator",
        )
    return shift_image if wanted == "image" and not mirrors else AUGMENTS[wanted]
