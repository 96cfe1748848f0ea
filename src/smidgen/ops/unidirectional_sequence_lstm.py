"""UNIDIRECTIONAL_SEQUENCE_LSTM: long short-term memory over the steps of a sequence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import QuantParams, TensorType
from smidgen.ops import _lstm, _lstm_kernels
from smidgen.ops._lstm import BIASES, CELL, HIDDEN, RECURRENT, WEIGHTS, X
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    QuantRule,
    Role,
    TfliteNode,
    TfliteOp,
    Types,
)
from smidgen.ops._unary import check_factor

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]

# Of x and the hidden state, the weights, the biases and the cell state.
DTYPES = (
    ("float32", "float32", "float32", "float32"),
    ("int8", "int8", "int32", "int16"),
    ("int16", "int8", "int64", "int16"),
)
# Where the file has its 24 operands: peepholes (9 to 11), projection (16, 17) and normalization
# (20 to 23) are left out.
_IN_FILE = (*range(9), *range(12, 16), 18, 19)
_VARIANTS = {
    "peepholes": (9, 10, 11),
    "a projection": (16, 17),
    "layer normalization": (20, 21, 22, 23),
}


@dataclass(frozen=True)
class UnidirectionalSequenceLstm(Op):
    """The hidden state after each step; then the hidden and the cell state after the last.

    For gates i, f, g and o, each made of x W^T + b + h R^T, i, f and o by the logistic function and
    g by tanh: c becomes f * c + i * g, limited to `cell_clip` if that is positive, and h becomes
    o * tanh(c). Operands: x (batch, time, inputs), or with `time_major` (time, batch, inputs); four
    matrices W (units, inputs) for i, f, g, o; four R (units, units); four biases (units,); h and
    c (batch, units).
    """

    name: ClassVar[str] = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    states: ClassVar[Mapping[int, int]] = {HIDDEN: 1, CELL: 2}
    litert_dtypes: ClassVar[tuple[str, ...]] = ("float32", "int8")

    cell_clip: float = 0.0
    time_major: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "cell_clip", float(np.float32(self.cell_clip)))  # as in a file

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        if len(types) != _lstm.OPERANDS or any(t is None for t in types):
            raise ValueError(f"takes {_lstm.OPERANDS} operands, none of them left out")
        x, *rest = (t for t in types if t is not None)
        hidden, cell = rest[HIDDEN - 1], rest[CELL - 1]
        if x.rank != 3 or not x.size or hidden.rank != 2 or not hidden.size:
            raise ValueError(
                f"takes a sequence of rank 3 and states of rank 2, got {x.shape} and {hidden.shape}"
            )
        batch, units, inputs = x.shape[int(self.time_major)], hidden.shape[1], x.shape[2]
        shapes = [(units, inputs)] * 4 + [(units, units)] * 4 + [(units,)] * 4
        for i, (type, shape) in enumerate(
            zip(rest, [*shapes, (batch, units), (batch, units)], strict=True), 1
        ):
            if type.shape != shape:
                raise ValueError(f"operand {i} has shape {type.shape}, not {shape}")
        kinds = {t.dtype for t in rest[:8]}, {t.dtype for t in rest[8:12]}
        got = (x.dtype, *(", ".join(sorted(kind)) for kind in kinds), cell.dtype)
        if got not in DTYPES or hidden.dtype != x.dtype:
            known = "; ".join(", ".join(d) for d in DTYPES)
            raise ValueError(f"x, weights, biases and cell state are {got}; must be {known}")
        return (
            TensorType((*x.shape[:2], units), x.dtype),
            TensorType((batch, units), x.dtype),
            TensorType((batch, units), cell.dtype),
        )

    def batchable(self, *types: TensorType | None) -> bool:
        return not self.time_major

    def _run(self, step: Any, arrays: tuple[Array | None, ...]) -> tuple[Array, Array]:
        """Hidden and cell state after every step."""
        x, hidden, cell = (arrays[i] for i in (X, HIDDEN, CELL))
        assert x is not None and hidden is not None and cell is not None
        time = 0 if self.time_major else 1
        n = x.shape[1 - time]
        hidden, cell = (np.repeat(a, n // len(a), axis=0) for a in (hidden, cell))
        seen: list[tuple[Array, Array]] = []
        for now in np.moveaxis(x, time, 0):
            hidden, cell = step(now, hidden, cell)
            seen.append((hidden, cell))
        hiddens, cells = zip(*seen, strict=True)
        return np.stack(hiddens, time), np.stack(cells, time)

    def _results(self, hiddens: Array, cells: Array) -> tuple[Array, ...]:
        last = -1 if self.time_major else (slice(None), -1)
        return hiddens, hiddens[last], cells[last]

    def _float_run(self, arrays: tuple[Array | None, ...]) -> tuple[Array, Array]:
        def step(x: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
            return _lstm.float_step(x, hidden, cell, arrays, self.cell_clip)

        return self._run(step, arrays)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return self._results(*self._float_run(arrays))

    def inside(self, *arrays: Array | None) -> Mapping[int, Array]:
        return {2: self._float_run(arrays)[1]}

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        factors = _lstm.Factors.of(types, self.cell_clip)

        def step(x: Array, hidden: Array, cell: Array) -> tuple[Array, Array]:
            return _lstm.int_step(x, hidden, cell, arrays, types, factors, rounding)

        hiddens, cells = self._run(step, arrays)
        return self._results(hiddens, cells.astype(np.int16))

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        roles = (Role.ACTIVATION, *[Role.WEIGHT] * 8, *[Role.BIAS] * 4, *[Role.ACTIVATION] * 2)
        products: list[tuple[int, int, int | None]] = []
        for g in range(4):
            products += [(X, WEIGHTS + g, BIASES + g), (HIDDEN, RECURRENT + g, None)]
        ties = ((HIDDEN, -1, -2), (CELL, -3))
        return QuantRule(roles, ties=ties, products=tuple(products), powers=(CELL, -3))

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "float32":
            return
        _lstm.cell_power(types.scale(CELL))
        if types.zero_point(CELL):
            raise ValueError("the cell state must have zero point 0")
        if types.dtype == "int16" and (types.zero_point(X) or types.zero_point(HIDDEN)):
            raise ValueError("int16 tensors must have zero point 0")
        for g, gate in enumerate(_lstm.GATES):
            for first, operand in ((WEIGHTS, X), (RECURRENT, HIDDEN)):
                if len(types.quant(first + g).scales) > 1:
                    raise ValueError(f"weights of the {gate} gate have a scale for each channel")
                check_factor(types.scale(operand) * types.scale(first + g) / _lstm.GATE_SCALE)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        return _lstm.torch_run(tensors, self.cell_clip, self.time_major)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        o = node.options
        if o["fused_activation_function"] != "TANH":
            raise UnsupportedModelError(
                f"its gates squash by {o['fused_activation_function']}; kernels have TANH",
                hint="train the layer with its usual activation, tanh",
            )
        if o["diagonal_recurrent_tensors"]:
            raise UnsupportedModelError("recurrent weights are diagonal matrices")
        given = (*node.types, *(None,) * (24 - len(node.types)))
        for what, places in _VARIANTS.items():
            if any(given[i] is not None for i in places):
                raise UnsupportedModelError(
                    f"an LSTM with {what}, which TensorFlow Lite Micro has no kernel for",
                    hint="train it without, or convert the model with the layer unrolled",
                )
        if given[1] is None:
            raise UnsupportedModelError(
                "an LSTM without an input gate (coupled to the forget gate) has no kernel",
                hint="train it with both gates",
            )
        return cls(o["cell_clip"], o["time_major"]), _IN_FILE

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {
            "fused_activation_function": "TANH",
            "cell_clip": self.cell_clip,
            "time_major": self.time_major,
        }
        operands = tuple(_IN_FILE.index(i) if i in _IN_FILE else None for i in range(24))
        empty, hidden = TensorType((0,), "float32"), types.inputs[HIDDEN]
        assert hidden is not None
        # LiteRT looks for the scales inside of gates that are normalized, and of the hidden state.
        inside = () if hidden.quant is None else (*(empty,) * 4, hidden.with_shape((0,)))
        return TfliteOp("UnidirectionalSequenceLSTMOptions", fields, operands, inside)

    def tflite_version(self, types: NodeTypes) -> int:
        return 1

    kernels = _lstm_kernels.KERNELS

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """A unit is a row of all weights, a column of those of the hidden state, and of states."""
        w = types[WEIGHTS]
        assert w is not None
        units, inputs = w.shape
        gates = range(4)
        made = [AxisRef(-1, 2), *(AxisRef(k, 1) for k in (-2, -3, HIDDEN, CELL))]
        made += [AxisRef(k + g, 0) for k in (WEIGHTS, RECURRENT, BIASES) for g in gates]
        made += [AxisRef(RECURRENT + g, 1) for g in gates]
        read = [AxisRef(WEIGHTS + g, 1) for g in gates]
        return (
            Coupling(units, tuple(made), source=True),
            Coupling(inputs, (AxisRef(X, 2), *read)),
        )

    def macs(self, *types: TensorType | None) -> int:
        x, w, r = (types[i] for i in (X, WEIGHTS, RECURRENT))
        assert x is not None and w is not None and r is not None
        return 4 * x.shape[0] * x.shape[1] * (w.size + r.size)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x, w, b, c = draw(st.sampled_from((DTYPES[0], DTYPES[1], DTYPES[1], DTYPES[2])))
            time, inputs, units = (draw(st.integers(1, most)) for most in (4, 19, 19))
            op = cls(draw(st.sampled_from((0.0, 0.0, 0.4))), draw(st.booleans()))
            # A graph's input has a batch of 1 on axis 0.
            sequence = (1, 1, inputs) if op.time_major else (1, time, inputs)
            shapes = [sequence, *[(units, inputs)] * 4, *[(units, units)] * 4, *[(units,)] * 4]
            dtypes = [x, *[w] * 8, *[b] * 4, x, c]
            generator = draw(_draw.rng())
            if x == "float32":
                quants: list[QuantParams | None] = [None] * _lstm.OPERANDS
            else:
                quants = _quants(generator, x, inputs, units)
            operands = []
            states = [(1, units)] * 2
            for i, (shape, dtype) in enumerate(zip([*shapes, *states], dtypes, strict=True)):
                type = TensorType(shape, dtype, quants[i])
                constant = WEIGHTS <= i < HIDDEN
                operands.append(Operand(type, _data(generator, type) if constant else None))
            return Sample(op, tuple(operands), (quants[HIDDEN], quants[HIDDEN], quants[CELL]))

        return draw_sample()


def _quants(
    rng: np.random.Generator, dtype: str, inputs: int, units: int
) -> list[QuantParams | None]:
    """Scales with which gates are neither always saturated nor never."""
    symmetric = dtype == "int16"
    span = 2**15 if symmetric else 2**7

    def activation(most: float) -> QuantParams:
        zero = 0 if symmetric else int(rng.integers(-128, 128))
        return QuantParams.per_tensor(most / span, zero)

    x, hidden = activation(rng.uniform(0.5, 4)), activation(rng.uniform(0.3, 1))
    w = [QuantParams.per_tensor(rng.uniform(0.2, 3) / inputs**0.5 / 127) for _ in range(4)]
    r = [QuantParams.per_tensor(rng.uniform(0.2, 3) / units**0.5 / 127) for _ in range(4)]
    b = [QuantParams.per_tensor(x.scale * q.scale) for q in w]
    cell = QuantParams.per_tensor(2.0 ** -int(rng.integers(9, 16)))
    return [x, *w, *r, *b, hidden, cell]


def _data(rng: np.random.Generator, type: TensorType) -> Array:
    if type.dtype == "float32":
        return rng.normal(0, 0.5, type.shape).astype(np.float32)
    if type.quant is not None and type.dtype != "int8":  # a bias of about 1
        return np.round(rng.normal(0, 1, type.shape) / type.quant.scale).astype(type.dtype)
    return rng.integers(-127, 128, type.shape).astype(np.int8)
