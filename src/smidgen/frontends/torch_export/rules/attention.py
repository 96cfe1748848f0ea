"""Attention."""

from __future__ import annotations

import math

import numpy as np

from smidgen.frontends import lowering
from smidgen.frontends.lowering import Array, Operand
from smidgen.frontends.torch_export.site import Result, Site, rule

# What masked scores become: e^(this) is 0 for every score within 10,000 of 0.
MASKED = -1e4


@rule("scaled_dot_product_attention")
def scaled_dot_product_attention(site: Site) -> Result:
    """softmax(q @ k^T * scale + mask) @ v, over the last two axes."""
    at = site.at
    q, k, v = (site.tensor(name) for name in ("query", "key", "value"))
    if site.number("dropout_p", 0):
        raise site.refuse("it drops scores at random", hint="call model.eval() before exporting it")
    if site.flag("enable_gqa"):
        raise site.refuse("it shares keys between groups of heads", hint="repeat the keys yourself")
    depth = at.shape(q)[-1]
    scale = site.optional_number("scale") if site.has("scale") else 1 / math.sqrt(depth)
    scaled = lowering.multiply(at, q, at.scalar(float(scale or 1.0)))
    rank = at.rank(k)
    swapped = lowering.transpose(at, k, (*range(rank - 2), rank - 1, rank - 2))
    scores = lowering.matmul(at, scaled, swapped)
    mask = _mask(site, at.shape(scores)[-2:])
    if mask is not None:
        scores = lowering.add(at, scores, mask)
    return lowering.matmul(at, lowering.softmax(at, scores, -1), v)


def _mask(site: Site, shape: tuple[int, ...]) -> Operand | None:
    """What is added to the scores: an additive mask as it is, a boolean one as numbers."""
    if site.flag("is_causal"):
        return _numbers(np.tril(np.ones(shape, bool)))
    mask = site.optional("attn_mask")
    if mask is None:
        return None
    if isinstance(mask, str):
        if site.at.type(mask).dtype == "bool":
            raise site.refuse(
                "its mask is computed at run time", hint="give an additive mask of floats"
            )
        return mask
    return _numbers(mask) if mask.dtype == bool else np.maximum(mask, MASKED).astype(np.float32)


def _numbers(allowed: Array) -> Array:
    return np.where(allowed, 0.0, MASKED).astype(np.float32)
