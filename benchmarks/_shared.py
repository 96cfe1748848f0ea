"""Where the real models and data are, and how results are kept."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("SMIDGEN_SHARED", HERE.parents[1] / "shared"))
MLPERF = SHARED / "models" / "mlperf_tiny"

# The int8 reference models of MLPerf Tiny, by the names everybody uses.
MODELS = {
    "KWS": MLPERF / "kws_ref_model_int8.tflite",
    "VWW": MLPERF / "vww_96_int8.tflite",
    "IC": MLPERF / "pretrainedResnet_quant.tflite",
    "AD": MLPERF / "ad01_int8.tflite",
}


def cell(value: Any) -> str:
    """A figure as it stands in a table."""
    if isinstance(value, float):
        return f"{value:,.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(cell(v) for v in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def keep(name: str, title: str, command: str, parts: Sequence[str]) -> None:
    """Print a result and keep it as `benchmarks/<name>.md`."""
    head = f"# {title}\n\nMade by `{command}` with Python {platform.python_version()}.\n"
    text = "\n".join([head, *parts])
    print(text)
    (HERE / f"{name}.md").write_text(text, encoding="utf-8")
