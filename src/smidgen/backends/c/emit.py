"""Write the C of a model: one header for the user, one source file of tables and calls."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from smidgen.backends.c._write_calls import MOVE_ROWS, CallWriter, c_type, comment, float_literal
from smidgen.backends.c.arena import Arena
from smidgen.backends.c.stream import Stream
from smidgen.errors import UnsupportedModelError
from smidgen.ir import Graph, TensorType

KERNELS = Path(__file__).resolve().parents[2] / "kernels"

_UNROLL = {"speed": 8, "balanced": 4, "flash": 2}


def c_identifier(name: str) -> str:
    """A lower-case C identifier from a model's name.

    Example:
        >>> c_identifier("kws-ref.Model 2")
        'kws_ref_model_2'
    """
    text = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "model"
    return text if text[0].isalpha() else f"model_{text}"


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
    if graph.states:
        raise UnsupportedModelError(
            "models with states are not compiled yet", where=f"state {graph.states[0].name!r}"
        )
    name = c_identifier(graph.name)
    writer = CallWriter(graph, arena)
    headers = dict.fromkeys(step.kernel.source for step in arena.steps)
    if any(isinstance(call, Stream) for call in arena.calls):
        headers[MOVE_ROWS] = None
    sources = _closure(headers)
    text = _SOURCE.format(
        version=version,
        name=name,
        unroll=_UNROLL[optimize],
        includes="\n".join(f'#include "kernels/{s}"' for s in sources),
        constants="\n".join(writer.constants.lines),
        params="\n".join(writer.params),
        calls="".join(writer.lines) or "  (void)a;\n",
    )
    header = _header(graph, arena, name, version, writer.constants.bytes)
    return Source(name, header, text, tuple(sources), writer.constants.bytes)


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
        f"/* {comment(what)} {comment(value)!r}: {_describe(type)} */",
        f"#define {constant}_SIZE {type.size}",
        f"#define {constant}_BYTES {type.bytes}",
    ]
    if type.quant is not None and type.quant.axis is None:
        lines.append(f"#define {constant}_SCALE {float_literal(type.quant.scale)}")
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
