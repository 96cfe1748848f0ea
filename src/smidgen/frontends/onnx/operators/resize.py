"""Images of another size."""

from __future__ import annotations

import math

import numpy as np

from smidgen.frontends import lowering as lower
from smidgen.frontends.onnx.site import NodeSite, Operand, operator
from smidgen.frontends.onnx.tensors import Array

LARGEST = 1 << 20  # positions along an axis


@operator("Upsample")
def upsample(site: NodeSite) -> Operand:
    """Resize of opsets 7 to 9: positions are multiplied by the scale."""
    if site.has(1):
        scales = [float(s) for s in site.floats(1, "scales").ravel()]
    else:
        scales = [float(s) for s in site.attributes.get("scales", ())]
    dims = site.shape(0)
    if len(scales) != len(dims):
        raise site.malformed(f"its scales are {scales} for {len(dims)} dimensions")
    sizes = [math.floor(d * s) for d, s in zip(dims, scales, strict=True)]
    return _resize(site, sizes, scales, site.text("mode", "nearest"), "asymmetric", "floor")


@operator("Resize")
def resize(site: NodeSite) -> Operand:
    """Nearest or linear interpolation, at positions that its attributes define."""
    dims = site.shape(0)
    if site.version < 11:
        scales = [float(s) for s in site.floats(1, "scales").ravel()]
        sizes = [math.floor(d * s) for d, s in zip(dims, scales, strict=True)]
        return _resize(site, sizes, scales, site.text("mode", "nearest"), "asymmetric", "floor")
    scales, sizes = _wanted(site, dims)
    if site.flag("antialias"):
        raise site.refuse("it smooths (antialias)", hint="export with antialias=False")
    return _resize(
        site,
        sizes,
        scales,
        site.text("mode", "nearest"),
        site.text("coordinate_transformation_mode", "half_pixel"),
        site.text("nearest_mode", "round_prefer_floor"),
    )


def _wanted(site: NodeSite, dims: tuple[int, ...]) -> tuple[list[float], list[int]]:
    """The scale and the size of every axis."""
    rank = len(dims)
    axes = [site.axis_of(a, rank) for a in site.integers("axes", range(rank))]
    scales, sizes = [1.0] * rank, list(dims)
    if site.has(2) and site.floats(2, "scales").size:
        given = [float(s) for s in site.floats(2, "scales").ravel()]
        for axis, scale in zip(axes, given, strict=True):
            if not 0 < scale < 1 << 16:
                raise site.malformed(f"its scale is {scale}")
            scales[axis], sizes[axis] = scale, math.floor(dims[axis] * scale)
        return scales, sizes
    wanted = site.ints(3, "sizes")
    policy = site.text("keep_aspect_ratio_policy", "stretch")
    ratios = [size / dims[axis] for axis, size in zip(axes, wanted, strict=True)]
    if policy != "stretch":
        ratio = min(ratios) if policy == "not_larger" else max(ratios)
        wanted = [math.floor(dims[axis] * ratio + 0.5) for axis in axes]
        ratios = [ratio] * len(axes)
    for axis, size, ratio in zip(axes, wanted, ratios, strict=True):
        scales[axis], sizes[axis] = ratio, size
    return scales, sizes


def _positions(size: int, new: int, scale: float, mode: str) -> Array | None:
    """Where each position of the result lies in the operand; None for a mode that is not known."""
    x = np.arange(new, dtype=np.float64)
    if mode == "align_corners":
        # By the size that the scale makes, which need not be a whole number.
        return x * (size - 1) / (scale * size - 1) if scale * size > 1 else x * 0
    if mode == "asymmetric":
        return x / scale
    if mode == "half_pixel" or (mode == "pytorch_half_pixel" and new > 1):
        return (x + 0.5) / scale - 0.5
    if mode == "pytorch_half_pixel":
        return x * 0
    if mode == "tf_half_pixel_for_nn":
        return (x + 0.5) / scale
    if mode == "half_pixel_symmetric":
        adjustment = new / (scale * size)
        return size / 2 * (1 - adjustment) + (x + 0.5) / scale - 0.5
    return None


def _nearest(positions: Array, mode: str, size: int) -> Array:
    down, up = np.floor(positions), np.ceil(positions)
    rounded = {
        "floor": down,
        "ceil": up,
        "round_prefer_floor": np.ceil(positions - 0.5),
        "round_prefer_ceil": np.floor(positions + 0.5),
    }.get(mode, down)
    return rounded.clip(0, size - 1).astype(np.int64)


def _resize(
    site: NodeSite, sizes: list[int], scales: list[float], mode: str, where: str, nearest: str
) -> Operand:
    x = site.x
    dims = site.shape(x)
    if any(not 0 < s < LARGEST for s in sizes):
        raise site.malformed(f"its result has the shape {sizes}")
    changed = [i for i, d in enumerate(dims) if sizes[i] != d or scales[i] != 1]
    positions = {i: _positions(dims[i], sizes[i], scales[i], where) for i in changed}
    if any(p is None for p in positions.values()) or mode not in ("nearest", "linear"):
        raise site.refuse(
            f"its mode is {mode!r} at {where!r}",
            hint='use mode="nearest" or "linear" with half_pixel, asymmetric or align_corners',
        )
    known = {i: p for i, p in positions.items() if p is not None}
    if mode == "nearest":
        return _take_nearest(site, x, known, nearest)
    return _interpolate(site, x, sizes, known, where)


def _take_nearest(site: NodeSite, x: Operand, positions: dict[int, Array], mode: str) -> Operand:
    dims = site.shape(x)
    taken = {i: _nearest(p, mode, dims[i]) for i, p in positions.items()}
    spatial = range(2, len(dims))
    if set(taken) <= set(spatial) and len(dims) in (3, 4):
        sources = tuple(taken.get(i, np.arange(dims[i])) for i in spatial)
        return lower.resize_nearest(site.at, x, tuple(len(s) for s in sources), sources)
    for axis, places in taken.items():
        x = lower.gather(site.at, x, places.astype(np.int32), axis)
    return x


def _interpolate(
    site: NodeSite, x: Operand, sizes: list[int], positions: dict[int, Array], where: str
) -> Operand:
    """LiteRT's operator where it interpolates at the same positions, else a matrix an axis."""
    at, dims = site.at, site.shape(x)
    if set(positions) <= set(range(2, len(dims))) and len(dims) in (3, 4):
        for corners, half in ((True, False), (False, True), (False, False)):
            there = "align_corners" if corners else "half_pixel" if half else "asymmetric"
            if all(_alike(p, dims[i], sizes[i], there) for i, p in positions.items()):
                return lower.resize_bilinear(
                    at, x, tuple(sizes[2:]), align_corners=corners, half_pixel_centers=half
                )
    for axis, places in positions.items():
        site.reserve((len(places), dims[axis]), 8)
        matrix = _weights(places, dims[axis])
        moved, back = lower.move_axis_last(at, x, axis)
        x = lower.linear(at, moved, matrix)
        x = x if back is None else lower.transpose(at, x, back)
    return x


def _alike(positions: Array, size: int, new: int, mode: str) -> bool:
    """Whether positions are, within the image, those of another definition."""
    there = _positions(size, new, new / size, mode)
    assert there is not None
    limits = (0, size - 1)
    return bool(np.allclose(positions.clip(*limits), there.clip(*limits), atol=1e-6))


def _weights(positions: Array, size: int) -> Array:
    """What each position of the result takes of each position of the operand."""
    clipped = positions.clip(0, size - 1)
    low = np.floor(clipped).astype(np.int64)
    share = clipped - low
    matrix = np.zeros((len(positions), size), np.float64)
    rows = np.arange(len(positions))
    np.add.at(matrix, (rows, low), 1 - share)
    np.add.at(matrix, (rows, np.minimum(low + 1, size - 1)), share)
    return matrix.astype(np.float32)
