"""The names that a graph of a model, a branch or a body of a function can see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smidgen.errors import ModelFileError
from smidgen.frontends.onnx.reader import DAMAGED, MAX_DEPTH, ExternalData
from smidgen.frontends.onnx.site import Operand, RawInput
from smidgen.frontends.onnx.tensors import to_array


@dataclass
class Scope:
    """The names that a graph, branch or function body can see.

    Args:
        opsets: versions by domain.
        parent: the graph around a branch.
        bound: attributes of the call, for a function body.
        depth: how deep functions and branches nest here.
    """

    opsets: Mapping[str, int]
    parent: Scope | None = None
    bound: Mapping[str, Any] = field(default_factory=dict)
    depth: int = 0

    def __post_init__(self) -> None:
        self.values: dict[str, Operand | RawInput] = {}
        self.tensors: dict[str, Any] = {}  # initializers that nobody has read yet

    def find(self, name: str, external: ExternalData) -> Operand | RawInput | None:
        """What a name stands for, None if nothing."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            if name in scope.tensors:
                scope.values[name] = to_array(scope.tensors.pop(name), external)
                return scope.values[name]
            scope = scope.parent
        return None

    def inner(self, **changes: Any) -> Scope:
        """A scope within this one."""
        if self.depth >= MAX_DEPTH:
            raise ModelFileError(f"functions and branches nest over {MAX_DEPTH} deep", hint=DAMAGED)
        return Scope(
            **{"opsets": self.opsets, "parent": self, "bound": self.bound, **changes},
            depth=self.depth + 1,
        )
