"""Write the C of a model: one header for the user, one source file of tables and calls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from smidgen.backends.c._write_calls import MOVE_ROWS, CallWriter, Constants
from smidgen.backends.c._write_header import c_identifier as c_identifier
from smidgen.backends.c._write_header import function_prefix, write_header
from smidgen.backends.c._write_reset import reset_function
from smidgen.backends.c.arena import Arena, alignment_of
from smidgen.backends.c.stream import Stream
from smidgen.ir import Graph

KERNELS = Path(__file__).resolve().parents[2] / "kernels"

_UNROLL = {"speed": 8, "balanced": 4, "flash": 2}


@dataclass(frozen=True)
class Source:
    """The generated text of a model.

    Args:
        name: the C identifier that every public name starts with.
        header: text of `<name>.h`.
        source: text of `<name>.c`.
        kernels: the headers of `kernels/` that the source needs, by file name.
        constant_bytes: bytes of the constant tables.
        functions: what the names of each function begin with: `name` itself if there is one.
        stateful: those of them that take the block of states.
        state_bytes: size of that block.
    """

    name: str
    header: str
    source: str
    kernels: tuple[str, ...]
    constant_bytes: int
    functions: tuple[str, ...]
    stateful: tuple[str, ...]
    state_bytes: int


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
    return emit_library(graph.name, [(graph, arena)], version, optimize)


def emit_library(
    name: str,
    functions: Sequence[tuple[Graph, Arena]],
    version: str,
    optimize: str = "balanced",
) -> Source:
    """Generate the C of several functions of one model, which share constants, states and arena.

    Args:
        name: the model's.
        functions: graphs and their planned arenas, their states laid out alike. Where there are
            several, each graph has a signature, by which its function is called.
        version: Smidgen's version, for the first line.
        optimize: as in `emit`.

    Returns:
        Header, source and the kernels they need.
    """
    name = c_identifier(name)
    constants = Constants()
    headers: dict[str, None] = {}
    params, bodies, number = [], [], 0
    for graph, arena in functions:
        own = "" if len(functions) == 1 else f"{c_identifier(graph.signature)}_"
        writer = CallWriter(graph, arena, constants, prefix=own, first=number)
        number += len(arena.steps)
        headers.update(dict.fromkeys(step.kernel.source for step in arena.steps))
        if any(isinstance(call, Stream) for call in arena.calls):
            headers[MOVE_ROWS] = None
        params += writer.params
        body = _STATEFUL if graph.states else _STATELESS
        lines = "".join(writer.lines) or "  (void)a;\n"
        known = [graph.type(n).dtype for n in (*graph.inputs, *graph.producers)]
        alignment = max(map(alignment_of, known))
        prefix = function_prefix(name, graph, functions)
        bodies.append(body.format(name=prefix, calls=lines, alignment=alignment))
    graphs = [graph for graph, _ in functions]
    if any(graph.states for graph in graphs):
        bodies.insert(0, reset_function(name, graphs, functions[0][1].states.offsets, constants))
    sources = _closure(headers)
    text = _SOURCE.format(
        version=version,
        name=name,
        unroll=_UNROLL[optimize],
        includes="\n".join(f'#include "kernels/{s}"' for s in sources),
        constants="\n".join(constants.lines),
        params="\n".join(params),
        functions="\n".join(bodies),
    )
    header = write_header(name, functions, version, constants.bytes)
    prefixes = [function_prefix(name, graph, functions) for graph in graphs]
    return Source(
        name,
        header,
        text,
        tuple(sources),
        constants.bytes,
        tuple(prefixes),
        tuple(p for p, graph in zip(prefixes, graphs, strict=True) if graph.states),
        max(arena.states.bytes for _, arena in functions),
    )


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
    {functions}"""
)

_STATELESS = dedent(
    """\
    int {name}_invoke(void *arena) {{
      uint8_t *a = arena;
      if (a == NULL || (uintptr_t)arena % {alignment} != 0) {{
        return -1;
      }}
    {calls}  return 0;
    }}
    """
)

_STATEFUL = dedent(
    """\
    int {name}_invoke(void *arena, void *state) {{
      uint8_t *a = arena, *s = state;
      if (a == NULL || (uintptr_t)arena % {alignment} != 0) {{
        return -1;
      }}
      if (s == NULL || (uintptr_t)state % 4 != 0) {{
        return -1;
      }}
    {calls}  return 0;
    }}
    """
)
