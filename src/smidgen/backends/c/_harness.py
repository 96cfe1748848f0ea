"""The C file between a compiled model and the emulators' harness (see `sm_harness.h`)."""

from __future__ import annotations

from collections.abc import Sequence

from smidgen.backends.c.arena import Arena
from smidgen.backends.c.emit import Source
from smidgen.ir import Graph

RESET = 1
"""What the word behind the block of states holds when the model is to reset it."""


def harness_source(source: Source, functions: Sequence[tuple[Graph, Arena]], chosen: int) -> str:
    """Write the tables of one function's inputs and outputs, and `sm_invoke`.

    The block of states is an input and an output, so that it goes from step to step through the
    emulator's hands; a word behind it tells the model to reset the block instead. All functions
    are linked, whichever is chosen.

    Args:
        source: the generated C.
        functions: the model's graphs and arenas.
        chosen: number of the function that is invoked.
    """
    name, upper = source.name, source.name.upper()
    graph, arena = functions[chosen]

    def table(values: tuple[str, ...], more: str) -> str:
        rows = [f"{{arena + {arena.offset(v)}, {graph.type(v).bytes}}}, " for v in values]
        return "".join(rows) + more + "{0, 0}"

    def call(prefix: str) -> str:
        given = "arena, state" if prefix in source.stateful else "arena"
        return f"return {prefix}_invoke({given});"

    lines, block, given, taken = [], "", "", ""
    if source.state_bytes:
        block = (
            f"static uint8_t state[{upper}_STATE_BYTES] __attribute__((aligned(16)));\n"
            "SM_HARNESS_BSS static uint32_t wanted;\n"
        )
        given = f"{{state, {upper}_STATE_BYTES}}, {{&wanted, 4}}, "
        taken = f"{{state, {upper}_STATE_BYTES}}, "
        lines.append(f"if (wanted == {RESET}) {{ {name}_reset(state); return 0; }}")
    elif len(functions) > 1:
        block, given = "SM_HARNESS_BSS static uint32_t wanted;\n", "{&wanted, 4}, "
    others = [prefix for i, prefix in enumerate(source.functions) if i != chosen]
    lines += [f"if (wanted == {i}) {{ {call(prefix)} }}" for i, prefix in enumerate(others, 2)]
    lines.append(call(source.functions[chosen]))
    inputs, outputs = table(graph.inputs, given), table(graph.outputs, taken)
    body = "\n  ".join(lines)
    return (
        f'#include "sm_harness.h"\n#include "{name}.h"\n'
        f"static uint8_t arena[{upper}_ARENA_BYTES] __attribute__((aligned(16)));\n{block}"
        f"SM_HARNESS_DATA const sm_buffer sm_inputs[] = {{{inputs}}};\n"
        f"SM_HARNESS_DATA const sm_buffer sm_outputs[] = {{{outputs}}};\n"
        f"SM_HARNESS_CODE int sm_invoke(void) {{\n  {body}\n}}\n"
    )
