"""MEAN: the mean over some axes, such as height and width (global average pooling)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.affine import dtype_range
from smidgen.numerics.average import mean_multiplier
from smidgen.numerics.requantize import INT32_MAX, requantize
from smidgen.ops import _range
from smidgen.ops._kernel import Kernel, Site
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
from smidgen.ops._range import Range
from smidgen.ops._unary import guard, one, only

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]
Loop = tuple[int, int]  # size, stride in elements

# Larger factors would push scaled sums out of 32 bits.
MAX_FACTOR = 2.0**20
# Loops over axes that stay, and over axes that go, that the kernels have.
MAX_LOOPS = 2
_DSP_MAX_SHIFT = 21  # see sm_requantize_dsp
_DSP_MAX_COUNT = 1 << 21  # sums fit 29 bits


def _loops(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[list[Loop], list[Loop]]:
    """Loops over the axes that stay and over those that go, neighbours merged."""
    loops: tuple[list[Loop], list[Loop]] = ([], [])
    last = -1
    for d, size in enumerate(shape):
        if size == 1:
            continue
        goes, stride = int(d in axes), math.prod(shape[d + 1 :])
        before = loops[goes].pop()[0] if goes == last else 1
        loops[goes].append((before * size, stride))
        last = goes
    return loops


def _loop_params(site: Site) -> dict[str, int]:
    assert isinstance(site.op, Mean)
    shape = site.input(0).shape
    fields: dict[str, int] = {}
    for name, loops in zip(("keep", "reduce"), _loops(shape, site.op.axes_of(shape)), strict=True):
        padded = [(1, 0)] * (MAX_LOOPS - len(loops)) + loops
        for i, (size, stride) in enumerate(padded):
            fields |= {f"{name}_size{i}": size, f"{name}_stride{i}": stride}
    return fields


def _int8_params(site: Site) -> Mapping[str, int]:
    assert isinstance(site.op, Mean)
    count = site.op.count(site.input(0).shape)
    multiplier, shift = mean_multiplier(site.quant(0).scale / site.quant(-1).scale, count)
    return {
        **_loop_params(site),
        "sum_offset": -site.quant(0).zero_point * count,
        "output_offset": site.quant(-1).zero_point,
        "multiplier": multiplier,
        "shift": shift,
    }


def _guard(dtype: str) -> Callable[[Site], str | None]:
    def check(site: Site) -> str | None:
        assert isinstance(site.op, Mean)
        if site.rounding != "double" and dtype == "int8":
            return "the kernels round as TFLM does (double rounding)"
        shape = site.input(0).shape
        axes = site.op.axes_of(shape)
        if max(len(loops) for loops in _loops(shape, axes)) > MAX_LOOPS:
            return f"means over axes {axes} of {shape} take more loops than there are"
        return guard(dtype)(site)

    return check


def _dsp_guard(site: Site) -> str | None:
    if "dsp" not in site.features:
        return "the core has no DSP instructions"
    refusal = _guard("int8")(site)
    if refusal is None:
        fields = _loop_params(site)
        if fields["keep_stride1"] != 1 or fields["keep_size1"] < 4:
            return "no four channels that stay are neighbours"
        scale = _int8_params(site)
        if not -_DSP_MAX_SHIFT <= scale["shift"] <= -1:
            return f"a shift that is not 1 to {_DSP_MAX_SHIFT}"
        assert isinstance(site.op, Mean)
        if site.op.count(site.input(0).shape) > _DSP_MAX_COUNT:
            return f"a mean of more than {_DSP_MAX_COUNT} numbers"
    return refusal


@dataclass(frozen=True)
class Mean(Op):
    """The mean over `axis`; negative axes count from the end, repeated ones count once.

    With `keep_dims` an axis that goes stays behind with size 1. Integers may change scale.
    """

    name: ClassVar[str] = "MEAN"

    axis: tuple[int, ...] = ()
    keep_dims: bool = False

    def axes_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The axes of `shape` that go, ascending.

        Raises:
            ValueError: if one is not there.
        """
        rank = len(shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ValueError(f"axes {self.axis} of a tensor of shape {shape}")
        return tuple(sorted({a % rank for a in self.axis}))

    def count(self, shape: tuple[int, ...]) -> int:
        """How many elements go into one mean."""
        return math.prod(shape[a] for a in self.axes_of(shape))

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = only(types)
        if not x.size:
            raise ValueError(f"the input of shape {x.shape} has no elements")
        axes = self.axes_of(x.shape)
        kept = (1 if d in axes else n for d, n in enumerate(x.shape))
        left = (n for d, n in enumerate(x.shape) if d not in axes)
        return (TensorType(tuple(kept if self.keep_dims else left), x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        x = only(types)
        return x.rank > 0 and 0 not in self.axes_of(x.shape)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = one(arrays)
        axes = self.axes_of(x.shape)
        return (np.asarray(np.mean(x, axis=axes, dtype=np.float32, keepdims=self.keep_dims)),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x = one(arrays)
        count = self.count(x.shape)
        total = np.sum(x, axis=self.axes_of(x.shape), dtype=np.int64, keepdims=self.keep_dims)
        factor = mean_multiplier(types.scale(0) / types.scale(-1), count)
        means = requantize(total - types.zero_point(0) * count, *factor, rounding=rounding)
        shifted = means.astype(np.int64) + types.zero_point(-1)
        return (np.clip(shifted, *dtype_range(types.dtype)).astype(types.dtype),)

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        x = types.inputs[0]
        assert x is not None
        if x.quant is not None:
            count = self.count(x.shape)
            shift = mean_multiplier(types.scale(0) / types.scale(-1), count)[1]
            low, high = dtype_range(x.dtype)
            if (high - low) * count << max(shift, 0) > INT32_MAX:  # the sum may wrap around
                return super().value_range(types, *ranges)
        return _range.monotone(self, types, *ranges)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION,))

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "int8" and types.scale(0) / types.scale(-1) > MAX_FACTOR:
            raise ValueError(
                f"the scales differ by a factor of {types.scale(0) / types.scale(-1):.3g}; "
                f"{MAX_FACTOR:.0f} is the limit"
            )

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        return x.mean(dim=self.axes_of(tuple(x.shape)), keepdim=self.keep_dims)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        axis = tuple(int(a) for a in node.constant(1, "axes").ravel())
        return cls(axis, node.options["keep_dims"]), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        axis = np.array(self.axis, np.int32)
        return TfliteOp("ReducerOptions", {"keep_dims": self.keep_dims}, (0, axis))

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int8": 2, "int16": 3}.get(types.dtype, 1)

    kernels = (
        Kernel(
            "sm_mean_int8_dsp",
            "mean_int8_dsp.h",
            guard=_dsp_guard,
            params=_int8_params,
            struct="sm_mean_int8_params",
            overlap=lambda site: {0: 0},
        ),
        Kernel(
            "sm_mean_int8",
            "mean_int8.h",
            guard=_guard("int8"),
            params=_int8_params,
            overlap=lambda site: {0: 0},
        ),
        Kernel(
            "sm_mean_float32",
            "mean_float32.h",
            guard=_guard("float32"),
            params=_loop_params,
            overlap=lambda site: {0: 0},
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        x = only(types)
        last = x.rank - 1
        if not x.rank or last in self.axes_of(x.shape):
            return ()  # a mean over fewer channels is another mean
        out = self.infer(x)[0].rank - 1
        return (Coupling(x.shape[last], (AxisRef(0, last), AxisRef(-1, out))),)

    def macs(self, *types: TensorType | None) -> int:
        return 0

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            kind = draw(_draw.dtype())
            quants = [draw(_draw.quant()) if kind == "int8" else None for _ in range(2)]
            if draw(st.booleans()):
                quants[1] = quants[0]
            image = (1, *draw(_draw.image_size((1, 1))), draw(st.integers(1, 67)))
            shape = draw(st.one_of(st.just(image), _draw.shape(min_rank=2)))
            keep_dims = draw(st.booleans())
            # The batch stays unless its axis does: an output needs one.
            axes = st.integers(0 if keep_dims else 1, len(shape) - 1)
            chosen = draw(st.sets(axes, min_size=1))
            if shape is image and draw(st.booleans()):
                chosen = {1, 2}
            axis = tuple(a - draw(st.sampled_from((0, len(shape)))) for a in sorted(chosen))
            operand = Operand(TensorType(shape, kind, quants[0]))
            return Sample(cls(axis, keep_dims), (operand,), (quants[1],))

        return draw_sample()
