"""What LOGICAL_AND and LOGICAL_OR share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops._broadcast import Broadcast, arrays_of, one_dtype
from smidgen.ops._op import NodeTypes, QuantRule, Role, unsupported

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Logical(Broadcast):
    """A truth value of each two."""

    sample_dtypes: ClassVar[tuple[str, ...]] = ("bool",)

    def result_dtype(self, dtypes: tuple[str, ...]) -> str:
        return one_dtype(dtypes, ("bool",))

    def combine(self, a: Array, b: Array) -> Array:
        """A truth value of each two."""
        raise NotImplementedError

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (self.combine(*arrays_of(arrays)),)

    int_ref = unsupported("truth values have no scale")

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.INDEX, Role.INDEX), outputs=Role.INDEX)

    def tflite_version(self, types: NodeTypes) -> int:
        return 1
