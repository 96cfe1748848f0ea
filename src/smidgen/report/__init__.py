"""Measured numbers → one self-contained HTML file, and the JSON it is drawn from."""

from smidgen.report.page import write_report
from smidgen.report.record import build_record, read_record

__all__ = ["build_record", "read_record", "write_report"]
