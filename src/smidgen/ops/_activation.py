"""Fused activations, by their LiteRT names."""

from __future__ import annotations

from typing import Any

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import QuantParams, TensorType

# Real bounds of each fused activation; TANH and SIGN_BIT exist in the schema, not in kernels.
BOUNDS: dict[str, tuple[float, float]] = {
    "NONE": (-np.inf, np.inf),
    "RELU": (0.0, np.inf),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


def check_activation(name: str) -> None:
    """Raise ValueError unless `name` is a fused activation that kernels have."""
    if name not in BOUNDS:
        raise ValueError(f"fused activation {name!r} is not one of {', '.join(BOUNDS)}")


def read_activation(name: str) -> str:
    """The fused activation of a file's options, refused if no kernel has it."""
    if name not in BOUNDS:
        raise UnsupportedModelError(
            f"fused activation {name} has no kernel", hint="export the activation on its own"
        )
    return name


def float_activation(x: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    """Apply a fused activation to floats."""
    low, high = BOUNDS[name]
    if name == "NONE":
        return x
    limited: np.ndarray[Any, Any] = np.clip(x, np.float32(low), np.float32(high))
    return limited


def int_bounds(name: str, quant: QuantParams, dtype: str) -> tuple[int, int]:
    """The smallest and largest integer the output may take under a fused activation."""
    from smidgen.numerics.affine import activation_range

    return activation_range(name, quant.scale, quant.zero_point, dtype)


def check_bounds(name: str, output: TensorType) -> None:
    """Raise ValueError when the output's scale cannot express a fused activation's bounds."""
    if output.quant is not None:
        int_bounds(name, output.quant, output.dtype)


def float_bounds(name: str) -> tuple[float, float]:
    """Bounds as real numbers for C."""
    return BOUNDS[name]
