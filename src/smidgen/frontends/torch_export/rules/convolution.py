"""Convolutions, linear layers and matrix products."""

from __future__ import annotations

import numpy as np

from smidgen.frontends import lowering
from smidgen.frontends.lowering import Pairs
from smidgen.frontends.torch_export.site import Result, Site, rule


def _padding(site: Site, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> Pairs:
    given = site.call.args.get("padding", 0)
    if given == "valid":
        return ((0, 0),) * len(kernel)
    if given == "same":  # one more at the end where the sum is odd
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((p, p) for p in site.integers("padding", 0, len(kernel)))


@rule("conv1d", "conv2d", "convolution")
def convolution(site: Site) -> Result:
    """Kernel (co, ci / groups, ...); `convolution` may be transposed."""
    if site.flag("transposed"):
        return conv_transpose(site)
    x, weight = site.tensor("input"), site.array("weight")
    dims = weight.ndim - 2
    dilation = site.integers("dilation", 1, dims)
    return lowering.conv(
        site.at,
        x,
        weight,
        site.optional_array("bias"),
        strides=site.integers("stride", 1, dims),
        pads=_padding(site, weight.shape[2:], dilation),
        dilations=dilation,
        groups=site.integer("groups", 1),
    )


@rule("conv_transpose1d", "conv_transpose2d")
def conv_transpose(site: Site) -> Result:
    """Kernel (ci, co / groups, ...)."""
    weight = site.array("weight")
    dims = weight.ndim - 2
    return lowering.conv_transpose(
        site.at,
        site.tensor("input"),
        weight,
        site.optional_array("bias"),
        strides=site.integers("stride", 1, dims),
        pads=tuple((p, p) for p in site.integers("padding", 0, dims)),
        output_padding=site.integers("output_padding", 0, dims),
        dilations=site.integers("dilation", 1, dims),
        groups=site.integer("groups", 1),
    )


@rule("linear")
def linear(site: Site) -> Result:
    """Weights (outputs, inputs)."""
    x, weight = site.tensor("input"), site.tensor("weight")
    if isinstance(weight, str):
        y = lowering.matmul(site.at, x, lowering.transpose(site.at, weight, (1, 0)))
        bias = site.optional("bias")
        return y if bias is None else lowering.add(site.at, y, bias)
    return lowering.linear(site.at, x, weight, site.optional_array("bias"))


@rule("mm", "bmm", "matmul")
def matmul(site: Site) -> Result:
    """Matrices of any number of leading axes."""
    other = "other" if site.has("other") else "mat2"
    return lowering.matmul(site.at, site.tensor("self"), site.tensor(other))


@rule("addmm", "baddbmm")
def addmm(site: Site) -> Result:
    """`beta` * self + alpha * (a @ b)."""
    names = ("mat1", "mat2") if site.has("mat1") else ("batch1", "batch2")
    beta, alpha = site.number("beta", 1), site.number("alpha", 1)
    a, b, added = site.tensor(names[0]), site.tensor(names[1]), site.tensor("self")
    if (beta, alpha) == (1, 1) and not isinstance(b, str) and not isinstance(added, str):
        if added.ndim == 1:
            return lowering.linear(site.at, a, np.ascontiguousarray(b.T), added)
    y = lowering.matmul(site.at, a, b)
    if alpha != 1:
        y = lowering.multiply(site.at, y, site.at.scalar(alpha))
    if beta == 0:
        return y
    if beta != 1:
        added = lowering.multiply(site.at, added, site.at.scalar(beta))
    return lowering.add(site.at, y, added)
