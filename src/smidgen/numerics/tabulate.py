"""int8 functions that the runtimes compute in float32, one answer for each of the 256 inputs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from smidgen.numerics.affine import round_half_away
from smidgen.numerics.lookup import INT8_VALUES, Int8Array
from smidgen.numerics.requantize import INT32_MAX

Float32Array = NDArray[np.float32]


def tabulate_int8(
    function: Callable[[Float32Array], Float32Array],
    input_scale: float,
    input_zero_point: int,
    output_scale: float,
    output_zero_point: int,
) -> Int8Array:
    """The table of a float32 function between two int8 scales.

    Args:
        function: From and to float32 arrays, element by element.
        input_scale: Of the inputs.
        input_zero_point: Of the inputs.
        output_scale: Of the answers.
        output_zero_point: Of the answers.

    Returns:
        int8 array (256,), indexed by the input's bits as an unsigned byte.

    Raises:
        ValueError: If an answer is no number, or too many steps for the runtimes to clamp.

    Example:
        >>> tabulate_int8(np.square, 0.5, 0, 0.25, 0)[:5].tolist()
        [0, 1, 4, 9, 16]
    """
    inverse = np.float32(1) / np.float32(output_scale)
    with np.errstate(over="ignore", invalid="ignore"):  # what is infinite is refused below
        steps = round_half_away(function(real_values(input_scale, input_zero_point)) * inverse)
    if not (np.abs(steps) < INT32_MAX - 256).all():
        raise ValueError(
            f"the output's scale {output_scale:.3g} is too small for what is computed from inputs "
            f"of scale {input_scale:.3g}"
        )
    return np.clip(steps + output_zero_point, -128, 127).astype(np.int8)


def real_values(scale: float, zero_point: int) -> Float32Array:
    """The real number of each int8, in the order of a table.

    Example:
        >>> real_values(0.5, -128)[127:129].tolist()
        [127.5, 0.0]
    """
    return np.float32(scale) * (INT8_VALUES.astype(np.int64) - zero_point).astype(np.float32)


def nearest(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> Callable[[Float32Array], Float32Array]:
    """A float64 function on float32 numbers: what a good float32 library computes.

    Example:
        >>> float(nearest(np.exp)(np.float32(1)))
        2.7182817459106445
    """

    def rounded(x: Float32Array) -> Float32Array:
        with np.errstate(all="ignore"):  # of what is no number nothing else is expected
            y: Float32Array = np.asarray(function(np.asarray(x, np.float64))).astype(np.float32)
        return y

    return rounded


def erfc(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 minus the error function, without cancellation.

    Example:
        >>> erfc(np.array([0.0, 3.0])).round(6).tolist()
        [1.0, 2.2e-05]
    """
    found: NDArray[np.float64] = np.asarray(_erfc(x)).astype(np.float64)
    return found


_erfc = np.frompyfunc(math.erfc, 1, 1)
