"""Generated firmware, C-simulated, against the NumPy reference: every tensor of random networks, value for value."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from sparse_qonnx.fixed import FixedPointType, OverflowMode, RoundingMode
from sparse_qonnx.graph import GraphBuilder
from sparse_qonnx.hls import HlsProject, to_hls
from sparse_qonnx.hls import project as hls_project
from sparse_qonnx.passes import finalize
from sparse_qonnx.passes.infer_grids import infer_grids
from sparse_qonnx.reference import run_reference

MODES = [(r.value, o.value) for r in RoundingMode for o in OverflowMode if o is not OverflowMode.WRAP_SM]
MODES += [("RND", "WRAP_SM"), ("RND_CONV", "WRAP_SM")]


@dataclass
class Network:
    """A network being drawn: the graph so far and its current sparse tensor."""

    seed: int
    graph: GraphBuilder = field(init=False)
    rng: np.random.Generator = field(init=False)
    features: str = ""
    coords: str = ""
    spatial: tuple[int, int] = (0, 0)
    count: int = 0

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.graph = GraphBuilder(f"random_{self.seed}")

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    @property
    def channels(self) -> int:
        return int(self.graph.shape(self.features)[-1])

    def weights(self, *shape: int) -> np.ndarray:
        return (self.rng.integers(-7, 8, shape) * (self.rng.random(shape) < 0.8) / 8).astype(np.float32)

    def reduce(self, height: int, width: int, channels: int, slots: int, threshold: float) -> None:
        image = self.graph.input("image", [height, width, channels])
        names = ["reduce", "reduce.coords"]
        options = {"n_max_pixels": slots, "threshold": threshold}
        self.features, self.coords = self.graph.sparse("InputReduce", [image], names, **options)
        self.spatial = (height, width)

    def conv(self, filters: int, kernel: tuple[int, int], dilations: tuple[int, int] = (1, 1), group: int = 1) -> None:
        name = self.name("conv")
        w = self.graph.quantized_constant(f"{name}.kernel", self.weights(filters, self.channels // group, *kernel))
        b = self.graph.quantized_constant(f"{name}.bias", self.weights(filters))
        options = {"kernel_shape": list(kernel), "dilations": list(dilations), "group": group}
        (self.features,) = self.graph.sparse("SparseConv", [self.features, self.coords, w, b], [name], **options)

    def relu(self) -> None:
        (self.features,) = self.graph.node("Relu", [self.features], [self.name("relu")])

    def quantize(self, shape: tuple[int, ...], at_pixels: bool = False) -> None:
        name = self.name("quant")
        draw = (self.rng.integers(0, 2, shape), self.rng.integers(-1, 5, shape), self.rng.integers(-1, 6, shape))
        formats = [self.graph.constant(f"{name}.{p}", v.astype(np.float32)) for p, v in zip("kif", draw, strict=True)]
        rounding, overflow = MODES[self.rng.integers(len(MODES))]
        inputs = [self.features, *formats, *([self.coords] if at_pixels else [])]
        modes = {"rounding_mode": rounding, "overflow_mode": overflow}
        (self.features,) = self.graph.sparse("FixedPointQuant", inputs, [name], **modes)

    def pool(self, mode: str, kernel: tuple[int, int]) -> None:
        name = self.name("pool")
        options = {"mode": mode, "kernel_shape": list(kernel), "spatial_shape": list(self.spatial)}
        names = [name, f"{name}.coords"]
        self.features, self.coords = self.graph.sparse("SparsePool", [self.features, self.coords], names, **options)
        self.spatial = (self.spatial[0] // kernel[0], self.spatial[1] // kernel[1])

    def dense(self, units: int) -> None:
        name = self.name("dense")
        w = self.graph.quantized_constant(f"{name}.kernel", self.weights(self.channels, units))
        b = self.graph.quantized_constant(f"{name}.bias", self.weights(units))
        (product,) = self.graph.node("MatMul", [self.features, w], [f"{name}.matmul"])
        (self.features,) = self.graph.node("Add", [product, b], [name])

    def flatten(self) -> None:
        name = self.name("flatten")
        inputs = [self.features, self.coords]
        (x,) = self.graph.sparse("SparseToDense", inputs, [f"{name}.dense"], spatial_shape=list(self.spatial))
        (self.features,) = self.graph.node("Flatten", [x], [name])

    def model(self, precision: str) -> ModelProto:
        self.graph.output(self.features)
        return finalize(self.graph.build(), precision)


def conv_chain(seed: int) -> ModelProto:
    """Two channels in, groups, dilation, an even kernel; pooling by a power of two; formats per channel and pixel."""
    n = Network(seed)
    n.reduce(12, 11, 2, 9, 0.3)
    n.conv(4, (3, 4), dilations=(1, 2))
    n.quantize((1, 1, 4))
    n.conv(6, (2, 3), group=2)
    n.quantize((12, 11, 6), at_pixels=True)
    n.pool("average", (2, 2))
    n.quantize((1, 1, 1))
    n.flatten()
    n.dense(5)
    n.relu()
    n.quantize((1, 5))
    n.dense(3)
    return n.model("ap_fixed<7,2>")


def odd_average(seed: int) -> ModelProto:
    """A window of nine leaves a divisor, which travels through max pooling and ReLU to quantizers of every kind."""
    n = Network(seed)
    n.reduce(13, 10, 1, 12, 0.0)
    n.conv(3, (3, 3))
    n.pool("average", (3, 3))
    n.relu()
    n.quantize((4, 3, 1), at_pixels=True)
    n.pool("max", (2, 1))
    n.flatten()
    n.dense(2)
    return n.model("ap_ufixed<6,1>")


def joined(seed: int) -> ModelProto:
    """A sum and a concatenation of branches on the same coordinates, one with a divisor; a maximum at the end."""
    n = Network(seed)
    n.reduce(9, 9, 1, 8, -0.5)
    n.pool("average", (3, 2))
    start = n.features
    n.conv(2, (3, 3))
    left = n.features
    n.features = start
    n.quantize((1, 1, 1))
    n.conv(2, (1, 1))
    (total,) = n.graph.node("Add", [left, n.features], ["total"])
    (n.features,) = n.graph.node("Concat", [total, n.features], ["both"], axis=-1)
    n.relu()
    n.pool("max", (1, 2))
    inputs = [n.features, n.coords]
    (n.features,) = n.graph.sparse("SparseToDense", inputs, ["image.dense"], spatial_shape=list(n.spatial))
    axes = n.graph.constant("axes", np.array([1, 2], dtype=np.int64))
    (n.features,) = n.graph.node("ReduceMax", [n.features, axes], ["largest"], keepdims=0)
    return n.model("ap_fixed<5,1>")


def events(model: ModelProto, precision: FixedPointType, n_events: int, seed: int) -> np.ndarray:
    """Images on the grid, from empty to full."""
    rng = np.random.default_rng(seed)
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    x = rng.integers(precision.lowest, precision.highest, (n_events, *shape), endpoint=True) * 2.0**-precision.frac
    share = np.linspace(0, 1, n_events)[:, None, None, None]
    return (x * (rng.random((n_events, *shape[:2], 1)) < share)).astype(np.float32)


def assert_exact(project: HlsProject, model: ModelProto, x: np.ndarray) -> None:
    """Every tensor of the firmware equals the reference; sums of quotients, which float only approaches, nearly."""
    grids = infer_grids(model).grids
    names = [name for name in project.tensors if name not in [v.name for v in model.graph.input]]
    wanted = run_reference(model, {model.graph.input[0].name: x}, names)
    found = project.predict_tensors(x, names)
    for name in names:
        grid = grids.get(name)
        if grid is not None and grid.rounded:
            np.testing.assert_allclose(found[name], wanted[name], rtol=1e-6, atol=1e-6, err_msg=name)
        else:
            same = found[name].astype(wanted[name].dtype)  # a rounded quotient: its nearest float
            np.testing.assert_array_equal(same, wanted[name], err_msg=name)


CASES = [
    (conv_chain, "ap_fixed<7,2>", 1),
    (conv_chain, "ap_fixed<7,2>", 2),
    (odd_average, "ap_ufixed<6,1>", 3),
    (odd_average, "ap_ufixed<6,1>", 4),
    (joined, "ap_fixed<5,1>", 5),
]


@pytest.mark.parametrize(("draw", "precision", "seed"), CASES)
def test_every_tensor_is_exact(draw, precision: str, seed: int, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model = draw(seed)
    project = to_hls(model, tmp_path / "firmware")
    assert_exact(project, model, events(model, FixedPointType.parse(precision), 120, seed))


def test_trace_holds_every_tensor_and_tells_how_far_it_is(
    small_model: Path, small_events: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hls_project, "_BATCH_VALUES", 1000)
    project = to_hls(small_model, tmp_path / "firmware")
    calls: list[tuple[int, int]] = []
    found = project.trace(small_events, progress=lambda done, total: calls.append((done, total)))
    assert list(found) == list(project.tensors) and all(len(v) == len(small_events) for v in found.values())
    np.testing.assert_array_equal(found["image"], small_events)
    assert len(calls) > 1 and calls == sorted(calls) and calls[-1] == (20, 20)
    monkeypatch.undo()
    for name, values in project.trace(small_events).items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
