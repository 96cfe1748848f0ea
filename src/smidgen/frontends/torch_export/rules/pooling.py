"""Pooling and resizing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smidgen.frontends import lowering
from smidgen.frontends.lowering import Array, Lowering, Operand
from smidgen.frontends.torch_export.site import Result, Site, rule


def _no_indices(site: Site, output: int = 1) -> None:
    if site.used(output):
        raise site.refuse("the positions of the maxima are used", hint="use return_indices=False")


@rule("max_pool1d", "max_pool2d", "max_pool1d_with_indices", "max_pool2d_with_indices")
def max_pool(site: Site) -> Result:
    """The stride is the kernel's size unless it is given."""
    _no_indices(site)
    dims = site.rank("self") - 2
    kernel = site.integers("kernel_size", None, dims)
    y = lowering.max_pool(
        site.at,
        site.tensor("self"),
        kernel,
        strides=site.integers("stride", kernel, dims),
        pads=tuple((p, p) for p in site.integers("padding", 0, dims)),
        dilations=site.integers("dilation", 1, dims),
        ceil_mode=site.flag("ceil_mode"),
    )
    return [y, None]


@rule("avg_pool1d", "avg_pool2d")
def avg_pool(site: Site) -> Result:
    """The stride is the kernel's size unless it is given."""
    dims = site.rank("self") - 2
    kernel = site.integers("kernel_size", None, dims)
    return lowering.average_pool(
        site.at,
        site.tensor("self"),
        kernel,
        strides=site.integers("stride", kernel, dims),
        pads=tuple((p, p) for p in site.integers("padding", 0, dims)),
        ceil_mode=site.flag("ceil_mode"),
        count_include_pad=site.flag("count_include_pad", True),
        divisor=site.integer("divisor_override") if site.has("divisor_override") else None,
    )


@rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d")
def adaptive_avg_pool(site: Site) -> Result:
    """To the size of the result."""
    x = site.tensor("self")
    return lowering.adaptive_average_pool(site.at, x, site.result_shape()[2:])


@rule("adaptive_max_pool1d", "adaptive_max_pool2d")
def adaptive_max_pool(site: Site) -> Result:
    """To the size of the result."""
    _no_indices(site)
    return [lowering.adaptive_max_pool(site.at, site.tensor("self"), site.result_shape()[2:]), None]


def _image(site: Site) -> Operand:
    return site.tensor("input" if site.has("input") else "self")


def _scales(site: Site) -> list[float | None]:
    """The scale factor of each spatial axis, None where the sizes alone count."""
    dims = site.at.rank(_image(site)) - 2
    if site.has("scale_factors"):
        return [float(scale) for scale in site.sequence("scale_factors")]
    names = ("scales",) if dims == 1 else ("scales_h", "scales_w")
    return [site.optional_number(name) for name in names]


@rule("upsample_nearest1d", "upsample_nearest2d")
def upsample_nearest(site: Site) -> Result:
    """Position i is taken from floor(i * scale), in float32 as PyTorch computes it."""
    return _nearest(site, lambda place, scale: place * scale)


@rule("_upsample_nearest_exact1d", "_upsample_nearest_exact2d")
def upsample_nearest_exact(site: Site) -> Result:
    """Position i is taken from floor((i + 0.5) * scale)."""
    return _nearest(site, lambda place, scale: (place + np.float32(0.5)) * scale)


def _nearest(site: Site, source: Callable[[Array, np.float32], Array]) -> Result:
    x = _image(site)
    sizes, outputs = site.at.shape(x)[2:], site.result_shape()[2:]
    places = []
    for size, output, factor in zip(sizes, outputs, _scales(site), strict=True):
        scale = np.float32(1 / factor) if factor else np.float32(size) / np.float32(output)
        found = np.floor(source(np.arange(output, dtype=np.float32), scale)).astype(np.int64)
        places.append(np.minimum(found, size - 1))
    return lowering.resize_nearest(site.at, x, outputs, tuple(places))


@rule("upsample_linear1d", "upsample_bilinear2d")
def upsample_bilinear(site: Site) -> Result:
    """By half pixels, or by aligned corners."""
    x = _image(site)
    sizes, outputs = site.at.shape(x)[2:], site.result_shape()[2:]
    aligned = site.flag("align_corners")
    for size, output, factor in zip(sizes, outputs, _scales(site), strict=True):
        if factor and not aligned and abs(output / size - factor) > 1e-6 * factor:
            raise site.refuse(
                f"its scale factor {factor} makes {output} of {size}, which is another scale",
                hint="call interpolate with size=..., or with recompute_scale_factor=True",
            )
    return resize(site.at, x, outputs, aligned)


def resize(at: Lowering, x: Operand, outputs: tuple[int, ...], aligned: bool) -> str:
    """Linear interpolation; rows of one pixel have no corners to align."""
    return lowering.resize_bilinear(at, x, outputs, align_corners=aligned)
