"""An exported program as plain data: the JSON of a `.pt2` file, checked.

The fields are those of torch/_export/serde/schema.py, schema version 8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from smidgen.errors import ModelFileError, UnsupportedModelError

SCHEMA = 8
DAMAGED = "the file is probably damaged: save it again with torch.export.save"

# `ScalarType` by number: the dtype that a graph holds it in.
SCALAR_TYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float32",
    7: "float32",
    8: "float32",
    12: "bool",
    13: "float32",
}


@dataclass(frozen=True)
class Ref:
    """A tensor by name."""

    name: str


@dataclass(frozen=True)
class Symbol:
    """A size that is known at run time only."""

    name: str


@dataclass(frozen=True)
class Call:
    """One call of an operator.

    Args:
        target: its name and overload, such as "aten.conv2d.padding".
        args: arguments by name, those left out absent.
        outputs: names of the results, None for one that is not used.
        module: path of the module that called it, "" for the outermost.
        kind: that module's class.
        source: the line of the user's code, as "file:line: code"; "" if unknown.
    """

    target: str
    args: dict[str, Any]
    outputs: tuple[str | None, ...]
    module: str = ""
    kind: str = ""
    source: str = ""

    @property
    def label(self) -> str:
        """How messages name the call."""
        where = f" in {self.module!r} ({self.kind})" if self.module else ""
        line = f" at {self.source}" if self.source else ""
        return f"{self.target}{where}{line}"

    @property
    def packet(self) -> str:
        """The name without namespace and overload: "conv2d"."""
        parts = self.target.split(".")
        return parts[1] if len(parts) > 1 else self.target


@dataclass(frozen=True)
class Input:
    """One input of the program.

    Args:
        name: of the tensor within the program.
        kind: "user_input", "parameter", "buffer", "tensor_constant" or another that is refused.
        stored: name of the array that it stands for; "" for a user's input.
    """

    name: str
    kind: str
    stored: str = ""


@dataclass(frozen=True)
class Tensor:
    """What is known of a tensor: its dtype, and its sizes, None for one known at run time only."""

    dtype: str
    shape: tuple[int | None, ...]


@dataclass
class Program:
    """A whole program, or a part of one that an operator calls.

    Args:
        inputs, outputs, calls: in order; an output may be a `Ref`, a number or None.
        tensors: what is known of every tensor.
        mutated: buffers and parameters that the program changes. (What it does to its inputs is
            of no consequence.)
    """

    inputs: list[Input]
    outputs: list[Any]
    calls: list[Call]
    tensors: dict[str, Tensor]
    mutated: list[str] = field(default_factory=list)


def parse(text: str) -> Program:
    """The program of a file.

    Raises:
        ModelFileError: if the text is no such program.
        UnsupportedModelError: if another version of PyTorch wrote it.
    """
    try:
        document = json.loads(text)
        version = document["schema_version"]["major"]
        if version != SCHEMA:
            raise UnsupportedModelError(
                f"its schema has version {version}, not {SCHEMA} "
                f"(PyTorch {document.get('torch_version', 'unknown')} wrote it)",
                hint="export it again with a PyTorch from 2.8 on",
            )
        module = document["graph_module"]
        signature = module["signature"]
        program = _graph(module["graph"], [_input(spec) for spec in signature["input_specs"]])
        outputs = zip(program.outputs, signature["output_specs"], strict=True)
        program.outputs = [output for output, spec in outputs if "user_output" in spec]
        for spec in signature["output_specs"]:
            ((kind, content),) = spec.items()
            if kind in ("buffer_mutation", "parameter_mutation"):
                name = next(str(v) for k, v in content.items() if k.endswith("_name"))
                program.mutated.append(name)
        return program
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        StopIteration,
        RecursionError,
    ) as error:
        raise ModelFileError(
            f"its program is malformed ({type(error).__name__}: {str(error)[:100]})", hint=DAMAGED
        ) from None


def _input(spec: dict[str, Any]) -> Input:
    ((kind, content),) = spec.items()
    stored = {
        "parameter": "parameter_name",
        "buffer": "buffer_name",
        "tensor_constant": "tensor_constant_name",
    }
    if kind in stored:
        return Input(str(content["arg"]["name"]), kind, str(content[stored[kind]]))
    arg = content.get("arg", content)
    if kind == "user_input" and "as_tensor" in arg:
        return Input(str(arg["as_tensor"]["name"]), kind)
    # Numbers and strings given to forward are part of the program: it has them as literals.
    literal = kind == "constant_input" or (kind == "user_input" and "as_none" in arg)
    return Input(str(content.get("name", "")), "literal" if literal else kind)


def _graph(graph: dict[str, Any], inputs: list[Input]) -> Program:
    tensors = {str(name): _tensor(meta) for name, meta in graph["tensor_values"].items()}
    calls = [_call(node) for node in graph["nodes"]]
    outputs = [_argument(output) for output in graph["outputs"]]
    return Program(inputs, outputs, calls, tensors)


def _tensor(meta: dict[str, Any]) -> Tensor:
    shape = tuple(d.get("as_int") for d in meta["sizes"])
    if not all(d is None or (isinstance(d, int) and 0 <= d < 1 << 31) for d in shape):
        raise ValueError(f"sizes {shape}")
    return Tensor(SCALAR_TYPES.get(meta["dtype"], f"PyTorch's number {meta['dtype']}"), shape)


def _call(node: dict[str, Any]) -> Call:
    metadata = node.get("metadata") or {}
    module, kind = _module(str(metadata.get("nn_module_stack", "")))
    return Call(
        target=str(node["target"]).removeprefix("torch.ops."),
        args={str(given["name"]): _argument(given["arg"]) for given in node["inputs"]},
        outputs=tuple(_output_names(node["outputs"])),
        module=module,
        kind=kind,
        source=_source(str(metadata.get("stack_trace", ""))),
    )


def _output_names(outputs: list[dict[str, Any]]) -> Iterator[str | None]:
    for output in outputs:
        ((kind, content),) = output.items()
        if kind == "as_tensor":
            yield str(content["name"])
        elif kind == "as_tensors":
            yield from (str(tensor["name"]) for tensor in content)
        else:
            yield None


def _argument(arg: dict[str, Any]) -> Any:
    """The value of an argument: tensors as `Ref`, sizes at run time as `Symbol`."""
    ((kind, content),) = arg.items()
    match kind:
        case "as_none" | "as_device" | "as_memory_format" | "as_layout":
            return None
        case "as_tensor":
            return Ref(str(content["name"]))
        case "as_tensors":
            return [Ref(str(tensor["name"])) for tensor in content]
        case "as_optional_tensor":
            return _argument(content)
        case "as_optional_tensors":
            return [_argument(tensor) for tensor in content]
        case "as_float":
            return float(content)  # infinities are strings
        case "as_floats":
            return [float(each) for each in content]
        case "as_scalar_type":
            return SCALAR_TYPES.get(content, str(content))
        case "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return _symbolic(content)
        case "as_sym_ints" | "as_sym_floats" | "as_sym_bools":
            return [_symbolic(each) for each in content]
        case "as_graph":
            graph = content["graph"]
            inputs = [
                Input(given["as_tensor"]["name"], "user_input")
                for given in graph["inputs"]
                if "as_tensor" in given
            ]
            return _graph(graph, inputs)
    return content


def _symbolic(content: dict[str, Any]) -> Any:
    ((kind, value),) = content.items()
    return Symbol(str(value)) if kind == "as_name" else value


def _module(stack: str) -> tuple[str, str]:
    """Path and class of the innermost module: "L__self__,,Net;L__self__c,c,torch.nn...Conv2d"."""
    innermost = stack.rpartition(";")[2].split(",")
    if len(innermost) != 3:
        return "", ""
    return innermost[1], innermost[2].rpartition(".")[2]


_FRAME = re.compile(r'File "(?P<file>[^"\n]*)", line (?P<line>\d+), in [^\n]*\n\s*(?P<code>[^\n]*)')


def _source(trace: str) -> str:
    """The innermost line of the trace that is not PyTorch's own."""
    frames = [m for m in _FRAME.finditer(trace) if "/torch/nn/" not in m["file"]]
    if not frames:
        return ""
    frame = frames[-1]
    name = frame["file"].replace("\\", "/").rpartition("/")[2]
    return f"{name}:{frame['line']}: {frame['code'].strip()[:120]}"
