"""BATCH_NORM: per-channel normalization as trained. Float only: a rewrite folds it before int8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    Op,
    QuantRule,
    Role,
    unsupported,
)
from smidgen.ops._order import Order, Permuted

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]

MOMENTUM = 0.1  # how far running statistics move towards a batch's, torch's default

NOT_FOLDED = (
    "batch normalization exists in training only: quantize the model, which folds it into the "
    "layer before it; in float, smidgen.transforms.rewrites.simplify does"
)


@dataclass(frozen=True)
class BatchNorm(Op):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta on the last axis.

    Operands: x, gamma, beta, mean, variance; the last four of shape (c,). This is Smidgen's own
    operator: LiteRT has none, its converter folds the normalization away, and so do we.
    """

    name: ClassVar[str] = "BATCH_NORM"
    scale_operand: ClassVar[int | None] = 1

    epsilon: float = 1e-3

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        if len(types) != 5 or any(t is None for t in types):
            raise ValueError("takes x, gamma, beta, mean and variance")
        x, *statistics = types
        assert x is not None
        if x.rank < 2 or any(t is None or t.dtype != "float32" for t in types):
            raise ValueError(f"takes float32 with channels last, got {x}")
        for name, type in zip(("gamma", "beta", "mean", "variance"), statistics, strict=True):
            assert type is not None
            if type.shape != x.shape[-1:]:
                raise ValueError(f"{name} has shape {type.shape} for {x.shape[-1]} channels")
        return (TensorType(x.shape, "float32"),)

    def scale_and_offset(
        self, gamma: Array, beta: Array, mean: Array, variance: Array
    ) -> tuple[Array, Array]:
        """The same normalization as x * scale + offset, in float64, each of shape (c,)."""
        statistics = (gamma, beta, mean, variance)
        g, b, m, v = (a.astype(np.float64) for a in statistics)
        scale = g / np.sqrt(v + self.epsilon)
        return scale, b - m * scale

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        """Rows may lie in any order, the last axis stays the last."""
        if order[-1] != len(order) - 1:
            return None
        return Permuted(self, (order, *[None] * (len(types) - 1)), (order,))

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x, gamma, beta, mean, variance = arrays
        assert x is not None and gamma is not None and beta is not None
        assert mean is not None and variance is not None
        scale, offset = self.scale_and_offset(gamma, beta, mean, variance)
        return ((x * scale + offset).astype(np.float32),)

    int_ref = unsupported(NOT_FOLDED)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION, Role.INDEX, Role.INDEX, Role.INDEX, Role.INDEX))

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        """With `training`, the batch is normalized by its own statistics; the operands follow."""
        from torch.nn import functional

        x, gamma, beta, mean, variance = tensors
        channels_second = x.movedim(-1, 1)
        y = functional.batch_norm(
            channels_second, mean, variance, gamma, beta, training, MOMENTUM, self.epsilon
        )
        return y.movedim(1, -1)

    def trained(self, *types: TensorType | None) -> tuple[int, ...]:
        return (1, 2)  # gamma and beta; mean and variance are measured

    tflite_read = unsupported("no .tflite file holds a batch normalization")
    tflite_write = unsupported(NOT_FOLDED)
    tflite_version = unsupported(NOT_FOLDED)
    kernels = unsupported(NOT_FOLDED)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        x = types[0]
        assert x is not None
        last = x.rank - 1
        members = (AxisRef(0, last), *(AxisRef(i, 0) for i in range(1, 5)), AxisRef(-1, last))
        return (Coupling(x.shape[-1], members),)

    def macs(self, *types: TensorType | None) -> int:
        x = types[0]
        assert x is not None
        return x.size

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            shape = draw(_draw.shape(min_rank=2))
            generator = draw(_draw.rng())
            statistics = generator.normal(0, 1, (4, shape[-1])).astype(np.float32)
            statistics[3] = np.abs(statistics[3])
            constants = (Operand(TensorType(a.shape, "float32"), a) for a in statistics)
            op = cls(draw(st.sampled_from((1e-3, 1e-5))))
            return Sample(op, (Operand(TensorType(shape, "float32")), *constants))

        return draw_sample()
