"""The operators of random graphs whose attributes or operands depend on the shape.

`STEPS` says how each of them is added to a graph that grows; see `tests/random_graphs.py`.
"""

from __future__ import annotations

from tests.random_steps import elementwise, layers, movement, reductions, truth
from tests.random_steps._step import Step
from tests.random_steps.elementwise import binary as binary
from tests.random_steps.elementwise import unary as unary

# Of floats: functions that make much of little, so that runtimes do not stay close.
UNSTABLE = frozenset(
    "ARG_MAX ARG_MIN CEIL DIV EXP FLOOR FLOOR_DIV FLOOR_MOD POW ROUND SIGN SQUARE".split()  # noqa: SIM905
)
# What LiteRT's reference kernels compute in a way of their own (see `tests/ops/test_matrix.py`).
OTHERWISE = frozenset(
    (
        *("ABS", "DIV", "FULLY_CONNECTED", "LEAKY_RELU", "LOGISTIC", "PRELU", "RELU", "SUM"),
        *("TANH", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
    )
)
# Of int16: LiteRT's table of exponentials is one off TFLM's in a place or two, and it multiplies
# the scales of BATCH_MATMUL in float32, so that its 16-bit multiplier is another one now and then.
OTHERWISE_INT16 = frozenset({"BATCH_MATMUL", "SOFTMAX"})
# Operators whose results are others with nearly every other byte of their operands.
TELLING = frozenset(
    (
        *("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D"),
        *("FULLY_CONNECTED", "MUL", "PAD", "RESHAPE", "TRANSPOSE"),
    )
)
# What cannot be part of these graphs, and why.
LEFT_OUT = {
    "BATCH_TO_SPACE_ND": "it comes after SPACE_TO_BATCH_ND",
    "BATCH_NORM": "it is folded before anything is compiled",
}

# What seldom finds operands that suit it is tried more often.
RARE = (
    *("BATCH_MATMUL", "DEPTH_TO_SPACE", "LOGICAL_AND", "LOGICAL_OR", "PACK", "SPACE_TO_DEPTH"),
    *("REDUCE_ALL", "REDUCE_ANY", "SPACE_TO_BATCH_ND", "SQUEEZE", "UNPACK"),
    *("UNIDIRECTIONAL_SEQUENCE_LSTM", *["SELECT_V2"] * 5),
)

STEPS: dict[str, Step] = {
    **layers.STEPS,
    **elementwise.STEPS,
    **reductions.STEPS,
    **movement.STEPS,
    **truth.STEPS,
}
