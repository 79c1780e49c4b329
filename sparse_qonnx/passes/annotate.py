"""Say what the file is: producer, versions, datatypes, a sentence a node."""

from __future__ import annotations

from onnx import ModelProto, StringStringEntryProto, TensorAnnotation

from sparse_qonnx.graph import with_metadata
from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.ops._base import scalar_datatype
from sparse_qonnx.passes.assign_float_types import float64_nodes
from sparse_qonnx.passes.infer_grids import infer_grids

PRODUCER = "sparse-qonnx"
FORMAT_VERSION = "1"


def annotate(model: ModelProto) -> ModelProto:
    """Producer and metadata, qonnx datatype annotations from the proven grids, doc strings on nodes."""
    arithmetic = "float64" if any(True for _ in float64_nodes(model)) else "float32"
    entries = [("sparse_qonnx.format", FORMAT_VERSION), ("sparse_qonnx.arithmetic", arithmetic)]
    result = with_metadata(model, entries)
    result.producer_name = PRODUCER
    result.graph.doc_string = result.graph.doc_string or (
        "Sparse quantized CNN. Operators of the domain sparse_qonnx.ops carry their definition as functions of "
        "standard ONNX, so any onnxruntime runs this file."
    )
    for node in result.graph.node:
        if node.domain == DOMAIN and not node.doc_string:
            node.doc_string = operators()[node.op_type].doc
    _annotate_datatypes(result)
    return result


def _annotate_datatypes(model: ModelProto) -> None:
    """qonnx keeps datatypes as quantization annotations under the key `finn_datatype`."""
    proof = infer_grids(model)
    made = {name for node in model.graph.node for name in node.output} | {v.name for v in model.graph.input}
    del model.graph.quantization_annotation[:]
    for name, grid in proof.grids.items():
        if grid is None or name not in made or grid.divisor != 1:
            continue
        kind = grid.type
        entry = StringStringEntryProto(
            key="finn_datatype", value=scalar_datatype(kind.signed, kind.width, kind.integer).name
        )
        annotation = TensorAnnotation(tensor_name=name)
        annotation.quant_parameter_tensor_names.append(entry)
        model.graph.quantization_annotation.append(annotation)
