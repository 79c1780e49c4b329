"""From a Keras model to a graph: the handlers, called along the walk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from onnx import TensorProto

from sparse_qonnx.errors import UnsupportedLayerError
from sparse_qonnx.export.call import LayerCall
from sparse_qonnx.export.foreign import convert
from sparse_qonnx.export.registry import Handler, find_handler, takes_any_numbers, takes_any_types
from sparse_qonnx.export.values import DenseValue, MaskValue, SparseValue, Value
from sparse_qonnx.export.walk import Visit, operations, require_graph, walk
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.naming import Names
from sparse_qonnx.origin import assigned


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
        self.wanted = output_names(require_graph(model))
        inputs = {tensor.name for tensor in model.inputs}
        self.graph = GraphBuilder(model.name, _reserved(require_graph(model), self.wanted) - inputs)
        self.names = Names()
        self.visits: list[tuple[Value, ...]] = []

    def run(self) -> Trace:
        source = require_graph(self.model)
        self._require_reduction()
        inputs = [self._input(tensor) for tensor in source.inputs]
        values = walk(self.model, inputs, self._visit)
        self.graph.release()
        for value, wanted in zip(values, self.wanted, strict=True):
            self._output(value, wanted)
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
        self.names.keep(tensor.name)
        return DenseValue(self.graph.input(tensor.name, shape), shape)

    def _name(self, visit: Visit) -> str:
        """The layer's own name; where it is taken, with the names of the models around it, then with a number."""
        base = str(visit.operation.name)
        if base in self.names and visit.path:
            base = ".".join((*visit.path, base))
        return self.names(base)

    def _visit(self, visit: Visit) -> list[Value]:
        shapes = tuple(tuple(int(n or 0) for n in shape[1:]) for shape in visit.output_shapes)
        call = LayerCall(self.graph, visit.operation, self._name(visit), visit.args, visit.kwargs, shapes)
        self.graph.layer = call.name
        _check_dtype(call)
        function: Handler = find_handler(type(visit.operation)) or convert
        if _is_float(call) and not takes_any_numbers(function):
            function = convert
        if not takes_any_types(function):
            call = replace(call, args=self._as_floats(visit.args), kwargs=self._as_floats(visit.kwargs))
        result = function(call)
        values = result if isinstance(result, tuple) else (result,)
        self.visits.append(values)
        return list(values)

    def _as_floats(self, arguments: Any) -> Any:
        """The arguments with float32 in place of integers and truth values."""
        from keras import tree

        def convert_value(value: Any) -> Any:
            if not isinstance(value, DenseValue) or self.graph.elem_type(value.name) == TensorProto.FLOAT:
                return value
            (name,) = self.graph.node("Cast", [value.name], [f"{value.name}.float"], to=TensorProto.FLOAT)
            return replace(value, name=name)

        return tree.map_structure(convert_value, arguments)

    def _output(self, value: Value, wanted: str) -> None:
        """Give a value out, under the name that a dictionary has for it, or its own."""
        graph = self.graph
        if isinstance(value, MaskValue):
            raise UnsupportedLayerError(
                f"model {self.model.name!r}",
                f"gives the keep mask of {value.coords.name!r} out",
                allowed="feature maps and dense tensors as outputs",
                fix="leave the mask out; the coordinates are in the file",
            )
        if wanted in graph.inputs:
            wanted = f"{wanted}.output"
        name = value.name
        graph.layer = next((assigned(node) for node in reversed(graph.nodes) if name in node.output), "")
        if isinstance(value, SparseValue):
            spatial, target = [value.coords.height, value.coords.width], wanted or f"{name}.dense"
            (name,) = graph.sparse("SparseToDense", [name, value.coords.name], [target], spatial_shape=spatial)
        elif name in graph.inputs or name in graph.outputs or wanted not in ("", name):
            (name,) = graph.node("Identity", [name], [wanted or f"{name}.output"])
        graph.output(name)


def output_names(graph: Any) -> list[str]:
    """What outputs given as a dictionary are called: their keys, joined by dots where they are nested; else empty.

    In the order of `graph.outputs`, which is that of the sorted keys.
    """
    from keras import tree

    paths = [path for path, _ in tree.flatten_with_path(graph._outputs_struct)]
    return [".".join(map(str, path)) if any(isinstance(key, str) for key in path) else "" for path in paths]


def _reserved(graph: Any, wanted: list[str]) -> set[str]:
    """Names of outputs that the layers which make them do not bear anyway."""
    makers = [str(tensor._keras_history.operation.name) for tensor in graph.outputs]
    return {name for name, maker in zip(wanted, makers, strict=True) if name and name != maker}


def _is_float(call: LayerCall) -> bool:
    """Whether a layer of Keras's own, which has no quantizers, reads numbers that are on no grid."""
    numbers = any(isinstance(value, DenseValue) and value.float_head for value in call.inputs)
    return numbers and type(call.layer).__module__.startswith("keras.")


def _check_dtype(call: LayerCall) -> None:
    kind = getattr(call.layer, "compute_dtype", "float32")
    if kind not in ("float32", "float64"):
        call.refuse(f"computes in {kind}", allowed="float32 or float64", fix="build it with dtype='float32'")
