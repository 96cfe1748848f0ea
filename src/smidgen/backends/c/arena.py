"""From steps to the memory problem: which buffers there are, how long they live, what may overlap.

A buffer is a tensor and all its aliases (RESHAPE changes no byte, so its result is the same
buffer), or the scratch of one step. Steps are counted without the aliases. Where a kernel can
replace an operand in exactly its place, both are one buffer too, if that makes the arena smaller.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from smidgen.backends.c.memory_problem import Buffer, MemoryPlan, MemoryProblem, Overlap
from smidgen.backends.c.plan_memory import plan_memory
from smidgen.backends.c.select_kernels import Step
from smidgen.backends.c.states import ALIGNMENT, StatePlan, plan_states
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
        states: which buffers lie in the block of states instead, and what is copied there.
    """

    calls: tuple[Call, ...]
    problem: MemoryProblem
    plan: MemoryPlan
    buffer_of: Mapping[str, str]
    states: StatePlan = field(default_factory=StatePlan)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps that run code. Their numbers here are those that a traced model reports."""
        return tuple(step for call in self.calls for step in call.steps)

    @property
    def bytes(self) -> int:
        """Size of the tensor arena."""
        return self.plan.arena_bytes

    def offset(self, value: str) -> int:
        """Byte position of a value in the arena; of an output, where it is in the end."""
        if value in self.states.outputs:
            return self.plan.offsets[_output_name(value)]
        return self.plan.offsets[self.buffer_of[value]]

    def laid_out(self, graph: Graph, offsets: Mapping[str, int], size: int) -> Arena:
        """The same arena with the states elsewhere in their block, which is of this size."""
        moved = replace(self, states=replace(self.states, offsets=offsets, bytes=size))
        validate_plan(*with_states(graph, moved))
        return moved

    def is_held(self, value: str) -> bool:
        """Whether a value lies in the block of states."""
        return self.buffer_of.get(value) in self.states.held

    def scratch_offset(self, call: int) -> int:
        """Byte position of the scratch of the call numbered `call`."""
        return self.plan.offsets[_scratch_name(call)]


def plan_arena(graph: Graph, calls: Sequence[Call]) -> Arena:
    """Plan the tensor arena of a graph and have the plan checked by the independent validator.

    Args:
        graph: the graph.
        calls: steps for all its nodes, as `select_kernels` gives them, streams among them or not.

    Raises:
        UnsupportedModelError: if an output of the graph is a constant, or states swap places.
        PlanError: if the plan is wrong (a defect, never the model's fault).
    """
    calls, buffer_of = without_aliases(graph, calls)
    states = plan_states(graph, calls, buffer_of)
    inside = {value: b for value, b in buffer_of.items() if b not in states.held}
    arena = _in_place(graph, calls, inside, states.outputs)
    validate_plan(arena.problem, arena.plan)
    arena = replace(arena, buffer_of={**buffer_of, **arena.buffer_of}, states=states)
    validate_plan(*with_states(graph, arena))
    return arena


def with_states(graph: Graph, arena: Arena) -> tuple[MemoryProblem, MemoryPlan]:
    """The memory problem with the states' block behind the arena, for the validator to judge.

    Each state's old value lives until its last reader has run; what is written over it, or copied
    there in a step of its own after all calls, lives to the end.
    """
    states, calls, last = arena.states, arena.calls, len(arena.calls)
    first = last + 1  # outputs are copied in the step before
    end = first + len(states.copies) + 1
    base = -(-arena.bytes // ALIGNMENT) * ALIGNMENT
    read: dict[str, int] = {}
    made: dict[str, int] = {}
    for i, call in enumerate(calls):
        read.update({arena.buffer_of[n]: i for n in call.inputs if n in arena.buffer_of})
        for name in call.outputs:
            made.setdefault(arena.buffer_of[name], i)
    read.update({arena.buffer_of[n]: last for n in graph.outputs})
    for i, state in enumerate(states.copies):
        if state.output in arena.buffer_of:
            read[arena.buffer_of[state.output]] = first + i
    offsets = {n: base + states.offsets[s] for n, s in states.held.items()}
    size = {s.name: max(1, graph.type(s.input).bytes) for s in graph.states}
    buffers = list(arena.problem.buffers)
    overlaps = list(arena.problem.overlaps)
    by_name = {s.name: arena.buffer_of[s.input] for s in graph.states}
    changing = {states.held[b] for b in made if b in states.held} | {s.name for s in states.copies}
    for buffer, name in states.held.items():
        if buffer in made:
            buffers.append(Buffer(buffer, size[name], made[buffer], end))
            if read.get(by_name[name]) == made[buffer]:
                overlaps.append(Overlap(by_name[name], buffer))
        else:
            stop = read.get(buffer, -1) + 1 if name in changing else end
            buffers.append(Buffer(buffer, size[name], -1, stop))
    for i, state in enumerate(states.copies):
        copy = f"copy of state {state.name}"
        buffers.append(Buffer(copy, size[state.name], first + i, end))
        offsets[copy] = base + states.offsets[state.name]
    offsets = {**arena.plan.offsets, **offsets}
    total = max([arena.bytes, *(base + states.bytes for _ in states.held)])
    plan = MemoryPlan(offsets, total, 0, optimal=False)
    return MemoryProblem(tuple(buffers), tuple(overlaps), arena.problem.disjoint), plan


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
    buffer_of = {name: name for name in graph.sources}
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


def _in_place(
    graph: Graph, calls: Sequence[Call], buffer_of: dict[str, str], copied: Sequence[str]
) -> Arena:
    """The best arena found over which outputs replace their operands.

    No plan is better than the one in which they may overlap in any way. The choice starts with what
    that one does, in place counting as any overlap at all, and changes while it gets better.
    """
    pairs = _replaceable(graph, calls, buffer_of)
    relaxed = _planned(graph, calls, buffer_of, copied, anyhow=pairs)
    if not pairs:
        return relaxed
    offsets, size = relaxed.plan.offsets, {b.name: b.size for b in relaxed.problem.buffers}
    chosen = {o for o, i in pairs.items() if abs(offsets[o] - offsets[i]) < size[o]}

    def planned(chosen: set[str]) -> Arena:
        return _planned(graph, calls, _replaced(buffer_of, pairs, chosen), copied)

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
    copied: Sequence[str],
    anyhow: Mapping[str, str] = MappingProxyType({}),
) -> Arena:
    problem = _problem(graph, calls, buffer_of, copied, anyhow)
    return Arena(tuple(calls), problem, plan_memory(problem), buffer_of)


def _replaceable(graph: Graph, calls: Sequence[Call], buffer_of: dict[str, str]) -> dict[str, str]:
    """Outputs whose kernels can replace an operand in place, and the operands' buffers."""
    end = _ends(graph, calls, buffer_of)
    pairs = {}
    for i, call in enumerate(calls):
        value = call.replaced
        if call.outputs[0] not in buffer_of:
            continue  # it lies among the states
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
    for name in graph.results:  # read after the last call, which must not write over them
        if name in buffer_of:
            end[buffer_of[name]] = len(calls) + 1
    return end


def _scratch_name(call: int) -> str:
    return f"scratch of call {call}"


def _output_name(output: str) -> str:
    return f"copy of output {output}"


def _problem(
    graph: Graph,
    calls: Sequence[Call],
    buffer_of: dict[str, str],
    copied: Sequence[str],
    anyhow: Mapping[str, str],
) -> MemoryProblem:
    end = _ends(graph, calls, buffer_of)
    start = {buffer_of[name]: 0 for name in graph.inputs}
    scratch: list[Buffer] = []
    for i, call in enumerate(calls):
        for name in call.outputs:
            if name in buffer_of:
                start.setdefault(buffer_of[name], i)
        if call.scratch_bytes:
            scratch.append(Buffer(_scratch_name(i), call.scratch_bytes, i, i + 1))
    tensors = [
        Buffer(n, max(1, graph.type(n).bytes), start[n], end[n], alignment_of(graph.type(n).dtype))
        for n in start
    ]
    last = len(calls)
    for name in copied:
        type, lifespan = graph.type(name), (last, last + 1)
        tensors.append(Buffer(_output_name(name), type.bytes, *lifespan, alignment_of(type.dtype)))
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
        if call.outputs[0] not in buffer_of:
            continue
        for name, lead in call.leads.items():
            if name in buffer_of:
                leads[buffer_of[name]] = max(leads.get(buffer_of[name], 0), lead)
        for buffer, lead in leads.items():
            output = buffer_of[call.outputs[0]]
            written = output == call.outputs[0]  # as a buffer of its own
            if buffer not in apart and end[buffer] == i + 1 and written:
                found.append(Overlap(buffer, output, lead))
    return found


def alignment_of(dtype: str) -> int:
    """What the address of a tensor is a multiple of: 4, and 8 for 64-bit integers."""
    return 8 if dtype == "int64" else 4
