"""Say what the file is: producer, versions, datatypes, a sentence a node."""

from __future__ import annotations

from onnx import ModelProto, NodeProto, StringStringEntryProto, TensorAnnotation, ValueInfoProto

import sparse_qonnx
from sparse_qonnx.graph import read_metadata, tensor_shape, with_metadata
from sparse_qonnx.numerators import as_annotations, read_numerators
from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.ops._base import scalar_datatype
from sparse_qonnx.origin import layer_entries
from sparse_qonnx.passes.assign_float_types import float64_nodes
from sparse_qonnx.passes.infer_grids import Proof, infer_grids

PRODUCER = "sparse-qonnx"
FORMAT_VERSION = "1"
SOURCE_KEY = "sparse_qonnx.source."
"""Prefix of the metadata properties that say what the model was made from."""
WEIGHTS_KEY = f"{SOURCE_KEY}weights_sha256"
"""The hash of a Keras model's weights, see `sparse_qonnx.export.source`."""


def annotate(model: ModelProto) -> ModelProto:
    """Producer and metadata, qonnx datatype annotations from the proven grids, doc strings for who opens the file."""
    arithmetic = "float64" if any(True for _ in float64_nodes(model)) else "float32"
    entries = [("sparse_qonnx.format", FORMAT_VERSION), ("sparse_qonnx.arithmetic", arithmetic), *layer_entries(model)]
    result = with_metadata(model, entries)
    result.producer_name = PRODUCER
    result.producer_version = sparse_qonnx.__version__
    proof = infer_grids(result)
    graph = result.graph
    for value in (*graph.input, *graph.output):
        value.doc_string = _describe_value(value, proof)
    result.doc_string = graph.doc_string = graph.doc_string or _describe(result, arithmetic)
    for node in graph.node:
        node.doc_string = _describe_node(node, proof)
    _annotate_datatypes(result, proof)
    return result


def _describe(model: ModelProto, arithmetic: str) -> str:
    """What a person who opens the file in a viewer should know."""
    graph = model.graph
    about = [f"Sparse quantized CNN {graph.name!r}."]
    for kind, values in (("Input", graph.input), ("Output", graph.output)):
        about += [
            f"{kind} {v.name!r} [{', '.join(str(d or '?') for d in tensor_shape(v))}]: {v.doc_string}." for v in values
        ]
    packages = read_metadata(model).get(f"{SOURCE_KEY}packages")
    if packages:
        about.append(f"Made with {packages}.")
    about.append(
        f"Exact in {arithmetic}. Operators of the domain {DOMAIN} carry their definition as functions of standard "
        "ONNX, so any onnxruntime runs this file."
    )
    return " ".join(about)


def _describe_value(value: ValueInfoProto, proof: Proof) -> str:
    grid = proof.grids.get(value.name)
    return "floating point" if grid is None else f"values of {grid.describe()}"


def _describe_node(node: NodeProto, proof: Proof) -> str:
    """What the node does, where it is not standard ONNX, and the exact type of its result, where it has one."""
    about = node.doc_string.partition("Result: ")[0].strip()
    if not about and node.domain == DOMAIN:
        about = operators()[node.op_type].doc
    grid = proof.grids.get(node.output[0]) if node.output else None
    result = "" if grid is None else f"Result: {grid.describe()}."
    return " ".join(part for part in (about if about.endswith(".") or not about else f"{about}.", result) if part)


def _annotate_datatypes(model: ModelProto, proof: Proof) -> None:
    """qonnx keeps datatypes as quantization annotations under the key `finn_datatype`."""
    made = {name for node in model.graph.node for name in node.output} | {v.name for v in model.graph.input}
    numerators = read_numerators(model)
    del model.graph.quantization_annotation[:]
    model.graph.quantization_annotation.extend(as_annotations(numerators))
    by_tensor = {annotation.tensor_name: annotation for annotation in model.graph.quantization_annotation}
    for name, grid in proof.grids.items():
        if grid is None or name not in made or grid.divisor != 1:
            continue
        kind = grid.type
        entry = StringStringEntryProto(
            key="finn_datatype", value=scalar_datatype(kind.signed, kind.width, kind.integer).name
        )
        if name in by_tensor:
            by_tensor[name].quant_parameter_tensor_names.append(entry)
            continue
        annotation = TensorAnnotation(tensor_name=name)
        annotation.quant_parameter_tensor_names.append(entry)
        model.graph.quantization_annotation.append(annotation)
