"""Recurrent layers: LSTM, GRU and the plain RNN, of PyTorch, ONNX and Keras.

A front end makes a cell of a layer's weights and runs it over a sequence:

    cell = LstmCell.from_torch(w_ih, w_hh, b_ih, b_hh)
    y, hidden, memory = run(at, cell, x)                    # x is (n, time, inputs)
    y, hiddens, memories = run_layers(at, [[cell, cell_reverse], ...], x)

What the layers of the three frameworks compute is the same; their weights differ in the order of
the gates, in which way they are transposed, and in how many biases there are:

| layer | here | PyTorch (rows) | ONNX (rows) | Keras (columns) |
|---|---|---|---|---|
| LSTM | i f g o | i f g o | i o f g | i f g o |
| GRU | r z n | r z n | z r n | z r n |

i, f, o: input, forget and output gate; g: what is given to the cell state; r: reset gate; z: update
gate (how much stays as it was); n: the new state. PyTorch and ONNX have a bias for x and one for
the hidden state; Keras has one, but for a GRU with `reset_after` two rows.

A usual LSTM that starts with zeros becomes UNIDIRECTIONAL_SEQUENCE_LSTM. Everything else is
unrolled over time into FULLY_CONNECTED, LOGISTIC, TANH, MUL and so on, of which every runtime has
kernels; the weights of all steps are the same constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.frontends.lowering.cells import Cell, GruCell, LstmCell, or_none
from smidgen.frontends.lowering.movement import concatenate, reshape, slice_axis
from smidgen.frontends.lowering.site import Lowering, Operand
from smidgen.ir import TensorType


class Run(NamedTuple):
    """What a recurrent layer makes of a sequence.

    Args:
        sequence: (n, time, units): the hidden state after each step.
        hidden: (n, units), after the last step: the first of the sequence when run backwards.
        memory: the cell state of an LSTM likewise, None of other cells.
    """

    sequence: str
    hidden: str
    memory: str | None


def run(
    at: Lowering,
    cell: Cell,
    x: Operand,
    *,
    hidden: Operand | None = None,
    memory: Operand | None = None,
    reverse: bool = False,
    stateful: bool = False,
    unroll: bool = False,
) -> Run:
    """One layer in one direction over a sequence.

    Args:
        at: where.
        cell: its weights and activations.
        x: (n, time, inputs).
        hidden, memory: what hidden state (n, outputs) and cell state (n, units) are at first; zeros
            by default.
        reverse: from the last step to the first; the result's steps are still those of x.
        stateful: the states are remembered from one inference to the next.
        unroll: into operators that every runtime has, even where there is one for the whole layer.
            An LSTM whose last cell state is read has to be: a `.tflite` file cannot say it.

    Raises:
        UnsupportedModelError: if shapes do not fit, or states are given and remembered at once.
    """
    if at.rank(x) != 3 or at.shape(x)[2] != cell.x.shape[1]:
        raise UnsupportedModelError(
            f"a sequence of shape {at.shape(x)} for {cell.x.shape[1]} inputs; "
            "must be (n, time, inputs)"
        )
    n = at.shape(x)[0]
    first: list[Operand | None] = []
    for what, state, size in (("hidden", hidden, cell.outputs), ("cell", memory, cell.units)):
        if state is not None and at.shape(state) != (n, size):
            raise UnsupportedModelError(
                f"a first {what} state of shape {at.shape(state)}, not {(n, size)}"
            )
        zeros = state is None or (not isinstance(state, str) and not state.any())
        first.append(None if zeros else state)
    if stateful and any(state is not None for state in first):
        raise UnsupportedModelError("a layer that remembers its state is given one, too")
    usual = isinstance(cell, LstmCell) and cell.usual and not unroll
    if usual and first == [None, None]:
        assert isinstance(cell, LstmCell)
        return _as_operator(at, cell, x, reverse, stateful)
    return _unrolled(at, cell, x, first, reverse, stateful)


def run_layers(
    at: Lowering,
    layers: Sequence[Sequence[Cell]],
    x: Operand,
    *,
    hidden: Sequence[Operand] | None = None,
    memory: Sequence[Operand] | None = None,
    unroll: bool = False,
) -> tuple[str, list[str], list[str | None]]:
    """Layers on top of each other, each in one direction or in both.

    Args:
        at: where.
        layers: for each layer its cell, or its cells forwards and backwards.
        x: (n, time, inputs).
        hidden, memory: first states, layer by layer, forwards before backwards.
        unroll: as in `run`.

    Returns:
        The last layer's sequence (n, time, outputs of all directions), and the last hidden and cell
        states (n, outputs) in the order of `hidden`.
    """
    hiddens: list[str] = []
    memories: list[str | None] = []
    for cells in layers:
        runs = []
        for direction, cell in enumerate(cells):
            place = len(hiddens)
            runs.append(
                run(
                    at,
                    cell,
                    x,
                    hidden=None if hidden is None else hidden[place],
                    memory=None if memory is None else memory[place],
                    reverse=direction == 1,
                    unroll=unroll,
                )
            )
            hiddens.append(runs[-1].hidden)
            memories.append(runs[-1].memory)
        sequences = [r.sequence for r in runs]
        x = sequences[0] if len(sequences) == 1 else concatenate(at, sequences, 2)
    return at.value(x), hiddens, memories


def reversed_time(at: Lowering, x: Operand) -> str:
    """(n, time, ...) with the last step first."""
    return slice_axis(at, x, 1, None, None, -1)


def _as_operator(at: Lowering, cell: LstmCell, x: Operand, reverse: bool, stateful: bool) -> Run:
    n, time, _ = at.shape(x)
    bias = cell.x_bias + cell.h_bias
    arrays = [cell.part(a, g) for a in (cell.x, cell.h, bias) for g in range(4)]
    zeros = np.zeros((n, cell.units), np.float32)
    first: list[Operand] = [zeros, zeros]
    if stateful:
        first = [_state(at, "hidden", n, cell.units), _state(at, "cell", n, cell.units)]
    turned = reversed_time(at, x) if reverse else x
    operands: list[Operand | None] = [turned, *arrays, *first]
    y, *last = at.add_multi("UNIDIRECTIONAL_SEQUENCE_LSTM", operands, cell_clip=cell.limit)
    if stateful:
        for state, becomes in zip(first, last, strict=True):
            assert isinstance(state, str)
            at.builder.becomes(state, becomes)
    hidden = reshape(at, slice_axis(at, y, 1, time - 1, time), (n, cell.units))
    return Run(reversed_time(at, y) if reverse else y, hidden, last[1])


def _unrolled(
    at: Lowering,
    cell: Cell,
    x: Operand,
    first: Sequence[Operand | None],
    reverse: bool,
    stateful: bool,
) -> Run:
    cell = _with_one_bias(cell)
    n, time, _ = at.shape(x)
    hidden, memory = (None if state is None else at.value(state) for state in first)
    kept: list[str] = []
    if stateful:
        hidden = _state(at, "hidden", n, cell.outputs)
        kept.append(hidden)
        if isinstance(cell, LstmCell):
            memory = _state(at, "cell", n, cell.units)
            kept.append(memory)
    given = _given(at, cell, x)
    steps: list[str] = [""] * time
    for t in reversed(range(time)) if reverse else range(time):
        hidden, memory = cell.step(at, [gate[t] for gate in given], hidden, memory)
        steps[t] = reshape(at, hidden, (n, 1, cell.outputs))
    assert hidden is not None
    for state, becomes in zip(kept, (hidden, memory), strict=False):
        assert becomes is not None
        at.builder.becomes(state, becomes)
    return Run(steps[0] if time == 1 else concatenate(at, steps, 1), hidden, memory)


def _with_one_bias(cell: Cell) -> Cell:
    """The cell with both biases in that of x, but for a share that a reset gate multiplies."""
    apart = np.zeros(cell.h_bias.shape, bool)
    if isinstance(cell, GruCell) and cell.reset_after:
        apart[2 * cell.units :] = True
    return replace(
        cell,
        x_bias=cell.x_bias + np.where(apart, 0, cell.h_bias).astype(np.float32),
        h_bias=np.where(apart, cell.h_bias, 0).astype(np.float32),
    )


def _given(at: Lowering, cell: Cell, x: Operand) -> list[list[str]]:
    """For each gate and step what x and its bias add to the gate, (n, units)."""
    n, time, _ = at.shape(x)
    found = []
    for gate in range(cell.gates):
        operands: list[Operand | None] = [x, cell.part(cell.x, gate)]
        operands.append(or_none(cell.part(cell.x_bias, gate)))
        y = at.add("FULLY_CONNECTED", operands, keep_num_dims=True)
        if time == 1:
            found.append([reshape(at, y, (n, cell.units))])
        else:
            found.append(at.add_multi("UNPACK", [y], num=time, axis=1))
    return found


def _state(at: Lowering, what: str, n: int, size: int) -> str:
    return at.builder.state(f"{at.layer or 'recurrent'}/{what}", TensorType((n, size), "float32"))
