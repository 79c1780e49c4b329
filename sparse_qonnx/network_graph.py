"""What is under a `Network`: nodes and constants that are appended together or not at all, names, operands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast, final

import onnx_ir as ir
from onnx import ModelProto, TensorProto, ValueInfoProto

from sparse_qonnx.errors import ConfigurationError
from sparse_qonnx.graph import IR_VERSION, OPSETS, infer_node
from sparse_qonnx.naming import Names
from sparse_qonnx.origin import LAYER_KEY


@final
@dataclass(frozen=True)
class SparseMap:
    """A sparse feature map: the kept pixels of an image of `height` rows and `width` columns.

    Attributes:
        features: values of the pixels, `[batch, N, C]`; an empty slot holds 0.
        coords: their 1-based rows and columns, int64 `[batch, N, 2]`; (0, 0) marks an empty slot.
    """

    features: ir.Value
    coords: ir.Value
    height: int
    width: int


Method = TypeVar("Method", bound=Callable[..., Any])


def whole(method: Method) -> Method:
    """A method that adds all of its nodes and constants, or none: whoever mends a mistake may use the name again."""

    @wraps(method)
    def call(self: NetworkGraph, *args: Any, **kwargs: Any) -> Any:
        nodes, values = len(self._graph), len(self._values)
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            self._forget(nodes, values)
            raise

    return cast("Method", call)


class NetworkGraph:
    """The graph of a network.

    Args:
        name: name of the graph.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._graph = ir.Graph([], [], nodes=[], opset_imports=dict(OPSETS), name=name)
        self._values: dict[str, ir.Value] = {}
        self._names = Names(first=0)
        self._infos: dict[str, ValueInfoProto] = {}
        self._tensors: dict[str, TensorProto] = {}

    def _to_proto(self) -> ModelProto:
        self._graph.name = self.name
        return ir.to_proto(ir.Model(self._graph, ir_version=IR_VERSION))

    def _append(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        names: Sequence[str],
        domain: str,
        attributes: Mapping[str, Any],
        layer: str = "",
    ) -> list[ir.Value]:
        """Append a node; it belongs to the layer of its first result unless another is given."""
        known = [None if value is None else self._own(value) for value in inputs]
        results = [ir.Value(name=name) for name in names]
        settings = {k: list(v) if isinstance(v, tuple) else v for k, v in attributes.items()}
        first = names[0]
        says = {LAYER_KEY: layer or first}
        node = ir.node(op_type, known, settings, domain=domain, outputs=results, name=first, metadata_props=says)
        self._graph.append(node)
        for value, info in zip(results, self._infer(results), strict=True):
            ir.serde.deserialize_value_info_proto(info, value)
            self._keep(value)
        return results

    def _initializer(self, tensor: ir.TensorProtocol) -> ir.Value:
        """Add a constant, whose name was not taken."""
        assert tensor.name is not None
        self._tensors[tensor.name] = ir.to_proto(tensor)
        value = ir.val(tensor.name, tensor.dtype, tensor.numpy().shape, const_value=tensor)
        self._graph.register_initializer(value)
        return self._keep(value)

    def _forget(self, nodes: int, values: int) -> None:
        """Remove all but the first nodes and values."""
        for node in reversed(list(self._graph)[nodes:]):
            self._graph.remove(node, safe=True)
        for name in list(self._values)[values:]:
            self._graph.initializers.pop(name, None)
            del self._values[name], self._infos[name]
            self._tensors.pop(name, None)
        self._names = Names(self._values, first=0)

    def _infer(self, results: Sequence[ir.Value]) -> list[ValueInfoProto]:
        producer = results[0].producer()
        assert producer is not None
        return infer_node(ir.to_proto(producer), self._infos, self._tensors)

    def _new(self, name: object) -> str:
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"name {name!r}", "is no name", allowed="text that is not empty")
        if name in self._names:
            raise ConfigurationError(
                f"name {name!r}", "is used twice", allowed="one value a name", fix="choose another"
            )
        self._names.keep(name)
        return name

    def _named(self, op_type: str, name: str | None) -> str:
        return self._new(name) if name else self._names.numbered(op_type.lower())

    def _keep(self, value: ir.Value) -> ir.Value:
        assert value.name is not None
        self._values[value.name] = value
        self._infos[value.name] = ir.to_proto(value)
        return value

    def _own(self, value: object) -> ir.Value:
        if not isinstance(value, ir.Value):
            fix = (
                "its features and coords are values"
                if isinstance(value, SparseMap)
                else "constant(name, array) makes one"
            )
            problem = f"is a {type(value).__name__}, no value of the network {self.name!r}"
            raise ConfigurationError("an operand", problem, fix=fix)
        if value.name is None or self._values.get(value.name) is not value:
            raise ConfigurationError(f"value {value.name!r}", f"is not of the network {self.name!r}")
        return value

    def _map(self, where: str, x: object) -> SparseMap:
        """A feature map."""
        if not isinstance(x, SparseMap):
            problem = f"reads {self._own(x).name!r}, which is no sparse feature map"
            fix = "input_reduce(image, n_max_pixels) makes one of an image"
            raise ConfigurationError(where, problem, allowed="a SparseMap", fix=fix)
        return x

    def _dense(self, where: str, x: object) -> ir.Value:
        """An ordinary tensor."""
        if isinstance(x, SparseMap):
            problem = f"reads {x.features.name!r}, which is a sparse feature map"
            fix = "flatten(x) or to_dense(x) makes an ordinary one of it"
            raise ConfigurationError(where, problem, allowed="an ordinary tensor", fix=fix)
        return self._own(x)
