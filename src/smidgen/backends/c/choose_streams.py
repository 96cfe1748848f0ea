"""Choose which layers run by rows (see `stream`), so that the tensor arena becomes small.

How much memory a call needs is known before anything is planned: what is alive meanwhile, its
scratch, less what its output may share with an input. Under a limit on that need, the cheapest way
to cut the network into streams and plain steps is a shortest path through its steps. The limit goes
down from what plain steps need until it cannot be met, or costs too much; what memory the best of
these ways take is then planned in earnest.

A stream costs time, as each call of a kernel has some overhead and rows must be moved; nothing is
computed twice. A step on whole tensors can save memory, too, if its kernel does with less scratch
than is good for speed. Costs here are *estimated* cycles, measured on a Cortex-M4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smidgen.backends.c.arena import Arena, plan_arena, without_aliases
from smidgen.backends.c.select_kernels import Step
from smidgen.backends.c.states import plan_states
from smidgen.backends.c.stream import Call, Stream, by_rows, row_windows, stream
from smidgen.ir import Graph
from smidgen.ops import Op
from smidgen.ops._rows import RowWindow

FREE = 0.03  # of an inference's estimated cycles: a smaller arena may cost as much unasked

_CYCLES_PER_MAC = 1.0
_CYCLES_PER_BYTE = 25  # of outputs
_LEAN_COST = 0.125  # of a step's cycles, if its kernel takes less scratch
_LONGEST = 16  # steps in a stream
_MOST_PLANS = 24  # made to refine one choice
_TRIED = 3  # ways that are planned, of those that cost little enough
_MOST_BANDS = 40_000  # of all streams that are tried in one search: a few seconds
_ROWS = (8, 6, 4, 3, 2, 1)  # rows of a band that are tried
_FINER = 0.99  # how the limit goes down


@dataclass(frozen=True)
class Choice:
    """A way to run the steps.

    Args:
        calls: what runs, aliases among it.
        need: bytes that the most demanding call needs; the arena cannot be smaller.
        cost: estimated cycles more than if no step ran by rows.
    """

    calls: tuple[Call, ...]
    need: int
    cost: float


def choose_streams(
    graph: Graph, steps: Sequence[Step], *, free: float = FREE, ram: int | None = None
) -> Arena:
    """Plan an arena with those streams that make it small.

    Args:
        graph: the graph.
        steps: the kernel of every node, as `select_kernels` gives them.
        free: what streams may cost, as a part of an inference's estimated cycles.
        ram: with this many bytes the arena is small enough: the cheapest streams that get there
            are chosen whatever they cost, and of those that do not get there the smallest arena.

    Returns:
        The planned arena.
    """
    best = plan_arena(graph, steps)
    if ram is None and not free:
        return best
    affordable: list[Choice] = []
    for choice in choices(graph, steps):
        if ram is None and choice.cost > free * estimated_cycles(steps):
            break
        affordable.append(choice)
        if ram is not None:
            best = min(best, _refined(graph, choice.calls, None, ram), key=_bytes)
            if best.bytes <= ram:
                break
    if ram is None:  # what is needed least is not always what is planned best
        most = free * estimated_cycles(steps)
        tried = [_refined(graph, choice.calls, most, 0) for choice in affordable[-_TRIED:]]
        best = min(best, *tried, key=_bytes)
    return best


def _bytes(arena: Arena) -> int:
    return arena.bytes


def _cost(call: Call) -> float:
    if isinstance(call, Stream):
        return call.cost
    return _LEAN_COST * _step_cycles(call) if call.site.lean else 0.0


def _refined(graph: Graph, calls: Sequence[Call], most: float | None, enough: int) -> Arena:
    """The arena for these calls, with some steps among them run by rows alone.

    A kernel with a long lead pushes its output far below its input, and so the input far up. By
    rows the lead is shorter. How much that helps is known once the whole is planned.

    Args:
        graph: the graph.
        calls: what runs.
        most: estimated cycles that all that is done for memory may cost; None for any number.
        enough: bytes that need not be gone below.
    """
    best = plan_arena(graph, calls)
    plans = _MOST_PLANS if best.plan.optimal else 0  # one that is not takes seconds
    for i, call in enumerate(calls):
        if isinstance(call, Stream) or by_rows(call) is None or not any(call.leads.values()):
            continue
        if 2 * sum(graph.type(n).bytes for n in (*call.outputs, *call.leads)) < best.bytes:
            continue
        kept: Sequence[Call] = calls
        for rows in _ROWS:
            made = stream(graph, [call], rows)
            if made is None or best.bytes <= enough or plans == 0:
                break
            plans -= 1
            changed = [*calls[:i], made, *calls[i + 1 :]]
            if most is not None and sum(map(_cost, changed)) > most:
                break
            other = plan_arena(graph, changed)
            if other.bytes < best.bytes:
                best, kept = other, changed
        calls = kept
    return best


def choices(graph: Graph, steps: Sequence[Step]) -> Iterator[Choice]:
    """Ways to run the steps, from no stream at all to the least memory and the highest cost.

    Args:
        graph: the graph.
        steps: the kernel of every node, as `select_kernels` gives them.

    Yields:
        At least one way; each needs less memory than the one before.
    """
    search = _Search(graph, steps)
    limit = max(search.plain, default=0)
    while True:
        choice = search.cheapest(limit)
        if choice is None:
            return
        yield choice
        if not choice.need:  # nothing that runs code
            return
        limit = int(choice.need * _FINER)


def estimated_cycles(steps: Sequence[Step]) -> float:
    """Estimated cycles of an inference, roughly, to compare costs with."""
    return sum(map(_step_cycles, steps))


def _step_cycles(step: Step) -> float:
    op = step.node.op
    assert isinstance(op, Op)
    written = 0 if step.kernel.alias else step.site.output.bytes
    return _CYCLES_PER_MAC * op.macs(*step.site.inputs) + _CYCLES_PER_BYTE * written


class _Search:
    def __init__(self, graph: Graph, steps: Sequence[Step]) -> None:
        self.graph = graph
        self.steps = steps
        calls, self.buffer_of = without_aliases(graph, steps)
        self.start = {self.buffer_of[name]: -1 for name in graph.sources}
        self.last: dict[str, int] = dict.fromkeys(self.start, 0)
        for i, step in enumerate(steps):
            for name in step.outputs:
                self.start.setdefault(self.buffer_of[name], i)
            for name in (*step.inputs, *step.outputs):
                if name in self.buffer_of:
                    self.last[self.buffer_of[name]] = i
        ends = (self.buffer_of[name] for name in graph.results if name in self.buffer_of)
        self.last.update(dict.fromkeys(ends, len(steps)))
        self.size = {b: max(1, graph.type(b).bytes) for b in self.start}
        held = plan_states(graph, calls, self.buffer_of).held
        self.size.update(dict.fromkeys(held, 0))  # they take no room in the arena
        self.plain = [self._need(i, i + 1, step) for i, step in enumerate(steps)]
        self.can = [by_rows(step) is not None for step in steps]
        # Of each step that can run by rows: its operands' buffers, windows on them, and heights.
        self.windows = [
            self._windows(step) if can else [] for step, can in zip(steps, self.can, strict=True)
        ]
        self._bands = 0
        self._streams: dict[tuple[int, int, int], tuple[Stream | None, int]] = {}

    def _windows(self, step: Step) -> list[tuple[str, RowWindow, int]]:
        found = []
        for i, window in row_windows(step).items():
            name = step.node.inputs[i]
            assert name is not None
            found.append((self.buffer_of[name], window, step.site.input(i).shape[1]))
        return found

    def cheapest(self, limit: int) -> Choice | None:
        """The cheapest way in which no call needs more than `limit` bytes, if there is one."""
        best: dict[int, Choice] = {0: Choice((), 0, 0.0)}  # by the number of steps done
        for first in range(len(self.steps)):
            if first not in best:
                continue
            for end, call, need in self._calls(first, limit):
                before = best[first]
                cost = before.cost + _cost(call)
                if end not in best or cost < best[end].cost:
                    best[end] = Choice((*before.calls, call), max(before.need, need), cost)
        return best.get(len(self.steps))

    def _calls(self, first: int, limit: int) -> Iterator[tuple[int, Call, int]]:
        """Calls that begin with a step and need no more than `limit`: where they end, their need.

        Streams that help no step to meet the limit are left out.
        """
        if self.plain[first] <= limit:
            yield first + 1, self.steps[first], self.plain[first]
        elif (need := self._need(first, first + 1, lean := self.steps[first].lean())) <= limit:
            yield first + 1, lean, need
        for end in self._ends(first):
            if max(self.plain[first:end]) <= limit:
                continue
            for rows in _ROWS:
                if self._least_need(first, end, rows) <= limit:
                    call, need = self._stream(first, end, rows)
                    if call is not None and need <= limit:
                        yield end, call, need
                        break  # fewer rows cost more

    def _ends(self, first: int) -> list[int]:
        """Where a stream may end that starts with a step: nobody outside reads its inner values."""
        found = []
        inner = -1  # the last step that reads one of the values so far
        for end in range(first + 1, min(first + _LONGEST, len(self.steps)) + 1):
            if not self.can[end - 1]:
                break
            if end > first + 1 and inner < end:
                found.append(end)
            inner = max(inner, self.last[self.buffer_of[self.steps[end - 1].outputs[0]]])
        return found

    def _stream(self, first: int, end: int, rows: int) -> tuple[Stream | None, int]:
        """The steps from `first` to `end` as a stream, and what it needs."""
        key = (first, end, rows)
        if key not in self._streams and self._bands > _MOST_BANDS:
            return None, 0
        if key not in self._streams:
            made = stream(self.graph, self.steps[first:end], rows)
            self._bands += 0 if made is None else len(made.bands)
            self._streams[key] = (made, 0 if made is None else self._need(first, end, made))
        return self._streams[key]

    def _least_need(self, first: int, end: int, rows: int) -> int:
        """What a stream of these steps needs at least: quicker than to make it.

        Each inner value's window holds the rows that one band of its reader takes.
        """
        alive = {b for b, s in self.start.items() if s < first and self.last[b] >= first}
        ending = sum(self.size[b] for b in alive if self.last[b] < end)
        through = sum(self.size[b] for b in alive) - ending
        windows: dict[str, int] = {}
        for step in range(first, end):
            for name, window, height in self.windows[step]:
                if self.start[name] >= first:
                    band = min(rows, self.steps[step].site.output.shape[1])
                    taken = min(height, (band - 1) * window.stride + window.extent)
                    windows[name] = max(windows.get(name, 0), taken * self.size[name] // height)
        output = self.size[self.steps[end - 1].outputs[0]]
        return through + sum(windows.values()) + max(ending, output)

    def _need(self, first: int, end: int, call: Call) -> int:
        """Bytes that must be there while the steps from `first` to `end` run as one call."""
        if call.steps[0].kernel.alias:
            return 0
        alive = {b for b, s in self.start.items() if s < first and self.last[b] >= first}
        output = self.buffer_of[call.outputs[0]]
        outputs = {self.buffer_of[name] for name in call.outputs}
        shared = 0
        for name in call.inputs:
            buffer = self.buffer_of.get(name)
            if buffer is None or self.last[buffer] >= end:
                continue
            lead = 0 if call.replaced == name else call.leads.get(name)
            if lead is not None:
                shared = max(shared, min(self.size[buffer], self.size[output] - lead))
        return sum(self.size[b] for b in alive | outputs) + call.scratch_bytes - shared
