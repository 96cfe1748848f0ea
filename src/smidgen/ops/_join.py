"""What CONCATENATION and PACK share: a kernel that takes some bytes of every operand in turn."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from smidgen.ops import _movement
from smidgen.ops._kernel import Kernel, Param, Site


def _steps(site: Site) -> tuple[int, list[int]]:
    """How many steps a copy takes, and the bytes that each operand gives to one step."""
    axis: int = site.op.axis  # type: ignore[attr-defined]
    item = _movement.item_bytes(site.output)
    shapes = [site.input(i).shape for i in range(len(site.inputs))]
    return math.prod(site.output.shape[:axis]), [math.prod(s[axis:]) * item for s in shapes]


def _params(site: Site) -> Mapping[str, Param]:
    outer, parts = _steps(site)
    return {"outer": outer, "count": len(parts), "bytes": np.array(parts, np.int32)}


def _overlap(site: Site) -> Mapping[int, int]:
    """Lead bytes of each operand: by its last step this much more was written than read of it."""
    outer, parts = _steps(site)
    return {
        i: sum(parts[:i]) + (outer - 1) * (sum(parts) - part)
        for i, part in enumerate(parts)
        if site.constants[i] is None
    }


KERNEL = Kernel(
    "sm_concatenation_bytes",
    "concatenation_bytes.h",
    guard=_movement.guard,
    params=_params,
    gather=True,
    overlap=_overlap,
)
"""For operators that join their operands along `axis`."""
