"""Functions of `keras.ops` on tensors of a functional model, besides arithmetic and activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from smidgen.frontends import lowering
from smidgen.frontends.keras.site import LayerSite, operation
from smidgen.frontends.lowering.movement import slice_attributes

UNARY = {
    "Absolute": "ABS",
    "Negative": "NEG",
    "Sqrt": "SQRT",
    "Rsqrt": "RSQRT",
    "Square": "SQUARE",
    "Log": "LOG",
    "Sin": "SIN",
    "Cos": "COS",
    "Floor": "FLOOR",
    "Ceil": "CEIL",
    "Round": "ROUND",
    "Sign": "SIGN",
}
REDUCTIONS = {"Mean": "MEAN", "Sum": "SUM", "Max": "REDUCE_MAX", "Min": "REDUCE_MIN"}


@operation(*UNARY)
def unary(site: LayerSite) -> str:
    """A function of each element."""
    return site.add(UNARY[site.spec.class_name], [site.input])


def _rank(site: LayerSite) -> int:
    return len(site.shape(site.input))


@operation(*REDUCTIONS)
def reduction(site: LayerSite) -> str:
    """Over some axes, or over all of them."""
    rank, given = _rank(site), site.get("axis")
    items = given if isinstance(given, (list, tuple)) else [given]
    axes = tuple(range(rank)) if given is None else tuple(items)
    if not all(isinstance(a, int) and -rank <= a < rank for a in axes):
        raise site.malformed(f"its axis is {given!r}")
    axes = tuple(sorted({a % rank for a in axes}))
    if 0 in axes:
        raise site.refuse("it reduces the batch", hint="leave the first axis out")
    if site.get("initial") is not None:
        raise site.refuse("it has an initial value", hint="leave it out")
    op = REDUCTIONS[site.spec.class_name]
    return site.add(op, [site.input], axis=axes, keep_dims=site.flag("keepdims", False))


@operation("Reshape")
def reshape_operation(site: LayerSite) -> str:
    """Under another shape, the batch included: it has to stay what it is."""
    batch, *rest = site.shape(site.input)
    target = site.get("newshape")
    if not isinstance(target, (list, tuple)) or not all(isinstance(d, int) for d in target):
        raise site.malformed(f"its newshape is {target!r}")
    if list(target[:1]) not in ([-1], [batch]):
        raise site.refuse(f"its newshape is {target}", hint="use -1 for the batch, which is first")
    size, shape = math.prod(rest), list(target[1:])
    known = math.prod(d for d in shape if d != -1)
    if shape.count(-1) > 1 or known <= 0 or size % known:
        raise site.malformed(f"its newshape {target} does not hold {size} elements of a sample")
    return site.reshape(site.input, (batch, *(size // known if d == -1 else d for d in shape)), "")


@operation("Transpose")
def transpose_operation(site: LayerSite) -> str:
    """Axes in another order, or all of them backwards."""
    rank, given = _rank(site), site.get("axes")
    perm = tuple(range(rank))[::-1] if given is None else tuple(given)
    if sorted(perm) != list(range(rank)) or perm[0] != 0:
        raise site.refuse(f"its axes are {given}", hint="keep the batch in front")
    return site.add("TRANSPOSE", [site.input], perm=perm)


@operation("ExpandDims")
def expand_dims(site: LayerSite) -> str:
    """With another axis of size 1."""
    axis = site.axis(_rank(site) + 1)
    shape = list(site.shape(site.input))
    shape.insert(axis, 1)
    if axis == 0:
        raise site.refuse("it adds an axis before the batch")
    return site.reshape(site.input, tuple(shape), "")


@operation("Squeeze")
def squeeze(site: LayerSite) -> str:
    """Without some axes of size 1, the batch excepted."""
    shape, given = site.shape(site.input), site.get("axis")
    items = given if isinstance(given, (list, tuple)) else [given]
    axes = [a for a, n in enumerate(shape) if n == 1 and a] if given is None else list(items)
    if not all(isinstance(a, int) and -len(shape) <= a < len(shape) for a in axes):
        raise site.malformed(f"its axis is {given!r}")
    axes = [a % len(shape) for a in axes]
    if 0 in axes or any(shape[a] != 1 for a in axes):
        raise site.refuse(f"it drops axes {axes} of {shape}")
    return site.reshape(site.input, tuple(n for a, n in enumerate(shape) if a not in axes), "")


@operation("Stack")
def stack(site: LayerSite) -> str:
    """Side by side along a new axis."""
    axis = site.axis(len(site.shape(site.inputs[0])) + 1, 0)
    if axis == 0 or len(site.inputs) != len(site.args):
        raise site.refuse("it stacks along the batch, or what is no tensor")
    return lowering.stack(site.lowering, site.inputs, axis)


@operation("Matmul")
def matmul(site: LayerSite) -> str:
    """The matrix product of two tensors."""
    if len(site.args) != 2:
        raise site.malformed(f"it has {len(site.args)} operands, not 2")
    a, b = (
        arg if isinstance(arg, str) else site.numbers(f"its operand {i}", arg)
        for i, arg in enumerate(site.args)
    )
    return lowering.matmul(site.lowering, a, b)


@operation("Clip")
def clip(site: LayerSite) -> str:
    """Limited from both sides."""
    return lowering.clip(site.lowering, site.input, site.number("x_min"), site.number("x_max"))


@operation("Power")
def power(site: LayerSite) -> str:
    """To a constant power, or to that of another tensor."""
    if len(site.args) != 2:
        raise site.malformed(f"it has {len(site.args)} operands, not 2")
    base, exponent = (
        a if isinstance(a, str) else np.atleast_1d(site.numbers(f"its operand {i}", a))
        for i, a in enumerate(site.args)
    )
    return lowering.power(site.lowering, base, exponent)


@operation("Softmax")
def softmax_operation(site: LayerSite) -> str:
    """Over an axis."""
    return lowering.softmax(site.lowering, site.input, site.axis(_rank(site)))


@operation("Gelu")
def gelu_operation(site: LayerSite) -> str:
    """Exact, or approximated by tanh."""
    approximate = site.flag("approximate", True)
    return lowering.gelu(site.lowering, site.input, approximate=approximate)


@operation("LeakyRelu")
def leaky_relu_operation(site: LayerSite) -> str:
    """With a slope for what is negative."""
    return site.add("LEAKY_RELU", [site.input], alpha=site.number("negative_slope", 0.2))


@operation("Pad")
def pad(site: LayerSite) -> str:
    """With zeros or another number."""
    rank, given = _rank(site), site.get("pad_width")
    if site.get("mode", "constant") != "constant":
        raise site.refuse(f"its mode is {site.get('mode')!r}", hint='use mode="constant"')
    pairs = site.numbers("its pad_width", given).reshape(-1, 2)
    pairs = np.broadcast_to(pairs, (rank, 2)).astype(int)
    if pairs.min() < 0 or pairs[0].any():
        raise site.refuse(f"its pad_width is {given!r}", hint="leave the batch as it is")
    return site.add("PAD", [site.input], paddings=tuple((int(a), int(b)) for a, b in pairs))


@operation("Flip")
def flip(site: LayerSite) -> str:
    """Backwards along an axis."""
    rank = _rank(site)
    axis = site.axis(rank, 0)
    if axis == 0:
        raise site.refuse("it flips the batch")
    return site.add("REVERSE_V2", [site.input], axis=(axis,))


@operation("GetItem")
def get_item(site: LayerSite) -> str:
    """`x[...]` of slices and whole numbers."""
    if len(site.inputs) != 1 or site.inputs[0] != site.args[0]:
        raise site.refuse("its index is computed", hint="index by slices and whole numbers")
    value, *index = site.args
    shape = site.shape(value)
    if index.count(Ellipsis):
        at = index.index(Ellipsis)
        index[at : at + 1] = [slice(None)] * (len(shape) - len(index) + 1)
    index += [slice(None)] * (len(shape) - len(index))
    positions: list[range] = []
    shrink: list[int] = []
    for axis, (item, size) in enumerate(zip(index, shape, strict=False)):
        taken, single = _taken(site, item, size)
        if axis == 0 and (single or (item != slice(None) and taken != range(size))):
            raise site.refuse("it indexes the batch", hint="start with a full slice")
        positions.append(taken)
        shrink += [axis] * single
    if len(index) != len(shape):
        raise site.refuse(f"it has {len(index)} indices for {len(shape)} axes")
    if not all(positions):
        raise site.malformed(f"its index takes nothing of {shape}")
    return site.add("STRIDED_SLICE", [value], **slice_attributes(shape, positions, shrink))


def _taken(site: LayerSite, item: Any, size: int) -> tuple[range, bool]:
    """The positions that an index takes, and whether it is a single one whose axis goes."""
    if isinstance(item, slice):
        try:
            return range(size)[item], False
        except (TypeError, ValueError):
            raise site.malformed(f"its index is {item}") from None
    if isinstance(item, int) and not isinstance(item, bool) and -size <= item < size:
        return range(item % size, item % size + 1), True
    raise site.refuse(f"its index holds {item!r}", hint="index by slices and whole numbers")
