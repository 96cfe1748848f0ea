"""What RESHAPE, SQUEEZE and EXPAND_DIMS share: the same elements in the same order.

The result is the operand's own bytes, so that they cost nothing on a device.
"""

from __future__ import annotations

from smidgen.ir import TensorType
from smidgen.ops import _movement
from smidgen.ops._kernel import Kernel
from smidgen.ops._op import AxisRef, Coupling
from smidgen.ops._order import Order, Permuted


def _blocks(
    given: tuple[int, ...], wanted: tuple[int, ...]
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The finest pairs of neighbouring axes, one of each shape, with the same elements.

    Axes of size 1 are left out.
    """
    ends = []
    for shape in (given, wanted):
        reached, last = {}, 1
        for axis, size in enumerate(shape):
            if size != 1:
                last *= size
                reached[last] = axis
        ends.append(reached)
    common = sorted(set(ends[0]) & set(ends[1]))
    blocks, start = [], (0, 0)
    for size in common:
        stop = (ends[0][size] + 1, ends[1][size] + 1)
        block = (
            tuple(axis for axis in range(a, b) if shape[axis] != 1)
            for shape, a, b in zip((given, wanted), start, stop, strict=True)
        )
        blocks.append((next(block), next(block)))
        start = stop
    return blocks


def _follow(order: Order, given: tuple[int, ...], wanted: tuple[int, ...]) -> Order | None:
    """The order of a reshaped tensor when the other one's axes are in `order`, if there is one."""
    if 0 in given:
        return None
    starts = {block[0]: (block, others) for block, others in _blocks(given, wanted)}
    moved = [axis for axis in order if given[axis] != 1]
    found: list[int] = []
    while moved:
        if moved[0] not in starts:
            return None
        block, others = starts[moved[0]]
        if tuple(moved[: len(block)]) != block:
            return None
        moved = moved[len(block) :]
        found += others
    rest = iter(found)
    return tuple(axis if size == 1 else next(rest) for axis, size in enumerate(wanted))


class Renaming(_movement.Movement):
    """An operator that gives its operand another shape and nothing else."""

    kernels = (
        Kernel("", "", guard=lambda site: None, params=lambda site: {}, arguments=(0,), alias=True),
    )

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        """Axes that are merged or split move as one, and those of 1 wherever they like."""
        from smidgen.ops.reshape import Reshape

        before, after = _movement.the_operand(types).shape, self.infer(*types)[0].shape
        wide = len(before) >= len(after)
        other = _follow(order, before, after) if wide else _follow(order, after, before)
        if other is None:
            return None
        inputs, outputs = (order, other) if wide else (other, order)
        moved = Reshape(tuple(after[axis] for axis in outputs))
        return Permuted(moved, (inputs,), (outputs,))

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels stay, or are flattened together with the pixels that they belong to."""
        x = _movement.the_operand(types)
        out = self.infer(*types)[0].shape
        if not x.shape or not out:
            return ()
        channels = x.shape[-1]
        if out[-1] == channels:
            return (Coupling(channels, (AxisRef(0, x.rank - 1), AxisRef(-1, len(out) - 1))),)
        if channels and out[-1] == x.size // x.shape[0]:  # flatten: channels repeat at each pixel
            tiles = out[-1] // channels
            flat = AxisRef(-1, len(out) - 1, period=channels, tiles=tiles)
            return (Coupling(channels, (AxisRef(0, x.rank - 1), flat)),)
        return ()
