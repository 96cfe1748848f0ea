"""What SPLIT, SPLIT_V and UNPACK share: one tensor taken apart along an axis."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import AxisRef, Coupling, Op, QuantRule, Role
from smidgen.ops._order import Order, Permuted

if TYPE_CHECKING:
    from smidgen.ir import QuantParams

Array = np.ndarray[Any, Any]


def _params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, Splitting)
    shape, item = site.input(0).shape, _movement.item_bytes(site.input(0))
    step = math.prod(shape[site.op.axis + 1 :]) * item
    parts = site.op.parts(site.input(0))
    return {
        "outer": math.prod(shape[: site.op.axis]),
        "count": len(parts),
        "bytes": np.array(parts, np.int32) * step,
    }


class Splitting(_movement.Movement):
    """An operator that takes its operand apart along `axis`, which counts from 0."""

    axis: int

    def parts(self, x: TensorType) -> tuple[int, ...]:
        """How many positions on the axis each result takes.

        Raises:
            ValueError: if the operand cannot be taken apart so.
        """
        raise NotImplementedError

    def size(self, x: TensorType) -> int:
        """How many positions there are.

        Raises:
            ValueError: if there is no such axis.
        """
        if not 0 <= self.axis < x.rank:
            raise ValueError(f"axis {self.axis} does not exist in {x}")
        return x.shape[self.axis]

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = _movement.the_operand(types)
        parts = self.parts(x)
        if not parts or min(parts) < 1 or sum(parts) != self.size(x):
            raise ValueError(f"parts of {parts} do not make axis {self.axis} of {x.shape}")
        before, after = x.shape[: self.axis], x.shape[self.axis + 1 :]
        return tuple(TensorType((*before, n, *after), x.dtype) for n in parts)

    def batchable(self, *types: TensorType | None) -> bool:
        return self.axis > 0

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        results = len(self.parts(_movement.the_operand(types)))
        return Permuted(self.along(order.index(self.axis)), (order,), (order,) * results)

    def along(self, axis: int) -> Op:
        """The same operator on another axis."""
        return dataclasses.replace(self, axis=axis)  # type: ignore[type-var]

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = _movement.the_array(arrays)
        ends = np.cumsum(self.parts(TensorType(x.shape, "int8")))
        return tuple(np.split(x, ends[:-1], self.axis))

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        parts = self.parts(TensorType(tuple(x.shape), "float32"))
        return tuple(x.split(parts, self.axis))

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        results = len(self.parts(_movement.the_operand(types)))
        return QuantRule((Role.ACTIVATION,), ties=((0, *(~i for i in range(results))),))

    kernels = (
        Kernel(
            "sm_split_bytes",
            "split_bytes.h",
            guard=_movement.guard,
            params=_params,
            arguments=(0,),
            scatter=True,
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels taken apart go to one result each; others go to all."""
        x = _movement.the_operand(types)
        parts, last = self.parts(x), x.rank - 1
        if self.axis < last:
            members = [AxisRef(~i, last) for i in range(len(parts))]
            return (Coupling(x.shape[last], (AxisRef(0, last), *members)),)
        return tuple(
            Coupling(size, (AxisRef(0, last, offset=sum(parts[:i])), AxisRef(~i, last)))
            for i, size in enumerate(parts)
        )


def quants(x: TensorType, results: int) -> tuple[QuantParams | None, ...]:
    """The operand's own parameters, for each result."""
    return (x.quant,) * results
