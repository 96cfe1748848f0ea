"""What a squeeze measured: the source of the report, the JSON and the printed summary."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.backends.c.firmware import Firmware
from smidgen.backends.c.run import Run
from smidgen.evaluate import Score
from smidgen.facts import ModelFacts
from smidgen.ir import Graph
from smidgen.report.stage import Stage
from smidgen.transforms.quantize import LayerError
from smidgen.verify import Verification


@dataclass(frozen=True)
class Limit:
    """One thing that was asked for, and what was reached.

    Args:
        what: "flash", "ram", "latency" or "accuracy".
        allowed: bytes, milliseconds, or the lowest score.
        reached: in the same unit.
        unit: "B", "ms" or "".
    """

    what: str
    allowed: float
    reached: float
    unit: str

    @property
    def holds(self) -> bool:
        """Whether it was met."""
        return self.reached >= self.allowed if self.what == "accuracy" else (
            self.reached <= self.allowed
        )  # fmt: skip

    def __str__(self) -> str:
        if self.what == "accuracy":
            return f"accuracy {self.reached:.4g}, at least {self.allowed:.4g} wanted"
        room = self.allowed - self.reached
        what = {"ram": "RAM"}.get(self.what, self.what)
        word = "to spare" if room >= 0 else "too many" if self.unit == "B" else "too slow"
        return (
            f"{what} {_figure(self.reached)} {self.unit}, {_figure(abs(room))} {self.unit} {word}"
        )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"


@dataclass(frozen=True, eq=False)
class Squeezed:
    """Everything `squeeze` made and measured.

    `stages` are the model as it came and after each step that trained, each as the integer model
    that it becomes; the last is `model`.
    """

    source: ModelFacts
    model: Graph
    facts: ModelFacts
    firmware: Firmware
    run: Run
    before: Score | None
    after: Score | None
    verification: Verification
    errors: tuple[LayerError, ...]
    limits: tuple[Limit, ...]
    source_bytes: int | None
    tflite_bytes: int
    stages: tuple[Stage, ...]
    out: Path | None
    seconds: float

    @property
    def fits(self) -> bool:
        """Whether every limit holds and the firmware computes what TFLM does."""
        return all(limit.holds for limit in self.limits) and self.verification.ok

    @property
    def verdict(self) -> str:
        """One sentence."""
        board = self.firmware.board.title
        missed = [str(limit) for limit in self.limits if not limit.holds]
        if not self.verification.ok:
            missed.append("the firmware's outputs differ from TensorFlow Lite Micro's")
        if missed:
            return f"Does not fit {board}: {'; '.join(missed)}"
        room = [str(limit) for limit in self.limits if limit.what in ("flash", "ram")]
        return f"Fits {board}: {'; '.join(room)}"


def summary(result: Squeezed) -> dict[str, Any]:
    """The figures of a result as plain JSON values."""

    def score(value: Score | None) -> dict[str, Any] | None:
        return None if value is None else dataclasses.asdict(value)

    firmware, run = result.firmware, result.run
    return {
        "model": result.source.name,
        "board": firmware.board.name,
        "verdict": result.verdict,
        "fits": result.fits,
        "limits": [{**dataclasses.asdict(limit), "holds": limit.holds} for limit in result.limits],
        "before": score(result.before),
        "after": score(result.after),
        "source": {
            "macs": result.source.macs,
            "parameters": result.source.parameters,
            "constant_bytes": result.source.constant_bytes,
            "activation_bytes": result.source.activation_bytes,
            "file_bytes": result.source_bytes,
        },
        "result": {
            "macs": result.facts.macs,
            "parameters": result.facts.parameters,
            "constant_bytes": result.facts.constant_bytes,
            "file_bytes": result.tflite_bytes,
        },
        "firmware": {
            "flash_bytes": firmware.flash_bytes,
            "code_bytes": firmware.code_bytes,
            "constant_bytes": firmware.constant_bytes,
            "ram_bytes": firmware.ram_bytes,
            "arena_bytes": firmware.arena_bytes,
            "stack_bytes": firmware.stack_bytes,
            "instructions": run.instructions,
            "cycles_estimated": run.cycles,
            "milliseconds_estimated": (
                None if run.cycles is None else firmware.board.milliseconds(run.cycles)
            ),
            "emulator": run.on,
            "toolchain": firmware.toolchain.version,
            "optimize": firmware.optimize,
        },
        "stages": [dataclasses.asdict(stage) for stage in result.stages],
        "seconds": round(result.seconds, 2),
    }
