"""Rewrites: one rule a file, each of them leaving what the graph means as it is."""

from __future__ import annotations

from smidgen.transforms.rewrites import fold_constant_channels
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
]

REWRITES: tuple[Rewrite, ...] = (fold_constant_channels.RULE,)
"""Every rule, in the order in which they are tried."""
