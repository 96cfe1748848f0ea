"""What is known of a `.tflite` file before it runs, and is worked out as it is read.

Shapes are static, so that arithmetic on them is constant: an operator whose operands are all known
becomes a constant, and some operators need to know no more than their operand's shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smidgen.errors import ModelFileError
from smidgen.ir import numpy_dtype
from smidgen.ops import NodeTypes, Op, TfliteNode
from smidgen.ops._range import evaluate

Array = np.ndarray[Any, Any]


def _shape(node: TfliteNode) -> Array:
    x = node.types[0]
    assert x is not None
    return np.array(x.shape, numpy_dtype(node.outputs[0].dtype))


def _rank(node: TfliteNode) -> Array:
    x = node.types[0]
    assert x is not None
    return np.array(x.rank, np.int32)


def _zeros_like(node: TfliteNode) -> Array:
    x = node.types[0]
    assert x is not None
    return np.zeros(x.shape, numpy_dtype(x.dtype))  # zeros as they are stored, as TFLM has them


def _fill(node: TfliteNode) -> Array:
    shape = node.constant(0, "the shape")
    _refuse_other_shape(shape.ravel().tolist(), node)
    return np.full(node.outputs[0].shape, node.constant(1, "the value").ravel()[0])


def _range(node: TfliteNode) -> Array:
    start, limit, delta = (node.constant(i, "a bound").ravel()[0] for i in range(3))
    (size,) = node.outputs[0].shape
    if delta == 0 or int(np.ceil((float(limit) - float(start)) / float(delta))) != size:
        raise ModelFileError(f"{start} to {limit} by {delta} are not {size} numbers")
    steps = np.arange(size).astype(start.dtype) * delta
    return np.asarray(start + steps).astype(start.dtype)


def _densify(node: TfliteNode) -> Array:
    return node.constant(0, "the sparse tensor")


KNOWN: dict[str, Callable[[TfliteNode], Array]] = {
    "SHAPE": _shape,
    "RANK": _rank,
    "ZEROS_LIKE": _zeros_like,
    "FILL": _fill,
    "RANGE": _range,
    "DENSIFY": _densify,
}
"""Operators that never get into a graph, since what they compute is always known, by name."""


def _refuse_other_shape(shape: list[int], node: TfliteNode) -> None:
    if tuple(shape) != node.outputs[0].shape:
        raise ModelFileError(f"makes {shape}, the file says {list(node.outputs[0].shape)}")


def known(name: str, node: TfliteNode) -> Array:
    """The result of an operator of `KNOWN`, of the shape and dtype that the file says.

    Raises:
        ModelFileError: The file says something else.
        UnsupportedModelError: An operand is computed at run time.
    """
    with np.errstate(all="ignore"):
        result = KNOWN[name](node)
    (out,) = node.outputs
    if (result.shape, result.dtype) != (out.shape, numpy_dtype(out.dtype)):
        raise ModelFileError(
            f"computes {result.dtype}{list(result.shape)}, the file says "
            f"{out.dtype}{list(out.shape)}"
        )
    return result


def folded(op: Op, types: NodeTypes, operands: tuple[Array | None, ...]) -> list[Array] | None:
    """The results of an operator whose operands are all constants; None if they are not folded.

    They are not where much would have to be computed, or where runtimes round differently.
    """
    present = [a for a, t in zip(operands, types.inputs, strict=True) if t is not None]
    if not present or any(a is None for a in present) or op.macs(*types.inputs):
        return None
    with np.errstate(all="ignore"):
        results = evaluate(op, types, list(operands))
    values = [found[0][0] for found in results]
    same = all(np.array_equal(a, v) for v, f in zip(values, results, strict=True) for a, _ in f)
    return [np.asarray(v, order="C") for v in values] if same else None
