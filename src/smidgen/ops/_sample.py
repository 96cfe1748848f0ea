"""One valid use of an operator, as `Op.samples()` draws it, and the graph that consists of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType

if TYPE_CHECKING:
    from smidgen.ops._op import Op


@dataclass(frozen=True, eq=False)
class Operand:
    """An operand: a type, and an array when it is constant.

    Args:
        type: shape, dtype and quantization.
        data: its elements if they are known before the model runs.
        limits: the least and the greatest number that it may hold otherwise, where not every one
            that its dtype has makes sense (indices).
    """

    type: TensorType
    data: np.ndarray[Any, Any] | None = None
    limits: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """An operator with operands that it accepts.

    Args:
        op: the operator.
        operands: None for one left out.
        quant: quantization of each output, None for float.
    """

    op: Op
    operands: tuple[Operand | None, ...]
    quant: tuple[QuantParams | None, ...] = (None,)

    def graph(self, *, remembers: bool = False) -> Graph:
        """A graph of this one node; operands that are not constant become its inputs.

        Args:
            remembers: whether what the operator remembers are states of the graph, as in a file,
                instead of further inputs and outputs.
        """
        builder = GraphBuilder(self.op.name.lower())
        states = self.op.states if remembers else {}
        names: list[str | None] = []
        for i, operand in enumerate(self.operands):
            if operand is None:
                names.append(None)
            elif operand.data is not None:
                names.append(
                    builder.constant(
                        operand.data,
                        name=f"c{i}",
                        quant=operand.type.quant,
                        dtype=operand.type.dtype,
                    )
                )
            elif i in states:
                names.append(builder.state(f"s{i}", operand.type))
            else:
                names.append(builder.input(f"x{i}", operand.type))
        outputs = builder.add_multi(self.op, names, quant=self.quant)
        kept = {output: names[i] for i, output in states.items()}
        for output, state in kept.items():
            if state is not None:
                builder.becomes(state, outputs[output])
        return builder.build([name for i, name in enumerate(outputs) if i not in kept])
