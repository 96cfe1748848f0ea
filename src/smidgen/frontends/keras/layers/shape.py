"""Layers that move elements and compute nothing; also those that act in training only."""

from __future__ import annotations

import math
from typing import Any

from smidgen.frontends.keras.site import LayerSite, layer, operation
from smidgen.frontends.lowering.movement import slice_attributes


@layer("Flatten")
def flatten(site: LayerSite) -> str:
    """(batch, ...) to (batch, elements), channels last."""
    shape = site.shape(site.input)
    return site.reshape(site.input, (shape[0], math.prod(shape[1:])), "")


@layer("Reshape")
def reshape(site: LayerSite) -> str:
    """`target_shape` is without the batch; one -1 stands for what is left."""
    batch, *rest = site.shape(site.input)
    target = site.get("target_shape")
    if not isinstance(target, (list, tuple)) or not all(isinstance(d, int) for d in target):
        raise site.malformed(f"its target_shape is {target!r}")
    size, known = math.prod(rest), math.prod(d for d in target if d != -1)
    if (
        list(target).count(-1) > 1
        or known <= 0
        or size % known
        or (-1 not in target and size != known)
    ):
        raise site.malformed(f"its target_shape {target} does not hold {size} elements")
    shape = tuple(size // known if d == -1 else d for d in target)
    return site.reshape(site.input, (batch, *shape), "")


@layer("Permute")
def permute(site: LayerSite) -> str:
    """`dims` counts from 1: the batch stays first."""
    rank = len(site.shape(site.input))
    dims = site.integers("dims", rank - 1)
    if sorted(dims) != list(range(1, rank)):
        raise site.malformed(f"its dims are {dims} for an input of {rank} dimensions")
    return site.add("TRANSPOSE", [site.input], perm=(0, *dims))


def _margins(site: LayerSite, key: str, dims: int) -> list[tuple[int, int]]:
    """The amounts before and after each axis: one integer, one an axis, or two an axis."""
    value: Any = site.get(key, 1)
    items = list(value) if isinstance(value, (list, tuple)) else [value] * dims
    if dims == 1 and len(items) == 2:
        items = [items]
    pairs = [tuple(i) if isinstance(i, (list, tuple)) else (i, i) for i in items]
    numbers = [n for pair in pairs for n in pair]
    if len(numbers) != 2 * dims or any(
        isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in numbers
    ):
        raise site.malformed(f"its {key} is {value!r}")
    return [(int(before), int(after)) for before, after in pairs]


def _zero_padding(site: LayerSite, dims: int) -> str:
    value = site.image(dims)
    paddings = ((0, 0), *_margins(site, "padding", dims), (0, 0))
    return site.add("PAD", [value], paddings=paddings)


@layer("ZeroPadding2D")
def zero_padding_2d(site: LayerSite) -> str:
    """A border of zeros."""
    return _zero_padding(site, 2)


@layer("ZeroPadding1D")
def zero_padding_1d(site: LayerSite) -> str:
    """Zeros before and after."""
    return _zero_padding(site, 1)


def _cropping(site: LayerSite, dims: int) -> str:
    value = site.image(dims)
    shape = site.shape(value)
    margins = [(0, 0), *_margins(site, "cropping", dims), (0, 0)]
    taken = [range(b, n - after) for n, (b, after) in zip(shape, margins, strict=True)]
    if not all(taken):
        raise site.malformed(f"cropping by {margins[1:-1]} leaves nothing of {shape}")
    return site.add("STRIDED_SLICE", [value], **slice_attributes(shape, taken))


@layer("Cropping2D")
def cropping_2d(site: LayerSite) -> str:
    """Without its border."""
    return _cropping(site, 2)


@layer("Cropping1D")
def cropping_1d(site: LayerSite) -> str:
    """Without its ends."""
    return _cropping(site, 1)


@layer("UpSampling2D")
def up_sampling_2d(site: LayerSite) -> str:
    """Each pixel repeated."""
    interpolation = site.get("interpolation", "nearest")
    if interpolation not in ("nearest", "bilinear"):
        raise site.refuse(
            f"its interpolation is {interpolation!r}", hint='use "nearest" or "bilinear"'
        )
    value = site.image()
    _, height, width, _ = site.shape(value)
    rows, columns = site.integers("size", 2, 2)
    size = (height * rows, width * columns)
    if interpolation == "bilinear":
        return site.add("RESIZE_BILINEAR", [value], size=size, half_pixel_centers=True)
    return site.add("RESIZE_NEAREST_NEIGHBOR", [value], size=size)


@layer("UpSampling1D")
def up_sampling_1d(site: LayerSite) -> str:
    """Each step repeated."""
    value = site.image(1)
    batch, length, channels = site.shape(value)
    times = site.integer("size", 2)
    image = site.reshape(value, (batch, length, 1, channels), "image")
    image = site.add("RESIZE_NEAREST_NEIGHBOR", [image], "rows", size=(length * times, 1))
    return site.reshape(image, (batch, length * times, channels), "sequence")


@layer("RepeatVector")
def repeat_vector(site: LayerSite) -> str:
    """A vector `n` times, as a sequence."""
    batch, size = site.shape(site.input)
    value = site.reshape(site.input, (batch, 1, size))
    return site.add("TILE", [value], multiples=(1, site.integer("n"), 1))


@operation("Concatenate")
@layer("Concatenate")
def concatenate(site: LayerSite) -> str:
    """Along any axis but the batch."""
    if not site.inputs:
        raise site.malformed("it has no inputs")
    axis = site.axis(len(site.shape(site.inputs[0])))
    if axis == 0:
        raise site.refuse("it concatenates along the batch", hint="use another axis")
    return site.add("CONCATENATION", list(site.inputs), axis=axis)


@layer(
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
    "RandomFlip",
    "RandomRotation",
    "RandomZoom",
    "RandomTranslation",
    "RandomContrast",
    "RandomBrightness",
)
def only_in_training(site: LayerSite) -> str:
    """Nothing at inference."""
    return site.input
