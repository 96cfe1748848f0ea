"""The operators of random graphs whose attributes or operands depend on the shape.

`STEPS` says how each of them is added to a graph that grows; see `tests/random_graphs.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from smidgen.ir import QuantParams, TensorType
from smidgen.ops import Op, Operand, get_op

if TYPE_CHECKING:
    from tests.random_graphs import Growth

Array = np.ndarray[Any, Any]
Name = str | Operand | None

COMPARISONS = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")


@dataclasses.dataclass(frozen=True)
class Step:
    grow: Callable[[Growth, str], object]
    ranks: tuple[int, ...] = (1, 2, 3, 4)
    dtypes: tuple[str, ...] = ("int8", "float32")


def unary(g: Growth, op: Op) -> None:
    x = g.pick()
    if x is not None:
        g.node(op, [x])


def binary(g: Growth, op: Op) -> None:
    """On two activations of one shape (a residual sum), or on one and a constant."""
    x = g.pick()
    if x is None:
        return
    type = g.builder.type(x)
    shape, ones = type.shape, (1,) * len(type.shape)
    tied = any({0, 1} <= set(tie) for tie in op.quant_rule(type, type).ties)
    other: Name = g.pick(lambda t: t.shape == shape)
    if other == x and not g.one_in(6):
        small = g.draw(st.sampled_from((shape, shape[-1:], ones[:-1] + shape[-1:], ones)))
        other = g.constant(g.rng.normal(0, 1, small), type.quant if tied else None)
    elif tied and isinstance(other, str):
        other = g.at_scale_of(x, other)
    if other is not None:
        g.node(op, [x, other] if g.draw(st.booleans()) else [other, x])


def _window(g: Growth) -> dict[str, Any]:
    return {
        "stride_h": g.draw(st.integers(1, 2)),
        "stride_w": g.draw(st.integers(1, 2)),
        "padding": g.draw(st.sampled_from(("SAME", "SAME", "VALID"))),
        "fused_activation_function": g.draw(st.sampled_from(g.activations)),
    }


def _kernel(g: Growth) -> tuple[int, int]:
    return g.draw(st.sampled_from(((1, 1), (3, 3), (3, 3), (2, 2), (1, 3), (5, 2))))


def _dilation(g: Growth) -> dict[str, int]:
    factor = g.draw(st.sampled_from((1, 1, 1, 2)))
    return {"dilation_h_factor": factor, "dilation_w_factor": factor}


def _conv(g: Growth, x: str) -> None:
    depth = g.builder.type(x).shape[3]
    groups = g.draw(st.sampled_from([1, 1, *(d for d in (2, 3, depth) if depth % d == 0)]))
    outs = groups * g.draw(st.integers(1, max(1, 12 // groups)))
    op = get_op("CONV_2D")(**_window(g), **_dilation(g))
    g.weighted(op, x, (outs, *_kernel(g), depth // groups))


def _depthwise(g: Growth, x: str) -> None:
    outs = g.builder.type(x).shape[3] * g.draw(st.sampled_from((1, 1, 2)))
    cls = get_op("DEPTHWISE_CONV_2D")
    fields = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    given = {**_window(g), **_dilation(g)}
    g.weighted(cls(**{k: v for k, v in given.items() if k in fields}), x, (1, *_kernel(g), outs))


def _fully_connected(g: Growth, x: str) -> None:
    type = g.builder.type(x)
    keep = type.rank > 2 and g.draw(st.booleans())
    op = get_op("FULLY_CONNECTED")(
        fused_activation_function=g.draw(st.sampled_from(g.activations)), keep_num_dims=keep
    )
    g.weighted(op, x, (g.draw(st.integers(1, 12)), type.shape[-1] if keep else type.size))


def _pool(name: str) -> Callable[[Growth, str], object]:
    def grow(g: Growth, x: str) -> None:
        height, width = _kernel(g)
        g.node(get_op(name)(**_window(g), filter_height=height, filter_width=width), [x])

    return grow


def _mean(g: Growth, x: str) -> None:
    rank = g.builder.type(x).rank
    axes = [(rank - 1,), (1,), tuple(range(1, rank))] + [(1, 2)] * 3 * (rank == 4)
    g.node(get_op("MEAN")(axis=g.draw(st.sampled_from(axes)), keep_dims=g.draw(st.booleans())), [x])


def _reshape(g: Growth, x: str) -> None:
    type = g.builder.type(x)
    shapes = [(1, type.size), (1, type.size // type.shape[-1], type.shape[-1])]
    if type.rank < 4 and type.size % 4 == 0:
        shapes += [(1, 2, 2, type.size // 4)] * 2
    g.node(get_op("RESHAPE")(g.draw(st.sampled_from(shapes))), [x])


def _paddings(g: Growth, x: str) -> tuple[tuple[int, int], ...]:
    rank = g.builder.type(x).rank
    pair = st.tuples(st.integers(0, 2), st.integers(0, 2))
    last = g.draw(pair) if rank == 2 or g.one_in(4) else (0, 0)
    return ((0, 0), *(g.draw(pair) for _ in range(rank - 2)), last)[:rank]


def _pad_with_value(g: Growth, x: str) -> None:
    value = g.constant(g.rng.normal(0, 1, (1,)), g.builder.type(x).quant)
    g.node(get_op("PADV2")(_paddings(g, x)), [x, value])


def _concatenation(g: Growth, x: str) -> None:
    shape = g.builder.type(x).shape
    axis = g.draw(st.sampled_from((len(shape) - 1, len(shape) - 1, *range(1, len(shape)))))

    def fits(type: TensorType) -> bool:
        return len(type.shape) == len(shape) and all(
            a == b for d, (a, b) in enumerate(zip(type.shape, shape, strict=True)) if d != axis
        )

    others = [g.pick(fits) for _ in range(g.draw(st.integers(1, 2)))]
    operands = [g.at_scale_of(x, other) for other in others if other is not None]
    operands.insert(g.draw(st.integers(0, len(operands))), x)
    if None not in operands:
        g.node(get_op("CONCATENATION")(axis), operands)


def _slice(g: Growth, x: str) -> None:
    shape = g.builder.type(x).shape
    begin, end, strides, shrink = [0], [0], [1], 0
    for axis, size in enumerate(shape[1:], 1):
        first, last = sorted(g.draw(st.tuples(*[st.integers(0, size - 1)] * 2)))
        stride = g.draw(st.sampled_from((1, 1, 1, 2, -1)))
        begin.append(first if stride > 0 else last)
        end.append(last + 1 if stride > 0 else first - 1 if first else -size - 1)
        strides.append(stride)
        if axis < len(shape) - 1 and stride == 1 and g.one_in(6):
            shrink |= 1 << axis
    whole = sum(1 << i for i in range(1, len(shape)) if g.draw(st.booleans())) & ~shrink
    op = get_op("STRIDED_SLICE")(
        tuple(begin), tuple(end), tuple(strides), 1 | whole, 1 | whole, shrink
    )
    g.node(op, [x])


def _transpose(g: Growth, x: str) -> None:
    order = g.draw(st.permutations(range(1, g.builder.type(x).rank)))
    g.node(get_op("TRANSPOSE")((0, *order)), [x])


def _resize(name: str) -> Callable[[Growth, str], object]:
    def grow(g: Growth, x: str) -> None:
        _, height, width, _ = g.builder.type(x).shape
        factor = g.draw(st.sampled_from((None, 2, 2)))
        if factor is None:
            size = g.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
        else:
            size = (height * factor, width * factor)
        corners, centers = g.draw(st.sampled_from(((False, False), (True, False), (False, True))))
        g.node(get_op(name)(size, corners, centers), [x])

    return grow


def _squeeze(g: Growth, x: str) -> None:
    ones = [i for i, n in enumerate(g.builder.type(x).shape) if n == 1 and i]
    if ones:
        g.node(get_op("SQUEEZE")((g.draw(st.sampled_from(ones)),)), [x])


def _not_negative(name: str) -> Callable[[Growth, str], object]:
    """An operator whose runtimes stop at negative numbers: they are clamped to 0 first."""

    def grow(g: Growth, x: str) -> None:
        quant = g.builder.type(x).quant
        assert quant is not None
        if quant.zero_point != -128:
            high = quant.scale * max(1, 127 - quant.zero_point)
            clamped = g.node(get_op("QUANTIZE")(), [x], QuantParams.per_tensor(high / 255, -128))
            if clamped is None:
                return
            x = clamped
        g.node(get_op(name)(), [x])

    return grow


def _not_zero(g: Growth, x: str) -> None:
    """DIV by constants; the result's scale is one at which the runtimes divide."""
    type = g.builder.type(x)
    small = g.draw(st.sampled_from((type.shape, type.shape[-1:], (1,) * type.rank)))
    by = g.rng.uniform(0.5, 2, small) * g.rng.choice((-1, 1), small)
    if type.quant is None:
        g.node(get_op("DIV")(), [x, g.constant(by)])
        return
    divisor = g.constant(by, QuantParams.per_tensor(2 / 127))
    assert divisor.type.quant is not None
    scale = type.quant.scale / divisor.type.quant.scale / g.draw(st.sampled_from((65, 90, 200)))
    zero_point = g.draw(st.sampled_from((-128, 0, 40)))
    g.node(get_op("DIV")(), [x, divisor], QuantParams.per_tensor(scale, zero_point))


def _truth(g: Growth, x: str) -> str | None:
    """A truth value for each element of x."""
    type = g.builder.type(x)
    name = g.draw(st.sampled_from([n for n in COMPARISONS if g.fits(n)]))
    other: Name = g.pick(lambda t: t.shape == type.shape)
    if other == x or g.one_in(3):
        other = g.constant(g.rng.normal(0, 1, g.draw(st.sampled_from((type.shape, (1,))))))
    return g.node(get_op(name)(), [x, other])


def _comparison(g: Growth, x: str) -> None:
    """A truth value, perhaps turned around, that chooses between x and something else."""
    if g.room() < 3:
        return
    truth = _truth(g, x)
    if truth is not None and g.one_in(3):
        truth = g.node(get_op("LOGICAL_NOT")(), [truth])
    if truth is None:
        return
    type = g.builder.type(x)
    other: Name = g.pick(lambda t: t.shape == type.shape)
    if other == x:
        other = g.constant(g.rng.normal(0, 1, type.shape[-1:]), type.quant)
    elif isinstance(other, str):
        other = g.at_scale_of(x, other)
    if other is not None:
        g.node(get_op("SELECT_V2")(), [truth, *g.draw(st.permutations((x, other)))])


def _logic(name: str) -> Callable[[Growth, str], object]:
    """Two truth values made one, and that an int8 number of 0 and 1 again."""

    def grow(g: Growth, x: str) -> None:
        if g.room() < 3:
            return
        first, second = _truth(g, x), _truth(g, x)
        if first is None or second is None:
            return
        both = g.node(get_op(name)(), [first, second])
        if both is not None and g.room() >= 2:
            real = g.node(get_op("CAST")("float32"), [both])
            g.node(get_op("QUANTIZE")(), [real], QuantParams.per_tensor(1 / 64, 3))

    return grow


def _axis(g: Growth, x: str) -> int:
    return g.draw(st.integers(1, g.builder.type(x).rank - 1))


def _reduce(name: str) -> Callable[[Growth, str], object]:
    def grow(g: Growth, x: str) -> None:
        axes = {_axis(g, x) for _ in range(g.draw(st.integers(1, 2)))}
        g.node(get_op(name)(tuple(sorted(axes)), g.draw(st.booleans())), [x])

    return grow


def _split(g: Growth, x: str) -> None:
    axis = _axis(g, x)
    size = g.builder.type(x).shape[axis]
    parts = [n for n in (2, 3, 4) if size % n == 0]
    if parts:
        g.node(get_op("SPLIT")(g.draw(st.sampled_from(parts)), axis), [x])


def _split_v(g: Growth, x: str) -> None:
    axis = _axis(g, x)
    size = g.builder.type(x).shape[axis]
    if size > 1:
        first = g.draw(st.integers(1, size - 1))
        g.node(get_op("SPLIT_V")((first, size - first), axis), [x])


def _unpack(g: Growth, x: str) -> None:
    few = [i for i, n in enumerate(g.builder.type(x).shape) if i and n <= 4]
    if few:
        axis = g.draw(st.sampled_from(few))
        g.node(get_op("UNPACK")(g.builder.type(x).shape[axis], axis), [x])


def _pack(g: Growth, x: str) -> None:
    type = g.builder.type(x)
    other = g.pick(lambda t: t.shape == type.shape)
    other = x if other is None else g.at_scale_of(x, other)
    if other is not None:
        g.node(get_op("PACK")(g.draw(st.integers(1, type.rank))), [x, other])


def _slice_simple(g: Growth, x: str) -> None:
    begin, size = [0], [-1]
    for n in g.builder.type(x).shape[1:]:
        first = g.draw(st.integers(0, n - 1))
        begin.append(first)
        size.append(g.draw(st.sampled_from((-1, n - first, 1))))
    g.node(get_op("SLICE")(tuple(begin), tuple(size)), [x])


def _gather(g: Growth, x: str) -> None:
    axis = _axis(g, x)
    count = g.draw(st.integers(1, 5))
    where = g.rng.integers(0, g.builder.type(x).shape[axis], count).astype(np.int32)
    g.node(get_op("GATHER")(axis), [x, Operand(TensorType((count,), "int32"), where)])


def _arg(name: str) -> Callable[[Growth, str], object]:
    return lambda g, x: g.node(get_op(name)(_axis(g, x)), [x])


def _batch_matmul(g: Growth, x: str) -> None:
    *batch, _, depth = g.builder.type(x).shape
    other: Name = g.pick(lambda t: [*t.shape[:-2], *t.shape[-2:-1]] == [*batch, depth])
    columns = g.draw(st.integers(1, 6))
    if other is None or g.one_in(2):
        other = g.constant(g.rng.normal(0, 0.5, (*[1] * len(batch), depth, columns)))
    g.node(get_op("BATCH_MATMUL")(), [x, other])


def _transpose_conv(g: Growth, x: str) -> None:
    _, height, width, depth = g.builder.type(x).shape
    kh, kw = g.draw(st.sampled_from(((2, 2), (3, 3), (1, 2))))
    stride = g.draw(st.integers(1, 2))
    same = g.draw(st.booleans())
    sizes = [n * stride if same else (n - 1) * stride + k for n, k in ((height, kh), (width, kw))]
    op = get_op("TRANSPOSE_CONV")(
        output_height=sizes[0],
        output_width=sizes[1],
        stride_h=stride,
        stride_w=stride,
        padding="SAME" if same else "VALID",
    )
    g.weighted(op, x, (g.draw(st.integers(1, 6)), kh, kw, depth), int4=False)


def _tile(g: Growth, x: str) -> None:
    rank = g.builder.type(x).rank
    times = [1, *(g.draw(st.sampled_from((1, 1, 2))) for _ in range(rank - 1))]
    g.node(get_op("TILE")(tuple(times)), [x])


def _broadcast_to(g: Growth, x: str) -> None:
    shape = g.builder.type(x).shape
    wide = [n if n > 1 or i == 0 else g.draw(st.integers(1, 4)) for i, n in enumerate(shape)]
    g.node(get_op("BROADCAST_TO")(tuple(wide)), [x])


def _mirror_pad(g: Growth, x: str) -> None:
    mode = g.draw(st.sampled_from(("REFLECT", "SYMMETRIC")))
    most = [max(0, min(2, n - (mode == "REFLECT"))) for n in g.builder.type(x).shape[1:]]
    pads = [(g.draw(st.integers(0, m)), g.draw(st.integers(0, m))) for m in most]
    g.node(get_op("MIRROR_PAD")(((0, 0), *pads), mode), [x])


def _reverse(g: Growth, x: str) -> None:
    g.node(get_op("REVERSE_V2")((_axis(g, x),)), [x])


def _simple(name: str, *attributes: Any) -> Callable[[Growth, str], object]:
    return lambda g, x: g.node(get_op(name)(*attributes), [x])


# Of floats: functions that make much of little, so that runtimes do not stay close.
UNSTABLE = frozenset(
    "ARG_MAX ARG_MIN CEIL DIV EXP FLOOR FLOOR_DIV FLOOR_MOD POW ROUND SIGN SQUARE".split()  # noqa: SIM905
)
# What LiteRT's reference kernels compute in a way of their own (see `tests/ops/test_matrix.py`).
OTHERWISE = frozenset(
    ("ABS", "DIV", "FULLY_CONNECTED", "LEAKY_RELU", "LOGISTIC", "PRELU", "RELU", "SUM", "TANH")
)
# Operators whose results are others with nearly every other byte of their operands.
TELLING = frozenset(
    (
        *("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D"),
        *("FULLY_CONNECTED", "MUL", "PAD", "RESHAPE", "TRANSPOSE"),
    )
)
# What cannot be part of these graphs, and why.
LEFT_OUT = {
    "BATCH_NORM": "it is folded before anything is compiled",
    "BATCH_TO_SPACE_ND": "its operand has more than one image",
    "SPACE_TO_BATCH_ND": "its result has more than one image",
    "REDUCE_ALL": "truth values are reduced in tests of their own",
    "REDUCE_ANY": "truth values are reduced in tests of their own",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "its gates have scales of their own",
}

# What seldom finds operands that suit it is tried more often.
RARE = (
    *("BATCH_MATMUL", "DEPTH_TO_SPACE", "LOGICAL_AND", "LOGICAL_OR", "PACK", "SPACE_TO_DEPTH"),
    *("SQUEEZE", "UNPACK", *["SELECT_V2"] * 5),
)

STEPS: dict[str, Step] = {
    "CONV_2D": Step(_conv, (4,)),
    "DEPTHWISE_CONV_2D": Step(_depthwise, (4,)),
    "FULLY_CONNECTED": Step(_fully_connected, (2, 3, 4)),
    "AVERAGE_POOL_2D": Step(_pool("AVERAGE_POOL_2D"), (4,)),
    "MAX_POOL_2D": Step(_pool("MAX_POOL_2D"), (4,)),
    "MEAN": Step(_mean, (2, 3, 4)),
    "RESHAPE": Step(_reshape, (2, 3, 4)),
    "PAD": Step(lambda g, x: g.node(get_op("PAD")(_paddings(g, x)), [x]), (2, 3, 4)),
    "PADV2": Step(_pad_with_value, (2, 3, 4)),
    "CONCATENATION": Step(_concatenation, (2, 3, 4)),
    "STRIDED_SLICE": Step(_slice, (2, 3, 4)),
    "TRANSPOSE": Step(_transpose, (2, 3, 4)),
    "RESIZE_NEAREST_NEIGHBOR": Step(_resize("RESIZE_NEAREST_NEIGHBOR"), (4,)),
    "RESIZE_BILINEAR": Step(_resize("RESIZE_BILINEAR"), (4,)),
    "TRANSPOSE_CONV": Step(_transpose_conv, (4,)),
    "BATCH_MATMUL": Step(_batch_matmul, (3, 4)),
    "DIV": Step(_not_zero),
    "SELECT_V2": Step(_comparison, dtypes=("int8",)),
    **{name: Step(_logic(name), dtypes=("int8",)) for name in ("LOGICAL_AND", "LOGICAL_OR")},
    **{name: Step(_reduce(name), (2, 3, 4)) for name in ("REDUCE_MAX", "REDUCE_MIN", "SUM")},
    **{name: Step(_arg(name), (2, 3, 4)) for name in ("ARG_MAX", "ARG_MIN")},
    "SPLIT": Step(_split, (2, 3, 4)),
    "SPLIT_V": Step(_split_v, (2, 3, 4)),
    "UNPACK": Step(_unpack, (3, 4)),
    "PACK": Step(_pack, (2, 3)),
    "SLICE": Step(_slice_simple, (2, 3, 4)),
    "GATHER": Step(_gather, (2, 3, 4)),
    "EXPAND_DIMS": Step(lambda g, x: g.node(get_op("EXPAND_DIMS")(_axis(g, x)), [x]), (2, 3)),
    "SQUEEZE": Step(_squeeze, (3, 4)),
    "TILE": Step(_tile, (2, 3, 4)),
    "BROADCAST_TO": Step(_broadcast_to, (2, 3, 4)),
    "MIRROR_PAD": Step(_mirror_pad, (2, 3, 4)),
    "REVERSE_V2": Step(_reverse, (2, 3, 4)),
    "DEPTH_TO_SPACE": Step(_simple("DEPTH_TO_SPACE", 2), (4,)),
    "SPACE_TO_DEPTH": Step(_simple("SPACE_TO_DEPTH", 2), (4,)),
    **{name: Step(_not_negative(name), dtypes=("int8",)) for name in ("LOG", "RSQRT", "SQRT")},
}
