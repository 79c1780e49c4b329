"""A file as hls4ml's ONNX converter wants it: a number for the batch size, C names, no Casts, no heads.

Every node of ours carries what its kernel call needs as attributes, taken from the same typed graph that our own
firmware is written from: variant, parallel factors, configuration, tables, exact types. Everything else stays standard
ONNX and `Quant`, and becomes hls4ml's own layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from sparse_qonnx.errors import UnsupportedNodeError
from sparse_qonnx.files import ModelSource, read_model
from sparse_qonnx.graph import all_values, tensor_shape, with_metadata
from sparse_qonnx.grid import Grid
from sparse_qonnx.hls.balance import balance
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.emit import config_lines, table_lines
from sparse_qonnx.hls.identifiers import Namer
from sparse_qonnx.hls.lower import HEADS, lower
from sparse_qonnx.hls.typed import Layer
from sparse_qonnx.hls4ml_bridge.register import require_hls4ml
from sparse_qonnx.ops import DOMAIN, stem_to_name
from sparse_qonnx.passes.infer_grids import Proof, infer_grids, input_types, node_attributes
from sparse_qonnx.passes.input_precision import state_input_precision
from sparse_qonnx.passes.remembered import proven_once
from sparse_qonnx.passes.remove_unused import remove_unused
from sparse_qonnx.runtime import with_batch
from sparse_qonnx.uses import live

TYPES_KEY = "sparse_qonnx.hls4ml.result."
"""Prefix of the metadata properties that hold the exact type of a node's result."""


@proven_once()
def prepare(
    model: ModelSource,
    input_precision: str | Mapping[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
) -> ModelProto:
    """The file to give to `hls4ml.converters.convert_from_onnx_model`, after `register()`.

    Args:
        model: path or ModelProto.
        input_precision: fixed-point type of the inputs, as in `sparse_qonnx.export`; that of the file when None.
        config: options of our kernels (variants, parallel factors), as in `sparse_qonnx.to_hls`.

    Returns:
        A model with the same tensors, softmax and sigmoid heads left out, under names that are C identifiers.

    Raises:
        PrecisionError: an input has no stated type, or a tensor no exact one.
        UnsupportedNodeError: a node has no hardware, or hls4ml's layers cannot hold what it reads.
    """
    proto = with_batch(read_model(model), 1)
    if input_precision is not None:
        proto = state_input_precision(proto, input_precision)
    options = HlsConfig.read(config)
    proof = infer_grids(proto)
    layers = {layer.node: layer for layer in balance(lower(proto, options), options).graph.layers}
    _check_divisors(proto, proof)
    ours = [_with_call(n, layers[n.name]) if n.name in layers and _is_ours(n, proof) else n for n in proto.graph.node]
    nodes = live(_without_wires(ours, proof), _outputs(proto))
    names = _Names(proto, nodes)
    result = ModelProto()
    result.CopyFrom(proto)
    graph = result.graph
    values = all_values(proto)
    outputs = _outputs(proto)
    del graph.node[:], graph.output[:], graph.value_info[:], graph.quantization_annotation[:], result.functions[:]
    graph.node.extend(names.node(node) for node in nodes)
    graph.initializer.extend(_single(t) for t in _taken(graph.initializer))
    for value in graph.input:
        value.name = names.tensor(value.name)
    for tensor in graph.initializer:
        tensor.name = names.tensor(tensor.name)
    for name, value in values.items():
        info = helper.make_tensor_value_info(
            names.tensor(name), _as_single(value.type.tensor_type.elem_type), list(tensor_shape(value))
        )
        if name in outputs:
            graph.output.append(info)
        elif name not in {v.name for v in proto.graph.input} and name in names:
            graph.value_info.append(info)
    return with_metadata(remove_unused(result), _result_types(proof, nodes, names))


def make_config(model: ModelProto, backend: str = "Vitis", **options: Any) -> dict[str, Any]:
    """hls4ml's configuration of a prepared model: the exact type of every input and result, by layer.

    Args:
        model: what `prepare` gave.
        backend: hls4ml backend, `Vitis` or `Vivado`.
        options: of `hls4ml.utils.config_from_onnx_model`.
    """
    hls4ml = require_hls4ml()
    made: dict[str, Any] = hls4ml.utils.config_from_onnx_model(
        model, granularity="name", backend=backend, default_precision="fixed<16,6>", **options
    )
    for name, kind in input_types(model).items():
        made["LayerName"].setdefault(name, {}).setdefault("Precision", {})["result"] = str(kind)
    exact = {p.key[len(TYPES_KEY) :]: p.value for p in model.metadata_props if p.key.startswith(TYPES_KEY)}
    for node in model.graph.node:
        entry = made["LayerName"].get(node.name)
        if entry is not None and node.op_type in _KEEP_NAMES and node.name in exact:
            entry.setdefault("Precision", {})["result"] = exact[node.name]
    return made


_KEEP_NAMES = frozenset({"Relu"})
"""Operators whose layer in hls4ml has the result of the node; others are fused, and infer their own types."""


# ---- our nodes ------------------------------------------------------------------------------------------------------


_QUANT_ROUNDINGS = frozenset({"ROUND", "FLOOR"})
"""Rounding modes of `Quant` that hls4ml implements."""


def _is_ours(node: NodeProto, proof: Proof) -> bool:
    """Whether our kernel does the node: our operators, and a `Quant` of data that hls4ml cannot round."""
    if node.domain == DOMAIN:
        return True
    if node.op_type == "Quant" and any(_divisor(proof, name) != 1 for name in node.input):
        return True  # it divides
    return node.op_type == "Quant" and str(node_attributes(node)["rounding_mode"]) not in _QUANT_ROUNDINGS


def _with_call(node: NodeProto, layer: Layer) -> NodeProto:
    """The node with its kernel call; constants are in its tables, so only data is left among its inputs."""
    call = layer.call
    tables = [line for table in layer.tables for line in table_lines(table)]
    return helper.make_node(
        node.op_type if node.domain == DOMAIN else stem_to_name(call.kernel),
        [node.input[n] for n in call.inputs],
        list(node.output),
        name=node.name,
        domain=DOMAIN,
        function=call.function_name,
        config="\n".join(config_lines(layer)),
        tables="\n".join(tables),
        table_names=[table.identifier for table in layer.tables] or [""],
        types=[f"{t.cpp_type}" for t in layer.outputs],
        sizes=["x".join(str(n) for n in t.shape) for t in layer.outputs],
    )


def _check_divisors(model: ModelProto, proof: Proof) -> None:
    """Our quantizers divide numerators exactly; hls4ml's layers know of no divisor."""
    fix = "quantize it, or use sparse_qonnx.to_hls, which carries the divisor to the end"
    for node in model.graph.node:
        pending = [name for name in node.input if _divisor(proof, name) != 1]
        if pending and not _is_ours(node, proof) and not _is_wire(node, proof) and node.op_type not in HEADS:
            raise UnsupportedNodeError(
                f"node {node.name!r} ({node.op_type})",
                f"reads {pending[0]!r}, numerators still to be divided by {_divisor(proof, pending[0])}",
                allowed="quantizers there",
                fix=fix,
            )
    for name in _outputs(model):
        if _divisor(proof, name) != 1:
            problem = f"holds numerators still to be divided by {_divisor(proof, name)}"
            raise UnsupportedNodeError(f"output {name!r}", problem, allowed="a quantizer before the end", fix=fix)


def _divisor(proof: Proof, name: str) -> int:
    grid = proof.grids.get(name)
    return 1 if grid is None else grid.divisor


def _is_wire(node: NodeProto, proof: Proof) -> bool:
    """A Cast, as fixed point is exact in float32 and float64 alike, or a Div that leaves the numerators as they are."""
    return not node.domain and (
        node.op_type == "Cast" or _divisor(proof, node.output[0]) != _divisor(proof, node.input[0])
    )


# ---- the graph ------------------------------------------------------------------------------------------------------


def _outputs(model: ModelProto) -> list[str]:
    """Outputs, or what a head reads that is left out."""
    producer = {name: node for node in model.graph.node for name in node.output}
    found = []
    for value in model.graph.output:
        name = value.name
        while (node := producer.get(name)) is not None and node.op_type in (*HEADS, "Cast"):
            name = node.input[0]
        found.append(name)
    return found


def _without_wires(nodes: Iterable[NodeProto], proof: Proof) -> list[NodeProto]:
    source: dict[str, str] = {}
    kept = []
    for node in nodes:
        if _is_wire(node, proof):
            source[node.output[0]] = source.get(node.input[0], node.input[0])
            continue
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [source.get(name, name) for name in node.input]
        kept.append(copy)
    return kept


class _Names:
    """C identifiers for nodes and tensors; the first result of a node bears the node's name."""

    def __init__(self, model: ModelProto, nodes: Iterable[NodeProto]) -> None:
        self._namer = Namer(("input",))
        self._tensors = {v.name: self._namer(v.name) for v in model.graph.input}
        self._nodes: dict[str, str] = {}
        for node in nodes:
            for name in node.input:
                self._tensors.setdefault(name, "") or self._tensors.update({name: self._namer(name)})
            for name in node.output:
                if not self._tensors.get(name):
                    self._tensors[name] = self._namer(name)
            self._nodes[node.name] = self._tensors[node.output[0]]

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def tensor(self, name: str) -> str:
        """New name of a tensor; that of one that is not used any more stays."""
        return self._tensors.get(name, name)

    def node(self, node: NodeProto) -> NodeProto:
        """The node under its new names."""
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.name = self._nodes[node.name]
        copy.input[:] = [self.tensor(name) for name in node.input]
        copy.output[:] = [self.tensor(name) for name in node.output]
        return copy

    def of_node(self, node: NodeProto) -> str:
        """New name of a node."""
        return self._nodes[node.name]


def _result_types(proof: Proof, nodes: Iterable[NodeProto], names: _Names) -> list[tuple[str, str]]:
    found = []
    for node in nodes:
        grid: Grid | None = proof.grids.get(node.output[0])
        if grid is not None and grid.divisor == 1:
            found.append((TYPES_KEY + names.of_node(node), str(grid.type)))
    return found


def _as_single(kind: int) -> int:
    return TensorProto.FLOAT if kind == TensorProto.DOUBLE else kind


def _taken(tensors: Any) -> list[TensorProto]:
    found = list(tensors)
    del tensors[:]
    return found


def _single(tensor: TensorProto) -> TensorProto:
    """A constant as float32, which holds every constant of ours."""
    if tensor.data_type != TensorProto.DOUBLE:
        return tensor
    return numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
