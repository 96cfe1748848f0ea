"""Choose a C kernel for every node: the first whose guard holds, or the one that is worth most.

Operators list their kernels in the order that suits most devices, the plainest last, which also
computes what would need a kernel of its own for next to nothing. With optimize "speed" any other
whose guard holds may replace it, if it is estimated to be faster: those that save most cycles for
each byte of flash first, until the flash is used up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from smidgen.backends.c.costs import Costs, load_costs
from smidgen.errors import UnsupportedModelError
from smidgen.ir import Graph, Node
from smidgen.ops import Kernel, Site, Unsupported

if TYPE_CHECKING:
    from smidgen.ops import Op


_LITTLE = 1 / 500  # of a graph's MACs, which no kernel is worth its code for


@dataclass(frozen=True, eq=False)
class Step:
    """One node with the kernel that computes it."""

    node: Node
    site: Site
    kernel: Kernel

    def lean(self) -> Step:
        """The same with as little scratch as the kernel can do with."""
        return replace(self, site=replace(self.site, lean=True))

    @property
    def steps(self) -> tuple[Step, ...]:
        """Itself: see `Call`."""
        return (self,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Operands, constant ones among them."""
        return tuple(n for n in self.node.inputs if n is not None)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Results."""
        return self.node.outputs

    @property
    def scratch_bytes(self) -> int:
        """Bytes of scratch."""
        return self.kernel.scratch_bytes(self.site)

    @cached_property
    def leads(self) -> Mapping[str, int]:
        """For each operand that the only output may overlap, the lead (see `Kernel.overlap`)."""
        if len(self.node.outputs) != 1:
            return {}
        allowed = self.kernel.overlap(self.site)
        operands = list(enumerate(self.node.inputs))
        apart = {name for i, name in operands if i not in allowed}
        leads: dict[str, int] = {}
        for i, name in operands:
            if name is not None and name not in apart:  # the same value may be two operands
                leads[name] = max(leads.get(name, 0), allowed[i])
        return leads

    @property
    def replaced(self) -> str | None:
        """The operand that the output can replace in exactly its place, or None."""
        operand = self.kernel.in_place(self.site)
        if operand is None:
            return None
        others = self.node.inputs[:operand] + self.node.inputs[operand + 1 :]
        name = self.node.inputs[operand]
        return None if name in others else name


def select_kernels(
    graph: Graph,
    *,
    features: Iterable[str] = (),
    rounding: str = "double",
    optimize: str = "balanced",
    flash: int | None = None,
    core: str = "cortex-m4",
) -> list[Step]:
    """The kernel of each node, in execution order.

    Args:
        graph: the graph to compile.
        features: what the core has, such as "dsp".
        rounding: "double" (as TFLM) or "single".
        optimize: "speed", "balanced" or "flash".
        flash: bytes that code and constants may take together; matters for "speed" only.
        core: whose measured costs count.

    Returns:
        One step for each node.

    Raises:
        UnsupportedModelError: naming the first node that no kernel can compute, and why each
            refuses it.
    """
    features = frozenset(features)
    steps = [select_kernel(graph, node, features, rounding, optimize) for node in graph.nodes]
    if optimize == "speed":
        return _fastest(steps, load_costs(core), flash)
    return _plain_where_little(steps)


def select_kernel(
    graph: Graph,
    node: Node,
    features: frozenset[str] = frozenset(),
    rounding: str = "double",
    optimize: str = "balanced",
) -> Step:
    """The first kernel that can compute one node; see `select_kernels`."""
    op: Op = node.op  # type: ignore[assignment]
    if isinstance(op.kernels, Unsupported):
        raise UnsupportedModelError(op.kernels.why, where=node.label)
    site = Site(
        op,
        graph.types(node.inputs),
        tuple(graph.type(n) for n in node.outputs),
        tuple(graph.data(n) for n in node.inputs),
        features,
        rounding,
        optimize,
    )
    refusals = []
    for kernel in op.kernels:
        refusal = kernel.guard(site)
        if refusal is None:
            return Step(node, site, kernel)
        refusals.append(f"{kernel.symbol or 'alias'}: {refusal}")
    raise UnsupportedModelError(
        f"no C kernel computes it ({'; '.join(refusals)})", where=node.label
    )


def _plain_where_little(steps: list[Step]) -> list[Step]:
    """Let the plainest kernels compute what would take a larger one for next to nothing."""
    macs = [step.site.op.macs(*step.site.inputs) for step in steps]
    done: Counter[str] = Counter()
    for step, count in zip(steps, macs, strict=True):
        done[step.kernel.symbol] += count
    return [
        replace(step, kernel=_plainest(step))
        if 0 < done[step.kernel.symbol] < _LITTLE * sum(macs)
        else step
        for step in steps
    ]


def _plainest(step: Step) -> Kernel:
    assert not isinstance(step.site.op.kernels, Unsupported)
    return next(k for k in reversed(step.site.op.kernels) if k.guard(step.site) is None)


@dataclass(frozen=True, eq=False)
class _Option:
    """A kernel that could compute a step: estimated cycles, and bytes of its constants."""

    kernel: Kernel
    cycles: float
    constants: int


def _options(step: Step, costs: Costs) -> list[_Option]:
    """The step's own kernel first, if its cost is known, and those that could take its place."""
    assert not isinstance(step.site.op.kernels, Unsupported)
    others = [k for k in step.site.op.kernels if k is not step.kernel]
    known = [step.kernel, *(k for k in others if k.work and k.guard(step.site) is None)]
    cycles = [costs.cycles(kernel, step.site) for kernel in known]
    if cycles[0] is None or len(known) == 1:
        return []
    return [
        _Option(kernel, estimate, kernel.flash(step.site))
        for kernel, estimate in zip(known, cycles, strict=True)
        if estimate is not None
    ]


def _fastest(steps: list[Step], costs: Costs, flash: int | None) -> list[Step]:
    """Replace kernels by faster ones, most cycles saved for a byte first, as far as flash goes."""
    options = {i: found for i, step in enumerate(steps) if (found := _options(step, costs))}
    chosen = {i: found[0] for i, found in options.items()}
    fixed = sum(s.kernel.flash(s.site) for i, s in enumerate(steps) if i not in chosen)
    others = [s.kernel for i, s in enumerate(steps) if i not in chosen]

    def total(chosen: dict[int, _Option]) -> int:
        used = [*others, *(option.kernel for option in chosen.values())]
        return fixed + sum(o.constants for o in chosen.values()) + costs.code(used)

    while True:
        size = total(chosen)
        best, most = None, 0.0
        for i, found in options.items():
            for option in found:
                bytes_more = total({**chosen, i: option}) - size
                saved = chosen[i].cycles - option.cycles
                value = saved / max(1, bytes_more)
                if value > most and (flash is None or bytes_more <= max(0, flash - size)):
                    best, most = (i, option), value
        if best is None:
            return [
                replace(step, kernel=chosen[i].kernel) if i in chosen else step
                for i, step in enumerate(steps)
            ]
        chosen[best[0]] = best[1]
