"""The report's page: a record drawn into the template, in one file without outside parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smidgen.errors import ToolMissingError
from smidgen.files import replace_file
from smidgen.report import drawing
from smidgen.report.network import network
from smidgen.report.waterfall import waterfall

_TEMPLATE = Path(__file__).with_name("template.html")
_MANY = 40  # weight tensors and layers beyond this are not drawn one by one


def write_report(record: dict[str, Any], path: str | Path) -> Path:
    """Draw a record as one self-contained HTML file, written whole or not at all.

    Args:
        record: from `build_record` or `read_record`.
        path: the file to write.

    Returns:
        The path.

    Raises:
        ToolMissingError: if jinja2 is not installed.
    """
    path = Path(path)
    replace_file(path, render(record).encode())
    return path


def render(record: dict[str, Any]) -> str:
    """The page's HTML."""
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise ToolMissingError("jinja2", extra="report", purpose="the report") from None
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["bytes"] = lambda n: f"{n:,} B"
    environment.filters["count"] = lambda n: "–" if n is None else f"{n:,}"
    environment.filters["number"] = _number
    environment.filters["percent"] = lambda v: f"{v:.1%}"
    environment.filters["duration"] = _duration
    environment.filters["two"] = lambda v: "–" if v is None else f"{v:.2f}"
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    drawings = {name: Markup(text) for name, text in _drawings(record).items()}
    weights = [
        {**entry, "drawing": Markup(drawing.histogram(entry))}
        for entry in record["weights"][:_MANY]
    ]
    panels = [
        {"title": title, "drawing": Markup(text)} for title, text in waterfall(record["stages"])
    ]
    limits = {limit["what"]: limit for limit in record["limits"]}

    def share(what: str) -> str:
        return f"{limits[what]['reached'] / max(limits[what]['allowed'], 1):.1%} of what is allowed"

    return template.render(
        r=record, draw=drawings, weights=weights, panels=panels, score=_score, share=share
    )


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _duration(seconds: float) -> str:
    """Seconds as a person says them, such as "1 h 02 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _score(score: dict[str, Any] | None) -> str:
    if score is None:
        return "not measured"
    if score["metric"] == "accuracy":
        return f"{score['value']:.2%}"
    return f"{score['value']:.4g}"


def _drawings(record: dict[str, Any]) -> dict[str, str]:
    firmware, layers = record["firmware"], record["layers"]
    limits = {limit["what"]: limit for limit in record["limits"]}
    rest = firmware["ram_bytes"] - firmware["arena_bytes"] - firmware["stack_bytes"]
    ram = [
        ("tensor arena", firmware["arena_bytes"]),
        ("stack", firmware["stack_bytes"]),
        ("other static data", rest),
    ]
    flash = [("code", firmware["code_bytes"]), ("constants", firmware["constant_bytes"])]
    heavy = sorted(layers, key=lambda x: -x["constant_bytes"])[:_MANY]
    steps = list(zip(record["arena"]["steps"], record["arena"]["in_use"], strict=True))
    best = record["cycles_per_mac_limit"]
    return {
        "network": network(record["graph"]),
        "compare": drawing.bars(
            _compared(record), label="after, in percent of before", unit=" %", top=100
        ),
        "flash": drawing.budget(flash, int(limits["flash"]["allowed"]), label="flash"),
        "ram": drawing.budget(ram, int(limits["ram"]["allowed"]), label="RAM"),
        "arena": drawing.arena(record["arena"]),
        "constants": drawing.bars(
            [
                *((x["layer"], x["constant_bytes"]) for x in heavy if x["constant_bytes"]),
                ("code, shared by all layers", firmware["code_bytes"]),
            ],
            label="flash by layer",
            unit=" B",
        ),
        "in_use": drawing.bars(
            [(f"{i}  {layer}", size) for i, (layer, size) in enumerate(steps)],
            label="bytes of the arena in use at each step",
            unit=" B",
            top=record["arena"]["bytes"],
            css="c",
        ),
        "instructions": drawing.bars(
            [(x["layer"], x["instructions"]) for x in layers if x["instructions"]],
            label="instructions by layer",
            css="b",
        ),
        "cycles": drawing.bars(
            [
                (x["layer"], x["cycles_per_mac_estimated"])
                for x in layers
                if x["cycles_per_mac_estimated"] is not None
            ],
            label="estimated cycles per multiply-accumulate",
            digits=2,
            mark=None if best is None else (best, f"{best:g} at best"),
            css="d",
        ),
        "errors": drawing.bars(
            [(e["layer"], e["own_snr_db"]) for e in record["errors"][:_MANY]],
            label="signal to noise by layer",
            unit=" dB",
            digits=1,
            css="c",
        ),
    }


def _compared(record: dict[str, Any]) -> list[tuple[str, float]]:
    """What is left of each figure, in percent of what it was."""
    before, after = record["source"], record["result"]
    pairs = [
        ("file", before["file_bytes"], after["file_bytes"]),
        ("weights and biases", before["constant_bytes"], after["constant_bytes"]),
        ("activations", before["activation_bytes"], record["firmware"]["arena_bytes"]),
        ("multiply-accumulates", before["macs"], after["macs"]),
    ]
    return [(name, 100 * new / old) for name, old, new in pairs if old]
