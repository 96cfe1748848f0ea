"""What AVERAGE_POOL_2D and MAX_POOL_2D share: everything but the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _range, _torch
from smidgen.ops._activation import (
    check_activation,
    check_bounds,
    float_bounds,
    int_bounds,
    read_activation,
)
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import (
    AxisRef,
    Coupling,
    NodeTypes,
    Op,
    QuantRule,
    Role,
    TfliteNode,
    TfliteOp,
    Types,
)
from smidgen.ops._rows import RowWindow
from smidgen.ops._unary import guard as dtype_guard
from smidgen.ops._unary import only
from smidgen.ops._window import PADDINGS, Window

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]
MAX_INT16 = 65535  # numbers whose sum fits 32 bits


@dataclass(frozen=True)
class Pool(Op):
    """One number for each channel of each window. The border takes no part."""

    dtypes: ClassVar[tuple[str, ...]] = ("float32", "int8", "int16")

    stride_h: int = 1
    stride_w: int = 1
    filter_height: int = 1
    filter_width: int = 1
    padding: str = "VALID"
    fused_activation_function: str = "NONE"

    @property
    def window(self) -> Window:
        """The window."""
        kernel, stride = (self.filter_height, self.filter_width), (self.stride_h, self.stride_w)
        return Window(kernel, stride, (1, 1), self.padding)

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        check_activation(self.fused_activation_function)
        x = only(types, self.dtypes)
        if x.rank != 4 or not x.size:
            raise ValueError(f"input must be (n, h, w, c) and not empty, got shape {x.shape}")
        return (TensorType((x.shape[0], *self.window.positions(x.shape), x.shape[3]), x.dtype),)

    def rows(self, *types: TensorType | None) -> Mapping[int, RowWindow]:
        return {0: self.window.rows(only(types, self.dtypes).shape)}

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION,), ties=((0, -1),))

    value_range = _range.monotone

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        check_bounds(self.fused_activation_function, outputs[0])

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        (x,) = tensors
        y = self.torch_pool(x, _torch.border(x, self.window))
        return _torch.activation(_torch.channels_last(y), self.fused_activation_function)

    def torch_pool(self, x: Any, pads: tuple[tuple[int, int], tuple[int, int]]) -> Any:
        """Pool torch images (n, h, w, c) with this border to (n, c, h, w)."""
        raise NotImplementedError

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        o = node.options
        op = cls(
            o["stride_h"],
            o["stride_w"],
            o["filter_height"],
            o["filter_width"],
            o["padding"],
            read_activation(o["fused_activation_function"]),
        )
        return op, (0,)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {
            "padding": self.padding,
            "stride_w": self.stride_w,
            "stride_h": self.stride_h,
            "filter_width": self.filter_width,
            "filter_height": self.filter_height,
            "fused_activation_function": self.fused_activation_function,
        }
        return TfliteOp("Pool2DOptions", fields, (0,))

    def tflite_version(self, types: NodeTypes) -> int:
        return {"int8": 2, "int16": 3}.get(types.dtype, 1)

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        x = only(types, self.dtypes)
        return (Coupling(x.shape[3], (AxisRef(0, 3), AxisRef(-1, 3))),)

    def macs(self, *types: TensorType | None) -> int:
        return 0

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        @st.composite
        def draw_sample(draw: st.DrawFn) -> Sample:
            kind = draw(_draw.dtype("int16"))
            quant = draw(_draw.quant_of(kind))
            kernel = draw(_draw.kernel_size())
            stride = draw(st.sampled_from(((1, 1), (2, 2), (1, 2), (3, 1), kernel)))
            padding = draw(st.sampled_from(PADDINGS))
            smallest = kernel if padding == "VALID" else (1, 1)
            shape = (1, *draw(_draw.image_size(smallest)), draw(st.integers(1, 67)))
            op = cls(*stride, *kernel, padding, draw(_draw.activation()))
            return Sample(op, (Operand(TensorType(shape, kind, quant)),), (quant,))

        return draw_sample()


def kernels(symbol: str, most: int | None = None) -> tuple[Kernel, ...]:
    """The int8 kernels, with DSP instructions and without, and the others of `symbol`.

    Args:
        symbol: such as "sm_max_pool_2d".
        most: the largest window of the kernel with DSP instructions, in positions.
    """

    def dsp_guard(site: Site) -> str | None:
        assert isinstance(site.op, Pool)
        if "dsp" not in site.features:
            return "the core has no DSP instructions"
        if site.output.shape[-1] < 4:
            return "less than 4 channels"
        if most is not None and math.prod(site.op.window.kernel) > most:
            return f"a window of more than {most} positions"
        return _guard("int8")(site)

    variants = (
        ("int8_dsp", "int8", dsp_guard, _int_params),
        ("int8", "int8", _guard("int8"), _int_params),
        ("int16", "int8", _guard("int16"), _int_params),
        ("float32", "float32", _guard("float32"), _float_params),
    )
    return tuple(
        Kernel(
            f"{symbol}_{variant}",
            f"{symbol.removeprefix('sm_')}_{variant}.h",
            guard=guard,
            params=params,
            struct=f"sm_pool_2d_{dtype}_params",
            overlap=_overlap,
        )
        for variant, dtype, guard, params in variants
    )


def byte_kernel(symbol: str) -> Kernel:
    """The uint8 kernel of `symbol`."""
    return Kernel(
        f"{symbol}_uint8",
        f"{symbol.removeprefix('sm_')}_uint8.h",
        guard=_guard("uint8"),
        params=_int_params,
        struct="sm_pool_2d_int8_params",
        overlap=_overlap,
    )


def _geometry(site: Site) -> dict[str, Param]:
    assert isinstance(site.op, Pool)
    fields = site.op.window.on(site).params(site.input(0), site.output)
    return {name: field for name, field in fields.items() if not name.startswith("dilation")}


def _int_params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, Pool)
    low, high = int_bounds(site.op.fused_activation_function, site.quant(-1), site.dtype)
    return {**_geometry(site), "act_min": low, "act_max": high}


def _float_params(site: Site) -> Mapping[str, Param]:
    assert isinstance(site.op, Pool)
    low, high = float_bounds(site.op.fused_activation_function)
    return {**_geometry(site), "act_min": low, "act_max": high}


def _overlap(site: Site) -> Mapping[int, int]:
    assert isinstance(site.op, Pool)
    return {0: site.op.window.lead(site.input(0), site.output, channelwise=True)}


def _guard(dtype: str) -> Callable[[Site], str | None]:
    def check(site: Site) -> str | None:
        if site.output.shape[0] != 1:
            return f"batch {site.output.shape[0]}; kernels run one sample at a time"
        assert isinstance(site.op, Pool)
        if dtype == "int16" and math.prod(site.op.window.kernel) > MAX_INT16:
            return f"sums of more than {MAX_INT16} numbers leave 32 bits"
        return dtype_guard(dtype)(site)

    return check
