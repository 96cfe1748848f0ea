"""A memory plan for TensorFlow Lite Micro, to go into a `.tflite` file's metadata."""

from __future__ import annotations

from smidgen.backends.c.memory_problem import Buffer, MemoryProblem
from smidgen.backends.c.plan_memory import plan_memory
from smidgen.backends.c.validate_plan import validate_plan
from smidgen.backends.tflite._states import variable_tensors
from smidgen.ir import Graph

ALIGNMENT = 16  # of every tensor in the interpreter's arena


def plan_for_tflm(graph: Graph) -> dict[str, int]:
    """Offsets of all activations for the interpreter, which computes nothing in place.

    The interpreter's own greedy planner can waste much (a third on VWW); with this plan its
    arena holds the fewest bytes that its kernels allow, plus their scratch.

    Args:
        graph: the graph that will be written.

    Returns:
        Byte offsets by value name, for `write_tflite(offline_memory_plan=...)`.

    Example:
        >>> from smidgen import write_tflite
        >>> data = write_tflite(int8, offline_memory_plan=plan_for_tflm(int8))
    """
    apart = variable_tensors(graph)  # the interpreter keeps them elsewhere
    start = dict.fromkeys((n for n in graph.sources if n not in apart.values()), 0)
    end = dict.fromkeys(start, 1)
    for step, node in enumerate(graph.nodes):
        for name in node.outputs:
            if name not in apart:
                start[name], end[name] = step, step + 1
        for operand in node.inputs:
            if operand in start:
                end[operand] = step + 1
    for name in graph.results:
        if name in start:
            end[name] = len(graph.nodes) + 1
    buffers = (Buffer(n, max(1, graph.type(n).bytes), start[n], end[n], ALIGNMENT) for n in start)
    problem = MemoryProblem(tuple(buffers))
    plan = plan_memory(problem)
    validate_plan(problem, plan)
    return dict(plan.offsets)
