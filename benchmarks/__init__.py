"""Figures that take longer than a test may: `python -m benchmarks` measures and keeps them all."""
