"""Write finished runs as one self-contained HTML page, and the same facts as JSON."""

from kaggle_digits.report.page import Written, require_target, write_report

__all__ = ["Written", "require_target", "write_report"]
