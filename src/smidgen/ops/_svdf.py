"""What SVDF's operands are, the factors of its sums, and its C kernels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from smidgen.numerics.requantize import quantize_multiplier
from smidgen.ops._activation import float_bounds
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes

X, FEATURE, TIME, BIAS, STATE = range(5)
# Element types of input, feature weights, time weights, bias and state that go together.
DTYPES = {
    "float32": ("float32", "float32", "float32", "float32", "float32"),
    "int8": ("int8", "int8", "int8", "int32", "int8"),
    "int16": ("int8", "int8", "int16", "int32", "int16"),
}


def factors(types: NodeTypes) -> tuple[float, float]:
    """What the sums over features and over time are multiplied by: a ratio of float32 scales."""
    x, feature, time = (np.float32(types.scale(i)) for i in (X, FEATURE, TIME))
    state, out = np.float32(types.scale(STATE)), np.float32(types.scale(-1))
    with np.errstate(over="ignore", under="ignore"):
        return float(x * feature / state), float(state * time / out)


def _sizes(site: Site) -> dict[str, Param]:
    filters, memory = site.input(TIME).shape
    inputs = site.input(X).shape[1]
    batch = site.input(X).shape[0]
    rank: int = site.op.rank  # type: ignore[attr-defined]
    return {
        "batch": batch,
        "inputs": inputs,
        "units": filters // rank,
        "rank": rank,
        "memory": memory,
    }


def _weights(site: Site) -> dict[str, Param]:
    return {
        "bias": None if site.inputs[BIAS] is None else site.constant(BIAS),
        "feature": np.ascontiguousarray(site.constant(FEATURE)),
        "time": np.ascontiguousarray(site.constant(TIME)),
    }


def _integer_params(site: Site) -> Mapping[str, Param]:
    types = NodeTypes(site.inputs, site.outputs)
    (first, first_shift), (second, second_shift) = map(quantize_multiplier, factors(types))
    return {
        **_sizes(site),
        "input_offset": -types.zero_point(X),
        "state_zero": types.zero_point(STATE),
        "output_offset": types.zero_point(-1),
        "multiplier": first,
        "shift": first_shift,
        "out_multiplier": second,
        "out_shift": second_shift,
        **_weights(site),
    }


def _float_params(site: Site) -> Mapping[str, Param]:
    low, high = float_bounds(site.op.fused_activation_function)  # type: ignore[attr-defined]
    return {**_sizes(site), "act_min": low, "act_max": high, **_weights(site)}


def _guard(dtype: str) -> Any:
    def guard(site: Site) -> str | None:
        if site.input(STATE).dtype != dtype:
            return f"its state is {site.input(STATE).dtype}, not {dtype}"
        present = [i for i in (FEATURE, TIME, BIAS) if site.inputs[i] is not None]
        if any(site.constants[i] is None for i in present):
            return "its weights are computed at run time"
        if dtype != "float32" and site.rounding != "double":
            return "rounds as TFLM does"
        return None

    return guard


KERNELS = tuple(
    Kernel(
        f"sm_svdf_{dtype}",
        f"svdf_{dtype}.h",
        guard=_guard(dtype),
        params=_float_params if dtype == "float32" else _integer_params,
        arguments=(X, STATE),
    )
    for dtype in ("int8", "int16", "float32")
)
