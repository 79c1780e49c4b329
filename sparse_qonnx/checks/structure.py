"""How much there is in a file, and whether every name in it means one thing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from onnx import AttributeProto, FunctionProto, ModelProto, NodeProto

from sparse_qonnx.errors import ModelFileError, UnsupportedNodeError
from sparse_qonnx.limits import Limits
from sparse_qonnx.naming import Names
from sparse_qonnx.ops import DOMAIN, VERSION
from sparse_qonnx.standard import rule_of
from sparse_qonnx.uses import subgraphs

OLDEST_OPSET = 13
"""The rules of `sparse_qonnx.standard` hold from here on: earlier, axes were attributes, and Softmax was another."""

STANDARD_DOMAINS = ("", "ai.onnx")
FUSED_DOMAIN = "sparse_qonnx.ops.fused"
"""Domain of nodes that `sparse_qonnx.fusion` makes in memory; never in a file."""

SWITCHES = frozenset({"allowzero", "ceil_mode", "count_include_pad", "keepdims", "noop_with_empty_axes"})
"""Attributes that mean no or yes, which runtimes read differently where they are neither 0 nor 1."""
_LOOPS = frozenset({"Loop", "Scan", "SequenceMap"})
_LISTS = ("floats", "ints", "strings", "tensors", "graphs", "sparse_tensors", "type_protos")


def check_structure(model: ModelProto, functions: Sequence[FunctionProto], where: str, limits: Limits) -> None:
    """Counts, names, operator sets, inputs and outputs, of the graph and of functions that are not ours.

    Raises:
        ModelFileError: naming what is too much, or stands twice, or is missing.
    """
    others = (*model.opset_import, *model.metadata_props)
    check_texts((model.graph, *functions, *others), where)
    check_opsets(model, where)
    _check_ends(model, where)
    loops = 0
    everywhere = all_nodes([model.graph.node, *(function.node for function in functions)])
    for node, _ in all_nodes([model.graph.node]):
        if any(attribute.ref_attr_name for attribute in node.attribute):
            raise ModelFileError(f"node {node.name!r} ({node.op_type})", "refers to an attribute of a function")
    for nodes, (node, depth) in enumerate(everywhere, 1):
        loops += node.op_type in _LOOPS
        limits.check("nodes", nodes, where)
        limits.check("loops", loops, where)
        limits.check("nesting", depth, where)
        _check_node(node, limits)
    _check_annotations(model, where)
    _distinct([v.name for v in model.graph.output], "output", where)
    _distinct([v.name for v in model.graph.value_info], "value_info", where)
    _distinct([p.key for p in model.metadata_props], "metadata property", where)
    named = (*model.graph.input, *model.graph.output, *model.graph.value_info, *model.graph.initializer)
    for value in named:
        _check_name(value.name, where, limits)


def all_nodes(lists: Iterable[Iterable[NodeProto]]) -> Iterator[tuple[NodeProto, int]]:
    """Every node with the depth of its subgraph; a stack, because a file must not choose the depth of a recursion."""
    stack = [(nodes, 0) for nodes in lists]
    while stack:
        nodes, depth = stack.pop()
        for node in nodes:
            yield node, depth
            stack += [(graph.node, depth + 1) for graph in subgraphs(node)]


def check_opsets(model: ModelProto, where: str) -> None:
    """Raise ModelFileError unless every domain has one version, and ours and the standard one a known version.

    Nothing is said against operator sets that no node uses: `tidy` has removed them.
    """
    domains = ["" if o.domain in STANDARD_DOMAINS else o.domain for o in model.opset_import]
    _distinct(domains, "operator set", where)
    newest = onnx.defs.onnx_opset_version()
    for domain, opset in zip(domains, model.opset_import, strict=True):
        first, last = {"": (OLDEST_OPSET, newest), DOMAIN: (VERSION, VERSION)}.get(domain, (1, 2**31))
        if not first <= opset.version <= last:
            allowed = f"{first} to {last}" if first != last else str(first)
            problem = f"uses version {opset.version} of the operator set {domain or 'ai.onnx'!r}"
            raise ModelFileError(where, problem, allowed=allowed, fix="convert it with onnx.version_converter")


def _check_ends(model: ModelProto, where: str) -> None:
    """Inputs and outputs are there, are tensors of known rank, and come from somewhere."""
    graph = model.graph
    given = {t.name for t in graph.initializer}
    made = {name for node in graph.node for name in node.output} | given | {v.name for v in graph.input}
    for word, values in (("input", graph.input), ("output", graph.output)):
        if not values:
            raise ModelFileError(where, f"has no {word}", allowed="one or more")
    for value in graph.input:
        if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
            raise ModelFileError(f"input {value.name!r}", "is not a tensor of known rank", allowed="a tensor")
        if value.name in given:
            raise ModelFileError(f"input {value.name!r}", "is an initializer as well", fix="remove it from the inputs")
    for value in graph.output:
        if value.name not in made:
            raise ModelFileError(f"output {value.name!r}", "is made by no node")
    if graph.sparse_initializer:
        raise ModelFileError(where, "has sparse initializers", allowed="dense ones", fix="convert them")


def _check_node(node: NodeProto, limits: Limits) -> None:
    where = f"node {node.name or ''.join(node.output[:1])!r} ({node.op_type})"
    if node.domain == FUSED_DOMAIN:
        problem = f"is of {node.domain!r}, whose operators a session with native kernels makes in memory"
        raise ModelFileError(where, problem, fix="save the model from a session with fuse=False or kernels='function'")
    for name in (node.name, node.op_type, node.domain, *node.input, *node.output):
        _check_name(name, where, limits)
    _distinct([a.name for a in node.attribute], "attribute", where)
    for attribute in node.attribute:
        _check_attribute(attribute, where, limits)


def check_texts(messages: Iterable[Message], where: str) -> None:
    """Raise ModelFileError for a text that is no UTF-8: Python's protobuf hands it out as bytes, not as a text."""
    stack = list(messages)
    while stack:
        for field, value in stack.pop().ListFields():
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                stack.extend([value] if isinstance(value, Message) else value)
            elif field.type == FieldDescriptor.TYPE_STRING:
                for text in (value,) if isinstance(value, str | bytes) else value:
                    if isinstance(text, bytes):
                        raise ModelFileError(where, f"holds the text {text[:32]!r}", allowed="UTF-8")


def _check_attribute(attribute: AttributeProto, where: str, limits: Limits) -> None:
    _check_name(attribute.name, where, limits)
    sizes = [len(getattr(attribute, name)) for name in _LISTS] + [len(attribute.s), *map(len, attribute.strings)]
    limits.check("attribute_values", max(sizes), where)
    if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
        raise ModelFileError(where, f"attribute {attribute.name!r} is a sparse tensor", allowed="a dense one")
    if attribute.name in SWITCHES and attribute.i not in (0, 1):
        raise ModelFileError(where, f"attribute {attribute.name!r} is {attribute.i}", allowed="0 or 1")


def _check_name(name: str, where: str, limits: Limits) -> None:
    limits.check("name_characters", len(name), where, f"characters of the name {name[:32]!r}...")


def _distinct(names: list[str], what: str, where: str) -> None:
    if len({*names}) != len(names):
        name, count = Counter(names).most_common(1)[0]
        raise ModelFileError(where, f"has {count} of {what} {name!r}", allowed="distinct names", fix="rename them")


def require_known_nodes(model: ModelProto, runtime: str) -> None:
    """Raise UnsupportedNodeError for a node that is neither standard ONNX nor an operator with a rule here.

    For runtimes that look an operator up by what the file calls it.
    """
    for node in model.graph.node:
        if node.domain not in STANDARD_DOMAINS and rule_of(node.domain, node.op_type) is None:
            where = f"node {node.name!r} ({node.op_type})"
            allowed = "standard operators, Quant, and those of sparse_qonnx.ops"
            raise UnsupportedNodeError(
                where, f"of domain {node.domain!r}, which {runtime} does not run", allowed=allowed
            )


def _check_annotations(model: ModelProto, where: str) -> None:
    """Datatypes of qonnx are those it knows."""
    for annotation in model.graph.quantization_annotation:
        for entry in annotation.quant_parameter_tensor_names:
            if entry.key == "finn_datatype" and not _DATATYPE.fullmatch(entry.value):
                problem = f"annotates {annotation.tensor_name!r} with the datatype {entry.value!r}"
                raise ModelFileError(where, problem, allowed="a datatype of qonnx, such as INT8 or FIXED<8,4>")


_DATATYPE = re.compile(
    r"BINARY|BIPOLAR|TERNARY|U?INT[1-9][0-9]{0,2}|FLOAT(16|32)|(FIXED|FLOAT)<[0-9]{1,3}(,-?[0-9]{1,3}){1,2}>|SCALEDINT<[0-9]{1,3}>"
)


def with_node_names(model: ModelProto) -> ModelProto:
    """The model itself, or a copy in which every node has a name of its own.

    ONNX asks for neither. One without a name is called after its first output; of those with the same name the first
    keeps it.
    """
    if len({node.name for node in model.graph.node} - {""}) == len(model.graph.node):
        return model
    result = ModelProto()
    result.CopyFrom(model)
    fresh, seen = Names.of_nodes(result), {""}
    for node in result.graph.node:
        if node.name in seen:
            node.name = fresh(node.name or next((name for name in node.output if name), node.op_type))
        seen.add(node.name)
    return result
