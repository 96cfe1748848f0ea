"""Which channels go: a global ranking under a target, and the mean of what goes made up for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.errors import RecipeError
from smidgen.ir import Graph, GraphEditor, Node
from smidgen.ops import Role
from smidgen.transforms.prune.groups import Costs, Group, find_groups
from smidgen.transforms.rewrites._edit import set_constant
from smidgen.transforms.shrink import Channels

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]

_ORDER = 16.0
STEP = 4  # channels go so many at a time: SIMD likes multiples of 4


@dataclass(frozen=True)
class Cut:
    """What a ranking chose.

    Args:
        channels: of the graph it is about.
        groups: that may lose channels.
        gone: labels of the channels that go.
        before, after: the target's quantity.
    """

    channels: Channels
    groups: list[Group]
    gone: frozenset[int]
    before: float
    after: float

    def kept(self, group: Group) -> int:
        """How many channels of a group stay."""
        return sum(label not in self.gone for label in group.channels.tolist())


def choose(
    channels: Channels,
    scores: Array,
    left: float,
    *,
    target: str = "macs",
    step: int = STEP,
    most: float = 0.9,
) -> Cut:
    """Choose channels to remove until `left` of the target is left.

    The channels of each group are ranked by their scores; the next `step` of that group go where
    the least importance is lost for what is saved.

    Args:
        channels: of the graph.
        scores: importance of each channel, comparable between groups.
        left: part of the target's quantity that may stay, in (0, 1].
        target: "macs"; "parameters"; "flash": the bytes of int8 constants, about; or "ram": the
            peak of activations, before buffers overlap.
        step: channels that go at once; groups keep multiples of it where they have them.
        most: part of a group that may go at most.

    Raises:
        RecipeError: if the target cannot be reached, saying how far it went.

    Example:
        >>> from smidgen.transforms.prune.importance import l2
        >>> channels = Channels(model)
        >>> cut = choose(channels, l2(channels), 0.6)
        >>> cut.after <= 0.6 * cut.before
        True
    """
    measure = measure_of(channels, target)
    if not 0 < left <= 1:
        raise RecipeError(f"{left} of the {target} cannot be left", hint="give a part in (0, 1]")
    costs = Costs(channels)
    # Several steps may be at the peak: what lowers one of them only is progress too.
    smooth = (lambda gone: _norm(costs.alive(gone))) if target == "ram" else measure
    groups = [g for g in find_groups(channels) if g.pinned is None]
    order = {id(g): g.channels[np.argsort(scores[g.channels], kind="stable")] for g in groups}
    taken = {id(g): 0 for g in groups}
    gone = np.zeros(channels.count, bool)
    before, now = measure(gone), smooth(gone)
    while measure(gone) > left * before:
        best: tuple[float, Group, Array, float] | None = None
        for group in groups:
            at = taken[id(group)]
            # The first cut brings a group to a multiple of the step.
            count = (group.size - at) % step or step
            if at + count > most * group.size or at + count >= group.size:
                continue
            labels = order[id(group)][at : at + count]
            trial = gone.copy()
            trial[labels] = True
            saved = now - smooth(trial)
            lost = float(scores[labels].sum())
            rate = lost / saved if saved > 0 else np.inf
            if saved > 0 and (best is None or rate < best[0]):
                best = (rate, group, labels, now - saved)
        if best is None:
            raise RecipeError(
                f"{left:.0%} of the {target} cannot be reached: without {gone.sum()} channels "
                f"{measure(gone) / before:.0%} are left",
                hint="ask for less, or let more of each group go",
            )
        _, group, labels, now = best
        gone[labels] = True
        taken[id(group)] += len(labels)
    return Cut(channels, groups, frozenset(np.flatnonzero(gone).tolist()), before, measure(gone))


def measure_of(channels: Channels, target: str) -> Callable[[Array], float]:
    """The target's quantity as a function of the channels that are gone, a mask over labels.

    Raises:
        RecipeError: if there is no such target.
    """
    costs = Costs(channels)
    measures = {
        "macs": costs.macs,
        "parameters": costs.parameters,
        "flash": costs.flash,
        "ram": costs.peak,
    }
    if target not in measures:
        raise RecipeError(f"no target is called {target!r}", hint=f"use {', '.join(measures)}")
    return measures[target]


def _norm(sizes: Array) -> float:
    """Close to the largest, but every large one counts."""
    return float(np.power(np.mean(np.power(sizes, _ORDER)), 1 / _ORDER))


def uniform(channels: Channels, scores: Array, width: float, *, step: int = STEP) -> Cut:
    """The least important channels of each group, so that `width` of each is left.

    Example:
        >>> from smidgen.transforms.prune.importance import l2
        >>> channels = Channels(model)
        >>> cut = uniform(channels, l2(channels), 0.5)
        >>> [cut.kept(group) for group in cut.groups]
        [8, 16]
    """
    if not 0 < width <= 1:
        raise RecipeError(f"width {width}", hint="give a part in (0, 1]")
    costs = Costs(channels)
    groups = [g for g in find_groups(channels) if g.pinned is None]
    gone = np.zeros(channels.count, bool)
    before = costs.macs(gone)
    for group in groups:
        stay = width * group.size
        keep = max(min(step, group.size), round(stay / step) * step if stay >= step else 0)
        order = group.channels[np.argsort(scores[group.channels], kind="stable")]
        gone[order[: max(0, group.size - keep)]] = True
    return Cut(channels, groups, frozenset(np.flatnonzero(gone).tolist()), before, costs.macs(gone))


def remove(cut: Cut, means: dict[str, Array] | None = None) -> Graph:
    """The graph without the chosen channels.

    Args:
        cut: the choice.
        means: mean of each channel (last axis) of activations by name, see
            `smidgen.transforms.prune.importance.channel_means`: what
            removed channels added on average goes into the bias of the layers that read them.
    """
    biases = {} if means is None else _made_up(cut, means)
    edit = GraphEditor(cut.channels.remove(cut.gone))
    for output, added in biases.items():
        node = edit.graph.producers[output]
        stay = cut.channels.kept(output, -1, cut.gone)
        index = _bias_index(edit.graph, node)
        name = node.inputs[index] if index < len(node.inputs) else None
        old = None if name is None else edit.graph.data(name)
        bias = added[stay] if old is None else old.reshape(-1) + added[stay]
        set_constant(edit, node, index, bias.astype(np.float32))
    return edit.finish()


def _made_up(cut: Cut, means: dict[str, Array]) -> dict[str, Array]:
    """What the channels that go add on average to each node's outputs (channels,), by output."""
    graph = cut.channels.graph
    gone = cut.gone
    found: dict[str, Array] = {}
    for node in graph.nodes:
        sites = [s for s in cut.channels.sites if s.node is node and s.absorbs]
        if not sites or _bias_index(graph, node) < 0:
            continue
        lost = any(gone & set(s.channels.tolist()) for s in sites)
        name = node.inputs[0]
        if not lost or name is None or name not in means:
            continue
        type = graph.type(name)
        labels = cut.channels.of(name, -1)
        if labels is None:
            continue
        x = np.broadcast_to(means[name], type.shape)
        x = np.where(np.isin(labels, list(gone)), x, 0.0).astype(np.float32)
        weights = [None if n is None else graph.data(n) for n in node.inputs[1:2]]
        (y,) = _linear(node).float_ref(x, *weights)
        found[node.outputs[0]] = y.reshape(-1, y.shape[-1]).mean(0)
    return found


def _linear(node: Node) -> Op:
    """The node's operator without its fused activation."""
    op: Any = node.op
    if any(f.name == "fused_activation_function" for f in fields(op)):
        op = replace(op, fused_activation_function="NONE")
    linear: Op = op
    return linear


def _bias_index(graph: Graph, node: Node) -> int:
    """Operand that is the node's bias, or -1 if it takes none or several."""
    op: Op = node.op  # type: ignore[assignment]
    roles = op.quant_rule(*graph.types(node.inputs)).roles
    return roles.index(Role.BIAS) if roles.count(Role.BIAS) == 1 else -1
