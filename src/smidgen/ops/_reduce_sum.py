"""What MEAN and SUM share: sums over some axes, brought to the output's scale.

The kernels are MEAN's: the two differ in the factor only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.affine import dtype_range
from smidgen.numerics.requantize import INT32_MAX, requantize
from smidgen.ops import _range, _reduce
from smidgen.ops._kernel import Kernel, Site
from smidgen.ops._op import NodeTypes, QuantRule, Role, ScaledSum, Types
from smidgen.ops._range import Range
from smidgen.ops._unary import one

Array = np.ndarray[Any, Any]

# Larger factors would push scaled sums out of 32 bits.
MAX_FACTOR = 2.0**20
MAX_INT16 = 65535  # int16 numbers whose sum fits 32 bits
_DSP_MAX_SHIFT = 21  # see sm_requantize_dsp
_DSP_MAX_COUNT = 1 << 21  # sums fit 29 bits


class Scaled(_reduce.Reduction):
    """A sum over some axes times a factor. Integers may change scale."""

    order_matters: ClassVar[bool] = True

    def factor(self, real: float, count: int) -> tuple[int, int]:
        """The multiplier and shift for a sum of `count` integers.

        Args:
            real: input scale / output scale.
            count: how many integers are summed.
        """
        raise NotImplementedError

    def unit(self, count: int) -> float:
        """What the sum of `count` real values is multiplied by."""
        raise NotImplementedError

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x = one(arrays)
        count = self.count(x.shape)
        total = np.sum(x, axis=self.axes_of(x.shape), dtype=np.int64, keepdims=self.keep_dims)
        factor = self.factor(types.scale(0) / types.scale(-1), count)
        sums = requantize(total - types.zero_point(0) * count, *factor, rounding=rounding)
        shifted = sums.astype(np.int64) + types.zero_point(-1)
        return (np.clip(shifted, *dtype_range(types.dtype)).astype(types.dtype),)

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        x = types.inputs[0]
        assert x is not None
        if x.quant is not None:
            count = self.count(x.shape)
            shift = self.factor(types.scale(0) / types.scale(-1), count)[1]
            low, high = dtype_range(x.dtype)
            if (high - low) * count << max(shift, 0) > INT32_MAX:  # the sum may wrap around
                return super().value_range(types, *ranges)
        return _range.monotone(self, types, *ranges)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        (x,) = types
        assert x is not None
        count = self.count(x.shape)
        factor = functools.partial(self.factor, count=count)
        return QuantRule((Role.ACTIVATION,), scaled_sum=ScaledSum(self.unit(count), factor))

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        x = types.inputs[0]
        assert x is not None
        if x.dtype == "int16" and self.count(x.shape) > MAX_INT16:
            raise ValueError(f"a sum of more than {MAX_INT16} int16 numbers leaves 32 bits")
        if x.quant is not None and types.scale(0) / types.scale(-1) > MAX_FACTOR:
            raise ValueError(
                f"the scales differ by a factor of {types.scale(0) / types.scale(-1):.3g}; "
                f"{MAX_FACTOR:.0f} is the limit"
            )


def _int8_params(site: Site) -> Mapping[str, int]:
    assert isinstance(site.op, Scaled)
    count = site.op.count(site.input(0).shape)
    multiplier, shift = site.op.factor(site.quant(0).scale / site.quant(-1).scale, count)
    return {
        **_reduce.loop_params(site),
        "sum_offset": -site.quant(0).zero_point * count,
        "output_offset": site.quant(-1).zero_point,
        "multiplier": multiplier,
        "shift": shift,
    }


def rounding_guard(dtype: str) -> Callable[[Site], str | None]:
    """A guard of the element types, the loops and the rounding."""

    def check(site: Site) -> str | None:
        assert isinstance(site.op, Scaled)
        if site.rounding != "double":
            return "the kernels round as TFLM does (double rounding)"
        return _reduce.loops_guard(dtype)(site)

    return check


def _dsp_guard(site: Site) -> str | None:
    if "dsp" not in site.features:
        return "the core has no DSP instructions"
    refusal = rounding_guard("int8")(site)
    if refusal is None:
        fields = _reduce.loop_params(site)
        if fields["keep_stride1"] != 1 or fields["keep_size1"] < 4:
            return "no four channels that stay are neighbours"
        scale = _int8_params(site)
        if not -_DSP_MAX_SHIFT <= scale["shift"] <= -1:
            return f"a shift that is not 1 to {_DSP_MAX_SHIFT}"
        assert isinstance(site.op, Scaled)
        if site.op.count(site.input(0).shape) > _DSP_MAX_COUNT:
            return f"a sum of more than {_DSP_MAX_COUNT} numbers"
    return refusal


INT8_KERNELS = (
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
        guard=rounding_guard("int8"),
        params=_int8_params,
        overlap=lambda site: {0: 0},
    ),
)
"""They sum int8 in int32 and requantize."""

INT16_KERNEL = Kernel(
    "sm_mean_int16",
    "mean_int16.h",
    guard=rounding_guard("int16"),
    params=_int8_params,
    struct="sm_mean_int8_params",
    overlap=lambda site: {0: 0},
)
