"""Operators that only move elements."""

from __future__ import annotations

from smidgen.frontends import lowering
from smidgen.frontends.lowering import Pairs
from smidgen.frontends.torch_export.site import Result, Site, rule


@rule(
    "view",
    "reshape",
    "_unsafe_view",
    "_reshape_alias",
    "flatten",
    "unflatten",
    "squeeze",
    "unsqueeze",
    "view_as",
    view=True,
)
def reshape(site: Site) -> Result:
    """Whatever the spelling, the program says the shape of the result."""
    return lowering.reshape(site.at, site.tensor("self"), site.result_shape())


@rule("permute", view=True)
def permute(site: Site) -> Result:
    """Axis dims[i] becomes axis i."""
    return lowering.transpose(site.at, site.tensor("self"), site.integers("dims"))


@rule("transpose", "swapaxes", "t", "numpy_T", view=True)
def transpose(site: Site) -> Result:
    """Two axes change places: those named, or the only ones."""
    x = site.tensor("self")
    order = list(range(site.at.rank(x)))
    if len(order) < 2:
        return x
    a = site.at.axis(x, site.integer("dim0", 0))
    b = site.at.axis(x, site.integer("dim1", 1))
    order[a], order[b] = order[b], order[a]
    return lowering.transpose(site.at, x, order)


@rule("movedim", view=True)
def movedim(site: Site) -> Result:
    """Axes at other places, the rest in order."""
    x = site.tensor("self")
    source = [site.at.axis(x, axis) for axis in site.integers("source")]
    place = [site.at.axis(x, axis) for axis in site.integers("destination")]
    rest = [axis for axis in range(site.at.rank(x)) if axis not in source]
    order = [dict(zip(place, source, strict=True)).get(i, -1) for i in range(site.at.rank(x))]
    return lowering.transpose(site.at, x, [rest.pop(0) if o < 0 else o for o in order])


@rule("expand", "expand_as", view=True)
def expand(site: Site) -> Result:
    """Repeated along axes of size 1; what broadcasts anyway reads the operand itself."""
    x = site.tensor("self")
    y = lowering.expand(site.at, x, site.result_shape())
    site.sources[y] = x
    return y


@rule("repeat", "tile")
def repeat(site: Site) -> Result:
    """The whole tensor so many times along each axis."""
    at, x = site.at, site.tensor("self")
    times = site.integers("repeats" if site.has("repeats") else "dims")
    y: str = lowering.reshape(at, x, (*(1,) * (len(times) - at.rank(x)), *at.shape(x)))
    for axis, count in enumerate((1,) * (at.rank(y) - len(times)) + times):
        if count > 1:
            y = lowering.concatenate(at, [y] * count, axis)
    return y


@rule("cat", "concat", "concatenate")
def cat(site: Site) -> Result:
    """Along any axis; tensors without elements, which PyTorch lets by, count for nothing."""
    parts = [x for x in site.tensor_list("tensors") if 0 not in site.at.shape(x)]
    return lowering.concatenate(site.at, parts, site.integer("dim", 0))


@rule("stack")
def stack(site: Site) -> Result:
    """Along a new axis."""
    return lowering.stack(site.at, site.tensor_list("tensors"), site.integer("dim", 0))


@rule(
    "split", "split_with_sizes", "chunk", "tensor_split", "unsafe_split", "unsafe_chunk", view=True
)
def split(site: Site) -> Result:
    """Whatever the spelling, the program says the shapes of the results."""
    x = site.tensor("self")
    axis = site.at.axis(x, site.integer("dim", 0))
    if any(name is None for name in site.call.outputs):
        raise site.malformed("a part is not described")
    sizes = [site.result_shape(i)[axis] for i in range(len(site.call.outputs))]
    return [*lowering.split(site.at, x, sizes, axis)]


@rule("unbind", view=True)
def unbind(site: Site) -> Result:
    """Each position of an axis on its own."""
    at, x = site.at, site.tensor("self")
    axis = at.axis(x, site.integer("dim", 0))
    parts = lowering.split(at, x, (1,) * at.shape(x)[axis], axis)
    shape = at.shape(x)[:axis] + at.shape(x)[axis + 1 :]
    return [lowering.reshape(at, part, shape) for part in parts]


@rule("select", view=True)
def select(site: Site) -> Result:
    """One position of an axis, which goes."""
    at, x, index = site.at, site.tensor("self"), site.integer("index")
    axis = at.axis(x, site.integer("dim"))
    if index < 0:
        index += at.shape(x)[axis]
    part = lowering.slice_axis(at, x, axis, index, index + 1)
    return lowering.reshape(at, part, site.result_shape())


@rule("slice", view=True)
def slice_(site: Site) -> Result:
    """Every n-th position between two."""
    start = site.integer("start") if site.has("start") else None
    end = site.integer("end") if site.has("end") else None
    axis, step = site.integer("dim", 0), site.integer("step", 1)
    return lowering.slice_axis(site.at, site.tensor("self"), axis, start, end, step)


@rule("narrow", view=True)
def narrow(site: Site) -> Result:
    """So many positions from a start on."""
    start, length = site.integer("start"), site.integer("length")
    x, axis = site.tensor("self"), site.integer("dim")
    if start < 0:
        start += site.at.shape(x)[site.at.axis(x, axis)]
    return lowering.slice_axis(site.at, x, axis, start, start + length)


@rule("flip")
def flip(site: Site) -> Result:
    """Backwards along some axes."""
    y = site.tensor("self")
    for axis in site.integers("dims"):
        y = lowering.slice_axis(site.at, y, axis, None, None, -1)
    return y


@rule("roll")
def roll(site: Site) -> Result:
    """What leaves at one end of an axis comes back at the other."""
    at, y = site.at, site.tensor("self")
    dims = site.integers("dims", ())
    if not dims:
        raise site.refuse("it rolls the flattened tensor", hint="name the dims to roll")
    for shift, axis in zip(site.integers("shifts"), dims, strict=True):
        size = at.shape(y)[at.axis(y, axis)]
        cut = -shift % size
        if cut:
            ends = lowering.split(at, y, (cut, size - cut), axis)
            y = lowering.concatenate(at, ends[::-1], axis)
    return y


@rule("constant_pad_nd", "pad")
def pad(site: Site) -> Result:
    """Amounts (before, after) of the last axis come first."""
    x = site.tensor("self")
    mode = site.text("mode", "constant")
    value = site.number("value", 0) if site.has("value") else 0.0
    return lowering.pad(site.at, x, _pads(site, site.at.rank(x)), mode=mode, value=value)


@rule("reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d")
def pad_by_itself(site: Site) -> Result:
    """By a mirror image, or by the edge."""
    x = site.tensor("self")
    mode = "reflect" if site.call.packet.startswith("reflection") else "replicate"
    return lowering.pad(site.at, x, _pads(site, site.at.rank(x), "padding"), mode=mode)


def _pads(site: Site, rank: int, name: str = "pad") -> Pairs:
    amounts = site.integers(name)
    if len(amounts) % 2 or len(amounts) > 2 * rank:
        raise site.malformed(f"its {name} is {amounts} for {rank} axes")
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]
    return ((0, 0),) * (rank - len(pairs)) + tuple(pairs[::-1])


@rule("pixel_shuffle")
def pixel_shuffle(site: Site) -> Result:
    """(c r r, h, w) as (c, h r, w r)."""
    at, x, r = site.at, site.tensor("self"), site.integer("upscale_factor")
    n, channels, h, w = at.shape(x)
    y = lowering.reshape(at, x, (n, channels // (r * r), r, r, h, w))
    y = lowering.transpose(at, y, (0, 1, 4, 2, 5, 3))
    return lowering.reshape(at, y, site.result_shape())


@rule("pixel_unshuffle")
def pixel_unshuffle(site: Site) -> Result:
    """(c, h r, w r) as (c r r, h, w)."""
    at, x, r = site.at, site.tensor("self"), site.integer("downscale_factor")
    n, channels, h, w = at.shape(x)
    y = lowering.reshape(at, x, (n, channels, h // r, r, w // r, r))
    y = lowering.transpose(at, y, (0, 1, 3, 5, 2, 4))
    return lowering.reshape(at, y, site.result_shape())


@rule("channel_shuffle")
def channel_shuffle(site: Site) -> Result:
    """Channels of all groups in turns."""
    at, x, groups = site.at, site.tensor("self"), site.integer("groups")
    n, channels, *pixels = at.shape(x)
    y = lowering.reshape(at, x, (n, groups, channels // groups, *pixels))
    order = (0, 2, 1, *range(3, 3 + len(pixels)))
    return lowering.reshape(at, lowering.transpose(at, y, order), at.shape(x))
