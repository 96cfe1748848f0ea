"""What the operators share that look slices of a table up by their numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, QuantRule, Role
from smidgen.ops._range import Range

Array = np.ndarray[Any, Any]


def look_up(table: Array, indices: Array, axis: int, batch_dims: int = 0) -> Array:
    """Slices of `table` along `axis`; numbers that none has stand for the nearest that has one.

    The first `batch_dims` axes of both belong together; along the first of them one of the two may
    be alone for a widened batch of the other.
    """
    at = np.clip(indices, 0, table.shape[axis] - 1)
    if not batch_dims:
        return np.take(table, at, axis)
    count = max(len(table), len(at))
    table, at = (np.repeat(a, count // len(a), axis=0) for a in (table, at))
    batch = table.shape[:batch_dims]
    pairs = zip(
        table.reshape(-1, *table.shape[batch_dims:]),
        at.reshape(-1, *at.shape[batch_dims:]),
        strict=True,
    )
    found = np.stack([np.take(t, i, axis - batch_dims) for t, i in pairs])
    return found.reshape(*batch, *found.shape[1:])


def torch_look_up(table: Any, indices: Any, axis: int, batch_dims: int = 0) -> Any:
    """`look_up` of torch tensors."""
    import torch

    if not batch_dims:
        at = indices.clamp(0, table.shape[axis] - 1)
        found = table.index_select(axis, at.reshape(-1))
        return found.reshape((*table.shape[:axis], *at.shape, *table.shape[axis + 1 :]))
    count = max(len(table), len(indices))
    pairs = zip(
        table.expand(count, *table.shape[1:]),
        indices.expand(count, *indices.shape[1:]),
        strict=True,
    )
    return torch.stack([torch_look_up(t, i, axis - 1, batch_dims - 1) for t, i in pairs])


class Lookup(_movement.Movement):
    """An operator on a table (operand `table`) and indices (operand `1 - table`), int32."""

    table: ClassVar[int] = 0

    def where(self, *types: TensorType | None) -> tuple[int, int]:
        """The table's axis that is looked up, and the number of batch axes before it."""
        raise NotImplementedError

    def operands(self, types: tuple[Any, ...]) -> tuple[Any, Any]:
        """Of two things, one for each operand, the table's first."""
        if len(types) != 2 or types[0] is None or types[1] is None:
            raise ValueError(f"takes a table and indices, got {len(types)} operands")
        return types[self.table], types[1 - self.table]

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        table, indices = self.operands(types)
        axis, batch_dims = self.where(*types)
        if indices.dtype != "int32":
            raise ValueError(f"indices are {indices.dtype}, not int32")
        if not 0 <= batch_dims <= axis < table.rank or batch_dims > indices.rank:
            raise ValueError(f"axis {axis} after {batch_dims} batch axes of {table.shape}")
        if table.shape[:batch_dims] != indices.shape[:batch_dims]:
            raise ValueError(f"the batch axes of {table.shape} and {indices.shape} differ")
        if not table.shape[axis]:
            raise ValueError(f"axis {axis} of {table.shape} is empty")
        shape = (*table.shape[:axis], *indices.shape[batch_dims:], *table.shape[axis + 1 :])
        return (TensorType(shape, table.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        """Whether axis 0 is the batch of what is computed at run time, and of that only.

        Types do not tell which operand is constant, but one with another batch than 1 is.
        """
        table, indices = self.operands(types)
        axis, batch_dims = self.where(*types)
        if batch_dims:
            return True
        if axis == 0:  # rows of a constant table: the result's first axis is that of the indices
            return bool(table.shape[0] != 1 and indices.shape[:1] == (1,))
        return bool(table.shape[0] == 1 and indices.shape[:1] != (1,))

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        table, indices = self.operands(arrays)
        types = (TensorType(a.shape, str(a.dtype)) for a in arrays if a is not None)
        return (look_up(table, indices, *self.where(*types)),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        table, indices = self.operands(tensors)
        types = (TensorType(tuple(t.shape), str(t.dtype).removeprefix("torch.")) for t in tensors)
        return torch_look_up(table, indices.long(), *self.where(*types))

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        """Indices that are not known reach every slice."""
        table, (first, last) = self.operands(ranges)
        where = self.where(*types.inputs)
        if np.array_equal(first, last):
            low, high = (look_up(end, first, *where) for end in table)
        else:
            whole = (table[0].min(where[0], keepdims=True), table[1].max(where[0], keepdims=True))
            low, high = (look_up(end, np.zeros_like(first), *where) for end in whole)
        return ((low, high),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        roles = [Role.INDEX, Role.INDEX]
        roles[self.table] = Role.ACTIVATION
        return QuantRule(tuple(roles), ties=((self.table, -1),))


def _params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, Lookup)
    table, indices = site.op.operands(site.inputs)
    axis, batch_dims = site.op.where(*site.inputs)
    return {
        "batches": math.prod(table.shape[:batch_dims]),
        "outer": math.prod(table.shape[batch_dims:axis]),
        "rows": table.shape[axis],
        "count": math.prod(indices.shape[batch_dims:]),
        "bytes": math.prod(table.shape[axis + 1 :]) * _movement.item_bytes(table),
    }


def _guard(site: Site) -> str | None:
    assert isinstance(site.op, Lookup)
    item = site.op.operands(site.inputs)[0].dtype
    return "elements are no whole bytes" if item == "int4" else None


def kernel(table: int) -> Kernel:
    """The kernel of a lookup whose table is operand `table`."""
    return Kernel(
        "sm_gather_bytes",
        "gather_bytes.h",
        guard=_guard,
        params=_params,
        arguments=(table, 1 - table),
    )
