"""What ADD and SUB share: bringing two operands to one scale, and the sum to the output's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics.plane import BYTES, Plane, find_plane
from smidgen.numerics.requantize import quantize_multiplier, requantize
from smidgen.ops import _elementwise
from smidgen.ops._activation import int_bounds
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, TfliteOp, Types

Array = np.ndarray[Any, Any]
Factor = tuple[int, int]  # multiplier, shift

# Operands are shifted left by this before they are scaled, as in TFLM.
LEFT_SHIFT = {"int8": 20, "int16": 15}


@dataclass(frozen=True)
class Sum(_elementwise.Binary):
    """a + sign * b. Operands are scaled to twice the larger of their scales first."""

    sign: ClassVar[int]
    int16_version: ClassVar[int]

    def factors(self, types: NodeTypes) -> tuple[Factor, Factor, Factor]:
        """Of each operand and of the result, as TFLM has them."""
        a, b, out = (types.scale(i) for i in (0, 1, -1))
        twice = 2 * max(a, b)
        reals = (a / twice, b / twice, twice / ((1 << LEFT_SHIFT[types.dtype]) * out))
        first, second, third = (quantize_multiplier(real) for real in reals)
        return first, second, third

    def int_combine(self, types: NodeTypes, a: Array, b: Array, rounding: str) -> Array:
        *operands, result = self.factors(types)
        first, second = (
            requantize(x << LEFT_SHIFT[types.dtype], *factor, rounding=rounding).astype(np.int64)
            for x, factor in zip((a, b), operands, strict=True)
        )
        total = requantize(first + self.sign * second, *result, rounding=rounding)
        return total.astype(np.int64)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        form = super().tflite_write(types)
        if types.dtype != "int16":
            return form
        return replace(form, fields={**form.fields, "pot_scale_int16": False})

    def tflite_version(self, types: NodeTypes) -> int:
        return self.int16_version if types.dtype == "int16" else super().tflite_version(types)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype in LEFT_SHIFT and self.factors(types)[2][1] > 0:
            raise ValueError(
                f"the output's scale {types.scale(-1):.3g} is too small for operands of scale "
                f"{types.scale(0):.3g} and {types.scale(1):.3g}"
            )


def kernels(name: str) -> tuple[Kernel, ...]:
    """The planes, then the int8 and the float32 kernel of `name`."""
    variants = [(dsp, ties) for dsp in (True, False) for ties in (False, True)]
    planes = [_plane_kernel(dsp, ties) for dsp, ties in variants]
    return (*planes, *_elementwise.kernels(name, _int8_params, "sm_sum_int8_params"))


def _int8_params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, Sum)
    fields: dict[str, Param] = {}
    factors = site.op.factors(NodeTypes(site.inputs, site.outputs))
    for name, (multiplier, shift) in zip(("a", "b", "output"), factors, strict=True):
        fields |= {f"{name}_multiplier": multiplier, f"{name}_shift": shift}
    return fields


@lru_cache(maxsize=256)
def _plane(op: Sum, a: QuantParams, b: QuantParams, out: QuantParams) -> Plane | None:
    """The plane that a sum is at these scales, if it is one."""
    pairs = TensorType((256, 1), "int8", a), TensorType((1, 256), "int8", b)
    types = NodeTypes(pairs, (TensorType((256, 256), "int8", out),))
    operands = [BYTES.astype(np.int8).reshape(type.shape) for type in pairs]
    (outputs,) = op.int_ref(types, *operands)
    slopes = a.scale / out.scale, op.sign * b.scale / out.scale
    bounds = int_bounds(op.fused_activation_function, out, "int8")
    return find_plane(outputs, slopes, (a.zero_point, b.zero_point), bounds)


def _plane_of(site: Site) -> Plane | None:
    assert isinstance(site.op, Sum)
    return _plane(site.op, site.quant(0), site.quant(1), site.quant(-1))


def _plane_kernel(dsp: bool, ties: bool) -> Kernel:
    """The kernel for planes that look at the sign (`ties`), or for those that do not."""

    def check(site: Site) -> str | None:
        if dsp and "dsp" not in site.features:
            return "the core has no DSP instructions"
        refusal = _elementwise.guard("int8")(site)
        if refusal is None:
            refusal = _elementwise.rows_refusal(site)
        if refusal is None:
            plane = _plane_of(site)
            if plane is None:
                return "no plane agrees with the sums"
            if (plane.rounding is not None) != ties:
                return f"the plane has {'no ' if ties else ''}ties"
        return refusal

    def params(site: Site) -> Mapping[str, Param]:
        plane = _plane_of(site)
        assert plane is not None and isinstance(site.op, Sum)
        low, high = int_bounds(site.op.fused_activation_function, site.quant(-1), "int8")
        return {
            **_elementwise.rows(site),
            "a_multiplier": plane.a_multiplier,
            "b_multiplier": plane.b_multiplier,
            "addend": plane.addend,
            "rounding": plane.rounding or 0,
            "act_min": low,
            "act_max": high,
        }

    symbol = f"sum_int8_plane{'_dsp' if dsp else ''}{'_ties' if ties else ''}"
    return Kernel(
        f"sm_{symbol}",
        f"{symbol}.h",
        guard=check,
        params=params,
        arguments=(0, 1),
        struct="sm_plane_int8_params",
        overlap=_elementwise.overlap,
    )
