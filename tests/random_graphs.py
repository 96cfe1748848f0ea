"""Random valid graphs of many operators: what the engines are compared on.

A graph grows node by node. Which operators fit where, and how their operands are quantized, is
asked of the operators themselves (`infer`, `quant_rule`, `check_quant`, `batchable`); an operator
that is elementwise, or works with its default attributes, joins in without being named here.
Output scales are chosen from what a few random samples make of the graph so far, so that values
neither saturate everywhere nor vanish.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st

from smidgen.ir import Graph, GraphBuilder, QuantParams, TensorType
from smidgen.ops import NodeTypes, Op, Operand, Unsupported, all_ops, get_op
from smidgen.ops._activation import BOUNDS
from smidgen.ops._draw import values

Array = np.ndarray[Any, Any]
Name = str | Operand | None

SAMPLES = 8  # that the scales are chosen from
LARGEST = 2048  # elements of an activation


def graphs(min_ops: int = 3, max_ops: int = 12, dtype: str = "int8") -> st.SearchStrategy[Graph]:
    """Graphs with branches, residual sums, concatenations and several outputs.

    Args:
        min_ops: fewest operators.
        max_ops: most operators.
        dtype: "int8", now and then with float32 inputs and outputs, or "float32".

    Returns:
        A strategy of verified graphs with inputs of batch 1.
    """
    return _graphs(min_ops, max_ops, dtype)


@st.composite
def _graphs(draw: st.DrawFn, min_ops: int, max_ops: int, dtype: str) -> Graph:
    goal = draw(st.integers(min_ops, max_ops))
    growth = _Growth(draw, dtype, goal)
    growth.start()
    names = [name for name in steps(dtype) if growth.fits(name)]
    only_here = [
        name for name in names if not get_op(name).runs_on("tflm", TensorType((1,), dtype))
    ]
    names += 3 * only_here
    tries = 0
    while growth.nodes + growth.pending() < goal and tries < 20 * goal:
        tries += 1
        growth.step(draw(st.sampled_from(names)))
    return growth.finish()


def steps(dtype: str) -> list[str]:
    """The operators that graphs of this type grow by."""
    names = [name for name in STEPS if dtype in STEPS[name].dtypes]
    unstable = UNSTABLE if dtype == "float32" else ()
    return names + [n for n in elementwise(dtype) if n not in STEPS and n not in unstable]


def runtime_of(graph: Graph) -> Literal["tflm", "litert_ref"]:
    """The foreign runtime that has all of a graph's operators: TFLM if it can be."""

    def runs(name: str, types: tuple[TensorType | None, ...]) -> bool:
        return get_op(name).runs_on("tflm", *types)

    on_tflm = all(runs(n.op.name, graph.types(n.inputs)) for n in graph.nodes)
    return "tflm" if on_tflm else "litert_ref"


@cache
def elementwise(dtype: str) -> dict[str, int]:
    """Operators that take one or two operands of any shape with default attributes: how many."""
    probe = TensorType((1, 4, 5, 3), dtype, _quant_of(np.ones(1)) if dtype != "float32" else None)
    found = {}
    for name, cls in all_ops().items():
        if "axis" in {f.name for f in dataclasses.fields(cls)}:  # type: ignore[arg-type]
            continue
        for count in (1, 2):
            try:
                op = cls()
                out = op.infer(*[probe] * count)
                written = not isinstance(cls.tflite_write, Unsupported)
                op.float_ref(*[np.ones(probe.shape, np.float32)] * count)
            except (TypeError, ValueError, AssertionError):
                continue
            if written and [(t.shape, t.dtype) for t in out] == [(probe.shape, dtype)]:
                found[name] = count
    return found


def _quant_of(real: Array, saturate: float = 1.0) -> QuantParams:
    """Parameters that cover the values, or only a part of their range."""
    finite = real[np.isfinite(real)]
    low, high = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
    scale = max(high - low, 1e-3) * saturate / 255
    zero_point = int(np.clip(round(-128 - low * saturate / scale), -128, 127))
    return QuantParams.per_tensor(scale, zero_point)


def _real(array: Array, quant: QuantParams | None) -> Array:
    if quant is None:
        return array
    shape = [1] * array.ndim
    if quant.axis is not None:
        shape[quant.axis] = -1
    scales = np.array(quant.scales, np.float32).reshape(shape)
    return (array.astype(np.float32) - np.float32(quant.zero_points[0])) * scales


class _Growth:
    """A graph as far as it has grown, with the values of every activation for a few samples."""

    def __init__(self, draw: st.DrawFn, dtype: str, goal: int) -> None:
        self.draw = draw
        self.dtype = dtype
        # What neither has alone must not meet in one graph; TFLM is the one that matters.
        self.runtime = draw(st.sampled_from(("tflm", "tflm", "tflm", "litert_ref")))
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.builder = GraphBuilder("random")
        self.arrays: dict[str, Array] = {}
        self.inputs: list[str] = []
        self.unused: list[str] = []
        self.float_ends = False
        self.nodes = 0
        self.goal = goal

    # -- beginning and end -----------------------------------------------------------------------

    def start(self) -> None:
        """Declare one input or two."""
        self.float_ends = self.dtype == "int8" and self.one_in(6)
        for _ in range(1 + self.one_in(4)):
            size = st.integers(4, 11)
            shape = (1, self.draw(size), self.draw(size), self.draw(st.integers(1, 8)))
            quant = None
            if self.dtype == "int8" and not self.float_ends:
                quant = _quant_of(self.rng.normal(0, self.draw(st.sampled_from((0.2, 2))), 100))
            type = TensorType(shape, "float32" if self.float_ends else self.dtype, quant)
            name = self.builder.input("x", type)
            rows = [values(self.rng, type) for _ in range(SAMPLES)]
            self.arrays[name] = np.concatenate(rows)
            self.inputs.append(name)
            self.unused.append(name)
            if self.float_ends:
                self.node(get_op("QUANTIZE")(), [name])

    def pending(self, operands: Sequence[Name] = ()) -> int:
        """Nodes that `finish` will add once there is a node on `operands`."""
        unread = {n for n in self.inputs if n in self.unused} - {
            n for n in operands if isinstance(n, str)
        }
        return len(unread) + self.float_ends

    def finish(self) -> Graph:
        """The graph; everything that nobody reads is an output."""
        for name in [n for n in self.inputs if n in self.unused]:  # left out so far
            self.step("RESHAPE", name)
        if self.float_ends:
            self.float_ends = False
            self.node(get_op("DEQUANTIZE")(), [self.unused[-1]])
        outputs = list(self.unused)
        read = [n for n in self.arrays if n not in (*outputs, *self.inputs)]
        if read and self.one_in(5):  # a value that others read, too
            outputs.append(self.draw(st.sampled_from(read)))
        return self.builder.build(outputs)

    # -- choices ---------------------------------------------------------------------------------

    def one_in(self, n: int) -> bool:
        """True once in n times."""
        return self.draw(st.integers(0, n - 1)) == n - 1

    def fits(self, name: str) -> bool:
        """Whether the graph's runtime has the operator, and computes what the others do."""
        others = OTHERWISE if self.runtime == "litert_ref" else ()
        operand = TensorType((1,), self.dtype)
        return name not in others and get_op(name).runs_on(self.runtime, operand)

    def pick(self, accept: Callable[[TensorType], bool] = lambda type: True) -> str | None:
        """An activation that is accepted: mostly one that nobody has read, or the newest."""
        found = [
            n
            for n in self.arrays
            if self.builder.type(n).dtype == self.dtype and accept(self.builder.type(n))
        ]
        if not found:
            return None
        unread = [n for n in found if n in self.unused]
        return self.draw(st.sampled_from((found[-1], *2 * unread, *found[-3:])))

    def attributes(self, cls: type[Op]) -> Op:
        """An operator with those attributes drawn that any elementwise operator may have."""
        fields = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        given: dict[str, Any] = {}
        if "fused_activation_function" in fields:
            given["fused_activation_function"] = self.draw(st.sampled_from(tuple(BOUNDS)))
        if "alpha" in fields:
            given["alpha"] = self.draw(st.sampled_from((0.01, 0.1, 0.3)))
        return cls(**given)

    # -- growing ---------------------------------------------------------------------------------

    def step(self, name: str, x: str | None = None) -> None:
        """Add an operator called `name`, if it fits on some activation."""
        step = STEPS.get(name)
        if step is None:
            count = elementwise(self.dtype)[name]
            (_unary if count == 1 else _binary)(self, self.attributes(get_op(name)))
            return
        x = x or self.pick(lambda t: t.rank in step.ranks)
        if x is not None:
            step.grow(self, x)

    def constant(self, real: Array, quant: QuantParams | None = None) -> Operand:
        """An activation's constant operand near the given real values."""
        if self.dtype == "float32":
            return Operand(TensorType(real.shape, "float32"), real.astype(np.float32))
        quant = quant or _quant_of(real)
        data = np.clip(np.round(real / quant.scale) + quant.zero_point, -128, 127).astype(np.int8)
        return Operand(TensorType(data.shape, "int8", quant), data)

    def type_of(self, operand: Name) -> TensorType | None:
        if operand is None or isinstance(operand, Operand):
            return None if operand is None else operand.type
        return self.builder.type(operand)

    def array_of(self, operand: Name) -> Array | None:
        if operand is None or isinstance(operand, Operand):
            return None if operand is None else operand.data
        return self.arrays[operand]

    def node(self, op: Op, operands: list[Any], quant: QuantParams | None = None) -> str | None:
        """Append a node; None, and nothing is changed, where the operator refuses or room ends."""
        if self.nodes + 1 + self.pending(operands) > self.goal:
            return None
        types = tuple(self.type_of(o) for o in operands)
        arrays = [self.array_of(o) for o in operands]
        try:
            (out,) = op.infer(*types)
            if not 0 < out.size <= LARGEST or not op.batchable(*types):
                return None
            if not op.runs_on(self.runtime, *types):
                return None
            if out.dtype == "int8":
                out = out.with_quant(quant or self.output_quant(op, types, arrays))
            op.check_quant(types, (out,))
        except ValueError:
            return None
        if any(t is not None and t.quant for t in (*types, out)):
            (result,) = op.int_ref(NodeTypes(types, (out,)), *arrays)
        else:
            (result,) = op.float_ref(*arrays)
        names = [
            self.builder.constant(o.data, name="c", quant=o.type.quant, dtype=o.type.dtype)
            if isinstance(o, Operand) and o.data is not None
            else o
            for o in operands
        ]
        name = self.builder.add(op, names, quant=out.quant)
        self.arrays[name] = np.asarray(result)
        self.unused = [n for n in self.unused if n not in names] + [name]
        self.nodes += 1
        return name

    def output_quant(
        self, op: Op, types: tuple[TensorType | None, ...], arrays: list[Array | None]
    ) -> QuantParams:
        """What the operator demands of its output, or what fits the values that it computes."""
        rule = op.quant_rule(*types)
        if rule.output is not None:
            return rule.output["int8"]
        for tie in rule.ties:
            first = types[min(i for i in tie if i >= 0)]
            if -1 in tie and first is not None and first.quant is not None:
                return first.quant
        real = [
            a if t is None or a is None else _real(a, t.quant)
            for t, a in zip(types, arrays, strict=True)
        ]
        return _quant_of(op.float_ref(*real)[0], self.draw(st.sampled_from((1.0, 1.0, 0.6))))

    def at_scale_of(self, x: str, other: str) -> str | None:
        """`other` itself if it shares the scale of x, otherwise rescaled to it."""
        want = self.builder.type(x).quant
        if want == self.builder.type(other).quant:
            return other
        return self.node(get_op("QUANTIZE")(), [other], want)

    def weighted(self, op: Op, x: str, shape: tuple[int, ...]) -> str | None:
        """A node with random weights of `shape`, int4 now and then, and mostly a bias."""
        x_type = self.builder.type(x)
        probe = TensorType(shape, self.dtype)
        axis = op.quant_rule(x_type, probe, None).weight_axis
        assert axis is not None
        channels = shape[axis]
        w = self.rng.normal(0, 1 / math.sqrt(max(1, math.prod(shape) // channels)), shape)
        b = self.rng.normal(0, 0.3, channels)
        bias = not self.one_in(5)
        if self.dtype == "float32":
            operands = [
                Operand(TensorType(a.shape, "float32"), a.astype(np.float32)) for a in (w, b)
            ]
            return self.node(op, [x, *operands[: 1 + bias]])
        assert x_type.quant is not None
        dtype, limit = ("int4", 7) if self.one_in(4) else ("int8", 127)
        per_channel = op.quant_rule(x_type, TensorType(shape, dtype), None).weight_axis is not None
        rest = tuple(i for i in range(w.ndim) if i != axis)
        most = np.maximum(np.abs(w).max(axis=rest), 1e-3)
        if self.one_in(4) or not per_channel:
            quant = QuantParams.per_tensor(float(most.max()) / limit)
        else:
            quant = QuantParams.per_channel(most / limit, axis)
        one = [-1 if i == axis else 1 for i in range(w.ndim)]
        scales = np.broadcast_to(np.array(quant.scales, np.float32), channels)
        data = np.clip(np.round(w / scales.reshape(one)), -limit, limit).astype(np.int8)
        sums = x_type.quant.scale * np.array(quant.scales)
        b_quant = (
            QuantParams.per_tensor(float(sums[0]))
            if quant.axis is None
            else QuantParams.per_channel(sums, 0)
        )
        b_data = np.round(b / np.broadcast_to(sums, channels)).astype(np.int32)
        weights = Operand(TensorType(shape, dtype, quant), data)
        biases = [Operand(TensorType((channels,), "int32", b_quant), b_data)]
        return self.node(op, [x, weights, *biases[: int(bias)]])


# -- the operators whose attributes or operands depend on the shape ------------------------------


@dataclasses.dataclass(frozen=True)
class _Step:
    grow: Callable[[_Growth, str], object]
    ranks: tuple[int, ...] = (1, 2, 3, 4)
    dtypes: tuple[str, ...] = ("int8", "float32")


def _unary(g: _Growth, op: Op) -> None:
    x = g.pick()
    if x is not None:
        g.node(op, [x])


def _binary(g: _Growth, op: Op) -> None:
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


def _window(g: _Growth) -> dict[str, Any]:
    return {
        "stride_h": g.draw(st.integers(1, 2)),
        "stride_w": g.draw(st.integers(1, 2)),
        "padding": g.draw(st.sampled_from(("SAME", "SAME", "VALID"))),
        "fused_activation_function": g.draw(st.sampled_from(tuple(BOUNDS))),
    }


def _kernel(g: _Growth) -> tuple[int, int]:
    return g.draw(st.sampled_from(((1, 1), (3, 3), (3, 3), (2, 2), (1, 3), (5, 2))))


def _dilation(g: _Growth) -> dict[str, int]:
    factor = g.draw(st.sampled_from((1, 1, 1, 2)))
    return {"dilation_h_factor": factor, "dilation_w_factor": factor}


def _conv(g: _Growth, x: str) -> None:
    depth = g.builder.type(x).shape[3]
    groups = g.draw(st.sampled_from([1, 1, *(d for d in (2, 3, depth) if depth % d == 0)]))
    outs = groups * g.draw(st.integers(1, max(1, 12 // groups)))
    op = get_op("CONV_2D")(**_window(g), **_dilation(g))
    g.weighted(op, x, (outs, *_kernel(g), depth // groups))


def _depthwise(g: _Growth, x: str) -> None:
    outs = g.builder.type(x).shape[3] * g.draw(st.sampled_from((1, 1, 2)))
    cls = get_op("DEPTHWISE_CONV_2D")
    fields = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    given = {**_window(g), **_dilation(g)}
    g.weighted(cls(**{k: v for k, v in given.items() if k in fields}), x, (1, *_kernel(g), outs))


def _fully_connected(g: _Growth, x: str) -> None:
    type = g.builder.type(x)
    keep = type.rank > 2 and g.draw(st.booleans())
    op = get_op("FULLY_CONNECTED")(
        fused_activation_function=g.draw(st.sampled_from(tuple(BOUNDS))), keep_num_dims=keep
    )
    g.weighted(op, x, (g.draw(st.integers(1, 12)), type.shape[-1] if keep else type.size))


def _pool(name: str) -> Callable[[_Growth, str], object]:
    def grow(g: _Growth, x: str) -> None:
        height, width = _kernel(g)
        g.node(get_op(name)(**_window(g), filter_height=height, filter_width=width), [x])

    return grow


def _mean(g: _Growth, x: str) -> None:
    rank = g.builder.type(x).rank
    axes = [(rank - 1,), (1,), tuple(range(1, rank))] + [(1, 2)] * 3 * (rank == 4)
    g.node(get_op("MEAN")(axis=g.draw(st.sampled_from(axes)), keep_dims=g.draw(st.booleans())), [x])


def _reshape(g: _Growth, x: str) -> None:
    type = g.builder.type(x)
    shapes = [(1, type.size), (1, type.size // type.shape[-1], type.shape[-1])]
    if type.rank < 4 and type.size % 4 == 0:
        shapes += [(1, 2, 2, type.size // 4)] * 2
    g.node(get_op("RESHAPE")(g.draw(st.sampled_from(shapes))), [x])


def _paddings(g: _Growth, x: str) -> tuple[tuple[int, int], ...]:
    rank = g.builder.type(x).rank
    pair = st.tuples(st.integers(0, 2), st.integers(0, 2))
    last = g.draw(pair) if rank == 2 or g.one_in(4) else (0, 0)
    return ((0, 0), *(g.draw(pair) for _ in range(rank - 2)), last)[:rank]


def _pad_with_value(g: _Growth, x: str) -> None:
    value = g.constant(g.rng.normal(0, 1, (1,)), g.builder.type(x).quant)
    g.node(get_op("PADV2")(_paddings(g, x)), [x, value])


def _concatenation(g: _Growth, x: str) -> None:
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


def _slice(g: _Growth, x: str) -> None:
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


def _transpose(g: _Growth, x: str) -> None:
    order = g.draw(st.permutations(range(1, g.builder.type(x).rank)))
    g.node(get_op("TRANSPOSE")((0, *order)), [x])


def _resize(g: _Growth, x: str) -> None:
    _, height, width, _ = g.builder.type(x).shape
    factor = g.draw(st.sampled_from((None, 2, 2)))
    if factor is None:
        size = g.draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    else:
        size = (height * factor, width * factor)
    corners, centers = g.draw(st.sampled_from(((False, False), (True, False), (False, True))))
    g.node(get_op("RESIZE_NEAREST_NEIGHBOR")(size, corners, centers), [x])


def _not_negative(name: str) -> Callable[[_Growth, str], object]:
    """An operator whose runtimes stop at negative numbers: they are clamped to 0 first."""

    def grow(g: _Growth, x: str) -> None:
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


# Of floats: functions that make much of little, so that runtimes do not stay close.
UNSTABLE = frozenset(
    ["DIV", "POW", "FLOOR_DIV", "FLOOR_MOD", "CEIL", "EXP", "FLOOR", "ROUND", "SIGN", "SQUARE"]
)
# What LiteRT's reference kernels compute in a way of their own (see `tests/ops/test_matrix.py`).
OTHERWISE = frozenset(["FULLY_CONNECTED", "LOGISTIC", "TANH"])

STEPS: dict[str, _Step] = {
    "CONV_2D": _Step(_conv, (4,)),
    "DEPTHWISE_CONV_2D": _Step(_depthwise, (4,)),
    "FULLY_CONNECTED": _Step(_fully_connected, (2, 3, 4)),
    "AVERAGE_POOL_2D": _Step(_pool("AVERAGE_POOL_2D"), (4,)),
    "MAX_POOL_2D": _Step(_pool("MAX_POOL_2D"), (4,)),
    "MEAN": _Step(_mean, (2, 3, 4)),
    "RESHAPE": _Step(_reshape, (2, 3, 4)),
    "PAD": _Step(lambda g, x: g.node(get_op("PAD")(_paddings(g, x)), [x]), (2, 3, 4)),
    "PADV2": _Step(_pad_with_value, (2, 3, 4)),
    "CONCATENATION": _Step(_concatenation, (2, 3, 4)),
    "STRIDED_SLICE": _Step(_slice, (2, 3, 4)),
    "TRANSPOSE": _Step(_transpose, (2, 3, 4)),
    "RESIZE_NEAREST_NEIGHBOR": _Step(_resize, (4,)),
    **{name: _Step(_not_negative(name), dtypes=("int8",)) for name in ("LOG", "RSQRT", "SQRT")},
}
