"""What MAXIMUM and MINIMUM share: everything but which of two numbers is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.ops import _range
from smidgen.ops._broadcast import Broadcast, arrays_of, guard, one_dtype, overlap, pair_kernel
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, QuantRule, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypothesis.strategies import DrawFn

    from smidgen.ir import QuantParams

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "int8", "int32", "int64")


@dataclass(frozen=True)
class Extreme(Broadcast):
    """One of each two numbers. Integers are compared as they are, so all share one scale."""

    options: ClassVar[str] = "MaximumMinimumOptions"
    sample_dtypes: ClassVar[tuple[str, ...]] = ("int8", "int8", "int8", "float32", "int32", "int64")

    def result_dtype(self, dtypes: tuple[str, ...]) -> str:
        return one_dtype(dtypes, DTYPES)

    def choose(self, a: Array, b: Array) -> Array:
        """One of each two numbers."""
        raise NotImplementedError

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        return (self.choose(*arrays_of(arrays)),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        return (self.choose(*arrays_of(arrays)),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION, Role.ACTIVATION), ties=((0, 1, -1),))

    value_range = _range.monotone

    @classmethod
    def draw_quants(
        cls, draw: DrawFn, dtypes: Sequence[str]
    ) -> tuple[list[QuantParams | None], QuantParams | None]:
        from smidgen.ops import _draw

        quant = draw(_draw.quant()) if dtypes[0] == "int8" else None
        return [quant] * len(dtypes), quant


def kernels(name: str) -> tuple[Kernel, ...]:
    """The kernels of `name`: a clamp where one operand is a constant number, or pairs."""
    clamps = [_clamp_kernel(name, varies, dsp) for dsp in (True, False) for varies in (0, 1)]
    pairs = [pair_kernel(name, dtype, source=f"{name}.h") for dtype in DTYPES]
    return (*clamps, *pairs)


def _clamp_kernel(name: str, varies: int, dsp: bool) -> Kernel:
    def check(site: Site) -> str | None:
        if dsp and "dsp" not in site.features:
            return "the core has no DSP instructions"
        number = site.constants[1 - varies]
        if number is None or number.size != 1 or site.constants[varies] is not None:
            return f"operand {1 - varies} is not one constant number"
        return guard("int8")(site)

    def params(site: Site) -> Mapping[str, Param]:
        limit = int(site.constant(1 - varies).item())
        low, high = (limit, 127) if name == "maximum" else (-128, limit)
        return {"size": site.output.size, "act_min": low, "act_max": high}

    symbol = "relu_int8_dsp" if dsp else "relu_int8"
    return Kernel(
        f"sm_{symbol}",
        f"{symbol}.h",
        guard=check,
        params=params,
        arguments=(varies,),
        overlap=overlap,
    )
