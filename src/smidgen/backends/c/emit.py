"""Write the C of a model: one header for the user, one source file of tables and calls."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np

from smidgen.backends.c.arena import Arena
from smidgen.errors import SmidgenError
from smidgen.ir import Graph, TensorType
from smidgen.ops._kernel import Param

KERNELS = Path(__file__).resolve().parents[2] / "kernels"

_UNROLL = {"speed": 8, "balanced": 4, "flash": 2}

_C_TYPES = {
    "float32": "float",
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "int64": "int64_t",
    "bool": "uint8_t",
}


def c_identifier(name: str) -> str:
    """A lower-case C identifier from a model's name.

    Example:
        >>> c_identifier("kws-ref.Model 2")
        'kws_ref_model_2'
    """
    text = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "model"
    return text if text[0].isalpha() else f"model_{text}"


def c_type(dtype: str) -> str:
    """The C type of a tensor's elements."""
    return _C_TYPES[dtype]


@dataclass
class _Constants:
    """Constant tables, each distinct one stored once."""

    lines: list[str] = field(default_factory=list)
    names: dict[tuple[str, bytes], str] = field(default_factory=dict)
    bytes: int = 0

    def table(self, array: np.ndarray[Any, Any], hint: str) -> str:
        """The name of the table that holds `array`."""
        key = (str(array.dtype), np.ascontiguousarray(array).tobytes())
        if key not in self.names:
            self.names[key] = hint
            self.bytes += array.nbytes
            kind = c_type(str(array.dtype))
            self.lines.append(
                f"static const SM_CONST {kind} {hint}[{max(1, array.size)}] = {{\n"
                f"{_rows(array)}\n}};\n"
            )
        return self.names[key]


def _rows(array: np.ndarray[Any, Any]) -> str:
    items = [_literal(v) for v in array.ravel().tolist()] or ["0"]
    if array.dtype.kind == "f":
        items = [_float(v) for v in array.ravel().tolist()]
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) + 2 > 100:
            lines.append(line)
            line = "   "
        line += f" {item},"
    lines.append(line)
    return "\n".join(lines)


def _literal(value: int) -> str:
    if value == -(2**31):
        return "-2147483647 - 1"
    return str(int(value))


def _float(value: float) -> str:
    if not np.isfinite(value):
        raise SmidgenError(f"a constant holds {value}", hint="mend the model's weights")
    text = f"{np.float32(value):.9g}"
    return (text if re.search(r"[.e]", text) else f"{text}.0") + "f"


@dataclass(frozen=True)
class Source:
    """The generated text of a model.

    Args:
        name: the C identifier that every public name starts with.
        header: text of `<name>.h`.
        source: text of `<name>.c`.
        kernels: the headers of `kernels/` that the source needs, by file name.
        constant_bytes: bytes of the constant tables.
    """

    name: str
    header: str
    source: str
    kernels: tuple[str, ...]
    constant_bytes: int


def emit(graph: Graph, arena: Arena, version: str, optimize: str = "balanced") -> Source:
    """Generate the C of a planned graph.

    Args:
        graph: the graph.
        arena: its planned arena.
        version: Smidgen's version, for the first line.
        optimize: "speed", "balanced" or "flash": how far inner loops are unrolled.

    Returns:
        Header, source and the kernels they need.
    """
    name = c_identifier(graph.name)
    constants = _Constants()
    params, calls = [], []
    for i, step in enumerate(arena.calls):
        struct = step.kernel.struct_name
        fields = [
            f"    .{key} = {_field(value, f'{key}_{i}', constants)},\n"
            for key, value in step.kernel.params(step.site).items()
        ]
        layer = f": {step.node.name}" if step.node.name else ""
        comment = f"/* {i}. {step.node.op.name}{_comment(layer)} */"
        params.append(f"{comment}\nstatic const {struct} step_{i} = {{\n{''.join(fields)}}};\n")
        arguments = [f"&step_{i}", *_operands(graph, arena, i, constants)]
        call = f"  {step.kernel.symbol}({', '.join(arguments)});\n"
        out = step.node.outputs[0]
        trace = f"  SM_STEP({i}, a + {arena.offset(out)}, {graph.type(out).bytes});\n"
        calls.append(call + trace)
    sources = _closure(dict.fromkeys(step.kernel.source for step in arena.calls))
    text = _SOURCE.format(
        version=version,
        name=name,
        unroll=_UNROLL[optimize],
        includes="\n".join(f'#include "kernels/{s}"' for s in sources),
        constants="\n".join(constants.lines),
        params="\n".join(params),
        calls="".join(calls) or "  (void)a;\n",
    )
    header = _header(graph, arena, name, version, constants.bytes)
    return Source(name, header, text, tuple(sources), constants.bytes)


def _comment(text: str) -> str:
    """Text that cannot end a C comment or start a new line."""
    return re.sub(r"[^ -~]", "?", text).replace("*/", "* /").replace("/*", "/ *")


def _field(value: Param, hint: str, constants: _Constants) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, np.ndarray):
        return constants.table(value, hint)
    if isinstance(value, float):
        return _float(value)
    return _literal(value)


def _operands(graph: Graph, arena: Arena, call: int, constants: _Constants) -> list[str]:
    step = arena.calls[call]
    names = step.node.inputs
    if step.kernel.gather:
        chosen = [n for n in names if n is not None]
    elif step.kernel.arguments is None:
        chosen = [n for n in names if n is not None and n in arena.buffer_of]
    else:
        chosen = [n for n in (names[i] for i in step.kernel.arguments) if n is not None]
    text: list[str] = []
    for name in chosen:
        data = graph.data(name)
        if data is not None:
            text.append(constants.table(data, f"operand_{call}_{len(text)}"))
        else:
            text.append(f"(const void *)(a + {arena.offset(name)})")
    if step.kernel.gather:
        text = [f"(const void *const[]){{{', '.join(text)}}}"]
    text += [f"(void *)(a + {arena.offset(n)})" for n in step.node.outputs]
    if step.kernel.scratch is not None:
        has_scratch = step.kernel.scratch_bytes(step.site) > 0
        text.append(f"(void *)(a + {arena.scratch_offset(call)})" if has_scratch else "NULL")
    return text


def _closure(sources: dict[str, None]) -> list[str]:
    """The kernel headers and everything they include, dependencies first."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order:
            return
        text = (KERNELS / name).read_text(encoding="utf-8")
        for included in re.findall(r'^#include "([^"]+)"', text, re.MULTILINE):
            visit(included)
        order.append(name)

    visit("common.h")
    for name in sources:
        visit(name)
    return order


def _header(graph: Graph, arena: Arena, name: str, version: str, constant_bytes: int) -> str:
    upper = name.upper()
    parts = []
    for direction, values in (("input", graph.inputs), ("output", graph.outputs)):
        for i, value in enumerate(values):
            suffix = "" if len(values) == 1 else str(i)
            parts.append(_tensor(name, upper, f"{direction}{suffix}", value, graph, arena))
    return _HEADER.format(
        version=version,
        name=name,
        upper=upper,
        arena=arena.bytes,
        constants=constant_bytes,
        tensors="\n".join(parts),
    )


def _tensor(name: str, upper: str, what: str, value: str, graph: Graph, arena: Arena) -> str:
    type = graph.type(value)
    constant = f"{upper}_{what.upper()}"
    kind = c_type(type.dtype)
    is_input = what.startswith("input")
    void = "void *arena" if is_input else "const void *arena"
    pointer = f"{kind} *" if is_input else f"const {kind} *"
    base = "uint8_t *" if is_input else "const uint8_t *"
    cast = "void *" if is_input else "const void *"
    lines = [
        f"/* {_comment(what)} {_comment(value)!r}: {_describe(type)} */",
        f"#define {constant}_SIZE {type.size}",
        f"#define {constant}_BYTES {type.bytes}",
    ]
    if type.quant is not None and type.quant.axis is None:
        lines.append(f"#define {constant}_SCALE {_float(type.quant.scale)}")
        lines.append(f"#define {constant}_ZERO_POINT ({type.quant.zero_point})")
    lines += [
        f"static inline {pointer}{name}_{what}({void}) {{",
        f"  return ({pointer})({cast})(({base})arena + {arena.offset(value)});",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _describe(type: TensorType) -> str:
    text = f"{type.dtype} ({', '.join(map(str, type.shape))})"
    if type.quant is not None and type.quant.axis is None:
        zero_point = type.quant.zero_point
        centred = f"(q {'-' if zero_point >= 0 else '+'} {abs(zero_point)})"
        text += f", real = {type.quant.scale:.9g} * {centred}"
    return text


_HEADER = dedent(
    """\
    /* {name}: a neural network compiled by Smidgen {version}.
     *
     *   static uint8_t arena[{upper}_ARENA_BYTES] __attribute__((aligned(16)));
     *   ... fill {name}_input(arena) ...
     *   if ({name}_invoke(arena) == 0) ... read {name}_output(arena) ...
     *
     * Inputs and outputs lie inside the arena, where the accessors say. An invocation overwrites
     * the inputs, so fill them before each one; outputs stay until the next. Nothing else is
     * touched: no heap, no globals; two arenas may run at once.
     */
    #ifndef SM_MODEL_{upper}_H
    #define SM_MODEL_{upper}_H

    #include <stdint.h>

    #ifdef __cplusplus
    extern "C" {{
    #endif

    #define {upper}_ARENA_BYTES {arena}
    #define {upper}_CONSTANT_BYTES {constants}

    {tensors}
    /* Run one inference. The arena has {upper}_ARENA_BYTES bytes and starts at a multiple of 4.
     * Returns 0, or -1 if the arena is NULL or misaligned. */
    int {name}_invoke(void *arena);

    #ifdef __cplusplus
    }}
    #endif

    #endif
    """
)

_SOURCE = dedent(
    """\
    /* {name}: constant tables and the calls of one inference. Compiled by Smidgen {version}. */
    #include "{name}.h"

    #define SM_UNROLL {unroll} /* how often the large kernels write out their inner loops */
    {includes}

    /* Define SM_CONST as an attribute to move the constants to a section of their own. */
    #ifndef SM_CONST
    #define SM_CONST
    #endif

    /* Built with SM_TRACE, the model reports every tensor as soon as it is computed. */
    #ifdef SM_TRACE
    void sm_trace(int step, const void *data, size_t bytes);
    #define SM_STEP(step, data, bytes) sm_trace(step, data, bytes)
    #else
    #define SM_STEP(step, data, bytes) ((void)0)
    #endif

    {constants}
    {params}
    int {name}_invoke(void *arena) {{
      uint8_t *a = arena;
      if (a == NULL || (uintptr_t)arena % 4 != 0) {{
        return -1;
      }}
    {calls}  return 0;
    }}
    """
)
