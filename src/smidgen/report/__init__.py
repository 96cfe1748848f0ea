"""Measured numbers → one self-contained HTML file, and the JSON it is drawn from."""

from smidgen.report.page import write_report
from smidgen.report.record import build_record, read_record
from smidgen.report.stage import Stage, measure_stage

__all__ = ["Stage", "build_record", "measure_stage", "read_record", "write_report"]
