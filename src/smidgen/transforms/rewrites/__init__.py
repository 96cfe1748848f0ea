"""Rewrites: one rule a file, each of them leaving what the graph means as it is."""

from __future__ import annotations

from smidgen.ir import Graph
from smidgen.transforms.rewrites import (
    fold_batch_norm,
    fold_constant_channels,
    fold_constant_values,
    fold_constants,
    fold_pad,
    fold_permutation,
    fold_permutation_in_float,
    fold_space_to_batch,
    fuse_activation,
    integer_forms,
    matmul_to_fully_connected,
    merge_constants,
    move_transposes,
    move_transposes_in_float,
    plain_forms,
    remove_identity,
    remove_unused,
    transpose_to_reshape,
    transposed_matmul,
)
from smidgen.transforms.rewrites._rewrite import (
    Change,
    Patch,
    Refusal,
    Report,
    Rewrite,
    apply,
    count_macs,
    first_bad,
)
from smidgen.transforms.rewrites._shrink import shrink_with

__all__ = [
    "REWRITES",
    "Change",
    "Patch",
    "Refusal",
    "Report",
    "Rewrite",
    "apply",
    "count_macs",
    "first_bad",
    "shrink",
    "simplify",
]

REWRITES: tuple[Rewrite, ...] = (
    remove_unused.RULE,
    fold_constants.RULE,
    plain_forms.RULE,
    integer_forms.RULE,
    remove_identity.RULE,
    move_transposes.RULE,
    move_transposes_in_float.RULE,
    fold_permutation.RULE,
    fold_permutation_in_float.RULE,
    transpose_to_reshape.RULE,
    transposed_matmul.RULE,
    matmul_to_fully_connected.RULE,
    fold_space_to_batch.RULE,
    fold_pad.RULE,
    fold_batch_norm.RULE,
    fuse_activation.RULE,
    fold_constant_values.RULE,
    fold_constant_channels.RULE,
    merge_constants.RULE,
)
"""Every rule, in the order in which they are tried."""


def simplify(graph: Graph) -> Graph:
    """A float graph as it is quantized: batch norms folded, activations fused, nothing idle.

    Args:
        graph: any graph.

    Returns:
        A graph of the same inputs and outputs that computes the same, up to float rounding.

    Example:
        >>> len(model.nodes), len(simplify(model).nodes)
        (12, 7)
    """
    return apply(graph, REWRITES)[0]


def shrink(graph: Graph, *, samples: int | None = None, seed: int = 0) -> tuple[Graph, Report]:
    """Make a model smaller without changing a single output byte. Needs no data.

    Only the exact rules are applied, so this is for anybody's int8 model; a runtime that rounds
    as TensorFlow Lite's reference kernels do, once or twice, computes the same before and after.
    The result is proved on random inputs with the reference interpreter.

    Args:
        graph: any graph.
        samples: number of random inputs; by default what a second or two allow.
        seed: of those inputs.

    Returns:
        The smaller graph and a report: what was done where, and the bytes saved.

    Raises:
        VerificationError: if an output differs, naming the first change after which it does.

    Example:
        >>> small, report = shrink(int8)
        >>> report.bytes_after <= report.bytes_before
        True
    """
    return shrink_with(graph, REWRITES, samples=samples, seed=seed)
