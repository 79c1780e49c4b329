"""Keras layers without a handler, behind the sparse part: their floating-point graph is taken from tf2onnx."""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Iterator
from typing import Any

import onnx
from onnx import GraphProto, ModelProto, NodeProto, helper

from sparse_qonnx.errors import ToolError
from sparse_qonnx.export.call import SPARSE_LAYERS, LayerCall
from sparse_qonnx.export.values import DenseValue, MaskValue
from sparse_qonnx.graph import OPSET

TF2ONNX_OPSET = 18
"""Newest opset tf2onnx writes; onnx's own converter does the rest."""

_QUANTIZED = ("hgq.", "sparsepixels.", "quantizers.")


def convert(call: LayerCall) -> tuple[DenseValue, ...]:
    """The layer as standard ONNX nodes computing in float32; its constants are `Constant` nodes, on no grid.

    Raises:
        UnsupportedLayerError: on sparse feature maps, for layers of HGQ2 and sparsepixels, and where tf2onnx gives up.
        ToolError: tf2onnx is not installed.
    """
    inputs = [value for value in call.inputs if isinstance(value, DenseValue)]
    module = type(call.layer).__module__
    sparse = [value for value in call.inputs if not isinstance(value, DenseValue)]
    if sparse:
        name = sparse[0].coords.root if isinstance(sparse[0], MaskValue) else sparse[0].name
        call.refuse(
            f"has no exact counterpart on the sparse feature map {name!r}",
            allowed=SPARSE_LAYERS,
            fix=call.sparse_hint(),
        )
    if not inputs or module.startswith(_QUANTIZED):
        call.refuse(
            "has no exact counterpart in ONNX",
            allowed="QDense, QEinsumDense, QConv2D, QBatchNormalization, QSoftmax, QUnaryFunctionLUT, merges, poolings",
            fix="build it from those, or use Keras's own layer of that kind in floating point",
        )
    if call.kwargs.get("training"):
        call.refuse("is called with training=True", allowed="training=None", fix="remove the argument")
    return _append(call, inputs, _standard(call, inputs))


def _standard(call: LayerCall, inputs: list[DenseValue]) -> ModelProto:
    """The layer alone as a model with inputs `in_0`, `in_1`, ..."""
    import keras

    if keras.backend.backend() != "tensorflow":
        call.refuse(
            f"can only be converted through TensorFlow, but Keras runs on {keras.backend.backend()}",
            allowed="layers with a handler, or KERAS_BACKEND=tensorflow",
            fix="set KERAS_BACKEND=tensorflow for the export",
        )
    try:
        import tensorflow
        import tf2onnx
    except ImportError as error:
        raise ToolError(
            call.where, f"needs a package that is not installed ({error})", fix="pip install tf2onnx"
        ) from error

    def compute(*tensors: Any) -> Any:
        flow = iter(tensors)
        args = keras.tree.map_structure(lambda a: next(flow) if isinstance(a, DenseValue) else a, call.args)
        return call.layer(*args, **call.kwargs)

    signature = [
        tensorflow.TensorSpec((None, *value.shape), tensorflow.float32, name=f"in_{n}")
        for n, value in enumerate(inputs)
    ]
    try:
        with _quiet():
            function = tensorflow.function(compute, input_signature=signature)
            model, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=TF2ONNX_OPSET)
            _replace_erfc(model.graph)
            return onnx.version_converter.convert_version(model, OPSET)
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        call.refuse(
            f"tf2onnx cannot convert it: {reason}", allowed="layers of standard ONNX operators", fix="replace the layer"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """tf2onnx reports operators it does not know on standard error, the rest on its log."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def _replace_erfc(graph: GraphProto) -> None:
    """TensorFlow's gelu uses erfc(x), which ONNX has as 1 - erf(x) only."""
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type != "Erfc":
            nodes.append(node)
            continue
        erf, one = f"{node.output[0]}_erf", f"{node.output[0]}_one"
        nodes += [
            helper.make_node("Erf", list(node.input), [erf]),
            helper.make_node("Constant", [], [one], value_float=1.0),
            helper.make_node("Sub", [one, erf], list(node.output)),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _append(call: LayerCall, inputs: list[DenseValue], model: ModelProto) -> tuple[DenseValue, ...]:
    """Copy the nodes into the graph, every name below the layer's; the results bear the layer's own name."""
    graph = call.graph
    names = {"": ""} | {source.name: value.name for source, value in zip(model.graph.input, inputs, strict=True)}
    results = [value.name for value in model.graph.output]
    wanted = dict(zip(results, (call.name if n == 0 else f"{call.name}.{n}" for n in range(len(results))), strict=True))
    for tensor in model.graph.initializer:
        own = f"{call.name}/{_uncounted(tensor.name)}"
        constant = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor))  # its name is another counted one
        (names[tensor.name],) = graph.node("Constant", [], [own], value=constant)
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            call.refuse(f"tf2onnx gives the operator {node.domain}.{node.op_type}", allowed="standard ONNX operators")
        attributes = {a.name: _renamed(helper.get_attribute_value(a), names) for a in node.attribute}
        outputs = [wanted.get(name, f"{call.name}/{_uncounted(name)}") for name in node.output]
        made = graph.node(node.op_type, [names[name] for name in node.input], outputs, **attributes)
        names.update(zip(node.output, made, strict=True))
    for name in results:
        if names[name] in {value.name for value in inputs}:
            (names[name],) = graph.node("Identity", [names[name]], [wanted[name]])
    shapes = call.output_shapes
    for name, shape in zip(results, shapes, strict=True):
        graph.state_shape(names[name], shape)  # tf2onnx computes some at run time
    return tuple(DenseValue(names[n], s, float_head=call.name) for n, s in zip(results, shapes, strict=True))


def _uncounted(name: str) -> str:
    """A name without tf2onnx's numbers, which depend on what was converted before."""
    return re.sub(r"__\d+", "", name)


def _renamed(attribute: Any, names: dict[str, str]) -> Any:
    """A subgraph reads values of the graph around it, which have got new names."""
    if not isinstance(attribute, GraphProto):
        return attribute
    copy = GraphProto()
    copy.CopyFrom(attribute)
    inner = {name for node in copy.node for name in node.output} | {value.name for value in copy.input}
    visible = {old: new for old, new in names.items() if old not in inner}
    for node in copy.node:
        node.input[:] = [visible.get(name, name) for name in node.input]
        for part in node.attribute:
            if part.HasField("g"):
                part.g.CopyFrom(_renamed(part.g, visible))
    return copy
