"""BROADCAST_TO: a tensor as often as another shape takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement
from smidgen.ops._kernel import Site
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, TfliteNode, TfliteOp, Types
from smidgen.ops._order import Order, Permuted

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]


def _walk(site: Site) -> _movement.Walk:
    """What is repeated takes no stride."""
    x, out = site.input(0), site.output.shape
    own = [0 if n == 1 else s for n, s in zip(x.shape, _movement.strides(x.shape), strict=True)]
    strides = [0] * (len(out) - x.rank) + own
    return _movement.Walk.over(out, strides, _movement.item_bytes(x))


@dataclass(frozen=True)
class BroadcastTo(_movement.Movement):
    """The operand under `shape`, by numpy's rules: axes of size 1 and those in front repeat it."""

    name: ClassVar[str] = "BROADCAST_TO"

    shape: tuple[int, ...] = ()

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = _movement.the_operand(types)
        if x.rank > len(self.shape) or any(
            n not in (1, m) for n, m in zip(x.shape[::-1], self.shape[::-1], strict=False)
        ):
            raise ValueError(f"{x.shape} cannot be broadcast to {self.shape}")
        return (TensorType(self.shape, x.dtype),)

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        moved = BroadcastTo(tuple(self.shape[axis] for axis in order))
        return Permuted(moved, (order,), (order,))

    def batchable(self, *types: TensorType | None) -> bool:
        return self.shape[:1] == (1,) and _movement.the_operand(types).rank == len(self.shape)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        x = _movement.the_array(arrays)
        widened = x.ndim == len(self.shape) and self.shape[:1] == (1,)
        shape = (len(x), *self.shape[1:]) if widened else self.shape
        return (np.broadcast_to(x, shape),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        widened = x.dim() == len(self.shape) and self.shape[:1] == (1,)
        return x.expand(len(x), *self.shape[1:]) if widened else x.expand(self.shape)

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(node.outputs[0].shape), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        return TfliteOp("BroadcastToOptions", {}, (0, np.array(self.shape, np.int32)))

    def tflite_version(self, types: NodeTypes) -> int:
        return 3 if types.dtype in ("int8", "int16") else 2

    kernels = _movement.copy_kernels(_walk)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels pass if they are not what is repeated."""
        x = _movement.the_operand(types)
        if not x.rank or x.shape[-1] != self.shape[-1]:
            return ()
        members = (AxisRef(0, x.rank - 1), AxisRef(-1, len(self.shape) - 1))
        return (Coupling(x.shape[-1], members),)

    def refit(self, inputs: Types, outputs: tuple[TensorType, ...]) -> Op:
        return BroadcastTo(outputs[0].shape)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape()))
            repeated = draw(st.tuples(*[st.booleans()] * (x.rank - 1)))
            small = (1 if r else n for r, n in zip(repeated, x.shape[1:], strict=True))
            more = tuple(draw(st.lists(st.integers(1, 3), max_size=4 - x.rank)))
            op = cls((*more, *x.shape))
            return Sample(op, (Operand(x.with_shape((1, *small))),), (x.quant,))

        return draw_sample()
