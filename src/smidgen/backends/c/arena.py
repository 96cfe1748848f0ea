"""From steps to the memory problem: which buffers there are, how long they live, what may overlap.

A buffer is a tensor and all its aliases (RESHAPE changes no byte, so its result is the same
buffer), or the scratch of one step. Steps are counted without the aliases. Where a kernel can
replace an operand in exactly its place, both are one buffer too, if that makes the arena smaller.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from smidgen.backends.c.memory_problem import Buffer, MemoryPlan, MemoryProblem, Overlap
from smidgen.backends.c.plan_memory import plan_memory
from smidgen.backends.c.select_kernels import Step
from smidgen.backends.c.stream import Call
from smidgen.backends.c.validate_plan import validate_plan
from smidgen.errors import UnsupportedModelError
from smidgen.ir import Graph

_TRIALS = 64  # plans made to find what is best replaced in place


@dataclass(frozen=True, eq=False)
class Arena:
    """Where everything lies.

    Args:
        calls: what runs, aliases left out.
        problem: buffers and overlaps as they were planned.
        plan: offsets by buffer.
        buffer_of: the buffer that holds each value; a value inside a stream has none.
    """

    calls: tuple[Call, ...]
    problem: MemoryProblem
    plan: MemoryPlan
    buffer_of: Mapping[str, str]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that run code. Their numbers here are those that a traced model reports."""
        return tuple(step for call in self.calls for step in call.steps)

    @property
    def bytes(self) -> int:
        """Size of the tensor arena."""
        return self.plan.arena_bytes

    def offset(self, value: str) -> int:
        """Byte position of a value in the arena."""
        return self.plan.offsets[self.buffer_of[value]]

    def scratch_offset(self, call: int) -> int:
        """Byte position of the scratch of the call numbered `call`."""
        return self.plan.offsets[_scratch_name(call)]


def plan_arena(graph: Graph, calls: Sequence[Call]) -> Arena:
    """Plan the tensor arena of a graph and have the plan checked by the independent validator.

    Args:
        graph: the graph.
        calls: steps for all its nodes, as `select_kernels` gives them, streams among them or not.

    Raises:
        UnsupportedModelError: if an output of the graph is a constant.
        PlanError: if the plan is wrong (a defect, never the model's fault).
    """
    calls, buffer_of = without_aliases(graph, calls)
    arena = _in_place(graph, calls, buffer_of)
    validate_plan(arena.problem, arena.plan)
    return arena


def without_aliases(graph: Graph, calls: Sequence[Call]) -> tuple[list[Call], dict[str, str]]:
    """The calls that run code, and the buffer of each value.

    Raises:
        UnsupportedModelError: if an output of the graph or the operand of an alias is a constant.
    """
    for name in graph.outputs:
        if graph.data(name) is not None:
            raise UnsupportedModelError(
                f"output {name!r} is a constant", hint="leave it out of the model's outputs"
            )
    buffer_of = {name: name for name in graph.inputs}
    running: list[Call] = []
    for call in calls:
        if not call.steps[0].kernel.alias:
            running.append(call)
            buffer_of.update({name: name for name in call.outputs})
        elif call.inputs[0] in buffer_of:
            buffer_of[call.outputs[0]] = buffer_of[call.inputs[0]]
        else:
            raise UnsupportedModelError("it reshapes a constant", where=call.steps[0].node.label)
    return running, buffer_of


def _in_place(graph: Graph, calls: Sequence[Call], buffer_of: dict[str, str]) -> Arena:
    """The best arena found over which outputs replace their operands.

    No plan is better than the one in which they may overlap in any way. The choice starts with what
    that one does, in place counting as any overlap at all, and changes while it gets better.
    """
    pairs = _replaceable(graph, calls, buffer_of)
    relaxed = _planned(graph, calls, buffer_of, anyhow=pairs)
    if not pairs:
        return relaxed
    offsets, size = relaxed.plan.offsets, {b.name: b.size for b in relaxed.problem.buffers}
    chosen = {o for o, i in pairs.items() if abs(offsets[o] - offsets[i]) < size[o]}

    def planned(chosen: set[str]) -> Arena:
        return _planned(graph, calls, _replaced(buffer_of, pairs, chosen))

    best = planned(chosen)
    for output in itertools.islice(itertools.cycle(pairs), min(2 * len(pairs), _TRIALS)):
        if best.bytes == relaxed.bytes:
            break
        other = planned(chosen ^ {output})
        if other.bytes < best.bytes:
            best, chosen = other, chosen ^ {output}
    return best


def _planned(
    graph: Graph,
    calls: Sequence[Call],
    buffer_of: dict[str, str],
    anyhow: Mapping[str, str] = MappingProxyType({}),
) -> Arena:
    problem = _problem(graph, calls, buffer_of, anyhow)
    return Arena(tuple(calls), problem, plan_memory(problem), buffer_of)


def _replaceable(graph: Graph, calls: Sequence[Call], buffer_of: dict[str, str]) -> dict[str, str]:
    """Outputs whose kernels can replace an operand in place, and the operands' buffers."""
    end = _ends(graph, calls, buffer_of)
    pairs = {}
    for i, call in enumerate(calls):
        value = call.replaced
        if value is not None and value in buffer_of and end[buffer_of[value]] == i + 1:
            pairs[call.outputs[0]] = buffer_of[value]
    return pairs


def _replaced(
    buffer_of: dict[str, str], pairs: Mapping[str, str], chosen: set[str]
) -> dict[str, str]:
    """`buffer_of` where the chosen outputs are their operands' buffers."""

    def whole(buffer: str) -> str:
        while buffer in chosen:
            buffer = pairs[buffer]
        return buffer

    return {value: whole(buffer) for value, buffer in buffer_of.items()}


def _ends(graph: Graph, calls: Sequence[Call], buffer_of: dict[str, str]) -> dict[str, int]:
    """One past the last call that needs each buffer."""
    end = {buffer_of[name]: 1 for name in graph.inputs}
    for i, call in enumerate(calls):
        used = (*call.inputs, *call.outputs)
        end.update({buffer_of[value]: i + 1 for value in used if value in buffer_of})
    for name in graph.outputs:  # read after the last call, which must not write over them
        end[buffer_of[name]] = len(calls) + 1
    return end


def _scratch_name(call: int) -> str:
    return f"scratch of call {call}"


def _problem(
    graph: Graph, calls: Sequence[Call], buffer_of: dict[str, str], anyhow: Mapping[str, str]
) -> MemoryProblem:
    end = _ends(graph, calls, buffer_of)
    start = {buffer_of[name]: 0 for name in graph.inputs}
    scratch: list[Buffer] = []
    for i, call in enumerate(calls):
        for name in call.outputs:
            start.setdefault(buffer_of[name], i)
        if call.scratch_bytes:
            scratch.append(Buffer(_scratch_name(i), call.scratch_bytes, i, i + 1))
    tensors = [Buffer(n, max(1, graph.type(n).bytes), start[n], end[n]) for n in start]
    overlaps = [o for o in _overlaps(calls, buffer_of, end) if anyhow.get(o.output) != o.input]
    overlaps += [Overlap(i, o) for o, i in anyhow.items()]
    return MemoryProblem((*tensors, *scratch), tuple(overlaps))


def _overlaps(
    calls: Sequence[Call], buffer_of: dict[str, str], end: dict[str, int]
) -> list[Overlap]:
    """Safe overlaps of each call's output with those operands that die in the call."""
    found = []
    for i, call in enumerate(calls):
        apart = {buffer_of[n] for n in call.inputs if n in buffer_of and n not in call.leads}
        leads: dict[str, int] = {}
        for name, lead in call.leads.items():
            if name in buffer_of:
                leads[buffer_of[name]] = max(leads.get(buffer_of[name], 0), lead)
        for buffer, lead in leads.items():
            output = buffer_of[call.outputs[0]]
            written = output == call.outputs[0]  # as a buffer of its own
            if buffer not in apart and end[buffer] == i + 1 and written:
                found.append(Overlap(buffer, output, lead))
    return found
