"""The waterfall of a squeeze: what each step left of every cost, and of the score."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

_WIDTH, _HEIGHT, _TOP = 260, 104, 20
_BOTTOM = _TOP + _HEIGHT
_LABEL = 20  # height of one, with some air

# What a panel shows: its title, the figure of a stage, and the colour of its bars.
_COSTS = (
    ("multiply-accumulates", "macs", "a"),
    ("parameters", "parameters", "d"),
    (".tflite", "tflite_bytes", "c"),
    (".tflite, compressed", "gzip_bytes", "c"),
    ("flash", "flash_bytes", "b"),
    ("RAM", "ram_bytes", "b"),
)


def waterfall(stages: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """A panel for each figure: its title and an SVG drawing, one bar a stage.

    Costs are in percent of the first stage; a faint box is what a step took away. A score has its
    own scale, so that small steps show. Panels without figures are left out.

    Args:
        stages: as the record has them, see `smidgen.report.stage.Stage`.
    """
    panels = []
    if all(stage["score"] for stage in stages):
        metric = stages[0]["score"]["metric"]
        values = [stage["score"]["value"] for stage in stages]
        texts = [f"{100 * v:.2f}" if metric == "accuracy" else f"{v:.3g}" for v in values]
        title = f"{metric}, %" if metric == "accuracy" else metric
        panels.append((title, _trend(values, texts, title)))
    for title, name, css in _COSTS:
        values = [stage[name] for stage in stages]
        if None not in values and values[0]:
            panels.append((title, _bars([v / values[0] for v in values], title, css)))
    return panels


def _bars(parts: Sequence[float], title: str, css: str) -> str:
    full = max(parts)
    width = _WIDTH / len(parts)
    drawn = []
    for i, part in enumerate(parts):
        x, w = (i + 0.14) * width, 0.72 * width
        h = _HEIGHT * part / full
        before = _HEIGHT * parts[i - 1] / full if i else h
        if before > h:
            drawn.append(
                f'<rect x="{x:.1f}" y="{_BOTTOM - before:.1f}" width="{w:.1f}" '
                f'height="{before - h:.1f}" class="room"/>'
            )
        if i:
            drawn.append(
                f'<line x1="{x - 0.28 * width:.1f}" x2="{x + w:.1f}" y1="{_BOTTOM - before:.1f}" '
                f'y2="{_BOTTOM - before:.1f}" class="level"/>'
            )
        drawn.append(
            f'<rect x="{x:.1f}" y="{_BOTTOM - h:.1f}" width="{w:.1f}" height="{max(1, h):.1f}" '
            f'class="{css}"/>'
        )
        over = h if before - h > _LABEL else max(h, before)  # inside the box if there is room
        drawn.append(_label(x + w / 2, _BOTTOM - over - 5, f"{100 * part:.0f}", "figure"))
        drawn.append(_label(x + w / 2, _BOTTOM + 14, str(i + 1), "tick"))
    told = ", ".join(f"{i}: {100 * part:.0f} %" for i, part in enumerate(parts, 1))
    return _svg(drawn, f"{title}, in percent of stage 1: {told}")


def _trend(values: Sequence[float], texts: Sequence[str], title: str) -> str:
    low, high = min(values), max(values)
    room = (high - low) or abs(high) or 1.0
    width = _WIDTH / len(values)
    at = [
        ((i + 0.5) * width, _BOTTOM - _HEIGHT * (0.25 + 0.6 * (v - low) / room))
        for i, v in enumerate(values)
    ]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    drawn = [f'<polyline points="{points}" class="line"/>']
    for i, ((x, y), text) in enumerate(zip(at, texts, strict=True)):
        drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="b"/>')
        falls = i > 0 and values[i] < values[i - 1]
        drawn.append(_label(x, y + 18 if falls else y - 9, text, "figure halo"))
        drawn.append(_label(x, _BOTTOM + 14, str(i + 1), "tick"))
    told = ", ".join(f"{i}: {text}" for i, text in enumerate(texts, 1))
    return _svg(drawn, f"{title} by stage: {told}")


def _label(x: float, y: float, text: str, css: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}">{escape(text)}</text>'


def _svg(parts: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_BOTTOM + 18}" role="img" aria-label="{escape(label)}">'
        f'<line x1="0" x2="{_WIDTH}" y1="{_BOTTOM}" y2="{_BOTTOM}" class="grid-line"/>'
        f"{''.join(parts)}</svg>"
    )
