"""Where operators are appended: the graph so far and the layer of the source that they are for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.frontends.lowering.grid import Grid
from smidgen.ir import GraphBuilder, TensorType
from smidgen.ops import get_op

Array = np.ndarray[Any, Any]
Operand = str | Array  # the name of a value, or a constant that no value has been made of yet
Pairs = tuple[tuple[int, int], ...]  # (before, after) of each axis

MAX_NODES = 20_000
MAX_ELEMENTS = 1 << 31


class Lowering:
    """The state of one conversion.

    Args:
        builder: the graph so far.

    Attributes:
        layer: name of the source's layer, for messages and for the names of values.
        made_by: the operator that made each value, by LiteRT name.

    Example:
        >>> from smidgen.ir import GraphBuilder, TensorType
        >>> from smidgen.frontends.lowering import Lowering, relu
        >>> at = Lowering(GraphBuilder())
        >>> x = at.builder.input("x", TensorType((1, 3, 8, 8), "float32"))
        >>> at.layer = "features.1"
        >>> relu(at, x)
        'features.1'
    """

    def __init__(self, builder: GraphBuilder) -> None:
        self.builder = builder
        self.layer = ""
        self.nodes = 0
        self.made_by: dict[str, str] = {}
        self.grids: dict[str, Grid] = {}  # of constants that stand for integers
        self._constants: dict[tuple[Any, ...], str] = {}

    def type(self, operand: Operand) -> TensorType:
        """The type of a value or constant."""
        if isinstance(operand, str):
            return self.builder.type(operand)
        return TensorType(operand.shape, str(operand.dtype))

    def shape(self, operand: Operand) -> tuple[int, ...]:
        """The shape of a value or constant."""
        return self.builder.type(operand).shape if isinstance(operand, str) else operand.shape

    def rank(self, operand: Operand) -> int:
        """Number of axes of a value or constant."""
        return len(self.shape(operand))

    def axis(self, operand: Operand, axis: int) -> int:
        """An axis counted from 0.

        Raises:
            UnsupportedModelError: if the operand has no such axis.
        """
        rank = self.rank(operand)
        if not -rank <= axis < rank:
            raise UnsupportedModelError(f"axis {axis} of a tensor of shape {self.shape(operand)}")
        return axis % rank

    def value(self, operand: Operand) -> str:
        """The name of an operand; equal small constants share one."""
        if isinstance(operand, str):
            return operand
        data = np.ascontiguousarray(operand)
        key, grid = None, getattr(operand, "grid", None)
        if data.size <= 64:
            key = (data.shape, str(data.dtype), data.tobytes(), grid)
        if key is not None and key in self._constants:
            return self._constants[key]
        name = self.builder.constant(data, name=f"{self.layer or 'model'}/const")
        if grid is not None:
            self.grids[name] = grid
        if key is not None:
            self._constants[key] = name
        return name

    def scalar(self, number: float) -> Array:
        """A float constant that broadcasts against everything."""
        return np.array([number], np.float32)

    def add(self, op: str, operands: list[Operand | None], **attributes: Any) -> str:
        """Append an operator with one result, by LiteRT name and attributes."""
        return self.add_multi(op, operands, **attributes)[0]

    def add_multi(self, op: str, operands: list[Operand | None], **attributes: Any) -> list[str]:
        """Append an operator and return its results.

        Raises:
            UnsupportedModelError: if the operator does not take such operands.
        """
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise UnsupportedModelError(f"the model has over {MAX_NODES:,} operators")
        names = [None if operand is None else self.value(operand) for operand in operands]
        try:
            operator = get_op(op)(**attributes)
            outputs = self.builder.add_multi(operator, names, name=self.layer)
        except ValueError as error:
            raise UnsupportedModelError(f"{op}: {error}") from error
        for name in outputs:
            self.made_by[name] = op
            if math.prod(self.shape(name)) > MAX_ELEMENTS:
                raise UnsupportedModelError(f"a result has the shape {self.shape(name)}")
        return list(outputs)

    # -- between the two layouts -------------------------------------------------------------------

    def channels_last(self, x: Operand) -> str:
        """(n, c, ...) as (n, ..., c)."""
        rank = self.rank(x)
        return self._permuted(x, (0, *range(2, rank), 1))

    def channels_first(self, x: Operand) -> str:
        """(n, ..., c) as (n, c, ...)."""
        rank = self.rank(x)
        return self._permuted(x, (0, rank - 1, *range(1, rank - 1)))

    def _permuted(self, x: Operand, perm: tuple[int, ...]) -> str:
        if len(perm) < 3:
            return self.value(x)
        return self.add("TRANSPOSE", [x], perm=perm)

    def image(self, x: Operand) -> str:
        """(n, c, h, w), or (n, c, l), as a channels-last image; a sequence has height 1.

        Raises:
            UnsupportedModelError: for any other rank.
        """
        if self.rank(x) not in (3, 4):
            raise UnsupportedModelError(
                f"its input has shape {self.shape(x)}, which is neither (n, c, length) nor "
                "(n, c, h, w)",
                hint="use layers of one or two dimensions, on inputs with a batch axis",
            )
        last = self.channels_last(x)
        if self.rank(last) == 3:
            n, length, channels = self.shape(last)
            last = self.add("RESHAPE", [last], new_shape=(n, 1, length, channels))
        return last

    def unimage(self, y: str, rank: int) -> str:
        """A channels-last image as (n, c, h, w), or as (n, c, l) if the rank is 3."""
        if rank == 3:
            n, _, length, channels = self.shape(y)
            y = self.add("RESHAPE", [y], new_shape=(n, length, channels))
        return self.channels_first(y)


def pair(values: tuple[int, ...], fill: int) -> tuple[int, int]:
    """What is given for one or two dimensions, for two."""
    return (fill, values[0]) if len(values) == 1 else (values[0], values[1])


def pair_of_pairs(pads: Pairs) -> tuple[tuple[int, int], tuple[int, int]]:
    """Padding that is given for one or two dimensions, for two."""
    return ((0, 0), pads[0]) if len(pads) == 1 else (pads[0], pads[1])
