"""A Graph becomes a `.tflite` file."""

from smidgen.backends.tflite.memory_plan import plan_for_tflm
from smidgen.backends.tflite.writer import write as write_tflite

__all__ = ["plan_for_tflm", "write_tflite"]
