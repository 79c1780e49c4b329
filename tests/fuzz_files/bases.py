"""The valid files that are mutated: tiny, each with other operators, together with most nodes that have a rule."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.passes import finalize

Build = Callable[[GraphBuilder], None]


def _weights(*shape: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(len(shape))
    return (rng.integers(-7, 8, shape) / 8).astype(np.float32)


def _formats(g: GraphBuilder, name: str, shape: tuple[int, ...], bits: tuple[int, int, int]) -> list[str]:
    return [g.constant(f"{name}.{p}", np.full(shape, b, np.float32)) for p, b in zip("kif", bits, strict=True)]


def _reduced(g: GraphBuilder, height: int, width: int, channels: int, n: int) -> tuple[str, str]:
    image = g.input("image", [height, width, channels])
    x, coords = g.sparse("InputReduce", [image], ["reduce", "reduce.coords"], n_max_pixels=n, threshold=0.25)
    return x, coords


def network(g: GraphBuilder) -> None:
    """Every operator of ours, a dense head, a softmax."""
    x, coords = _reduced(g, 4, 4, 1, 3)
    (x,) = g.sparse("FixedPointQuant", [x, *_formats(g, "iq", (1, 1, 1), (0, 0, 3))], ["iq"], overflow_mode="SAT")
    w, b = g.quantized_constant("conv.kernel", _weights(2, 1, 3, 3)), g.quantized_constant("conv.bias", _weights(2))
    (x,) = g.sparse("SparseConv", [x, coords, w, b], ["conv.linear"], kernel_shape=[3, 3])
    (x,) = g.node("Relu", [x], ["conv"])
    pool = {"mode": "average", "kernel_shape": [2, 2], "spatial_shape": [4, 4]}
    x, coords = g.sparse("SparsePool", [x, coords], ["pool", "pool.coords"], **pool)
    (x,) = g.sparse("SparseToDense", [x, coords], ["scatter"], spatial_shape=[2, 2])
    (x,) = g.node("Flatten", [x], ["flatten"])
    (x,) = g.node("MatMul", [x, g.quantized_constant("dense.kernel", _weights(8, 2))], ["dense.matmul"])
    (x,) = g.node("Add", [x, g.quantized_constant("dense.bias", _weights(2))], ["dense"])
    (x,) = g.node("Softmax", [x], ["softmax"])
    g.output(x)


def per_pixel(g: GraphBuilder) -> None:
    """Formats that differ from pixel to pixel, two channels, a maximum, the image as output."""
    x, coords = _reduced(g, 3, 4, 2, 4)
    maps = _formats(g, "iq", (3, 4, 2), (1, 1, 2))
    (x,) = g.sparse("FixedPointQuant", [x, *maps, coords], ["iq"], rounding_mode="RND_CONV", overflow_mode="WRAP")
    pool = {"mode": "max", "kernel_shape": [1, 2], "spatial_shape": [3, 4]}
    x, coords = g.sparse("SparsePool", [x, coords], ["pool", "pool.coords"], **pool)
    (x,) = g.sparse("SparseToDense", [x, coords], ["scatter"], spatial_shape=[3, 2])
    g.output(x)


def grouped(g: GraphBuilder) -> None:
    """A dilated, grouped convolution without bias, and a global average."""
    x, coords = _reduced(g, 4, 5, 2, 3)
    (x,) = g.sparse("FixedPointQuant", [x, *_formats(g, "iq", (1, 1, 2), (1, 1, 2))], ["iq"], overflow_mode="SAT_SYM")
    w = g.quantized_constant("conv.kernel", _weights(4, 1, 2, 3))
    attributes = {"kernel_shape": [2, 3], "dilations": [2, 1], "group": 2}
    (x,) = g.sparse("SparseConv", [x, coords, w], ["conv"], **attributes)
    (x,) = g.sparse("SparseToDense", [x, coords], ["scatter"], spatial_shape=[4, 5])
    (x,) = g.node("ReduceMean", [x, g.constant("axes", np.array([1, 2], np.int64))], ["mean"], keepdims=0)
    g.output(x)


def dense(g: GraphBuilder) -> None:
    """Two inputs and the standard operators that carry a grid."""
    a, b = g.input("a", [6]), g.input("b", [6])
    (x,) = g.node("Add", [a, b], ["sum"])
    (x,) = g.node("Concat", [x, b], ["both"], axis=-1)
    (x,) = g.node("Mul", [x, g.quantized_constant("factor", _weights(12) * 2)], ["product"])
    (x,) = g.sparse("FixedPointQuant", [x, *_formats(g, "q", (1,), (1, 2, 2))], ["q"])
    (x,) = g.node("Reshape", [x, g.constant("shape", np.array([-1, 3, 4], np.int64))], ["square"])
    (x,) = g.node("Transpose", [x], ["turned"], perm=[0, 2, 1])
    (x,) = g.node("ReduceMax", [x, g.constant("axes", np.array([1], np.int64))], ["most"], keepdims=0)
    (x,) = g.node("Sigmoid", [x], ["chance"])
    g.output(x)


def bare(model: ModelProto) -> ModelProto:
    """The model without function bodies: what onnxruntime runs with the native kernels alone."""
    result = ModelProto()
    result.CopyFrom(model)
    del result.functions[:]
    return result


def coordinates_given(g: GraphBuilder) -> None:
    """Coordinates as constants of the file, where a mutation puts them outside the image."""
    x = g.input("features", [3, 1])
    coords = g.constant("coords", np.array([[[1, 1], [2, 3], [0, 0]]], np.int64))
    (x,) = g.sparse("SparseToDense", [x, coords], ["scatter"], spatial_shape=[2, 3])
    g.output(x)


def constant(model: ModelProto, name: str) -> TensorProto:
    """The constant of that name."""
    return next(t for t in model.graph.initializer if t.name == name)


def bases() -> dict[str, ModelProto]:
    """All files by name."""
    found: dict[str, ModelProto] = {}
    for build, precision in ((network, "ap_ufixed<4,1>"), (per_pixel, "ap_fixed<5,2>"), (grouped, "ap_fixed<4,2>")):
        found[build.__name__] = _built(build, precision)
    found["dense"] = _built(dense, "ap_fixed<4,2>")
    found["coordinates_given"] = _one_event(_built(coordinates_given, "ap_fixed<4,2>"))
    found |= {f"{name}_bare": bare(model) for name, model in list(found.items())}
    return found


def _built(build: Build, precision: str) -> ModelProto:
    g = GraphBuilder(build.__name__)
    build(g)
    return finalize(g.build(), precision)


def _one_event(model: ModelProto) -> ModelProto:
    """Constant coordinates fit one event only."""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.type.tensor_type.shape.dim and value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.CopyFrom(
                helper.make_tensor_value_info(
                    value.name, TensorProto.FLOAT, [1, *(d.dim_value for d in value.type.tensor_type.shape.dim[1:])]
                )
            )
    return model
