"""Say a quantizer in standard QONNX wherever its `Quant` does exactly the same."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from sparse_qonnx.fixed import OverflowMode, RoundingMode
from sparse_qonnx.graph import QUANT_DOMAIN
from sparse_qonnx.grid import FLOAT32_BITS, Array, Grid
from sparse_qonnx.naming import Names
from sparse_qonnx.ops import DOMAIN
from sparse_qonnx.passes.infer_grids import Proof, infer_grids, node_attributes
from sparse_qonnx.standard.quant import ROUNDING_NAMES


def use_standard_quants(model: ModelProto) -> ModelProto:
    """Replace each `FixedPointQuant` that `qonnx.custom_op.general::Quant` expresses exactly."""
    result = ModelProto()
    result.CopyFrom(model)
    proof, fresh = infer_grids(result), Names.of_tensors(result)
    nodes: list[NodeProto] = []
    for node in result.graph.node:
        if node.domain != DOMAIN or node.op_type != "FixedPointQuant":
            nodes.append(node)
            continue
        reason = why_not_standard(node, proof)
        if reason is None:
            nodes.append(_as_quant(result, node, proof, fresh))
        else:
            kept = NodeProto()
            kept.CopyFrom(node)
            kept.doc_string = f"not a qonnx Quant: {reason}"
            nodes.append(kept)
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


def why_not_standard(node: NodeProto, proof: Proof) -> str | None:
    """Why a `FixedPointQuant` cannot be a `Quant`; None if it can."""
    k, i, f = (_single(proof.constants.get(n)) for n in node.input[1:4])
    if k is None or i is None or f is None:
        return "its format differs between elements, Quant has one bit width"
    attributes = node_attributes(node)
    overflow = OverflowMode(str(attributes["overflow_mode"]))
    source = proof.grids.get(node.input[0])
    never_negative = source is not None and source.lowest >= 0
    if overflow is OverflowMode.WRAP_SM and not k:
        return "overflow mode WRAP_SM reflects values of its own range where there is no sign"
    if overflow not in (OverflowMode.SAT, OverflowMode.SAT_SYM) and not _inside(source, k, i, f):
        return f"overflow mode {overflow.value} is not in Quant, which saturates"
    if _rounding_name(RoundingMode(str(attributes["rounding_mode"])), k, never_negative) is None:
        return f"rounding mode {attributes['rounding_mode']} is not in Quant"
    if k + i + f <= k:
        return "a width of one signed bit or of none means something else in Quant"
    if proof.nodes[node.name].bits > FLOAT32_BITS:
        return "its input needs float64, qonnx computes Quant in float32"
    return None


def _inside(source: Grid | None, k: int, i: int, f: int) -> bool:
    """Whether no value can overflow even before rounding, so that the overflow mode never acts."""
    if source is None or source.divisor != 1:
        return False
    step = 2.0**-source.frac
    return -k * 2.0**i <= source.lowest * step and source.highest * step <= 2.0**i - 2.0**-f


def _rounding_name(mode: RoundingMode, k: int, never_negative: bool) -> str | None:
    """qonnx's name for the mode; half-up roundings agree where only values above 0 survive."""
    if mode is RoundingMode.RND and (never_negative or not k):
        mode = RoundingMode.RND_INF
    if mode is RoundingMode.RND_MIN_INF and (never_negative or not k):
        mode = RoundingMode.RND_ZERO
    return ROUNDING_NAMES.get(mode)


def _single(values: Array | None) -> int | None:
    if values is None or values.size == 0 or (values != values.flat[0]).any():
        return None
    return int(values.flat[0])


def _as_quant(model: ModelProto, node: NodeProto, proof: Proof, fresh: Names) -> NodeProto:
    k, i, f = (int(proof.constants[n].flat[0]) for n in node.input[1:4])
    attributes = node_attributes(node)
    source = proof.grids.get(node.input[0])
    never_negative = source is not None and source.lowest >= 0
    parameters = {"scale": 2.0**-f, "zero_point": 0.0, "bits": float(k + i + f)}
    names = []
    for part, value in parameters.items():
        name = fresh(f"{node.output[0]}.{part}")  # a batch normalization has a constant `scale` of its own
        model.graph.initializer.append(numpy_helper.from_array(np.array(value, dtype=np.float32), name))
        names.append(name)
    quant = helper.make_node(
        "Quant",
        [node.input[0], *names],
        list(node.output),
        name=node.name,
        domain=QUANT_DOMAIN,
        signed=k,
        narrow=int(attributes["overflow_mode"] == OverflowMode.SAT_SYM.value and k == 1),
        rounding_mode=_rounding_name(RoundingMode(str(attributes["rounding_mode"])), k, never_negative),
    )
    quant.metadata_props.extend(node.metadata_props)
    return quant
