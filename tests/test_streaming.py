"""Runs over data sets: the same bytes whole, interrupted, killed, or spread over a cluster."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparse_qonnx
from sparse_qonnx import cli
from sparse_qonnx.datasets import open_events
from sparse_qonnx.errors import ConfigurationError, OutputPathError
from sparse_qonnx.files import read_model
from sparse_qonnx.streaming import resume, spans
from sparse_qonnx.streaming.cluster import look
from sparse_qonnx.streaming.run import run_to_file
from sparse_qonnx.streaming.verify import verify_events
from sparse_qonnx.system.atomic import SUFFIX


class StopError(Exception):
    """Whatever may end a run."""


@pytest.fixture(autouse=True)
def short_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans of one batch."""
    monkeypatch.setattr(spans, "SPAN_BYTES", 1)
    monkeypatch.setattr("sparse_qonnx.streaming.verify.SPAN_BATCHES", 1)


@pytest.fixture
def events(tmp_path: Path, small_events: np.ndarray) -> Path:
    path = tmp_path / "x.npy"
    np.save(path, small_events)
    return path


@pytest.fixture
def whole(tmp_path: Path, small_model: Path, events: Path) -> bytes:
    """What an uninterrupted run gives."""
    run(small_model, events, tmp_path / "whole.npy")
    return (tmp_path / "whole.npy").read_bytes()


def run(model: Path, events: Path, output: Path, **options: Any) -> None:
    proto = read_model(model)
    options = {"kernels": "function", "batch": 3} | options
    run_to_file(proto, open_events(proto, [str(events)]), output, **options)


def stop_at(events: int) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        if done >= events:
            raise StopError

    return progress


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def the_part(folder: Path) -> Path:
    """The one part of an interrupted run in a folder."""
    (found,) = folder.glob("y.*.part")
    return found


def test_the_file_is_what_numpy_writes(tmp_path: Path, small_model: Path, events: Path, whole: bytes) -> None:
    np.save(tmp_path / "numpy.npy", np.load(tmp_path / "whole.npy"))
    assert (tmp_path / "numpy.npy").read_bytes() == whole
    run(small_model, events, tmp_path / "other.npy", batch=20)
    assert (tmp_path / "other.npy").read_bytes() == whole
    assert left(tmp_path) == {"x.npy", "whole.npy", "numpy.npy", "other.npy"}


@pytest.mark.parametrize("checkpoint", [0.0, 1e9], ids=["saved at once", "saved at the end"])
@pytest.mark.parametrize("done", [3, 12, 20])
def test_interrupted_and_gone_on_with(
    tmp_path: Path,
    small_model: Path,
    events: Path,
    whole: bytes,
    done: int,
    checkpoint: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resume, "CHECKPOINT_SECONDS", checkpoint)
    output = tmp_path / "y.npy"
    with pytest.raises(StopError):
        run(small_model, events, output, progress=stop_at(done))
    assert not output.exists()
    seen: list[int] = []
    run(small_model, events, output, progress=lambda done, _: seen.append(done))
    assert output.read_bytes() == whole
    assert seen == list(range(done + 3, 20, 3)) + [20] * (done < 20)
    assert left(tmp_path) == {"x.npy", "whole.npy", "y.npy"}


def test_a_part_longer_than_its_state_is_cut(tmp_path: Path, small_model: Path, events: Path, whole: bytes) -> None:
    """A kill between two states leaves more than was counted, and perhaps half of a value."""
    output = tmp_path / "y.npy"
    with pytest.raises(StopError):
        run(small_model, events, output, progress=stop_at(9))
    with the_part(tmp_path).open("ab") as part:
        part.write(b"\xff" * 101)
    run(small_model, events, output)
    assert output.read_bytes() == whole
    assert left(tmp_path) == {"x.npy", "whole.npy", "y.npy"}


@pytest.mark.parametrize("change", ["input", "model", "batch", "tensor", "kernels"])
def test_something_else_is_refused(tmp_path: Path, small_model: Path, events: Path, whole: bytes, change: str) -> None:
    output = tmp_path / "y.npy"
    with pytest.raises(StopError):
        run(small_model, events, output, progress=stop_at(9))
    before = {path: path.read_bytes() for path in tmp_path.glob("y.npy*")}
    model, options = small_model, {}
    if change == "input":
        os.utime(events, (1, 1))
    elif change == "model":
        other = read_model(small_model.read_bytes())
        other.graph.initializer[0].name, other.doc_string = other.graph.initializer[0].name, "another"
        model = tmp_path / "other.onnx"
        model.write_bytes(other.SerializeToString())
    else:
        options = {"batch": {"batch": 4}, "tensor": {"tensors": ["conv"]}, "kernels": {"kernels": "native"}}[change]
    with pytest.raises(ConfigurationError, match=f"another {change}"):
        run(model, events, output, **options)
    assert {path: path.read_bytes() for path in tmp_path.glob("y.npy*")} == before
    run(model, events, output, restart=True, **options)
    assert output.exists()
    assert not [*tmp_path.glob("y.npy.*")]


def test_two_runs_at_a_time(tmp_path: Path, small_model: Path, events: Path, whole: bytes) -> None:
    output = tmp_path / "y.npy"

    def other(done: int, total: int) -> None:
        for restart in (False, True):
            with pytest.raises(OutputPathError, match="by another run"):
                run(small_model, events, output, restart=restart)

    run(small_model, events, output, progress=other)
    assert output.read_bytes() == whole


def test_files_of_others_are_left_alone(tmp_path: Path, small_model: Path, events: Path) -> None:
    (tmp_path / "y.npy.part").write_text("years of work")
    run(small_model, events, tmp_path / "y.npy")
    (tmp_path / "z.npy.state").write_text("ready")
    for restart in (False, True):
        with pytest.raises(OutputPathError, match="not the state"):
            run(small_model, events, tmp_path / "z.npy", restart=restart)
    assert (tmp_path / "y.npy.part").read_text() == "years of work"
    assert (tmp_path / "z.npy.state").read_text() == "ready"


def test_a_tensor_without_events(tmp_path: Path, small_model: Path, events: Path) -> None:
    with pytest.raises(ConfigurationError, match="an entry an event"):
        run(small_model, events, tmp_path / "y.npy", tensors=["conv.kernel.q"])
    assert left(tmp_path) == {"x.npy"}


def test_killed(tmp_path: Path, small_model: Path, events: Path) -> None:
    """kill -9 in the middle of the command, twice."""
    many = tmp_path / "many"
    many.mkdir()
    for n in range(100):
        (many / f"{n:02}.npy").symlink_to(events)
    arguments = ["run", str(small_model), "--input", f"{many}/*.npy", "--kernels", "function", "--batch-size", "7"]
    assert cli.main([*arguments, "-o", str(tmp_path / "whole.npy")]) == 0
    output, state = tmp_path / "y.npy", tmp_path / "y.npy.state"
    slow = (
        "import sys; from sparse_qonnx import cli; from sparse_qonnx.streaming import resume, spans;"
        "spans.SPAN_BYTES = 1; resume.CHECKPOINT_SECONDS = 0; sys.exit(cli.main(sys.argv[1:]))"
    )
    kills = 0
    for _ in range(2):
        before = state.read_bytes() if state.exists() else b""
        process = subprocess.Popen([sys.executable, "-c", slow, *arguments, "-o", str(output)])
        while process.poll() is None and (not state.exists() or state.read_bytes() == before):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills > 0
    assert cli.main([*arguments, "-o", str(output)]) == 0
    assert output.read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert {name for name in left(tmp_path) if not name.endswith(SUFFIX)} == {"x.npy", "many", "whole.npy", "y.npy"}


# ---- verify ---------------------------------------------------------------------------------------------------------


def test_verify_interrupted_and_gone_on_with(tmp_path: Path, small_model: Path, events: Path) -> None:
    model = read_model(small_model)
    x = open_events(model, [str(events)])
    whole = verify_events(model, x, output=tmp_path / "whole.json", batch=7)
    with pytest.raises(StopError):
        verify_events(model, x, output=tmp_path / "report.json", batch=7, progress=stop_at(14))
    again = verify_events(model, x, output=tmp_path / "report.json", batch=7)
    assert whole.ok
    assert whole.events == 20
    assert again == whole
    assert (tmp_path / "report.json").read_bytes() == (tmp_path / "whole.json").read_bytes()
    assert left(tmp_path) == {"x.npy", "whole.json", "report.json"}


def test_verify_command_writes_its_report(tmp_path: Path, small_model: Path, events: Path) -> None:
    arguments = ["verify", str(small_model), "--input", str(events), "-o", str(tmp_path / "report.json")]
    assert cli.main(arguments) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ok"]
    assert report["events"] == 20
    assert {row["tensor"] for row in report["table"]} >= {"reduce", "conv", "softmax"}
    assert cli.main([*arguments, "--csim", "--dask", "tcp://127.0.0.1:1"]) == 2


# ---- on a cluster ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a local cluster of two workers."""
    distributed = pytest.importorskip("distributed", reason="needs the [cluster] extra")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as local:
        yield local.scheduler_address


def test_cluster(
    tmp_path: Path,
    small_model: Path,
    events: Path,
    whole: bytes,
    cluster: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Run, a run interrupted here and gone on with there, and verify: the same bytes."""
    arguments = [str(small_model), "--input", str(events), "--batch-size", "3"]
    run_command = ["run", *arguments, "--kernels", "function", "-o", str(tmp_path / "y.npy")]
    assert cli.main([*run_command, "--dask", cluster]) == 0
    assert (tmp_path / "y.npy").read_bytes() == whole
    with pytest.raises(StopError):
        run(small_model, events, tmp_path / "y.npy", progress=stop_at(9))
    assert cli.main([*run_command, "--dask", cluster]) == 0
    assert (tmp_path / "y.npy").read_bytes() == whole
    assert cli.main(["verify", *arguments, "-o", str(tmp_path / "here.json")]) == 0
    assert cli.main(["verify", *arguments, "-o", str(tmp_path / "there.json"), "--dask", cluster]) == 0
    assert (tmp_path / "here.json").read_bytes() == (tmp_path / "there.json").read_bytes()
    capsys.readouterr()
    assert cli.main(["run", *arguments, "--tensor", "conv.kernel.q", "-o", str(tmp_path / "z"), "--dask", cluster]) == 2
    assert "an entry an event" in capsys.readouterr().err


def test_no_cluster(
    tmp_path: Path, small_model: Path, events: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", str(small_model), "--input", str(events), "-o", str(tmp_path / "y.npy")]
    pytest.importorskip("distributed", reason="needs the [cluster] extra")
    monkeypatch.setattr("sparse_qonnx.streaming.cluster.TIMEOUT", 1)
    assert cli.main([*arguments, "--dask", "tcp://127.0.0.1:1"]) == 2
    assert "does not answer" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli.main([*arguments, "--dask", "tcp://127.0.0.1:1"]) == 2
    assert "sparse-qonnx[cluster]" in capsys.readouterr().err
    assert left(tmp_path) == {"x.npy"}


def test_a_worker_that_does_not_see_the_files(tmp_path: Path, small_model: Path, events: Path) -> None:
    files = open_events(read_model(small_model), [str(events)]).files
    assert look(files) == (sparse_qonnx.__version__, "")
    events.unlink()
    _, problem = look(files)
    assert "does not see" in problem
    assert "x.npy" in problem


def test_errors_cross_processes() -> None:
    error = OutputPathError("here", "wrong", fix="go")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is OutputPathError
    assert (str(again), again.fix) == (str(error), "go")
