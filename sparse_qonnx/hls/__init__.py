"""HLS projects from ONNX files: typed graph, C++, C-simulation, synthesis, reports."""

from __future__ import annotations

from sparse_qonnx.hls.project import HlsProject, OffGridWarning, to_hls

__all__ = ["HlsProject", "OffGridWarning", "to_hls"]
