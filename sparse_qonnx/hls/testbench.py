"""The test bench, its events, and what the firmware has to answer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from sparse_qonnx.errors import PrecisionError
from sparse_qonnx.hls.emit import INDENT, called, held, using
from sparse_qonnx.hls.templates import render
from sparse_qonnx.hls.typed import Tensor, TypedGraph
from sparse_qonnx.reference import run_reference

Array = NDArray[np.float64]


def random_events(graph: TypedGraph, n_events: int, seed: int = 0) -> dict[str, Array]:
    """Events on the input grid: an empty one, a full one, then random pixels, from few to more than there are slots."""
    rng = np.random.default_rng(seed)
    events = {}
    slots = max((layer.outputs[0].shape[0] for layer in graph.layers if layer.op_type == "InputReduce"), default=0)
    for tensor in graph.inputs:
        kind = tensor.type
        whole = np.int64 if kind.signed else np.uint64  # 64 bits fit one of them
        shape = (n_events, *tensor.shape)
        x = rng.integers(kind.lowest, kind.highest, shape, dtype=whole, endpoint=True).astype(np.float64)
        if slots and len(tensor.shape) == 3:
            pixels = tensor.shape[0] * tensor.shape[1]
            share = np.linspace(0.0, min(1.0, 2.5 * slots / pixels), n_events)
            x *= rng.random((n_events, *tensor.shape[:2], 1)) < share[:, None, None, None]
        if n_events > 1:
            x[1] = kind.highest
        x[0] = 0
        events[tensor.name] = x * 2.0**-kind.frac
    return events


def expected_outputs(graph: TypedGraph, model: ModelProto, events: dict[str, Array]) -> dict[str, Array]:
    """What the firmware has to give, as stored (numerators where a divisor is pending), from the NumPy reference."""
    names = [tensor.name for tensor in graph.outputs]
    found = run_reference(model, {k: v.astype(np.float32) for k, v in events.items()}, names)
    for name in names:
        if not np.isfinite(found[name]).all():
            fix = "give the model input fewer integer bits"
            raise PrecisionError(f"output {name!r}", "is NaN or infinity for some event", allowed="numbers", fix=fix)
    return {t.name: _stored(t, np.asarray(found[t.name], dtype=np.float64)) for t in graph.outputs}


def _stored(tensor: Tensor, values: Array) -> Array:
    if tensor.divisor == 1:
        return values
    steps = np.rint(values * tensor.divisor * 2.0**tensor.type.frac)
    return np.asarray(steps * 2.0**-tensor.type.frac)


def data_file(tensors: list[Tensor], values: dict[str, Array]) -> str:
    """One event a line, all its tensors in order, as decimals that read back exactly."""
    events = len(next(iter(values.values())))
    flat = [values[t.name].reshape(events, -1) for t in tensors]
    return "".join(" ".join(_exact(v) for part in flat for v in part[n]) + "\n" for n in range(events))


def _exact(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def source(graph: TypedGraph, n_events: int) -> str:
    """`<top>_test.cpp`."""
    pad = " " * 8
    body = [INDENT + line for line in using(graph)]
    body += [f"{pad}{t.type_name} {held(t)}[{t.size}];" for t in graph.inputs]
    body += [f"{pad}if (!read(inputs, {held(t)}, {t.size})) break;" for t in graph.inputs]
    body += called(graph, pad)
    for name in (t.identifier for t in (*graph.inputs, *graph.outputs) if t.values_per_word):
        complaint = f'std::cerr << "event " << event << ": words are left in {name}\\n";'
        body += [f"{pad}if (!{name}.empty()) {{", f"{pad}{INDENT}{complaint}", f"{pad}{INDENT}return 1;", f"{pad}}}"]
    body += [
        f'{pad}if (!compare(outputs, "{t.identifier}", event, {held(t)}, {t.size}, {t.tolerance!r})) break;'
        for t in graph.outputs
    ]
    return render("test.cpp.in", TOP=graph.top, BODY="\n".join(body), N_EVENTS=str(n_events))
