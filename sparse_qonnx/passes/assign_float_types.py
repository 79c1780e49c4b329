"""Compute every node in float32 or float64, whichever the proof asks for; refuse what float64 cannot hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from sparse_qonnx.errors import PrecisionError
from sparse_qonnx.graph import QUANT_DOMAIN, all_values, initializers
from sparse_qonnx.grid import FLOAT32_BITS, FLOAT32_EXPONENT, FLOAT64_BITS, FLOAT64_EXPONENT, Grid
from sparse_qonnx.naming import Names
from sparse_qonnx.passes.infer_grids import Proof, infer_grids

_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)


class _Float(NamedTuple):
    """What a floating-point type computes exactly with."""

    name: str
    bits: int
    exponent: int


_FLOAT32 = _Float("float32", FLOAT32_BITS, FLOAT32_EXPONENT)
_FLOAT64 = _Float("float64", FLOAT64_BITS, FLOAT64_EXPONENT)


def assign_float_types(model: ModelProto) -> ModelProto:
    """Insert Casts so that each node computes in the type its proof needs; outputs of the model stay float32.

    Raises:
        PrecisionError: if a node needs more than 53 bits.
    """
    proof = infer_grids(model)
    wanted: dict[str, int] = {}
    for node, bits in _bits(model, proof):
        if bits > FLOAT64_BITS:
            raise PrecisionError(
                f"node {node.name!r} ({node.op_type})",
                f"needs {bits} bits to be exact",
                allowed=f"at most {FLOAT64_BITS} bits (float64)",
                fix="quantize its input (enable_iq=True on that layer), or give the model input fewer bits",
            )
        wanted[node.name] = TensorProto.DOUBLE if bits > FLOAT32_BITS else TensorProto.FLOAT
    if TensorProto.DOUBLE not in wanted.values():
        return model
    return _Retyper(model, wanted).run()


def _bits(model: ModelProto, proof: Proof) -> list[tuple[NodeProto, int]]:
    """Bits that each node computes with.

    A quotient is rounded once, so where it is made it has the bits that whoever reads it asks for.
    """
    asked: dict[str, int] = {}
    found = []
    for node in reversed(model.graph.node):
        results = [name for name in node.output if _is_quotient(proof, name)]
        bits = max(proof.nodes[node.name].bits, *(asked.get(name, 0) for name in results), 0)
        for name in node.input:
            if _is_quotient(proof, name):
                asked[name] = max(asked.get(name, 0), bits)
        found.append((node, bits))
    return found[::-1]


def _is_quotient(proof: Proof, name: str) -> bool:
    grid = proof.grids.get(name)
    return grid is not None and grid.divisor != 1


def check_float_types(model: ModelProto, proof: Proof) -> None:
    """Refuse what is computed in fewer bits than its proof asks for: onnxruntime rounds there, firmware does not.

    No exported file does, but one from elsewhere can, or one whose input is given another type.

    Raises:
        PrecisionError: names the first such node.
    """
    values = all_values(model)
    on_grids = [node for node in model.graph.node if any(g is not None for g in proof.nodes[node.name].outputs)]
    read = {name for node in on_grids for name in node.input}
    made_in: dict[str, _Float] = {}  # quotients: the narrowest type on their way
    for node in on_grids:
        result = proof.nodes[node.name]
        quotients = [made_in[name] for name in node.input if name in made_in]
        for name, grid in zip(node.output, result.outputs, strict=False):
            kind = values[name].type.tensor_type.elem_type if name in values else None
            if grid is None or kind not in _FLOATS:
                continue
            own = _FLOAT32 if kind == TensorProto.FLOAT or node.domain == QUANT_DOMAIN else _FLOAT64
            room = min([own, *quotients], key=lambda kind: kind.bits)
            if grid.divisor != 1:
                made_in[name] = room
            # What the model gives, or a floating-point head reads, may be the nearest float32.
            bits = grid.bits if node.op_type == "Cast" and name in read else result.bits
            exponent = max(result.exponent, _exponent([proof.grids.get(n) for n in (*node.input, name)]))
            _demand(node, room, bits, "bits", room.bits)
            _demand(node, own, exponent, "bits of magnitude", own.exponent)


def _demand(node: NodeProto, room: _Float, needed: int, what: str, most: int) -> None:
    if needed > most:
        raise PrecisionError(
            f"node {node.name!r} ({node.op_type})",
            f"needs {needed} {what} to be exact and is computed in {room.name}",
            allowed=f"at most {most} {what}, for the types that its inputs have",
            fix="export the model again with these types, or give its inputs fewer bits",
        )


def _exponent(grids: Iterable[Grid | None]) -> int:
    """An exponent of two that no number on the way exceeds: the largest value in the finest steps."""
    known = [grid for grid in grids if grid is not None]
    return max(max(g.bits - g.frac for g in known), 0) + max(max(g.frac for g in known), 0)


class _Retyper:
    """Rebuilds the node list with Casts in between."""

    def __init__(self, model: ModelProto, wanted: dict[str, int]) -> None:
        self.model = ModelProto()
        self.model.CopyFrom(model)
        self.wanted = wanted
        self.values: dict[str, ValueInfoProto] = all_values(self.model)
        self.constants = initializers(self.model)
        self.nodes: list[NodeProto] = []
        self.casts: dict[tuple[str, int], str] = {}
        self.maker = {name: node for node in model.graph.node for name in node.output}
        self.fresh, self.fresh_node = Names.of_tensors(model), Names.of_nodes(model)
        self.outputs = {v.name for v in self.model.graph.output}

    def run(self) -> ModelProto:
        for node in self.model.graph.node:
            self._retype(node)
        graph = self.model.graph
        middle = [
            v for n, v in self.values.items() if n in {o for node in self.nodes for o in node.output} - self.outputs
        ]
        del graph.node[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.value_info.extend(middle)
        return self.model

    def _type(self, name: str) -> int:
        return int(self.values[name].type.tensor_type.elem_type)

    def _retype(self, source: NodeProto) -> None:
        node = NodeProto()
        node.CopyFrom(source)
        kind = TensorProto.FLOAT if node.domain == QUANT_DOMAIN else self.wanted[node.name]
        for n, name in enumerate(node.input):
            if name and self._type(name) in _FLOATS and self._type(name) != kind:
                node.input[n] = self._cast(name, kind, self.maker.get(name, node))
        late: list[NodeProto] = []
        for n, name in enumerate(node.output):
            if self._type(name) not in _FLOATS:
                continue
            if name in self.outputs and kind != TensorProto.FLOAT:
                exact = self.fresh(f"{name}.exact")
                self._declare(exact, name, kind)
                cast = self.fresh_node(f"{name}.cast")
                late.append(_beside(node, "Cast", [exact], [name], name=cast, to=TensorProto.FLOAT))
                self.casts[name, TensorProto.DOUBLE] = exact
                node.output[n] = exact
            else:
                self._declare(name, name, kind)
        wide_clip = node.op_type == "Clip" and kind == TensorProto.DOUBLE
        self.nodes.extend([*(self._without_clip(node) if wide_clip else [node]), *late])

    def _without_clip(self, clip: NodeProto) -> list[NodeProto]:
        """Max and Min: onnxruntime fuses Relu and Clip in float32 only, and rejects the file where they are float64."""
        x, low, high = clip.input
        raised = self.fresh(f"{clip.output[0]}.raised")
        self._declare(raised, clip.output[0], TensorProto.DOUBLE)
        return [
            _beside(clip, "Max", [x, low], [raised], name=self.fresh_node(f"{clip.name}.raised")),
            _beside(clip, "Min", [raised, high], list(clip.output), name=clip.name),
        ]

    def _declare(self, name: str, like: str, kind: int) -> None:
        value = ValueInfoProto()
        value.CopyFrom(self.values[like])
        value.name = name
        value.type.tensor_type.elem_type = kind
        self.values[name] = value

    def _cast(self, name: str, kind: int, beside: NodeProto) -> str:
        """The value in another type: a converted constant, or the output of one shared Cast in the layer of a node."""
        known = self.casts.get((name, kind))
        if known is not None:
            return known
        target = self.fresh(f"{name}.{'f64' if kind == TensorProto.DOUBLE else 'f32'}")
        self.casts[name, kind] = target
        self._declare(target, name, kind)
        if name in self.constants:
            converted = self.constants[name].astype(np.float64 if kind == TensorProto.DOUBLE else np.float32)
            self.model.graph.initializer.append(numpy_helper.from_array(converted, target))
        else:
            self.nodes.append(_beside(beside, "Cast", [name], [target], name=self.fresh_node(target), to=kind))
        return target


def _beside(node: NodeProto, op_type: str, inputs: list[str], outputs: list[str], **attributes: Any) -> NodeProto:
    """A new node of the layer that another belongs to."""
    made = helper.make_node(op_type, inputs, outputs, **attributes)
    made.metadata_props.extend(node.metadata_props)
    return made


def float64_nodes(model: ModelProto) -> Iterable[str]:
    """Names of the nodes that compute in float64: where there are any, Keras must run in float64 to be exact."""
    values = all_values(model)
    for node in model.graph.node:
        kinds = {values[n].type.tensor_type.elem_type for n in node.output if n in values}
        if TensorProto.DOUBLE in kinds:
            yield node.name
