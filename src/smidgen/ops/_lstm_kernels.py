"""The kernels of UNIDIRECTIONAL_SEQUENCE_LSTM and their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.numerics.sigmoid_table import kernel_table
from smidgen.ops._kernel import Kernel, Param, Site
from smidgen.ops._lstm import BIASES, CELL, HIDDEN, RECURRENT, WEIGHTS, Factors, X
from smidgen.ops._op import NodeTypes
from smidgen.ops._pack import in_pairs, pairs_refusal

if TYPE_CHECKING:
    from smidgen.ops.unidirectional_sequence_lstm import UnidirectionalSequenceLstm

Array = np.ndarray[Any, Any]


def _guard(dtype: str) -> Callable[[Site], str | None]:
    def refusal(site: Site) -> str | None:
        if site.dtype != dtype:
            return f"x is {site.dtype}, not {dtype}"
        if any(site.constants[i] is None for i in range(WEIGHTS, HIDDEN)):
            return "weights or biases are computed at run time"
        if dtype == "float32":
            return None
        if site.rounding != "double":
            return "the kernels round as TFLM does (double rounding)"
        if dtype == "int8" and max(np.abs(sums).max() for sums in _bounds(site)) >= 2**31:
            return "sums of products leave 32 bits"
        return None

    return refusal


def _op(site: Site) -> UnidirectionalSequenceLstm:
    op: UnidirectionalSequenceLstm = site.op  # type: ignore[assignment]
    return op


def _joined(site: Site, first: int) -> Array:
    """Four constants, one for each gate, one behind the other."""
    return np.concatenate([site.constant(first + gate) for gate in range(4)])


def _sizes(site: Site) -> dict[str, Param]:
    x, units, major = site.input(X).shape, site.input(HIDDEN).shape[1], _op(site).time_major
    batch, steps, inputs = x[int(major)], x[1 - int(major)], x[2]
    return {
        "batch": batch,
        "steps": steps,
        "inputs": inputs,
        "units": units,
        "x_batch": inputs if major else steps * inputs,
        "x_step": batch * inputs if major else inputs,
        "output_batch": units if major else steps * units,
        "output_step": batch * units if major else units,
    }


def _float_params(site: Site) -> Mapping[str, Param]:
    return {
        **_sizes(site),
        "clip": float(_op(site).cell_clip),
        "bias": _joined(site, BIASES),
        "x_weights": _joined(site, WEIGHTS),
        "hidden_weights": _joined(site, RECURRENT),
    }


def folded(site: Site, operand: int) -> Array:
    """Biases of the sums of x or of the hidden state, the operand's zero point folded in, int64."""
    weights = _joined(site, WEIGHTS if operand == X else RECURRENT).astype(np.int64)
    bias = _joined(site, BIASES).astype(np.int64) if operand == X else 0
    total: Array = bias - site.quant(operand).zero_point * weights.sum(1)
    return total


def _bounds(site: Site) -> list[Array]:
    """The largest magnitudes that the int8 kernel's sums can have on their way."""
    found = []
    for operand, first in ((X, WEIGHTS), (HIDDEN, RECURRENT)):
        weights = _joined(site, first).astype(np.int64)
        found.append(np.abs(folded(site, operand)) + 128 * np.abs(weights).sum(1))
    return found


def cell_params(site: Site) -> dict[str, Param]:
    """The fields of `sm_lstm_cell`, as a member called `cell`."""
    factors = _factors(site)
    named = {"forget": factors.forget, "update": factors.update, "output": factors.output}
    fields: dict[str, Param] = {}
    for name, (multiplier, shift) in named.items():
        fields |= {f"{name}_multiplier": multiplier, f"{name}_shift": shift}
    fields["output_offset"] = site.quant(HIDDEN).zero_point
    fields["tanh_multiplier"], fields["tanh_shift"] = factors.tanh
    fields["clip"] = factors.clip
    fields["sigmoid"] = kernel_table()
    return {f"cell.{name}": value for name, value in fields.items()}


def _factors(site: Site) -> Factors:
    return Factors.of(NodeTypes(site.inputs, site.outputs), _op(site).cell_clip)


def _integer_params(site: Site) -> Mapping[str, Param]:
    factors = _factors(site)
    multiplier, shift = np.array([*factors.x, *factors.hidden]).T
    bias = "int64" if site.dtype == "int16" else "int32"
    return {
        **_sizes(site),
        **cell_params(site),
        "multiplier": multiplier.astype(np.int32),
        "shift": shift.astype(np.int8),
        "x_bias": folded(site, X).astype(bias),
        "hidden_bias": folded(site, HIDDEN).astype(bias),
        "x_weights": _joined(site, WEIGHTS),
        "hidden_weights": _joined(site, RECURRENT),
    }


def _dsp_guard(site: Site) -> str | None:
    if "dsp" not in site.features:
        return "the core has no DSP instructions"
    refusal = _guard("int8")(site)
    if refusal is not None:
        return refusal
    return next(filter(None, (pairs_refusal(_joined(site, w)) for w in (WEIGHTS, RECURRENT))), None)


def _dsp_params(site: Site) -> Mapping[str, Param]:
    fields = dict(_integer_params(site))
    fill = -site.input(HIDDEN).shape[1] % 4
    for end, first in (("x", WEIGHTS), ("hidden", RECURRENT)):
        bias = np.asarray(fields[f"{end}_bias"]).reshape(4, -1)
        fields[f"{end}_bias"] = np.pad(bias, ((0, 0), (0, fill))).ravel()
        gates = [in_pairs(site.constant(first + g).astype(np.int64)) for g in range(4)]
        fields[f"{end}_weights"] = np.concatenate(gates)
    return fields


def _scratch(item: int) -> Callable[[Site], int]:
    return lambda site: 4 * item * site.input(HIDDEN).shape[1]


KERNELS = tuple(
    Kernel(
        f"sm_lstm_{kind}",
        f"lstm_{kind}.h",
        guard=guard,
        params=params,
        arguments=(X, HIDDEN, CELL),
        scratch=_scratch(item),
    )
    for kind, guard, params, item in (
        ("int8_dsp", _dsp_guard, _dsp_params, 2),
        ("int8", _guard("int8"), _integer_params, 2),
        ("int16", _guard("int16"), _integer_params, 2),
        ("float32", _guard("float32"), _float_params, 4),
    )
)
