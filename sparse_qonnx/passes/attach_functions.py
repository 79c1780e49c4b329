"""Give every operator that stock onnxruntime does not have its function body."""

from __future__ import annotations

from onnx import ModelProto, NodeProto, numpy_helper

from sparse_qonnx.naming import Names
from sparse_qonnx.ops import DOMAIN
from sparse_qonnx.ops.fixed_point_quant import NO_COORDS
from sparse_qonnx.origin import mark_parts
from sparse_qonnx.standard import rule_of


def attach_functions(model: ModelProto) -> ModelProto:
    """The same model, standing alone: a model-local function for each of our operators and each `Quant` in it."""
    result = ModelProto()
    result.CopyFrom(model)
    complete_coords(result)
    by_kind: dict[tuple[str, str], list[NodeProto]] = {}
    for node in result.graph.node:
        by_kind.setdefault((node.domain, node.op_type), []).append(node)
    bodies = ((rule_of(*kind), nodes) for kind, nodes in sorted(by_kind.items(), key=lambda item: item[0]))
    functions = [body for rule, nodes in bodies if rule is not None and (body := rule.function(nodes)) is not None]
    for body in functions:
        mark_parts(body)
    del result.functions[:]
    result.functions.extend(functions)
    return result


def complete_coords(model: ModelProto) -> None:
    """Where one quantizer reads formats by coordinate, the others say that they have none.

    A function body cannot ask whether an optional input is there (onnxruntime rejects a body that mentions a missing
    one even in a branch not taken), so in a mixed file every quantizer has the input.
    """
    quantizers = [n for n in model.graph.node if n.domain == DOMAIN and n.op_type == "FixedPointQuant"]
    without = [node for node in quantizers if len(node.input) == 4]
    if not without or len(without) == len(quantizers):
        return
    name = Names.of_tensors(model)("no_coords")
    model.graph.initializer.append(numpy_helper.from_array(NO_COORDS, name))
    for node in without:
        node.input.append(name)
