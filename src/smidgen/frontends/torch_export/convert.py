"""A program of operators → Graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from smidgen.errors import ModelFileError, SmidgenError, UnsupportedModelError
from smidgen.frontends.lowering import Array, Lowering, Operand, to_integers
from smidgen.frontends.torch_export.constants import MAX_ELEMENTS, evaluate
from smidgen.frontends.torch_export.hints import hint_for
from smidgen.frontends.torch_export.program import DAMAGED, Program, Ref, Symbol
from smidgen.frontends.torch_export.rules import RULES
from smidgen.frontends.torch_export.site import STATIC, VIEWS, Result, Site
from smidgen.ir import Graph, GraphBuilder, TensorType

# Inputs of these dtypes; 64-bit indices become 32-bit ones, which is what LiteRT looks up by.
INPUT_DTYPES = {"float32": "float32", "int32": "int32", "int64": "int32", "bool": "bool"}

# Operators that compute nothing: assertions, and regions without gradients.
IDLE = {
    "_assert_async",
    "_assert_scalar",
    "_assert_tensor_metadata",
    "sym_constrain_range",
    "sym_constrain_range_for_size",
    "_set_grad_enabled",
}
REGIONS = ("higher_order.wrap_with_set_grad_enabled", "higher_order.wrap_with_autocast")
EXPORT_CHANGES = "call program.run_decompositions({}) before torch.export.save"


def to_graph(program: Program, arrays: Mapping[str, Array], name: str) -> Graph:
    """Convert a program with its weights.

    Args:
        program: the program.
        arrays: parameters, buffers and constants by name.
        name: name of the graph.

    Returns:
        The graph, with the inputs and outputs that the program has, batch 1: float32, or with
        the integers of a model that is quantized.

    Raises:
        SmidgenError: naming the operator, module and line that cannot be converted, and why.
    """
    if program.mutated:
        raise UnsupportedModelError(
            f"forward changes {', '.join(map(repr, program.mutated[:5]))} of the model",
            hint="take the state as an input and return the new one as an output, and call "
            "model.eval() if these are statistics",
        )
    conversion = Conversion(name)
    conversion.declare(program, arrays)
    conversion.run(program)
    return conversion.finish(program)


class Conversion:
    """The state of one conversion: the graph so far and the tensors by name."""

    def __init__(self, name: str) -> None:
        self.at = Lowering(GraphBuilder(name))
        self.values: dict[str, Operand] = {}
        self.sources: dict[str, Operand] = {}
        self.roots: dict[str, str] = {}  # by tensor: the one whose memory it shares, in PyTorch
        self.stored: set[str] = set()
        self.inputs: set[str] = set()
        self.known = 0  # elements of tensors that were worked out

    def declare(self, program: Program, arrays: Mapping[str, Array]) -> None:
        """The inputs, and the arrays that stand for the others."""
        for given in program.inputs:
            if given.kind == "literal":
                continue
            if given.kind == "user_input":
                self.values[given.name] = self._input(program, given.name)
            elif given.stored in arrays:
                self.values[given.name] = arrays[given.stored]
                self.stored.add(given.name)
            elif given.stored:
                raise ModelFileError(f"its weight {given.stored!r} is missing", hint=DAMAGED)
            else:
                raise UnsupportedModelError(
                    f"its input {given.name!r} is a {given.kind}",
                    hint="export a model whose inputs are tensors",
                )

    def _input(self, program: Program, name: str) -> str:
        if name not in program.tensors:
            raise ModelFileError(f"its input {name!r} is not described", hint=DAMAGED)
        tensor = program.tensors[name]
        where = f"input {name!r}"
        shape = [d for d in tensor.shape if d is not None]
        if len(shape) < len(tensor.shape):
            raise UnsupportedModelError(
                f"its shape is {tensor.shape} with sizes known at run time only",
                where=where,
                hint=STATIC,
            )
        if not shape or shape[0] != 1:
            raise UnsupportedModelError(
                f"its shape is {tuple(shape)}, whose first axis is no batch of 1",
                where=where,
                hint="give an example of one sample, such as x[:1]; if the first axis is time, put "
                "a batch axis before it and transpose in forward",
            )
        if tensor.dtype not in INPUT_DTYPES:
            raise UnsupportedModelError(
                f"its dtype is {tensor.dtype}", where=where, hint="use a float32 or integer input"
            )
        type = TensorType(tuple(shape), INPUT_DTYPES[tensor.dtype])
        value = self.at.builder.input(name, type)
        self.inputs.add(value)
        return value

    def run(self, program: Program) -> None:
        """Convert the calls of a program, whose inputs have values."""
        last_read = last_reads(program)
        for step in range(len(program.calls)):
            self.convert(program, step, last_read)

    def convert(self, program: Program, step: int, last_read: Mapping[str, int]) -> None:
        """Convert one call of a program; `last_read` is of its tensors (see `last_reads`)."""
        call = program.calls[step]
        self.at.layer = call.module or call.packet.strip("_")
        site = Site(self.at, call, self.values, program.tensors, self.sources)
        try:
            self._convert(site, step, last_read)
        except SmidgenError as error:
            if error.where is None:
                error.where = call.label
            raise
        except (ValueError, IndexError, TypeError, OverflowError) as error:
            raise site.malformed(f"its arguments do not fit: {str(error)[:200]}") from error

    def _convert(self, site: Site, step: int, last_read: Mapping[str, int]) -> None:
        call = site.call
        if call.packet in IDLE or call.packet.startswith("sym_"):
            if call.packet == "sym_size":
                raise site.refuse("it asks for a size at run time", hint=STATIC)
            return
        if call.target in REGIONS:
            self._run_region(site)
            return
        in_place = call.packet.endswith("_") and call.packet[:-1] in RULES
        results = self._results(site)
        self._bind(site, results)
        if in_place:
            self._overwrite(site, step, last_read)

    def _results(self, site: Site) -> list[Operand | None]:
        call = site.call
        if call.target.split(".")[0] not in ("aten", "prims", "quantized_decomposed"):
            raise site.refuse("it is a custom operator", hint="write it with PyTorch's own")
        if all(not isinstance(self._value(r), str) for r in _references(call.args)):
            known = evaluate(site, MAX_ELEMENTS - self.known)
            if known is not None:
                self.known += sum(array.size for array in known)
                return [*known]
        packet = call.packet
        build = RULES.get(packet) or RULES.get(packet.removesuffix("_"))
        if build is None:
            raise site.refuse("Smidgen has no rule for this operator", hint=hint_for(packet))
        return _as_list(build(site))

    def _value(self, name: str) -> Operand | None:
        return self.values.get(name)

    def _bind(self, site: Site, results: list[Operand | None]) -> None:
        """File the results under their names, and check what the program says of them."""
        call = site.call
        source = next(_references(call.args), None)
        for output, name in enumerate(call.outputs):
            value = results[output] if output < len(results) else None
            if name is None or value is None:
                if site.used(output):
                    raise site.refuse(f"its result {output} is used, which Smidgen does not have")
                continue
            if site.used(output) and self.at.shape(value) != site.result_shape(output):
                raise site.malformed(
                    f"it makes {self.at.shape(value)}, the program says {site.result_shape(output)}"
                )
            self.values[name] = value
            shares = source is not None and (call.packet in VIEWS or call.packet.endswith("_"))
            self.roots[name] = self.roots.get(source, source) if shares and source else name

    def _overwrite(self, site: Site, step: int, last_read: Mapping[str, int]) -> None:
        """Let an operator that writes over its operand change that operand's value.

        Views of the operand would change with it; a program that reads one later is refused.
        """
        target = next(_references(site.call.args), None)
        if target is None or not site.call.outputs or site.call.outputs[0] is None:
            raise site.malformed("it changes no tensor")
        root = self.roots.get(target, target)
        for other, its_root in self.roots.items():
            if its_root == root and other not in (target, site.call.outputs[0]):
                if last_read.get(other, -1) > step:
                    raise site.refuse(
                        f"it changes {other!r} with {target!r}, whose memory it shares",
                        hint=EXPORT_CHANGES,
                    )
        if root in self.stored or (root != target and last_read.get(root, -1) > step):
            raise site.refuse(f"it changes {root!r} through a view", hint=EXPORT_CHANGES)
        self.values[target] = self.values[site.call.outputs[0]]

    def _run_region(self, site: Site) -> None:
        """Run the part of a program that an operator wraps, as if it stood here."""
        parts = [v for v in site.call.args.values() if isinstance(v, Program)]
        given = list(_references(site.call.args))
        if len(parts) != 1 or len(given) != len(parts[0].inputs):
            raise site.malformed("it does not wrap one part of the program")
        (part,) = parts
        inner = Conversion.__new__(Conversion)
        inner.at, inner.sources, inner.known = self.at, self.sources, self.known
        inner.roots, inner.stored, inner.inputs = {}, set(), set()
        inner.values = {
            into.name: site.resolve(Ref(name), name)
            for into, name in zip(part.inputs, given, strict=True)
        }
        inner.run(part)
        self.known = inner.known
        outputs = [inner.values.get(o.name) if isinstance(o, Ref) else None for o in part.outputs]
        for name, value in zip(site.call.outputs, outputs, strict=False):
            if name is not None and value is not None:
                self.values[name] = value

    def finish(self, program: Program) -> Graph:
        """The graph of the program's outputs."""
        outputs: list[str] = []
        for output in program.outputs:
            if isinstance(output, Symbol):
                raise UnsupportedModelError("an output is a size at run time", hint=STATIC)
            if not isinstance(output, Ref):
                continue  # a number, or nothing
            if output.name not in self.values:
                raise ModelFileError(f"its output {output.name!r} is never computed", hint=DAMAGED)
            outputs.append(self._output(self.values[output.name], outputs))
        if not outputs:
            raise UnsupportedModelError(
                "forward returns no tensor", hint="return the tensors that the device needs"
            )
        return to_integers(self.at.builder.build(outputs), self.at.grids)

    def _output(self, value: Operand, taken: list[str]) -> str:
        """A value that an operator computes and that is no other output."""
        if not isinstance(value, str) and value.dtype == np.int64:
            value = value.astype(np.int32)
        name = self.at.value(value)
        computed = self.at.builder.data(name) is None and name not in self.inputs
        if computed and name not in taken:
            return name
        self.at.layer = "output"
        return self.at.add("RESHAPE", [name], new_shape=self.at.shape(name))


def _as_list(result: Result) -> list[Operand | None]:
    return result if isinstance(result, list) else [result]


def _references(given: Any) -> Any:
    """Names of the tensors among arguments, in order."""
    if isinstance(given, Ref):
        yield given.name
    elif isinstance(given, dict):
        for each in given.values():
            yield from _references(each)
    elif isinstance(given, list):
        for each in given:
            yield from _references(each)


def last_reads(program: Program) -> dict[str, int]:
    """By tensor: the last call that reads it; outputs are read after all calls."""
    last: dict[str, int] = {}
    for step, call in enumerate(program.calls):
        for name in _references(call.args):
            last[name] = step
    for output in program.outputs:
        if isinstance(output, Ref):
            last[output.name] = len(program.calls)
    return last
