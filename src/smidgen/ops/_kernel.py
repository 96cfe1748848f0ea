"""What an operator tells the C back end: which kernels can compute it, and what they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.ir import QuantParams, TensorType

if TYPE_CHECKING:
    from smidgen.ops._op import Op
    from smidgen.ops._sample import Sample

# A field of a kernel's parameter struct: a number becomes a literal, an array a constant table
# (the field is a pointer to it; equal tables are stored once), None a null pointer.
Param = int | float | np.ndarray[Any, Any] | None


@dataclass(frozen=True)
class Site:
    """One node at the moment it is compiled: everything known about it.

    Args:
        op: the operator with its attributes.
        inputs: operand types, None for one left out.
        outputs: result types.
        constants: arrays of constant operands, None otherwise.
        features: what the core can do, such as {"dsp"} or {"mve"}; empty for plain C, {"host"}
            for machines whose compilers vectorize loops.
        rounding: "double" (as TFLM) or "single".
        optimize: what to prefer, "speed", "balanced" or "flash".
        pad_top: rows of padding above the images, where they are some rows of larger ones and the
            operator's own padding does not tell (see `Window.on`).
        lean: take less scratch than is good for speed, where the kernel can.
    """

    op: Op
    inputs: tuple[TensorType | None, ...]
    outputs: tuple[TensorType, ...]
    constants: tuple[np.ndarray[Any, Any] | None, ...]
    features: frozenset[str] = field(default_factory=frozenset)
    rounding: str = "double"
    optimize: str = "balanced"
    pad_top: int | None = None
    lean: bool = False

    def input(self, i: int) -> TensorType:
        """Type of operand `i`, which must be present."""
        type = self.inputs[i]
        assert type is not None, f"operand {i} of {self.op.name} is missing"
        return type

    @property
    def output(self) -> TensorType:
        """Type of the first output."""
        return self.outputs[0]

    def quant(self, i: int) -> QuantParams:
        """Quantization of input `i`, or of output `~i` for negative i."""
        type = self.outputs[~i] if i < 0 else self.input(i)
        assert type.quant is not None, f"operand {i} of {self.op.name} has no scale"
        return type.quant

    def constant(self, i: int) -> np.ndarray[Any, Any]:
        """The array of constant operand `i`."""
        data = self.constants[i]
        assert data is not None, f"operand {i} of {self.op.name} is not constant"
        return data

    @property
    def dtype(self) -> str:
        """Element type of the first operand."""
        return self.input(0).dtype


def _no_scratch(site: Site) -> int:
    return 0


def _no_overlap(site: Site) -> Mapping[int, int]:
    return {}


def _overhead(site: Site) -> float:
    return 150


def _not_in_place(site: Site) -> int | None:
    return None


@dataclass(frozen=True)
class Kernel:
    """One C function that can compute an operator; the first whose guard holds is taken.

    With optimize "speed" a later one is taken if it is estimated to be faster, which needs `work`.

    The generated call is `symbol(&params, in0, in1, ..., out0, ..., scratch)`: a pointer to a
    constant parameter struct, the operands named by `arguments`, the outputs, and the scratch
    buffer if `scratch` was given.

    Args:
        symbol: the C function, `sm_<op>_<dtype>[_<variant>]`.
        source: its header in `kernels/`, which defines `<struct>` too.
        guard: returns None if the kernel can compute this site, otherwise why not.
        params: the struct's fields by name, in the order of the struct.
        arguments: operands passed as pointers; None means every operand that is not constant.
        struct: the struct's name; `<symbol>_params` unless given.
        scratch: bytes of scratch the call needs; None when the function takes no scratch.
        overlap: safe overlap, for each input operand that the (single) output may overwrite while
            it is read: *lead* bytes, meaning that the output may start `lead` bytes or more below
            that operand's first byte. 0 allows computing in place. Operands not named must not
            overlap the output.
        in_place: the operand that the output may replace in exactly its place, though no other
            overlap is safe; None where there is none. They have the same number of bytes.
        alias: the output is the operand's own bytes: no call is made (RESHAPE).
        gather: all operands, constant ones too, are passed together as one array
            `const void *const inputs[]`, for operators that take any number (CONCATENATION).
        scatter: all outputs are passed together as one array `void *const outputs[]`, for
            operators that make any number (SPLIT).
        overhead: estimated cycles that a call takes however few rows it computes. What runs by rows
            pays them for each call.
        work: how often the call does each of the things that take its time, by name, such as
            {"call": 1, "step": 1000}. What one of each costs is measured by `smidgen calibrate`.
        probes: layers that are measured for it; their work must differ in more than its size.
    """

    symbol: str
    source: str
    guard: Callable[[Site], str | None]
    params: Callable[[Site], Mapping[str, Param]]
    arguments: tuple[int, ...] | None = None
    struct: str = ""
    scratch: Callable[[Site], int] | None = None
    overlap: Callable[[Site], Mapping[int, int]] = _no_overlap
    in_place: Callable[[Site], int | None] = _not_in_place
    alias: bool = False
    gather: bool = False
    scatter: bool = False
    overhead: Callable[[Site], float] = _overhead
    work: Callable[[Site], Mapping[str, float]] | None = None
    probes: Callable[[], Iterable[Sample]] | None = None

    @property
    def struct_name(self) -> str:
        """The name of the parameter struct."""
        return self.struct or f"{self.symbol}_params"

    def scratch_bytes(self, site: Site) -> int:
        """Bytes of scratch for this site, 0 when the kernel takes none."""
        return 0 if self.scratch is None else self.scratch(site)

    def flash(self, site: Site) -> int:
        """Bytes of the constant tables of this site."""
        return sum(v.nbytes for v in self.params(site).values() if isinstance(v, np.ndarray))
