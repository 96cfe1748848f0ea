"""Operators that make constants, and those whose result must be known before the model runs."""

from __future__ import annotations

import numpy as np

from smidgen.frontends.onnx.site import NodeSite, Operand, operator
from smidgen.frontends.onnx.tensors import MAX_ELEMENTS, Array, dtype_of


@operator("Constant")
def constant(site: NodeSite) -> Operand:
    """The array in its attribute."""
    attributes = site.attributes
    if isinstance(attributes.get("value"), np.ndarray):
        return np.asarray(attributes["value"])
    for name, dtype in (("float", np.float32), ("int", np.int64)):
        for key in (f"value_{name}", f"value_{name}s"):
            if key in attributes:
                return np.array(attributes[key], dtype)
    raise site.refuse("its value is not a tensor of numbers", hint="export plain tensors")


@operator("ConstantOfShape")
def constant_of_shape(site: NodeSite) -> Operand:
    """One number everywhere."""
    shape = tuple(site.ints(0, "shape"))
    value = site.attributes.get("value", np.zeros(1, np.float32))
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise site.malformed("its value is not one number")
    site.reserve(shape, value.itemsize)
    return np.full(shape, value.ravel()[0], value.dtype)


@operator("Range")
def range_(site: NodeSite) -> Operand:
    """Numbers from a start up to a limit, in steps."""
    start, limit, delta = (site.constant(i, w) for i, w in enumerate(("start", "limit", "delta")))
    first, last, step = (a.ravel()[0].item() for a in (start, limit, delta))
    if not step or not np.isfinite([first, last, step]).all():
        raise site.malformed(f"it counts from {first} to {last} in steps of {step}")
    count = max(0, int(np.ceil((last - first) / step)))
    site.reserve((count,), 8)
    return np.asarray(first + np.arange(count) * step, start.dtype)


@operator("EyeLike")
def eye_like(site: NodeSite) -> Operand:
    """Ones on a diagonal."""
    shape = site.shape(0)
    if len(shape) != 2:
        raise site.malformed(f"its operand has the shape {shape}")
    dtype = site.dtype(site.source(0))
    if "dtype" in site.attributes:
        dtype = dtype_of(site.integer("dtype"), site.label)
    k = max(-MAX_ELEMENTS, min(MAX_ELEMENTS, site.integer("k", 0)))
    site.reserve(shape, dtype.itemsize)
    return np.eye(*shape, k, dtype=dtype)


def _windows(site: NodeSite, weights: tuple[float, ...]) -> Operand:
    """A sum of cosines over a window, as signal processing weighs its frames."""
    size = site.ints(0, "size")[0]
    site.reserve((size,), 8)
    length = size if site.flag("periodic", True) else size - 1
    angles = 2 * np.pi * np.arange(size) / max(length, 1)
    total = sum(w * np.cos(k * angles) * (-1) ** k for k, w in enumerate(weights))
    return np.asarray(total, dtype_of(site.integer("output_datatype", 1), site.label))


@operator("HannWindow")
def hann_window(site: NodeSite) -> Operand:
    """Half a cosine."""
    return _windows(site, (0.5, 0.5))


@operator("HammingWindow")
def hamming_window(site: NodeSite) -> Operand:
    """A cosine on a pedestal; ONNX has Hamming's own fractions."""
    return _windows(site, (25 / 46, 21 / 46))


@operator("BlackmanWindow")
def blackman_window(site: NodeSite) -> Operand:
    """Two cosines."""
    return _windows(site, (0.42, 0.5, 0.08))


@operator("OneHot")
def one_hot(site: NodeSite) -> Operand:
    """A one among zeros for each index."""
    indices = site.constant(0, "indices")
    depth = int(site.number(1, "depth"))
    values: Array = site.constant(2, "values")
    axis = site.integer("axis", -1) % (indices.ndim + 1)
    site.reserve((*indices.shape, depth), 2 * values.itemsize)
    places = np.arange(depth).reshape([-1 if i == axis else 1 for i in range(indices.ndim + 1)])
    from_end = np.where(indices < 0, indices + depth, indices)  # beyond either end: no one at all
    hot = np.expand_dims(from_end, axis) == places
    return np.asarray(np.where(hot, values[1], values[0]))


@operator("NonZero")
def non_zero(site: NodeSite) -> Operand:
    """Where a constant is not zero."""
    return np.array(np.nonzero(site.constant(0, "operand")), np.int64)


@operator("ScatterND")
def scatter_nd(site: NodeSite) -> Operand:
    """A constant with some elements replaced."""
    data, indices, updates = (
        site.constant(i, what) for i, what in enumerate(("data", "indices", "updates"))
    )
    if site.text("reduction", "none") != "none":
        raise site.refuse("it combines what it replaces", hint="use reduction='none'")
    result: Array = data.copy()
    result[tuple(np.moveaxis(indices, -1, 0))] = updates
    return result
