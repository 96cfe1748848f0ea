"""The record of a squeeze: every figure of the report as plain JSON values."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen import __version__
from smidgen.errors import DataError
from smidgen.ir import Graph
from smidgen.report.network import graph_record
from smidgen.transforms.quantize import float_layers

if TYPE_CHECKING:
    from smidgen.backends.c.arena import Arena
    from smidgen.backends.c.stream import Call
    from smidgen.report.result import Squeezed

FORMAT = 4
# A record is read back by `smidgen report`; nothing we write comes near this.
MAX_BYTES = 64 << 20


def build_record(result: Squeezed, source: Graph) -> dict[str, Any]:
    """Everything the report shows, as JSON values.

    Args:
        result: of `squeeze`.
        source: the graph before quantization, for the float weights.
    """
    from smidgen.report.result import summary
    from smidgen.transforms.quantize import prepare

    original = source if source.is_quantized else prepare(source)
    return {
        "format": FORMAT,
        "smidgen": __version__,
        **summary(result),
        "board_facts": dataclasses.asdict(result.firmware.board),
        "graph": graph_record(result.model),
        "layers": _layers(result),
        "cycles_per_mac_limit": result.firmware.board.core_info.cycles_per_mac,
        "arena": arena_record(result.firmware.arena),
        "weights": _weights(original, result.model),
        "errors": [dataclasses.asdict(e) for e in result.errors],
        "float_layers": [dataclasses.asdict(layer) for layer in float_layers(result.model)],
        "verification": result.verification.to_json(),
    }


def _layers(result: Squeezed) -> list[dict[str, Any]]:
    steps = {s.value: s for s in result.run.steps}
    snr = {e.value: e for e in result.errors}
    layers = []
    for facts in result.facts.layers:
        step = steps.get(facts.value)
        error = snr.get(facts.value)
        layers.append(
            {
                "layer": facts.label,
                "shape": list(facts.shape),
                "macs": facts.macs,
                "constant_bytes": facts.constant_bytes,
                "instructions": step.instructions if step else None,
                "cycles_estimated": step.cycles if step else None,
                "cycles_per_mac_estimated": step.cycles_per_mac if step else None,
                "snr_db": error.own_snr_db if error else None,
            }
        )
    return layers


def arena_record(arena: Arena) -> dict[str, Any]:
    """The tensor arena as boxes: buffer, byte offset, size, first and last step."""
    return {
        "bytes": arena.bytes,
        "steps": [_call_label(call) for call in arena.calls],
        "lower_bound": arena.plan.lower_bound,
        "optimal": arena.plan.optimal,
        "in_use": [_in_use(arena, step) for step in range(len(arena.calls))],
        "buffers": [
            {
                "name": b.name,
                "offset": arena.plan.offsets[b.name],
                "size": b.size,
                "start": b.start,
                "end": b.end,
            }
            for b in arena.problem.buffers
        ],
    }


def _in_use(arena: Arena, step: int) -> int:
    """Bytes of the arena that hold something during a step; what overlaps counts once."""
    offsets = arena.plan.offsets
    alive = [b for b in arena.problem.buffers if b.start <= step < b.end]
    total = end = 0
    for first, last in sorted((offsets[b.name], offsets[b.name] + b.size) for b in alive):
        total += max(0, last - max(first, end))
        end = max(end, last)
    return total


# Values of a weight, and in how many bins of equally many values they are counted.
_RANGES = {"int8": (-128, 128, 64), "int4": (-8, 8, 16)}


def _call_label(call: Call) -> str:
    first, last = call.steps[0].node.label, call.steps[-1].node.label
    return first if first == last else f"{first} to {last}, by rows"


def _weights(original: Graph, integer: Graph) -> list[dict[str, Any]]:
    """Histograms of each weight tensor, float before and integers now."""
    found = []
    for name, value in integer.values.items():
        if value.data is None or value.type.dtype not in _RANGES or value.data.size < 16:
            continue
        before = original.values.get(name)
        low, high, bins = _RANGES[value.type.dtype]
        counts = np.histogram(value.data, bins, (low, high))[0]
        entry: dict[str, Any] = {
            "name": name,
            "elements": int(value.data.size),
            "zeros": float((value.data == 0).mean()),
            "int8": counts.tolist(),
            "float": None,
            "range": [low, high - 1],
        }
        if before is not None and before.data is not None and before.data.dtype == np.float32:
            limit = float(np.abs(before.data).max()) or 1.0
            entry["float"] = np.histogram(before.data, bins, (-limit, limit))[0].tolist()
            entry["float_limit"] = limit
        found.append(entry)
    return found


def read_record(path: str | Path) -> dict[str, Any]:
    """Read a `smidgen.json`, given by its path or its folder's.

    Raises:
        DataError: if it is missing or none of ours.
    """
    path = Path(path)
    path = path / "smidgen.json" if path.is_dir() else path
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError("is too large to be a record", where=str(path))
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            "no such file", where=str(path), hint="give the folder that smidgen squeeze wrote"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"is not readable JSON ({error})", where=str(path)) from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise DataError(
            "is no record of this version of Smidgen",
            where=str(path),
            hint="run smidgen squeeze again",
        )
    return record
