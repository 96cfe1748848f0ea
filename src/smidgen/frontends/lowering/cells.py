"""The cells of recurrent layers: their weights, and what they do in one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.frontends.lowering.activation import sigmoid, tanh
from smidgen.frontends.lowering.elementwise import add, binary, clip, multiply, subtract
from smidgen.frontends.lowering.site import Array, Lowering, Operand

Activation = Callable[[Lowering, Operand], str]


@dataclass(frozen=True, eq=False)
class Cell:
    """The weights of one layer in one direction, gate by gate.

    Args:
        x: (gates * units, inputs) float32.
        h: (gates * units, units), or (gates * units, outputs) with a projection.
        x_bias, h_bias: (gates * units,).
    """

    x: Array
    h: Array
    x_bias: Array
    h_bias: Array

    def __post_init__(self) -> None:
        rows = self.x.shape[0] if self.x.ndim else 0
        if (
            self.x.ndim != 2
            or self.h.ndim != 2
            or not rows
            or rows % self.gates
            or self.h.shape[0] != rows
            or self.x_bias.shape != (rows,)
            or self.h_bias.shape != (rows,)
        ):
            raise UnsupportedModelError(
                f"weights of shapes {self.x.shape}, {self.h.shape}, {self.x_bias.shape} and "
                f"{self.h_bias.shape} are not those of {self.gates} gates"
            )

    @property
    def gates(self) -> int:
        """How many gates there are."""
        raise NotImplementedError

    @property
    def units(self) -> int:
        """How many units there are."""
        return int(self.x.shape[0]) // self.gates

    @property
    def outputs(self) -> int:
        """How many elements the hidden state has."""
        return int(self.h.shape[1])

    def part(self, array: Array, gate: int) -> Array:
        """The rows of one gate."""
        return np.ascontiguousarray(array[gate * self.units : (gate + 1) * self.units])

    def step(
        self, at: Lowering, given: Sequence[str], hidden: str | None, memory: str | None
    ) -> tuple[str, str | None]:
        """Append one step and return the new hidden and cell state.

        Args:
            at: where.
            given: for each gate x times its weights plus `x_bias`, (n, units).
            hidden: (n, outputs), None for zeros.
            memory: (n, units), None for zeros.
        """
        raise NotImplementedError

    def recurrent(self, at: Lowering, hidden: str | None, gate: int) -> Operand:
        """The hidden state's share of a gate: its bias alone if the state is zeros."""
        bias = self.part(self.h_bias, gate)
        if hidden is None:
            return bias.reshape(1, -1)
        return at.add("FULLY_CONNECTED", [hidden, self.part(self.h, gate), or_none(bias)])


@dataclass(frozen=True, eq=False)
class LstmCell(Cell):
    """Long short-term memory; gates i, f, g and o.

    Args:
        projection: (outputs, units): the hidden state is this times what it would be otherwise.
        peepholes: (3, units): what the cell state adds to gates i, f and o, of its old value to the
            first two and of its new value to the last.
        gate, squash, output: activations of i, f and o; of g; and of the cell state.
        limit: largest magnitude of the cell state, 0 for any.
    """

    projection: Array | None = None
    peepholes: Array | None = None
    gate: Activation = sigmoid
    squash: Activation = tanh
    output: Activation = tanh
    limit: float = 0.0

    @property
    def gates(self) -> int:
        """How many gates there are."""
        return 4

    @classmethod
    def from_torch(
        cls, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
    ) -> LstmCell:
        """Of `weight_ih_l0` (4 units, inputs), `weight_hh_l0` and the two biases."""
        return cls(_float(w_ih), _float(w_hh), _bias(b_ih, w_ih), _bias(b_hh, w_ih))

    @classmethod
    def from_onnx(cls, w: Array, r: Array, b: Array | None = None) -> LstmCell:
        """Of one direction of W (4 units, inputs), R (4 units, units) and B (8 units,)."""
        order = (0, 2, 3, 1)
        x_bias, h_bias = _onnx_biases(w, b)
        x, h, x_bias, h_bias = (_ordered(a, 4, order) for a in (w, r, x_bias, h_bias))
        return cls(x, h, x_bias, h_bias)

    @classmethod
    def from_keras(cls, kernel: Array, recurrent: Array, bias: Array | None = None) -> LstmCell:
        """Of `kernel` (inputs, 4 units), `recurrent_kernel` (units, 4 units) and `bias`."""
        w = _float(kernel.T)
        return cls(w, _float(recurrent.T), _bias(bias, w), _bias(None, w))

    @property
    def usual(self) -> bool:
        """Whether the operator UNIDIRECTIONAL_SEQUENCE_LSTM computes it."""
        plain = self.projection is None and self.peepholes is None
        return plain and (self.gate, self.squash, self.output) == (sigmoid, tanh, tanh)

    def step(
        self, at: Lowering, given: Sequence[str], hidden: str | None, memory: str | None
    ) -> tuple[str, str | None]:
        """Append one step; see `Cell.step`."""

        def sums(gate: int, seen: str | None, peephole: int) -> str:
            y = _plus(at, given[gate], self.recurrent(at, hidden, gate))
            if self.peepholes is None or seen is None:
                return y
            return add(at, y, multiply(at, seen, self.peepholes[peephole].reshape(1, -1)))

        i = self.gate(at, sums(0, memory, 0))
        new = multiply(at, i, self.squash(at, _plus(at, given[2], self.recurrent(at, hidden, 2))))
        if memory is not None:
            f = self.gate(at, sums(1, memory, 1))
            new = add(at, multiply(at, f, memory), new)
        if self.limit > 0:
            new = clip(at, new, -self.limit, self.limit)
        o = self.gate(at, sums(3, new, 2))
        y = multiply(at, o, self.output(at, new))
        if self.projection is not None:
            y = at.add("FULLY_CONNECTED", [y, self.projection, None])
        return y, new


@dataclass(frozen=True, eq=False)
class GruCell(Cell):
    """Gated recurrent unit; gates r, z and n.

    Args:
        reset_after: whether the reset gate multiplies the hidden state after its weights (PyTorch,
            Keras' default, ONNX' `linear_before_reset`) or before.
        gate, squash: activations of r and z, and of n.
    """

    reset_after: bool = True
    gate: Activation = sigmoid
    squash: Activation = tanh

    @property
    def gates(self) -> int:
        """How many gates there are."""
        return 3

    @classmethod
    def from_torch(
        cls, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
    ) -> GruCell:
        """Of `weight_ih_l0` (3 units, inputs), `weight_hh_l0` and the two biases."""
        return cls(_float(w_ih), _float(w_hh), _bias(b_ih, w_ih), _bias(b_hh, w_ih))

    @classmethod
    def from_onnx(
        cls, w: Array, r: Array, b: Array | None = None, *, linear_before_reset: bool = False
    ) -> GruCell:
        """Of one direction of W (3 units, inputs), R (3 units, units) and B (6 units,)."""
        x_bias, h_bias = _onnx_biases(w, b)
        x, h, x_bias, h_bias = (_ordered(a, 3, (1, 0, 2)) for a in (w, r, x_bias, h_bias))
        return cls(x, h, x_bias, h_bias, reset_after=linear_before_reset)

    @classmethod
    def from_keras(
        cls,
        kernel: Array,
        recurrent: Array,
        bias: Array | None = None,
        *,
        reset_after: bool = True,
    ) -> GruCell:
        """Of `kernel` (inputs, 3 units), `recurrent_kernel` and `bias`, (2, 3 units) or (3 units,).

        The bias has two rows, for x and for the hidden state, if `reset_after`.
        """
        w = _float(kernel.T)
        x_bias, h_bias = (bias[0], bias[1]) if bias is not None and bias.ndim == 2 else (bias, None)
        arrays = (w, _float(recurrent.T), _bias(x_bias, w), _bias(h_bias, w))
        x, h, b, c = (_ordered(a, 3, (1, 0, 2)) for a in arrays)
        return cls(x, h, b, c, reset_after=reset_after)

    def step(
        self, at: Lowering, given: Sequence[str], hidden: str | None, memory: str | None
    ) -> tuple[str, str | None]:
        """Append one step; see `Cell.step`."""
        z = self.gate(at, _plus(at, given[1], self.recurrent(at, hidden, 1)))
        if hidden is None:
            share: Operand = self.recurrent(at, None, 2)
            if self.reset_after and self.part(self.h_bias, 2).any():
                r = self.gate(at, _plus(at, given[0], self.recurrent(at, None, 0)))
                share = multiply(at, r, share)
            n = self.squash(at, _plus(at, given[2], share))
            return subtract(at, n, multiply(at, z, n)), None
        r = self.gate(at, _plus(at, given[0], self.recurrent(at, hidden, 0)))
        if self.reset_after:
            share = multiply(at, r, self.recurrent(at, hidden, 2))
        else:
            share = self.recurrent(at, multiply(at, r, hidden), 2)
        n = self.squash(at, _plus(at, given[2], share))
        # z * h + (1 - z) * n with one multiplication less.
        return add(at, n, multiply(at, z, subtract(at, hidden, n))), None


@dataclass(frozen=True, eq=False)
class RnnCell(Cell):
    """The plain recurrent layer: an activation of x and hidden state, each times its weights.

    Args:
        activation: tanh or another.
    """

    activation: Activation = tanh

    @property
    def gates(self) -> int:
        """How many gates there are."""
        return 1

    @classmethod
    def from_torch(
        cls, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
    ) -> RnnCell:
        """Of `weight_ih_l0` (units, inputs), `weight_hh_l0` and the two biases."""
        return cls(_float(w_ih), _float(w_hh), _bias(b_ih, w_ih), _bias(b_hh, w_ih))

    @classmethod
    def from_onnx(cls, w: Array, r: Array, b: Array | None = None) -> RnnCell:
        """Of one direction of W (units, inputs), R (units, units) and B (2 units,)."""
        return cls(_float(w), _float(r), *_onnx_biases(w, b))

    @classmethod
    def from_keras(cls, kernel: Array, recurrent: Array, bias: Array | None = None) -> RnnCell:
        """Of `kernel` (inputs, units), `recurrent_kernel` (units, units) and `bias`."""
        w = _float(kernel.T)
        return cls(w, _float(recurrent.T), _bias(bias, w), _bias(None, w))

    def step(
        self, at: Lowering, given: Sequence[str], hidden: str | None, memory: str | None
    ) -> tuple[str, str | None]:
        """Append one step; see `Cell.step`."""
        return self.activation(at, _plus(at, given[0], self.recurrent(at, hidden, 0))), None


def or_none(bias: Array) -> Array | None:
    """A bias, None if it is zeros."""
    return bias if bias.any() else None


def _plus(at: Lowering, given: str, share: Operand) -> str:
    """A sum in which constant zeros are left out."""
    if not isinstance(share, str) and not share.any():
        return given
    return binary(at, "ADD", given, share)


def _float(array: Array) -> Array:
    return np.ascontiguousarray(array, np.float32)


def _bias(bias: Array | None, weights: Array) -> Array:
    return np.zeros(weights.shape[0], np.float32) if bias is None else _float(bias).reshape(-1)


def _onnx_biases(w: Array, b: Array | None) -> tuple[Array, Array]:
    if b is None:
        return _bias(None, w), _bias(None, w)
    flat = _float(b).reshape(-1)
    return flat[: w.shape[0]], flat[w.shape[0] :]


def _ordered(array: Array, gates: int, order: tuple[int, ...]) -> Array:
    """Gates in another order: gate `order[i]` becomes gate i."""
    if array.shape[0] % gates:
        raise UnsupportedModelError(f"weights of shape {array.shape} for {gates} gates")
    parts = np.split(_float(array), gates)
    return np.concatenate([parts[i] for i in order])
