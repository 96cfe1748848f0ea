"""A parsed model → Graph: nodes in order, constants worked out, functions and branches inlined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends.lowering import Lowering, to_integers
from smidgen.frontends.onnx.attributes import read_attributes
from smidgen.frontends.onnx.folding import FoldingBuilder
from smidgen.frontends.onnx.functions import resolved, schema_function, without
from smidgen.frontends.onnx.inputs import Fixed, InputSpec, Shapes, input_specs
from smidgen.frontends.onnx.operators import rules
from smidgen.frontends.onnx.operators.quantized import on_integers
from smidgen.frontends.onnx.reader import (
    DAMAGED,
    DOMAINS,
    ExternalData,
    clean,
    opset_of,
)
from smidgen.frontends.onnx.scope import Scope
from smidgen.frontends.onnx.site import NodeSite, Operand, RawInput
from smidgen.frontends.onnx.tensors import graph_dtype, narrowed
from smidgen.frontends.onnx.unsupported import advice
from smidgen.ir import Graph, QuantParams, TensorType

MAX_NODES = 50_000


def to_graph(model: Any, name: str, external: ExternalData, shapes: Shapes, fixed: Fixed) -> Graph:
    """Convert a model.

    Args:
        model: the ModelProto.
        name: of the graph.
        external: where tensors outside the file are.
        shapes, fixed: as `smidgen.load` takes them.

    Returns:
        The graph as ONNX has it: with TRANSPOSEs around what is channels last in LiteRT, and with
        QUANTIZE and DEQUANTIZE around operators in float.

    Raises:
        SmidgenError: naming the node that cannot be converted, and why.
    """
    return Converter(model, name, external).run(shapes, fixed)


class Converter:
    """One model on its way to a graph."""

    def __init__(self, model: Any, name: str, external: ExternalData) -> None:
        self.model = model
        self.external = external
        self.builder = FoldingBuilder(name, model.ByteSize())
        self.at = Lowering(self.builder)
        self.opset = opset_of(model)
        self.functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        self.declared: dict[str, str] = {}  # the graph's inputs by the model's names
        self.visited = 0

    def begin(self, shapes: Shapes, fixed: Fixed) -> tuple[Scope, list[InputSpec]]:
        """The names that nodes of the model's graph can see at first, and its inputs."""
        graph = self.model.graph
        opsets = {entry.domain: entry.version for entry in self.model.opset_import}
        scope = Scope({**opsets, "": self.opset})
        self._initializers(graph, scope)
        infos = [info for info in graph.input if info.name not in scope.tensors]
        specs = input_specs(infos, shapes, fixed)
        for spec in specs:
            if spec.value is not None:
                scope.values[spec.name] = spec.value
            else:
                raw = RawInput(spec.name, str(spec.dtype), spec.shape)
                narrow = spec.dtype.kind in "iu" and spec.dtype.itemsize == 1
                scope.values[spec.name] = raw if narrow else self._declare(raw, None)
        return scope, specs

    def run(self, shapes: Shapes, fixed: Fixed) -> Graph:
        """The graph."""
        graph = self.model.graph
        scope, specs = self.begin(shapes, fixed)
        self._nodes(graph.node, scope, "")
        outputs = [self._output(info.name, scope) for info in graph.output]
        if not outputs:
            raise ModelFileError("the model has no outputs", hint=DAMAGED)
        for spec in specs:  # what nothing reads is an input nevertheless
            value = scope.values[spec.name]
            if isinstance(value, RawInput) and value.name not in self.declared:
                self._declare(value, None)
        self.builder.order_inputs([self.declared[s.name] for s in specs if s.value is None])
        names = self.builder.rename(
            {o: clean(i.name) for o, i in zip(outputs, graph.output, strict=True)}
        )
        graph = self.builder.build([names[name] for name in outputs])
        return to_integers(graph, {names.get(n, n): g for n, g in self.at.grids.items()})

    # -- what comes in and goes out ----------------------------------------------------------------

    def _initializers(self, graph: Any, scope: Scope) -> None:
        if len(graph.sparse_initializer):
            raise UnsupportedModelError(
                "its weights are stored as sparse tensors", hint="export it with dense initializers"
            )
        for tensor in graph.initializer:
            scope.tensors[tensor.name] = tensor

    def _declare(self, raw: RawInput, quant: QuantParams | None) -> str:
        """A graph input; one that has no batch axis of 1 gets one in front.

        Args:
            raw: the model's input.
            quant: what its bytes stand for; None if they are numbers.
        """
        if raw.name in self.declared:
            value = self.declared[raw.name]
            if self.builder.type(value).quant != quant:
                raise UnsupportedModelError(
                    "its bytes are read with different scales",
                    where=f"input {clean(raw.name)!r}",
                    hint="quantize it once",
                )
            return self._without_batch(value, raw.shape)
        dtype = "int8" if quant is not None else graph_dtype(np.dtype(raw.dtype))
        batched = raw.shape[:1] == (1,)
        type = TensorType(raw.shape if batched else (1, *raw.shape), dtype, quant)
        self.declared[raw.name] = self.builder.input(clean(raw.name), type)
        return self._without_batch(self.declared[raw.name], raw.shape)

    def _without_batch(self, value: str, shape: tuple[int, ...]) -> str:
        if self.at.shape(value) == shape:
            return value
        self.at.layer = value
        return self.at.add("RESHAPE", [value], new_shape=shape)

    def _output(self, name: str, scope: Scope) -> str:
        found = scope.find(name, self.external)
        if found is None:
            raise ModelFileError("is never computed", where=f"output {clean(name)!r}", hint=DAMAGED)
        if isinstance(found, RawInput):
            found = self._declare(found, None)
        self.at.layer = clean(name)
        if not isinstance(found, str):
            found = self.builder.constant(narrowed(found, f"output {clean(name)!r}"), name=name)
        shape = self.at.shape(found)
        if shape[:1] != (1,):
            found = self.at.add("RESHAPE", [found], new_shape=(1, *shape))
        return found

    # -- nodes ------------------------------------------------------------------------------------

    def _nodes(self, nodes: Sequence[Any], scope: Scope, prefix: str) -> None:
        for index, node in enumerate(nodes):
            self.visited += 1
            if self.visited > MAX_NODES:
                raise UnsupportedModelError(f"the model has over {MAX_NODES:,} nodes")
            label = _label(node, prefix)
            try:
                results = self._node(node, scope, label, prefix)
            except SmidgenError as error:
                if error.where is None:
                    error.where = label
                if isinstance(error, _NoRuleError):
                    raise self._all_unsupported(error, nodes[index:], scope) from None
                raise
            except (ValueError, TypeError, LookupError, ArithmeticError, AssertionError) as error:
                # Whatever a rule stumbles over here, it is the file that brought it.
                reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
                raise ModelFileError(
                    f"its operands and attributes do not make one ({reason})",
                    where=label,
                    hint=DAMAGED,
                ) from error
            except (MemoryError, RecursionError) as error:
                raise ModelFileError(
                    "it takes more memory than there is", where=label, hint=DAMAGED
                ) from error
            self._bind(node, results, scope, label)

    def _bind(
        self, node: Any, results: Sequence[Operand | RawInput | None], scope: Scope, label: str
    ) -> None:
        if len(node.output) > len(results):
            raise ModelFileError(
                f"it has {len(node.output)} outputs, its operator {len(results)}",
                where=label,
                hint=DAMAGED,
            )
        for name, result in zip(node.output, results, strict=False):
            if not name:
                continue
            if result is None:
                raise UnsupportedModelError(
                    f"its output {clean(name)!r} is not available",
                    where=label,
                    hint="export the model without that output",
                )
            if name in scope.values or name in scope.tensors:
                raise ModelFileError(
                    f"it computes {clean(name)!r}, which there is already",
                    where=label,
                    hint=DAMAGED,
                )
            scope.values[name] = result

    def _node(
        self, node: Any, scope: Scope, label: str, prefix: str
    ) -> Sequence[Operand | RawInput | None]:
        domain = "" if node.domain == "ai.onnx" else node.domain
        inputs = [self._find(name, scope, label) if name else None for name in node.input]
        function = self.functions.get((node.domain, node.op_type, node.overload))
        if function is not None:
            return self._call(function, node, inputs, scope, label, prefix)
        if domain not in DOMAINS:
            raise no_rule(node)
        attributes = read_attributes(node, scope.bound, self.external, label)
        if node.op_type == "If" and not domain:
            return self._branch(attributes, inputs, scope, label, prefix)
        rule = rules().get((domain, node.op_type))
        version = scope.opsets.get(domain, scope.opsets.get("ai.onnx", 1))
        site = NodeSite(
            self.at,
            node.op_type,
            label,
            version,
            inputs,
            attributes,
            [bool(name) for name in node.output],
            self._declare,
        )
        self.at.layer = layer_of(node, prefix)
        if rule is not None:
            result = on_integers(site, rule) if self._quantized(site) else rule(site)
            results = list(result) if isinstance(result, (list, tuple)) else [result]
            # Whatever numpy makes of arrays without axes, constants are arrays.
            return [r if r is None or isinstance(r, str) else np.asanyarray(r) for r in results]
        node = resolved(node, scope.bound)
        body = schema_function(node, version, self._types(inputs)) if not domain else None
        if body is not None:
            return self._call(body, node, inputs, scope, label, prefix)
        raise no_rule(node)

    def _quantized(self, site: NodeSite) -> bool:
        """Whether a node that knows nothing of scales is given integers with a scale."""
        if "Linear" in site.op_type or "Integer" in site.op_type or site.op_type == "QGemm":
            return False
        names = [value for value in site.raw_inputs if isinstance(value, str)]
        return any(self.builder.type(n).quant is not None for n in names)

    def _find(self, name: str, scope: Scope, label: str) -> Operand | RawInput:
        found = scope.find(name, self.external)
        if found is None:
            raise ModelFileError(
                f"it reads {clean(name)!r} before it is computed", where=label, hint=DAMAGED
            )
        return found

    def _types(self, inputs: Sequence[Operand | RawInput | None]) -> list[TensorType | None]:
        types: list[TensorType | None] = []
        for operand in inputs:
            if isinstance(operand, RawInput):
                types.append(TensorType(operand.shape, operand.dtype))
            else:
                types.append(None if operand is None else _type(self.at, operand))
        return types

    # -- functions and branches --------------------------------------------------------------------

    def _call(
        self,
        function: Any,
        node: Any,
        inputs: Sequence[Operand | RawInput | None],
        scope: Scope,
        label: str,
        prefix: str,
    ) -> list[Operand | RawInput | None]:
        """Put a function's body in place of its call."""
        opsets = {entry.domain: entry.version for entry in function.opset_import}
        opsets[""] = opsets.get("", opsets.get("ai.onnx", scope.opsets[""]))
        bound = {attribute.name: attribute for attribute in function.attribute_proto}
        for attribute in node.attribute:
            if not attribute.ref_attr_name:
                bound[attribute.name] = attribute
            elif attribute.ref_attr_name in scope.bound:
                bound[attribute.name] = scope.bound[attribute.ref_attr_name]
        inner = scope.inner(parent=None, opsets=opsets, bound=bound)
        if len(inputs) > len(function.input):
            raise ModelFileError(
                f"it has {len(inputs)} operands, its function {len(function.input)}",
                where=label,
                hint=DAMAGED,
            )
        for name, value in zip(function.input, inputs, strict=False):
            if value is not None:
                inner.values[name] = value
        missing = set(function.input) - set(inner.values)
        self._nodes([without(n, missing) for n in function.node], inner, layer_of(node, prefix))
        return [inner.find(name, self.external) for name in function.output]

    def _branch(
        self,
        attributes: Mapping[str, Any],
        inputs: Sequence[Operand | RawInput | None],
        scope: Scope,
        label: str,
        prefix: str,
    ) -> list[Operand | RawInput | None]:
        """Put the branch that a constant condition chooses in place of an If."""
        condition = inputs[0] if inputs else None
        if isinstance(condition, str):
            condition = self.builder.data(condition)
        if not isinstance(condition, np.ndarray) or condition.size != 1:
            raise _NoRuleError(
                "its condition is computed at run time",
                hint='fix the inputs that decide it, as in fixed={"sr": 16000} or --fix sr=16000, '
                "or export the branch that is needed",
            )
        body = attributes.get("then_branch" if bool(condition.ravel()[0]) else "else_branch")
        if body is None or not hasattr(body, "node"):
            raise ModelFileError("it lacks a branch", where=label, hint=DAMAGED)
        inner = scope.inner()
        self._initializers(body, inner)
        self._nodes(body.node, inner, prefix)
        return [inner.find(output.name, self.external) for output in body.output]

    def _is_known(self, node: Any, scope: Scope) -> bool:
        """Whether there is a rule for a node's operator, or a function that it stands for."""
        domain = "" if node.domain == "ai.onnx" else node.domain
        return (
            (node.domain, node.op_type, node.overload) in self.functions
            or node.op_type == "If"
            or (domain, node.op_type) in rules()
            or schema_function(node, scope.opsets.get("", 1), None) is not None
        )

    def _all_unsupported(
        self, error: _NoRuleError, rest: Sequence[Any], scope: Scope
    ) -> SmidgenError:
        """The refusal of one node, with the names of operators after it that would fail, too."""
        others = Counter(node.op_type for node in rest[1:] if not self._is_known(node, scope))
        others.pop(rest[0].op_type, None)
        message = error.message
        if others:
            listed = ", ".join(clean(name) for name in list(others)[:8])
            message += f" (and further down {listed})"
        return UnsupportedModelError(message, where=error.where, hint=error.hint)


class _NoRuleError(UnsupportedModelError):
    """No rule for an operator; the only refusal that may stand for many."""


def no_rule(node: Any) -> UnsupportedModelError:
    """The refusal of a node whose operator has no rule."""
    if node.domain not in ("ai.onnx", *DOMAINS):
        return _NoRuleError(
            f"operators of {clean(node.domain)!r} are not supported",
            hint="export the model with operators of ai.onnx alone",
        )
    return _NoRuleError("this operator is not supported", hint=advice(node.op_type))


def _type(at: Lowering, operand: Operand) -> TensorType:
    if isinstance(operand, str):
        return at.type(operand)
    return TensorType(operand.shape, graph_dtype(operand.dtype))


def layer_of(node: Any, prefix: str) -> str:
    """What a node's layer is called."""
    name = clean(node.name or next(iter(node.output), "") or node.op_type)
    return f"{prefix}/{name}" if prefix else name


def _label(node: Any, prefix: str) -> str:
    outputs = [clean(name) for name in node.output if name]
    output = f", output {outputs[0]!r}" if outputs else ""
    within = f" in {prefix!r}" if prefix else ""
    return f"node {clean(node.name)!r}{within} ({clean(node.op_type)}{output})"
