"""Functions of one number: float32, and int8 by a table where a runtime has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import QuantParams, TensorType
from smidgen.numerics.tabulate import real_values, tabulate_int8
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, Op, Types, unsupported
from smidgen.ops._unary import TableUnary, Unary, guard, in_place, one

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]

FLOAT_ONLY = unsupported("no runtime computes it in integers")


class FloatFunction(Unary):
    """Base of the functions that no runtime has for quantized numbers."""

    dtypes: ClassVar[tuple[str, ...]] = ("float32",)
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = ("float32",)
    litert_dtypes: ClassVar[tuple[str, ...] | None] = ("float32",)

    int_ref = FLOAT_ONLY

    def apply(self, x: Array) -> Array:
        """The function of each element."""
        raise NotImplementedError

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        """The function of each element."""
        with np.errstate(all="ignore"):  # of what is no number nothing else is expected
            return (self.apply(one(arrays)),)

    def tflite_version(self, types: NodeTypes) -> int:
        """The first."""
        return 1

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        """Any shape and dtype."""
        from hypothesis import strategies as st

        from smidgen.ops import _draw
        from smidgen.ops._sample import Operand, Sample

        def sample(shape: tuple[int, ...], dtype: str) -> Sample:
            return Sample(cls(), (Operand(TensorType(shape, dtype)),))

        return st.builds(sample, _draw.shape(), st.sampled_from(cls.dtypes))


class TableFunction(TableUnary):
    """Base of the functions that runtimes compute in float32 for the table of int8 numbers."""

    # Where the function is defined and its results are not huge: what samples are drawn from.
    sample_dtypes: ClassVar[tuple[str, ...]] = ("int8", "float32")
    sample_scales: ClassVar[tuple[float, float]] = (1e-4, 0.5)

    def apply(self, x: Array) -> Array:
        """The function of each float32 number."""
        raise NotImplementedError

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        """The function of each element."""
        return (self.apply(one(arrays)),)

    def table(self, types: NodeTypes) -> Array:
        """The answers that the runtimes find in float32."""
        quants = (types.scale(0), types.zero_point(0), types.scale(-1), types.zero_point(-1))
        return tabulate_int8(self.apply, *quants)

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        types = NodeTypes(inputs, outputs)
        if types.dtype == "int8":
            self.table(types)  # refuses what the runtimes cannot clamp

    @classmethod
    def draw_input_quant(cls) -> SearchStrategy[QuantParams]:
        from smidgen.ops import _draw

        return _draw.quant(*cls.sample_scales)

    @classmethod
    def draw_output_quant(cls, op: Op, x: QuantParams) -> SearchStrategy[QuantParams]:
        """Parameters that suit the function's values, and now and then saturate them."""
        from hypothesis import strategies as st

        from smidgen.ops import _draw

        (real,) = op.float_ref(real_values(x.scale, x.zero_point))
        most = float(np.abs(real[np.isfinite(real)]).max(initial=1e-3))
        factor = st.sampled_from((0.1, 0.5, 1.0, 1.0, 3.0))
        return st.builds(
            lambda f, z: QuantParams.per_tensor(max(most, 1e-6) / 127 * f, z),
            factor,
            _draw.zero_points(),
        )


def unary_kernel(
    name: str,
    dtype: str = "float32",
    *,
    source: str = "",
    params: Callable[[Site], Mapping[str, Param]] | None = None,
) -> Kernel:
    """The kernel `sm_<name>_<dtype>`, whose only parameter is the size unless more are given."""

    def all_params(site: Site) -> Mapping[str, Param]:
        return {"size": site.output.size, **(params(site) if params else {})}

    return Kernel(
        f"sm_{name}_{dtype}",
        source or f"{name}_{dtype}.h",
        guard=guard(dtype),
        params=all_params,
        arguments=(0,),
        struct="" if params else "sm_unary_params",
        overlap=in_place,
    )
