"""A Graph becomes a `.tflite` file."""

from __future__ import annotations

from smidgen.backends.tflite.writer import write as write_tflite

__all__ = ["write_tflite"]
