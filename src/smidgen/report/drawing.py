"""Small SVG drawings for the report. Colours come from the page's style sheet by class."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

WIDTH = 960


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def _svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def bars(
    rows: Sequence[tuple[str, float | None]],
    *,
    label: str,
    unit: str = "",
    digits: int = 0,
    top: float | None = None,
    css: str = "a",
) -> str:
    """Horizontal bars: a name, a bar, a figure.

    Args:
        rows: (name, value); None draws no bar.
        label: what the drawing shows, for screen readers.
        unit: after each figure.
        digits: decimals of the figures.
        top: the value of a full bar; the largest by default.
        css: class of the bars: a, b, c or d.
    """
    full = top or max((v for _, v in rows if v is not None), default=1) or 1
    left, bar, step = 330, 480, 24
    parts = []
    for i, (name, value) in enumerate(rows):
        y = i * step
        parts.append(f'<text x="{left - 10}" y="{y + 16}" class="name">{escape(_cut(name))}</text>')
        if value is None:
            continue
        width = max(1.0, bar * min(1.0, max(0.0, value) / full))
        text = f"{value:,.{digits}f}{unit}"
        parts.append(
            f'<rect x="{left}" y="{y + 4}" width="{width:.1f}" height="16" rx="3" class="{css}">'
            f"{_title(f'{name}: {text}')}</rect>"
            f'<text x="{left + width + 8:.1f}" y="{y + 16}" class="figure">{text}</text>'
        )
    return _svg(WIDTH, max(1, len(rows)) * step + 4, parts, label)


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
    parts = [f'<rect width="{limit * scale:.1f}" height="34" rx="6" class="room"/>']
    x = 0.0
    for i, (name, size) in enumerate(used):
        width = size * scale
        parts.append(
            f'<rect x="{x:.2f}" width="{max(width, 0.5):.2f}" height="34" class="s{i % 6}">'
            f"{_title(f'{name}: {size:,} bytes')}</rect>"
        )
        x += width
    if total > limit:
        mark = limit * scale
        parts.append(f'<line x1="{mark:.1f}" x2="{mark:.1f}" y1="-4" y2="40" class="limit"/>')
    return _svg(WIDTH, 36, parts, label)


def arena(record: dict[str, Any]) -> str:
    """The tensor arena over time: steps to the right, byte addresses upwards."""
    steps, size = record["steps"], max(1, record["bytes"])
    count = max(1, len(steps))
    left, top, height = 70, 10, 320
    width = (WIDTH - left - 10) / count
    parts = []
    for i in range(5):
        y = top + height - height * i / 4
        parts.append(
            f'<line x1="{left}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
            f'<text x="{left - 8}" y="{y + 4:.1f}" class="name">{size * i / 4:,.0f}</text>'
        )
    for i, buffer in enumerate(record["buffers"]):
        first, last = max(0, buffer["start"]), min(count, buffer["end"])
        x, w = left + first * width, (last - first) * width
        h = buffer["size"] / size * height
        y = top + height - buffer["offset"] / size * height - h
        text = (
            f"{buffer['name']}: {buffer['size']:,} bytes at {buffer['offset']:,}, "
            f"steps {first} to {last - 1}"
        )
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{y:.1f}" width="{max(1, w - 2):.1f}" '
            f'height="{max(1, h):.1f}" rx="2" class="s{i % 6} box">{_title(text)}</rect>'
        )
        if h > 14 and w > 60:
            parts.append(
                f'<text x="{x + 6:.1f}" y="{y + 13:.1f}" class="inside">'
                f"{escape(_cut(buffer['name'], int(w / 7)))}</text>"
            )
    for i in range(count):
        x = left + (i + 0.5) * width
        if count <= 40 or i % 5 == 0:
            parts.append(
                f'<text x="{x:.1f}" y="{top + height + 16}" class="tick">{i}'
                f"{_title(steps[i] if i < len(steps) else '')}</text>"
            )
    return _svg(WIDTH, top + height + 24, parts, "the tensor arena over time")


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
            f'<rect x="{i * step:.1f}" y="{height - h:.1f}" width="{step * 0.9:.1f}" '
            f'height="{h:.1f}" class="a"/>'
        )
    if entry.get("float"):
        top = max(1, *entry["float"])
        points = " ".join(
            f"{(i + 0.5) * step:.1f},{height - height * n / top:.1f}"
            for i, n in enumerate(entry["float"])
        )
        parts.append(f'<polyline points="{points}" class="line"/>')
    return _svg(width, height, parts, f"values of {entry['name']}")
