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
from smidgen.numerics.affine import dtype_range
from smidgen.ops import NodeTypes, Op, Operand, Unsupported, all_ops, get_op
from smidgen.ops._activation import BOUNDS
from smidgen.ops._draw import values
from tests.random_steps import (
    LEFT_OUT,
    OTHERWISE,
    OTHERWISE_INT16,
    RARE,
    STEPS,
    UNSTABLE,
    binary,
    unary,
)

Array = np.ndarray[Any, Any]
Name = str | Operand | None

SAMPLES = 8  # that the scales are chosen from
LARGEST = 2048  # elements of an activation


def graphs(
    min_ops: int = 3, max_ops: int = 12, dtype: str = "int8", only: frozenset[str] | None = None
) -> st.SearchStrategy[Graph]:
    """Graphs with branches, residual sums, concatenations and several outputs.

    Args:
        min_ops: fewest operators.
        max_ops: most operators.
        dtype: "int8", now and then with float32 inputs and outputs, "int16" (activations, with int8
            weights), or "float32".
        only: the operators to grow by, such as `TELLING`, without fused activations; None for
            all. What quantizes or rescales an operand, or reads one left over, comes on top.

    Returns:
        A strategy of verified graphs with inputs of batch 1.
    """
    return _graphs(min_ops, max_ops, dtype, only)


@st.composite
def _graphs(
    draw: st.DrawFn, min_ops: int, max_ops: int, dtype: str, only: frozenset[str] | None
) -> Graph:
    goal = draw(st.integers(min_ops, max_ops))
    growth = Growth(draw, dtype, goal, ("NONE",) if only else tuple(BOUNDS))
    growth.start()
    names = [name for name in sorted(only or steps(dtype)) if growth.fits(name)]
    only_here = [
        name for name in names if not get_op(name).runs_on("tflm", TensorType((1,), dtype))
    ]
    names += 3 * only_here + [name for name in RARE if name in names]
    tries = 0
    while growth.nodes + growth.pending() < goal and tries < 20 * goal:
        tries += 1
        growth.step(names[growth.rng.integers(len(names))])  # hypothesis repeats itself
    return growth.finish()


def steps(dtype: str) -> list[str]:
    """The operators that graphs of this type grow by."""
    names = [name for name in STEPS if dtype in STEPS[name].dtypes]
    names += [name for name in elementwise(dtype) if name not in STEPS]
    return [name for name in names if dtype != "float32" or name not in UNSTABLE]


def runtime_of(graph: Graph) -> Literal["tflm", "litert_ref"]:
    """The foreign runtime that has all of a graph's operators: TFLM if it can be."""

    def runs(name: str, types: tuple[TensorType | None, ...]) -> bool:
        return get_op(name).runs_on("tflm", *types)

    on_tflm = all(runs(n.op.name, graph.types(n.inputs)) for n in graph.nodes)
    return "tflm" if on_tflm else "litert_ref"


def _is_of_a_shape(field: dataclasses.Field[Any]) -> bool:
    """Whether an attribute says something of axes."""
    return field.name == "axis" or isinstance(field.default, tuple)


@cache
def elementwise(dtype: str) -> dict[str, int]:
    """Operators that take one or two operands of any shape with default attributes: how many."""
    quant = quant_of(np.ones(1), dtype) if dtype != "float32" else None
    probe = TensorType((1, 4, 5, 3), dtype, quant)
    found = {}
    for name, cls in all_ops().items():
        if name in LEFT_OUT or any(_is_of_a_shape(f) for f in dataclasses.fields(cls)):  # type: ignore[arg-type]
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


def quant_of(real: Array, dtype: str = "int8", saturate: float = 1.0) -> QuantParams:
    """Parameters that cover the values, or only a part of their range."""
    finite = real[np.isfinite(real)]
    low, high = float(finite.min(initial=0.0)), float(finite.max(initial=0.0))
    if dtype == "int16":
        return QuantParams.per_tensor(max(high, -low, 1e-3) * saturate / 32767)
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


class Growth:
    """A graph as far as it has grown, with the values of every activation for a few samples."""

    def __init__(
        self, draw: st.DrawFn, dtype: str, goal: int, activations: tuple[str, ...]
    ) -> None:
        self.draw = draw
        self.dtype = dtype
        self.activations = activations
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
            if self.dtype != "float32" and not self.float_ends:
                real = self.rng.normal(0, self.draw(st.sampled_from((0.2, 2))), 100)
                quant = quant_of(real, self.dtype)
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
            int8 = [n for n in self.arrays if self.builder.type(n).dtype == "int8"]
            unread = [n for n in int8 if n in self.unused]
            self.node(get_op("DEQUANTIZE")(), [[*int8, *unread][-1]])
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
        others = OTHERWISE | (OTHERWISE_INT16 if self.dtype == "int16" else frozenset())
        operand = TensorType((1,), self.dtype)
        alike = self.runtime == "tflm" or name not in others
        return alike and get_op(name).runs_on(self.runtime, operand)

    def room(self) -> int:
        """How many nodes may be added."""
        return self.goal - self.nodes - self.pending()

    def pick(self, accept: Callable[[TensorType], bool] = lambda type: True) -> str | None:
        """An activation that is accepted: mostly one that nobody has read, or the newest."""
        found = [
            n
            for n in self.arrays
            if self.is_one(self.builder.type(n)) and accept(self.builder.type(n))
        ]
        if not found:
            return None
        unread = [n for n in found if n in self.unused]
        return self.draw(st.sampled_from((found[-1], *2 * unread, *found[-3:])))

    def is_one(self, type: TensorType) -> bool:
        """Whether it is an activation of one sample, as nearly all are."""
        return type.dtype == self.dtype and type.shape[:1] == (1,)

    def attributes(self, cls: type[Op]) -> Op:
        """An operator with those attributes drawn that any elementwise operator may have."""
        fields = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        given: dict[str, Any] = {}
        if "fused_activation_function" in fields:
            given["fused_activation_function"] = self.draw(st.sampled_from(self.activations))
        if "alpha" in fields:
            given["alpha"] = self.draw(st.sampled_from((0.01, 0.1, 0.3)))
        return cls(**given)

    # -- growing ---------------------------------------------------------------------------------

    def step(self, name: str, x: str | None = None) -> None:
        """Add an operator called `name`, if it fits on some activation."""
        step = STEPS.get(name)
        if step is None:
            count = elementwise(self.dtype)[name]
            (unary if count == 1 else binary)(self, self.attributes(get_op(name)))
            return
        x = x or self.pick(lambda t: t.rank in step.ranks)
        if x is not None:
            step.grow(self, x)

    def constant(self, real: Array, quant: QuantParams | None = None) -> Operand:
        """An activation's constant operand near the given real values."""
        if self.dtype == "float32":
            return Operand(TensorType(real.shape, "float32"), real.astype(np.float32))
        quant = quant or quant_of(real, self.dtype)
        rounded = np.round(real / quant.scale) + quant.zero_point
        data = np.clip(rounded, *dtype_range(self.dtype)).astype(self.dtype)
        return Operand(TensorType(data.shape, self.dtype, quant), data)

    def type_of(self, operand: Name) -> TensorType | None:
        if operand is None or isinstance(operand, Operand):
            return None if operand is None else operand.type
        return self.builder.type(operand)

    def array_of(self, operand: Name) -> Array | None:
        if operand is None or isinstance(operand, Operand):
            return None if operand is None else operand.data
        return self.arrays[operand]

    def node(
        self,
        op: Op,
        operands: list[Any],
        quant: QuantParams | None = None,
        *,
        batches: bool = False,
    ) -> str | None:
        """Append a node; None, and nothing is changed, where the operator refuses or room ends.

        Args:
            op: its operator.
            operands: values by name, constants, None for one left out.
            quant: of the result; chosen if it is None.
            batches: whether operands or results may be several images that belong together.

        Returns:
            The name of its first result.
        """
        if self.nodes + 1 + self.pending(operands) > self.goal:
            return None
        types = tuple(self.type_of(o) for o in operands)
        arrays = [self.array_of(o) for o in operands]
        try:
            outs = op.infer(*types)
            if not all(0 < out.size <= LARGEST for out in outs):
                return None
            if not (batches or op.batchable(*types)):
                return None
            if not op.runs_on(self.runtime, *types):
                return None
            if outs[0].dtype in ("int8", "int16"):
                quant = quant or self.output_quant(op, types, arrays)
                outs = tuple(out.with_quant(quant) for out in outs)
            for operand, output in op.states.items():  # a state keeps its scale
                state = types[operand]
                assert state is not None
                outs = (*outs[:output], state, *outs[output + 1 :])
            op.check_quant(types, outs)
        except ValueError:
            return None
        if any(t is not None and t.quant for t in (*types, *outs)):
            results = op.int_ref(NodeTypes(types, outs), *arrays)
        else:
            results = op.float_ref(*arrays)
        names = [
            self.builder.constant(o.data, name="c", quant=o.type.quant, dtype=o.type.dtype)
            if isinstance(o, Operand) and o.data is not None
            else o
            for o in operands
        ]
        made = self.builder.add_multi(op, names, quant=tuple(out.quant for out in outs))
        kept = [i for i in range(len(made)) if i not in op.states.values()]
        self.arrays.update({made[i]: np.asarray(results[i]) for i in kept})
        self.unused = [n for n in self.unused if n not in names] + [made[i] for i in kept]
        self.nodes += 1
        return made[0]

    def output_quant(
        self, op: Op, types: tuple[TensorType | None, ...], arrays: list[Array | None]
    ) -> QuantParams:
        """What the operator demands of its output, or what fits the values that it computes."""
        rule = op.quant_rule(*types)
        if rule.output is not None:
            return rule.output[self.dtype]
        for tie in rule.ties:
            first = types[min(i for i in tie if i >= 0)]
            if -1 in tie and first is not None and first.quant is not None:
                return first.quant
        real = [
            a if t is None or a is None else _real(a, t.quant)
            for t, a in zip(types, arrays, strict=True)
        ]
        saturate = self.draw(st.sampled_from((1.0, 1.0, 0.6)))
        return quant_of(op.float_ref(*real)[0], self.dtype, saturate)

    def at_scale_of(self, x: str, other: str) -> str | None:
        """`other` itself if it shares the scale of x, otherwise rescaled to it."""
        want = self.builder.type(x).quant
        if want == self.builder.type(other).quant:
            return other
        return self.node(get_op("QUANTIZE")(self.dtype), [other], want)

    def weighted(self, op: Op, x: str, shape: tuple[int, ...], *, int4: bool = True) -> str | None:
        """A node with random weights of `shape`, int4 now and then, and mostly a bias."""
        x_type = self.builder.type(x)
        probe = TensorType(shape, "float32" if self.dtype == "float32" else "int8")
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
        dtype, limit = ("int4", 7) if int4 and self.one_in(4) else ("int8", 127)
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
        b_dtype = "int64" if self.dtype == "int16" else "int32"
        b_data = np.round(b / np.broadcast_to(sums, channels)).astype(b_dtype)
        weights = Operand(TensorType(shape, dtype, quant), data)
        biases = [Operand(TensorType((channels,), b_dtype, b_quant), b_data)]
        return self.node(op, [x, weights, *biases[: int(bias)]])
