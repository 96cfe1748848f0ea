"""Drawings for the report: bars in HTML, which reflow on a phone, and pictures in SVG.

Colours come from the page's style sheet by class. What a mouse sees by pointing, a keyboard and a
finger see by focus; nothing needs a script.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

WIDTH = 960
_LETTER = 6.4  # width of one in a small label, about


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def _svg(width: float, height: float, parts: Sequence[str], label: str, css: str = "") -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}"'
        f' class="{css}">' + "".join(parts) + "</svg>"
    )


def bars(
    rows: Sequence[tuple[str, float | None]],
    *,
    label: str,
    unit: str = "",
    digits: int = 0,
    top: float | None = None,
    mark: tuple[float, str] | None = None,
    css: str = "a",
) -> str:
    """Horizontal bars: a name, a bar, a figure.

    Args:
        rows: (name, value); None draws no bar.
        label: what the drawing shows, for screen readers.
        unit: after each figure.
        digits: decimals of the figures.
        top: the value of a full bar; the largest by default.
        mark: a value to draw a line at in every bar, and what it is.
        css: class of the bars: a, b, c or d.
    """
    full = top or max((v for _, v in rows if v is not None), default=1) or 1
    if mark is not None:
        full = max(full, mark[0])
    parts = []
    for name, value in rows:
        text = "–" if value is None else f"{value:,.{digits}f}{unit}"
        told = escape(f"{name}: {text}" + (f" ({mark[1]})" if mark is not None else ""))
        fill = line = ""
        if value is not None:
            width = 100 * min(1.0, max(0.0, value) / full)
            fill = f'<i class="{css}" style="width:{width:.2f}%"></i>'
        if mark is not None:
            line = f'<b style="left:{100 * mark[0] / full:.2f}%"></b>'
        parts.append(
            f'<div class="bar" role="listitem" title="{told}">'
            f'<span class="of">{escape(_cut(name))}</span>'
            f'<span class="track">{fill}{line}</span><span class="figure">{text}</span></div>'
        )
    return f'<div class="bars" role="list" aria-label="{escape(label)}">{"".join(parts)}</div>'


def _cut(name: str, length: int = 44) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def budget(used: Sequence[tuple[str, int]], limit: int, *, label: str) -> str:
    """One stacked bar of what takes memory, with the limit as the full width.

    Args:
        used: (what, bytes), drawn one after another.
        limit: bytes there are.
        label: what the drawing shows.
    """
    total = sum(size for _, size in used)
    scale = WIDTH / max(limit, total, 1)
    parts = [f'<rect y="6" width="{limit * scale:.1f}" height="30" rx="6" class="room"/>']
    x = 0.0
    for i, (name, size) in enumerate(used):
        width = size * scale
        parts.append(
            f'<rect x="{x:.2f}" y="6" width="{max(width, 0.5):.2f}" height="30" class="s{i % 6}">'
            f"{_title(f'{name}: {size:,} bytes')}</rect>"
        )
        x += width
    if total > limit:
        mark = limit * scale
        parts.append(f'<line x1="{mark:.1f}" x2="{mark:.1f}" y1="0" y2="42" class="limit"/>')
    return _svg(WIDTH, 42, parts, label)


def arena(record: dict[str, Any]) -> str:
    """The tensor arena over time: steps to the right, byte addresses upwards.

    A line below says what the buffer is that the pointer or the keyboard's focus is at.
    """
    steps, size = record["steps"], max(1, record["bytes"])
    count = max(1, len(steps))
    left, top, height = 70, 10, 320
    width = (WIDTH - left - 10) / count
    bottom = top + height
    parts = []
    for i in range(5):
        y = bottom - height * i / 4
        parts.append(
            f'<line x1="{left}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" class="grid-line"/>'
            f'<text x="{left - 8}" y="{y + 4:.1f}" class="name">{size * i / 4:,.0f}</text>'
        )
    every = max(1, -(-count // 40))
    for i in range(0, count, every):
        x = left + (i + 0.5) * width
        step = _title(steps[i] if i < len(steps) else "")
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" class="tick">{i}{step}</text>')
    parts.append(f'<text x="{left}" y="{bottom + 38}" class="hint">step</text>')
    for i, buffer in enumerate(record["buffers"]):
        first, last = max(0, buffer["start"]), min(count, buffer["end"])
        x, w = left + first * width, (last - first) * width
        h = buffer["size"] / size * height
        y = bottom - buffer["offset"] / size * height - h
        text = (
            f"{buffer['name']}: {buffer['size']:,} bytes at {buffer['offset']:,}, "
            f"steps {first} to {last - 1}"
        )
        told = f"{_cut(text, 110)}, computed by {steps[first]}" if first < len(steps) else text
        label = ""
        letters = int((_free(buffer, record["buffers"], count) - first) * width / _LETTER) - 1
        if h > 14 and letters > 3:
            label = (
                f'<text x="{x + 6:.1f}" y="{y + 13:.1f}" class="inside">'
                f"{escape(_cut(buffer['name'], letters))}</text>"
            )
        parts.append(
            f'<g class="buffer" tabindex="0" role="img" aria-label="{escape(text)}">{_title(text)}'
            f'<rect x="{x + 1:.1f}" y="{y:.1f}" width="{max(1, w - 2):.1f}" '
            f'height="{max(2, h):.1f}" rx="2" class="s{i % 6} box"/>{label}'
            f'<text x="{left + 40}" y="{bottom + 38}" class="tip">{escape(told)}</text></g>'
        )
    return _svg(WIDTH, bottom + 46, parts, "the tensor arena over time", "wide")


def _free(buffer: dict[str, Any], buffers: Sequence[dict[str, Any]], count: int) -> int:
    """The step from which a later buffer covers the top of this one, where its label stands."""
    end = buffer["offset"] + buffer["size"]
    covering = [
        b["start"]
        for b in buffers
        if buffer["start"] < b["start"] < buffer["end"]
        and b["offset"] < end <= b["offset"] + b["size"]
    ]
    return int(min([*covering, buffer["end"], count]))


def histogram(entry: dict[str, Any]) -> str:
    """A weight tensor's values: integers as bars, float as a line over them."""
    width, height = 220, 90
    ints = entry["int8"]
    parts = []
    peak = max(1, *ints)
    step = width / len(ints)
    for i, n in enumerate(ints):
        h = height * n / peak
        parts.append(
            f'<rect x="{i * step:.2f}" y="{height - h:.1f}" width="{step * 0.9:.2f}" '
            f'height="{h:.1f}" class="a"/>'
        )
    if entry.get("float"):
        top = max(1, *entry["float"])
        points = " ".join(
            f"{(i + 0.5) * step:.1f},{height - height * n / top:.1f}"
            for i, n in enumerate(entry["float"])
        )
        parts.append(f'<polyline points="{points}" class="line"/>')
    low, high = entry["range"]
    parts.append(
        f'<line x1="0" x2="{width}" y1="{height}" y2="{height}" class="grid-line"/>'
        f'<text x="0" y="{height + 13}" class="end">{low}</text>'
        f'<text x="{width / 2}" y="{height + 13}" class="tick">0</text>'
        f'<text x="{width}" y="{height + 13}" class="name">{high}</text>'
    )
    return _svg(width, height + 17, parts, f"values of {entry['name']}")
