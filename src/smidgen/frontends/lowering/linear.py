"""Matrix products."""

from __future__ import annotations

from smidgen.frontends.lowering.elementwise import add as add_tensors
from smidgen.frontends.lowering.site import Array, Lowering, Operand


def linear(at: Lowering, x: Operand, weight: Array, bias: Array | None = None) -> str:
    """The last axis times a matrix.

    Args:
        at: where.
        x: (..., inputs).
        weight: (outputs, inputs).
        bias: (outputs,) or none.

    Returns:
        (..., outputs).
    """
    shape = at.shape(x)
    if len(shape) == 1:
        y = at.add("FULLY_CONNECTED", [at.add("RESHAPE", [x], new_shape=(1, *shape)), weight, bias])
        return at.add("RESHAPE", [y], new_shape=(weight.shape[0],))
    return at.add("FULLY_CONNECTED", [x, weight, bias], keep_num_dims=len(shape) > 2)


def matmul(at: Lowering, a: Operand, b: Operand, bias: Array | None = None) -> str:
    """The product of the last two axes, broadcasting over those before, as numpy's matmul.

    A constant matrix on the right is a layer's weights.

    Args:
        at: where.
        a: (..., m, k) or (k,).
        b: (..., k, n) or (k,).
        bias: (n,) or none.

    Returns:
        (..., m, n).
    """
    if not isinstance(b, str) and b.ndim == 2:
        return linear(at, a, b.T, bias)
    left, right = at.rank(a) == 1, at.rank(b) == 1
    if left:
        a = at.add("RESHAPE", [a], new_shape=(1, *at.shape(a)))
    if right:
        b = at.add("RESHAPE", [b], new_shape=(*at.shape(b), 1))
    rank = max(at.rank(a), at.rank(b))
    a, b = (_with_rank(at, operand, rank) for operand in (a, b))
    y = at.add("BATCH_MATMUL", [a, b])
    if left or right:
        shape = at.shape(y)
        kept = (*shape[:-2], *(() if left else shape[-2:-1]), *(() if right else shape[-1:]))
        y = at.add("RESHAPE", [y], new_shape=kept)
    return y if bias is None else add_tensors(at, y, bias)


def _with_rank(at: Lowering, operand: Operand, rank: int) -> Operand:
    shape = at.shape(operand)
    if len(shape) == rank:
        return operand
    wanted = (*(1,) * (rank - len(shape)), *shape)
    if isinstance(operand, str):
        return at.add("RESHAPE", [operand], new_shape=wanted)
    return operand.reshape(wanted)
