"""A builder that works out at once what depends on constants alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import GraphBuilder, Operator, QuantParams
from smidgen.ops import Op

MAX_FOLDED_BYTES = 1 << 28  # beyond four times the model's own size
MAX_FOLDED_MACS = 1 << 30


class FoldingBuilder(GraphBuilder):
    """Appends no operator whose operands are all constants: its result becomes a constant.

    Shapes in ONNX are computed by operators, so most models need it to have static shapes at all.
    Results keep the scale of their operands where the operator says that they must.

    Args:
        name: of the graph.
        size: bytes of the model.
    """

    def __init__(self, name: str = "model", size: int = 0) -> None:
        super().__init__(name)
        self.left = MAX_FOLDED_BYTES + 4 * size
        self._counts: dict[str, int] = {}

    def fresh(self, hint: str) -> str:
        """A name that no value has yet; files may give thousands of nodes the same one."""
        name = hint
        while name in self._values:
            self._counts[hint] = self._counts.get(hint, 0) + 1
            name = f"{hint}_{self._counts[hint]}"
        return name

    def order_inputs(self, names: list[str]) -> None:
        """Put the inputs in this order."""
        assert sorted(names) == sorted(self._inputs)
        self._inputs = list(names)

    def rename(self, wanted: dict[str, str]) -> dict[str, str]:
        """Give values other names, inputs excepted; who has such a name now has to yield it.

        Returns:
            The new name of each of the values.
        """
        names = {old: new for old, new in wanted.items() if old not in self._inputs and old != new}
        taken = {*names.values()}
        for value in taken & {*self._values} - {*names}:
            if value in self._inputs:
                names = {old: new for old, new in names.items() if new != value}
            else:
                names[value] = self.fresh(f"{value}_inner")

        def of(name: str | None) -> str | None:
            return None if name is None else names.get(name, name)

        self._values = {
            names.get(n, n): replace(v, name=names.get(n, n)) for n, v in self._values.items()
        }
        self._nodes = [
            replace(
                node,
                inputs=tuple(of(n) for n in node.inputs),
                outputs=tuple(names.get(n, n) for n in node.outputs),
            )
            for node in self._nodes
        ]
        return {old: names.get(old, old) for old in wanted}

    def spend(self, size: int) -> None:
        """Count bytes of constants before they are worked out.

        Raises:
            UnsupportedModelError: if there are too many.
        """
        self.left -= size
        if self.left < 0:
            raise UnsupportedModelError(
                "the model's constants take too much memory when they are worked out",
                hint="store them in the model as initializers",
            )

    def add_multi(
        self,
        op: Operator,
        inputs: list[str | None] | list[str],
        *,
        name: str = "",
        quant: QuantParams | tuple[QuantParams | None, ...] | None = None,
        outputs: list[str] | None = None,
    ) -> tuple[str, ...]:
        """Append a node, or the constants that it computes; as `GraphBuilder.add_multi`."""
        assert isinstance(op, Op)
        folded = self._folded(op, inputs)
        if folded is not None:
            hint = name or op.name.lower()
            return tuple(self.constant(array, name=hint) for array in folded)
        return super().add_multi(
            op, inputs, name=name, quant=quant or self._tied(op, inputs), outputs=outputs
        )

    def _folded(self, op: Op, inputs: Any) -> tuple[np.ndarray[Any, Any], ...] | None:
        arrays = [None if n is None else self.data(n) for n in inputs]
        types = [None if n is None else self.type(n) for n in inputs]
        missing = any(a is None for n, a in zip(inputs, arrays, strict=True) if n is not None)
        if missing or not any(n is not None for n in inputs):
            return None
        if any(t is not None and t.quant is not None for t in types):
            return None
        results = op.infer(*types)
        if any(t.dtype not in ("float32", "int32", "bool") for t in results):
            return None
        self.spend(sum(t.bytes for t in results))
        if op.macs(*types) > MAX_FOLDED_MACS:
            raise UnsupportedModelError(
                f"{op.macs(*types):,} multiplications work out a constant",
                hint="store it in the model as an initializer",
            )
        with np.errstate(all="ignore"):
            return tuple(
                np.asarray(array).astype(type.dtype).reshape(type.shape)
                for array, type in zip(op.float_ref(*arrays), results, strict=True)
            )

    def _tied(self, op: Op, inputs: Any) -> QuantParams | None:
        """The scale that a result has because the operator takes it over from an operand."""
        types = [None if n is None else self.type(n) for n in inputs]
        if not types or types[0] is None or types[0].quant is None:
            return None
        ties = op.quant_rule(*types).ties
        return types[0].quant if any(0 in tie and -1 in tie for tie in ties) else None
