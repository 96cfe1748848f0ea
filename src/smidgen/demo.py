"""The demonstration: train a small network on real digits, squeeze it, run it on a chip."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from smidgen.data import Dataset
from smidgen.errors import ToolMissingError
from smidgen.report.result import Squeezed
from smidgen.squeeze import Tell, squeeze

BOARD = "arduino-nano-33-ble"
EPOCHS = 20


def digits() -> Dataset:
    """Scikit-learn's 1,797 handwritten digits, 8x8 pixels: 1,437 to train on, 360 to test on."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ToolMissingError("scikit-learn", extra="demo", purpose="the demo") from None
    import numpy as np

    bunch: Any = load_digits()
    images = (bunch.images[..., None] / 16).astype(np.float32)
    labels = bunch.target.astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:1437], order[1437:]
    return Dataset(images[train], labels[train], images[test], labels[test])


def train(data: Dataset) -> Any:
    """A small convolutional Keras network, trained in seconds on the training digits."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras
        import torch
    except ImportError as error:
        missing = error.name or "keras"
        raise ToolMissingError(missing, extra="demo", purpose="the demo") from None
    torch.set_num_threads(1)  # so small a network only loses time to threads
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(32, 1),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(data.x, data.y, batch_size=64, epochs=EPOCHS, verbose=0)
    return model


def run_demo(out: str | Path, board: str = BOARD, tell: Tell | None = None) -> Squeezed:
    """Train, squeeze, compile, emulate, report.

    Args:
        out: folder for the results, as in `squeeze`.
        board: what to squeeze for.
        tell: called with each step as it begins.
    """
    if tell:
        tell("train a small network on handwritten digits")
    data = digits()
    return squeeze(train(data), data, board, out=out, max_drop=0.02, tell=tell)
