"""Images of another size."""

from __future__ import annotations

import numpy as np

from smidgen.frontends.lowering.movement import gather
from smidgen.frontends.lowering.site import Array, Lowering, Operand, pair


def resize_bilinear(
    at: Lowering,
    x: Operand,
    size: tuple[int, ...],
    *,
    align_corners: bool = False,
    half_pixel_centers: bool = True,
) -> str:
    """Bilinear interpolation of (n, c, h, w), or linear of (n, c, l), at `size`."""
    image = at.image(x)
    y = at.add(
        "RESIZE_BILINEAR",
        [image],
        size=pair(size, 1),
        align_corners=align_corners,
        half_pixel_centers=half_pixel_centers and not align_corners,
    )
    return at.unimage(y, at.rank(x))


def resize_nearest(
    at: Lowering, x: Operand, size: tuple[int, ...], sources: tuple[Array, ...]
) -> str:
    """The nearest pixels of (n, c, h, w) or (n, c, l).

    Args:
        at: where.
        x: the image or sequence.
        size: on each spatial axis.
        sources: for each spatial axis, the position that each position of the result is taken
            from, as the source framework computes it. It becomes RESIZE_NEAREST_NEIGHBOR where
            that takes the same ones, and GATHER elsewhere.
    """
    from smidgen.ops import get_op

    image, rank = at.image(x), at.rank(x)
    height, width = at.shape(image)[1:3]
    rows, cols = sources if rank == 4 else (np.zeros(1, np.int64), sources[0])
    options = ((False, False), (False, True), (True, False))
    for align_corners, half_pixel_centers in options:
        attributes = {
            "size": pair(size, 1),
            "align_corners": align_corners,
            "half_pixel_centers": half_pixel_centers,
        }
        there = get_op("RESIZE_NEAREST_NEIGHBOR")(**attributes).sources(height, width)  # type: ignore[attr-defined]
        if np.array_equal(there[0], rows) and np.array_equal(there[1], cols):
            return at.unimage(at.add("RESIZE_NEAREST_NEIGHBOR", [image], **attributes), rank)
    for axis, places in ((1, rows), (2, cols)):
        if not np.array_equal(places, np.arange(at.shape(image)[axis])):
            image = gather(at, image, places.astype(np.int32), axis)
    return at.unimage(image, rank)
