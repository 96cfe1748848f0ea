"""Fold the bands of a stream into loops: the same calls again, at addresses that move on evenly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smidgen.backends.c.stream import Band

_LONGEST = 256  # bands in the body of a loop


@dataclass(frozen=True)
class Loop:
    """Bands that run `count` times.

    Args:
        count: how many times.
        bands: those of the first time.
        strides: for each band, bytes by which each operand's address and the output's move on.
    """

    count: int
    bands: tuple[Band, ...]
    strides: tuple[tuple[int, ...], ...]


def fold(bands: Sequence[Band]) -> list[Band | Loop]:
    """The same bands in the same order, in as few loops as save the most calls.

    The loop that saves most is taken first, then those before and behind it.
    """
    best = _best(bands)
    if best is None:
        return list(bands)
    start, period, count = best
    body = tuple(bands[start : start + period])
    again = bands[start + period : start + 2 * period]
    strides = tuple(_stride(a, b) for a, b in zip(body, again, strict=True))
    rest = start + period * count
    return [*fold(bands[:start]), Loop(count, body, strides), *fold(bands[rest:])]


def _best(bands: Sequence[Band]) -> tuple[int, int, int] | None:
    """(first band, period, count) of the loop that saves most calls, or None."""
    kinds = {key: number for number, key in enumerate(dict.fromkeys(map(_kind, bands)))}
    kind = [kinds[_kind(band)] for band in bands]
    saved = 0
    best: tuple[int, int, int] | None = None
    for period in range(1, min(_LONGEST, len(bands) // 2) + 1):
        start = 0
        strides: dict[int, tuple[int, ...]] = {}
        for i in range(len(bands) - period):
            stride = _stride(bands[i], bands[i + period]) if kind[i] == kind[i + period] else None
            if stride is None:
                start = i + 1
            else:
                # The address must move on as it did one period before.
                if i - period >= start and strides[i - period] != stride:
                    start = i - period + 1
                strides[i] = stride
            count = (i + 1 - start) // period + 1
            if (count - 1) * period > saved:
                saved, best = (count - 1) * period, (start, period, count)
    return best


def _kind(band: Band) -> tuple[object, ...]:
    return (band.step, band.shape, band.move)


def _stride(band: Band, later: Band) -> tuple[int, ...]:
    pairs = zip(band.operands, later.operands, strict=True)
    return (*(b - a for (_, a), (_, b) in pairs), later.output - band.output)
