"""Our operators inside an hls4ml project: `[hls4ml]`.

>>> import hls4ml
>>> from sparse_qonnx import hls4ml_bridge
>>> hls4ml_bridge.register()
>>> model = hls4ml_bridge.prepare("model.onnx")
>>> config = hls4ml_bridge.make_config(model)
>>> project = hls4ml.converters.convert_from_onnx_model(model, hls_config=config, output_dir="hls4ml_project")
>>> project.compile()
"""

from __future__ import annotations

from sparse_qonnx.hls4ml_bridge.prepare import make_config, prepare
from sparse_qonnx.hls4ml_bridge.register import register

__all__ = ["make_config", "prepare", "register"]
