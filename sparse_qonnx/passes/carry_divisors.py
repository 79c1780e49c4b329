"""Carry divisions: averages become sums, numerators go through every operator that lets them, a Div gives the value.

An average by a number that is no power of two lies on no grid, and a sum of such quotients is rounded at each of them.
Numerators, the values times the divisor, are whole: linear operators work on them as they are, a bias is multiplied by
the divisor, a maximum or a ReLU does not mind. Where somebody needs the value, a quantizer, a head, an output, one
correctly rounded `Div` stands directly before it. What each operator makes of numerators it says itself, see `scaling`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from sparse_qonnx.errors import SparseQonnxError
from sparse_qonnx.graph import all_values, infer_node, initializers
from sparse_qonnx.grid import NodeContext
from sparse_qonnx.naming import Names
from sparse_qonnx.numerators import Numerators, as_annotations, read_numerators
from sparse_qonnx.passes.infer_grids import Proof, infer_grids, node_context
from sparse_qonnx.scaling import Operand
from sparse_qonnx.standard import Rule, rule_of
from sparse_qonnx.standard.cast import FLOATS
from sparse_qonnx.uses import reads

Array = NDArray[Any]


def carry_divisors(model: ModelProto) -> ModelProto:
    """The same network with each division carried to where the value is needed.

    Tensors of numerators are called `<value>.numerators` (or something like it, where that is taken) and say in the
    file what they stand for; the name of the value belongs to the result of the `Div`, where there is one. A model
    without such a division comes back as it is.
    """
    return _Carrier(model).run()


@dataclass(frozen=True)
class _Pending:
    """A value that no tensor holds (yet): numerators, and what they are to be divided by."""

    numerators: str
    divisor: int


@dataclass
class _Sum:
    """Writes the nodes of an average without its division, see `scaling.SumWriter`."""

    carrier: _Carrier
    source: NodeProto
    inputs: tuple[str, ...]
    replacement: NodeProto | None = None
    existing: str = ""
    written: list[NodeProto] = field(default_factory=list)

    def constant(self, part: str, values: Array) -> str:
        return self.carrier.constant(f"{self.source.output[0]}.{part}", values)

    def node(self, part: str, op_type: str, inputs: list[str], **attributes: Any) -> str:
        name = self.carrier.fresh(f"{self.source.output[0]}.{part}")
        node = helper.make_node(op_type, inputs, [name], name=self.carrier.fresh_node(name), **attributes)
        node.metadata_props.extend(self.source.metadata_props)
        self.carrier.append_inferred(node)
        return name

    def last(self, op_type: str, inputs: list[str], **attributes: Any) -> None:
        source = self.source
        self.replacement = helper.make_node(
            op_type, inputs, list(source.output), name=source.name, domain=source.domain, **attributes
        )
        self.replacement.metadata_props.extend(source.metadata_props)

    def same(self, name: str) -> None:
        self.existing = name


class _Carrier:
    def __init__(self, model: ModelProto) -> None:
        self.source = model
        self.values = all_values(model)
        self.constants = dict(initializers(model))
        self.proof = Proof(constants=self.constants)
        self.outputs = {value.name for value in model.graph.output}
        self.live = {value.name for value in model.graph.input} - set(self.constants)
        self.inputs = frozenset(self.live)
        self.fixed = set(self.constants)
        self.fresh, self.fresh_node = Names.of_tensors(model), Names.of_nodes(model)
        self.maker = {name: node for node in model.graph.node for name in node.output}
        self.pending: dict[str, _Pending] = {}
        self.divided: set[str] = set()
        self.multiples: dict[tuple[str, int], str] = {}
        self.stated = read_numerators(model)
        self.nodes: list[NodeProto] = []
        self.made: list[TensorProto] = []
        self.changed = False
        self._grids: Proof | None = None

    def run(self) -> ModelProto:
        for node in self.source.graph.node:
            self._visit(node)
        for value in self.source.graph.output:
            self._value(value.name)
        return self._build() if self.changed else self.source

    # ---- one node -----------------------------------------------------------------------------------------------

    def _visit(self, node: NodeProto) -> None:
        for name in set(reads(node)) - set(node.input):
            self._value(name)
        rule = rule_of(node.domain, node.op_type)
        if self.live.isdisjoint(reads(node)):
            if rule is not None and self.fixed.issuperset(filter(None, node.input)):
                self.fixed.update(node.output)
            self.nodes.append(node)
            return
        self.live.update(node.output)
        if any(name and name not in self.values for name in node.output):
            rule = None  # of an unknown type, in a file from elsewhere
        carried = None if rule is None else self._carried(node, rule)
        if carried is None:
            self._append(node, [self._value(name) for name in node.input])
            return
        inputs, divisor, attributes = carried
        write = _Sum(self, node, tuple(inputs))
        own = rule.as_sum(node_context(node, self.values, self.proof), write) if rule is not None else None
        total = divisor * (own or 1)
        if write.existing:
            self.pending[node.output[0]] = _Pending(write.existing, total)
        elif total == 1:
            self.nodes.append(write.replacement or _with_inputs(node, inputs))
            self.changed |= write.replacement is not None
        else:
            self._append_scaled(write.replacement or _with_inputs(node, inputs), attributes, total)

    def _carried(self, node: NodeProto, rule: Rule) -> tuple[list[str], int, dict[str, Any]] | None:
        """Inputs on one divisor, that divisor, and attributes that change; None where the node needs values."""
        context = node_context(node, self.values, self.proof)
        roles = rule.scaling(context)
        if not roles:
            return None
        operands = [(name, roles[min(n, len(roles) - 1)]) for n, name in enumerate(node.input)]
        scaled = [name for name, role in operands if role is not Operand.VALUE and name]
        if not any(name in self.pending for name in scaled):
            return [self._value(name) for name in node.input], 1, {}
        if any(name not in self.live and name not in self.fixed for name in scaled):
            return None
        product = math.prod(self._divisor(name) for name, role in operands if role is Operand.FACTOR)
        common = math.lcm(product, *(self._divisor(name) for name, role in operands if role is Operand.ADDEND))
        has_factors = any(role is Operand.FACTOR for _, role in operands)
        if has_factors and common != product:
            return None
        attributes = rule.carried_attributes(self._with_grids(context, node), common)
        if attributes is None:
            return None
        return [self._operand(name, role, common) for name, role in operands], common, attributes

    def _operand(self, name: str, role: Operand, divisor: int) -> str:
        if role is Operand.VALUE or not name:
            return self._value(name)
        found = self.pending.get(name, _Pending(name, 1))
        if role is Operand.FACTOR:
            return found.numerators
        return self._multiple(found.numerators, divisor // found.divisor)

    def _divisor(self, name: str) -> int:
        return self.pending[name].divisor if name in self.pending else 1

    def _with_grids(self, context: NodeContext, node: NodeProto) -> NodeContext:
        """The node as the proof of the model as it was sees it: with the grids of the values."""
        if self._grids is None:
            try:
                self._grids = infer_grids(self.source)
            except SparseQonnxError:  # said by the pass that proves
                self._grids = Proof()
        return replace(context, grids=tuple(self._grids.grids.get(name) for name in node.input))

    # ---- what is written ----------------------------------------------------------------------------------------

    def _append(self, node: NodeProto, inputs: Sequence[str]) -> None:
        self.nodes.append(_with_inputs(node, inputs))

    def _append_scaled(self, node: NodeProto, attributes: dict[str, Any], divisor: int) -> None:
        """A node on numerators: so are its results, but for coordinates and places."""
        for n, value in enumerate(node.output):
            if value and self.values[value].type.tensor_type.elem_type in FLOATS:
                node.output[n] = self.fresh(f"{value}.numerators")
                self._declare(node.output[n], value)
                self.pending[value] = _Pending(node.output[n], divisor)
        kept = [AttributeProto.FromString(a.SerializeToString()) for a in node.attribute if a.name not in attributes]
        del node.attribute[:]
        node.attribute.extend([*kept, *(helper.make_attribute(k, v) for k, v in attributes.items())])
        self.nodes.append(node)
        self.changed = True

    def append_inferred(self, node: NodeProto) -> None:
        """A new node, the type of its result inferred."""
        tensors = {
            name: numpy_helper.from_array(self.constants[name], name) for name in node.input if name in self.constants
        }
        for value in infer_node(node, self.values, tensors):
            self.values[value.name] = value
        self.live.update(node.output)
        self.nodes.append(node)

    def _value(self, name: str) -> str:
        """The value itself: where only numerators are there, a Div makes it."""
        found = self.pending.get(name)
        if found is None or name in self.divided:
            return name
        self.divided.add(name)
        divisor = self._number(f"{name}.divisor", found.divisor, found.numerators)
        self._make("Div", [found.numerators, divisor], name, f"{name}.divided", name)
        return name

    def _multiple(self, name: str, factor: int) -> str:
        """A tensor or a constant times a whole number."""
        if factor == 1:
            return name
        if (name, factor) not in self.multiples and name in self.constants:
            exact = self.constants[name].astype(np.float64) * factor
            if (exact.astype(self.constants[name].dtype) == exact).all():
                self.multiples[name, factor] = self.constant(
                    f"{name}.times{factor}", exact.astype(self.constants[name].dtype)
                )
        if (name, factor) not in self.multiples:
            result = self.fresh(f"{name}.times{factor}")
            self._declare(result, name)
            number = self._number(f"{result}.factor", factor, name)
            self._make("Mul", [name, number], result, result, name)
            self.multiples[name, factor] = result
            (self.fixed if name in self.fixed else self.live).add(result)
        return self.multiples[name, factor]

    def _make(self, op_type: str, inputs: list[str], result: str, wanted: str, beside: str) -> None:
        """A new node of the layer that makes the tensor `beside`."""
        node = helper.make_node(op_type, inputs, [result], name=self.fresh_node(wanted))
        if beside in self.maker:
            node.metadata_props.extend(self.maker[beside].metadata_props)
        self.nodes.append(node)

    def _number(self, wanted: str, number: int, like: str) -> str:
        kind = helper.tensor_dtype_to_np_dtype(self.values[like].type.tensor_type.elem_type)
        return self.constant(wanted, np.array(number, dtype=kind))

    def constant(self, wanted: str, values: Array) -> str:
        """Add an initializer; returns its name."""
        name = self.fresh(wanted)
        self.made.append(numpy_helper.from_array(values, name))
        self.constants[name] = values
        self.values[name] = helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(values.dtype), list(values.shape)
        )
        self.fixed.add(name)
        return name

    def _declare(self, name: str, like: str) -> None:
        value = ValueInfoProto()
        value.CopyFrom(self.values[like])
        value.name = name
        self.values[name] = value

    # ---- the model ----------------------------------------------------------------------------------------------

    def _build(self) -> ModelProto:
        result = ModelProto()
        result.CopyFrom(self.source)
        graph = result.graph
        kept = [a for a in graph.quantization_annotation if a.tensor_name not in self.pending]
        made = {name for node in self.nodes for name in node.output}
        middle = [v for n, v in self.values.items() if n in made - self.outputs]
        del graph.node[:], graph.value_info[:], graph.quantization_annotation[:]
        graph.node.extend(self.nodes)
        graph.value_info.extend(middle)
        graph.initializer.extend(self.made)
        graph.quantization_annotation.extend([*kept, *as_annotations(self._statements(made))])
        return result

    def _statements(self, made: set[str]) -> dict[str, Numerators]:
        """What the tensors of numerators stand for, of those values that no tensor holds."""
        readers = [name for node in self.source.graph.node for name in reads(node)]
        found: dict[str, Numerators] = {}
        for value, pending in self.pending.items():
            ours = pending.numerators in self.values and pending.numerators not in self.inputs | self.outputs
            if ours and value not in made and readers.count(pending.numerators) <= 1:
                found.setdefault(pending.numerators, Numerators(value, pending.divisor))
        return {name: said for name, said in found.items() if name not in self.stated}


def _with_inputs(node: NodeProto, inputs: Sequence[str]) -> NodeProto:
    """A copy of a node that reads other tensors."""
    copy = NodeProto()
    copy.CopyFrom(node)
    copy.input[:] = inputs
    return copy
