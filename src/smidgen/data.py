"""Samples and labels: what calibration, evaluation and training are given."""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.errors import DataError
from smidgen.ir import Graph, TensorType, numpy_dtype
from smidgen.numerics.affine import dequantize, quantize

Array = np.ndarray[Any, Any]

# The arrays of a data file; the first is required. `x1` and on, and `x1_test`, are samples of
# further inputs, `y1` and on labels of further outputs.
NAMES = ("x", "y", "x_test", "y_test")
# A data file is read whole: refuse one that declares more than this, or that grows so much in
# unpacking that it can only be meant to fill the memory.
MAX_BYTES = 8 << 30
_SUSPICIOUS_BYTES = 256 << 20
_SUSPICIOUS_RATIO = 200


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
        further_y: labels of the model's second output and on, for training; in a file `y1`, `y2`
            and so on. What is measured is the first output.
        further_x: training samples of the model's second input and on; in a file `x1`, `x2` ...
        further_x_test: the same of the test samples; in a file `x1_test`, `x2_test` ...

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
    further_y: tuple[Array, ...] = ()
    further_x: tuple[Array, ...] = ()
    further_x_test: tuple[Array, ...] = ()

    def __post_init__(self) -> None:
        for name in NAMES:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name)))
        _check_samples("x", self.x)
        _check_labels("y", self.y, self.x)
        for name in ("further_y", "further_x", "further_x_test"):
            arrays = tuple(np.asarray(array) for array in getattr(self, name))
            object.__setattr__(self, name, arrays)
        for number, labels in enumerate(self.further_y, 1):
            _check_labels(f"y{number}", labels, self.x)
        if self.further_y and self.y is None:
            raise DataError("labels of further outputs, none of the first", where="y1")
        for number, samples in enumerate(self.further_x, 1):
            _check_further(f"x{number}", samples, self.x)
        if self.x_test is None:
            if self.y_test is not None or self.further_x_test:
                where = "x1_test" if self.further_x_test else "y_test"
                raise DataError(f"{where} without x_test", where=where, hint="give x_test too")
            return
        _check_samples("x_test", self.x_test)
        _check_labels("y_test", self.y_test, self.x_test)
        if len(self.further_x_test) != len(self.further_x):
            raise DataError(
                f"test samples of {1 + len(self.further_x_test)} inputs, training samples of "
                f"{1 + len(self.further_x)}",
                where="x_test",
            )
        for number, (test, train) in enumerate(
            zip((self.x_test, *self.further_x_test), self.inputs, strict=True)
        ):
            name = f"x{number or ''}"
            if number:
                _check_further(f"{name}_test", test, self.x_test)
            if test.shape[1:] != train.shape[1:]:
                raise DataError(
                    f"samples of shape {test.shape[1:]}",
                    where=f"{name}_test",
                    hint=f"give {train.shape[1:]} as in {name}",
                )

    def __len__(self) -> int:
        return len(self.x)

    @property
    def inputs(self) -> tuple[Array, ...]:
        """Training samples, one array (n, ...) for each input of the model."""
        return (self.x, *self.further_x)

    @property
    def test_inputs(self) -> tuple[Array, ...]:
        """Test samples, one array (n, ...) for each input of the model; () without any."""
        return () if self.x_test is None else (self.x_test, *self.further_x_test)

    @classmethod
    def from_npz(cls, path: str | Path) -> Dataset:
        """Read the arrays x, y, x_test and y_test of an `.npz` file; all but x are optional.

        Models of several inputs and outputs have x1, x2 ..., x1_test ... and y1, y2 ... as well.

        Raises:
            DataError: if the file cannot be read, holds no `x`, or holds pickled objects.
        """
        path = Path(path)
        try:
            _check_size(path)
            with np.load(path, allow_pickle=False) as file:
                if "x" not in file:
                    raise DataError(
                        f"holds {', '.join(file.files) or 'nothing'}, not x",
                        where=str(path),
                        hint="save it with np.savez(path, x=..., y=..., x_test=..., y_test=...)",
                    )
                known = {name: file[name] for name in NAMES if name in file}
                y, x, x_test = (_numbered(file, n) for n in ("y{}", "x{}", "x{}_test"))
                return cls(**known, further_y=y, further_x=x, further_x_test=x_test)
        except FileNotFoundError:
            raise DataError("no such file", where=str(path)) from None
        except DataError as error:
            if re.fullmatch(r"[xy]\d*(_test)?", error.where or ""):
                error.where = f"{path}, array {error.where}"
            raise
        except Exception as error:  # a dozen kinds, from zipfile, zlib, numpy and its header parser
            raise DataError(
                f"is not a readable .npz file of plain arrays ({error})", where=str(path)
            ) from error


def _check_size(path: Path) -> None:
    """Refuse a file that would fill the memory, before anything of it is unpacked."""
    with zipfile.ZipFile(path) as archive:
        declared = sum(info.file_size for info in archive.infolist())
    ratio = declared / max(1, path.stat().st_size)
    if declared > MAX_BYTES or (declared > _SUSPICIOUS_BYTES and ratio > _SUSPICIOUS_RATIO):
        raise DataError(
            f"unpacks to {declared:,} bytes, {ratio:,.0f} times its size",
            where=str(path),
            hint="give fewer samples, saved with np.savez",
        )


def _numbered(file: Mapping[str, Array], name: str) -> tuple[Array, ...]:
    """The arrays of a file that are called `name` with 1, 2 and so on in it."""
    numbers = itertools.takewhile(lambda i: name.format(i) in file, itertools.count(1))
    return tuple(file[name.format(i)] for i in numbers)


def _check_further(name: str, array: Array, first: Array) -> None:
    _check_samples(name, array)
    if len(array) != len(first):
        raise DataError(f"{len(array)} samples beside {len(first)} of the first input", where=name)


def _check_samples(name: str, array: Array) -> None:
    if array.ndim < 2 or not array.size:
        raise DataError(f"array of shape {array.shape}", where=name, hint="give samples (n, ...)")
    if array.dtype.kind not in "fiu":
        raise DataError(f"array of {array.dtype}", where=name, hint="give float32 or uint8")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError("holds NaN or infinity", where=name, hint="clean the samples")


def _check_labels(name: str, labels: Array | None, samples: Array) -> None:
    if labels is None:
        return
    if labels.dtype.kind not in "fiub":
        raise DataError(
            f"labels of {labels.dtype}", where=name, hint="give class indices or float targets"
        )
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise DataError("holds NaN or infinity", where=name, hint="clean the labels")
    if not labels.ndim or len(labels) != len(samples):
        found = len(labels) if labels.ndim else "no"
        raise DataError(f"{found} labels for {len(samples)} samples", where=name)


def to_model(graph: Graph, samples: Array, *, input: int = 0) -> Array:
    """Samples as the source model takes them, turned into what a graph's input takes.

    Channels-first samples are transposed if the graph came from a channels-first model, and
    quantized if the input is an integer tensor. Samples that already have the input's integer
    dtype are taken to be quantized.

    Args:
        graph: the graph.
        samples: (n, ...) float32 or uint8, in the source model's layout and scale.
        input: which input.

    Returns:
        (n, ...) in the input's dtype, channels last.

    Raises:
        DataError: if the shape does not fit.
    """
    type = graph.type(graph.inputs[input])
    array = arrange(graph, samples, input=input)
    if array.dtype == numpy_dtype(type.dtype):
        return np.ascontiguousarray(array)
    return encode(type, array)


def to_inputs(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """Samples (n, ...) of every input, each as `to_model` turns them.

    Raises:
        DataError: if their number or a shape does not fit.
    """
    check_count(graph, arrays)
    return [to_model(graph, array, input=i) for i, array in enumerate(arrays)]


def check_count(graph: Graph, arrays: Sequence[Array]) -> None:
    """Refuse more or fewer arrays of samples than a graph has inputs.

    Raises:
        DataError: if there are.
    """
    if len(arrays) != len(graph.inputs):
        raise DataError(
            f"{len(arrays)} arrays of samples for {len(graph.inputs)} inputs",
            hint=f"give an array for each of {', '.join(graph.inputs)}; in a Dataset further_x, in "
            "a file x1, x2 ...",
        )


def arrange(graph: Graph, samples: Array, *, input: int = 0) -> Array:
    """Samples in the source model's layout, in the layout of a graph's input; values unchanged.

    An axis of 1 may be missing or too many.

    Raises:
        DataError: if the shape does not fit.
    """
    name = graph.inputs[input]
    type = graph.type(name)
    given = np.asarray(samples)
    array = given
    if name in graph.channels_first and array.ndim == type.rank:
        array = np.moveaxis(array, 1, -1)
    want = type.shape[1:]
    if _without_ones(array.shape[1:]) == _without_ones(want) and len(array):
        array = array.reshape(len(array), *want)
    if array.shape[1:] != want or not len(array):
        raise DataError(
            f"samples of shape {given.shape}",
            where=f"input {name!r}",
            hint=f"give (n, {', '.join(map(str, want))})"
            + (" or channels first" if name in graph.channels_first else ""),
        )
    return array


def arrange_all(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """Samples (n, ...) of every input in the layout of a float graph, as float32.

    Raises:
        DataError: if their number or a shape does not fit.
    """
    check_count(graph, arrays)
    found = (arrange(graph, array, input=i) for i, array in enumerate(arrays))
    return [np.ascontiguousarray(array, np.float32) for array in found]


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def encode(type: TensorType, real: Array) -> Array:
    """Real numbers as the elements of a tensor: its integers if it is quantized.

    Example:
        >>> from smidgen.ir import QuantParams
        >>> type = TensorType((1, 2), "int8", QuantParams.per_tensor(1.0, -128))
        >>> encode(type, np.array([[0, 255]], np.uint8))
        array([[-128,  127]], dtype=int8)
    """
    if type.quant is None:
        return np.ascontiguousarray(real, numpy_dtype(type.dtype))
    integers: Array = quantize(real, type.quant.scale, type.quant.zero_point, type.dtype)
    return integers


def decode(type: TensorType, elements: Array) -> Array:
    """The real numbers that the elements of a tensor stand for, per-channel scales included.

    Example:
        >>> from smidgen.ir import QuantParams
        >>> type = TensorType((1, 2), "int8", QuantParams.per_tensor(0.5, 0))
        >>> decode(type, np.array([[-3, 4]], np.int8)).tolist()
        [[-1.5, 2.0]]
    """
    if type.quant is None:
        return elements
    shape = [-1 if i == type.quant.axis else 1 for i in range(type.rank)]
    scales, zero_points = (
        np.reshape(v, shape) for v in (type.quant.scales, type.quant.zero_points)
    )
    return dequantize(elements, scales, zero_points)


def accuracy(outputs: Array, labels: Array) -> float:
    """Fraction of labels that are predicted right: the class with the largest score (top-1).

    Args:
        outputs: scores (n, ..., classes); or, for two classes, one probability for each label.
        labels: class indices (n, ...), or one-hot (n, ..., classes).

    Returns:
        Between 0 and 1.

    Raises:
        DataError: if the labels do not go with the outputs.

    Example:
        >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
        0.5
        >>> accuracy(np.array([[0.4], [0.7]]), np.array([0, 1]))
        1.0
    """
    classes = outputs.shape[-1]
    scores = outputs.reshape(-1, classes)
    if classes > 1 and labels.size == outputs.size and is_one_hot(labels, classes):
        truth = labels.reshape(-1, classes).argmax(axis=1)
    elif labels.size == len(scores):
        truth = labels.ravel()
    else:
        raise DataError(
            f"labels of shape {labels.shape} for outputs of shape {outputs.shape}",
            where="labels",
            hint="give one class index for each sample",
        )
    if truth.dtype.kind == "f" and (truth != np.round(truth)).any():
        raise DataError(
            "labels that are no whole numbers", where="labels", hint="give class indices"
        )
    known = max(2, classes)
    if truth.min() < 0 or truth.max() >= known:
        raise DataError(
            f"class {int(truth.max() if truth.max() >= known else truth.min())}",
            where="labels",
            hint=f"the model knows classes 0 to {known - 1}",
        )
    found = scores.argmax(axis=1) if classes > 1 else scores[:, 0] >= 0.5
    return float((found == truth).mean())


def is_one_hot(labels: Array, classes: int) -> bool:
    """Whether each row of `classes` labels holds a single 1 and zeros otherwise."""
    rows = labels.reshape(-1, classes)
    return bool(np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all())
