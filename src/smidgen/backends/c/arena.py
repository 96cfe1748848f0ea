"""From steps to the memory problem: which buffers there are, how long they live, what may overlap.

A buffer is a tensor and all its aliases (RESHAPE changes no byte, so its result is the same
buffer), or the scratch of one step. Steps are counted without the aliases. Where a kernel can
replace an operand in exactly its place, both are one buffer too, if that makes the arena smaller.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from smidgen.backends.c.memory_problem import Buffer, MemoryPlan, MemoryProblem, Overlap
from smidgen.backends.c.plan_memory import plan_memory
from smidgen.backends.c.select_kernels import Step
from smidgen.backends.c.validate_plan import validate_plan
from smidgen.errors import UnsupportedModelError
from smidgen.ir import Graph

_TRIALS = 64  # plans made to find what is best replaced in place


@dataclass(frozen=True, eq=False)
class Arena:
    """Where everything lies.

    Args:
        calls: the steps that run code, aliases left out.
        problem: buffers and overlaps as they were planned.
        plan: offsets by buffer.
        buffer_of: the buffer that holds each value.
    """

    calls: tuple[Step, ...]
    problem: MemoryProblem
    plan: MemoryPlan
    buffer_of: dict[str, str]

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


def plan_arena(graph: Graph, steps: list[Step]) -> Arena:
    """Plan the tensor arena of a graph and have the plan checked by the independent validator.

    Raises:
        UnsupportedModelError: if an output of the graph is a constant.
        PlanError: if the plan is wrong (a defect, never the model's fault).
    """
    for name in graph.outputs:
        if graph.data(name) is not None:
            raise UnsupportedModelError(
                f"output {name!r} is a constant", hint="leave it out of the model's outputs"
            )
    buffer_of = {name: name for name in graph.inputs}
    calls: list[Step] = []
    for step in steps:
        source = step.node.inputs[0]
        if step.kernel.alias and source in buffer_of:
            buffer_of[step.node.outputs[0]] = buffer_of[source]
        elif step.kernel.alias:
            raise UnsupportedModelError("it reshapes a constant", where=step.node.label)
        else:
            calls.append(step)
            buffer_of.update({name: name for name in step.node.outputs})
    arena = _in_place(graph, calls, buffer_of)
    validate_plan(arena.problem, arena.plan)
    return arena


def _in_place(graph: Graph, calls: list[Step], buffer_of: dict[str, str]) -> Arena:
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
    calls: list[Step],
    buffer_of: dict[str, str],
    anyhow: Mapping[str, str] = MappingProxyType({}),
) -> Arena:
    problem = _problem(graph, calls, buffer_of, anyhow)
    return Arena(tuple(calls), problem, plan_memory(problem), buffer_of)


def _replaceable(graph: Graph, calls: list[Step], buffer_of: dict[str, str]) -> dict[str, str]:
    """Outputs whose kernels can replace an operand in place, and the operands' buffers."""
    end = _ends(graph, calls, buffer_of)
    pairs = {}
    for i, step in enumerate(calls):
        operand = step.kernel.in_place(step.site)
        if operand is None:
            continue
        output, value = step.node.outputs[0], step.node.inputs[operand]
        others = step.node.inputs[:operand] + step.node.inputs[operand + 1 :]
        if value in buffer_of and end[buffer_of[value]] == i + 1 and value not in others:
            pairs[output] = buffer_of[value]
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


def _ends(graph: Graph, calls: list[Step], buffer_of: dict[str, str]) -> dict[str, int]:
    """One past the last call that needs each buffer."""
    end = {buffer_of[name]: 1 for name in graph.inputs}
    for i, step in enumerate(calls):
        used = (*step.node.inputs, *step.node.outputs)
        end.update({buffer_of[value]: i + 1 for value in used if value in buffer_of})
    for name in graph.outputs:  # read after the last call, which must not write over them
        end[buffer_of[name]] = len(calls) + 1
    return end


def _scratch_name(call: int) -> str:
    return f"scratch of call {call}"


def _problem(
    graph: Graph, calls: list[Step], buffer_of: dict[str, str], anyhow: Mapping[str, str]
) -> MemoryProblem:
    end = _ends(graph, calls, buffer_of)
    start = {buffer_of[name]: 0 for name in graph.inputs}
    scratch: list[Buffer] = []
    for i, step in enumerate(calls):
        for name in step.node.outputs:
            start.setdefault(buffer_of[name], i)
        size = step.kernel.scratch_bytes(step.site)
        if size:
            scratch.append(Buffer(_scratch_name(i), size, i, i + 1))
    tensors = [Buffer(n, max(1, graph.type(n).bytes), start[n], end[n]) for n in start]
    overlaps = [o for o in _overlaps(calls, buffer_of, end) if anyhow.get(o.output) != o.input]
    overlaps += [Overlap(i, o) for o, i in anyhow.items()]
    return MemoryProblem((*tensors, *scratch), tuple(overlaps))


def _overlaps(calls: list[Step], buffer_of: dict[str, str], end: dict[str, int]) -> list[Overlap]:
    """Safe overlaps of each call's output with those operands that die in the call."""
    found = []
    for i, step in enumerate(calls):
        if len(step.node.outputs) != 1:
            continue
        allowed = step.kernel.overlap(step.site)
        leads: dict[str, int | None] = {}
        for operand, value in enumerate(step.node.inputs):
            if value not in buffer_of:
                continue
            buffer = buffer_of[value]
            lead = allowed.get(operand)
            known = leads.get(buffer, 0)
            leads[buffer] = None if lead is None or known is None else max(lead, known)
        for buffer, lead in leads.items():
            output = buffer_of[step.node.outputs[0]]
            written = output == step.node.outputs[0]  # as a buffer of its own
            if lead is not None and end[buffer] == i + 1 and written:
                found.append(Overlap(buffer, output, lead))
    return found
