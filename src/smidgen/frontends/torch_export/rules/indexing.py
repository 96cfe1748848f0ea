"""Look-ups by index."""

from __future__ import annotations

import numpy as np

from smidgen.frontends import lowering
from smidgen.frontends.lowering import Operand
from smidgen.frontends.torch_export.program import Ref
from smidgen.frontends.torch_export.site import Result, Site, rule


@rule("embedding")
def embedding(site: Site) -> Result:
    """Rows of a table."""
    return lowering.gather(site.at, site.tensor("weight"), site.tensor("indices"), 0)


@rule("index_select")
def index_select(site: Site) -> Result:
    """Positions of one axis."""
    return lowering.gather(site.at, site.tensor("self"), site.tensor("index"), site.integer("dim"))


@rule("index", "_unsafe_index")
def index(site: Site) -> Result:
    """`x[..., indices, ...]` along one axis."""
    at, x = site.at, site.tensor("self")
    given = [
        (axis, site.resolve(each, "indices"))
        for axis, each in enumerate(site.sequence("indices"))
        if isinstance(each, Ref)
    ]
    if len(given) > 1:
        return _index_grid(site, x, given)
    if not given:
        return x
    axis, places = given[0]
    if not isinstance(places, str) and places.dtype == bool:
        if places.ndim != 1:
            raise site.refuse("its mask has several axes", hint="index with integers")
        places = np.flatnonzero(places)
    if isinstance(places, str) and at.type(places).dtype == "bool":
        raise site.refuse(
            "how many elements its mask takes is known at run time only",
            hint="use torch.where, which keeps the shape",
        )
    return lowering.gather(at, x, places, axis)


def _index_grid(site: Site, x: Operand, given: list[tuple[int, Operand]]) -> Result:
    """Several known indices that form a grid: one axis after the other."""
    arrays = [(axis, places) for axis, places in given if not isinstance(places, str)]
    ranks = {places.ndim for _, places in arrays}
    axes = [axis for axis, _ in given]
    adjacent = axes == list(range(axes[0], axes[0] + len(axes)))
    if len(arrays) < len(given) or not adjacent or ranks != {len(given)}:
        raise site.refuse(
            "it takes single elements by several indices",
            hint="index one axis after the other, or use slices",
        )
    for i, (axis, places) in enumerate(arrays):
        if any(size != 1 for j, size in enumerate(places.shape) if j != i):
            raise site.refuse(
                "its indices form no grid", hint="index one axis after the other, or use slices"
            )
        x = lowering.gather(site.at, x, places.reshape(-1), axis)
    return x
