"""Every node of an ONNX model, readable or not, and what to do about those that are not.

A node that fails is noted, and its results are taken as the model declares them. What reads a
result that is declared nowhere is judged by its operator alone.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from smidgen.errors import SmidgenError
from smidgen.frontends.onnx.convert import Converter, layer_of, no_rule
from smidgen.frontends.onnx.inputs import Fixed, Shapes, input_specs
from smidgen.frontends.onnx.reader import ExternalData, clean, parse, read_bytes
from smidgen.frontends.onnx.scope import Scope
from smidgen.frontends.onnx.site import RawInput
from smidgen.frontends.onnx.tensors import graph_dtype
from smidgen.frontends.surveyed import Surveyed
from smidgen.ir import TensorType


def survey(path: Path, shapes: Shapes | None = None, fixed: Fixed | None = None) -> list[Surveyed]:
    """Look at every node of a file.

    Args:
        path: the file.
        shapes, fixed: as in `load_onnx`.

    Raises:
        SmidgenError: the file is none, its inputs have no shapes, or its weights cannot be read.
    """
    model = parse(read_bytes(path))
    return _Survey(model, "model", ExternalData(path.parent)).nodes(shapes or {}, fixed or {})


class _Survey(Converter):
    """A converter that goes on after a node that it cannot convert."""

    def nodes(self, shapes: Shapes, fixed: Fixed) -> list[Surveyed]:
        """Every node of the model's graph."""
        graph = self.model.graph
        scope, _ = self.begin(shapes, fixed)
        declared = {info.name: info for info in (*graph.value_info, *graph.output)}
        unknown: set[str] = set()  # results of which nothing is known
        found = []
        for index, node in enumerate(graph.node):
            problem = hint = None
            try:
                if unknown.isdisjoint(node.input):
                    self._nodes([node], scope, "")
                elif self._is_known(node, scope):
                    unknown |= {*node.output}
                else:
                    raise no_rule(node)
            except SmidgenError as error:
                problem, hint = error.message, error.hint
                unknown |= {*node.output}
            for name in unknown & {*node.output} & declared.keys():
                with contextlib.suppress(SmidgenError):
                    self._stand_in(declared[name], scope)
                    unknown.discard(name)
            type = self._type_of(next(iter(node.output), ""), scope)
            found.append(Surveyed(index, _operator(node), layer_of(node, ""), type, problem, hint))
        return found

    def _stand_in(self, info: Any, scope: Scope) -> None:
        """Put a result of the declared type in the place of one that cannot be computed."""
        (spec,) = input_specs([info], {}, {})
        type = TensorType(spec.shape, graph_dtype(spec.dtype))
        scope.values[info.name] = self.builder.input(clean(info.name), type)

    def _type_of(self, name: str, scope: Scope) -> str:
        value = scope.values.get(name)
        if value is None or isinstance(value, RawInput):
            return ""
        if isinstance(value, str):
            return str(self.at.type(value).with_quant(None))
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"


def _operator(node: Any) -> str:
    domain = "" if node.domain in ("", "ai.onnx") else f"{clean(node.domain)}."
    return domain + clean(node.op_type)
