"""Small Keras models with trained-like random numbers, and the comparison of their files with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from sparse_qonnx.graph import all_values

Array = NDArray[Any]

FLOAT_HEADS = ("Softmax", "Sigmoid")


def sparse_model(
    body: Callable[[Any, Any], Any],
    shape: tuple[int, int, int] = (8, 7, 2),
    reduce: dict[str, Any] | None = None,
    seed: int = 0,
) -> Any:
    """Input, InputReduce, `body(x, mask)`; with random weights and widths.

    Args:
        body: builds the rest of the model from the feature map and the keep mask.
        shape: `(H, W, C)` of the input `x_in`.
        reduce: arguments of InputReduce; by default 6 pixels, not learned.
        seed: of the random numbers.
    """
    import keras
    from sparsepixels.layers import InputReduce

    source = keras.Input(shape, name="x_in")
    arguments = {"n": 6, "learn_n": False, "learn_threshold": False, "name": "reduce", **(reduce or {})}
    x, mask = InputReduce(**arguments)(source)
    model = keras.Model(source, body(x, mask), name="model")
    randomize(model, seed)
    return model


def randomize(model: Any, seed: int) -> None:
    """Give weights and bit widths values such as training leaves: no two alike, widths not whole, some 0."""
    from hgq.quantizer import Quantizer

    rng = np.random.default_rng(seed)
    quantizers = [layer for layer in model._flatten_layers() if isinstance(layer, Quantizer)]
    owned = {id(v) for q in quantizers for v in q.variables}
    for variable in model.variables:
        if id(variable) not in owned and "float" in variable.dtype and "reduce" not in variable.path:
            values = rng.normal(0, 1, variable.shape)
            variable.assign(np.abs(values) + 0.1 if "variance" in variable.path else values)
    for quantizer in quantizers:
        _random_widths(quantizer, rng)


def _random_widths(quantizer: Any, rng: np.random.Generator) -> None:
    internal = quantizer.quantizer
    if not hasattr(internal, "_k"):
        return
    shape = internal._k.shape
    internal._k.assign(rng.integers(0, 2, shape))
    internal._i.assign(rng.integers(-1, 3, shape) + rng.uniform(-0.4, 0.4, shape))
    name, low, high = ("_b", 0, 7) if hasattr(internal, "_b") else ("_f", -1, 5)
    getattr(internal, name).assign(rng.integers(low, high, shape) + rng.uniform(-0.4, 0.4, shape))


def events(shape: tuple[int, int, int] = (8, 7, 2), count: int = 12, seed: int = 0, frac: int = 4) -> Array:
    """Images `[count, H, W, C]` on a grid of 2**-frac, from empty to full."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-(2 ** (frac + 1)), 2 ** (frac + 2), (count, *shape)) / 2**frac
    density = np.linspace(0, 1, count).reshape(-1, 1, 1, 1) ** 2
    return (x * (rng.random((count, *shape[:2], 1)) < density)).astype(np.float32)


def uses_float64(model: ModelProto) -> bool:
    """Whether any tensor of the file needs more than 24 bits, or is the quotient of one that does."""
    from sparse_qonnx.implementations import quotient_tolerances

    return bool(quotient_tolerances(model)) or any(
        v.type.tensor_type.elem_type == TensorProto.DOUBLE for v in all_values(model).values()
    )


def float_head_tensors(model: ModelProto) -> set[str]:
    """Tensors whose values are not fixed-point numbers."""
    found: set[str] = set()
    for node in model.graph.node:
        if node.op_type in FLOAT_HEADS or found.intersection(node.input):
            found.update(node.output)
    return found


def assert_exact(
    model: Any, x: Array | Sequence[Array], input_precision: str = "ap_fixed<10,6>", qonnx: bool = False
) -> ModelProto:
    """Export and compare every tensor of every layer: Keras = NumPy reference = stock onnxruntime, value for value."""
    from sparse_qonnx.export import export
    from sparse_qonnx.export.freeze import reference_outputs
    from sparse_qonnx.reference import run_reference
    from sparse_qonnx.runtime import run_qonnx, run_tensors

    arrays = list(x) if isinstance(x, (list, tuple)) else [x]
    proto = export(model, None, input_precision)
    want = reference_outputs(model, arrays, float64=uses_float64(proto))
    feeds = {value.name: array for value, array in zip(proto.graph.input, arrays, strict=True)}
    heads = float_head_tensors(proto)
    runners = [run_reference, run_tensors, *([run_qonnx] if qonnx else [])]
    for run in runners:
        got = run(proto, feeds, list(want))
        for name, value in want.items():
            if name in heads:  # exp and division are rounded differently by every library
                np.testing.assert_allclose(got[name], value, rtol=0, atol=1e-6, err_msg=f"{run.__name__}: {name}")
            else:
                assert_same_numbers(got[name], value, f"{run.__name__}: tensor {name!r}")
    return proto


def assert_same_numbers(got: Array, want: Array, what: str) -> None:
    """Equal values in the type of the file; Keras may have computed in a wider one."""
    assert got.shape == want.shape, f"{what}: shape {got.shape}, Keras has {want.shape}"
    want = want.astype(got.dtype)
    if not np.array_equal(got, want, equal_nan=got.dtype.kind == "f"):
        place = np.argwhere(got != want)[0]
        raise AssertionError(
            f"{what}: {np.sum(got != want)} of {want.size} values differ, first at {place.tolist()}: "
            f"{got[tuple(place)]!r}, Keras has {want[tuple(place)]!r}"
        )
