"""Operators of dense tensors in firmware: one graph with each of them in several forms, value for value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto

from operators import MOVES, NO_FIRMWARE
from sparse_qonnx.errors import ConfigurationError, UnsupportedNodeError
from sparse_qonnx.fixed import FixedPointType, OverflowMode
from sparse_qonnx.graph import GraphBuilder, all_values
from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.project import HlsProject
from sparse_qonnx.hlscall import View, broadcast_view, strides_of, view
from sparse_qonnx.passes import finalize
from sparse_qonnx.reference import run_reference
from variants import differing

pytestmark = pytest.mark.csim
PRECISION = "ap_fixed<5,2>"
SHAPE = (4, 6, 3)


class Tail:
    """The graph; every result is an output."""

    def __init__(self) -> None:
        self.graph, self.rng = GraphBuilder("tail"), np.random.default_rng(3)
        self.x = self.graph.input("image", SHAPE)

    def floats(self, name: str, values: Any) -> str:
        return self.graph.constant(name, np.array(values, np.float32))

    def steps(self, name: str, *shape: int) -> str:
        return self.floats(name, self.rng.integers(-5, 6, shape) / 4)

    def axes(self, name: str, *values: int) -> str:
        return self.graph.constant(name, np.array(values, np.int64))

    def keep(self, name: str, op_type: str, *inputs: str, **attributes: Any) -> str:
        (result,) = self.graph.node(op_type, list(inputs), [name], **attributes)
        self.graph.output(result)
        return result

    def hide(self, name: str, op_type: str, *inputs: str, **attributes: Any) -> str:
        (result,) = self.graph.node(op_type, list(inputs), [name], **attributes)
        return result

    def quant(self, name: str, x: str, integer: Any, frac: Any, signed: Any = 1, **modes: str) -> str:
        parts = [self.floats(f"{name}.{k}", v) for k, v in (("k", signed), ("i", integer), ("f", frac))]
        (result,) = self.graph.sparse("FixedPointQuant", [x, *parts], [name], **modes)
        return str(result)


def tail() -> ModelProto:
    t = Tail()
    x, elementwise, reduced = t.x, ("Add", "Sub", "Mul", "Max", "Min"), (("row", 3), ("full", *SHAPE), ("column", 6, 1))
    negated = t.keep("neg", "Neg", x)
    third = t.hide("third", "ReduceMean", x, t.axes("third.axes", 3), keepdims=1)  # a pending divisor of 3
    highest = t.keep("highest", "ReduceMax", x, t.axes("highest.axes", 2), keepdims=1)
    for op in elementwise:
        for name, *shape in reduced:
            t.keep(f"{op}.{name}", op, x, t.steps(f"{op}.{name}.constant", *shape))
        t.keep(f"{op}.from", op, t.steps(f"{op}.from.constant", 3), x)
        t.keep(f"{op}.two", op, x, negated)
        t.keep(f"{op}.broadcast", op, highest, x)
        t.keep(f"{op}.divisor", op, third, t.steps(f"{op}.divisor.constant", 1))
        t.keep(f"{op}.divisors", op, x, third)
    t.keep("clip", "Clip", x, t.floats("clip.min", -0.3125), t.floats("clip.max", 1.0))
    t.keep("clip.low", "Clip", x, t.floats("clip.low.min", 0.5))
    t.keep("clip.divisor", "Clip", third, t.floats("clip.third.min", -0.25), t.floats("clip.third.max", 0.5))
    for alpha in (0.25, 1.0, 4.0):
        t.keep(f"leaky{alpha}", "LeakyRelu", x, alpha=alpha)
    for alpha in (0.3, 0.25, 9.0, 0.0):
        t.keep(f"threshold{alpha}", "ThresholdedRelu", x, alpha=alpha)
    t.keep("threshold.divisor", "ThresholdedRelu", third, alpha=0.125)
    for name, body in MOVES.items():
        if "by element" not in name and name.split(" ")[0] not in NO_FIRMWARE:
            t.graph.output(body(t.graph, x, t.rng))
    t.keep("pad.divisor", "Pad", third, t.axes("pad.pads", 0, 1, 0, 0, 0, 0, 1, 0), t.floats("pad.value", 0.0625))
    t.keep("abs.divisor", "Abs", third)
    t.keep("place.divisor", "ArgMax", third, axis=2)
    t.keep("image.again", "Identity", x)
    t.keep("image.flat", "Flatten", x)
    for n, order in enumerate(((0, 3, 1, 2), (0, 2, 1, 3), (0, 3, 2, 1))):
        t.keep(f"transpose{n}", "Transpose", x, perm=order)
    cuts = {"middle": ((1, 0), (3, 5), (1, 2)), "odd": ((1, -2), (99, 99), (2, 3)), "all": ((0,), (4,), (1,))}
    for name, (starts, ends, axes) in cuts.items():
        given = [t.axes(f"slice.{name}.{n}", *v) for n, v in enumerate((starts, ends, axes))]
        t.keep(f"slice.{name}", "Slice", x, *given, t.axes(f"slice.{name}.steps", *(2,) * len(axes)))
    for op in ("ReduceSum", "ReduceMean", "ReduceMax"):
        for n, axes in enumerate(((1,), (3,), (1, 2), (1, 3))):
            t.keep(f"{op}{n}", op, x, t.axes(f"{op}{n}.axes", *axes), keepdims=n % 2)
    # Formats that the values just fit; a reflecting wrap without a sign reflects half of them all the same.
    bounded = t.keep("bounded", "Relu", x)
    for overflow in OverflowMode:
        for k, i, f in ((0, 1, 3), (1, 1, 3), (0, 2, 3), (0, 1, 2)):
            t.graph.output(t.quant(f"{overflow.value}{k}{i}{f}", bounded, i, f, k, overflow_mode=overflow.value))
    # Windows, and elements with different signs and ranges: a maximum must not be taken in the type of its result.
    integer = t.rng.integers(-1, 3, SHAPE)
    mixed = t.quant("mixed", x, integer, np.where(integer < 0, 2, t.rng.integers(0, 4, SHAPE)), integer % 2)
    cut = t.hide("cut", "Reshape", mixed, t.axes("cut.shape", 0, 2, 2, 3, 2, 3))
    for op in ("ReduceMax", "ReduceMean", "ReduceSum"):
        t.keep(f"{op}.windows", op, cut, t.axes(f"{op}.windows.axes", 2, 4), keepdims=0)
    _convolutions(t)
    _tables(t)
    return finalize(t.graph.build(), PRECISION)


def _convolutions(t: Tail) -> None:
    first = t.hide("first", "Transpose", t.x, perm=(0, 3, 1, 2))
    plain = [t.graph.quantized_constant("conv.kernel", t.rng.integers(-3, 4, (4, 3, 3, 2)).astype(np.float32) / 2)]
    plain += [t.graph.quantized_constant("conv.bias", t.rng.integers(-3, 4, 4).astype(np.float32) / 8)]
    t.keep("conv", "Conv", first, *plain, kernel_shape=[3, 2], pads=[1, 0, 1, 1], strides=[1, 2])
    groups = t.graph.quantized_constant("groups.kernel", t.rng.integers(-3, 4, (6, 1, 2, 3)).astype(np.float32))
    t.keep("groups", "Conv", first, groups, kernel_shape=[2, 3], group=3, dilations=[2, 1], pads=[0, 2, 1, 1])
    line = t.hide("line", "Reshape", t.x, t.axes("line.shape", 0, 6, 12))
    t.keep("conv1d", "Conv", line, t.steps("line.kernel", 2, 6, 4), kernel_shape=[4], pads=[3, 0])
    volume = t.hide("volume", "Reshape", t.x, t.axes("volume.shape", 0, 2, 4, 3, 3))
    t.keep("conv3d", "Conv", volume, t.steps("volume.kernel", 2, 2, 2, 2, 1), kernel_shape=[2, 2, 1], strides=[1, 1, 2])


def _tables(t: Tail) -> None:
    """`table[x * 8 + 16]`: the index of an ap_fixed<5,2> starts at 0."""
    table = t.floats("table", t.rng.integers(-9, 10, 32) / 8)
    scaled = t.hide("scaled", "Mul", t.x, t.floats("scale", 8))
    place = t.hide("place", "Add", scaled, t.floats("offset", 16))
    code = t.hide("code", "Cast", place, to=TensorProto.INT64)
    t.keep("table.image", "Gather", table, code, axis=0)
    flat = t.hide("flat", "Reshape", code, t.axes("flat.shape", 0, 72))
    t.keep("table.flat", "Gather", table, flat, axis=0)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelProto, HlsProject]:
    model = tail()
    factors = {"conv": 4, "groups": 1, "conv1d": 12, "table.image": 5, "table.flat": 72}
    layers = {name: {"pixels_per_cycle": n} for name, n in factors.items()}
    return model, to_hls(model, tmp_path_factory.mktemp("tail") / "firmware", config={"layers": layers})


def test_every_operator_is_exact(built: tuple[ModelProto, HlsProject], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXXFLAGS", "-O0")
    model, project = built
    kind = FixedPointType.parse(PRECISION)
    steps = np.random.default_rng(0).integers(kind.lowest, kind.highest, (40, *SHAPE), endpoint=True)
    steps[0], steps[1], steps[2] = 0, kind.lowest, kind.highest
    x = (steps * 2.0**-kind.frac).astype(np.float32)
    names = [name for name in project.tensors if name in all_values(model) and name != "image"]
    assert len(names) > 100
    wanted, found = run_reference(model, {"image": x}, names), project.predict_tensors(x, names)
    for name in names:
        assert differing(wanted[name], found[name], project.tensors[name]) == 0, name


def test_outputs_that_are_one_tensor_have_arrays_of_their_own(built: tuple[ModelProto, HlsProject]) -> None:
    project = built[1]
    identifiers = [t.identifier for t in (*project.graph.inputs, *project.graph.outputs)]
    assert len(set(identifiers)) == len(identifiers)
    x = np.random.default_rng(0).integers(-8, 8, (2, *SHAPE)).astype(np.float32) / 8
    for name in ("image.again", "image.flat"):
        assert np.array_equal(project.predict(x, name).reshape(x.shape), x)


def test_every_operator_is_counted(built: tuple[ModelProto, HlsProject]) -> None:
    rows = {row["layer"]: row for row in built[1].census().rows}
    assert rows["transpose0"]["headline_bits"] == rows["neg"]["headline_bits"] == 0
    assert rows["leaky0.25"]["constant_multiply_bits"] == 0  # a power of two is wires
    assert rows["Mul.two"]["multiplications"] == np.prod(SHAPE) and rows["Mul.row"]["multiplications"] == 0
    assert rows["Add.row"]["add_bits"] > 0 and rows["Max.two"]["compare_bits"] > 0
    assert rows["conv"]["constant_multiplications"] > 0 and rows["conv"]["multiplications"] == 0
    assert rows["table.flat"]["rom_bits"] == 72 * 32 * 5 > rows["table.image"]["rom_bits"]
    assert rows["conv"]["interval"] > rows["conv1d"]["interval"] == 1


# ---- views ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "source"), [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (3, 1)), ((2, 3, 4), (1,)), ((2, 3, 2, 3), (2, 1, 2, 1))]
)
def test_broadcast_views(shape: tuple[int, ...], source: tuple[int, ...]) -> None:
    seen = broadcast_view("here", shape, source)
    places = np.broadcast_to(np.arange(np.prod(source)).reshape(source), shape).ravel()
    np.testing.assert_array_equal(_places(seen), places)
    assert len(seen.padded) == 8


def test_views_merge_what_one_stride_covers() -> None:
    assert view("here", (2, 3, 4), strides_of((2, 3, 4))) == View((24,), (1,))
    assert view("here", (4, 2, 3), (1, 12, 4)) == View((4, 6), (1, 4))
    with pytest.raises(UnsupportedNodeError, match=r"here.*5 strides"):
        view("here", (2, 2, 2, 2, 2), (16, 1, 8, 2, 4))


def _places(seen: View) -> np.ndarray:
    index = np.indices(seen.shape).reshape(len(seen.shape), -1)
    return np.tensordot(np.array(seen.strides), index, 1).ravel()


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_what_has_no_hardware_is_refused_by_name(tmp_path: Path) -> None:
    t = Tail()
    t.keep("curve", "Sin", t.x)
    with pytest.raises(UnsupportedNodeError, match=r"node .*curve.*\(Sin\)"):
        to_hls(finalize(t.graph.build(), PRECISION), tmp_path / "firmware")


@pytest.mark.parametrize("op_type", NO_FIRMWARE)
def test_what_is_exact_only_in_a_file_is_refused_by_name(op_type: str, tmp_path: Path) -> None:
    t = Tail()
    case = next(name for name in MOVES if name.split(" ")[0] == op_type)
    t.graph.output(MOVES[case](t.graph, t.x, t.rng))
    with pytest.raises(UnsupportedNodeError, match=rf"node '\w+' \((Greater|{op_type})\).* not supported in firmware"):
        to_hls(finalize(t.graph.build(), PRECISION), tmp_path / "firmware")


def test_factors_of_tables_and_convolutions_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"layer 'table.flat': pixels_per_cycle is 73.*1 to 72"):
        to_hls(tail(), tmp_path / "firmware", config={"layers": {"table.flat": {"pixels_per_cycle": 73}}})
