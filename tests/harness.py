"""Run one operator everywhere and compare for equality."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from sparse_qonnx._paths import find_library
from sparse_qonnx.graph import IR_VERSION, OPSET
from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.runtime import InferenceSession

Array = NDArray[Any]


def same(a: Array, b: Array) -> bool:
    """Equal type, shape and values; NaN equals NaN."""
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def single_node_model(
    op_type: str, inputs: list[Array | None], **attributes: Any
) -> tuple[ModelProto, dict[str, Array]]:
    """A model of one node of ours with its function attached, and the feeds for it."""
    op = operators()[op_type]
    names = [f"i{n}" if a is not None else "" for n, a in enumerate(inputs)]
    feeds = {name: a for name, a in zip(names, inputs, strict=True) if a is not None}
    outputs = [f"o{n}" for n in range(len(op.outputs))]
    node = helper.make_node(op_type, names, outputs, name="node", domain=DOMAIN, **attributes)
    element = helper.np_dtype_to_tensor_dtype(next(iter(feeds.values())).dtype)
    shapes = op.output_shapes([() if a is None else a.shape for a in inputs], op.read_attributes(node))
    kinds = [TensorProto.INT64 if p.is_coordinates else element for p in op.outputs]
    graph = helper.make_graph(
        [node],
        "single",
        [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for k, a in feeds.items()],
        [helper.make_tensor_value_info(n, k, s) for n, k, s in zip(outputs, kinds, shapes, strict=True)],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, functions=[op.function([node])], opset_imports=opsets, ir_version=IR_VERSION)
    return model, feeds


def run_function(op_type: str, inputs: list[Array | None], **attributes: Any) -> list[Array]:
    """The operator's function body in onnxruntime with nothing of ours registered."""
    model, feeds = single_node_model(op_type, inputs, **attributes)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    result: list[Array] = session.run(None, feeds)
    return result


def run_qonnx_node(op_type: str, inputs: list[Array | None], **attributes: Any) -> list[Array]:
    """The operator found and executed by qonnx's registry."""
    from qonnx.custom_op.registry import getCustomOp

    model, feeds = single_node_model(op_type, inputs, **attributes)
    context = dict(feeds)
    getCustomOp(model.graph.node[0]).execute_node(context, model.graph)
    return [context[name] for name in model.graph.node[0].output]


def run_native(op_type: str, inputs: list[Array | None], **attributes: Any) -> list[Array]:
    """The operator's native kernel, which onnxruntime prefers to the function body in the same model."""
    model, feeds = single_node_model(op_type, inputs, **attributes)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return InferenceSession(model, options, kernels="native").run(None, feeds)


IMPLEMENTATIONS = (run_function, run_qonnx_node, *([run_native] if find_library() else []))
KERNELS = ("function", *(["native"] if find_library() else []))
"""How a whole model is run in onnxruntime."""


def assert_same_everywhere(op_type: str, inputs: list[Array | None], **attributes: Any) -> None:
    """NumPy reference = function body = qonnx = native kernel, where it was built."""
    fixed = {k: tuple(v) if isinstance(v, list) else v for k, v in attributes.items()}
    defaults = {a.name: a.default for a in operators()[op_type].attributes if a.default is not None}
    want = operators()[op_type].compute(*inputs, **{**defaults, **fixed})
    for how in IMPLEMENTATIONS:
        got = how(op_type, inputs, **attributes)
        for n, (g, w) in enumerate(zip(got, want, strict=True)):
            assert same(g, w), f"{how.__name__}: output {n} of {op_type}{attributes} differs:\n{g}\n{w}"
