"""One HTML file that shows a model: graph, layers, precision, events, firmware, comparison."""

from sparse_qonnx.report.page import write_report

__all__ = ["write_report"]
