"""What ADD, SUB and MUL share: everything but the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.ir import TensorType
from smidgen.numerics.lookup import INT8_VALUES
from smidgen.ops import _torch
from smidgen.ops._activation import (
    check_activation,
    check_bounds,
    float_activation,
    float_bounds,
    int_bounds,
    read_activation,
)
from smidgen.ops._broadcast import (
    Broadcast,
    arrays_of,
    guard,
    one_dtype,
    overlap,
    pair_kernel,
    rows,
    rows_refusal,
)
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._op import NodeTypes, Op, QuantRule, Role, TfliteNode, TfliteOp, Types

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["Binary", "guard", "kernels", "overlap", "rows", "rows_refusal", "table_kernels"]

Array = np.ndarray[Any, Any]
DTYPES = ("float32", "int8", "int16")


@dataclass(frozen=True)
class Binary(Broadcast):
    """Base of the operators on two tensors that broadcast as in numpy, with a fused activation.

    A subclass says how two numbers are combined: `float_combine` and `int_combine`.
    """

    options: ClassVar[str]
    accepted: ClassVar[tuple[str, ...]] = DTYPES  # and int32, counts, without an activation
    sample_dtypes: ClassVar[tuple[str, ...]] = (
        *("int8", "int8", "int8", "float32", "int16", "int32"),
    )

    fused_activation_function: str = "NONE"

    def float_combine(self, a: Array, b: Array) -> Array:
        """The result before the activation."""
        raise NotImplementedError

    def int_combine(self, types: NodeTypes, a: Array, b: Array, rounding: str) -> Array:
        """Centred int64 operands to centred int64 results at the output's scale."""
        raise NotImplementedError

    def result_dtype(self, dtypes: tuple[str, ...]) -> str:
        check_activation(self.fused_activation_function)
        counts = ("int32",) if self.fused_activation_function == "NONE" else ()
        return one_dtype(dtypes, (*self.accepted, *counts))

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        a, b = arrays_of(arrays)
        return (float_activation(self.float_combine(a, b), self.fused_activation_function),)

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        a, b = (
            array.astype(np.int64) - types.zero_point(i)
            for i, array in enumerate(arrays_of(arrays))
        )
        result = self.int_combine(types, a, b, rounding) + types.zero_point(-1)
        bounds = int_bounds(self.fused_activation_function, types.quant(-1), types.dtype)
        return (np.clip(result, *bounds).astype(types.dtype),)

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        return QuantRule((Role.ACTIVATION, Role.ACTIVATION))

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        super().check_quant(inputs, outputs)
        check_bounds(self.fused_activation_function, outputs[0])

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        a, b = tensors
        return _torch.activation(self.torch_combine(a, b), self.fused_activation_function)

    def torch_combine(self, a: Any, b: Any) -> Any:
        """`float_combine` of torch tensors."""
        return self.float_combine(a, b)  # arithmetic operators are the same on both

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        return cls(read_activation(node.options["fused_activation_function"])), (0, 1)

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        fields = {"fused_activation_function": self.fused_activation_function}
        return TfliteOp(self.options, fields, (0, 1))

    @classmethod
    def draw_op(cls) -> SearchStrategy[Op]:
        from smidgen.ops import _draw

        return _draw.activation().map(cls)


def kernels(
    name: str, int8_params: Callable[[Site], Mapping[str, Param]], int8_struct: str
) -> tuple[Kernel, ...]:
    """The kernels `sm_<name>_int8`, `_int16` and `_float32`.

    Args:
        name: such as "add".
        int8_params: fields between the loops and the limits.
        int8_struct: the name of the integer kernels' struct.
    """

    def integers(site: Site) -> Mapping[str, Param]:
        assert isinstance(site.op, Binary)
        low, high = int_bounds(site.op.fused_activation_function, site.quant(-1), site.dtype)
        offsets: dict[str, Param] = {
            "a_offset": -site.quant(0).zero_point,
            "b_offset": -site.quant(1).zero_point,
            "output_offset": site.quant(-1).zero_point,
        }
        return {**offsets, **int8_params(site), "act_min": low, "act_max": high}

    def limits(site: Site) -> Mapping[str, Param]:
        assert isinstance(site.op, Binary)
        low, high = float_bounds(site.op.fused_activation_function)
        return {"act_min": low, "act_max": high}

    return (
        *table_kernels(),
        pair_kernel(name, "int8", struct=int8_struct, params=integers),
        pair_kernel(
            name, "int16", source="elementwise_int16.h", struct=int8_struct, params=integers
        ),
        pair_kernel(name, "float32", struct="sm_elementwise_float32_params", params=limits),
        pair_kernel(name, "int32"),
    )


def table_kernels(output_dtype: str = "int8") -> tuple[Kernel, ...]:
    """The kernels that look up what one constant number makes of the other int8 operand."""

    def of(varies: int) -> Kernel:
        constant = 1 - varies

        def check(site: Site) -> str | None:
            number = site.constants[constant]
            if number is None or number.size != 1 or site.constants[varies] is not None:
                return f"operand {constant} is not one constant number"
            return guard("int8", output_dtype)(site)

        def params(site: Site) -> Mapping[str, Param]:
            arrays: list[Array] = [INT8_VALUES, INT8_VALUES]
            arrays[constant] = site.constant(constant).reshape(1)
            operands = [TensorType(a.shape, "int8", site.quant(i)) for i, a in enumerate(arrays)]
            output = TensorType((256,), output_dtype, site.output.quant)
            (table,) = site.op.int_ref(NodeTypes(tuple(operands), (output,)), *arrays)
            return {"size": site.output.size, "table": table.view(np.int8)}

        return Kernel(
            "sm_lookup_int8",
            "lookup_int8.h",
            guard=check,
            params=params,
            arguments=(varies,),
            overlap=overlap,
        )

    return of(0), of(1)
