"""Where states lie, and how they get there: in their own place at once, or copied at the end.

States have a block of memory of their own, beside the tensor arena, because they outlive a step.
Where nobody needs the old value any more when the new one is computed, the kernel writes the new
value straight over it. Otherwise it is computed in the arena and copied when all else is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import Graph, State

if TYPE_CHECKING:
    from smidgen.backends.c.stream import Call

ALIGNMENT = 4


@dataclass(frozen=True)
class StatePlan:
    """The states' block.

    Args:
        offsets: byte position of each state, by its name.
        bytes: size of the block, of states that this graph does not use too.
        held: the buffers that lie in the block, and the state in whose place each does.
        outputs: graph outputs that lie in the block, and are copied into the arena at the end.
        copies: states that are copied after that, in order.
    """

    offsets: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0
    held: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    copies: tuple[State, ...] = ()

    def offset(self, buffer: str) -> int:
        """Byte position of a buffer in the block."""
        return self.offsets[self.held[buffer]]


def lay_out(graphs: Sequence[Graph]) -> tuple[dict[str, int], int]:
    """Byte positions of the states of several functions of one model, by name, and all bytes.

    Raises:
        UnsupportedModelError: if two functions have different states of one name.
    """
    found: dict[str, int] = {}
    types: dict[str, object] = {}
    at = 0
    for graph in graphs:
        for state in graph.states:
            type = graph.type(state.input)
            kind = (type, state.initial.tobytes())
            if types.setdefault(state.name, kind) != kind:
                raise UnsupportedModelError(
                    f"two functions have different states {state.name!r}",
                    hint="give states of different type or initial value different names",
                )
            if state.name not in found:
                found[state.name] = at
                at += -(-type.bytes // ALIGNMENT) * ALIGNMENT
    return found, at


def initial_block(graphs: Sequence[Graph], offsets: Mapping[str, int], size: int) -> bytes:
    """The bytes of the block after a reset; those between states are 0."""
    block = np.zeros(size, np.uint8)
    for state in (s for graph in graphs for s in graph.states):
        raw = np.frombuffer(np.ascontiguousarray(state.initial).tobytes(), np.uint8)
        block[offsets[state.name] :][: raw.size] = raw
    return block.tobytes()


def plan_states(graph: Graph, calls: Sequence[Call], buffer_of: Mapping[str, str]) -> StatePlan:
    """Decide which new values are computed in the place of the old ones.

    Args:
        graph: the graph.
        calls: what runs, aliases left out.
        buffer_of: the buffer of each value.

    Raises:
        UnsupportedModelError: if states change places with each other.
    """
    offsets, size = lay_out([graph])
    held = {buffer_of[s.input]: s.name for s in graph.states}
    starts = frozenset(held)  # old values; new ones come to `held` below
    copies = []
    for state in graph.states:
        new = buffer_of.get(state.output)  # None for a constant
        if new == buffer_of[state.input]:
            continue  # it never changes
        if new is not None and new not in held and _at_once(graph, calls, buffer_of, state):
            held[new] = state.name
        else:
            copies.append(state)
    ordered = _ordered(copies, buffer_of, starts)
    outputs = tuple(n for n in graph.outputs if buffer_of.get(n) in starts)
    return StatePlan(offsets, size, held, outputs, ordered)


def _at_once(
    graph: Graph, calls: Sequence[Call], buffer_of: Mapping[str, str], state: State
) -> bool:
    """Whether the call that computes a state's new value may write it over the old one."""
    old, new = buffer_of[state.input], buffer_of[state.output]
    others = [s.output for s in graph.states if s is not state]
    kept = {buffer_of.get(name) for name in (*graph.outputs, *others)}
    makers = [i for i, call in enumerate(calls) if any(buffer_of[n] == new for n in call.outputs)]
    # Outputs must lie in the arena, and so does what another state becomes.
    if old in kept or new in kept or not makers:
        return False
    first = makers[0]
    readers = [
        i for i, call in enumerate(calls) if any(buffer_of.get(n) == old for n in call.inputs)
    ]
    if any(i > first for i in readers):
        return False
    return first not in readers or _in_place(calls[first], buffer_of, old, new)


def _in_place(call: Call, buffer_of: Mapping[str, str], old: str, new: str) -> bool:
    """Whether a call may write one buffer exactly over another that it reads."""
    names = [n for n in call.inputs if buffer_of.get(n) == old]
    if all(call.leads.get(n) == 0 for n in names):
        return True
    if len(names) == 1 and call.replaced == names[0]:
        return True
    (step,) = call.steps if len(call.steps) == 1 else (None,)
    if step is None:
        return False
    pairs = [(step.node.inputs[i], step.node.outputs[o]) for i, o in step.site.op.states.items()]
    return len(names) == 1 and any(n == names[0] and buffer_of.get(out) == new for n, out in pairs)


def _ordered(
    copies: Sequence[State], buffer_of: Mapping[str, str], starts: frozenset[str]
) -> tuple[State, ...]:
    """Copies in an order in which none overwrites what a later one reads."""
    left, done = list(copies), []
    while left:
        # The place of a state may be written once nobody is to read it.
        needed = {buffer_of.get(s.output) for s in left} & starts
        ready = [s for s in left if buffer_of[s.input] not in needed]
        if not ready:
            names = ", ".join(repr(s.name) for s in left)
            raise UnsupportedModelError(
                f"states {names} become each other",
                hint="let an operator, such as an addition of zero, come between them",
            )
        done += ready
        left = [s for s in left if s not in ready]
    return tuple(done)
