"""MIRROR_PAD: a border that is the image's own edge, mirrored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _movement
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import AxisRef, Coupling, NodeTypes, Op, TfliteNode, TfliteOp
from smidgen.ops._order import Order, Permuted
from smidgen.ops._pad import Pairs

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]
_REFLECT, _SYMMETRIC = "REFLECT", "SYMMETRIC"
_NUMPY = {_REFLECT: "reflect", _SYMMETRIC: "symmetric"}


def _lines(site: Site) -> list[tuple[int, int, int]]:
    """(size, before, after) of four axes, the last one in bytes if nothing is added on it."""
    assert isinstance(site.op, MirrorPad)
    axes = [(n, *pair) for n, pair in zip(site.input(0).shape, site.op.paddings, strict=True)]
    while axes and axes[0] == (1, 0, 0):
        del axes[0]
    if not axes or axes[-1][1:] != (0, 0):
        axes.append((1, 0, 0))
    return [(1, 0, 0)] * (_movement.MAX_LOOPS - len(axes)) + axes


def _params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, MirrorPad)
    *loops, (run, _, _) = _lines(site)
    fields: dict[str, Param] = {"skip": int(site.op.mode == _REFLECT)}
    for d, (size, before, after) in enumerate(loops):
        fields |= {f"size{d}": size, f"before{d}": before, f"after{d}": after}
    return {**fields, "run": run * _movement.item_bytes(site.output)}


def _guard(site: Site) -> str | None:
    if len(_lines(site)) > _movement.MAX_LOOPS:
        return f"more than {_movement.MAX_LOOPS - 1} axes are padded"
    return _movement.guard(site)


@dataclass(frozen=True)
class MirrorPad(_movement.Movement):
    """`paddings[i]` elements, (before, after), of the operand itself are added on axis i.

    `mode` REFLECT mirrors at the outermost element, SYMMETRIC between it and its copy.
    """

    name: ClassVar[str] = "MIRROR_PAD"
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32", "int8")

    paddings: Pairs = ()
    mode: str = _REFLECT

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        x = _movement.the_operand(types)
        if len(self.paddings) != x.rank or self.mode not in _NUMPY:
            raise ValueError(f"{self.mode} paddings {self.paddings} of a tensor of {x.shape}")
        for n, pair in zip(x.shape, self.paddings, strict=True):
            if not all(0 <= amount <= n - (self.mode == _REFLECT) for amount in pair):
                raise ValueError(f"an axis of {n} cannot be mirrored for paddings of {pair}")
        shape = (n + sum(pair) for n, pair in zip(x.shape, self.paddings, strict=True))
        return (TensorType(tuple(shape), x.dtype),)

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        moved = MirrorPad(tuple(self.paddings[axis] for axis in order), self.mode)
        return Permuted(moved, (order,), (order,))

    def batchable(self, *types: TensorType | None) -> bool:
        return self.paddings[:1] == ((0, 0),)

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        mode: Any = _NUMPY[self.mode]
        return (np.pad(_movement.the_array(arrays), self.paddings, mode),)

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        import torch

        (x,) = tensors
        mode: Any = _NUMPY[self.mode]
        for axis, pair in enumerate(self.paddings):
            if any(pair):
                places = np.pad(np.arange(x.shape[axis]), pair, mode)
                x = x.index_select(axis, torch.as_tensor(places, device=x.device))
        return x

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        table = node.constant(1, "paddings").reshape(-1, 2)
        return cls(tuple((int(a), int(b)) for a, b in table), node.options["mode"]), (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        table = np.array(self.paddings, np.int32).reshape(-1, 2)
        return TfliteOp("MirrorPadOptions", {"mode": self.mode}, (0, table))

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int8": 2, "int16": 3}.get(types.dtype, 1)

    kernels = (
        Kernel(
            "sm_mirror_pad_bytes",
            "mirror_pad_bytes.h",
            guard=_guard,
            params=_params,
            arguments=(0,),
        ),
    )

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Channels pass unless they are mirrored themselves."""
        x = _movement.the_operand(types)
        last = x.rank - 1
        if not x.rank or any(self.paddings[last]):
            return ()
        return (Coupling(x.shape[last], (AxisRef(0, last), AxisRef(-1, last))),)

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            x = draw(_draw.tensor(_draw.shape(min_rank=2)))
            mode = draw(st.sampled_from(tuple(_NUMPY)))
            most = [min(3, n - (mode == _REFLECT)) for n in x.shape]
            pairs = tuple(draw(st.tuples(*[st.integers(0, m)] * 2)) for m in most[1:-1])
            last = draw(st.sampled_from(((0, 0), (most[-1], 0))))
            return Sample(cls(((0, 0), *pairs, last), mode), (Operand(x),), (x.quant,))

        return draw_sample()
