"""What PAD and PADV2 share: everything but the value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import TensorType, numpy_dtype
from smidgen.ops import _movement
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    NodeTypes,
    TfliteNode,
)
from smidgen.ops._order import Order, Permuted

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Array = np.ndarray[Any, Any]
Pairs = tuple[tuple[int, int], ...]


def _lines(shape: tuple[int, ...], paddings: Pairs) -> list[tuple[int, int, int]]:
    """(size, before, after) of as few axes as the paddings allow, the lines last.

    An axis without padding goes on where its neighbour ends: both are walked as one.
    """
    merged: list[tuple[int, int, int]] = []
    for size, (before, after) in zip(shape, paddings, strict=True):
        if merged and not before and not after:
            merged[-1] = (merged[-1][0] * size, merged[-1][1] * size, merged[-1][2] * size)
        elif merged == [(1, 0, 0)]:
            merged = [(size, before, after)]
        else:
            merged.append((size, before, after))
    return [(1, 0, 0)] * (_movement.MAX_LOOPS - len(merged)) + merged


def _site_lines(site: Site) -> list[tuple[int, int, int]]:
    assert isinstance(site.op, Padding)
    return _lines(site.input(0).shape, site.op.paddings)


def _params(site: Site, item: int, value: float) -> Mapping[str, Param]:
    *loops, line = _site_lines(site)
    fields: dict[str, Param] = {}
    for d, (size, before, after) in enumerate(loops):
        fields |= {f"size{d}": size, f"before{d}": before, f"after{d}": after}
    run, before, after = (n * item for n in line)
    return {**fields, "run": run, "before": before, "after": after, "value": value}


def _overlap(site: Site) -> Mapping[int, int]:
    """Lead bytes: lines are read in order, so the last one has moved the farthest."""
    lines = _site_lines(site)
    whole = [size + before + after for size, before, after in lines]
    writes = reads = 0
    for (size, before, _), out in zip(lines[:-1], whole[:-1], strict=True):
        writes, reads = writes * out + before + size - 1, reads * size + size - 1
    lead = writes * whole[-1] + lines[-1][1] - reads * lines[-1][0]
    return {0: lead * _movement.item_bytes(site.input(0))}


def _guard(site: Site) -> str | None:
    if len(_site_lines(site)) > _movement.MAX_LOOPS:
        return f"more than {_movement.MAX_LOOPS} axes are padded"
    assert isinstance(site.op, Padding)
    if site.op.value(site) is None:
        return "the value is computed at run time"
    return _movement.guard(site)


def _value_bytes(site: Site) -> bytes:
    assert isinstance(site.op, Padding)
    return np.array(site.op.value(site), numpy_dtype(site.dtype)).tobytes()


def _bytes_guard(site: Site) -> str | None:
    refused = _guard(site)
    if refused is None and len(set(_value_bytes(site))) > 1:
        return "the bytes of the value differ"
    return refused


def _any_value(dtype: str) -> Kernel:
    """The kernel that pads elements of `dtype` with any value."""

    def check(site: Site) -> str | None:
        return _guard(site) if site.dtype == dtype else f"the elements are {site.dtype}"

    def params(site: Site) -> Mapping[str, Param]:
        assert isinstance(site.op, Padding)
        value = site.op.value(site)
        assert value is not None
        return _params(site, 1, float(value) if dtype == "float32" else int(value))

    return Kernel(
        f"sm_pad_{dtype}",
        f"pad_{dtype}.h",
        guard=check,
        params=params,
        arguments=(0,),
        overlap=_overlap,
    )


def torch_pad(x: Any, paddings: Pairs, value: float) -> Any:
    """Pad a torch tensor, axis by axis, with one value."""
    from torch.nn import functional

    flat = [amount for pair in reversed(paddings) for amount in pair]  # torch counts from the end
    return functional.pad(x, flat, value=value)


@dataclass(frozen=True)
class Padding(_movement.Movement):
    """`paddings[i]` elements, (before, after), are added on axis i."""

    paddings: Pairs = ()

    def value(self, site: Site) -> float | None:
        """What is filled in, as the kernel has it; None when known at run time only."""
        raise NotImplementedError

    def padded(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        """The result's type from the first operand's."""
        x = types[0]
        if x is None or len(self.paddings) != x.rank:
            raise ValueError(f"paddings {self.paddings} are not one pair for each axis of {x}")
        if any(amount < 0 for pair in self.paddings for amount in pair):
            raise ValueError(f"paddings {self.paddings} are negative")
        shape = (n + sum(pair) for n, pair in zip(x.shape, self.paddings, strict=True))
        return (TensorType(tuple(shape), x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        return self.paddings[:1] == ((0, 0),)

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        moved = replace(self, paddings=tuple(self.paddings[axis] for axis in order))
        return Permuted(moved, (order, *[None] * (len(types) - 1)), (order,))

    @staticmethod
    def read_paddings(node: TfliteNode) -> Pairs:
        """The paddings of a file's node."""
        table = node.constant(1, "paddings").reshape(-1, 2)
        return tuple((int(before), int(after)) for before, after in table)

    def paddings_table(self) -> Array:
        """The paddings as the file has them, int32 (rank, 2)."""
        return np.array(self.paddings, np.int32).reshape(-1, 2)

    def tflite_version(self, types: NodeTypes) -> int:
        if len(self.paddings) > 4:
            return 4
        return {"int8": 2, "int16": 3, "bool": 5}.get(types.dtype, 1)

    kernels = (
        Kernel(
            "sm_pad_bytes",
            "pad_bytes.h",
            guard=_bytes_guard,
            params=lambda site: _params(
                site, _movement.item_bytes(site.input(0)), _value_bytes(site)[0]
            ),
            arguments=(0,),
            overlap=_overlap,
        ),
        _any_value("int16"),
        _any_value("float32"),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels pass; what is filled in before them shifts them."""
        x = types[0]
        assert x is not None
        if not x.rank:
            return ()
        last = x.rank - 1
        members = (AxisRef(0, last), AxisRef(-1, last, offset=self.paddings[last][0]))
        return (Coupling(x.shape[last], members),)


def paddings(shape: tuple[int, ...]) -> SearchStrategy[Pairs]:
    """Paddings of a tensor of `shape`: mostly of the inner axes, as models have them."""
    from hypothesis import strategies as st

    pair = st.one_of(st.just((0, 0)), st.tuples(st.integers(0, 3), st.integers(0, 3)))
    rare = st.one_of(st.just((0, 0)), st.just((0, 0)), st.just((0, 0)), pair)
    return st.tuples(rare, *[pair] * (len(shape) - 1))
