"""The rules for PyTorch's operators, by family; importing this package registers them."""

from smidgen.frontends.torch_export.rules import (
    activation,
    arithmetic,
    attention,
    convolution,
    einsum,
    indexing,
    movement,
    normalization,
    pooling,
    quantized,
    recurrent,
    reduction,
)
from smidgen.frontends.torch_export.site import RULES

__all__ = [
    "RULES",
    "activation",
    "arithmetic",
    "attention",
    "convolution",
    "einsum",
    "indexing",
    "movement",
    "normalization",
    "pooling",
    "quantized",
    "recurrent",
    "reduction",
]
