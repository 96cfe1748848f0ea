"""The operator contract: one frozen dataclass per operator holds every concern it has.

A file in this folder defines one operator. The class's fields are its attributes, spelled as
LiteRT spells them; tensors are channels-last. Each method below is one *concern*. A concern that
an operator does not have is set to `unsupported("why")`; one that is simply missing makes the
registry refuse the class, so nothing is ever silently skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smidgen.errors import UnsupportedModelError
from smidgen.ir import QuantParams, TensorType
from smidgen.ops._kernel import Kernel
from smidgen.ops._order import Order, Permuted
from smidgen.ops._range import Range, unknown
from smidgen.ops._rows import RowWindow

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from smidgen.ops._sample import Sample

Array = np.ndarray[Any, Any]
Types = tuple["TensorType | None", ...]

CONCERNS = (
    "infer",
    "float_ref",
    "int_ref",
    "quant_rule",
    "torch_lower",
    "tflite_read",
    "tflite_write",
    "tflite_version",
    "kernels",
    "axes",
    "macs",
    "samples",
)


class Unsupported:
    """A concern an operator lacks; calling it raises with the reason."""

    def __init__(self, why: str) -> None:
        self.why = why

    def __call__(self, *args: object, **kwargs: object) -> Any:
        raise UnsupportedModelError(self.why)


def unsupported(why: str) -> Any:
    """State that an operator lacks a concern, and why (typed Any so that it can stand for one)."""
    return Unsupported(why)


# What operators without a torch lowering say, in one place.


@dataclass(frozen=True)
class NodeTypes:
    """Types of a node's operands and results, quantization included."""

    inputs: Types
    outputs: tuple[TensorType, ...]

    def scale(self, operand: int) -> float:
        """Per-tensor scale of input `operand` (0, 1, ...) or of output `~operand` (-1, -2, ...)."""
        return self.quant(operand).scale

    def zero_point(self, operand: int) -> int:
        """Zero point of input `operand` or output `~operand`."""
        return self.quant(operand).zero_point

    def quant(self, operand: int) -> QuantParams:
        """Quantization of input `operand` or output `~operand`."""
        type = self.outputs[~operand] if operand < 0 else self.inputs[operand]
        if type is None or type.quant is None:
            raise ValueError(f"operand {operand} has no quantization parameters")
        return type.quant

    @property
    def dtype(self) -> str:
        """Element type of the first operand."""
        assert self.inputs[0] is not None
        return self.inputs[0].dtype


class Role(Enum):
    """What an operand is to quantization."""

    ACTIVATION = "activation"  # per tensor, affine
    WEIGHT = "weight"  # symmetric (zero point 0), per channel on `QuantRule.weight_axis`
    BIAS = "bias"  # int32, scale = activation scale x weight scale, zero point 0
    INDEX = "index"  # not quantized: shapes, axes, indices


@dataclass(frozen=True)
class ScaledSum:
    """A result that is a sum of the integers of operand 0, scaled once.

    Args:
        unit: what the sum of real values is multiplied by.
        factor: multiplier and shift of the integers' sum, by input scale / output scale.
    """

    unit: float
    factor: Callable[[float], tuple[int, int]]


@dataclass(frozen=True)
class QuantRule:
    """How an operator's operands are quantized. Operands: inputs 0, 1, ...; outputs -1, -2, ...

    Args:
        roles: one for each input.
        weight_axis: the output-channel axis of the weight operand; None = per tensor only.
        per_channel: whether a scale for each channel is worth its bytes, for ordinary weights.
        ties: groups of operands that must share scale and zero point.
        output: the fixed parameters that the runtime demands of output 0, if it does
            (SOFTMAX: 1/256 and -128), by integer dtype.
        outputs: role of every output (one role for all): ACTIVATION, or INDEX if never quantized.
        products: operands (activation, weights, bias or None) of each sum of products, where there
            are several: a bias counts in the steps of its own sum.
        powers: operands that are int16 with a power of two as their scale (an LSTM's cell state).
        centred: operands that are better off with zero point 0 (kernels add it to SVDF's state
            after clamping, and what does not fit wraps).
        scaled_sum: how output 0 comes about where it is such a sum.
    """

    roles: tuple[Role, ...]
    weight_axis: int | None = None
    per_channel: bool = True
    ties: tuple[tuple[int, ...], ...] = ()
    output: Mapping[str, QuantParams] | None = None
    outputs: Role = Role.ACTIVATION
    products: tuple[tuple[int, int, int | None], ...] = ()
    powers: tuple[int, ...] = ()
    centred: tuple[int, ...] = ()
    scaled_sum: ScaledSum | None = None

    def product(self, operand: int) -> tuple[int, int, int | None]:
        """The sum that weights or a bias belong to: its activation, weights and bias."""
        for product in self.products:
            if operand in product[1:]:
                return product
        bias = self.roles.index(Role.BIAS) if Role.BIAS in self.roles else None
        return 0, self.roles.index(Role.WEIGHT), bias


@dataclass(frozen=True)
class AxisRef:
    """Where a coupled channel lies on one axis of one operand.

    Channel c of the coupling occupies, on `axis` of `operand`, the positions
    `offset + c * repeat + r + k * period` for r < repeat and k < tiles.

    Args:
        operand: input 0, 1, ... or output -1, -2, ...
        axis: axis of that operand.
        offset: first position (concatenation).
        repeat: consecutive positions per channel (depth multiplier).
        period: distance between repetitions of the whole channel list (flatten over H x W).
        tiles: number of those repetitions.
    """

    operand: int
    axis: int
    offset: int = 0
    repeat: int = 1
    period: int = 0
    tiles: int = 1

    def positions(self, channel: int) -> list[int]:
        """The positions that `channel` occupies."""
        first = self.offset + channel * self.repeat
        return [first + r + k * self.period for k in range(self.tiles) for r in range(self.repeat)]


@dataclass(frozen=True)
class Coupling:
    """Axes that shrink together: removing channel c removes its positions from every member.

    Args:
        size: number of channels.
        members: where the channels lie. Weights that are named twice make channels along the first
            axis and read them along the second (a hidden state's).
        source: whether the node *makes* these channels (a convolution's outputs), so that each
            can be removed on its own; otherwise they only pass through or are consumed.
    """

    size: int
    members: tuple[AxisRef, ...]
    source: bool = False


@dataclass(frozen=True)
class TfliteNode:
    """One operator of a `.tflite` file as `tflite_read` sees it.

    Args:
        options: fields of the builtin options table, enums by their schema names
            (`{"padding": "SAME", "fused_activation_function": "RELU6", ...}`), defaults filled in.
        types: operand types, None for an operand left out (-1 in the file).
        constants: arrays of constant operands, None otherwise.
        outputs: result types.
    """

    options: Mapping[str, Any]
    types: Types
    constants: tuple[Array | None, ...]
    outputs: tuple[TensorType, ...]

    def constant(self, operand: int, what: str) -> Array:
        """The array of an operand that must be constant.

        Raises:
            UnsupportedModelError: if it is computed at run time.
        """
        data = self.constants[operand] if operand < len(self.constants) else None
        if data is None:
            raise UnsupportedModelError(
                f"operand {operand} ({what}) is computed at run time",
                hint=f"make {what} a constant when exporting the model",
            )
        return data

    def axis(self, operand: int, *, of: int = 0, more: int = 0) -> int:
        """The axis that a constant operand names, counted from 0.

        Args:
            operand: the operand that holds it, a single number.
            of: the operand that has the axis.
            more: axes that the result has more than it, which count too.

        Raises:
            UnsupportedModelError: if it is computed at run time.
            ValueError: if it is not one number.
        """
        (axis,) = self.constant(operand, "the axis").ravel().tolist()
        x = self.types[of]
        assert x is not None
        return int(axis) + x.rank + more if axis < 0 else int(axis)


@dataclass(frozen=True)
class TfliteOp:
    """One operator as `tflite_write` wants it in the file.

    Args:
        options: the builtin options table's name, such as "Conv2DOptions"; "" for none.
        fields: its fields, enums by their schema names.
        operands: for each operand in the file, the index of the IR operand, an array that becomes
            a constant tensor (attributes that the file keeps as tensors), or None (left out). An
            IR operand that is left out at the end is not in the file's list at all.
        intermediates: types of what the operator computes on its way, where a runtime asks for
            their scales.
    """

    options: str
    fields: Mapping[str, Any]
    operands: tuple[int | Array | None, ...]
    intermediates: tuple[TensorType, ...] = ()


class Op:
    """Base of every operator; subclasses are frozen dataclasses. See the module docstring."""

    name: ClassVar[str]
    kernels: ClassVar[tuple[Kernel, ...]]
    scale_operand: ClassVar[int | None] = None  # what multiplies each channel by a number, if any
    states: ClassVar[Mapping[int, int]] = {}
    """Operands that hold what the operator remembers, each with the output that it becomes.

    In a `.tflite` file such an operand is a variable tensor, and those outputs are not there.
    A kernel must accept that both are the same memory.
    """

    # Whether int16 tensors may have a zero point other than 0.
    any_zero_point: ClassVar[bool] = False

    # Element types of operand 0 that TensorFlow Lite Micro and LiteRT's reference kernels take;
    # None: all that the operator itself takes.
    tflm_dtypes: ClassVar[tuple[str, ...] | None] = None
    litert_dtypes: ClassVar[tuple[str, ...] | None] = None

    shifts: ClassVar[bool] = True
    """Whether a file's uint8 elements may be taken for int8 ones that are 128 lower.

    Runtimes compute the same of both then. Operators whose uint8 kernels do something else take
    uint8 as it is, or not at all.
    """

    weight_zero_points: ClassVar[bool] = False
    """Whether int8 weights may have a zero point: those of uint8 models do."""

    def infer(self, *types: TensorType | None) -> tuple[TensorType, ...]:
        """Output shapes and dtypes (quantization is set by whoever makes the node).

        Raises:
            ValueError: saying which operand does not fit and how.
        """
        raise NotImplementedError

    def float_ref(self, *arrays: Array | None) -> tuple[Array, ...]:
        """Float meaning, float32 in and out. Axis 0 may be any multiple n of the typed batch."""
        raise NotImplementedError

    def int_ref(
        self, types: NodeTypes, *arrays: Array | None, rounding: str = "double"
    ) -> tuple[Array, ...]:
        """Integer meaning, bit-exact with TFLM. Axis 0 may be widened as in `float_ref`."""
        raise NotImplementedError

    def quant_rule(self, *types: TensorType | None) -> QuantRule:
        """Which operands share scales, where the channel axis is, what the output must be."""
        raise NotImplementedError

    def torch_lower(self, *tensors: Any, training: bool = False) -> Any:
        """Float meaning on torch tensors, channels last, differentiable: one tensor, or a tuple.

        Axis 0 may be widened as in `float_ref`. With `training`, statistics are the batch's.
        """
        raise NotImplementedError

    def trained(self, *types: TensorType | None) -> tuple[int, ...]:
        """Operands that training adjusts where they are float constants: no indices, no states.

        A constant of one element is part of a formula (an epsilon, a sixth), not a parameter.
        """
        roles = self.quant_rule(*types).roles
        return tuple(
            i
            for i, (role, type) in enumerate(zip(roles, types, strict=False))
            if role is not Role.INDEX
            and i not in self.states
            and type is not None
            and type.size > 1
        )

    @classmethod
    def tflite_read(cls, node: TfliteNode) -> tuple[Op, tuple[int | None, ...]]:
        """The operator and, for each IR operand, its index among the file's operands."""
        raise NotImplementedError

    def tflite_write(self, types: NodeTypes) -> TfliteOp:
        """Options and operands for the file."""
        raise NotImplementedError

    def tflite_version(self, types: NodeTypes) -> int:
        """The operator version that the runtime needs for these types."""
        raise NotImplementedError

    def axes(self, *types: TensorType | None) -> tuple[Coupling, ...]:
        """Axes that shrink together when channels are removed; () if nothing may shrink."""
        raise NotImplementedError

    def macs(self, *types: TensorType | None) -> int:
        """Multiply-accumulates of one inference, batch 1."""
        raise NotImplementedError

    @classmethod
    def samples(cls) -> SearchStrategy[Sample]:
        """Valid attributes, types, quantization and constants, for the test matrix."""
        raise NotImplementedError

    # -- shared behaviour, not concerns -------------------------------------------------------

    def link(self) -> str:
        """The link function that the operator is: "softmax", "sigmoid", or "" for none.

        Losses of networks that end in one are computed on its operand, which is sound in floats.
        """
        return ""

    @classmethod
    def runs_on(cls, runtime: str, *types: TensorType | None) -> bool:
        """Whether a foreign runtime, "tflm" or "litert_ref", has a kernel for these operands.

        Without operands: whether it has the operator at all.
        """
        taken = cls.tflm_dtypes if runtime == "tflm" else cls.litert_dtypes
        if taken is None or not types or types[0] is None:
            return taken != ()
        return types[0].dtype in taken

    def batchable(self, *types: TensorType | None) -> bool:
        """Whether axis 0 of the operands may be widened to run many samples at once."""
        return True

    def rows(self, *types: TensorType | None) -> Mapping[int, RowWindow]:
        """Which rows of each operand make a row of the output, all of them images (1, h, w, c).

        Operands not named are constants that every row uses. Empty where a row depends on more,
        or where that is not known: then the operator runs on whole images only.
        """
        return {}

    def value_range(self, types: NodeTypes, *ranges: Range | None) -> tuple[Range, ...]:
        """Bounds of every output element, given bounds of every operand element.

        A constant operand's two bounds are one array. The bounds must hold for whichever
        rounding a runtime uses, and two equal bounds must mean that each runtime computes that
        very number. The answer that is always sound is that nothing is known.

        Returns:
            For each output, arrays (low, high) of its shape and dtype.
        """
        return tuple(unknown(type) for type in types.outputs)

    def contribution(self, types: NodeTypes, *ranges: Range | None) -> Range | None:
        """Bounds of the sums of products that make the outputs, before the bias is added.

        None unless the operator sums products of operand 0 and constant weights (operand 1) and
        then adds a bias. Operands may be given cut down to some channels of one coupling that has
        no output among its members: then it is what those channels alone contribute.

        Returns:
            Arrays (low, high) of the output's shape: int64, or float64 for a float operator.
        """
        return None

    def inside(self, *arrays: Array | None) -> Mapping[int, Array]:
        """What outputs are on their way, in float32: more values that their scale must hold.

        For an operator that goes through several steps and returns what it has after the last.

        Returns:
            Arrays (n, ...) by output, for operands as in `float_ref`.
        """
        return {}

    def permuted(self, order: Order, *types: TensorType | None) -> Permuted | None:
        """The same operator when the axes of what it works on are in another order.

        Args:
            order: of the axes of operand 0, or of result 0 if that has more axes.
            types: of the operands, in the order that they have now.

        Returns:
            The operator for that order with the orders that its operands and results then have,
            or None if it cannot be had. The answer that is always right is None.
        """
        return None

    def refit(self, inputs: Types, outputs: tuple[TensorType, ...]) -> Op:
        """The same operator after some of its coupled channels were removed (see `axes`).

        Only operators whose attributes repeat a shape need to say anything.
        """
        return self

    def check_quant(self, inputs: Types, outputs: tuple[TensorType, ...]) -> None:
        """Raise ValueError when a quantized node breaks its own `quant_rule`."""
        rule = self.quant_rule(*inputs)
        integer = ("int8", "uint8", "int16", "int4")
        for i, (role, type) in enumerate(zip(rule.roles, inputs, strict=False)):
            if type is None or type.dtype not in integer or role is Role.INDEX:
                continue
            if type.quant is None:
                raise ValueError(f"operand {i} is {type.dtype} without a scale")
            if role is Role.ACTIVATION and type.quant.axis is not None:
                raise ValueError(f"operand {i} is an activation with per-channel scales")
            bytes_only = {t.dtype for t in inputs[:2] if t is not None} == {"int8"}
            free = self.weight_zero_points and bytes_only and type.quant.axis is None
            if role is Role.WEIGHT and any(type.quant.zero_points) and not free:
                raise ValueError(f"operand {i} is a weight with a zero point other than 0")
            if type.dtype == "int16" and any(type.quant.zero_points) and not self.any_zero_point:
                raise ValueError(f"operand {i} is int16 with a zero point other than 0")
        for i, type in enumerate(outputs):
            if rule.outputs is Role.ACTIVATION and type.dtype in integer:
                if type.quant is None or type.quant.axis is not None:
                    raise ValueError(f"output {i} is {type.dtype} without a per-tensor scale")
                if type.dtype == "int16" and type.quant.zero_point and not self.any_zero_point:
                    raise ValueError(f"output {i} is int16 with a zero point other than 0")
                want = (rule.output or {}).get(type.dtype)
                if want is not None and i == 0 and type.quant != want:
                    raise ValueError(f"output must have {want}, not {type.quant}")
        for tie in rule.ties:
            members = [(outputs[~i] if i < 0 else inputs[i]) for i in tie]
            quants = {t.quant for t in members if t is not None and t.dtype in integer}
            if len(quants) > 1:
                where = ", ".join(f"output {~i}" if i < 0 else f"operand {i}" for i in tie)
                raise ValueError(f"{where} must share one scale and zero point")
