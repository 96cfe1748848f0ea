"""Matrix products."""

from __future__ import annotations

import numpy as np

from smidgen.frontends import lowering as lower
from smidgen.frontends.onnx.folding import MAX_FOLDED_MACS
from smidgen.frontends.onnx.site import NodeSite, Operand, operator


@operator("MatMul")
def mat_mul(site: NodeSite) -> Operand:
    """The product of the last two axes."""
    a, b = site.source(0), site.source(1)
    if not isinstance(a, str) and not isinstance(b, str) and min(a.ndim, b.ndim) == 2 == a.ndim:
        if a.size * b.shape[1] > MAX_FOLDED_MACS:
            raise site.refuse("it is a large product of constants", hint="store its result")
        site.reserve((a.shape[0], b.shape[1]), a.itemsize)
        return np.asarray(np.matmul(a, b))
    return lower.matmul(site.at, site.operand(0), _weights(site, 1))


def _weights(site: NodeSite, place: int) -> Operand:
    """The array of a constant, even one that was worked out: it can be a layer's weights."""
    array = site.known(place)
    return site.operand(place) if array is None else site.floats(place, "matrix")


@operator("Gemm")
def gemm(site: NodeSite) -> Operand:
    """Alpha A B + beta C, with either matrix transposed."""
    at = site.at
    a, b = site.operand(0), _weights(site, 1)
    alpha, beta = site.real("alpha", 1.0), site.real("beta", 1.0)
    if len(site.shape(a)) != 2 or len(site.shape(b)) != 2:
        raise site.malformed(f"its matrices have the shapes {site.shape(a)} and {site.shape(b)}")
    if site.flag("transA"):
        a = lower.transpose(at, a, (1, 0)) if isinstance(a, str) else a.T
    transposed = site.flag("transB")
    c: Operand | None = None
    if site.has(2) and beta:
        known = site.known(2)
        c = site.operand(2) if known is None else site.floats(2, "C")
    if isinstance(b, str):
        b = lower.transpose(at, b, (1, 0)) if transposed else b
        y = lower.matmul(at, a, b)
        y = y if alpha == 1 else lower.multiply(at, y, at.scalar(alpha))
        return y if c is None else lower.add(at, y, _scaled(site, c, beta))
    weight = b if transposed else b.T
    weight = weight if alpha == 1 else weight * np.float32(alpha)
    units = weight.shape[0]
    bias = None
    if c is not None and not isinstance(c, str) and c.size in (1, units) and c.ndim <= 2:
        if c.size == 1 or c.shape[-1] == units:
            bias = np.broadcast_to(c.ravel(), (units,))
            bias = np.ascontiguousarray(bias if beta == 1 else bias * np.float32(beta))
            c = None
    y = lower.linear(at, a, weight, bias)
    return y if c is None else lower.add(at, y, _scaled(site, c, beta))


def _scaled(site: NodeSite, c: Operand, beta: float) -> Operand:
    return c if beta == 1 else lower.multiply(site.at, c, site.at.scalar(beta))


@operator("Einsum")
def einsum(site: NodeSite) -> Operand:
    """A product of two operands in Einstein's notation, where it is a matrix product."""
    equation = site.text("equation", "").replace(" ", "")
    sources, arrow, result = equation.partition("->")
    terms = sources.split(",")
    if not arrow or "." in equation or len(terms) != len(site) or len(terms) not in (1, 2):
        raise site.refuse(
            f"its equation is {equation!r:.80}", hint="use MatMul, Transpose and ReduceSum"
        )
    for place, term in enumerate(terms):
        if len(set(term)) != len(term) or len(term) != len(site.shape(place)):
            raise site.refuse(f"its equation is {equation!r:.80}", hint="use MatMul and Transpose")
    if len(terms) == 1:
        return _arranged(site, site.operand(0), terms[0], result)
    return _product(site, terms[0], terms[1], result)


def _arranged(site: NodeSite, x: Operand, have: str, want: str) -> Operand:
    """The axes named, in the order wanted; those that are not wanted are summed over."""
    gone = [i for i, c in enumerate(have) if c not in want]
    if gone:
        x = lower.reduce(site.at, "SUM", x, gone)
        have = "".join(c for c in have if c in want)
    if have == want:
        return x
    return lower.transpose(site.at, x, [have.index(c) for c in want])


def _product(site: NodeSite, a: str, b: str, result: str) -> Operand:
    at = site.at
    sizes = dict(zip(a + b, (*site.shape(0), *site.shape(1)), strict=True))
    batch = "".join(c for c in a if c in b and c in result)
    rows = "".join(c for c in a if c not in b and c in result)
    columns = "".join(c for c in b if c not in a and c in result)
    inner = "".join(c for c in a if c in b and c not in result)

    def size(names: str) -> int:
        return int(np.prod([sizes[c] for c in names], dtype=object))

    left = _arranged(site, site.operand(0), a, batch + rows + inner)
    right = _arranged(site, site.operand(1), b, batch + inner + columns)
    left = lower.reshape(at, left, (size(batch), size(rows), size(inner)))
    right = lower.reshape(at, right, (size(batch), size(inner), size(columns)))
    y: Operand = lower.matmul(at, left, right)
    y = lower.reshape(at, y, [sizes[c] for c in batch + rows + columns])
    return _arranged(site, y, batch + rows + columns, result)
