"""Sums of products by Einstein's notation, for one or two tensors."""

from __future__ import annotations

import math

from smidgen.frontends import lowering
from smidgen.frontends.lowering import Operand
from smidgen.frontends.torch_export.site import Result, Site, rule


@rule("einsum")
def einsum(site: Site) -> Result:
    """A matrix product between what two tensors share, after axes are put in order."""
    equation = site.text("equation").replace(" ", "")
    operands = site.tensor_list("tensors")
    given, _, out = equation.partition("->")
    terms = given.split(",")
    labels = "".join(terms)
    if "->" not in equation:
        out = "".join(sorted(label for label in set(labels) if labels.count(label) == 1))
    plain = all(len(set(term)) == len(term) for term in (*terms, out)) and "." not in equation
    if not plain or len(terms) != len(operands) or len(terms) > 2 or not set(out) <= set(labels):
        raise site.refuse(
            f"its equation is {equation!r}",
            hint="use at most two tensors, each axis with one letter, or matmul and permute",
        )
    if len(terms) == 1:
        return _sum_and_order(site, operands[0], terms[0], out)
    return _product(site, operands, terms, out)


def _sum_and_order(site: Site, x: Operand, term: str, out: str) -> Operand:
    gone = [i for i, label in enumerate(term) if label not in out]
    if gone:
        x = lowering.reduce(site.at, "SUM", x, gone)
    kept = [label for label in term if label in out]
    return lowering.transpose(site.at, x, [kept.index(label) for label in out])


def _product(site: Site, operands: list[Operand], terms: list[str], out: str) -> Operand:
    at = site.at
    for i, other in ((0, 1), (1, 0)):  # what one tensor alone has and the result has not
        kept = "".join(c for c in terms[i] if c in out or c in terms[other])
        operands[i], terms[i] = _sum_and_order(site, operands[i], terms[i], kept), kept
    sizes = {
        label: size
        for x, term in zip(operands, terms, strict=True)
        for label, size in zip(term, at.shape(x), strict=True)
    }
    a, b = terms
    batch = [c for c in a if c in b and c in out]
    shared = [c for c in a if c in b and c not in out]
    rows = [c for c in a if c not in b]
    columns = [c for c in b if c not in a]

    def matrix(i: int, *groups: list[str]) -> Operand:
        order = [c for group in (batch, *groups) for c in group]
        x = lowering.transpose(at, operands[i], [terms[i].index(c) for c in order])
        merged = [math.prod(sizes[c] for c in group) for group in groups]
        return lowering.reshape(at, x, (*(sizes[c] for c in batch), *merged))

    y = lowering.matmul(at, matrix(0, rows, shared), matrix(1, shared, columns))
    made = [*batch, *rows, *columns]
    y = lowering.reshape(at, y, tuple(sizes[c] for c in made))
    return lowering.transpose(at, y, [made.index(c) for c in out])
