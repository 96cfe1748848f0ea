"""Put steps into the order in which the most demanding of them needs least memory.

Where a network branches, one branch after the other may need less than all at once, and which one
comes first may matter. The search goes forward step by step over sets of steps that are done: how
they were ordered among themselves does not matter to what comes next, so that of each set only the
best order is kept. It is exact while there are few such sets; else only the best are followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smidgen.backends.c.arena import without_aliases
from smidgen.backends.c.select_kernels import Step
from smidgen.backends.c.states import plan_states
from smidgen.ir import Graph

_EFFORT = 150_000  # steps that are tried behind others


@dataclass(frozen=True)
class _Way:
    """An order of some steps.

    Args:
        peak: bytes that the most demanding of them needs.
        alive: bytes alive behind them.
        done: the bit set of their numbers.
        order: their numbers.
    """

    peak: int
    alive: int
    done: int
    order: tuple[int, ...]

    @property
    def rank(self) -> tuple[int, int, tuple[int, ...]]:
        """The lower the better; the given order is the best of equal ones."""
        return self.peak, self.alive, self.order


def order_steps(graph: Graph, steps: Sequence[Step]) -> list[Step]:
    """The same steps in the order that needs least memory, whole tensors taken for granted.

    Args:
        graph: the graph.
        steps: the kernel of every node, in an order that runs.

    Returns:
        An order that runs; the given one unless another needs less.
    """
    memory = _Memory(graph, steps)
    given = memory.start()
    for step in range(len(steps)):
        given = memory.after(given, step)
    ways = [memory.start()]
    for _ in steps:
        further: dict[int, _Way] = {}
        effort = _EFFORT // len(steps)
        for way in sorted(ways, key=lambda way: way.rank):
            ready = memory.ready(way.done)
            for step in ready:
                new = memory.after(way, step)
                known = further.get(new.done)
                if known is None or new.rank < known.rank:
                    further[new.done] = new
            effort -= len(ready)
            if effort <= 0:
                break
        ways = list(further.values())
    found = min(ways, key=lambda way: way.rank)
    return [steps[i] for i in (found if found.peak < given.peak else given).order]


class _Memory:
    """What steps need, in any order."""

    def __init__(self, graph: Graph, steps: Sequence[Step]) -> None:
        self.steps = steps
        calls, buffer_of = without_aliases(graph, steps)
        held = plan_states(graph, calls, buffer_of).held  # they take no room in the arena
        self.buffer_of = buffer_of
        self.size = {b: max(1, graph.type(b).bytes) for b in buffer_of.values()}
        self.size.update(dict.fromkeys(held, 0))
        self.kept = {buffer_of[name] for name in graph.results if name in buffer_of}
        self.inputs = {buffer_of[name] for name in graph.inputs}
        made_by = {name: i for i, step in enumerate(steps) for name in step.outputs}
        self.before = [
            sum(1 << i for i in {made_by[n] for n in step.inputs if n in made_by}) for step in steps
        ]
        self.readers: dict[str, int] = dict.fromkeys(self.size, 0)
        for i, step in enumerate(steps):
            for name in step.inputs:
                if name in buffer_of:
                    self.readers[buffer_of[name]] |= 1 << i

    def start(self) -> _Way:
        """Nothing done."""
        return _Way(0, sum(self.size[b] for b in self.inputs), 0, ())

    def ready(self, done: int) -> list[int]:
        """Steps whose operands are there."""
        return [
            i
            for i, before in enumerate(self.before)
            if not done >> i & 1 and before & done == before
        ]

    def after(self, way: _Way, number: int) -> _Way:
        """A way with one step more."""
        done = way.done | 1 << number
        step = self.steps[number]
        order = (*way.order, number)
        read = {self.buffer_of[n] for n in step.inputs if n in self.buffer_of}
        ended = {
            b for b in read if b not in self.kept and self.readers[b] & done == self.readers[b]
        }
        if step.kernel.alias:
            return _Way(way.peak, way.alive, done, order)
        output = self.buffer_of[step.outputs[0]]
        made = sum(self.size[self.buffer_of[n]] for n in step.outputs)
        shared = 0
        for name in step.inputs:
            lead = 0 if step.replaced == name else step.leads.get(name)
            if self.buffer_of.get(name) in ended and lead is not None:
                room = max(0, self.size[output] - lead)
                shared = max(shared, min(self.size[self.buffer_of[name]], room))
        need = way.alive + made + step.scratch_bytes - shared
        alive = way.alive + made - sum(self.size[b] for b in ended)
        return _Way(max(way.peak, need), alive, done, order)
