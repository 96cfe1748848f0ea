"""Axes in another order: what `Op.permuted` answers, and arithmetic on orders.

An order is what `numpy.transpose` takes: position i of the result holds axis `order[i]`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smidgen.ops._op import Op

Order = tuple[int, ...]


@dataclass(frozen=True)
class Permuted:
    """An operator as it is when its operands and results have their axes in another order.

    Args:
        op: the operator, its attributes about axes renumbered.
        inputs: the order of each operand, None for one that stays as it is. An order longer than
            the operand's rank is that of the operand with axes of 1 put in front.
        outputs: the order of each result.
        exact: whether float results are the same bit for bit; sums in another order are not.
    """

    op: Op
    inputs: tuple[Order | None, ...]
    outputs: tuple[Order, ...]
    exact: bool = True


def without(order: Order, gone: Collection[int]) -> Order:
    """The order of the axes that are left when some go.

    Example:
        >>> without((0, 2, 3, 1), {2, 3})
        (0, 1)
    """
    left = [axis for axis in order if axis not in gone]
    new = {axis: i for i, axis in enumerate(sorted(left))}
    return tuple(new[axis] for axis in left)


def compose(first: Order, second: Order) -> Order:
    """The one order that does what `first` and then `second` do.

    Example:
        >>> compose((0, 3, 1, 2), (0, 2, 3, 1))
        (0, 1, 2, 3)
    """
    return tuple(first[axis] for axis in second)
