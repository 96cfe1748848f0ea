"""Attention, products of two tensors, and rows of a table."""

from __future__ import annotations

import numpy as np

from smidgen.frontends import lowering
from smidgen.frontends.keras.site import Array, LayerSite, layer
from smidgen.frontends.keras.spec import LayerSpec


@layer("Embedding", roles=lambda spec: ("embeddings",))
def embedding(site: LayerSite) -> str:
    """Rows of a table, by their numbers."""
    if site.get("mask_zero"):
        raise site.refuse("it masks zeros", hint="use mask_zero=False: no operator here has masks")
    if site.get("lora_rank"):
        raise site.refuse("it has a LoRA", hint="merge it into the weights")
    shape = (site.integer("input_dim"), site.integer("output_dim"))
    table = site.constant("embeddings", lambda: site.weight("embeddings", shape))
    if site.type(site.input).dtype != "int32":
        raise site.refuse(
            "its numbers are computed by other layers", hint="read them from an input of the model"
        )
    return site.add("GATHER", [table, site.input], axis=0)


@layer("Dot")
def dot(site: LayerSite) -> str:
    """Products of two tensors along an axis of each."""
    if len(site.inputs) != 2 or len(site.args) != 2:
        raise site.malformed(f"it has {len(site.args)} inputs, not 2")
    at, (a, b) = site.lowering, site.inputs
    ranks = [len(site.shape(x)) for x in (a, b)]
    given = site.get("axes")
    axes = list(given) if isinstance(given, (list, tuple)) else [given, given]
    if len(axes) != 2 or not all(isinstance(n, int) for n in axes):
        raise site.malformed(f"its axes are {given!r}")
    axes = [axis % rank for axis, rank in zip(axes, ranks, strict=True)]
    if site.flag("normalize", False):
        a, b = (_unit(site, x, axis) for x, axis in zip((a, b), axes, strict=True))
    if ranks == [2, 2]:
        return at.add("SUM", [at.add("MUL", [a, b])], axis=(1,), keep_dims=True)
    if ranks == [3, 3] and all(axis in (1, 2) for axis in axes):
        return at.add("BATCH_MATMUL", [a, b], adj_x=axes[0] == 1, adj_y=axes[1] == 2)
    raise site.refuse(f"it multiplies tensors of {ranks} dimensions along {axes}")


def _unit(site: LayerSite, x: str, axis: int) -> str:
    at = site.lowering
    squares = at.add("SUM", [at.add("MUL", [x, x])], axis=(axis,), keep_dims=True)
    length = at.add("RSQRT", [at.add("MAXIMUM", [squares, at.scalar(1e-12)])])
    return at.add("MUL", [x, length])


def _attention_roles(spec: LayerSpec) -> tuple[str, ...]:
    return ("scale",) if spec.config.get("use_scale") else ()


@layer("Attention", roles=_attention_roles)
def attention(site: LayerSite) -> str:
    """Values weighed by how well their keys go with each query (Luong et al., 2015)."""
    if site.get("score_mode", "dot") != "dot":
        raise site.refuse(f"its score_mode is {site.get('score_mode')!r}", hint='use "dot"')
    if len(site.inputs) not in (2, 3) or len(site.inputs) != len(site.args):
        raise site.refuse("its inputs are not a query, values and perhaps keys", hint="no masks")
    query, value, *rest = site.inputs
    at = site.lowering
    scores = at.add("BATCH_MATMUL", [query, rest[0] if rest else value], adj_y=True)
    if "scale" in site.spec.weights:
        scores = at.add("MUL", [scores, site.weight("scale", ()).reshape(1)])
    return at.add("BATCH_MATMUL", [at.add("SOFTMAX", [scores]), value])


def _multi_head_roles(spec: LayerSpec) -> tuple[str, ...]:
    parts = ("query_dense", "key_dense", "value_dense", "output_dense")
    kinds = ("kernel",) if spec.config.get("use_bias") is False else ("kernel", "bias")
    return tuple(f"{part}/{kind}" for part in parts for kind in kinds)


@layer("MultiHeadAttention", roles=_multi_head_roles)
def multi_head_attention(site: LayerSite) -> str:
    """Attention of several heads over sequences (Vaswani et al., 2017)."""
    if len(site.inputs) not in (2, 3) or len(site.inputs) != len(site.args):
        raise site.refuse("its inputs are not a query, values and perhaps keys", hint="no masks")
    if site.get("attention_axes") not in (None, [1], (1,)) or site.get("output_shape") is not None:
        raise site.refuse("it has attention_axes or an output_shape", hint="leave them out")
    query, value, *rest = site.inputs
    if any(len(site.shape(x)) != 3 for x in site.inputs):
        raise site.refuse("its inputs are not of 3 dimensions (batch, time, features)")
    at, heads = site.lowering, site.integer("num_heads")
    size = site.integer("key_dim")
    value_size = size if site.get("value_dim") is None else site.integer("value_dim")
    q = _heads(site, query, "query_dense", heads, size)
    k = _heads(site, rest[0] if rest else value, "key_dense", heads, size)
    v = _heads(site, value, "value_dense", heads, value_size)
    q = at.add("MUL", [q, at.scalar(1 / np.sqrt(size))])
    weights = at.add("SOFTMAX", [at.add("BATCH_MATMUL", [q, k], adj_y=True)])
    mixed = at.add("BATCH_MATMUL", [weights, v])  # (n, heads, time, size)
    joined = at.add("TRANSPOSE", [mixed], perm=(0, 2, 1, 3))
    n, time, features = site.shape(query)
    joined = site.reshape(joined, (n, time, heads * value_size), "joined")
    kernel = site.weight("output_dense/kernel", (heads, value_size, features))
    bias = _bias(site, "output_dense", (features,))
    return lowering.linear(at, joined, kernel.reshape(-1, features).T.copy(), bias)


def _heads(site: LayerSite, x: str, part: str, heads: int, size: int) -> str:
    """(n, time, features) as (n, heads, time, size)."""
    n, time, features = site.shape(x)
    kernel = site.weight(f"{part}/kernel", (features, heads, size))
    bias = _bias(site, part, (heads, size))
    flat = kernel.reshape(features, -1).T.copy()
    y = lowering.linear(site.lowering, x, flat, None if bias is None else bias.ravel())
    y = site.reshape(y, (n, time, heads, size), part)
    return site.lowering.add("TRANSPOSE", [y], perm=(0, 2, 1, 3))


def _bias(site: LayerSite, part: str, shape: tuple[int, ...]) -> Array | None:
    role = f"{part}/bias"
    return site.weight(role, shape) if role in site.spec.weights else None
