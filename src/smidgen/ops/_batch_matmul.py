"""What BATCH_MATMUL's kernels take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from smidgen.numerics.requantize import quantize_multiplier
from smidgen.ops._kernel import Param, Site
from smidgen.ops._op import NodeTypes

if TYPE_CHECKING:
    from smidgen.ops.batch_matmul import BatchMatMul

COLUMNS = 4  # that the DSP kernel computes at a time
_DSP_SHIFTS = (1, 21)  # see sm_requantize_dsp
_DSP_DEPTH = (2**30 - 1) // 255**2  # it doubles its sums


def real_factor(types: NodeTypes) -> float:
    """From sums of products to the output's scale.

    LiteRT rounds the product of the operands' scales to float32 here, TensorFlow Lite Micro does
    not: sums of tens of millions near a tie, which long sums of large numbers make, differ by one.
    """
    return types.scale(0) * types.scale(1) / types.scale(-1)


def guard(dtype: str) -> Callable[[Site], str | None]:
    """Why the portable kernel of `dtype` cannot compute a site, or None."""

    def refusal(site: Site) -> str | None:
        if site.dtype != dtype:
            return f"operands are {site.dtype}, not {dtype}"
        if dtype != "float32" and site.rounding != "double":
            return "the kernels round as TFLM does (double rounding)"
        return None

    return refusal


def dsp_guard(site: Site) -> str | None:
    """Why the DSP kernel cannot compute a site, or None."""
    if "dsp" not in site.features:
        return "the core has no DSP instructions"
    refusal = guard("int8")(site)
    if refusal is not None:
        return refusal
    sizes = _sizes(site)
    if sizes["x_depth"] != 1:
        return "the terms of a row of x do not lie together"
    if sizes["rows"] == 1:
        return "a matrix that is used once is not worth unpacking"
    _, shift = _factor(site)
    if not _DSP_SHIFTS[0] <= -shift <= _DSP_SHIFTS[1]:
        return f"a shift that is not {_DSP_SHIFTS[0]} to {_DSP_SHIFTS[1]}"
    if int(str(sizes["depth"])) > _DSP_DEPTH:
        return f"sums of more than {_DSP_DEPTH} products"
    return None


def dsp_scratch(site: Site) -> int:
    """Bytes of scratch of the DSP kernel: some columns as pairs of 16 bits."""
    depth = site.input(0).shape[-1]
    return 2 * COLUMNS * (depth + -depth % 4)


def _factor(site: Site) -> tuple[int, int]:
    return quantize_multiplier(real_factor(NodeTypes(site.inputs, site.outputs)))


def _sizes(site: Site) -> dict[str, Param]:
    op: BatchMatMul = site.op  # type: ignore[assignment]
    x, y, out = (site.input(0).shape, site.input(1).shape, site.output.shape)
    batch = (1,) * (5 - len(out)) + out[:-2]

    def steps(shape: tuple[int, ...]) -> list[int]:
        """Elements from one matrix to the next along each of three axes, 0 where it stays."""
        sizes = (1,) * (5 - len(shape)) + shape[:-2]
        matrix = shape[-2] * shape[-1]
        strides = (sizes[1] * sizes[2] * matrix, sizes[2] * matrix, matrix)
        return [0 if size == 1 else stride for size, stride in zip(sizes, strides, strict=True)]

    fields: dict[str, Param] = {f"batch_{i}": size for i, size in enumerate(batch)}
    for name, shape in (("x", x), ("y", y)):
        fields.update({f"{name}_batch_{i}": step for i, step in enumerate(steps(shape))})
    fields["rows"], fields["columns"] = out[-2], out[-1]
    fields["depth"] = x[-2] if op.adj_x else x[-1]
    fields["x_row"], fields["x_depth"] = (1, x[-1]) if op.adj_x else (x[-1], 1)
    fields["y_column"], fields["y_depth"] = (y[-1], 1) if op.adj_y else (1, y[-1])
    return fields


def int8_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_batch_matmul_int8_params`."""
    multiplier, shift = _factor(site)
    return {
        **_sizes(site),
        "x_offset": -site.quant(0).zero_point,
        "y_offset": -site.quant(1).zero_point,
        "output_offset": site.quant(-1).zero_point,
        "multiplier": multiplier,
        "shift": shift,
    }


def int16_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_batch_matmul_int16_params`."""
    multiplier, shift = _factor(site)
    return {**_sizes(site), "multiplier": multiplier, "shift": shift}


def float_params(site: Site) -> Mapping[str, Param]:
    """The fields of `sm_batch_matmul_float32_params`."""
    return _sizes(site)
