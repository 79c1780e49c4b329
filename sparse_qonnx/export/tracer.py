"""From a Keras model to a graph: the handlers, called along the walk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparse_qonnx.errors import UnsupportedLayerError
from sparse_qonnx.export.call import LayerCall
from sparse_qonnx.export.foreign import convert
from sparse_qonnx.export.registry import find_handler, takes_any_numbers
from sparse_qonnx.export.values import DenseValue, MaskValue, SparseValue, Value
from sparse_qonnx.export.walk import Visit, operations, require_graph, walk
from sparse_qonnx.graph import GraphBuilder


@dataclass(frozen=True)
class Trace:
    """A traced model.

    Args:
        graph: the graph, outputs declared.
        visits: the results of each layer call, in the order of the walk.
        inputs: the model's inputs.
    """

    graph: GraphBuilder
    visits: tuple[tuple[Value, ...], ...]
    inputs: tuple[DenseValue, ...]


def trace(model: Any) -> Trace:
    """Trace a functional or Sequential Keras model.

    Raises:
        UnsupportedLayerError: naming the layer that cannot be exported exactly.
        PrecisionError: naming the weights that are on no grid float32 holds.
    """
    return _Tracer(model).run()


class _Tracer:
    def __init__(self, model: Any) -> None:
        self.model = model
        self.graph = GraphBuilder(model.name)
        self.names: set[str] = set()
        self.visits: list[tuple[Value, ...]] = []

    def run(self) -> Trace:
        source = require_graph(self.model)
        self._require_reduction()
        inputs = [self._input(tensor) for tensor in source.inputs]
        for value in walk(self.model, inputs, self._visit):
            self._output(value)
        return Trace(self.graph, tuple(self.visits), tuple(inputs))

    def _require_reduction(self) -> None:
        if any(type(op).__name__ == "InputReduce" for op in operations(self.model)):
            return
        raise UnsupportedLayerError(
            f"model {self.model.name!r}",
            "has no InputReduce layer, so nothing in it is sparse",
            allowed="models whose image inputs pass through sparsepixels.layers.InputReduce",
            fix="add InputReduce(n=...) after the input, or export a dense model with qonnx or tf2onnx",
        )

    def _input(self, tensor: Any) -> DenseValue:
        where = f"input {tensor.name!r}"
        if tensor.dtype not in ("float32", "float64"):
            raise UnsupportedLayerError(
                where, f"has dtype {tensor.dtype}", allowed="float32 or float64", fix="declare Input(dtype='float32')"
            )
        shape = tuple(tensor.shape[1:])
        if None in shape:
            raise UnsupportedLayerError(
                where,
                f"has shape {list(shape)} with an unknown dimension",
                allowed="known sizes; only the batch dimension is free",
                fix="declare Input(shape=(H, W, C)) with numbers",
            )
        self.names.add(tensor.name)
        return DenseValue(self.graph.input(tensor.name, shape), shape, is_input=True)

    def _name(self, visit: Visit) -> str:
        """The layer's own name; where it is taken, with the names of the models around it, then with a number."""
        base = str(visit.operation.name)
        if base in self.names and visit.path:
            base = ".".join((*visit.path, base))
        name, n = base, 0
        while name in self.names:
            n += 1
            name = f"{base}_{n}"
        self.names.add(name)
        return name

    def _visit(self, visit: Visit) -> list[Value]:
        shapes = tuple(tuple(int(n or 0) for n in shape[1:]) for shape in visit.output_shapes)
        call = LayerCall(self.graph, visit.operation, self._name(visit), visit.args, visit.kwargs, shapes)
        _check_dtype(call)
        function = find_handler(type(visit.operation))
        if function is None or (_is_float(call) and not takes_any_numbers(function)):
            function = convert
        result = function(call)
        values = result if isinstance(result, tuple) else (result,)
        self.visits.append(values)
        return list(values)

    def _output(self, value: Value) -> None:
        graph = self.graph
        if isinstance(value, MaskValue):
            raise UnsupportedLayerError(
                f"model {self.model.name!r}",
                f"gives the keep mask of {value.coords.name!r} out",
                allowed="feature maps and dense tensors as outputs",
                fix="leave the mask out; the coordinates are in the file",
            )
        name = value.name
        if isinstance(value, SparseValue):
            spatial = [value.coords.height, value.coords.width]
            (name,) = graph.sparse("SparseToDense", [name, value.coords.name], [f"{name}.dense"], spatial_shape=spatial)
        elif name in graph.inputs or name in graph.outputs:
            (name,) = graph.node("Identity", [name], [f"{name}.output"])
        graph.output(name)


def _is_float(call: LayerCall) -> bool:
    """Whether a layer of Keras's own, which has no quantizers, reads numbers that are on no grid."""
    numbers = any(isinstance(value, DenseValue) and value.float_head for value in call.inputs)
    return numbers and type(call.layer).__module__.startswith("keras.")


def _check_dtype(call: LayerCall) -> None:
    kind = getattr(call.layer, "compute_dtype", "float32")
    if kind not in ("float32", "float64"):
        call.refuse(f"computes in {kind}", allowed="float32 or float64", fix="build it with dtype='float32'")
