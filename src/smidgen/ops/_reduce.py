"""What the operators share that make one number of all numbers along some axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, TfliteNode, TfliteOp
from smidgen.ops._order import Order, Permuted, without
from smidgen.ops._unary import guard, only

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]
Loop = tuple[int, int]  # size, stride in elements

# Loops over axes that stay, and over axes that go, that the kernels have.
MAX_LOOPS = 2


def _loops(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[list[Loop], list[Loop]]:
    """Loops over the axes that stay and over those that go, neighbours merged."""
    loops: tuple[list[Loop], list[Loop]] = ([], [])
    last = -1
    for d, size in enumerate(shape):
        if size == 1:
            continue
        goes, stride = int(d in axes), math.prod(shape[d + 1 :])
        before = loops[goes].pop()[0] if goes == last else 1
        loops[goes].append((before * size, stride))
        last = goes
    return loops


def loop_params(site: Site) -> dict[str, int]:
    """Fields of the kernels' structs for the loops."""
    assert isinstance(site.op, Reduction)
    shape = site.input(0).shape
    fields: dict[str, int] = {}
    for name, loops in zip(("keep", "reduce"), _loops(shape, site.op.axes_of(shape)), strict=True):
        padded = [(1, 0)] * (MAX_LOOPS - len(loops)) + loops
        for i, (size, stride) in enumerate(padded):
            fields |= {f"{name}_size{i}": size, f"{name}_stride{i}": stride}
    return fields


def loops_guard(dtype: str) -> Callable[[Site], str | None]:
    """A guard that looks at the element types and the number of loops."""

    def check(site: Site) -> str | None:
        assert isinstance(site.op, Reduction)
        shape = site.input(0).shape
        axes = site.op.axes_of(shape)
        if max(len(loops) for loops in _loops(shape, axes)) > MAX_LOOPS:
            return f"axes {axes} of {shape} take more loops than there are"
        return guard(dtype)(site)

    return check


class Reduction(Op):
    """An operator over the axes `axis`; negative ones count from the end, repeated ones once.

    With `keep_dims` an axis that goes stays behind with size 1.
    """

    axis: tuple[int, ...]
    keep_dims: bool
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int8")
    order_matters: ClassVar[bool] = False  # whether floats taken in another order differ in bits

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        axes = self.axes_of(only(types, self.dtypes).shape)
        moved = tuple(sorted(order.index(axis) for axis in axes))
        left = order if self.keep_dims else without(order, axes)
        op = replace(self, axis=moved)  # type: ignore[type-var]
        return Permuted(op, (order,), (left,), exact=not self.order_matters)

    def axes_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The axes of `shape` that go, ascending.

        Raises:
            ValueError: if one is not there.
        """
        rank = len(shape)
        if any(not -rank <= a < rank for a in self.axis):
            raise ValueError(f"axes {self.axis} of a tensor of shape {shape}")
        return tuple(sorted({a % rank for a in self.axis}))

    def count(self, shape: tuple[int, ...]) -> int:
        """How many elements go into one result."""
        return math.prod(shape[a] for a in self.axes_of(shape))

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = only(types, self.dtypes)
        if not x.size:
            raise ValueError(f"the input of shape {x.shape} has no elements")
        axes = self.axes_of(x.shape)
        kept = (1 if d in axes else n for d, n in enumerate(x.shape))
        left = (n for d, n in enumerate(x.shape) if d not in axes)
        return (TensorType(tuple(kept if self.keep_dims else left), x.dtype),)

    def batchable(self, *types: TensorType | None) -> bool:
        x = only(types, self.dtypes)
        return x.rank > 0 and 0 not in self.axes_of(x.shape)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        axis = tuple(int(a) for a in node.constant(1, "axes").ravel())
        return cls(axis, node.options["keep_dims"]), (0,)  # type: ignore[call-arg]

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        axis = np.array(self.axis, np.int32)
        return TfliteOp("ReducerOptions", {"keep_dims": self.keep_dims}, (0, axis))

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int8": 2, "int16": 3}.get(types.dtype, 1)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels pass unless they are what goes: fewer of them make another result."""
        x = only(types, self.dtypes)
        last = x.rank - 1
        if not x.rank or last in self.axes_of(x.shape):
            return ()
        out = self.infer(x)[0].rank - 1
        return (Coupling(x.shape[last], (AxisRef(0, last), AxisRef(-1, out))),)

    def macs(self, *types: TensorType | None) -> int:
        return 0


def draw_sample(cls: type[Any], *, tied: bool, dtypes: tuple[str, ...] = ()) -> SearchStrategy[Any]:
    """Samples of a reduction.

    Args:
        cls: the operator.
        tied: whether operand and result share scale and zero point.
        dtypes: element types, if others than int8 and float32.
    """
    from hypothesis import strategies as st

    from smidgen.ops import _draw
    from smidgen.ops._sample import Operand, Sample

    @st.composite
    def draw(draw: st.DrawFn) -> Sample:
        kind = draw(st.sampled_from(dtypes) if dtypes else _draw.dtype())
        scaled = kind in ("int8", "int16")
        quants = [draw(_draw.quant_of(kind)) if scaled else None for _ in range(2)]
        if tied or draw(st.booleans()):
            quants[1] = quants[0]
        image = (1, *draw(_draw.image_size((1, 1))), draw(st.integers(1, 67)))
        shape = draw(st.one_of(st.just(image), _draw.shape(min_rank=2)))
        keep_dims = draw(st.booleans())
        # The batch stays unless its axis does: an output needs one.
        axes = st.integers(0 if keep_dims else 1, len(shape) - 1)
        chosen = draw(st.sets(axes, min_size=1))
        if shape is image and draw(st.booleans()):
            chosen = {1, 2}
        axis = tuple(a - draw(st.sampled_from((0, len(shape)))) for a in sorted(chosen))
        operand = Operand(TensorType(shape, kind, quants[0]))
        return Sample(cls(axis, keep_dims), (operand,), (quants[1],))

    return draw()


def extreme_kernels(sign: int) -> tuple[Kernel, ...]:
    """The kernels of the greatest (sign 1) or the least number (sign -1).

    The least of some numbers is that which has the greatest opposite.
    """

    def int8_params(site: Site) -> Mapping[str, Param]:
        return {**loop_params(site), "flip": 0 if sign > 0 else -1}

    def float_params(site: Site) -> Mapping[str, Param]:
        return {**loop_params(site), "sign": float(sign)}

    return (
        Kernel(
            "sm_reduce_max_int8",
            "reduce_max_int8.h",
            guard=lambda site: loops_guard("bool" if site.dtype == "bool" else "int8")(site),
            params=int8_params,
            overlap=lambda site: {0: 0},
        ),
        Kernel(
            "sm_reduce_max_float32",
            "reduce_max_float32.h",
            guard=loops_guard("float32"),
            params=float_params,
            overlap=lambda site: {0: 0},
        ),
    )
