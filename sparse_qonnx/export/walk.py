"""The one way through a Keras model: every call of every layer in topological order, nested models opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sparse_qonnx.errors import UnsupportedLayerError


@dataclass(frozen=True)
class Visit:
    """A layer about to be called.

    Args:
        operation: the Keras layer or operation.
        args: positional arguments, what flows in place of Keras tensors.
        kwargs: keyword arguments.
        output_shapes: shapes of the results, batch dimension first.
        path: names of the nested models around it, outermost first.
    """

    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output_shapes: tuple[tuple[int | None, ...], ...]
    path: tuple[str, ...]


def graph_of(model: Any) -> Any | None:
    """The functional graph of a Keras model, None where its `call` is Python code."""
    import keras
    from keras.src.models.functional import Functional

    if isinstance(model, keras.Sequential) and type(model).call is keras.Sequential.call:
        model = getattr(model, "_functional", None)
    return model if isinstance(model, Functional) and type(model).call is Functional.call else None


def require_graph(model: Any) -> Any:
    """The functional graph of a model.

    Raises:
        UnsupportedLayerError: for subclassed and unbuilt models.
    """
    graph = graph_of(model)
    if graph is not None:
        return graph
    raise UnsupportedLayerError(
        f"model {getattr(model, 'name', type(model).__name__)!r} ({type(model).__name__})",
        "has no graph to read: its call() is Python code, or it was never built",
        allowed="functional models, keras.Model(inputs, outputs), and built Sequential models",
        fix="build it with the functional API: wrap the call in keras.Model(inputs, outputs)",
    )


def operations(model: Any) -> Iterator[Any]:
    """Every layer and operation, nested ones included."""
    for operation in require_graph(model).operations:
        nested = graph_of(operation)
        if nested is None:
            yield operation
        else:
            yield from operations(nested)


def walk(model: Any, inputs: Sequence[Any], visit: Callable[[Visit], Any], path: tuple[str, ...] = ()) -> list[Any]:
    """Run through the graph with whatever `visit` computes on.

    Args:
        model: functional or Sequential model.
        inputs: what flows into it, in the order of `model.inputs`.
        visit: called for each layer in a fixed topological order; returns its results in the structure Keras has.
        path: names of the models around this one.

    Returns:
        What flows out, in the order of `model.outputs`.
    """
    from keras import tree

    graph = require_graph(model)
    values = {id(tensor): value for tensor, value in zip(graph.inputs, inputs, strict=True)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input or not node.operation:
                continue
            args, kwargs = node.arguments.fill_in(values)
            if graph_of(node.operation) is not None:
                nested = _nested_inputs(node.operation, args)
                results = walk(node.operation, nested, visit, (*path, node.operation.name))
            else:
                shapes = tuple(tuple(t.shape) for t in node.outputs)
                results = tree.flatten(visit(Visit(node.operation, args, kwargs, shapes, path)))
            values.update({id(t): value for t, value in zip(node.outputs, results, strict=True)})
    return [values[id(tensor)] for tensor in graph.outputs]


def _nested_inputs(model: Any, args: tuple[Any, ...]) -> list[Any]:
    """Arguments of a nested model in the order of its inputs; dictionaries are keyed by input name."""
    from keras import tree

    if len(args) == 1 and isinstance(args[0], dict):
        return [args[0][tensor.name] for tensor in require_graph(model).inputs]
    return tree.flatten(list(args))  # type: ignore[no-any-return]
