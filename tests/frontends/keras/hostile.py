"""Damaged and hostile Keras files for `test_hostile.py`."""

from __future__ import annotations

import json
import random
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.frontends.keras import load_keras

# What may stand in a configuration where something else is expected.
JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 7, 2**31, 2**63, 10**400, -(2**70), 0.5, 1e308, 1e-320,
    float("nan"), float("inf"), "", "x", "same", "channels_first", "relu", "Conv2D", "\ud800", [],
    [[]], [1], [0, 0], [2, 2], [-1, 3], [2**40, 2**40], [None, None, None, None], [1, "x"],
    [None, 8, 8, 3], ["input_layer", 0, 0], {}, {"a": 1}, {"class_name": "Lambda", "config": {}},
    {"class_name": "__tuple__", "items": [1]}, {"config": {"value": "x"}}, {"value": None},
    {"class_name": "function", "config": "relu", "registered_name": "relu"},
)  # fmt: skip


def small_keras(folder: Path) -> tuple[Path, Path]:
    """One small model with many kinds of layer, as `.keras` and as `.h5`."""
    import keras
    from keras import layers as L

    inner = keras.Sequential([keras.Input((4, 4, 4)), L.Conv2D(4, 3, padding="same"), L.ReLU()])
    x = keras.Input((9, 9, 2))
    y = L.Conv2D(4, 3, strides=2, activation="relu", name="conv2d_stem")(
        L.Rescaling(0.1, offset=1)(x)
    )
    z = L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(inner(y)))
    z = L.Add()([y, L.LeakyReLU(0.1)(z)])
    z = L.Concatenate()([L.ZeroPadding2D(1)(z), L.Cropping2D(1)(L.UpSampling2D(2)(z))])
    z = L.Permute((2, 1, 3))(L.MaxPooling2D(2)(L.SeparableConv2D(5, 3)(z)))
    z = L.Conv1D(3, 2)(L.Reshape((-1, 5))(z))
    out = L.Dense(3, activation="softmax")(L.Dropout(0.1)(L.Flatten()(inner_normalized(L, z))))
    model = keras.Model(x, [out, L.Dense(2)(L.GlobalAveragePooling2D()(inner(y)))])
    paths = folder / "small.keras", folder / "small.h5"
    for path in paths:
        model.save(path)
    return paths


def inner_normalized(layers: Any, x: Any) -> Any:
    return layers.Normalization(mean=[0.0, 1.0, 2.0], variance=[1.0, 2.0, 3.0])(x)


def read_keras(data: bytes) -> None:
    """A reader for `tests.fuzzing.survive`."""
    with tempfile.NamedTemporaryFile(suffix=".keras") as file:
        file.write(data)
        file.flush()
        load_keras(file.name)


def rezipped(path: Path, change: Callable[[str, bytes], bytes], out: Path) -> Path:
    """A copy of a `.keras` file whose members went through `change`, with sums that fit."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return out


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in parsed JSON."""
    items: Any = ()
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, list):
        items = enumerate(node)
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed_configs(config: str, count: int, seed: int) -> Iterator[str]:
    """Configurations with one to three values replaced by junk, dropped, doubled or swapped."""
    rng = random.Random(seed)
    paths = list(places(json.loads(config)))
    for _ in range(count):
        data = json.loads(config)
        for _ in range(rng.choice((1, 1, 2, 3))):
            _change(data, rng.choice(paths), rng)
        yield json.dumps(data)


def _change(data: Any, path: tuple[Any, ...], rng: random.Random) -> None:
    parent = data
    for key in path[:-1]:
        try:
            parent = parent[key]
        except (KeyError, IndexError, TypeError):
            return  # an earlier change took it away
    key = path[-1]
    try:
        action = rng.randrange(8)
        if action == 0:
            del parent[key]
        elif action == 1 and isinstance(parent, list):
            parent.insert(rng.randrange(len(parent) + 1), parent[key])
        elif action == 2 and isinstance(parent, list):
            rng.shuffle(parent)
        else:
            parent[key] = rng.choice(JUNK)
    except (KeyError, IndexError, TypeError):
        return


def changed_arrays(
    arrays: dict[str, np.ndarray[Any, Any]], rng: random.Random
) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of which one is gone or has another shape, dtype or value."""
    name = rng.choice(sorted(arrays))
    array = arrays[name]
    others = {k: v for k, v in arrays.items() if k != name}
    options: list[np.ndarray[Any, Any] | None] = [
        None,
        array[..., None],
        array.reshape(-1),
        np.zeros(0, np.float32),
        np.float32(np.nan) * array,
        array.astype(np.float64) + 1e300,
        np.zeros((2,) * 8, bool),
    ]
    option = rng.choice(options)
    return others if option is None else {**others, name: option}
