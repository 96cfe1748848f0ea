"""Which connections go: masks over weights, by magnitude or another score, free or in patterns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.errors import RecipeError
from smidgen.ir import Graph, GraphEditor
from smidgen.ops import Role
from smidgen.transforms.rewrites._edit import set_constant

if TYPE_CHECKING:
    from smidgen.ops import Op

Array = np.ndarray[Any, Any]

SCOPES = ("lamp", "global", "layer")
BLOCK = "block4"


def prunable(graph: Graph) -> dict[str, int]:
    """Weights that may lose connections, with their axis of output channels.

    Example:
        >>> list(prunable(model))[0]
        'conv2d/kernel'
    """
    return {n: axis for n, axis in _weights(graph).items() if graph.type(n).dtype == "float32"}


def _weights(graph: Graph) -> dict[str, int]:
    found: dict[str, int] = {}
    for node in graph.nodes:
        op: Op = node.op  # type: ignore[assignment]
        rule = op.quant_rule(*graph.types(node.inputs))
        for role, name in zip(rule.roles, node.inputs, strict=False):
            if role is Role.WEIGHT and name is not None and graph.values[name].is_constant:
                if graph.type(name).rank > 1:
                    found[name] = rule.weight_axis or 0
    return found


def masks(
    graph: Graph,
    sparsity: float,
    *,
    scope: str = "lamp",
    pattern: str | None = None,
    scores: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """Choose which weights stay.

    Args:
        graph: a float graph.
        sparsity: part of all prunable weights that goes, in [0, 1); not read with an N:M pattern,
            which says it.
        scope: "lamp" ranks all layers' weights together by magnitude relative to what is larger in
            their layer (Lee et al., 2020), "global" by magnitude alone, "layer" takes the same part
            of each layer.
        pattern: None for any weights; "2:4" or another N:M, of which N weights stay of every M
            neighbours on the input axis; or "block4", of which 4 neighbours go at once.
        scores: what to rank by instead of magnitudes, by name; larger stays.

    Returns:
        For each prunable weight a bool array of its shape: True stays.

    Raises:
        RecipeError: if sparsity, scope or pattern is none of these.

    Example:
        >>> chosen = masks(model, 0.8)
        >>> total = sum(m.size for m in chosen.values())
        >>> round(1 - sum(int(m.sum()) for m in chosen.values()) / total, 2)
        0.8
    """
    check(sparsity, scope, pattern)
    values = {}
    for name in prunable(graph):
        data = graph.data(name) if scores is None or name not in scores else scores[name]
        assert data is not None
        values[name] = np.abs(data.astype(np.float64))
    if pattern is not None and pattern != BLOCK:
        keep, of = _n_of_m(pattern)
        return {n: _patterned(v, keep, of, prunable(graph)[n]) for n, v in values.items()}
    block = 4 if pattern == BLOCK else 1
    ranked = {name: _blocked(v, block) for name, v in values.items()}
    if scope == "layer":
        chosen = {name: _best(v, sparsity) for name, v in ranked.items()}
    else:
        if scope == "lamp":
            ranked = {name: _lamp(v) for name, v in ranked.items()}
        chosen = _best_of_all(ranked, {n: v.size for n, v in values.items()}, sparsity)
    return {n: _unblocked(chosen[n], v.shape, block) for n, v in values.items()}


def check(sparsity: float, scope: str, pattern: str | None) -> None:
    """Refuse what `masks` cannot do, before a long training.

    Raises:
        RecipeError: if sparsity, scope or pattern is none of what it takes.
    """
    if not 0 <= sparsity < 1:
        raise RecipeError(f"sparsity {sparsity}", hint="give a part in [0, 1)")
    if scope not in SCOPES:
        raise RecipeError(f"no scope is called {scope!r}", hint=f"use {', '.join(SCOPES)}")
    if pattern is not None and pattern != BLOCK:
        _n_of_m(pattern)


def apply_masks(graph: Graph, chosen: Mapping[str, Array]) -> Graph:
    """The graph with zeros where masks are False."""
    edit = GraphEditor(graph)
    for node in list(edit.nodes):
        current = next(n for n in edit.nodes if n.outputs == node.outputs)
        for operand, name in enumerate(node.inputs):
            if name in chosen:
                data = graph.data(name)
                assert data is not None and name is not None
                set_constant(edit, current, operand, (data * chosen[name]).astype(data.dtype))
                current = next(n for n in edit.nodes if n.outputs == node.outputs)
    return edit.finish()


def sparsity_of(graph: Graph) -> float:
    """Part of the weights that are zero, of a float graph or an integer one."""
    arrays = [graph.data(name) for name in _weights(graph)]
    total = sum(a.size for a in arrays if a is not None)
    return sum(int((a == 0).sum()) for a in arrays if a is not None) / max(1, total)


def cubic(step: int, steps: int, final: float) -> float:
    """Sparsity at a step of a gradual schedule: fast at first, where much is redundant.

    Source: Zhu and Gupta, "To prune, or not to prune" (2017).

    Example:
        >>> [round(cubic(i, 4, 0.8), 2) for i in range(5)]
        [0.0, 0.46, 0.7, 0.79, 0.8]
    """
    part = min(1.0, step / max(1, steps))
    return final * (1 - (1 - part) ** 3)


def _n_of_m(pattern: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,2}):(\d{1,2})", pattern)
    if found and 0 < int(found[1]) < int(found[2]):
        return int(found[1]), int(found[2])
    raise RecipeError(
        f"no pattern is called {pattern!r}", hint=f"use N:M such as 2:4 or 1:4, or {BLOCK}"
    )


def _patterned(values: Array, keep: int, of: int, axis: int) -> Array:
    """The `keep` largest of every `of` neighbours; weights without an input axis all stay."""
    if axis == values.ndim - 1 or values.shape[-1] < of:  # depthwise; the first layer of an image
        return np.ones(values.shape, bool)
    whole = values.shape[-1] // of * of
    rows = values[..., :whole].reshape(-1, of)
    order = np.argsort(-rows, axis=1, kind="stable")
    mask = np.zeros(rows.shape, bool)
    np.put_along_axis(mask, order[:, :keep], values=True, axis=1)
    result = np.ones(values.shape, bool)  # a rest of less than `of` stays
    result[..., :whole] = mask.reshape(*values.shape[:-1], whole)
    return result


def _blocked(values: Array, block: int) -> Array:
    """Sums over blocks of neighbours on the last axis; the last block may be smaller."""
    if block == 1:
        return values
    size = -(-values.shape[-1] // block) * block
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, size - values.shape[-1])])
    return np.asarray(padded.reshape(*values.shape[:-1], -1, block).sum(-1))


def _unblocked(mask: Array, shape: tuple[int, ...], block: int) -> Array:
    return mask.repeat(block, axis=-1)[..., : shape[-1]] if block > 1 else mask


def _best(values: Array, sparsity: float) -> Array:
    count = round(sparsity * values.size)
    mask = np.ones(values.size, bool)
    mask[np.argsort(values, axis=None, kind="stable")[:count]] = False
    return mask.reshape(values.shape)


def _best_of_all(
    ranked: Mapping[str, Array], sizes: Mapping[str, int], sparsity: float
) -> dict[str, Array]:
    """Weights (or blocks) with the largest scores, over all layers; each keeps its best one."""
    flat = np.concatenate([v.ravel() for v in ranked.values()]) if ranked else np.zeros(0)
    each = np.concatenate(
        [np.full(v.size, sizes[n] / v.size) for n, v in ranked.items()] or [np.zeros(0)]
    )
    order = np.argsort(flat, kind="stable")
    count = int(np.searchsorted(each[order].cumsum(), sparsity * sum(sizes.values()), "right"))
    mask = np.ones(flat.size, bool)
    mask[order[:count]] = False
    chosen, at = {}, 0
    for name, v in ranked.items():
        part = mask[at : at + v.size].reshape(v.shape).copy()
        if v.size and not part.any():
            part.flat[int(v.argmax())] = True
        chosen[name] = part
        at += v.size
    return chosen


def _lamp(values: Array) -> Array:
    """Squared magnitude over the sum of those that are at least as large in the layer."""
    squares = np.square(values.ravel())
    order = np.argsort(squares, kind="stable")
    larger = squares[order][::-1].cumsum()[::-1]
    scores = np.empty_like(squares)
    scores[order] = squares[order] / np.maximum(larger, 1e-300)
    return scores.reshape(values.shape)
