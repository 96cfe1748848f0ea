"""What the operators that only move elements share: meaning, loops over the input, overlap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.ir import TensorType
from smidgen.ir.types import ITEM_BITS
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, Op, QuantRule, Role
from smidgen.ops._range import monotone

Array = np.ndarray[Any, Any]
MAX_LOOPS = 4


class Movement(Op):
    """An operator whose elements are its operands', moved as they are."""

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        return self.float_ref(*arrays)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION,) * len(types), ties=((*range(len(types)), -1),))

    def macs(self, *types: TensorType | None) -> int:
        return 0

    value_range = monotone


def the_operand(types: tuple[TensorType | None, ...]) -> TensorType:
    """The type of the only operand.

    Raises:
        ValueError: if there is none or more than one.
    """
    if len(types) != 1 or types[0] is None:
        raise ValueError(f"takes one operand, got {len(types)}")
    return types[0]


def the_array(arrays: tuple[Array | None, ...]) -> Array:
    """The array of the only operand."""
    (x,) = arrays
    assert x is not None
    return x


def item_bytes(type: TensorType) -> int:
    """Bytes of one element."""
    return ITEM_BITS[type.dtype] // 8


def guard(site: Site) -> str | None:
    """Why kernels that copy bytes cannot compute this site, or None."""
    if ITEM_BITS[site.dtype] % 8:
        return f"elements of {site.dtype} are no whole bytes"
    if site.output.dtype != site.dtype:
        return f"input and output are {site.dtype} and {site.output.dtype}"
    return None


def lead(reads: Array, run: int) -> int:
    """Safe overlap of a kernel that fills its output in order, `run` bytes at a time.

    Args:
        reads: position in the input, in bytes, that each run is copied from.
        run: bytes copied at a time.

    Returns:
        Lead bytes: when a run is copied, what is written before it ends at or below its source.
    """
    return max(0, int((np.arange(reads.size) * run - reads.ravel()).max(initial=0)))


@dataclass(frozen=True)
class Walk:
    """The input of a copy, in the order in which the output is filled.

    Args:
        first: position of the first run, in bytes.
        loops: (count, stride in bytes) of nested loops, the outermost first.
        run: bytes copied at a time.
    """

    first: int
    loops: tuple[tuple[int, int], ...]
    run: int

    @classmethod
    def over(cls, sizes: Sequence[int], strides: Sequence[int], item: int, first: int = 0) -> Walk:
        """The fewest loops and longest runs that fill an output of `sizes`.

        Args:
            sizes: the output's dimensions.
            strides: elements of the input between neighbours along each of them.
            item: bytes of one element.
            first: element of the input that the output starts with.
        """
        loops: list[tuple[int, int]] = []
        for size, stride in zip(sizes, strides, strict=True):
            if size == 1:
                continue
            if loops and loops[-1][1] == size * stride:  # one loop goes on where the other ends
                loops[-1] = (loops[-1][0] * size, stride)
            else:
                loops.append((size, stride))
        run = item * loops.pop()[0] if loops and loops[-1][1] == 1 else item
        return cls(first * item, tuple((n, s * item) for n, s in loops), run)

    @property
    def lead(self) -> int:
        """Safe overlap of the copy."""
        reads = np.full(1, self.first)
        for count, stride in self.loops:
            reads = (reads[:, None] + stride * np.arange(count)).ravel()
        return lead(reads, self.run)

    def params(self) -> Mapping[str, Param]:
        """Fields of `sm_copy_bytes_params`."""
        fields: dict[str, Param] = {"first": self.first, "run": self.run}
        padded = ((1, 0),) * (MAX_LOOPS - len(self.loops)) + self.loops
        for d, (count, stride) in enumerate(padded):
            fields |= {f"size{d}": count, f"stride{d}": stride}
        return fields


def strides(shape: tuple[int, ...]) -> list[int]:
    """Elements between neighbours along each axis of a dense tensor."""
    return [math.prod(shape[d + 1 :]) for d in range(len(shape))]


def copy_kernels(walk: Any) -> tuple[Kernel, ...]:
    """The kernels of an operator that copies its operand in the order of `walk(site)`."""

    def check(site: Site) -> str | None:
        loops = len(walk(site).loops)
        if loops > MAX_LOOPS:
            return f"{loops} dimensions are walked separately; it goes up to {MAX_LOOPS}"
        return guard(site)

    def deep_params(site: Site) -> Mapping[str, Param]:
        found = walk(site)
        sizes, strides = (np.array(n, np.int32) for n in zip(*found.loops, strict=True))
        return {
            "first": found.first,
            "run": found.run,
            "runs": math.prod(sizes.tolist()),
            "loops": len(found.loops),
            "sizes": sizes,
            "strides": strides,
        }

    return (
        Kernel(
            "sm_copy_bytes",
            "copy_bytes.h",
            guard=check,
            params=lambda site: walk(site).params(),
            arguments=(0,),
            overlap=lambda site: {0: walk(site).lead},
        ),
        Kernel(
            "sm_copy_bytes_deep",
            "copy_bytes_deep.h",
            guard=guard,
            params=deep_params,
            arguments=(0,),
            overlap=lambda site: {0: walk(site).lead},
        ),
    )
