"""What a verification found: one row for each runtime."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

ORACLE = "TensorFlow Lite Micro"
_LONGEST_NAME = 50


@dataclass(frozen=True)
class Row:
    """How one runtime compares with the integer reference.

    Args:
        runtime: Its title.
        outcome: "reference", "agrees", "differs", "failed" (ours, and it broke) or "not run".
        must_agree: Whether a difference breaks Smidgen's promise.
        max_difference: Largest difference of any output element: units of the last place (LSB)
            for integer outputs, absolute for float ones; None if nothing was compared.
        unit: "LSB", or "" for float outputs.
        first_divergent: The first tensor, in execution order, that differs in one sample.
        divergent_layer: The node that computes it.
        tensors: How many intermediate tensors were compared.
        samples: How many inputs were run.
        seconds: Wall time of the run, loading or compiling included.
        version: Of the runtime, emulator or compiler.
        reason: Why it was not run or failed.
    """

    runtime: str
    outcome: str
    must_agree: bool
    max_difference: float | None = None
    unit: str = "LSB"
    first_divergent: str | None = None
    divergent_layer: str | None = None
    tensors: int = 0
    samples: int = 0
    seconds: float = 0.0
    version: str = ""
    reason: str | None = None

    @property
    def exact(self) -> bool:
        """Whether all outputs and all compared tensors are the reference's, bit for bit."""
        return self.outcome == "agrees" and self.max_difference == 0

    @property
    def broken(self) -> bool:
        """Whether this row breaks Smidgen's promise."""
        return self.outcome == "failed" or (self.must_agree and self.outcome == "differs")

    @property
    def status(self) -> str:
        """The outcome in a few words."""
        if self.outcome in ("not run", "failed"):
            return f"{self.outcome}: {self.reason}"
        if self.outcome == "reference":
            return "reference"
        if self.max_difference == 0:
            return "exact" if self.outcome == "agrees" else "outputs exact, tensors inside differ"
        if self.max_difference == math.inf:
            return "differs: other shapes, element types or not-a-numbers"
        size = f"{self.max_difference:.3g} {self.unit}".rstrip()
        if self.outcome == "agrees":
            return f"within {size}"
        return f"differs by up to {size}" + ("" if self.must_agree else " (it may)")


@dataclass(frozen=True)
class Verification:
    """One model on many runtimes.

    Args:
        model: The graph's name.
        samples: How many inputs were given.
        rows: One for each runtime, the reference first.
        oracle: The runtime whose arithmetic ours is promised to be.
    """

    model: str
    samples: int
    rows: tuple[Row, ...]
    oracle: str = ORACLE

    @property
    def ok(self) -> bool:
        """Whether nothing that must agree differs, and nothing of ours failed.

        A runtime that is not installed breaks nothing; see `proven`.
        """
        return not any(row.broken for row in self.rows)

    @property
    def proven(self) -> bool:
        """Whether all is well and the oracle was there to say so."""
        return self.ok and any(
            row.runtime == self.oracle and row.outcome == "agrees" for row in self.rows
        )

    @property
    def verdict(self) -> str:
        """One sentence."""
        bad = [row.runtime for row in self.rows if row.broken]
        if bad:
            return f"{self.model} does not agree on: {', '.join(bad)}"
        if not self.proven:
            return f"{self.model}: nothing differs, but {self.oracle} did not run"
        return f"{self.model} agrees with {self.oracle}"

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        rows = [
            {**dataclasses.asdict(row), "status": row.status, "exact": row.exact}
            for row in self.rows
        ]
        for facts in rows:
            if facts["max_difference"] == math.inf:  # JSON has no word for it
                facts["max_difference"] = None
        return {
            "model": self.model,
            "samples": self.samples,
            "oracle": self.oracle,
            "ok": self.ok,
            "proven": self.proven,
            "verdict": self.verdict,
            "rows": rows,
        }

    def table(self) -> Table:
        """Return the rows as a rich table."""
        from rich.markup import escape
        from rich.table import Table

        table = Table(
            title=f"{escape(self.model)}, {self.samples} samples, compared with int_ref",
            title_justify="left",
            header_style="bold",
            caption=escape(self.verdict),
            caption_justify="left",
        )
        table.add_column("runtime", no_wrap=True)
        table.add_column("result", overflow="fold")
        table.add_column("version", overflow="fold")
        table.add_column("seconds", justify="right", no_wrap=True)
        for row in self.rows:
            colour = "red" if row.broken else "green" if row.exact else "yellow"
            ran = row.outcome not in ("not run", "failed")
            result = escape(row.status)
            if row.outcome != "reference":
                result = f"[{colour}]{result}[/]"
            if row.first_divergent is not None:
                result += escape(f"\nfirst at {_short(row.first_divergent)}")
            if row.tensors:
                result += f"\n{row.samples:,} samples, {row.tensors:,} tensors inside"
            seconds = f"{row.seconds:.2f}" if ran else "–"
            table.add_row(row.runtime, result, escape(row.version or "–"), seconds)
        return table


def _short(name: str) -> str:
    # Converters join the names of all the layers they have fused.
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
