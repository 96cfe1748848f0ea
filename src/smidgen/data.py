"""Samples and labels: what calibration, evaluation and training are given."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.errors import DataError
from smidgen.ir import Graph, TensorType, numpy_dtype
from smidgen.numerics.affine import quantize

Array = np.ndarray[Any, Any]

# The arrays of a data file; the first is required.
NAMES = ("x", "y", "x_test", "y_test")
# A data file is read whole: refuse one that declares more than this.
MAX_BYTES = 8 << 30


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test samples, exactly as the *source* model takes them.

    Calibration and training read `x` and `y` only; what is reported is measured on `x_test` and
    `y_test` only.

    Args:
        x: training samples (n, ...), float32 or uint8.
        y: their labels: class indices (n,), targets (n, ...), or None where none are needed.
        x_test: samples kept apart for measuring, or None.
        y_test: their labels, or None.

    Raises:
        DataError: if lengths, shapes or dtypes do not fit together.

    Example:
        >>> data = Dataset(np.zeros((8, 4), np.float32), np.arange(8))
        >>> len(data)
        8
    """

    x: Array
    y: Array | None = None
    x_test: Array | None = None
    y_test: Array | None = None

    def __post_init__(self) -> None:
        for name in ("x", "x_test"):
            array = getattr(self, name)
            if array is None:
                continue
            if array.ndim < 2 or not len(array):
                raise DataError(
                    f"array of shape {array.shape}", where=name, hint="give samples (n, ...)"
                )
            if array.dtype.kind not in "fiu":
                raise DataError(f"array of {array.dtype}", where=name, hint="give float32 or uint8")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise DataError("holds NaN or infinity", where=name, hint="clean the samples")
            labels = getattr(self, name.replace("x", "y"))
            if labels is not None and len(labels) != len(array):
                raise DataError(
                    f"{len(labels)} labels for {len(array)} samples", where=name.replace("x", "y")
                )
        if self.x_test is None and self.y_test is not None:
            raise DataError("labels without samples", where="y_test", hint="give x_test too")
        if self.x_test is not None and self.x_test.shape[1:] != self.x.shape[1:]:
            raise DataError(
                f"samples of shape {self.x_test.shape[1:]}",
                where="x_test",
                hint=f"give {self.x.shape[1:]} as in x",
            )

    def __len__(self) -> int:
        return len(self.x)

    @classmethod
    def from_npz(cls, path: str | Path) -> Dataset:
        """Read the arrays x, y, x_test and y_test (all but x optional) of an `.npz` file.

        Raises:
            DataError: if the file cannot be read, holds no `x`, or holds pickled objects.
        """
        path = Path(path)
        try:
            with zipfile.ZipFile(path) as archive:
                declared = sum(info.file_size for info in archive.infolist())
            if declared > MAX_BYTES:
                raise DataError(f"declares {declared} bytes", where=str(path))
            with np.load(path, allow_pickle=False) as file:
                if "x" not in file:
                    raise DataError(
                        f"holds {', '.join(file.files) or 'nothing'}, not x",
                        where=str(path),
                        hint="save it with np.savez(path, x=..., y=..., x_test=..., y_test=...)",
                    )
                return cls(**{name: file[name] for name in NAMES if name in file})
        except FileNotFoundError:
            raise DataError("no such file", where=str(path)) from None
        except DataError:
            raise
        except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
            raise DataError(
                f"is not a readable .npz file of plain arrays ({error})", where=str(path)
            ) from error


def to_model(graph: Graph, samples: Array, *, input: int = 0) -> Array:
    """Samples as the source model takes them, turned into what a graph's input takes.

    Channels-first samples are transposed if the graph came from a channels-first model, and
    quantized if the input is an integer tensor. Samples that already have the input's integer
    dtype and shape pass unchanged.

    Args:
        graph: the graph.
        samples: (n, ...) float32 or uint8, in the source model's layout and scale.
        input: which input.

    Returns:
        (n, ...) in the input's dtype, channels last.

    Raises:
        DataError: if the shape does not fit.
    """
    name = graph.inputs[input]
    type = graph.type(name)
    array = np.asarray(samples)
    if name in graph.channels_first and array.ndim == type.rank:
        array = np.moveaxis(array, 1, -1)
    if array.shape[1:] != type.shape[1:] and array[0].size == type.size:
        if np.squeeze(array[0]).shape == tuple(d for d in type.shape if d != 1):
            array = array.reshape(len(array), *type.shape[1:])  # a missing or extra axis of 1
    if array.shape[1:] != type.shape[1:]:
        raise DataError(
            f"samples of shape {samples.shape[1:]}",
            where=f"input {name!r}",
            hint=f"give (n, {', '.join(map(str, type.shape[1:]))})",
        )
    if type.quant is None:
        return np.ascontiguousarray(array, numpy_dtype(type.dtype))
    if array.dtype == numpy_dtype(type.dtype):
        return np.ascontiguousarray(array)
    return quantize(array.astype(np.float32), type.quant.scale, type.quant.zero_point, type.dtype)


def random_inputs(graph: Graph, count: int, seed: int = 0) -> list[Array]:
    """Inputs that reach far: extremes, noise, noise of extremes only, and flat ones.

    Args:
        graph: any graph.
        count: number of samples.
        seed: of the generator.

    Returns:
        One array (count, ...) for each input of the graph, in its dtype.
    """
    rng = np.random.default_rng(seed)
    return [np.stack([_draw(rng, t, i)[0] for i in range(count)]) for t in graph.input_types]


def _draw(rng: np.random.Generator, type: TensorType, index: int) -> Array:
    dtype = numpy_dtype(type.dtype)
    if dtype.kind == "f":
        return rng.normal(0, 3.0 ** (index % 4 - 1), type.shape).astype(dtype)
    low, high = 0, 1  # of an index or a truth value
    if type.quant is not None:
        info = np.iinfo(str(dtype))
        low, high = int(info.min), int(info.max)
    if index < 2:
        return np.full(type.shape, (low, high)[index], dtype)
    if index % 3 == 0:
        return rng.choice((low, high), type.shape).astype(dtype)
    if index % 3 == 1:
        level = rng.integers(low, high, endpoint=True) + rng.normal(0, 8, type.shape)
        return np.clip(np.round(level), low, high).astype(dtype)
    return rng.integers(low, high, type.shape, endpoint=True).astype(dtype)


def accuracy(outputs: Array, labels: Array) -> float:
    """Fraction of samples whose largest output is the label (top-1); one output is a threshold.

    Args:
        outputs: (n, classes) scores, float or integer.
        labels: class indices (n,), or one-hot (n, classes).
    """
    scores = outputs.reshape(len(outputs), -1)
    truth = labels.argmax(1) if labels.ndim == 2 and labels.shape[1] > 1 else labels.ravel()
    if scores.shape[1] == 1:
        raise DataError("one score for each sample is no classification", where="outputs")
    return float((scores.argmax(1) == truth).mean())
