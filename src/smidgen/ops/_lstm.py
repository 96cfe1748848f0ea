"""UNIDIRECTIONAL_SEQUENCE_LSTM's arithmetic, and what its kernels take.

Gates stand in LiteRT's order: input, forget, cell, output. Operands of the operator:

    0        x (batch, time, inputs), or (time, batch, inputs)
    1 to 4   weights of x for each gate (units, inputs)
    5 to 8   weights of the hidden state for each gate (units, units)
    9 to 12  biases (units,)
    13, 14   hidden state and cell state (batch, units)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.numerics.requantize import quantize_multiplier, requantize, requantize_wide
from smidgen.numerics.sigmoid_table import logistic_int16, prepare, tanh_int16
from smidgen.ops._op import NodeTypes

Array = np.ndarray[Any, Any]

GATES = ("input", "forget", "cell", "output")
X, WEIGHTS, RECURRENT, BIASES, HIDDEN, CELL = 0, 1, 5, 9, 13, 14
OPERANDS = 15
GATE_SCALE = 2.0**-12  # of what goes into a gate's function, int16
_UNIT = 2.0**-15  # of what comes out of it


@dataclass(frozen=True)
class Factors:
    """Multipliers and shifts of an integer LSTM, as `quantize_multiplier` gives them.

    Args:
        x, hidden: of each gate's sums.
        forget: of forget gate times cell state.
        update: of input gate times cell gate.
        output: of output gate times tanh of the cell state.
        tanh: multiplier and shift to the right of a cell state on its way into the table.
        clip: the largest magnitude of a cell state, 0 for any.
    """

    x: tuple[tuple[int, int], ...]
    hidden: tuple[tuple[int, int], ...]
    forget: tuple[int, int]
    update: tuple[int, int]
    output: tuple[int, int]
    tanh: tuple[int, int]
    clip: int

    @classmethod
    def of(cls, types: NodeTypes, cell_clip: float) -> Factors:
        """The factors of a node."""
        cell = types.scale(CELL)
        power = cell_power(cell) + 12
        return cls(
            x=tuple(
                quantize_multiplier(types.scale(X) * types.scale(WEIGHTS + g) / GATE_SCALE)
                for g in range(4)
            ),
            hidden=tuple(
                quantize_multiplier(types.scale(HIDDEN) * types.scale(RECURRENT + g) / GATE_SCALE)
                for g in range(4)
            ),
            forget=quantize_multiplier(_UNIT * cell / cell),
            update=quantize_multiplier(_UNIT * _UNIT / cell),
            output=quantize_multiplier(_UNIT * _UNIT / types.scale(HIDDEN)),
            tanh=(3 << power, 0) if power >= 0 else (3, -power),
            clip=int(min(max(cell_clip / cell, 0.0), 32767.0)),
        )


def cell_power(scale: float) -> int:
    """The exponent of a cell state's scale.

    Raises:
        ValueError: if the scale is no power of two, or one that the runtimes' tanh cannot take.
    """
    mantissa, exponent = math.frexp(scale)
    if mantissa != 0.5 or not -27 <= exponent - 1 <= -1:
        raise ValueError(
            f"the cell state's scale is {scale:.6g}; it must be a power of two from 2^-27 to 2^-1"
        )
    return exponent - 1


def float_step(
    x: Array, hidden: Array, cell: Array, arrays: tuple[Array | None, ...], cell_clip: float
) -> tuple[Array, Array]:
    """Hidden and cell state (n, units) after one step."""

    def gate(g: int) -> Array:
        w, r, b = (arrays[first + g] for first in (WEIGHTS, RECURRENT, BIASES))
        assert w is not None and r is not None and b is not None
        sums: Array = x @ w.T + b + hidden @ r.T
        return sums

    with np.errstate(over="ignore"):  # e^-x of a large -x
        i, f, o = (1 / (1 + np.exp(-gate(g))) for g in (0, 1, 3))
    cell = f * cell + i * np.tanh(gate(2))
    if cell_clip > 0:
        cell = np.clip(cell, -cell_clip, cell_clip)
    return (np.tanh(cell) * o).astype(np.float32), cell.astype(np.float32)


def torch_run(tensors: tuple[Any, ...], cell_clip: float, time_major: bool) -> tuple[Any, Any, Any]:
    """The operator on torch tensors: the hidden state after each step, and the last states."""
    import torch

    x, hidden, cell = (tensors[i] for i in (X, HIDDEN, CELL))
    w, r, b = (torch.cat(tensors[i : i + 4]) for i in (WEIGHTS, RECURRENT, BIASES))
    time = 0 if time_major else 1
    n = x.shape[1 - time]
    hidden, cell = (s.expand(n, -1) if len(s) == 1 else s for s in (hidden, cell))
    seen = []
    for given in (x @ w.T + b).unbind(time):
        i, f, g, o = (given + hidden @ r.T).chunk(4, -1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        if cell_clip > 0:
            cell = cell.clamp(-cell_clip, cell_clip)
        hidden = o.sigmoid() * cell.tanh()
        seen.append(hidden)
    return torch.stack(seen, time), hidden, cell


def int_step(
    x: Array,
    hidden: Array,
    cell: Array,
    arrays: tuple[Array | None, ...],
    types: NodeTypes,
    factors: Factors,
    rounding: str,
) -> tuple[Array, Array]:
    """`float_step` in integers, each rounding where TensorFlow Lite Micro has it."""
    wide = types.dtype == "int16"

    def scaled(v: Array, operand: int, first: int, g: int, bias: Array | None) -> Array:
        weights = arrays[first + g]
        assert weights is not None
        centred = v.astype(np.float64) - types.zero_point(operand)
        sums = (centred @ weights.T.astype(np.float64)).astype(np.int64)
        if bias is not None:
            sums = sums + bias.astype(np.int64)
        factor = (factors.x if operand == X else factors.hidden)[g]
        if wide:
            return _int16(requantize_wide(sums, *factor))
        return _int16(requantize(sums, *factor, rounding=rounding))

    def gate(g: int) -> Array:
        given = scaled(x, X, WEIGHTS, g, arrays[BIASES + g])
        return prepare(_int16(given + scaled(hidden, HIDDEN, RECURRENT, g, None)))

    i, f, o = (logistic_int16(gate(g)).astype(np.int64) for g in (0, 1, 3))
    g = tanh_int16(gate(2)).astype(np.int64)
    kept = _int16(requantize(f * cell, *factors.forget, rounding=rounding))
    added = _int16(requantize(i * g, *factors.update, rounding=rounding))
    cell = _int16(kept + added)
    if factors.clip > 0:
        cell = np.clip(cell, -factors.clip, factors.clip)
    squashed = tanh_int16(prepare(cell, *factors.tanh)).astype(np.int64)
    result = requantize(squashed * o, *factors.output, rounding=rounding).astype(np.int64)
    info = np.iinfo(types.dtype)
    hidden = np.clip(result + types.zero_point(HIDDEN), info.min, info.max)
    return hidden.astype(types.dtype), cell


def _int16(x: Array) -> Array:
    limited: Array = np.clip(x, -32768, 32767).astype(np.int64)
    return limited
