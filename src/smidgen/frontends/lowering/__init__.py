"""Channels-first operators as PyTorch and ONNX define them, appended to a graph.

A front end makes one `Lowering` for a conversion, names the layer that it is at, and calls a
function for each operator of the source:

    at = Lowering(GraphBuilder("model"))
    at.layer = "features.0"
    y = conv(at, x, weight, bias, strides=(2, 2), pads=((1, 1), (1, 1)))

Activations are names of values; weights and other constants are numpy arrays. Images are
(n, c, h, w) and sequences (n, c, l), weights as PyTorch and ONNX lay them out. Each function puts
a TRANSPOSE before and after a channels-last operator and nothing more clever: the rewrites remove
them. A function raises `UnsupportedModelError` for what LiteRT cannot express; the front end adds
where it was.
"""

from smidgen.frontends.lowering.activation import (
    elu,
    gelu,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_softmax,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    tanh,
)
from smidgen.frontends.lowering.cells import Cell, GruCell, LstmCell, RnnCell
from smidgen.frontends.lowering.convolution import conv, conv_transpose
from smidgen.frontends.lowering.elementwise import (
    add,
    binary,
    clip,
    divide,
    multiply,
    power,
    subtract,
    unary,
)
from smidgen.frontends.lowering.grid import Grid, OnGrid, on_grid
from smidgen.frontends.lowering.linear import linear, matmul
from smidgen.frontends.lowering.movement import (
    concatenate,
    expand,
    flatten,
    gather,
    move_axis_last,
    pad,
    reshape,
    slice_axis,
    split,
    stack,
    transpose,
)
from smidgen.frontends.lowering.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
)
from smidgen.frontends.lowering.pooling import (
    adaptive_average_pool,
    adaptive_max_pool,
    average_pool,
    max_pool,
)
from smidgen.frontends.lowering.qdq import to_integers
from smidgen.frontends.lowering.recurrent import Run, reversed_time, run, run_layers
from smidgen.frontends.lowering.reduction import arg, reduce
from smidgen.frontends.lowering.resize import resize_bilinear, resize_nearest
from smidgen.frontends.lowering.site import Array, Lowering, Operand, Pairs

__all__ = [
    "Array",
    "Cell",
    "Grid",
    "GruCell",
    "Lowering",
    "LstmCell",
    "OnGrid",
    "Operand",
    "Pairs",
    "RnnCell",
    "Run",
    "adaptive_average_pool",
    "adaptive_max_pool",
    "add",
    "arg",
    "average_pool",
    "batch_norm",
    "binary",
    "clip",
    "concatenate",
    "conv",
    "conv_transpose",
    "divide",
    "elu",
    "expand",
    "flatten",
    "gather",
    "gelu",
    "group_norm",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "instance_norm",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "matmul",
    "max_pool",
    "mish",
    "move_axis_last",
    "multiply",
    "on_grid",
    "pad",
    "power",
    "prelu",
    "reduce",
    "relu",
    "relu6",
    "reshape",
    "resize_bilinear",
    "resize_nearest",
    "reversed_time",
    "run",
    "run_layers",
    "selu",
    "sigmoid",
    "silu",
    "slice_axis",
    "softmax",
    "softplus",
    "softsign",
    "split",
    "stack",
    "subtract",
    "tanh",
    "to_integers",
    "transpose",
    "unary",
]
