"""What an operator's rule sees: its arguments, the tensors so far and the graph so far."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from smidgen.errors import ModelFileError, UnsupportedModelError
from smidgen.frontends.lowering import Array, Lowering, Operand
from smidgen.frontends.torch_export.program import DAMAGED, Call, Ref, Symbol, Tensor

MAX_ELEMENTS = 1 << 28
STATIC = "export it without dynamic_shapes, from an example of the very shape that the device takes"


class Site:
    """One call of one operator.

    Args:
        at: the graph so far.
        call: the call.
        values: the tensors so far by name: values of the graph or arrays.
        tensors: what the program says of its tensors.
        sources: values of the graph that are only broadcast, and what of.
    """

    def __init__(
        self,
        at: Lowering,
        call: Call,
        values: dict[str, Operand],
        tensors: dict[str, Tensor],
        sources: dict[str, Operand],
    ) -> None:
        self.at = at
        self.call = call
        self.values = values
        self.tensors = tensors
        self.sources = sources

    # -- arguments that are tensors ----------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether an argument is given and not None."""
        return self.call.args.get(name) is not None

    def tensor(self, name: str) -> Operand:
        """A tensor argument: the name of a value, or an array if it is known."""
        return self.resolve(self.call.args.get(name), name)

    def optional(self, name: str) -> Operand | None:
        """A tensor argument that may be left out."""
        return self.tensor(name) if self.has(name) else None

    def tensor_list(self, name: str) -> list[Operand]:
        """An argument that is a list of tensors."""
        return [self.resolve(each, name) for each in self.sequence(name)]

    def resolve(self, given: Any, name: str) -> Operand:
        """The tensor that an argument refers to."""
        if not isinstance(given, Ref):
            raise self.malformed(f"its argument {name!r} is {given!r:.60}, not a tensor")
        if given.name not in self.values:
            raise self.malformed(f"it reads {given.name!r}, which nothing has computed")
        return self.values[given.name]

    def array(self, name: str) -> Array:
        """A tensor argument that must be known before the model runs."""
        value = self.tensor(name)
        if isinstance(value, str):
            raise self.refuse(
                f"its {name!r} is computed at run time",
                hint="make it a parameter or a buffer of the model",
            )
        return value

    def optional_array(self, name: str) -> Array | None:
        """A tensor argument that must be known, if it is given at all."""
        return self.array(name) if self.has(name) else None

    def operand(self, name: str) -> Operand:
        """A tensor or a number, as floats if it is known."""
        given = self.call.args.get(name)
        if isinstance(given, (int, float)):
            return self.at.scalar(float(given))
        value = self.tensor(name)
        return value if isinstance(value, str) else value.astype(np.float32)

    # -- arguments that are not --------------------------------------------------------------------

    def sequence(self, name: str) -> list[Any]:
        """An argument that is a list of anything."""
        given = self.call.args.get(name)
        if not isinstance(given, list):
            raise self.malformed(f"its argument {name!r} is {given!r:.60}, not a list")
        return given

    def integer(self, name: str, default: int | None = None) -> int:
        """An integer argument."""
        return self._integer(name, self.call.args.get(name, default))

    def number(self, name: str, default: float | None = None) -> float:
        """A number."""
        value = self.call.args.get(name, default)
        self._static(name, value)
        if not isinstance(value, (int, float)):
            raise self.malformed(f"its argument {name!r} is {value!r:.60}, not a number")
        return float(value)

    def optional_number(self, name: str) -> float | None:
        """A number that may be left out."""
        return self.number(name) if self.has(name) else None

    def integers(
        self, name: str, default: int | tuple[int, ...] | None = None, count: int | None = None
    ) -> tuple[int, ...]:
        """A list of integers; a single one stands for `count` of them."""
        given = self.call.args.get(name)
        if given is None or given == []:
            given = default
        items = list(given) if isinstance(given, (list, tuple)) else [given]
        if count is not None and len(items) == 1:
            items *= count
        numbers = tuple(self._integer(name, item) for item in items)
        if count is not None and len(numbers) != count:
            raise self.malformed(f"its argument {name!r} has {len(numbers)} numbers, not {count}")
        return numbers

    def flag(self, name: str, default: bool = False) -> bool:
        """An argument that is true or false."""
        given = self.call.args.get(name, default)
        return default if given is None else bool(given)

    def text(self, name: str, default: str = "") -> str:
        """A string argument."""
        given = self.call.args.get(name, default)
        return default if given is None else str(given)

    def _integer(self, name: str, value: Any) -> int:
        self._static(name, value)
        if not isinstance(value, int):
            raise self.malformed(f"its argument {name!r} is {value!r:.60}, not an integer")
        return int(value)

    def _static(self, name: str, value: Any) -> None:
        if isinstance(value, (Symbol, Ref)):
            raise self.refuse(f"its argument {name!r} is known at run time only", hint=STATIC)

    # -- results -----------------------------------------------------------------------------------

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor argument."""
        return self.at.shape(self.tensor(name))

    def rank(self, name: str) -> int:
        """The number of axes of a tensor argument."""
        return len(self.shape(name))

    def result(self, output: int = 0) -> Tensor:
        """What the program says of a result."""
        name = self.call.outputs[output]
        if name is None or name not in self.tensors:
            raise self.malformed(f"its result {output} is not described")
        return self.tensors[name]

    def result_shape(self, output: int = 0) -> tuple[int, ...]:
        """The shape of a result."""
        shape = self.result(output).shape
        if any(d is None for d in shape):
            raise self.refuse(f"its result has the shape {shape}", hint=STATIC)
        known = tuple(d for d in shape if d is not None)
        if math.prod(known) > MAX_ELEMENTS:
            raise self.refuse(f"its result has the shape {known}, too large for any device")
        return known

    def used(self, output: int) -> bool:
        """Whether anything reads a result."""
        names = self.call.outputs
        name = names[output] if output < len(names) else None
        return name is not None and "_unused_" not in name

    # -- refusals ----------------------------------------------------------------------------------

    def refuse(self, why: str, hint: str | None = None) -> UnsupportedModelError:
        """The error to raise when Smidgen does not have this."""
        return UnsupportedModelError(why, where=self.call.label, hint=hint)

    def malformed(self, why: str) -> ModelFileError:
        """The error to raise when the program contradicts itself."""
        return ModelFileError(why, where=self.call.label, hint=DAMAGED)


Result = Operand | list[Operand | None]
Rule = Callable[[Site], Result]

RULES: dict[str, Rule] = {}
# Operators whose results are views of their first operand, in PyTorch.
VIEWS: set[str] = set()


def rule(*packets: str, view: bool = False) -> Callable[[Rule], Rule]:
    """Declare the rule for operators of these names, whatever their overload."""

    def declare(build: Rule) -> Rule:
        RULES.update(dict.fromkeys(packets, build))
        if view:
            VIEWS.update(packets)
        return build

    return declare
