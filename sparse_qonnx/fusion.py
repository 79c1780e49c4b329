"""Rewriting of a loaded model for the native kernels, in memory: the file never changes, and neither does any value.

Three things happen, each only where no tensor that disappears is an output of the model:

* what depends on constants alone (weights behind their `Quant`, casts of them) is computed once;
* SparseToDense, Flatten, MatMul and Add become one node that visits the active pixels only. Its sums are added up in
  another order, so this needs the proof that they are exact (`passes.infer_grids`); without it nothing is touched;
* Relu and the quantizer behind a convolution or such a dense layer become part of it.

The fused operators exist only here and in the native library; they have no function bodies and are in no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from sparse_qonnx.errors import SparseQonnxError
from sparse_qonnx.fixed import quantize
from sparse_qonnx.graph import QUANT_DOMAIN, all_values, initializers, tensor_shape
from sparse_qonnx.grid import FLOAT32_BITS, FLOAT64_BITS
from sparse_qonnx.naming import Names
from sparse_qonnx.ops import DOMAIN
from sparse_qonnx.ops._base import Shape
from sparse_qonnx.ops.fixed_point_quant import NO_COORDS
from sparse_qonnx.passes.infer_grids import Proof, infer_grids, node_attributes
from sparse_qonnx.standard.quant import quant
from sparse_qonnx.uses import reads

Array = NDArray[Any]

FUSED_DOMAIN = "sparse_qonnx.ops.fused"

_EXACT_BITS = {np.dtype(np.float32): FLOAT32_BITS, np.dtype(np.float64): FLOAT64_BITS}
_QUANTIZERS = {(DOMAIN, "FixedPointQuant"), (QUANT_DOMAIN, "Quant")}


def fuse(model: ModelProto) -> ModelProto:
    """The same network for the native kernels; only they can run the result.

    Args:
        model: any model; what is not recognised stays as it is.

    Returns:
        A rewritten copy, with nodes of the domain `sparse_qonnx.ops.fused`.
    """
    graph = _Graph(model)
    _fold_constants(graph)
    for scatter in graph.find(DOMAIN, "SparseToDense"):
        _fuse_dense(graph, scatter)
    for conv in graph.find(DOMAIN, "SparseConv"):
        _fuse_conv(graph, conv)
    return graph.build()


def fold_constants(model: ModelProto) -> ModelProto:
    """A copy in which weights behind a `Quant` or a `Cast` are constants."""
    graph = _Graph(model)
    _fold_constants(graph)
    return graph.build()


class _Graph:
    """Nodes in topological order, with who reads what."""

    def __init__(self, model: ModelProto) -> None:
        self.model = model
        self.nodes: list[NodeProto] = list(model.graph.node)
        self.constants = initializers(model)
        self.made: dict[str, Array] = {}
        self.values = all_values(model)
        self.outputs = {v.name for v in model.graph.output}
        self._names = Names.of_tensors(model)
        self._proof: Proof | None = None

    def find(self, domain: str, op_type: str) -> Iterator[NodeProto]:
        return iter([n for n in self.nodes if (n.domain, n.op_type) == (domain, op_type)])

    def only_reader(self, name: str) -> NodeProto | None:
        """The one node that reads a tensor nobody else needs."""
        readers = [node for node in self.nodes if name in reads(node)]
        if name in self.outputs or len(readers) != 1 or list(readers[0].input).count(name) != 1:
            return None
        return readers[0]

    def constant(self, wanted: str, values: Array) -> str:
        name = self._names(wanted)
        self.constants[name] = self.made[name] = values
        return name

    def fresh(self, like: str) -> str:
        """Name of a new tensor."""
        return self._names(f"{like}.sparse")

    def replace(self, old: list[NodeProto], new: list[NodeProto]) -> None:
        """Put nodes where the last of the old ones was."""
        place = max(self.nodes.index(node) for node in old)
        self.nodes[place + 1 : place + 1] = new
        self.nodes = [node for node in self.nodes if not any(node is gone for gone in old)]

    def shape(self, name: str) -> Shape:
        """Shape of a tensor, () where it is not stated."""
        return tensor_shape(self.values[name]) if name in self.values else ()

    def is_exact(self, matmul: NodeProto, weights: Array) -> bool:
        """Whether every order of the sums of a MatMul gives the same values."""
        proof = self.proof
        source, result = proof.grids.get(matmul.input[0]), proof.nodes.get(matmul.name)
        if source is None or result is None or result.outputs[0] is None:
            return False
        if source.rounded_in_sums:  # quotients: each one is rounded, and so is every sum of them
            return False
        return result.bits <= _EXACT_BITS.get(weights.dtype, 0)

    @property
    def proof(self) -> Proof:
        """Grids of the model as it was loaded; empty where nothing can be proven."""
        if self._proof is None:
            names = [node.name for node in self.model.graph.node]
            try:
                self._proof = infer_grids(self.model) if len({*names}) == len(names) else Proof()
            except SparseQonnxError:  # what cannot be proven is left as it is
                self._proof = Proof()
        return self._proof

    def build(self) -> ModelProto:
        result = ModelProto()
        result.CopyFrom(self.model)
        graph = result.graph
        del graph.node[:], graph.quantization_annotation[:]
        graph.node.extend(self.nodes)
        read = self.outputs.union(*map(reads, self.nodes))
        kept = [t for t in graph.initializer if t.name in read]
        kept += [numpy_helper.from_array(np.ascontiguousarray(v), n) for n, v in self.made.items() if n in read]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        written = {name for node in self.nodes for name in node.output}
        middle = [v for v in graph.value_info if v.name in written]
        del graph.value_info[:]
        graph.value_info.extend(middle)
        if any(node.domain == FUSED_DOMAIN for node in self.nodes):
            result.opset_import.append(helper.make_opsetid(FUSED_DOMAIN, 1))
        return result


def _attributes(node: NodeProto) -> dict[str, Any]:
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}


def _cast(node: NodeProto, values: Array) -> Array:
    return values.astype(helper.tensor_dtype_to_np_dtype(_attributes(node)["to"]))


def _quant(node: NodeProto, *inputs: Array) -> Array:
    with np.errstate(all="ignore"):
        return quant(*inputs, **_attributes(node))


def _product(_: NodeProto, a: Array, b: Array) -> Array:
    return np.asarray(a * b)


_FOLDED: dict[tuple[str, str], Callable[..., Array]] = {
    ("", "Cast"): _cast,
    ("", "Mul"): _product,  # a bias times a carried divisor
    (QUANT_DOMAIN, "Quant"): _quant,
}


def _fold_constants(graph: _Graph) -> None:
    for node in list(graph.nodes):
        compute = _FOLDED.get((node.domain, node.op_type))
        inputs = [graph.constants.get(name) for name in node.input]
        if compute is None or any(array is None for array in inputs) or node.output[0] in graph.outputs:
            continue
        if node.op_type == "Quant" and any(array is not None and array.dtype != np.float32 for array in inputs):
            continue  # the reference computes in float32, the kernel in the type it is given
        graph.constants[node.output[0]] = graph.made[node.output[0]] = compute(node, *inputs)
        graph.nodes = [other for other in graph.nodes if other is not node]


# ---- Relu and a quantizer behind a node --------------------------------------------------------------------------


@dataclass
class _Epilogue:
    """What follows a node and becomes part of it."""

    result: str
    nodes: list[NodeProto] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    parameters: list[str] = field(default_factory=list)


def _epilogue(graph: _Graph, result: str, channels: int, coords: str | None) -> _Epilogue:
    found = _Epilogue(result)
    reader = graph.only_reader(found.result)
    if reader is not None and (reader.domain, reader.op_type) == ("", "Relu"):
        found.nodes.append(reader)
        found.attributes["relu"] = 1
        found.result = reader.output[0]
        reader = graph.only_reader(found.result)
    if reader is None or (reader.domain, reader.op_type) not in _QUANTIZERS or reader.input[0] != found.result:
        return found
    parameters = [graph.constants.get(name) for name in reader.input[1:4]]
    if len(parameters) != 3 or any(p is None for p in parameters):
        return found
    by_pixel = _has_coords(graph, reader)
    if by_pixel and (coords is None or reader.input[4] != coords):
        return found
    if not by_pixel and not all(_fits(reader, p, channels) for p in parameters if p is not None):
        return found
    found.nodes.append(reader)
    found.attributes |= {**node_attributes(reader), "quantizer": reader.op_type, "by_pixel": int(by_pixel)}
    found.parameters = list(reader.input[1:4])
    found.result = reader.output[0]
    return found


def _has_coords(graph: _Graph, node: NodeProto) -> bool:
    if node.op_type != "FixedPointQuant" or len(node.input) < 5 or not node.input[4]:
        return False
    constant = graph.constants.get(node.input[4])
    return constant is None or not np.array_equal(constant, NO_COORDS)


def _fits(node: NodeProto, parameter: Array, channels: int) -> bool:
    """Whether a parameter is one number, or one number a channel where the kernel can have that."""
    if parameter.size == 1:
        return parameter.ndim <= 1 or node.op_type == "FixedPointQuant"
    return node.op_type == "FixedPointQuant" and parameter.size == channels == parameter.shape[-1]


def _fused(name: str, op_type: str, inputs: list[str], epilogue: _Epilogue, **attributes: Any) -> NodeProto:
    if epilogue.parameters:
        inputs = [*inputs, *epilogue.parameters]
    while inputs and not inputs[-1]:
        inputs.pop()
    return helper.make_node(
        op_type, inputs, [epilogue.result], name=name, domain=FUSED_DOMAIN, **attributes, **epilogue.attributes
    )


def _fuse_conv(graph: _Graph, conv: NodeProto) -> None:
    weights = graph.constants.get(conv.input[2])
    if weights is None or weights.ndim != 4:
        return
    epilogue = _epilogue(graph, conv.output[0], weights.shape[0], conv.input[1])
    if not epilogue.nodes:
        return
    inputs = [*conv.input, ""][:4]
    graph.replace([conv, *epilogue.nodes], [_fused(conv.name, "SparseConv", inputs, epilogue, **_attributes(conv))])


# ---- a dense layer over pixels -----------------------------------------------------------------------------------


@dataclass
class _Pixels:
    """A sparse map, and the image `[H, W, C]` it stands for."""

    features: str
    coords: str
    image: tuple[int, int, int]


def _fuse_dense(graph: _Graph, scatter: NodeProto) -> None:
    """Everything between the pixels and the sums of a dense layer happens to pixels, or is not needed at all."""
    height, width = _attributes(scatter)["spatial_shape"]
    channels = (graph.shape(scatter.output[0]) or (None,))[-1]
    if not isinstance(channels, int):
        return
    pixels = _Pixels(scatter.input[0], scatter.input[1], (height, width, channels))
    way = _way_to_matmul(graph, scatter.output[0], pixels)
    if way is None:
        return
    old, new = way
    matmul = old[-1]
    weights = graph.constants.get(matmul.input[1])
    if weights is None or weights.ndim != 2 or weights.shape[0] != height * width * channels:
        return
    if len(graph.shape(matmul.input[0])) != 2 or not np.isfinite(weights).all() or not graph.is_exact(matmul, weights):
        return
    units = weights.shape[1]
    by_pixel = weights.T.reshape(units, height, width, channels).transpose(0, 3, 1, 2)
    kernel = graph.constant(f"{matmul.input[1]}.pixels", by_pixel)
    result, bias, add = _bias(graph, matmul.output[0], units)
    epilogue = _epilogue(graph, result, units, None)
    new.append(_fused(matmul.name, "SparseDense", [pixels.features, pixels.coords, kernel, bias], epilogue))
    graph.replace([scatter, *old, *add, *epilogue.nodes], new)


def _way_to_matmul(graph: _Graph, image: str, pixels: _Pixels) -> tuple[list[NodeProto], list[NodeProto]] | None:
    """The nodes from an image to the next MatMul, and those that do the same to its pixels; these move along."""
    old: list[NodeProto] = []
    new: list[NodeProto] = []
    while True:
        node = graph.only_reader(image)
        if node is None or node.input[0] != image:
            return None
        kind = (node.domain, node.op_type)
        old.append(node)
        image = node.output[0]
        if kind == ("", "MatMul"):
            return old, new
        if kind in _LAYOUT:
            continue
        moved = _MOVED[kind](graph, node, pixels) if kind in _MOVED else None
        if moved is None:
            return None
        new.append(moved)
        pixels.features = moved.output[0]


def _bias(graph: _Graph, sums: str, units: int) -> tuple[str, str, list[NodeProto]]:
    """Name of the result, name of the bias, and the Add of one number a unit, where there is one."""
    add = graph.only_reader(sums)
    if add is None or (add.domain, add.op_type) != ("", "Add"):
        return sums, "", []
    (other,) = [name for name in add.input if name != sums]
    values = graph.constants.get(other)
    if values is None or values.ndim not in (1, 2) or not values.size == units == values.shape[-1]:
        return sums, "", []
    return add.output[0], graph.constant(f"{other}.row", values.reshape(-1)), [add]


def _to_pixels(graph: _Graph, node: NodeProto, pixels: _Pixels) -> NodeProto | None:
    """An elementwise operator that leaves 0 as it is."""
    moved = NodeProto()
    moved.CopyFrom(node)
    moved.input[0], moved.output[0] = pixels.features, graph.fresh(node.output[0])
    return moved


def _quant_to_pixels(graph: _Graph, node: NodeProto, pixels: _Pixels) -> NodeProto | None:
    parameters = [graph.constants.get(name) for name in node.input[1:4]]
    known = [p for p in parameters if p is not None and p.size == 1 and p.dtype == np.float32]
    if len(known) != 3 or _quant(node, np.zeros((), np.float32), *known).any():
        return None
    return _to_pixels(graph, node, pixels)


def _fixed_point_to_pixels(graph: _Graph, node: NodeProto, pixels: _Pixels) -> NodeProto | None:
    """One quantizer for each element of the image becomes one map, read at the pixels."""
    parameters = [graph.constants.get(name) for name in node.input[1:4]]
    rank = len(graph.shape(node.output[0]))
    found = [_as_map(p, rank, pixels.image) for p in parameters if p is not None]
    maps = [m for m in found if m is not None]
    if len(maps) != 3 or _has_coords(graph, node):
        return None
    modes: dict[str, Any] = node_attributes(node)
    k, i, f = maps
    if quantize(np.zeros(pixels.image, k.dtype), k, i, f, modes["rounding_mode"], modes["overflow_mode"]).any():
        return None
    moved = _to_pixels(graph, node, pixels)
    if moved is not None:
        uniform = all(m.size == 1 for m in maps)
        names = [graph.constant(f"{n}.map", m) for n, m in zip(node.input[1:4], maps, strict=True)]
        del moved.input[1:]
        moved.input.extend([*names, *([] if uniform else [pixels.coords])])
    return moved


def _as_map(parameter: Array, rank: int, image: tuple[int, int, int]) -> Array | None:
    """A parameter of the image `[B, H, W, C]` or of the flat `[B, H*W*C]` as one that broadcasts to `[H, W, C]`."""
    if parameter.size == 1:
        return parameter.reshape(1)
    if parameter.ndim == rank:
        if parameter.shape[0] != 1:
            return None
        parameter = parameter[0]
    if rank == 4:
        return parameter
    return parameter.reshape(image) if rank == 2 and parameter.size == np.prod(image) else None


_LAYOUT = {("", "Flatten"), ("", "Reshape")}
"""Row-major order is all that is left of the image; `_fuse_dense` checks that it is flat in the end."""

_MOVED: dict[tuple[str, str], Callable[[_Graph, NodeProto, _Pixels], NodeProto | None]] = {
    ("", "Cast"): _to_pixels,
    ("", "Relu"): _to_pixels,
    (QUANT_DOMAIN, "Quant"): _quant_to_pixels,
    (DOMAIN, "FixedPointQuant"): _fixed_point_to_pixels,
}
"""The node that does to pixels what another does to the whole image; None where that is not the same."""
