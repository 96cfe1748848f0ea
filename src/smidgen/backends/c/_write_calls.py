"""The C of an inference: constant tables, parameter structs, and calls with literal addresses."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smidgen.backends.c._loops import Loop, fold
from smidgen.backends.c.arena import Arena
from smidgen.backends.c.select_kernels import Step
from smidgen.backends.c.stream import Band, Shape, Stream
from smidgen.errors import SmidgenError
from smidgen.ir import Graph
from smidgen.ops._kernel import Param

MOVE_ROWS = "move_rows.h"  # in `kernels/`, for streams

_C_TYPES = {
    "float32": "float",
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "int64": "int64_t",
    "bool": "uint8_t",
}


def c_type(dtype: str) -> str:
    """The C type of a tensor's elements."""
    return _C_TYPES[dtype]


@dataclass
class Constants:
    """Constant tables, each distinct one stored once."""

    lines: list[str] = field(default_factory=list)
    names: dict[tuple[str, bytes], str] = field(default_factory=dict)
    bytes: int = 0

    def table(self, array: np.ndarray[Any, Any], hint: str) -> str:
        """The name of the table that holds `array`."""
        key = (str(array.dtype), np.ascontiguousarray(array).tobytes())
        if key not in self.names:
            taken = set(self.names.values())
            others = (f"{hint}_{i}" for i in itertools.count(1))
            hint = next(name for name in itertools.chain((hint,), others) if name not in taken)
            self.names[key] = hint
            self.bytes += array.nbytes
            kind = c_type(str(array.dtype))
            self.lines.append(
                f"static const SM_CONST {kind} {hint}[{max(1, array.size)}] = {{\n"
                f"{_rows(array)}\n}};\n"
            )
        return self.names[key]


def _rows(array: np.ndarray[Any, Any]) -> str:
    literal = float_literal if array.dtype.kind == "f" else _literal
    items = [literal(v) for v in array.ravel().tolist()] or ["0"]
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > 100:
            lines.append(line)
            line = "   "
        line += f" {item},"
    lines.append(line)
    return "\n".join(lines)


def _literal(value: int) -> str:
    for bits, suffix in ((31, ""), (63, "LL")):
        if value == -(2**bits):
            return f"-{2**bits - 1}{suffix} - 1"
        if -(2**bits) < value < 2**bits:
            return f"{int(value)}{suffix}"
    raise ValueError(f"{value} takes more than 64 bits")


def float_literal(value: float) -> str:
    if math.isnan(value):
        raise SmidgenError("a constant holds NaN", hint="mend the model's weights")
    if math.isinf(value):  # such as what a mask adds to scores that do not count
        return "SM_INFINITY" if value > 0 else "-SM_INFINITY"
    text = f"{np.float32(value):.9g}"
    return (text if re.search(r"[.e]", text) else f"{text}.0") + "f"


def comment(text: str) -> str:
    """Text that cannot end a C comment or start a new line."""
    return re.sub(r"[^ -~]", "?", text).replace("*/", "* /").replace("/*", "/ *")


def _field(value: Param, hint: str, constants: Constants) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, np.ndarray):
        return constants.table(value, hint)
    if isinstance(value, float):
        return float_literal(value)
    return _literal(value)


@dataclass(frozen=True)
class _At:
    """An address in the arena (or the states' block), which may move on in a loop."""

    offset: int
    stride: int = 0
    base: str = "a"

    def __str__(self) -> str:
        return f"{self.base} + {self.offset}" + (f" + i * {self.stride}" if self.stride else "")

    def moved(self, by: int, stride: int = 0) -> _At:
        """An address so many bytes further on."""
        return _At(self.offset + by, stride, self.base)


class CallWriter:
    """Writes the calls of an inference, in order.

    Attributes:
        constants: the tables they need.
        params: their parameter structs.
        lines: the calls.
    """

    def __init__(
        self,
        graph: Graph,
        arena: Arena,
        constants: Constants | None = None,
        *,
        prefix: str = "",
        first: int = 0,
    ) -> None:
        """Write the calls of a graph.

        Args:
            graph: the graph.
            arena: its planned arena.
            constants: tables to share with other functions.
            prefix: of the names of parameter structs.
            first: number of the first step.
        """
        self.graph = graph
        self.arena = arena
        self.prefix = prefix
        self.constants = Constants() if constants is None else constants
        self.params: list[str] = []
        self.lines: list[str] = []
        number = first
        for i, call in enumerate(arena.calls):
            if isinstance(call, Stream):
                self._stream(i, number, call)
            else:
                self._step(i, number, call)
            number += len(call.steps)
        self._copies()

    def _copies(self) -> None:
        """What is done when all is computed: outputs out of the states, then the new states."""
        states, graph = self.arena.states, self.graph
        for name in states.outputs:
            to, size = _At(self.arena.offset(name)), graph.type(name).bytes
            self.lines.append(f"  memcpy({to}, {self._place(name)}, {size});\n")
        for state in states.copies:
            to, size = _At(states.offsets[state.name], base="s"), graph.type(state.input).bytes
            data = graph.data(state.output)
            source = str(self._place(state.output)) if data is None else ""
            if data is not None:
                source = self.constants.table(data, "state")
            self.lines.append(f"  memcpy({to}, {source}, {size});\n")

    def _place(self, value: str) -> _At:
        """Where a value lies."""
        buffer = self.arena.buffer_of[value]
        if buffer in self.arena.states.held:
            return _At(self.arena.states.offset(buffer), base="s")
        return _At(self.arena.plan.offsets[buffer])

    def _step(self, call: int, number: int, step: Step) -> None:
        name = f"{self.prefix}step_{number}"
        self._define(number, step, name, self._fields(number, step.kernel.params(step.site)))
        operands = {
            i: self._place(n)
            for i, n in enumerate(step.node.inputs)
            if n is not None and n in self.arena.buffer_of
        }
        outputs = [self._place(n) for n in step.outputs]
        scratch = self.arena.scratch_offset(call) if step.scratch_bytes else None
        size = self.graph.type(step.outputs[0]).bytes
        self.lines += self._call(number, step, name, operands, outputs, scratch, size)

    def _stream(self, call: int, number: int, stream: Stream) -> None:
        """Loops for what repeats, and calls for the first and the last rows."""
        names = self._stream_structs(number, stream)
        last = number + len(stream.steps) - 1
        self.lines.append(f"  /* Steps {number} to {last}, some rows of each at a time. */\n")
        for item in fold(stream.bands):
            if isinstance(item, Loop):
                self.lines.append(f"  for (int32_t i = 0; i < {item.count}; ++i) {{\n")
                for band, strides in zip(item.bands, item.strides, strict=True):
                    lines = self._band(call, number, stream, band, strides, names)
                    self.lines += [f"  {line}" for line in lines]
                self.lines.append("  }\n")
            else:
                still = (0,) * (len(item.operands) + 1)
                self.lines += self._band(call, number, stream, item, still, names)

    def _stream_structs(self, number: int, stream: Stream) -> dict[tuple[int, Shape], str]:
        """Write the parameters for each shape of a layer's bands, and say what they are called."""
        names: dict[tuple[int, Shape], str] = {}
        for i, step in enumerate(stream.steps):
            written: dict[str, str] = {}
            for shape in dict.fromkeys(band.shape for band in stream.bands if band.step == i):
                name = f"{self.prefix}step_{number + i}_{len(written)}"
                text = self._fields(number + i, stream.params(i, shape))
                if text not in written:
                    written[text] = name
                    self._define(number + i, step, name, text)
                names[i, shape] = written[text]
        return names

    def _band(
        self,
        call: int,
        number: int,
        stream: Stream,
        band: Band,
        strides: tuple[int, ...],
        names: Mapping[tuple[int, Shape], str],
    ) -> list[str]:
        step = stream.steps[band.step]
        scratch = self.arena.scratch_offset(call) if stream.scratch_bytes else 0

        def start(value: str | None) -> _At:
            assert value is not None
            if value in stream.windows:
                return _At(scratch + stream.windows[value])
            return self._place(value)

        output = step.outputs[0]
        lines = []
        if band.move is not None:
            to, source = (start(output).moved(at) for at in (band.move.to, band.move.source))
            lines.append(f"  sm_move_rows({to}, {source}, {band.move.bytes});\n")
        operands = {
            i: start(step.node.inputs[i]).moved(offset, stride)
            for (i, offset), stride in zip(band.operands, strides[:-1], strict=True)
        }
        out = start(output).moved(band.output, strides[-1])
        size = band.shape.rows_out * stream.row_bytes(band.step)
        own = scratch + stream.kernel_scratch if step.scratch_bytes else None
        name = names[band.step, band.shape]
        return lines + self._call(number + band.step, step, name, operands, [out], own, size)

    def _define(self, number: int, step: Step, name: str, fields: str) -> None:
        layer = f": {step.node.name}" if step.node.name else ""
        about = f"/* {number}. {step.node.op.name}{comment(layer)} */"
        struct = step.kernel.struct_name
        self.params.append(f"{about}\nstatic const {struct} {name} = {{\n{fields}}};\n")

    def _fields(self, number: int, params: Mapping[str, Param]) -> str:
        lines = []
        for key, value in params.items():  # a key may name a member of a member
            hint = f"{key.replace('.', '_')}_{number}"
            lines.append(f"    .{key} = {_field(value, hint, self.constants)},\n")
        return "".join(lines)

    def _call(
        self,
        number: int,
        step: Step,
        params: str,
        operands: Mapping[int, _At],
        outputs: Sequence[_At],
        scratch: int | None,
        traced: int,
    ) -> list[str]:
        """A call, and the report of what it computed, `traced` bytes of the first output."""
        names, kernel = step.node.inputs, step.kernel
        if kernel.gather:
            chosen: Sequence[int] = [i for i, n in enumerate(names) if n is not None]
        elif kernel.arguments is None:
            chosen = sorted(operands)
        else:
            chosen = [i for i in kernel.arguments if names[i] is not None]
        text: list[str] = []
        for i in chosen:
            if i in operands:
                text.append(f"(const void *)({operands[i]})")
            else:
                data = step.site.constant(i)
                text.append(self.constants.table(data, f"operand_{number}_{len(text)}"))
        if kernel.gather:
            text = [f"(const void *const[]){{{', '.join(text)}}}"]
        made = [f"(void *)({output})" for output in outputs]
        text += [f"(void *const[]){{{', '.join(made)}}}"] if kernel.scatter else made
        if kernel.scratch is not None:
            text.append("NULL" if scratch is None else f"(void *)(a + {scratch})")
        return [
            f"  {kernel.symbol}({', '.join([f'&{params}', *text])});\n",
            f"  SM_STEP({number}, {outputs[0]}, {traced});\n",
        ]
