"""RESIZE_NEAREST_NEIGHBOR: an image of another height and width, each pixel the nearest one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    TfliteNode,
    TfliteOp,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _sources(site: Site) -> tuple[Array, Array]:
    assert isinstance(site.op, ResizeNearestNeighbor)
    _, height, width, _ = site.input(0).shape
    return site.op.sources(height, width)


def _guard(site: Site) -> str | None:
    if site.output.shape[0] != 1:
        return f"batch {site.output.shape[0]}; kernels run one sample at a time"
    if max(site.input(0).shape[1:3]) > np.iinfo(np.int16).max:
        return f"an image of {site.input(0).shape} has rows or columns beyond int16"
    return _movement.guard(site)


def _pixel_bytes(site: Site) -> int:
    return site.output.shape[3] * _movement.item_bytes(site.output)


def _params(site: Site) -> Mapping[str, Param]:
    rows, cols = _sources(site)
    return {
        "in_w": site.input(0).shape[2],
        "out_h": rows.size,
        "out_w": cols.size,
        "pixel": _pixel_bytes(site),
        "rows": rows.astype(np.int16),
        "cols": cols.astype(np.int16),
    }


def _overlap(site: Site) -> Mapping[int, int]:
    rows, cols = _sources(site)
    pixels = rows[:, None] * site.input(0).shape[2] + cols
    return {0: _movement.lead(pixels * _pixel_bytes(site), _pixel_bytes(site))}


@dataclass(frozen=True)
class ResizeNearestNeighbor(_movement.Movement):
    """An image (n, h, w, c) at `size` (height, width).

    Args:
        size: height and width of the result.
        align_corners: the corner pixels of both images lie on each other.
        half_pixel_centers: pixels are areas with a centre, not points.
    """

    name: ClassVar[str] = "RESIZE_NEAREST_NEIGHBOR"

    size: tuple[int, int] = (1, 1)
    align_corners: bool = False
    half_pixel_centers: bool = False

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = _movement.the_operand(types)
        if x.rank != 4 or not x.size:
            raise ValueError(f"takes images (n, h, w, c), got shape {x.shape}")
        if min(self.size) < 1:
            raise ValueError(f"size {self.size} is no height and width of at least 1")
        return (TensorType((x.shape[0], *self.size, x.shape[3]), x.dtype),)

    def sources(self, height: int, width: int) -> tuple[Array, Array]:
        """The rows and columns of a (height, width) image that the result is made of, int64."""
        return self._nearest(height, self.size[0]), self._nearest(width, self.size[1])

    def _nearest(self, size: int, out: int) -> Array:
        """Positions along one axis, in float32 as TFLM computes them: near-ties depend on it."""
        aligned = self.align_corners and out > 1
        scale = np.float32(size - aligned) / np.float32(out - aligned)
        shift = np.float32(0.5 if self.half_pixel_centers else 0)
        place = (np.arange(out, dtype=np.float32) + shift) * scale
        # place is never negative, so that halves round away from zero like this, exactly.
        whole = np.floor(place)
        if self.align_corners:
            whole = whole + (place - whole >= 0.5)
        nearest: Array = np.minimum(whole.astype(np.int64), size - 1)
        return nearest

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = _movement.the_array(arrays)
        rows, cols = self.sources(x.shape[1], x.shape[2])
        return (x[:, rows[:, None], cols],)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        (x,) = tensors
        rows, cols = map(torch.as_tensor, self.sources(x.shape[1], x.shape[2]))
        return x[:, rows[:, None], cols]

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
        size = np.array(self.size, np.int32)
        return TfliteOp("ResizeNearestNeighborOptions", fields, (0, size))

    def tflite_version(self, types: NodeTypes) -> int:
        if types.dtype == "int16":
            return 4
        if self.align_corners or self.half_pixel_centers:
            return 3
        return 2 if types.dtype == "int8" else 1

    kernels = (
        Kernel(
            "sm_resize_nearest_neighbor_bytes",
            "resize_nearest_neighbor_bytes.h",
            guard=_guard,
            params=_params,
            arguments=(0,),
            overlap=_overlap,
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        x = _movement.the_operand(types)
        return (Coupling(x.shape[3], (AxisRef(0, 3), AxisRef(-1, 3))),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(min_rank=4), "int16"))
            height, width = draw(st.tuples(st.integers(1, 30), st.integers(1, 30)))
            op = cls((height, width), draw(st.booleans()), draw(st.booleans()))
            return Sample(op, (Operand(x),), (x.quant,))

        return draw_sample()
