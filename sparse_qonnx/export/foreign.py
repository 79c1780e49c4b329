"""Keras layers without a handler, behind the sparse part: their graph is taken from tf2onnx."""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, helper

from sparse_qonnx.errors import SparseQonnxError, ToolError, UnsupportedLayerError
from sparse_qonnx.export.call import SPARSE_LAYERS, LayerCall
from sparse_qonnx.export.handlers.shape import to_dense
from sparse_qonnx.export.values import DenseValue, MaskValue, SparseValue
from sparse_qonnx.graph import OPSET, GraphBuilder
from sparse_qonnx.grid import FLOAT64_BITS, Grid
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.passes.input_precision import state_input_precision

TF2ONNX_OPSET = 18
"""Newest opset tf2onnx writes; onnx's own converter does the rest."""

_FUNCTIONS = "keras.src.ops."
_QUANTIZED = ("hgq.", "sparsepixels.", "quantizers.")


def convert(call: LayerCall, *given: DenseValue) -> tuple[DenseValue, ...]:
    """The layer as tf2onnx has it: on the grid where the proof sees it, in floating point elsewhere.

    Args:
        call: the layer's call.
        given: its inputs, where something is to be read in place of what the call has.

    Raises:
        UnsupportedLayerError: on sparse feature maps, for layers of HGQ2 and sparsepixels, and where tf2onnx gives up.
        ToolError: tf2onnx is not installed.
    """
    inputs = list(given) or _inputs(call)
    if not inputs or type(call.layer).__module__.startswith(_QUANTIZED):
        call.refuse(
            "has no exact counterpart in ONNX",
            allowed="QDense, QEinsumDense, QConv2D, QBatchNormalization, QSoftmax, QUnaryFunctionLUT, merges, poolings",
            fix="build it from those, or use Keras's own layer of that kind in floating point",
        )
    if call.kwargs.get("training"):
        call.refuse("is called with training=True", allowed="training=None", fix="remove the argument")
    model = _standard(call, inputs)
    is_exact = not any(value.float_head for value in inputs) and _stays_on_grids(model, [v.shape for v in inputs])
    names = _append(call.graph, call.name, model, [value.name for value in inputs], is_exact, call.output_shapes)
    head = "" if is_exact else call.name
    return tuple(DenseValue(n, s, float_head=head) for n, s in zip(names, call.output_shapes, strict=True))


def _inputs(call: LayerCall) -> list[DenseValue]:
    """The inputs as dense tensors: functions of `keras.ops` read a sparse feature map as the image that it is."""
    sparse = [value for value in call.inputs if not isinstance(value, DenseValue)]
    if sparse and not type(call.layer).__module__.startswith(_FUNCTIONS):
        name = sparse[0].coords.root if isinstance(sparse[0], MaskValue) else sparse[0].name
        call.refuse(
            f"has no exact counterpart on the sparse feature map {name!r}",
            allowed=SPARSE_LAYERS,
            fix=call.sparse_hint(),
        )
    return [to_dense(call, value, f"{call.name}.dense{n}") for n, value in enumerate(call.tensors())]


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
        args, kwargs = keras.tree.map_structure(
            lambda a: next(flow) if isinstance(a, (DenseValue, SparseValue)) else a, (call.args, call.kwargs)
        )
        return call.layer(*args, **kwargs)

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


_TRIED = "ap_fixed<8,4>"
"""What is tried as inputs of a converted layer, to see whether its results stay on grids."""
CONSTANT_BITS = 16
"""Widest constants that are taken for numbers on a grid; trained weights and factors like 0.1 have 24 bits."""


def is_on_grid(values: Any) -> bool:
    """Whether constants are numbers of few bits, which float32 and float64 hold alike."""
    finite = bool(np.isfinite(values).all())
    return finite and Grid.of_constant(np.asarray(values, dtype=np.float64)).bits <= CONSTANT_BITS


def _stays_on_grids(model: ModelProto, shapes: list[tuple[int, ...]]) -> bool:
    """Whether inputs on a grid give results on a grid: what moves, compares, and adds and multiplies few bits."""
    constants = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    if not all(is_on_grid(values) for values in constants if values.dtype.kind == "f"):
        return False
    graph = GraphBuilder("tried")
    inputs = [graph.input(f"x{n}", shape) for n, shape in enumerate(shapes)]
    try:
        results = _append(graph, "tried", model, inputs, is_exact=True)
    except SparseQonnxError:
        return False
    for name in dict.fromkeys(results):
        graph.output(name)
    proof = infer_grids(state_input_precision(graph.build(), _TRIED))
    live = [proof.nodes[node.name].bits for node in graph.nodes]
    return all(proof.grids.get(name) is not None for name in results) and max(live, default=0) <= FLOAT64_BITS


def _append(
    graph: GraphBuilder,
    layer: str,
    model: ModelProto,
    inputs: Sequence[str],
    is_exact: bool,
    shapes: Sequence[tuple[int, ...]] = (),
) -> list[str]:
    """Copy the nodes into a graph, every name below the layer's; the results bear the layer's own name.

    Constants are initializers where results are exact, else `Constant` nodes: on no grid.

    Args:
        graph: the graph.
        layer: name of the layer.
        model: the converted layer.
        inputs: names of its inputs in the graph.
        is_exact: whether the proof sees it.
        shapes: shapes of the results, of one event; tf2onnx computes some at run time.

    Returns:
        The names of the results.
    """
    names = {"": ""} | {source.name: name for source, name in zip(model.graph.input, inputs, strict=True)}
    results = [value.name for value in model.graph.output]
    wanted = dict(zip(results, (layer if n == 0 else f"{layer}.{n}" for n in range(len(results))), strict=True))
    for tensor in model.graph.initializer:
        own, values = f"{layer}/{_uncounted(tensor.name)}", onnx.numpy_helper.to_array(tensor)
        if is_exact:
            names[tensor.name] = graph.constant(own, values)
        else:  # under a name without a count
            (names[tensor.name],) = graph.node("Constant", [], [own], value=onnx.numpy_helper.from_array(values))
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise UnsupportedLayerError(
                f"layer {layer!r}",
                f"tf2onnx gives the operator {node.domain}.{node.op_type}",
                allowed="standard ONNX operators",
            )
        attributes = {a.name: _renamed(helper.get_attribute_value(a), names) for a in node.attribute}
        outputs = [wanted.get(name, f"{layer}/{_uncounted(name)}") for name in node.output]
        made = graph.node(node.op_type, [names[name] for name in node.input], outputs, **attributes)
        names.update(zip(node.output, made, strict=True))
    for name in results:
        if names[name] in inputs:
            (names[name],) = graph.node("Identity", [names[name]], [wanted[name]])
    for name, shape in zip(results, shapes, strict=False):
        graph.state_shape(names[name], shape)
    return [names[name] for name in results]


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
