"""From steps to the memory problem: which buffers there are, how long they live, what may overlap.

A buffer is a tensor and all its aliases (RESHAPE changes no byte, so its result is the same
buffer), or the scratch of one step. Steps are counted without the aliases.
"""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.backends.c.memory_problem import Buffer, MemoryPlan, MemoryProblem, Overlap
from smidgen.backends.c.plan_memory import plan_memory
from smidgen.backends.c.select_kernels import Step
from smidgen.backends.c.validate_plan import validate_plan
from smidgen.errors import UnsupportedModelError
from smidgen.ir import Graph


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
    problem = _problem(graph, calls, buffer_of)
    plan = plan_memory(problem)
    validate_plan(problem, plan)
    return Arena(tuple(calls), problem, plan, buffer_of)


def _scratch_name(call: int) -> str:
    return f"scratch of call {call}"


def _problem(graph: Graph, calls: list[Step], buffer_of: dict[str, str]) -> MemoryProblem:
    start = dict.fromkeys(graph.inputs, 0)
    end = dict.fromkeys(graph.inputs, 1)
    scratch: list[Buffer] = []
    for i, step in enumerate(calls):
        for name in step.node.outputs:
            start[name], end[name] = i, i + 1
        for value in step.node.inputs:
            if value in buffer_of:
                end[buffer_of[value]] = i + 1
        size = step.kernel.scratch_bytes(step.site)
        if size:
            scratch.append(Buffer(_scratch_name(i), size, i, i + 1))
    for name in graph.outputs:  # read after the last call, which must not write over them
        end[buffer_of[name]] = len(calls) + 1
    tensors = [Buffer(n, max(1, graph.type(n).bytes), start[n], end[n]) for n in start]
    return MemoryProblem((*tensors, *scratch), tuple(_overlaps(calls, buffer_of, end)))


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
            if lead is not None and end[buffer] == i + 1:
                found.append(Overlap(buffer, step.node.outputs[0], lead))
    return found
