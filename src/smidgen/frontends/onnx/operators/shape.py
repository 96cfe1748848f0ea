"""Operators that give elements another shape or order."""

from __future__ import annotations

import math

import numpy as np

from smidgen.frontends import lowering as lower
from smidgen.frontends.onnx.site import NodeSite, Operand, operator
from smidgen.frontends.onnx.tensors import MAX_ELEMENTS, Array


def reshaped(site: NodeSite, x: Operand, shape: tuple[int, ...]) -> Operand:
    """The operand under another shape, constant if it is."""
    return lower.reshape(site.at, x, shape) if isinstance(x, str) else x.reshape(shape)


@operator("Shape")
def shape(site: NodeSite) -> Operand:
    """The operand's shape, or a part of it."""
    dims = site.shape(0)
    start, end = site.integer("start", 0), site.integer("end", len(dims))
    return np.array(dims[start:end], np.int64)


@operator("Size")
def size(site: NodeSite) -> Operand:
    """The number of elements."""
    return np.array(math.prod(site.shape(0)), np.int64)


@operator("Reshape")
def reshape(site: NodeSite) -> Operand:
    """The operand under the shape given: 0 keeps a size, -1 is what remains."""
    x = site.source(0)
    old = site.shape(x)
    wanted = site.ints(1, "shape")
    if not site.flag("allowzero"):
        if any(d == 0 and i >= len(old) for i, d in enumerate(wanted)):
            raise site.malformed(f"its shape {wanted} keeps a size that {old} does not have")
        wanted = [old[i] if d == 0 else d for i, d in enumerate(wanted)]
    if wanted.count(-1) == 1:
        known = math.prod(d for d in wanted if d != -1)
        if not known or math.prod(old) % known:
            raise site.malformed(f"{old} does not fill the shape {wanted}")
        wanted[wanted.index(-1)] = math.prod(old) // known
    if any(d < 0 for d in wanted) or math.prod(wanted) != math.prod(old):
        raise site.refuse(
            f"{old} does not fill the shape {tuple(wanted)}",
            hint="if the model was exported for another batch, give shapes={...} with that batch",
        )
    return reshaped(site, x, tuple(wanted))


@operator("Flatten")
def flatten(site: NodeSite) -> Operand:
    """Two axes: those before the given one, and those from it on."""
    x = site.source(0)
    dims = site.shape(x)
    axis = site.integer("axis", 1)
    if not -len(dims) <= axis <= len(dims):
        raise site.malformed(f"its axis is {axis} for {len(dims)} dimensions")
    axis += len(dims) if axis < 0 else 0
    return reshaped(site, x, (math.prod(dims[:axis]), math.prod(dims[axis:])))


def _axes(site: NodeSite, rank: int) -> list[int] | None:
    """Axes from an attribute before opset 13 and from an operand since; None if left out."""
    axes = site.attributes.get("axes") if "axes" in site.attributes else None
    if axes is None and site.has(1):
        axes = site.ints(1, "axes")
    if axes is None:
        return None
    return sorted(site.axis_of(int(axis), rank) for axis in axes)


@operator("Squeeze")
def squeeze(site: NodeSite) -> Operand:
    """Without some axes of size 1, or without all of them."""
    x = site.source(0)
    dims = site.shape(x)
    axes = _axes(site, len(dims))
    if axes is None:
        axes = [i for i, d in enumerate(dims) if d == 1]
    if any(dims[axis] != 1 for axis in axes):
        raise site.malformed(f"its axes {axes} of {dims} are not all of size 1")
    return reshaped(site, x, tuple(d for i, d in enumerate(dims) if i not in axes))


@operator("Unsqueeze")
def unsqueeze(site: NodeSite) -> Operand:
    """With axes of size 1 put in."""
    x = site.source(0)
    dims = list(site.shape(x))
    given = site.attributes.get("axes")
    count = len(dims) + (len(given) if given is not None else len(site.ints(1, "axes")))
    axes = _axes(site, count)
    if axes is None or len(set(axes)) < len(axes):
        raise site.malformed(f"its axes are {axes}")
    for axis in axes:
        dims.insert(axis, 1)
    return reshaped(site, x, tuple(dims))


@operator("Transpose")
def transpose(site: NodeSite) -> Operand:
    """Axes in another order, or in reverse."""
    x = site.source(0)
    rank = len(site.shape(x))
    perm = site.integers("perm", tuple(reversed(range(rank))))
    if sorted(perm) != list(range(rank)):
        raise site.malformed(f"its perm is {perm} for {rank} dimensions")
    return lower.transpose(site.at, x, perm) if isinstance(x, str) else x.transpose(perm)


@operator("Concat")
def concat(site: NodeSite) -> Operand:
    """The operands one after the other along an axis."""
    parts = [site.source(i) for i in range(len(site))]
    axis = site.axis(len(site.shape(0)))
    constants = [p for p in parts if not isinstance(p, str)]
    if len(constants) == len(parts):
        site.reserve((sum(c.size for c in constants),), constants[0].itemsize)
        return np.concatenate(constants, axis)
    present = [site.operand(i) for i in range(len(site)) if 0 not in site.shape(i)]
    if len(present) == 1:
        return present[0]
    return lower.concatenate(site.at, present, axis)


@operator("Split")
def split(site: NodeSite) -> list[Operand]:
    """Parts along an axis, of the sizes given or as equal as can be."""
    x = site.source(0)
    dims = site.shape(x)
    axis = site.axis(len(dims), 0)
    sizes = site.attributes.get("split")
    if sizes is None and site.has(1):
        sizes = site.ints(1, "split")
    if sizes is None:
        count = site.integer("num_outputs", len(site.outputs))
        each = -(-dims[axis] // max(count, 1))
        sizes = [each] * (count - 1) + [dims[axis] - each * (count - 1)]
    if sum(sizes) != dims[axis] or any(s < 0 for s in sizes):
        raise site.malformed(f"its parts {sizes} are not the {dims[axis]} of axis {axis}")
    if not isinstance(x, str):
        return list(np.split(x, np.cumsum(sizes)[:-1], axis))
    return list(lower.split(site.at, x, sizes, axis))


@operator("Slice")
def slice_(site: NodeSite) -> Operand:
    """Every n-th element between a start and an end, along some axes."""
    x = site.source(0)
    dims = site.shape(x)
    if site.version < 10:
        starts, ends = list(site.integers("starts")), list(site.integers("ends"))
        axes = list(site.integers("axes", range(len(starts))))
        steps = [1] * len(starts)
    else:
        starts, ends = site.ints(1, "starts"), site.ints(2, "ends")
        axes = site.ints(3, "axes") if site.has(3) else list(range(len(starts)))
        steps = site.ints(4, "steps") if site.has(4) else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise site.malformed(f"its starts, ends, axes and steps are {starts, ends, axes, steps}")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = site.axis_of(axis, len(dims))
        begin, stop = _bounds(dims[place], start, end, step)
        if isinstance(x, str):
            x = lower.slice_axis(site.at, x, place, begin, stop, step)
        else:
            x = x[(slice(None),) * place + (slice(begin, stop, step),)]
    return x


def _bounds(size: int, start: int, end: int, step: int) -> tuple[int, int | None]:
    """Start and end as Python has them, where ONNX clamps what lies outside."""
    start += size if start < 0 else 0
    end += size if end < 0 else 0
    if step > 0:
        return min(max(start, 0), size), min(max(end, 0), size)
    start, end = min(max(start, 0), size - 1), min(max(end, -1), size - 1)
    return start, None if end < 0 else end


@operator("Gather")
def gather(site: NodeSite) -> Operand:
    """Positions along an axis."""
    x = site.source(0)
    dims = site.shape(x)
    axis = site.axis(len(dims), 0)
    indices = site.known(1)
    if indices is None:  # those that count from the end are only known when the model runs
        size = np.array([dims[axis]], np.int32)
        places = lower.binary(site.at, "FLOOR_MOD", site.source(1), size)
        return lower.gather(site.at, site.operand(0), places, axis)
    if indices.size and not (-dims[axis] <= indices.min() and indices.max() < dims[axis]):
        raise site.malformed(f"its indices reach beyond the {dims[axis]} of axis {axis}")
    if not isinstance(x, str):
        site.reserve((x.size // max(1, dims[axis]), indices.size), x.itemsize)
        return np.take(x, indices, axis)
    positions = np.where(indices < 0, indices + dims[axis], indices)
    as_slice = _as_slice(positions)
    if as_slice is None:
        return lower.gather(site.at, x, positions.astype(np.int32), axis)
    begin, end, step = as_slice
    y = lower.slice_axis(site.at, x, axis, begin, end, step)
    return lower.reshape(site.at, y, (*dims[:axis], *positions.shape, *dims[axis + 1 :]))


def _as_slice(places: Array) -> tuple[int, int | None, int] | None:
    """Begin, end and step of positions that are equally far from each other."""
    flat = [int(i) for i in places.ravel()]
    if not flat:
        return None
    step = flat[1] - flat[0] if len(flat) > 1 else 1
    end = flat[-1] + (1 if step > 0 else -1)
    if step and flat == list(range(flat[0], end, step)):
        return flat[0], None if end < 0 else end, step
    return None


@operator("GatherND")
def gather_nd(site: NodeSite) -> Operand:
    """Slices at positions given by their leading indices."""
    indices = site.constant(1, "indices")
    batch = site.integer("batch_dims", 0)
    if batch:
        raise site.refuse(f"it has {batch} batch dimensions", hint="use Gather")
    dims = site.shape(0)
    depth = indices.shape[-1]
    places = np.where(indices < 0, indices + np.array(dims[:depth]), indices)
    if places.size and ((places < 0) | (places >= np.array(dims[:depth]))).any():
        raise site.malformed("its indices reach beyond its operand")
    flat = np.ravel_multi_index(tuple(np.moveaxis(places, -1, 0)), dims[:depth])
    return _flat_gather(site, np.asarray(flat))


def _flat_gather(site: NodeSite, places: Array) -> Operand:
    """Rows of the operand whose leading axes are taken as one."""
    x = site.source(0)
    dims = site.shape(x)
    depth = _depth_of(site, dims)
    rest = dims[depth:]
    flat = reshaped(site, x, (math.prod(dims[:depth]), *rest))
    if not isinstance(flat, str):
        site.reserve((places.size, *rest), flat.itemsize)
        return np.take(flat, places, 0)
    return lower.gather(site.at, flat, places.astype(np.int32), 0)


def _depth_of(site: NodeSite, dims: tuple[int, ...]) -> int:
    return len(dims) if site.op_type == "GatherElements" else site.shape(1)[-1]


@operator("GatherElements")
def gather_elements(site: NodeSite) -> Operand:
    """Elements whose position along one axis is given."""
    dims = site.shape(0)
    axis = site.axis(len(dims), 0)
    indices = site.constant(1, "indices")
    places = np.where(indices < 0, indices + dims[axis], indices)
    if places.size and (places.min() < 0 or places.max() >= dims[axis]):
        raise site.malformed("its indices reach beyond its operand")
    grid: list[Array] = list(np.indices(places.shape))
    grid[axis] = places
    return _flat_gather(site, np.asarray(np.ravel_multi_index(tuple(grid), dims)))


@operator("Expand")
def expand(site: NodeSite) -> Operand:
    """The operand repeated along its axes of size 1; sizes of 1 in the shape keep its own."""
    x = site.source(0)
    shape = tuple(np.broadcast_shapes(site.shape(x), tuple(site.ints(1, "shape"))))
    if not isinstance(x, str):
        site.reserve(shape, x.itemsize)
        return np.array(np.broadcast_to(x, shape))
    return lower.expand(site.at, x, shape)


@operator("Tile")
def tile(site: NodeSite) -> Operand:
    """The operand side by side with itself."""
    x = site.source(0)
    repeats = site.ints(1, "repeats")
    dims = site.shape(x)
    if len(repeats) != len(dims) or any(r < 1 for r in repeats):
        raise site.malformed(f"its repeats are {repeats} for {len(dims)} dimensions")
    if not isinstance(x, str):
        site.reserve([d * r for d, r in zip(dims, repeats, strict=True)], x.itemsize)
        return np.tile(x, repeats)
    if set(repeats) == {1}:
        return x
    return site.at.add("TILE", [x], multiples=tuple(repeats))


@operator("DepthToSpace", "SpaceToDepth")
def depth_and_space(site: NodeSite) -> Operand:
    """Blocks of channels as pixels, or pixels as blocks of channels."""
    x = site.x
    n, c, h, w = site.shape(x)
    b = site.integer("blocksize")
    if b < 1:
        raise site.malformed(f"its blocksize is {b}")
    if site.op_type == "SpaceToDepth":
        if h % b or w % b:
            raise site.malformed(f"blocks of {b} of an image of {h} by {w}")
        split, order = (n, c, h // b, b, w // b, b), (0, 3, 5, 1, 2, 4)
        whole = (n, c * b * b, h // b, w // b)
        if site.text("mode", "DCR") == "CRD":
            order = (0, 1, 3, 5, 2, 4)
    elif c % (b * b):
        raise site.malformed(f"{c} channels in blocks of {b} by {b}")
    else:
        whole = (n, c // (b * b), h * b, w * b)
        split, order = (n, b, b, c // (b * b), h, w), (0, 3, 4, 1, 5, 2)
        if site.text("mode", "DCR") == "CRD":
            split, order = (n, c // (b * b), b, b, h, w), (0, 1, 4, 2, 5, 3)
    return _pixels(site, x, b, split, order, whole)


def _pixels(
    site: NodeSite,
    x: Operand,
    block: int,
    split: tuple[int, ...],
    order: tuple[int, ...],
    whole: tuple[int, ...],
) -> Operand:
    """LiteRT's operator where it orders channels alike; movements elsewhere."""
    at = site.at
    if site.text("mode", "DCR") == "DCR":
        name = "DEPTH_TO_SPACE" if site.op_type == "DepthToSpace" else "SPACE_TO_DEPTH"
        return at.channels_first(at.add(name, [at.channels_last(x)], block_size=block))
    y = lower.reshape(at, x, split)
    return lower.reshape(at, lower.transpose(at, y, order), whole)


_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


@operator("Pad")
def pad(site: NodeSite) -> Operand:
    """A border of a constant or of the operand's own elements."""
    x = site.source(0)
    dims = site.shape(x)
    mode = site.text("mode", "constant")
    if mode not in _PAD_MODES:
        raise site.malformed(f"its mode is {mode!r}")
    if site.version < 11:
        flat, value = list(site.integers("pads")), site.real("value", 0.0)
        axes = range(len(dims))
    else:
        flat = site.ints(1, "pads")
        value = site.number(2, "value") if site.has(2) else 0.0
        given = site.ints(3, "axes") if site.has(3) else range(len(dims))
        axes = [site.axis_of(axis, len(dims)) for axis in given]  # type: ignore[assignment]
    if len(flat) != 2 * len(axes):
        raise site.malformed(f"its pads are {flat} for {len(axes)} axes")
    pads = [(0, 0)] * len(dims)
    for place, axis in enumerate(axes):
        pads[axis] = (flat[place], flat[place + len(axes)])
    if any(abs(p) >= MAX_ELEMENTS for pair in pads for p in pair):
        raise site.malformed(f"its pads are {flat}")
    if not isinstance(x, str):
        site.reserve([max(0, d + sum(p)) for d, p in zip(dims, pads, strict=True)], x.itemsize)
        return _padded(x, pads, mode, value)
    return lower.pad(site.at, x, tuple(pads), mode=_PAD_MODES[mode], value=value)


def _padded(x: Array, pads: list[tuple[int, int]], mode: str, value: float) -> Array:
    crop = tuple(
        slice(max(0, -before), size - max(0, -after))
        for size, (before, after) in zip(x.shape, pads, strict=True)
    )
    grown = [(max(0, before), max(0, after)) for before, after in pads]
    if mode == "constant":
        return np.pad(x[crop], grown, constant_values=value)
    return np.pad(x[crop], grown, mode=mode)  # type: ignore[call-overload,no-any-return]


@operator("Trilu")
def trilu(site: NodeSite) -> Operand:
    """The upper or lower triangle, zero elsewhere."""
    x = site.source(0)
    k = site.ints(1, "diagonal")[0] if site.has(1) else 0
    k = max(-(1 << 20), min(1 << 20, k))
    upper = site.flag("upper", True)
    if not isinstance(x, str):
        return np.triu(x, k) if upper else np.tril(x, k)
    rows, columns = site.shape(x)[-2:]
    mask = np.ones((rows, columns), np.float32)
    mask = np.triu(mask, k) if upper else np.tril(mask, k)
    return lower.multiply(site.at, x, mask.astype(site.dtype(x)))
