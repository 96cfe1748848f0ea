"""The shapes of a model's inputs: which dimensions are open, and what they become."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.errors import DataError, ModelFileError, UnsupportedModelError
from smidgen.frontends.onnx.reader import DAMAGED, clean
from smidgen.frontends.onnx.tensors import HALF_BYTES, MAX_ELEMENTS, MAX_RANK, Array, dtype_of

Shapes = Mapping[str, Sequence[Any]]  # of integers, which is checked
Fixed = Mapping[str, Any]

# A first dimension that is open is the batch, unless its name says that it is something else.
_NO_BATCH = ("seq", "time", "len", "frame", "token", "step")


@dataclass(frozen=True)
class InputSpec:
    """One input of a model as it will be.

    Args:
        name: of the input.
        dtype: element type in ONNX.
        shape: static.
        value: what it is fixed to, or None.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    value: Array | None


def input_specs(infos: Sequence[Any], shapes: Shapes, fixed: Fixed) -> list[InputSpec]:
    """What the inputs of a model are, with every dimension known.

    Args:
        infos: the ValueInfoProtos.
        shapes: full shapes that the user gives, by input.
        fixed: values that the user gives, by input.

    Raises:
        UnsupportedModelError: if a dimension stays open, with what to give.
        ModelFileError: if an input is malformed.
        DataError: if the user names what there is not, or gives what does not fit.
    """
    names = [info.name for info in infos]
    for what, given in (("shapes", shapes), ("fixed", fixed)):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise DataError(
                f"{what} names {unknown[0]!r}, which is no input of the model",
                hint=f"its inputs are {', '.join(map(clean, names))}",
            )
    sizes: dict[str, int] = {}  # of symbolic dimensions
    declared = [_declared(info) for info in infos]
    for info, dims in zip(infos, declared, strict=True):
        if info.name in shapes:
            _learn(clean(info.name), dims, shapes[info.name], sizes)
    for dims in declared:
        if dims and isinstance(dims[0], str) and not any(w in dims[0].lower() for w in _NO_BATCH):
            sizes.setdefault(dims[0], 1)
    return [
        _spec(info, dims, shapes, fixed, sizes) for info, dims in zip(infos, declared, strict=True)
    ]


def _declared(info: Any) -> list[int | str]:
    """Each dimension: its size, or the name that it is open under."""
    where = f"input {clean(info.name)!r}"
    if not info.type.HasField("tensor_type"):
        raise UnsupportedModelError(
            "it is a sequence, map or optional value, not a tensor",
            where=where,
            hint="export the model with tensors as inputs",
        )
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        raise UnsupportedModelError(
            "the model does not say its shape",
            where=where,
            hint=f'give shapes={{"{clean(info.name)}": (1, ...)}} or --shape '
            f"{clean(info.name)}=1,...",
        )
    dims: list[int | str] = []
    for place, dim in enumerate(tensor.shape.dim):
        if dim.HasField("dim_value") and dim.dim_value > 0:
            dims.append(int(dim.dim_value))
        else:
            dims.append(clean(dim.dim_param) or f"{clean(info.name)}[{place}]")
    if len(dims) > MAX_RANK:
        raise ModelFileError(f"it has {len(dims)} dimensions", where=where, hint=DAMAGED)
    return dims


def _learn(name: str, dims: list[int | str], shape: Sequence[Any], sizes: dict[str, int]) -> None:
    """Take over what a given shape says about open dimensions that other inputs have too."""
    if len(shape) != len(dims) or any(not isinstance(d, int) or d < 1 for d in shape):
        raise DataError(
            f"the shape {tuple(shape)} for an input that is declared as {_shown(dims)}",
            where=f"input {name!r}",
            hint=f"give {len(dims)} positive sizes",
        )
    for dim, size in zip(dims, shape, strict=True):
        if isinstance(dim, str):
            sizes[dim] = int(size)


def _spec(
    info: Any, dims: list[int | str], shapes: Shapes, fixed: Fixed, sizes: dict[str, int]
) -> InputSpec:
    name = clean(info.name)
    where = f"input {name!r}"
    dtype = dtype_of(info.type.tensor_type.elem_type, where)
    if info.type.tensor_type.elem_type in HALF_BYTES:
        raise UnsupportedModelError("its elements have 4 bits", where=where, hint="use int8")
    value = None
    if info.name in fixed:
        value = _value(where, dims, dtype, fixed[info.name])
        return InputSpec(info.name, dtype, value.shape, value)
    if info.name in shapes:
        shape = tuple(int(d) for d in shapes[info.name])
    else:
        unknown = [d for d in dims if isinstance(d, str) and d not in sizes]
        if unknown:
            example = ",".join(str(1 if d in sizes else d) for d in dims)
            raise UnsupportedModelError(
                f"its shape is {_shown(dims)}, and graphs have static shapes",
                where=where,
                hint=f'give its sizes: shapes={{"{name}": ({example})}} or --shape '
                f"{name}={example}, with a number for {' and '.join(map(repr, unknown))}",
            )
        shape = tuple(sizes[d] if isinstance(d, str) else d for d in dims)
    if math.prod(shape) > MAX_ELEMENTS:
        raise UnsupportedModelError(
            f"its shape is {shape}", where=where, hint="give a smaller one with shapes or --shape"
        )
    return InputSpec(info.name, dtype, shape, None)


def _value(where: str, dims: list[int | str], dtype: np.dtype[Any], given: Any) -> Array:
    """The array that the user fixes an input to; one number fills a shape that is known."""
    try:
        array = np.asarray(given)
        if array.dtype.kind not in "fiub":
            raise ValueError("no numbers")
        cast = array.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        raise DataError(
            f"{given!r:.80} is no value for it", where=where, hint=f"give numbers of {dtype}"
        ) from None
    if not np.array_equal(cast, array) and dtype.kind != "f":
        raise DataError(f"{given!r:.80} is no value of {dtype}", where=where)
    fits = len(dims) == cast.ndim and all(
        isinstance(d, str) or d == size for d, size in zip(dims, cast.shape, strict=True)
    )
    if not fits and cast.size == 1 and math.prod(d for d in dims if isinstance(d, int)) < 1 << 20:
        return np.full([1 if isinstance(d, str) else d for d in dims], cast.ravel()[0], dtype)
    if not fits:
        raise DataError(f"an array of shape {cast.shape} for {_shown(dims)}", where=where)
    return cast


def _shown(dims: list[int | str]) -> str:
    return f"({', '.join(map(str, dims))})"
