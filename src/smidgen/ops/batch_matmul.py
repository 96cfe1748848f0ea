"""BATCH_MATMUL: products of matrices, two of which are computed or one a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics.requantize import (
    INT32_MAX,
    quantize_multiplier,
    requantize,
    requantize_wide,
)
from smidgen.ops import _batch_matmul
from smidgen.ops._kernel import Kernel
from smidgen.ops._op import (
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
DTYPES = ("float32", "int8", "int16")
MAX_RANK = 5  # of the runtimes
# Sums of this many products of centred int8 numbers fit 32 bits.
MAX_DEPTH = INT32_MAX // 255**2


@dataclass(frozen=True)
class BatchMatMul(Op):
    """x (..., m, k) @ y (..., k, n), the dimensions before the last two as numpy broadcasts them.

    With `adj_x` the file's x is (..., k, m), with `adj_y` its y is (..., n, k).
    """

    name: ClassVar[str] = "BATCH_MATMUL"

    adj_x: bool = False
    adj_y: bool = False

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x, y = _both(types)
        if x.dtype != y.dtype or x.dtype not in DTYPES:
            raise ValueError(
                f"operands are {x.dtype} and {y.dtype}, not both {' or '.join(DTYPES)}"
            )
        if not (2 <= x.rank <= MAX_RANK and 2 <= y.rank <= MAX_RANK):
            raise ValueError(f"{x.shape} and {y.shape} are not matrices of 2 to {MAX_RANK} axes")
        rows, depth = _swap(x.shape[-2:], self.adj_x)
        inner, columns = _swap(y.shape[-2:], self.adj_y)
        if depth != inner or not depth:
            raise ValueError(f"{x.shape} and {y.shape} do not multiply: {depth} and {inner} terms")
        if x.dtype == "int8" and depth > MAX_DEPTH:
            raise ValueError(f"sums of {depth} products leave 32 bits; {MAX_DEPTH} is the limit")
        try:
            batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        except ValueError:
            raise ValueError(f"shapes {x.shape} and {y.shape} do not broadcast") from None
        return (TensorType((*batch, rows, columns), x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        """Whether axis 0 of the operands that are computed is the result's axis 0.

        An operand that starts with another number than 1 is a constant.
        """
        x, y = _both(types)
        rank = max(x.rank, y.rank)
        if rank == 2:  # the rows of x are the batch
            return not self.adj_x and y.shape[0] != 1
        full = (t.shape[0] == 1 for t in (x, y) if t.rank == rank)
        return all(full) and all(t.shape[0] != 1 for t in (x, y) if t.rank < rank)

    def _product(self, x: Array, y: Array) -> Array:
        a = x.swapaxes(-1, -2) if self.adj_x else x
        b = y.swapaxes(-1, -2) if self.adj_y else y
        product: Array = a @ b
        return product

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x, y = arrays
        assert x is not None and y is not None
        return (self._product(x, y),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x, y = (
            a.astype(np.float64) - types.zero_point(i)  # exact, and the fast matrix product
            for i, a in enumerate(arrays)
            if a is not None
        )
        sums = self._product(x, y).astype(np.int64)
        factor = quantize_multiplier(_batch_matmul.real_factor(types))
        if types.dtype == "int16":
            scaled = requantize_wide(sums, *factor)
        else:
            scaled = requantize(sums, *factor, rounding=rounding)
        info = np.iinfo(types.dtype)
        result = scaled.astype(np.int64) + types.zero_point(-1)
        return (np.clip(result, info.min, info.max).astype(types.dtype),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION, Role.ACTIVATION))

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "float32":
            return
        check_factor(_batch_matmul.real_factor(types))

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        x, y = tensors
        a = x.transpose(-1, -2) if self.adj_x else x
        return a @ (y.transpose(-1, -2) if self.adj_y else y)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.options["adj_x"], node.options["adj_y"]), (0, 1)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("BatchMatMulOptions", {"adj_x": self.adj_x, "adj_y": self.adj_y}, (0, 1))

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int8": 2, "int16": 3}.get(types.dtype, 1)

    kernels = (
        Kernel(
            "sm_batch_matmul_int8_dsp",
            "batch_matmul_int8_dsp.h",
            guard=_batch_matmul.dsp_guard,
            params=_batch_matmul.int8_params,
            arguments=(0, 1),
            struct="sm_batch_matmul_int8_params",
            scratch=_batch_matmul.dsp_scratch,
        ),
        *(
            Kernel(
                f"sm_batch_matmul_{dtype}",
                f"batch_matmul_{dtype}.h",
                guard=_batch_matmul.guard(dtype),
                params=params,
                arguments=(0, 1),
            )
            for dtype, params in (
                ("int8", _batch_matmul.int8_params),
                ("int16", _batch_matmul.int16_params),
                ("float32", _batch_matmul.float_params),
            )
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        return ()

    def macs(self, *types: TensorType | None) -> int:
        x, _ = _both(types)
        return self.infer(*types)[0].size * x.shape[-2 if self.adj_x else -1]

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            kind = draw(st.sampled_from(("int8", "int8", "int8", "float32", "int16")))
            m, k, n = (draw(st.integers(1, 19)) for _ in range(3))
            op = cls(draw(st.booleans()), draw(st.booleans()))
            batch = draw(st.lists(st.integers(1, 3), max_size=2))
            x_batch, y_batch = [1, *batch], [1, *batch]
            for part in (x_batch, y_batch):
                for axis in range(1, len(part)):
                    part[axis] = 1 if draw(st.integers(0, 3)) == 0 else part[axis]
            constant = draw(st.booleans())
            y_batch = y_batch[draw(st.integers(0, len(y_batch))) :] if constant else y_batch
            shapes = [(*x_batch, *_swap((m, k), op.adj_x)), (*y_batch, *_swap((k, n), op.adj_y))]
            quants = [None if kind == "float32" else draw(_draw.quant()) for _ in range(3)]
            if kind != "float32":
                quants[2] = draw(_draw.quant(1e-2, 20))
                if kind == "int16":
                    wide = (q.scale / 256 for q in quants if q is not None)
                    quants = [QuantParams.per_tensor(scale) for scale in wide]
            operands = [
                Operand(TensorType(s, kind, q)) for s, q in zip(shapes, quants, strict=False)
            ]
            if constant:
                type_ = operands[1].type
                operands[1] = Operand(type_, _draw.values(draw(_draw.rng()), type_))
            return Sample(op, tuple(operands), (quants[2],))

        return draw_sample()


def _both(types: Types) -> tuple[TensorType, TensorType]:
    if len(types) != 2 or types[0] is None or types[1] is None:
        raise ValueError(f"takes two operands, got {sum(t is not None for t in types)}")
    return types[0], types[1]


def _swap(pair: tuple[int, ...], swapped: bool) -> tuple[int, int]:
    first, second = pair
    return (second, first) if swapped else (first, second)
