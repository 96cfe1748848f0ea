"""RESIZE_BILINEAR: an image of another height and width, each pixel between four."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.resize import float_places, integer_places, integer_scale, weigh
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    QuantRule,
    Role,
    TfliteNode,
    TfliteOp,
)
from smidgen.ops._range import Range, monotone, unknown
from smidgen.ops._unary import guard, one, only

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "int8", "uint8")


def _sizes(site: Site) -> dict[str, Param]:
    _, in_h, in_w, channels = site.input(0).shape
    _, out_h, out_w, _ = site.output.shape
    return {"in_h": in_h, "in_w": in_w, "out_h": out_h, "out_w": out_w, "channels": channels}


def _int8_params(site: Site) -> Mapping[str, Param]:
    op = site.op
    assert isinstance(op, ResizeBilinear)
    image = site.input(0).shape[1:3]
    scale_y, scale_x = (
        integer_scale(n, out, op.align_corners) for n, out in zip(image, op.size, strict=True)
    )
    half = op.half_pixel_centers
    return {
        **_sizes(site),
        "scale_y": scale_y,
        "first_y": scale_y // 2 - 512 if half else 0,
        "scale_x": scale_x,
        "first_x": scale_x // 2 - 512 if half else 0,
    }


def _float_params(site: Site) -> Mapping[str, Param]:
    op = site.op
    assert isinstance(op, ResizeBilinear)
    fields = _sizes(site)
    for axis, n, out in zip("yx", site.input(0).shape[1:3], op.size, strict=True):
        aligned = op.align_corners and out > 1
        fields[f"scale_{axis}"] = float(np.float32(n - aligned) / np.float32(out - aligned))
    return {**fields, "half": 0.5 if op.half_pixel_centers else 0.0}


def _guard(dtype: str) -> Callable[[Site], str | None]:
    return lambda site: guard(dtype)(site) or _size_guard(site)


def _size_guard(site: Site) -> str | None:
    if site.output.shape[0] != 1:
        return f"batch {site.output.shape[0]}; kernels run one sample at a time"
    if max(*site.input(0).shape, *site.output.shape) >= 1 << 15:
        return "more than 32767 rows or columns"
    return None


@dataclass(frozen=True)
class ResizeBilinear(Op):
    """An image (n, h, w, c) at `size` (height, width), interpolated between four pixels.

    Args:
        size: height and width of the result.
        align_corners: the corner pixels of both images lie on each other.
        half_pixel_centers: pixels are areas with a centre, not points; not with align_corners.
    """

    name: ClassVar[str] = "RESIZE_BILINEAR"
    shifts: ClassVar[bool] = False  # LiteRT interpolates uint8 in float32

    size: tuple[int, int] = (1, 1)
    align_corners: bool = False
    half_pixel_centers: bool = False

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = only(types, DTYPES)
        if x.rank != 4 or not x.size:
            raise ValueError(f"takes images (n, h, w, c), got shape {x.shape}")
        if min(self.size) < 1:
            raise ValueError(f"size {self.size} is no height and width of at least 1")
        if self.align_corners and self.half_pixel_centers:
            raise ValueError("align_corners and half_pixel_centers exclude each other")
        return (TensorType((x.shape[0], *self.size, x.shape[3]), x.dtype),)

    def _interpolated(self, x: Array, places: Any, whole: Any) -> Array:
        """Sums of four pixels by their weights; `whole` is one of the weights' kind."""
        flags = (self.align_corners, self.half_pixel_centers)
        top, bottom, dy = places(x.shape[1], self.size[0], *flags)
        left, right, dx = places(x.shape[2], self.size[1], *flags)
        dy, dx = dy[:, None, None], dx[:, None]
        rows = x[:, top], x[:, bottom]
        total: Array = rows[0][:, :, left] * (whole - dy) * (whole - dx)
        total += rows[1][:, :, left] * dy * (whole - dx)
        total += rows[0][:, :, right] * (whole - dy) * dx
        total += rows[1][:, :, right] * dy * dx
        return total

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (self._interpolated(one(arrays), float_places, np.float32(1)),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        def places(*given: Any) -> Any:
            return map(torch.from_numpy, float_places(*given))

        return self._interpolated(tensors[0], places, 1.0)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        x = one(arrays)
        if x.dtype == np.uint8:
            real = self._interpolated(x.astype(np.float32), float_places, np.float32(1))
            return ((real + np.float32(0.5)).astype(np.uint8),)
        sums = self._interpolated(x.astype(np.int64), integer_places, np.int64(1024))
        return (weigh(sums).astype(x.dtype),)

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        """Rises with every pixel, but that floats are added in any order.

        Weights beyond the image's edge are negative for one pixel and more than one for the same:
        together they are one.
        """
        x = types.inputs[0]
        assert x is not None
        if x.dtype != "int8":
            return (unknown(types.outputs[0]),)
        return monotone(self, types, *ranges)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION,), ties=((0, -1),))

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        height, width = (int(n) for n in node.outputs[0].shape[1:3])
        o = node.options
        return cls((height, width), o["align_corners"], o["half_pixel_centers"]), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {
            "align_corners": self.align_corners,
            "half_pixel_centers": self.half_pixel_centers,
        }
        return TfliteOp("ResizeBilinearOptions", fields, (0, np.array(self.size, np.int32)))

    def tflite_version(self, types: NodeTypes) -> int:
        if types.dtype == "int16":
            return 4
        if self.align_corners or self.half_pixel_centers:
            return 3
        return 2 if types.dtype == "int8" else 1

    kernels = (
        Kernel(
            "sm_resize_bilinear_int8",
            "resize_bilinear_int8.h",
            guard=_guard("int8"),
            params=_int8_params,
        ),
        Kernel(
            "sm_resize_bilinear_float32",
            "resize_bilinear_float32.h",
            guard=_guard("float32"),
            params=_float_params,
        ),
        Kernel(
            "sm_resize_bilinear_uint8",
            "resize_bilinear_uint8.h",
            guard=_guard("uint8"),
            params=_float_params,
            struct="sm_resize_bilinear_float32_params",
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        return (Coupling(only(types, DTYPES).shape[3], (AxisRef(0, 3), AxisRef(-1, 3))),)

    def macs(self, *types: TensorType | None) -> int:
        return 4 * self.infer(*types)[0].size

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(min_rank=4)))
            size = draw(st.tuples(st.integers(1, 30), st.integers(1, 30)))
            flags = draw(st.sampled_from(((False, False), (True, False), (False, True))))
            return Sample(cls(size, *flags), (Operand(x),), (x.quant,))

        return draw_sample()
