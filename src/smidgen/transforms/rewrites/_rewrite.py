"""What a rewrite is, and the pass manager that applies rewrites until none fires."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from smidgen.ir import Graph, Node, verify


@dataclass(frozen=True)
class Patch:
    """One application of a rewrite.

    Args:
        graph: the graph afterwards.
        where: the node that it was about.
        what: what was done, in a few words.
    """

    graph: Graph
    where: str
    what: str


Refuse = Callable[[Node, str], None]


@dataclass(frozen=True)
class Rewrite:
    """A rule that makes a graph smaller or simpler and means the same.

    Args:
        name: the rule's name, its file's.
        exact: whether an integer graph computes the very same bytes afterwards, on a runtime that
            rounds in either way, so that it may be applied to anybody's int8 model. Rules that
            are not exact keep a float graph's meaning up to float rounding.
        requires: the graphs it acts on, "float" (no integer activation), "integer" or "any".
        find: applies the rule in one place and returns the result, or None when there is no such
            place left. Tells `refuse(node, why)` of each place that it looked at in vain, if a
            user would have expected it to fire there.
    """

    name: str
    exact: bool
    requires: str
    find: Callable[[Graph, Refuse], Patch | None]

    def accepts(self, graph: Graph) -> bool:
        """Whether the graph is of the kind that the rule acts on."""
        return self.requires in ("any", "integer" if graph.is_quantized else "float")

    def __call__(self, graph: Graph) -> tuple[Graph, bool]:
        """Apply this rule alone, as often as it fires: the graph, and whether it changed."""
        result, report = apply(graph, [self])
        return result, bool(report.changes)


@dataclass(frozen=True)
class Change:
    """One line of a report.

    Args:
        rule: the rewrite's name.
        where: the node.
        what: what was done.
        bytes_saved: by how much the graph's constants shrank.
        nodes: the nodes whose constants got another size, and the bytes saved in each. A constant
            that several nodes read counts in each of them.
    """

    rule: str
    where: str
    what: str
    bytes_saved: int
    nodes: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        if not self.bytes_saved:
            return f"{self.rule}: {self.where}: {self.what}"
        verb = "saves" if self.bytes_saved > 0 else "costs"
        return f"{self.rule}: {self.where}: {self.what} ({verb} {abs(self.bytes_saved):,} bytes)"


@dataclass(frozen=True)
class Refusal:
    """A place where a rule did not fire, and why."""

    rule: str
    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: not done, {self.why}"


@dataclass(frozen=True)
class Report:
    """What rewriting did.

    Args:
        changes: in the order they were made.
        refusals: places of the final graph where a rule did not fire.
        bytes_before, bytes_after: of all constants that are read.
        nodes_before, nodes_after: number of operators.
        macs_before, macs_after: multiply-accumulates of one inference.
    """

    changes: tuple[Change, ...]
    refusals: tuple[Refusal, ...]
    bytes_before: int
    bytes_after: int
    nodes_before: int
    nodes_after: int
    macs_before: int
    macs_after: int

    def __str__(self) -> str:
        lines = [str(change) for change in self.changes] + [str(r) for r in self.refusals]
        lines.append(
            f"constants {self.bytes_before:,} -> {self.bytes_after:,} bytes, "
            f"MACs {self.macs_before:,} -> {self.macs_after:,}, "
            f"operators {self.nodes_before} -> {self.nodes_after}"
        )
        return "\n".join(lines)


@dataclass
class _Log:
    changes: list[Change] = field(default_factory=list)
    settled: dict[str, Graph] = field(default_factory=dict)  # where a rule last found nothing
    refusals: dict[str, list[Refusal]] = field(default_factory=dict)


def apply(
    graph: Graph, rewrites: Sequence[Rewrite], *, stop_after: int | None = None
) -> tuple[Graph, Report]:
    """Apply rewrites until none fires any more; the graph is verified after each application.

    Args:
        graph: any graph.
        rewrites: the rules, in the order they are tried.
        stop_after: stop after so many applications. The first n for which the result is wrong is
            the application to look at (see `first_bad`).

    Returns:
        The rewritten graph and a report.

    Raises:
        GraphError: if a rule leaves a graph that is not well formed.

    Example:
        >>> from smidgen.transforms.rewrites import REWRITES
        >>> smaller, report = apply(model, REWRITES)
        >>> print(report.changes[0])
        fold_batch_norm: BATCH_NORM 'batch_normalization': folded into CONV_2D ... (saves 192 bytes)
    """
    verify(graph)
    log = _Log()
    result = graph
    fired = True
    while fired and not _done(log, stop_after):
        fired = False
        for rewrite in rewrites:
            before = len(log.changes)
            result = _exhaust(result, rewrite, log, stop_after)
            fired = fired or len(log.changes) > before
    return result, Report(
        changes=tuple(log.changes),
        refusals=tuple(r for found in log.refusals.values() for r in found),
        bytes_before=graph.constant_bytes,
        bytes_after=result.constant_bytes,
        nodes_before=len(graph.nodes),
        nodes_after=len(result.nodes),
        macs_before=count_macs(graph),
        macs_after=count_macs(result),
    )


def first_bad(
    graph: Graph, rewrites: Sequence[Rewrite], good: Callable[[Graph], bool]
) -> Change | None:
    """The first application after which `good` no longer holds, by bisection; None if it does.

    Args:
        graph: the graph before any rewrite, for which `good` holds.
        rewrites: the rules.
        good: a check of a rewritten graph, such as "its outputs are those of the original".
    """
    result, report = apply(graph, rewrites)
    if good(result):
        return None
    low, high = 0, len(report.changes)
    while high - low > 1:
        middle = (low + high) // 2
        if good(apply(graph, rewrites, stop_after=middle)[0]):
            low = middle
        else:
            high = middle
    return report.changes[low]


def count_macs(graph: Graph) -> int:
    """Multiply-accumulates of one inference, batch 1."""
    total: int = sum(node.op.macs(*graph.types(node.inputs)) for node in graph.nodes)  # type: ignore[attr-defined]
    return total


def _exhaust(graph: Graph, rewrite: Rewrite, log: _Log, stop_after: int | None) -> Graph:
    """Apply one rewrite until it does not fire."""
    while not _done(log, stop_after) and rewrite.accepts(graph):
        if log.settled.get(rewrite.name) is graph:
            break
        refusals: list[Refusal] = []
        log.refusals[rewrite.name] = refusals

        def refuse(node: Node, why: str, into: list[Refusal] = refusals) -> None:
            into.append(Refusal(rewrite.name, node.label, why))

        patch = rewrite.find(graph, refuse)
        if patch is None:
            log.settled[rewrite.name] = graph
            break
        verify(patch.graph)
        saved = graph.constant_bytes - patch.graph.constant_bytes
        nodes = _saved_by_node(graph, patch.graph)
        log.changes.append(Change(rewrite.name, patch.where, patch.what, saved, nodes))
        graph = patch.graph
    return graph


def _saved_by_node(before: Graph, after: Graph) -> tuple[tuple[str, int], ...]:
    """The nodes of both graphs whose constants changed size."""
    saved = []
    for node in after.nodes:
        old = before.producers.get(node.outputs[0])
        difference = (
            0 if old is None else _constant_bytes(before, old) - _constant_bytes(after, node)
        )
        if difference:
            saved.append((node.label, difference))
    return tuple(saved)


def _constant_bytes(graph: Graph, node: Node) -> int:
    names = {n for n in node.inputs if n is not None and graph.values[n].is_constant}
    return sum(graph.type(name).bytes for name in names)


def _done(log: _Log, stop_after: int | None) -> bool:
    return stop_after is not None and len(log.changes) >= stop_after
