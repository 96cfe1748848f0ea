"""Choose a C kernel for every node: the first of the operator's kernels whose guard holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smidgen.errors import UnsupportedModelError
from smidgen.ir import Graph, Node
from smidgen.ops import Kernel, Site, Unsupported

if TYPE_CHECKING:
    from smidgen.ops import Op


@dataclass(frozen=True, eq=False)
class Step:
    """One node with the kernel that computes it."""

    node: Node
    site: Site
    kernel: Kernel


def select_kernels(
    graph: Graph, *, features: Iterable[str] = (), rounding: str = "double"
) -> list[Step]:
    """The kernel of each node, in execution order.

    Args:
        graph: the graph to compile.
        features: what the core has, such as "dsp".
        rounding: "double" (as TFLM) or "single".

    Returns:
        One step for each node.

    Raises:
        UnsupportedModelError: naming the first node that no kernel can compute, and why each
            refuses it.
    """
    return [
        select_kernel(graph, node, features=features, rounding=rounding) for node in graph.nodes
    ]


def select_kernel(
    graph: Graph, node: Node, *, features: Iterable[str] = (), rounding: str = "double"
) -> Step:
    """The kernel of one node; see `select_kernels`."""
    op: Op = node.op  # type: ignore[assignment]
    if isinstance(op.kernels, Unsupported):
        raise UnsupportedModelError(op.kernels.why, where=node.label)
    site = Site(
        op,
        graph.types(node.inputs),
        tuple(graph.type(n) for n in node.outputs),
        tuple(graph.data(n) for n in node.inputs),
        frozenset(features),
        rounding,
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
