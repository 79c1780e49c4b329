"""From an ONNX graph and its proof to the typed graph of the firmware."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto

from sparse_qonnx.errors import PrecisionError, UnsupportedNodeError
from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.graph import all_values, tensor_shape
from sparse_qonnx.grid import Array, Grid, NodeContext, NodeProof
from sparse_qonnx.hls.adder_graph import ADDERS, distributed
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.dataflow import single_readers
from sparse_qonnx.hls.fuse import PASSES
from sparse_qonnx.hls.identifiers import Namer
from sparse_qonnx.hls.layer_options import check_layers, widened
from sparse_qonnx.hls.streaming import stream_ports
from sparse_qonnx.hls.templates import words
from sparse_qonnx.hls.typed import Layer, Table, Tensor, TypedGraph
from sparse_qonnx.hlscall import HlsAlias, HlsCall, HlsTable, sample_shape, view
from sparse_qonnx.limits import current
from sparse_qonnx.numerators import read_numerators
from sparse_qonnx.origin import inlined_function
from sparse_qonnx.passes.assign_float_types import check_float_types
from sparse_qonnx.passes.carry_divisors import carry_divisors
from sparse_qonnx.passes.infer_grids import Proof, infer_grids, input_types, node_attributes
from sparse_qonnx.passes.split_variadic import split_variadic
from sparse_qonnx.roles import coordinates
from sparse_qonnx.standard import rule_of, standard_operators
from sparse_qonnx.standard.cast import INTEGERS
from sparse_qonnx.uses import live

HEADS = ("Softmax", "Sigmoid")
"""Operators that firmware may leave out at its end."""

WIDEST = 1024
"""Bits of the widest `ap_fixed` that the tools compile."""


@dataclass(frozen=True)
class Step:
    """A node as a kernel call or alias, operands still by ONNX name."""

    node: str
    op_type: str
    call: HlsCall | HlsAlias
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def lower(model: ModelProto, config: HlsConfig) -> TypedGraph:
    """The typed graph of a model.

    Args:
        model: with the precision of its inputs stated in the metadata.
        config: options.

    Raises:
        PrecisionError: an input has no stated type, or a tensor no exact one.
        UnsupportedNodeError: a node has no hardware.
        ConfigurationError: an option of a layer that is not there, or that its kernel does not implement.
    """
    stated, places = input_types(model), coordinates(model)
    for value in model.graph.input:
        if value.name in places:
            raise UnsupportedNodeError(
                f"input {value.name!r}",
                "holds coordinates: firmware finds the pixels of an image itself",
                allowed="images and vectors as inputs",
                fix="keep the InputReduce in the file that firmware is made from",
            )
    for value in model.graph.input:
        if value.name not in stated:
            raise PrecisionError(
                f"input {value.name!r}",
                "has no stated fixed-point type, so no width can be derived",
                allowed="ap_fixed<W,I> or ap_ufixed<W,I>",
                fix='export with input_precision="ap_ufixed<8,0>", or to_hls(..., config={"input_precision": ...})',
            )
    _refuse_inlined(model)
    model = split_variadic(model)
    proof = infer_grids(model)
    check_float_types(model, proof)
    given, written = model, all_values(model)
    carried = carry_divisors(model)
    if carried is not model:  # from elsewhere, or from before divisions were carried
        model, proof = carried, infer_grids(carried)
    steps = _steps(model, proof)
    outputs = [value.name for value in model.graph.output]
    graph = TypedGraph(config.top, namespace=config.namespace or "")
    _skip_heads(steps, outputs, config, graph)
    steps = _live(steps, outputs)
    for apply in PASSES:
        steps = apply(steps, outputs, graph.fused)
    steps = [_by_adders(step, proof, config) for step in steps]
    _name(model, steps, outputs, proof, graph, config)
    if config.io_type == "io_stream":
        stream_ports(graph)
    check_layers(config, graph)
    _check_limits(graph)
    if carried is not given:  # its tensors are known by the names in the file that was given
        graph.views = {name: view for name, view in (graph.views | graph.values).items() if name in written}
        graph.values = {}
    return graph


def _refuse_inlined(model: ModelProto) -> None:
    """Firmware is made of operators, not of what a tool has written out of their functions."""
    for node in live(model.graph.node, [value.name for value in model.graph.output]):
        if function := inlined_function(node):
            raise UnsupportedNodeError(
                f"node {node.name!r} ({node.op_type})",
                f"is a part of the function {function}, which another tool has written out into the graph",
                allowed="that operator as one node",
                fix="make firmware from the file before that, or let the tool keep the model's functions",
            )


def _check_limits(graph: TypedGraph) -> None:
    """C-simulation keeps every array on the stack, and constants become text: neither may take what is there."""
    limits, where = current(), "firmware"
    arrays = sum(t.size * 8 * -(-t.type.width // 64) for t in graph.arrays)
    limits.check("firmware_bytes", arrays, where)
    limits.check("firmware_constants", sum(t.content.values.size for la in graph.layers for t in la.tables), where)
    for tensor in graph.arrays:
        if tensor.size == 0:
            raise UnsupportedNodeError(f"tensor {tensor.name!r}", f"has the shape {list(tensor.shape)}: no values")
        if tensor.type.width > WIDEST:
            problem = f"needs {tensor.type.width} bits"
            raise PrecisionError(
                f"tensor {tensor.name!r}", problem, allowed=f"at most {WIDEST}", fix="quantize before it"
            )


# ---- nodes to steps -------------------------------------------------------------------------------------------------


def _steps(model: ModelProto, proof: Proof) -> list[Step]:
    constants = dict(proof.constants)
    values = all_values(model)
    shapes = {name: tensor_shape(value) for name, value in values.items()}
    steps = []
    for node in live(model.graph.node, [value.name for value in model.graph.output]):
        given = [name for name in node.input if name]
        if given and all(name in constants for name in given):
            constants.update(_fold(node, proof))
            continue
        steps += _calls(node, shapes, constants, proof)
    return steps


def _fold(node: NodeProto, proof: Proof) -> dict[str, Array]:
    """Values of a node that reads constants only: its proof pins every element down."""
    folded = {}
    for name in node.output:
        grid = proof.grids.get(name)
        if grid is None or (grid.lo != grid.hi).any() or grid.divisor != 1:
            where = f"node {node.name!r} ({node.op_type})"
            raise UnsupportedNodeError(where, "computes a constant that is not known", fix="fold it into the file")
        folded[name] = np.array([float(m) for m in grid.lo.flat]).reshape(grid.lo.shape) * 2.0**-grid.frac
    return folded


def _calls(
    node: NodeProto, shapes: dict[str, tuple[int | str | None, ...]], constants: dict[str, Array], proof: Proof
) -> list[Step]:
    """The step of a node; several where each of its results is made by itself, and then bears that one's name."""
    where = f"node {node.name!r} ({node.op_type})"
    rule = rule_of(node.domain, node.op_type)
    method = getattr(rule, "hls", None)
    if rule is None or method is None:
        known = sorted({op for _, op in standard_operators()} | {"the operators of sparse_qonnx.ops"})
        fix = "end the exported model before it, or replace the layer"
        raise UnsupportedNodeError(where, "has no hardware", allowed=", ".join(known), fix=fix)
    context = NodeContext(
        node.name,
        node.op_type,
        dict(node_attributes(node)),
        tuple(shapes.get(name, ()) for name in node.input),
        tuple(proof.grids.get(name) for name in node.input),
        tuple(constants.get(name) for name in node.input),
        tuple(shapes.get(name, ()) for name in node.output),
    )
    _check_data(where, node, context, proof.nodes[node.name])
    found = method(context, proof.nodes[node.name])
    calls = found if isinstance(found, tuple) else (found,)
    each = [(name,) for name in node.output] if len(calls) > 1 else [tuple(node.output)]
    steps = []
    for call, outputs in zip(calls, each, strict=True):
        positions = (call.input,) if isinstance(call, HlsAlias) else call.inputs
        name = node.name if len(calls) == 1 else outputs[0]
        steps.append(Step(name, node.op_type, call, tuple(node.input[n] for n in positions), outputs))
    return steps


def _check_data(where: str, node: NodeProto, context: NodeContext, proof: NodeProof) -> None:
    """Refuse a node whose first input lies on no grid, unless it only passes it on."""
    if context.grids[0] is None and node.op_type not in ("Cast", "Identity"):
        raise UnsupportedNodeError(
            where,
            f"reads {node.input[0]!r}, which is no fixed-point tensor",
            allowed="tensors from the input through quantizers and exact operations",
            fix="quantize the tensor before this node",
        )
    if proof.outputs[0] is None and node.op_type not in (*HEADS, "Cast", "Identity"):
        raise UnsupportedNodeError(
            where,
            f"its result {node.output[0]!r} lies on no exact grid",
            allowed="quantized inputs and constants",
            fix="give the layer quantizers",
        )


def _skip_heads(steps: list[Step], outputs: list[str], config: HlsConfig, graph: TypedGraph) -> None:
    """Let outputs be what softmax and sigmoid heads read, where they are to be left out."""
    producer = {name: step for step in steps for name in step.outputs}
    for n, output in enumerate(outputs):
        step = producer.get(output)
        while step is not None and (step.op_type in HEADS or isinstance(step.call, HlsAlias)):
            if step.op_type in HEADS:
                if (config.layer(step.node).implementation or config.head) != "skip":
                    break
                graph.left_out.setdefault(n, outputs[n])
                outputs[n] = step.inputs[0]
                graph.skipped.append(step.node)
                note = f"{step.op_type} {step.node!r} is not in the firmware: the output is {step.inputs[0]!r}"
                graph.notes.append(note)
            step = producer.get(step.inputs[0])


def _live(steps: list[Step], outputs: Iterable[str]) -> list[Step]:
    """Steps that some output depends on."""
    needed, kept = set(outputs), []
    for step in reversed(steps):
        if needed & set(step.outputs):
            needed |= set(step.inputs)
            kept.append(step)
    return kept[::-1]


def _by_adders(step: Step, proof: Proof, config: HlsConfig) -> Step:
    """A dense layer as an adder graph, where somebody wants it."""
    call = step.call
    if config.layer(step.node).strategy != ADDERS or not isinstance(call, HlsCall) or call.function_name != "dense":
        return step
    source = proof.grids[step.inputs[0]]
    assert source is not None
    return replace(step, call=distributed(f"HLS configuration, layer {step.node!r}", call, source))


# ---- names and types ------------------------------------------------------------------------------------------------


def _name(
    model: ModelProto, steps: list[Step], outputs: list[str], proof: Proof, graph: TypedGraph, config: HlsConfig
) -> None:
    namer = Namer((graph.top, graph.namespace, "defines", "parameters", *words()))
    values = all_values(model)
    for value in model.graph.input:
        grid = proof.grids[value.name]
        assert grid is not None
        tensor = _tensor(value.name, sample_shape(tensor_shape(value)), grid, namer)
        graph.inputs.append(tensor)
        graph.views[value.name] = tensor
    for step in steps:
        for name in step.inputs:
            if name not in graph.views:
                problem = f"reads {name!r}, which does not come from the input"
                raise UnsupportedNodeError(f"node {step.node!r} ({step.op_type})", problem, allowed="data as its input")
        inputs = tuple(graph.views[name] for name in step.inputs)
        shapes = [sample_shape(tensor_shape(values[name])) for name in step.outputs]
        if isinstance(step.call, HlsAlias):
            if math.prod(shapes[0]) != inputs[0].size:
                problem = f"makes {list(shapes[0])} of {inputs[0].size} values"
                raise UnsupportedNodeError(f"node {step.node!r} ({step.op_type})", problem, allowed="the same values")
            divisor = inputs[0].divisor * step.call.divisor
            seen = replace(inputs[0], name=step.outputs[0], shape=shapes[0], divisor=divisor)
            graph.views[step.outputs[0]] = replace(seen, is_integer=_is_integer(values[step.outputs[0]]))
            continue
        results = tuple(
            replace(_output(step, n, name, shape, proof, namer, config), is_integer=_is_integer(values[name]))
            for n, (name, shape) in enumerate(zip(step.outputs, shapes, strict=True))
        )
        graph.views.update({t.name: t for t in results})
        base = namer(f"{step.node}_config")
        tables = tuple(_table(step, t, namer) for t in step.call.tables)
        graph.layers.append(Layer(step.node, step.op_type, base, step.call, inputs, results, tables))
    graph.outputs = [graph.views[name] for name in outputs]
    _copy_outputs(graph, namer)
    for name, stated in read_numerators(model).items():
        if name in graph.views:
            view = graph.views[name]
            graph.values[stated.value] = replace(view, name=stated.value, divisor=view.divisor * stated.divisor)
    single_readers(graph, namer)


def _is_integer(value: ValueInfoProto) -> bool:
    return value.type.tensor_type.elem_type in INTEGERS


def _tensor(name: str, shape: tuple[int, ...], grid: Grid, namer: Namer) -> Tensor:
    identifier = namer(name)
    return Tensor(name, identifier, namer(f"{identifier}_t"), shape, grid.type, grid.divisor)


def _output(
    step: Step, n: int, name: str, shape: tuple[int, ...], proof: Proof, namer: Namer, config: HlsConfig
) -> Tensor:
    call = step.call
    assert isinstance(call, HlsCall)
    if n in call.coordinate_limits:
        identifier = namer(name)
        return Tensor.coordinates(name, identifier, namer(f"{identifier}_t"), shape, call.coordinate_limits[n])
    if n in call.output_types:
        identifier = namer(name)
        kind: FixedPointType = call.output_types[n]
        return Tensor(name, identifier, namer(f"{identifier}_t"), shape, kind, tolerance=call.tolerances.get(n, 0.0))
    grid = proof.grids.get(name)
    if grid is None:
        raise UnsupportedNodeError(
            f"node {step.node!r} ({step.op_type})",
            f"its result {name!r} lies on no exact grid",
            allowed="quantized inputs and constants",
            fix="give the layer quantizers",
        )
    tensor = _tensor(name, shape, grid, namer)
    wanted = config.layer(step.node).precision
    return tensor if wanted is None else replace(tensor, type=widened(step.node, wanted, grid))


def _table(step: Step, content: HlsTable, namer: Namer) -> Table:
    identifier = namer(f"{step.node}_{content.name}")
    return Table(identifier, namer(f"{identifier}_t"), content)


def _copy_outputs(graph: TypedGraph, namer: Namer) -> None:
    """An output that is an input, or another output, in another shape or unchanged gets an array of its own."""
    seen: set[str] = {t.identifier for t in graph.inputs}
    for n, tensor in enumerate(graph.outputs):
        if tensor.identifier in seen:
            identifier = namer(tensor.name)
            copy = replace(tensor, identifier=identifier, type_name=namer(f"{identifier}_t"))
            call = HlsCall(
                "transpose", config={"n_data": tensor.size, "first": 0, "data_view": view("", (tensor.size,), (1,))}
            )
            graph.layers.append(
                Layer(f"{tensor.name} copied", "Identity", namer(f"{identifier}_config"), call, (tensor,), (copy,), ())
            )
            graph.outputs[n] = graph.views[tensor.name] = copy
        seen.add(graph.outputs[n].identifier)
