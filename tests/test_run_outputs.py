"""`sparse-qonnx run`: every output, in the format that the file's name says, from events of any numeric type."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from sparse_qonnx import cli
from sparse_qonnx.comparison import Report
from sparse_qonnx.datasets import InMemoryEvents, open_events
from sparse_qonnx.errors import ConfigurationError, InputDataError, OutputPathError
from sparse_qonnx.files import read_model
from sparse_qonnx.fixed import FixedPointType
from sparse_qonnx.offgrid import OffGrid
from sparse_qonnx.runtime import run_tensors
from sparse_qonnx.streaming.formats import format_of
from sparse_qonnx.streaming.resume import RestartWarning, Resumable
from sparse_qonnx.streaming.run import run_to_file
from sparse_qonnx.verify import verify

NAMES = ("softmax", "dense", "reduce.coords")


@pytest.fixture(scope="module")
def several(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`small_model` with three outputs."""
    model = onnx.load(small_model)
    inner = {value.name: value for value in model.graph.value_info}
    model.graph.output.extend(inner[name] for name in NAMES[1:])
    path = tmp_path_factory.mktemp("several") / "several.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture
def x(tmp_path: Path, small_events: np.ndarray) -> Path:
    np.save(tmp_path / "x.npy", small_events)
    return tmp_path / "x.npy"


@pytest.fixture
def wanted(several: Path, small_events: np.ndarray) -> dict[str, np.ndarray]:
    return run_tensors(several, {"image": small_events}, NAMES)


def read_hdf5(path: Path) -> dict[str, np.ndarray]:
    h5py = pytest.importorskip("h5py", reason="needs the [hdf5] extra")
    with h5py.File(path) as file:
        return {name: file[name][()] for name in file}


READERS: dict[str, Callable[[Path], Any]] = {
    ".npz": lambda path: dict(np.load(path)),
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
}


@pytest.mark.parametrize("ending", READERS)
def test_every_output(
    several: Path, x: Path, wanted: dict[str, np.ndarray], ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    output = x.with_name(f"y{ending}")
    command = ["run", str(several), "--input", str(x), "--kernels", "function", "--batch-size", "7", "-o", str(output)]
    assert cli.main(command) == 0
    found = READERS[ending](output)
    assert set(found) == set(NAMES)
    for name in NAMES:
        assert found[name].dtype == wanted[name].dtype
        assert np.allclose(found[name], wanted[name], rtol=0, atol=0 if name != "softmax" else 1e-6)
        assert f"{name} {list(wanted[name].shape)} {wanted[name].dtype}" in capsys.readouterr().out or name != NAMES[0]
    assert {path.name for path in x.parent.iterdir()} == {"x.npy", output.name}


def test_one_of_several(
    several: Path, x: Path, wanted: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    """Never silently the first."""
    command = ["run", str(several), "--input", str(x), "-o", str(x.with_name("y.npy"))]
    assert cli.main(command) == 2
    assert "is to hold 3 tensors: softmax, dense, reduce.coords" in capsys.readouterr().err
    assert not x.with_name("y.npy").exists()
    assert cli.main([*command, "--tensor", "dense"]) == 0
    assert np.array_equal(np.load(x.with_name("y.npy")), wanted["dense"])
    assert cli.main([*command, "--tensor", "dense", "--tensor", "conv"]) == 2
    assert cli.main([*command[:-1], str(x.with_name("z.npz")), "--tensor", "dense", "--tensor", "conv"]) == 0
    assert set(np.load(x.with_name("z.npz"))) == {"dense", "conv"}


@pytest.mark.parametrize("name", ["y.csv", "y.txt", "y.npy.gz", "y.onnx"])
def test_other_endings(several: Path, x: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", str(several), "--input", str(x), "-o", str(x.with_name(name))]) == 2
    assert "Allowed: .npy for one tensor, .npz or .h5 for any number" in capsys.readouterr().err
    assert {path.name for path in x.parent.iterdir()} == {"x.npy"}


@pytest.mark.parametrize("names", [("a", "a/b"), ("/a",), ("a//b",), ("a/../b",), (".",), ("a/",), ("a\0",)])
def test_names_that_hdf5_has_not(names: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("h5py", reason="needs the [hdf5] extra")
    with pytest.raises(ConfigurationError, match=r"cannot hold a tensor named.*\.npz"):
        format_of(tmp_path / "y.h5", names)
    format_of(tmp_path / "y.h5", ["a", "b/c", "b/d"])
    with pytest.raises(OutputPathError, match="no format"):
        format_of(tmp_path / "y.h6", names)


@pytest.mark.parametrize("ending", [".npz", ".h5"])
@pytest.mark.parametrize("done", [6, 20])
def test_interrupted_and_gone_on_with(several: Path, x: Path, ending: str, done: int, monkeypatch: Any) -> None:
    """A kill before the end, and one while the file is made of the part."""
    model = read_model(several)
    options: dict[str, Any] = {"batch": 3, "kernels": "function"}
    monkeypatch.setattr("sparse_qonnx.streaming.spans.SPAN_BYTES", 1)
    monkeypatch.setattr("sparse_qonnx.streaming.formats._PIECE", 500)
    events = open_events(model, [str(x)])
    whole, output = x.with_name(f"whole{ending}"), x.with_name(f"y{ending}")
    result = run_to_file(model, events, whole, **options)

    def stop(so_far: int, total: int) -> None:
        if so_far >= done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_to_file(model, events, output, progress=stop, **options)
    assert not output.exists()
    assert run_to_file(model, events, output, **options) == result
    assert output.read_bytes() == whole.read_bytes()
    assert {path.name for path in x.parent.iterdir()} == {"x.npy", whole.name, output.name}


# ---- events of any numeric type -------------------------------------------------------------------------------------

KINDS = ["?", "u1", "i1", ">u2", "i2", "i4", "u8", "f2", "f4", ">f8"]


@pytest.mark.parametrize("kind", KINDS)
def test_events_of_any_type(small_model: Path, tmp_path: Path, small_events: np.ndarray, kind: str) -> None:
    model = read_model(small_model)
    x = np.minimum(np.round(small_events), 1).astype(kind)
    np.save(tmp_path / "x.npy", x)
    wanted = run_tensors(model, {"image": x.astype(np.float32)}, ["dense"])["dense"]
    run_to_file(model, open_events(model, [str(tmp_path / "x.npy")]), tmp_path / "y.npy", tensors=["dense"])
    assert np.array_equal(np.load(tmp_path / "y.npy"), wanted)
    report = verify(model, x)
    assert report.ok
    assert report.input_values_changed == 0


def test_events_of_any_type_in_pictures_and_firmware(
    small_model: Path, tmp_path: Path, small_events: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sparse_qonnx as sq

    monkeypatch.setenv("CXXFLAGS", "-O0")
    project = sq.to_hls(small_model, tmp_path / "firmware")
    x = np.minimum(np.round(small_events), 1)
    wanted = project.predict(x, tensor="dense")
    for kind in KINDS:
        assert np.array_equal(project.predict(x.astype(kind), tensor="dense"), wanted)
    pytest.importorskip("matplotlib", reason="needs the [report] extra")
    sq.plot_event(small_model, x[3].astype(np.uint8))


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (np.full((2, 6, 8, 1), 2**24 + 1), r"holds 16777217\. Allowed: integers of at most 16777216"),
        (np.full((2, 6, 8, 1), -(2**31), np.int32), "holds -2147483648"),
        (np.full((2, 6, 8, 1), 2**64 - 1, np.uint64), "holds 18446744073709551615"),
        (np.zeros((2, 6, 8, 1), np.complex64), "has type complex64"),
        (np.zeros((2, 6, 8, 1), np.longdouble), "has type "),
        (np.zeros((2, 6, 8, 1), "U3"), "has type <U3"),
        (np.zeros((2, 6, 8, 1), "M8[s]"), "has type datetime64"),
    ],
)
def test_events_that_would_change(small_model: Path, tmp_path: Path, x: np.ndarray, problem: str) -> None:
    model = read_model(small_model)
    with pytest.raises(InputDataError, match=problem):
        verify(model, x)
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(InputDataError, match="type|numbers" if x.dtype.kind in "MU" else problem):
        run_to_file(model, open_events(model, [str(tmp_path / "x.npy")]), tmp_path / "y.npy")
    assert not (tmp_path / "y.npy").exists()


# ---- off the grid ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_rounding_and_saturation_are_told_apart(kind: type) -> None:
    """ap_ufixed<6,1>: steps of 1/32 up to 63/32."""
    values = np.array([0, 1 / 32, 63 / 32, 1 / 64, 63.4 / 32, 63.6 / 32, 2, -1 / 32, np.inf, np.nan, -1e30, 3e38], kind)
    found = OffGrid.count(values, FixedPointType.parse("ap_ufixed<6,1>"))
    assert found == OffGrid(12, rounded=2, saturated=6, not_numbers=1)
    assert found.changed == 9
    assert OffGrid.count(values, None) == OffGrid(12)
    wide = FixedPointType.parse("ap_fixed<64,1>")
    assert OffGrid.count(np.array([0.5, -1.0, 1.0, 3e38], kind), wide) == OffGrid(4, saturated=2)


def test_verify_says_which(small_model: Path, small_events: np.ndarray) -> None:
    x = small_events.copy()
    x[3, 2, 2, 0], x[4, 1, 1, 0], x[5, 0, 0, 0] = 0.3, 17.0, -1
    report = verify(small_model, x)
    assert report.ok
    assert (report.inputs.rounded, report.inputs.saturated) == (1, 2)
    text = "Inputs: 3 of 960 values were not on the input grid: 1 between two values of the input type, rounded, "
    assert text + "2 out of its range, saturated" in str(report)


def test_run_says_how_many(
    small_model: Path, small_events: np.ndarray, x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", str(small_model), "--input", str(x), "-o", str(x.with_name("y.npy"))]
    assert cli.main(command) == 0
    assert "grid" not in capsys.readouterr().out
    off = small_events.copy()
    off[3, 2, 2, 0], off[4, 1, 1, 0], off[19, 0, 0, 0] = 0.3, 17.0, -1
    np.save(x, off)
    assert cli.main(command) == 0
    text = (
        "Inputs: 3 of 960 values were not on the input grid: 1 between two values of the input type, 2 out of its range"
    )
    assert text in capsys.readouterr().out
    assert np.array_equal(np.load(x.with_name("y.npy")), run_tensors(small_model, {"image": off})["softmax"])


def test_what_was_counted_survives_an_interruption(small_model: Path, small_events: np.ndarray, tmp_path: Path) -> None:
    model = read_model(small_model)
    off = small_events.copy()
    off[0, 0, 0, 0], off[19, 0, 0, 0] = 0.3, 17
    events = InMemoryEvents({"image": off})

    def stop(so_far: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparse_qonnx.streaming.spans.SPAN_BYTES", 1)
        with pytest.raises(KeyboardInterrupt):
            run_to_file(model, events, tmp_path / "y.npy", batch=3, progress=stop)
        result = run_to_file(model, events, tmp_path / "y.npy", batch=3)
    assert result.inputs == OffGrid(960, rounded=1, saturated=1)


# ---- states that somebody else wrote --------------------------------------------------------------------------------

DAMAGE = {
    "events": "6",
    "more events": 10**30,
    "arrays": 5,
    "names": [],
    "type": [["O", [3]]],
    "no type": [[None, [3]]],
    "other type": [["<f8", [3]]],
    "shape": [["<f4", ["3"]]],
    "negative shape": [["<f4", [-3]]],
    "counts": {"values": "x"},
    "unknown count": {"valves": 1},
    "negative count": {"values": -1},
    "half a count": {"values": 1.5},
}


@pytest.mark.filterwarnings("default::sparse_qonnx.streaming.resume.RestartWarning")
@pytest.mark.parametrize("kind", DAMAGE)
def test_progress_that_is_none(small_model: Path, small_events: np.ndarray, tmp_path: Path, kind: str) -> None:
    """The run begins again, and says so."""
    model, events = read_model(small_model), InMemoryEvents({"image": small_events})
    run_to_file(model, events, tmp_path / "whole.npy", batch=3)
    key = {"events": "events", "more events": "events"}.get(kind, "off_grid" if "count" in kind else "arrays")

    def stop(so_far: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sparse_qonnx.streaming.spans.SPAN_BYTES", 1)
        done = Resumable.done
        patch.setattr(Resumable, "done", lambda self, progress: done(self, {**progress, key: DAMAGE[kind]}))
        with pytest.raises(KeyboardInterrupt):
            run_to_file(model, events, tmp_path / "y.npy", batch=3, progress=stop)
    with pytest.warns(RestartWarning, match="begins again"):
        run_to_file(model, events, tmp_path / "y.npy", batch=3)
    assert (tmp_path / "y.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.parametrize(
    "change",
    [{"events": "many"}, {"inputs": {"values": "x"}}, {"table": [{"tensor": 5}]}, {"notes": 5}, {"compared": 0}],
)
def test_a_report_that_is_none(small_model: Path, small_events: np.ndarray, change: dict[str, Any]) -> None:
    report = verify(small_model, small_events[:2])
    data = report.to_dict()
    assert Report.from_dict(data) == report
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        Report.from_dict({**data, **change})
    with pytest.raises(ValueError, match="other tensors"):
        report + Report.from_dict({**data, "table": data["table"][1:]})
