"""The int16 kernels of LOGISTIC and TANH, which share a table."""

from __future__ import annotations

from collections.abc import Mapping

from smidgen.numerics import sigmoid_int16
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._unary import guard, in_place


def sigmoid_kernel(function: str) -> Kernel:
    """The int16 kernel of "logistic" or "tanh"."""

    def params(site: Site) -> Mapping[str, Param]:
        multiplier, shift = sigmoid_int16.multiplier(site.quant(0).scale, function)
        return {
            "size": site.output.size,
            "multiplier": multiplier,
            "shift": shift,
            "table": sigmoid_int16.table(),
        }

    return Kernel(
        f"sm_{function}_int16",
        "sigmoid_int16.h",
        guard=guard("int16"),
        params=params,
        arguments=(0,),
        struct="sm_sigmoid_int16_params",
        overlap=in_place,
    )
