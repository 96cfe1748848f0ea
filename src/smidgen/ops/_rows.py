"""How the rows of an operator's output depend on the rows of its operands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smidgen.ir import TensorType


@dataclass(frozen=True)
class RowWindow:
    """Output row r is made from `extent` rows of an operand, from row `r * stride - pad` on.

    Rows before the first and after the last are padding.
    """

    extent: int = 1
    stride: int = 1
    pad: int = 0

    def needed(self, first: int, last: int, height: int) -> tuple[int, int]:
        """The operand's rows, half-open, that output rows `first` to `last` - 1 are made from.

        Args:
            first, last: rows of the output, half-open, at least one.
            height: rows of the operand.
        """
        return (
            max(0, first * self.stride - self.pad),
            min(height, (last - 1) * self.stride - self.pad + self.extent),
        )


def elementwise(types: tuple[TensorType | None, ...], out: TensorType) -> Mapping[int, RowWindow]:
    """`Op.rows` where an element is made from the elements in its place.

    An operand that broadcasts along the rows must be constant, which its shape does not tell: a
    single row counts as one.
    """
    if out.rank != 4:
        return {}
    found = {}
    for i, type in enumerate(types):
        assert type is not None
        if type.rank == 4 and type.shape[:2] == out.shape[:2]:
            found[i] = RowWindow()
        elif type.rank >= 3 and type.shape[-3] != 1:
            return {}
    return found
