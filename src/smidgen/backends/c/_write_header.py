"""The header of a model: all that a user of the generated library reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from textwrap import dedent, indent

from smidgen.backends.c._write_calls import c_type, comment, float_literal
from smidgen.backends.c.arena import Arena
from smidgen.ir import Graph, TensorType


def c_identifier(name: str) -> str:
    """A lower-case C identifier from a model's name.

    Example:
        >>> c_identifier("kws-ref.Model 2")
        'kws_ref_model_2'
    """
    text = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower() or "model"
    return text if text[0].isalpha() else f"model_{text}"


def function_prefix(name: str, graph: Graph, functions: Sequence[object]) -> str:
    """What the C names of one function begin with: the model's name, and its own if it has some.

    Args:
        name: C identifier of the model.
        graph: the function.
        functions: all of the model's.
    """
    return name if len(functions) == 1 else f"{name}_{c_identifier(graph.signature)}"


def write_header(
    name: str, functions: Sequence[tuple[Graph, Arena]], version: str, constant_bytes: int
) -> str:
    """Write the header.

    Args:
        name: C identifier of the model.
        functions: graphs and their planned arenas.
        version: Smidgen's, for the first line.
        constant_bytes: bytes of all constant tables.
    """
    upper = name.upper()
    graphs = [graph for graph, _ in functions]
    first = function_prefix(name, graphs[0], functions)
    stateful = any(graph.states for graph in graphs)
    parts = []
    for graph, arena in functions:
        prefix = function_prefix(name, graph, functions)
        if len(functions) > 1:
            parts.append(f"/* -- {comment(graph.signature)} -- */\n")
        parts += _tensors(prefix, graph, arena)
        parts.append(_invoke(prefix, upper, graph))
    return _HEADER.format(
        version=version,
        name=name,
        upper=upper,
        first=first,
        arena=max(arena.bytes for _, arena in functions),
        constants=constant_bytes,
        declare=_DECLARE.format(name=name, upper=upper) if stateful else "",
        given="arena, state" if graphs[0].states else "arena",
        touched=_KEPT if stateful else _UNTOUCHED,
        state=_states(name, functions) if stateful else "",
        functions="\n".join(parts),
    )


def _tensors(prefix: str, graph: Graph, arena: Arena) -> Iterator[str]:
    for direction, values in (("input", graph.inputs), ("output", graph.outputs)):
        for i, value in enumerate(values):
            what = direction if len(values) == 1 else f"{direction}{i}"
            yield _tensor(prefix, what, value, graph, arena)
        named = {f"{direction}_{c_identifier(value)}": i for i, value in enumerate(values)}
        if len(values) > 1 and len(named) == len(values):
            lines = [f"#define {prefix}_{n} {prefix}_{direction}{i}" for n, i in named.items()]
            yield f"/* The same by name. */\n{chr(10).join(lines)}\n"


def _tensor(name: str, what: str, value: str, graph: Graph, arena: Arena) -> str:
    type = graph.type(value)
    constant = f"{name.upper()}_{what.upper()}"
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


def _invoke(prefix: str, upper: str, graph: Graph) -> str:
    if not graph.states:
        return _INVOKE.format(prefix=prefix, upper=upper)
    return _INVOKE_WITH_STATE.format(prefix=prefix, upper=upper)


def _states(name: str, functions: Sequence[tuple[Graph, Arena]]) -> str:
    """Size of the block of states, what is where in it, and the function that resets it."""
    upper = name.upper()
    types = {s.name: graph.type(s.input) for graph, _ in functions for s in graph.states}
    offsets = functions[0][1].states.offsets
    rows = [
        f" *   at {offsets[state]:6}: {comment(repr(state))}, {_describe(type)}\n"
        for state, type in sorted(types.items(), key=lambda item: offsets[item[0]])
    ]
    size = max(arena.states.bytes for _, arena in functions)
    return _STATE.format(name=name, upper=upper, size=size, rows="".join(rows))


_DECLARE = indent(
    dedent(
        """\
        static uint8_t state[{upper}_STATE_BYTES] __attribute__((aligned(16)));
        {name}_reset(state);
        """
    ),
    " *   ",
)

_UNTOUCHED = """\
Nothing else is
 * touched: no heap, no globals; two arenas may run at once."""

_KEPT = """\
What
 * the model remembers lies in a block of its own: reset it before the first step of a stream, then
 * leave it alone. Nothing else is touched: no heap, no globals; a block for each stream, and the
 * arena may serve them all in turn."""

_HEADER = dedent(
    """\
    /* {name}: a neural network compiled by Smidgen {version}.
     *
     *   static uint8_t arena[{upper}_ARENA_BYTES] __attribute__((aligned(16)));
    {declare} *   ... fill {first}_input(arena) ...
     *   if ({first}_invoke({given}) == 0) ... read {first}_output(arena) ...
     *
     * Inputs and outputs lie inside the arena, where the accessors say. An invocation overwrites
     * the inputs, so fill them before each one; outputs stay until the next. {touched}
     */
    #ifndef SM_MODEL_{upper}_H
    #define SM_MODEL_{upper}_H

    #include <stdint.h>

    #ifdef __cplusplus
    extern "C" {{
    #endif

    #define {upper}_ARENA_BYTES {arena}
    #define {upper}_CONSTANT_BYTES {constants}

    {state}{functions}
    #ifdef __cplusplus
    }}
    #endif

    #endif
    """
)

_STATE = dedent(
    """\
    /* What the model remembers from one step to the next:
     *
    {rows} */
    #define {upper}_STATE_BYTES {size}

    /* Forget: what a stream begins with. The block has {upper}_STATE_BYTES bytes and starts at a
     * multiple of 4. */
    void {name}_reset(void *state);

    """
)

_INVOKE = dedent(
    """\
    /* Run one inference. The arena has {upper}_ARENA_BYTES bytes and starts at a multiple of 4.
     * Returns 0, or -1 if the arena is NULL or misaligned. */
    int {prefix}_invoke(void *arena);
    """
)

_INVOKE_WITH_STATE = dedent(
    """\
    /* Run one step. The arena has {upper}_ARENA_BYTES bytes, the block of states
     * {upper}_STATE_BYTES; both start at a multiple of 4.
     * Returns 0, or -1 if one of them is NULL or misaligned. */
    int {prefix}_invoke(void *arena, void *state);
    """
)
