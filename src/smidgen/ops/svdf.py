"""SVDF: a fully connected layer over time, as a filter over features and one over past results.

Each of its filters multiplies the input by one row of feature weights, which gives one number a
step, and then the last `memory` of these numbers by one row of time weights. `rank` filters add up
to an output. Source: Nakkiran et al., "Compressing deep neural networks using a rank-constrained
topology" (2015). The numbers of the steps before are the operator's state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import QuantParams, TensorType, numpy_dtype
from smidgen.numerics.requantize import quantize_multiplier, requantize
from smidgen.ops import _svdf, _torch
from smidgen.ops._activation import check_activation, float_activation, read_activation
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
from smidgen.ops._svdf import BIAS, DTYPES, FEATURE, STATE, TIME, X, factors

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]

_BIAS_TOLERANCE = 1e-5  # TFLM's


@dataclass(frozen=True)
class Svdf(Op):
    """Input (1, inputs), feature weights (filters, inputs), time weights (filters, memory), bias.

    The state is (1, filters * memory): of each filter the last `memory` results, the newest one
    last. Results: (1, filters / rank), and the new state. Integer kernels clamp to the element
    type's range and know no other activation.
    """

    name: ClassVar[str] = "SVDF"
    states: ClassVar[Mapping[int, int]] = {STATE: 1}

    rank: int = 1
    fused_activation_function: str = "NONE"

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        check_activation(self.fused_activation_function)
        x, feature, time, bias, state = (*types, *(None,) * 5)[:5]
        if x is None or feature is None or time is None or state is None:
            raise ValueError("takes an input, weights of features and of time, and a state")
        if any(t.rank != 2 for t in (x, feature, time, state)):
            raise ValueError(f"takes tensors of rank 2, got {x.shape}, {feature.shape}, ...")
        filters, memory = time.shape
        if feature.shape != (filters, x.shape[1]):
            raise ValueError(
                f"feature weights must be ({filters}, {x.shape[1]}), got {feature.shape}"
            )
        if self.rank < 1 or filters % self.rank:
            raise ValueError(f"{filters} filters do not divide into ranks of {self.rank}")
        if state.shape != (x.shape[0], filters * memory):
            raise ValueError(
                f"the state must be ({x.shape[0]}, {filters * memory}), got {state.shape}"
            )
        units = filters // self.rank
        if bias is not None and bias.shape != (units,):
            raise ValueError(f"the bias must be ({units},), got {bias.shape}")
        have = tuple(t.dtype for t in (x, feature, time, bias, state) if t is not None)
        if not any(have == _present(kind, bias) for kind in DTYPES.values()):
            raise ValueError(f"no kernel has operands that are {', '.join(have)}")
        return (
            TensorType((x.shape[0], units), x.dtype),
            TensorType(state.shape, state.dtype),
        )

    def _split(self, state: Array, time: Array) -> Array:
        """The state as (n, filters, memory), one step older: room for the newest is at the end."""
        past = state.reshape(-1, *time.shape)
        return np.concatenate([past[:, :, 1:], np.zeros_like(past[:, :, :1])], axis=2)

    def _sums(self, per_filter: Array, bias: Array | None) -> Array:
        units = per_filter.reshape(len(per_filter), -1, self.rank).sum(axis=2)
        result: Array = units if bias is None else units + bias
        return result

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x, feature, time, bias, state = (*arrays, *(None,) * 5)[:5]
        assert x is not None and feature is not None and time is not None and state is not None
        past = self._split(state, time)
        past = np.repeat(past, len(x) // len(past), axis=0)
        past[:, :, -1] = x @ feature.T
        sums = self._sums((past * time).sum(axis=2, dtype=np.float64), bias)
        out = float_activation(sums.astype(np.float32), self.fused_activation_function)
        return out, past.reshape(len(x), -1)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        x, feature, time, bias, state = (*tensors, *(None,) * 5)[:5]
        past = state.reshape(-1, *time.shape)[:, :, 1:].expand(len(x), -1, -1)
        past = torch.cat([past, (x @ feature.T).unsqueeze(2)], 2)
        sums = (past * time).sum(2).reshape(len(x), -1, self.rank).sum(2)
        sums = sums if bias is None else sums + bias
        return _torch.activation(sums, self.fused_activation_function), past.reshape(len(x), -1)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x, feature, time, bias, state = (*arrays, *(None,) * 5)[:5]
        assert x is not None and feature is not None and time is not None and state is not None
        first, second = (quantize_multiplier(factor) for factor in factors(types))
        zero, dtype = types.zero_point(STATE), state.dtype
        limits = np.iinfo(dtype)
        past = self._split(state, time)
        past = np.repeat(past, len(x) // len(past), axis=0)
        acc = (x.astype(np.int64) - types.zero_point(X)) @ feature.T.astype(np.int64)
        new = np.clip(requantize(acc, *first, rounding=rounding), limits.min, limits.max) + zero
        past[:, :, -1] = new.astype(dtype)  # beyond the range it wraps, as in TFLM
        centred = past.astype(np.int64) - zero
        sums = self._sums((centred * time).sum(axis=2), bias)
        sums = sums.astype(np.int32)  # likewise
        out = requantize(sums, *second, rounding=rounding) + types.zero_point(-1)
        return np.clip(out, -128, 127).astype(np.int8), past.reshape(len(x), -1)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        roles = (Role.ACTIVATION, Role.WEIGHT, Role.WEIGHT, Role.BIAS, Role.ACTIVATION)
        return QuantRule(
            roles,
            ties=((STATE, -2),),
            products=((X, FEATURE, None), (STATE, TIME, BIAS)),
            centred=(STATE,),
        )

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "float32":
            return
        if any(not 0 < factor < 2.0**30 for factor in factors(types)):
            raise ValueError("its scales make a factor that no kernel can multiply by")
        bias = inputs[BIAS]
        product = float(np.float32(types.scale(STATE)) * np.float32(types.scale(TIME)))
        if bias is not None and bias.quant is not None:
            if abs(bias.quant.scale - product) >= _BIAS_TOLERANCE:
                raise ValueError(
                    f"the bias has scale {bias.quant.scale:.3g}; state and time weights make "
                    f"{product:.3g}"
                )

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        o = node.options
        if len(node.types) != 5:
            raise ValueError(f"takes 5 operands, got {len(node.types)}")
        activation = read_activation(o["fused_activation_function"])
        integer = node.types[X] is not None and node.types[X].dtype != "float32"  # type: ignore[union-attr]
        if integer and activation not in ("NONE", "RELU"):
            raise UnsupportedModelError(
                f"integer kernels of SVDF do not compute its activation, {activation}",
                hint="export the activation as an operator of its own",
            )
        left_out = None if node.types[BIAS] is None else BIAS
        return cls(o["rank"], activation), (X, FEATURE, TIME, left_out, STATE)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {
            "rank": self.rank,
            "fused_activation_function": self.fused_activation_function,
            "asymmetric_quantize_inputs": False,
        }
        return TfliteOp("SVDFOptions", fields, (X, FEATURE, TIME, BIAS, STATE))

    def tflite_version(self, types: NodeTypes) -> int:
        return 1 if types.dtype == "float32" else 3

    def batchable(self, *types: TensorType | None) -> bool:
        return True

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        return ()

    def macs(self, *types: TensorType | None) -> int:
        x, feature, time = types[:3]
        assert x is not None and feature is not None and time is not None
        return x.shape[0] * (feature.size + time.size)

    kernels = _svdf.KERNELS

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            rank, units = draw(st.integers(1, 3)), draw(st.integers(1, 9))
            inputs, memory = draw(st.integers(1, 19)), draw(st.integers(1, 9))
            kind = draw(st.sampled_from(("float32", "int8", "int8", "int16")))
            # Integer kernels of LiteRT want RELU, and TFLM's ignore it.
            known = _draw.activation() if kind == "float32" else st.just("RELU")
            generator = draw(_draw.rng())
            return _sample(cls(rank, draw(known)), kind, (units, inputs, memory), generator)

        return draw_sample()


def _present(kind: tuple[str, ...], bias: TensorType | None) -> tuple[str, ...]:
    return kind if bias is not None else (*kind[:BIAS], kind[STATE])


def _sample(
    op: Svdf, kind: str, sizes: tuple[int, int, int], generator: np.random.Generator
) -> Sample:
    """Weights and scales such that the outputs use their range well, now and then too well."""
    from smidgen.ops import _draw
    from smidgen.ops._sample import Sample

    units, inputs, memory = sizes
    filters = units * op.rank
    shapes = [(1, inputs), (filters, inputs), (filters, memory), (units,), (1, filters * memory)]
    types = [TensorType(s, d) for s, d in zip(shapes, DTYPES[kind], strict=True)]
    if kind == "float32":
        data = [_draw.values(generator, t) for t in types]
        return Sample(op, _operands(types, data), (None, None))
    x, feature, time = (float(10 ** generator.uniform(-3, -1)) for _ in range(3))
    time *= 2.0**-8 if kind == "int16" else 1.0
    wide = generator.choice((0.5, 2.0, 8.0))
    levels = 127.0 if kind == "int8" else 32767.0
    state = x * feature * 6000 * inputs**0.5 * wide / levels
    most = 73 if kind == "int8" else 2300
    out = state * time * levels * most * (op.rank * memory) ** 0.5 / 127 * wide
    zero = int(generator.integers(-20, 20)) if kind == "int8" else 0
    quants = [
        QuantParams.per_tensor(x, int(generator.integers(-128, 128))),
        QuantParams.per_tensor(feature),
        QuantParams.per_tensor(time),
        QuantParams.per_tensor(float(np.float32(state) * np.float32(time))),
        QuantParams.per_tensor(state, zero),
    ]
    typed = [t.with_quant(q) for t, q in zip(types, quants, strict=True)]
    data = [_draw.values(generator, t, (-127, 127)) for t in typed]
    data[BIAS] = generator.integers(-(2**15), 2**15, (units,)).astype(np.int32)
    if kind == "int16":  # sums over time must fit 32 bits
        data[TIME] = generator.integers(-4000, 4000, (filters, memory)).astype(np.int16)
    made = QuantParams.per_tensor(out, int(generator.integers(-128, 128)))
    return Sample(op, _operands(typed, data), (made, quants[STATE]))


def _operands(types: list[TensorType], data: list[Array]) -> tuple[Any, ...]:
    from smidgen.ops._sample import Operand

    constants = (FEATURE, TIME, BIAS)
    return tuple(
        Operand(type, data[i].astype(numpy_dtype(type.dtype)) if i in constants else None)
        for i, type in enumerate(types)
    )
