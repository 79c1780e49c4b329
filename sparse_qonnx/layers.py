"""A file's graph as people think of it: layers, each a few nodes, with their quantizers, weights and proof.

Knows nothing of how it is shown: `plots` and `report` draw it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from sparse_qonnx.fixed import QuantizerFormat
from sparse_qonnx.graph import all_values, tensor_shape
from sparse_qonnx.grid import FLOAT32_BITS, FLOAT64_BITS, Array, Grid, NodeProof
from sparse_qonnx.naming import Names
from sparse_qonnx.numerators import ValueNames
from sparse_qonnx.ops._base import Shape
from sparse_qonnx.origin import layers_of
from sparse_qonnx.passes.infer_grids import infer_grids, input_types, node_context
from sparse_qonnx.passes.split_variadic import split_variadic
from sparse_qonnx.roles import coordinates, made_coordinates
from sparse_qonnx.standard import rule_of
from sparse_qonnx.uses import reads


@dataclass(frozen=True)
class Quantizer:
    """A quantizer on the way of the data.

    Attributes:
        node: its name.
        tensor: its result.
        format: what it does.
    """

    node: str
    tensor: str
    format: QuantizerFormat


@dataclass(frozen=True)
class Weights:
    """Constants that a layer multiplies by or adds.

    Attributes:
        name: of the initializer.
        values: as they are used.
        grid: where they lie.
    """

    name: str
    values: Array
    grid: Grid

    @property
    def zeros(self) -> int:
        """How many are 0, and need no hardware."""
        return self.values.size - int((self.values != 0).sum())


@dataclass
class Layer:
    """Nodes of one layer, as a Keras layer has become them.

    Attributes:
        name: of the layer, as the file says; of its only node where the file says nothing.
        nodes: on the way of the data, in their order; weights' quantizers are not among them.
        sources: names of the layers and inputs whose results it reads, in the order of the graph.
        outputs: tensors that other layers read, or the last ones.
        quantizers: on the way of the data.
        weights: constants that it multiplies by or adds.
        proofs: what was proven of each node.
    """

    name: str
    nodes: list[NodeProto] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    quantizers: list[Quantizer] = field(default_factory=list)
    weights: list[Weights] = field(default_factory=list)
    proofs: list[NodeProof] = field(default_factory=list)

    @property
    def operators(self) -> str:
        """What it does, in ONNX's words."""
        return ", ".join(dict.fromkeys(node.op_type for node in self.nodes))

    @property
    def bits(self) -> int:
        """Significand bits that every intermediate result of its nodes fits in."""
        return max((proof.bits for proof in self.proofs), default=0)


@dataclass(frozen=True)
class SlotMap:
    """Where a sparse tensor's slots lie.

    Attributes:
        coords: name of the coordinates `[B, N, 2]`.
        height, width: of the image they are places on.
    """

    coords: str
    height: int
    width: int


class LayeredGraph:
    """A model's layers.

    Args:
        model: the model, all shapes stated.

    Attributes:
        model: as given.
        values: type and shape of every tensor.
        proof: what is proven of each tensor.
        inputs: shape and stated type of each input, by name.
        layers: by name, in the order of the graph.
        maps: the sparse tensors, by name.
        data_nodes: nodes on the way of the data, in the order of the graph, each with the name of its layer.

    Raises:
        PrecisionError: where exactness is impossible.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.values = all_values(model)
        self.proof = infer_grids(model)
        self._values = ValueNames(model)
        types = input_types(model)
        self.inputs = {v.name: (tensor_shape(v), types.get(v.name)) for v in model.graph.input}
        self.layers: dict[str, Layer] = {}
        self.data_nodes: list[tuple[NodeProto, str]] = []
        self._stated = layers_of(model.graph.node, model)
        self._shown: dict[str, str] = {}
        self._names = Names(self.inputs)
        self.maps: dict[str, SlotMap] = {}
        self._coords = coordinates(model)
        self._owner: dict[str, str] = {name: name for name in self.inputs}
        self._weights: dict[str, Weights] = {}
        for node in model.graph.node:
            if self._owner.keys().isdisjoint(reads(node)):
                self._add_weights(node)
            else:
                self._add(node)
        self._find_outputs()

    # ---- questions --------------------------------------------------------------------------------------------------

    def shape(self, tensor: str) -> Shape:
        """Of a tensor, the batch first; () where it is not stated."""
        return tensor_shape(self.values[tensor]) if tensor in self.values else ()

    def is_wide(self, tensor: str) -> bool:
        """Whether the file holds it in float64."""
        value = self.values.get(tensor, ValueInfoProto())
        return bool(value.type.tensor_type.elem_type == TensorProto.DOUBLE)

    def exact_type(self, tensor: str) -> str:
        """The narrowest type that holds every value it can have."""
        grid = self.proof.grids.get(self.shown(tensor))
        return "floating point" if grid is None else grid.describe()

    def shown(self, tensor: str) -> str:
        """The name under which people know what a tensor holds: that of the values, where it holds numerators."""
        return self._values.shown(tensor)

    def why_exact(self, layer: Layer) -> str:
        """One sentence on the proof: what the arithmetic needs and what there is."""
        grids = [self.proof.grids.get(name) for name in layer.outputs]
        if any(grid is None for grid in grids):
            return "not exact: floating point, compared within a stated tolerance"
        if not layer.bits:
            return "no arithmetic"
        wide = any(self.is_wide(name) for node in layer.nodes for name in (*node.input, *node.output))
        kind, room = ("float64", FLOAT64_BITS) if wide else ("float32", FLOAT32_BITS)
        text = f"every result on the way fits {layer.bits} bits and a sign, {kind} holds {room}"
        shown = [self.proof.grids.get(self.shown(name)) for name in layer.outputs]
        if any(grid is not None and grid.divisor != 1 for grid in shown):
            text += "; the division is carried to the next quantizer"
        return text

    def layer_of_stage(self, node: str) -> str:
        """Name of the layer that a node belongs to, of this model or of its copy with operators of two; "" for none."""
        return self._shown.get(self._stages.get(node, ""), "")

    @cached_property
    def _stages(self) -> dict[str, str]:
        split = split_variadic(self.model)
        return layers_of(split.graph.node, split)

    # ---- reading the graph ------------------------------------------------------------------------------------------

    def _layer_of(self, node: NodeProto) -> Layer:
        stated = self._stated[node.name]
        if stated not in self._shown:
            self._shown[stated] = self._names(stated)  # a layer is told from an input of its name
        name = self._shown[stated]
        return self.layers.setdefault(name, Layer(name))

    def _add_weights(self, node: NodeProto) -> None:
        """A quantizer of constants, or a cast: what the data meets is the last result."""
        if node.input and node.input[0] in self._weights:
            self._weights[node.output[0]] = self._weights[node.input[0]]
            return
        grid = self.proof.grids.get(node.output[0])
        values = self.proof.constants.get(node.input[0]) if node.input else None
        if grid is not None and values is not None:
            self._weights[node.output[0]] = Weights(node.input[0], values, grid)

    def _add(self, node: NodeProto) -> None:
        layer = self._layer_of(node)
        layer.nodes.append(node)
        self.data_nodes.append((node, layer.name))
        layer.proofs.append(self.proof.nodes[node.name])
        for name in reads(node):
            owner = None if name in self._coords else self._owner.get(name)
            if owner is not None and owner != layer.name and owner not in layer.sources:
                layer.sources.append(owner)
        form = self._format(node)
        if form is not None:
            layer.quantizers.append(Quantizer(node.name, node.output[0], form))
        else:
            layer.weights += self._constants(node)
        for name in filter(None, node.output):
            self._owner[name] = layer.name
        self._add_maps(node)

    def _format(self, node: NodeProto) -> QuantizerFormat | None:
        rule = rule_of(node.domain, node.op_type)
        if rule is None or any(name and name not in self.proof.constants for name in node.input[1:4]):
            return None
        return rule.quantizer_format(node_context(node, self.values, self.proof))

    def _constants(self, node: NodeProto) -> Iterator[Weights]:
        for name in node.input:
            grid = self.proof.grids.get(name)
            if name in self._weights:
                yield self._weights[name]
            elif name in self.proof.constants and grid is not None:
                yield Weights(name, self.proof.constants[name], grid)

    def _add_maps(self, node: NodeProto) -> None:
        """A node with coordinates among its results makes new ones; others keep those of what they read."""
        found = None
        places = [*made_coordinates(node)]
        if places:
            found = self._new_map(node, places[0])
        elif len(self.shape(node.output[0])) == 3:
            sources = [self.maps[n] for n in node.input if n in self.maps]
            found = sources[0] if sources else None
        if found is not None:
            self.maps[node.output[0]] = found

    def _new_map(self, node: NodeProto, places: str) -> SlotMap | None:
        context = node_context(node, self.values, self.proof)
        sizes = context.attributes.get("spatial_shape")
        kernel = context.attributes.get("kernel_shape", (1, 1))
        height, width = sizes if sizes is not None else self.shape(node.input[0])[1:3]
        if not isinstance(height, int) or not isinstance(width, int):
            return None
        return SlotMap(places, height // kernel[0], width // kernel[1])

    def _find_outputs(self) -> None:
        results = {value.name for value in self.model.graph.output}
        readers: dict[str, set[str]] = {}
        for layer in self.layers.values():
            for node in layer.nodes:
                for name in reads(node):
                    readers.setdefault(name, set()).add(layer.name)
        for layer in self.layers.values():
            produced = [name for node in layer.nodes for name in node.output if name]
            read = [n for n in produced if n in results or readers.get(n, set()) - {layer.name}]
            layer.outputs = [n for n in read if n not in self._coords] or produced[-1:]


def ranks(graph: LayeredGraph) -> dict[str, int]:
    """How many layers lie before each input (0) and layer, on the longest way.

    Node by node: where the nodes of two layers alternate, each comes before the other.
    """
    found = dict.fromkeys(graph.inputs, 0)
    depth, owner = dict(found), {name: name for name in found}
    for node, name in graph.data_nodes:
        before = (depth[tensor] + (owner[tensor] != name) for tensor in reads(node) if tensor in depth)
        rank = max(before, default=1)
        depth |= dict.fromkeys(filter(None, node.output), rank)
        owner |= dict.fromkeys(filter(None, node.output), name)
        found[name] = max(rank, found.get(name, 0))
    return found


def describe_shape(sizes: Iterable[object]) -> str:
    """Sizes for people, with crosses between them."""
    return "\u00d7".join(map(str, sizes))


__all__ = ["Layer", "LayeredGraph", "Quantizer", "SlotMap", "Weights", "describe_shape", "ranks"]
