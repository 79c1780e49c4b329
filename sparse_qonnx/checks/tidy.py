"""What is valid and only written in another way, brought into the one form that the rest relies on.

Tools write operator sets that no node uses, the same one twice, the type of a tensor twice, a batch dimension that is
neither a name nor a number, operators without the functions that define them.
"""

from __future__ import annotations

from onnx import FunctionProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto

from sparse_qonnx.checks.bodies import is_earlier_body, own_bodies
from sparse_qonnx.checks.fingerprint import fingerprint
from sparse_qonnx.checks.structure import STANDARD_DOMAINS, all_nodes
from sparse_qonnx.graph import BATCH, tensor_shape
from sparse_qonnx.ops import DOMAIN, operators
from sparse_qonnx.origin import mark_parts
from sparse_qonnx.passes.attach_functions import complete_coords
from sparse_qonnx.standard import rule_of, standard_operators


def tidied(model: ModelProto) -> ModelProto:
    """The model itself where there is nothing to do, or a copy without double or unused statements."""
    opsets, infos = _opsets(model), _value_infos(model)
    unnamed = [n for n, value in enumerate(model.graph.input) if _is_unnamed(value)]
    if len(opsets) == len(model.opset_import) and len(infos) == len(model.graph.value_info) and not unnamed:
        return model
    result = ModelProto()
    result.CopyFrom(model)
    del result.opset_import[:], result.graph.value_info[:]
    result.opset_import.extend(opsets)
    result.graph.value_info.extend(infos)
    for n in unnamed:
        result.graph.input[n].type.tensor_type.shape.dim[0].dim_param = BATCH
    return result


def with_own_names(model: ModelProto) -> ModelProto:
    """The model itself, or a copy in which functions that compute what ours do are called like them.

    `onnx.compose` gives functions a prefix, too. Those that are the same afterwards become one; where an operator has
    bodies for different inputs, `with_functions` writes one that serves all.
    """
    renamed = {key: name for f in model.functions if (name := _own_name(f)) for key in [(f.domain, f.name)]}
    if not renamed:
        return model
    result = ModelProto()
    result.CopyFrom(model)
    for node, _ in all_nodes([result.graph.node, *(function.node for function in result.functions)]):
        node.op_type = renamed.get((node.domain, node.op_type), node.op_type)
    bodies: dict[tuple[str, str], list[FunctionProto]] = {}
    for function in result.functions:
        function.name = renamed.get((function.domain, function.name), function.name)
        bodies.setdefault((function.domain, function.name), []).append(function)
    kept = [alike[0] for alike in bodies.values() if len({fingerprint(body) for body in alike}) == 1]
    copies = [FunctionProto.FromString(function.SerializeToString()) for function in kept]
    del result.functions[:]
    result.functions.extend(copies)
    return result


def _own_name(function: FunctionProto) -> str:
    """The operator of ours that a function of another name is; "" for none."""
    if function.domain in STANDARD_DOMAINS or rule_of(function.domain, function.name) is not None:
        return ""
    known = (
        [*operators()] if function.domain == DOMAIN else [n for d, n in standard_operators() if d == function.domain]
    )
    copy = FunctionProto()
    copy.CopyFrom(function)
    for name in known:
        copy.name = name
        if fingerprint(copy) in own_bodies(copy.domain, name) or is_earlier_body(copy):
            return name
    return ""


def without_earlier_bodies(model: ModelProto) -> ModelProto:
    """The model itself, or a copy without the functions that earlier versions wrote; `with_functions` adds today's."""
    kept = [function for function in model.functions if not is_earlier_body(function)]
    if len(kept) == len(model.functions):
        return model
    result = ModelProto()
    result.CopyFrom(model)
    del result.functions[:]
    result.functions.extend(kept)
    return result


def with_functions(model: ModelProto) -> ModelProto:
    """The model itself, or a copy with the functions it lacks of operators that are known here."""
    present = {(function.domain, function.name) for function in model.functions}
    lacking: dict[tuple[str, str], list[NodeProto]] = {}
    for node, _ in all_nodes([model.graph.node]):
        kind = (node.domain, node.op_type)
        if kind not in present and node.domain not in STANDARD_DOMAINS:
            lacking.setdefault(kind, []).append(node)
    bodies = [rule.function(nodes) for kind, nodes in lacking.items() if (rule := rule_of(*kind)) is not None]
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD_DOMAINS), 0)
    known = [body for body in bodies if body is not None and body.opset_import[0].version <= opset]
    if not known:
        return model
    result = ModelProto()
    result.CopyFrom(model)
    complete_coords(result)
    for body in known:
        mark_parts(body)
        body.opset_import[0].version = opset  # onnx asks for the same one, and the bodies mean the same in all
        result.functions.append(body)
    return result


def _opsets(model: ModelProto) -> list[OperatorSetIdProto]:
    """The operator sets that something uses, each once; two versions of one stay, as they contradict each other."""
    used = {_plain(node.domain) for node, _ in all_nodes([model.graph.node])}
    used |= {_plain(opset.domain) for function in model.functions for opset in function.opset_import}
    used |= {function.domain for function in model.functions}
    found = {(_plain(o.domain), o.version): o for o in model.opset_import if _plain(o.domain) in used}
    return list(found.values()) or list(model.opset_import)


def _value_infos(model: ModelProto) -> list[ValueInfoProto]:
    """Types of tensors, each once; two of one that contradict each other stay."""
    found: dict[str, ValueInfoProto] = {}
    return [v for v in model.graph.value_info if found.setdefault(v.name, v) is v or _contradict(v, found[v.name])]


def _contradict(a: ValueInfoProto, b: ValueInfoProto) -> bool:
    """Whether no tensor is both; what is no number may be any."""
    first, second = tensor_shape(a), tensor_shape(b)
    pairs = zip(first, second, strict=False)
    differs = any(x != y for x, y in pairs if isinstance(x, int) and isinstance(y, int))
    return a.type.tensor_type.elem_type != b.type.tensor_type.elem_type or len(first) != len(second) or differs


def _plain(domain: str) -> str:
    return "" if domain in STANDARD_DOMAINS else domain


def _is_unnamed(value: ValueInfoProto) -> bool:
    """Whether the first dimension of a tensor is said to be there, and nothing more."""
    dims = value.type.tensor_type.shape.dim
    return bool(dims) and not dims[0].HasField("dim_value") and not dims[0].dim_param
