"""What an operator's rule sees: its operands, its attributes and the graph so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.lowering import Array, Lowering
from smidgen.frontends.onnx.folding import FoldingBuilder
from smidgen.frontends.onnx.reader import DAMAGED
from smidgen.frontends.onnx.tensors import MAX_ELEMENTS, narrowed
from smidgen.ir import QuantParams


@dataclass(eq=False)
class RawInput:
    """An input of bytes that nothing has read yet: its first reader says what it means.

    Args:
        name: of the input.
        dtype: "int8" or "uint8".
        shape: as the model declares it.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]


Operand = str | Array  # the name of a value, or a constant in ONNX's element type
Result = Operand | Sequence[Operand | None]


class NodeSite:
    """One node of a model.

    Args:
        at: the graph so far.
        op_type: the operator.
        label: how messages name the node.
        version: the opset that the operator's name is of.
        inputs: operands; None for one left out.
        attributes: by name; tensors are arrays, texts are str.
        outputs: how many outputs there are, and which of them have a name.
        declare: makes a graph input of a `RawInput`, by element type or quantization.
    """

    def __init__(
        self,
        at: Lowering,
        op_type: str,
        label: str,
        version: int,
        inputs: list[Operand | RawInput | None],
        attributes: Mapping[str, Any],
        outputs: Sequence[bool],
        declare: Callable[[RawInput, QuantParams | None], str],
    ) -> None:
        self.at = at
        self.op_type = op_type
        self.label = label
        self.version = version
        self.raw_inputs = inputs
        self.attributes = attributes
        self.outputs = outputs
        self.declare = declare

    # -- operands ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.raw_inputs)

    def has(self, place: int) -> bool:
        """Whether an operand is given."""
        return place < len(self.raw_inputs) and self.raw_inputs[place] is not None

    def source(self, place: int) -> Operand:
        """An operand as it is: a value's name, or an array in ONNX's own element type."""
        if not self.has(place):
            raise self.malformed(f"its operand {place} is missing")
        operand = self.raw_inputs[place]
        assert operand is not None
        if isinstance(operand, RawInput):
            operand = self.raw_inputs[place] = self.declare(operand, None)
        return operand

    def operand(self, place: int) -> Operand:
        """An operand in an element type that graphs have."""
        operand = self.source(place)
        if isinstance(operand, str):
            return operand
        return narrowed(operand, f"its operand {place}")

    @property
    def x(self) -> Operand:
        """The first operand."""
        return self.operand(0)

    def known(self, place: int) -> Array | None:
        """The array of an operand that is constant; None if it is computed at run time."""
        operand = self.source(place)
        return self.at.builder.data(operand) if isinstance(operand, str) else operand

    def constant(self, place: int, what: str) -> Array:
        """The array of an operand that must be constant."""
        array = self.known(place)
        if array is None:
            raise self.refuse(
                f"it takes its {what} from what is computed at run time",
                hint=f"export the model with constant {what}",
            )
        return array

    def optional(self, place: int, what: str) -> Array | None:
        """The array of an operand that must be constant if it is given."""
        return self.constant(place, what) if self.has(place) else None

    def floats(self, place: int, what: str) -> Array:
        """A constant operand in float32."""
        array = self.constant(place, what)
        with np.errstate(over="ignore"):
            return array if array.dtype == np.float32 else array.astype(np.float32)

    def ints(self, place: int, what: str) -> list[int]:
        """A constant operand as a list of integers."""
        array = self.constant(place, what)
        if array.size > 1 << 16 or array.dtype.kind not in "iub":
            raise self.refuse(f"its {what} has {array.size:,} elements of {array.dtype}")
        return [int(i) for i in array.ravel()]

    def number(self, place: int, what: str) -> float:
        """A constant operand that is one number."""
        array = self.constant(place, what)
        if array.size != 1:
            raise self.malformed(f"its {what} has the shape {array.shape}, not one number")
        return float(array.reshape(-1)[0])

    def reserve(self, shape: Sequence[int], itemsize: int = 4) -> None:
        """Make sure that there is room for a result before it is made.

        Raises:
            ModelFileError: if its shape is none that a tensor of a small device has.
            UnsupportedModelError: if the constants of the model grow too large.
        """
        size = math.prod(shape)
        if size > MAX_ELEMENTS or any(d < 0 for d in shape):
            raise self.malformed(f"its result has the shape {tuple(shape)}")
        self.folding.spend(size * itemsize)

    def shape(self, operand: Operand | int) -> tuple[int, ...]:
        """The shape of an operand, or of the operand in a place."""
        if isinstance(operand, int):
            raw = self.raw_inputs[operand] if self.has(operand) else self.source(operand)
            if isinstance(raw, RawInput):
                return raw.shape
            operand = self.source(operand)
        return self.at.shape(operand)

    def dtype(self, operand: Operand) -> np.dtype[Any]:
        """The element type of an operand."""
        name = self.at.type(operand).dtype if isinstance(operand, str) else operand.dtype
        return np.dtype(name)

    # -- attributes --------------------------------------------------------------------------------

    def integer(self, name: str, default: int | None = None) -> int:
        """An attribute that is an integer."""
        value = self.attributes.get(name, default)
        if value is None:
            raise self.malformed(f"it has no {name}")
        if not isinstance(value, int):
            raise self.malformed(f"its {name} is {value!r:.80}, not an integer")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """An attribute that is 0 or 1."""
        return bool(self.integer(name, int(default)))

    def real(self, name: str, default: float) -> float:
        """An attribute that is a number."""
        value = self.attributes.get(name, default)
        if not isinstance(value, (int, float)):
            raise self.malformed(f"its {name} is {value!r:.80}, not a number")
        return float(value)

    def text(self, name: str, default: str) -> str:
        """An attribute that is a text."""
        value = self.attributes.get(name, default)
        if not isinstance(value, str):
            raise self.malformed(f"its {name} is {value!r:.80}, not a text")
        return value

    def integers(self, name: str, default: Sequence[int] | None = None) -> tuple[int, ...]:
        """An attribute that is a list of integers."""
        value = self.attributes.get(name, default)
        if value is None:
            raise self.malformed(f"it has no {name}")
        if not isinstance(value, (list, tuple, range)) or not all(
            isinstance(v, int) for v in value
        ):
            raise self.malformed(f"its {name} is {value!r:.80}, not a list of integers")
        return tuple(value)

    def axis(self, rank: int, default: int | None = None, name: str = "axis") -> int:
        """An attribute that is an axis, counted from 0."""
        return self.axis_of(self.integer(name, default), rank)

    def axis_of(self, axis: int, rank: int) -> int:
        """An axis counted from 0; it may be counted from the end."""
        if not -rank <= axis < rank:
            raise self.malformed(f"its axis is {axis} for {rank} dimensions")
        return axis % rank

    # -- refusals ---------------------------------------------------------------------------------

    def refuse(self, why: str, hint: str | None = None) -> UnsupportedModelError:
        """The error to raise for a sound node that Smidgen cannot express."""
        return UnsupportedModelError(why, where=self.label, hint=hint)

    def malformed(self, why: str) -> ModelFileError:
        """The error to raise for a node that contradicts itself."""
        return ModelFileError(why, where=self.label, hint=DAMAGED)

    @property
    def folding(self) -> FoldingBuilder:
        """The builder."""
        assert isinstance(self.at.builder, FoldingBuilder)
        return self.at.builder


Rule = Callable[[NodeSite], Result]

OPERATORS: dict[tuple[str, str], Rule] = {}
"""The rule of each operator, by domain and name."""


def operator(*names: str, domain: str = "") -> Callable[[Rule], Rule]:
    """Declare the rule for operators of these names."""

    def declare(rule: Rule) -> Rule:
        OPERATORS.update({(domain, name): rule for name in names})
        return rule

    return declare
