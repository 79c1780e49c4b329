"""What is read of files: no more than is allowed, memory for no more than they hold, from the model's folder only."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from fuzz_files.bases import bases, constant
from sparse_qonnx import InferenceSession, cli
from sparse_qonnx.errors import ModelFileError
from sparse_qonnx.files import read_model
from sparse_qonnx.limits import Limits, using


def test_a_file_is_not_read_beyond_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "m.onnx").open("wb") as stream:
        stream.truncate(2**40)  # takes no space
    assert cli.main(["info", str(tmp_path / "m.onnx"), "--limit", "file_bytes=1000000"]) == 2
    assert "1,000,001 bytes or more" in capsys.readouterr().err


def test_memory_is_asked_for_what_a_file_holds(small_model: Path, tmp_path: Path) -> None:
    """Not for what it may hold, or says that it holds: neither fits into memory."""
    with using(Limits(file_bytes=2**62, tensor_values=2**60)):
        assert read_model(small_model).graph.node
        model = onnx.load(small_model)
        tensor = model.graph.initializer[0]
        tensor.CopyFrom(TensorProto(name=tensor.name, data_type=TensorProto.FLOAT, dims=[2**50]))
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="short.bin")
        (tmp_path / "short.bin").write_bytes(b"short")
        onnx.save(model, tmp_path / "m.onnx")
        with pytest.raises(ModelFileError, match=r"'short\.bin' is shorter"):
            read_model(tmp_path / "m.onnx")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A model whose kernel is in another file of its folder; a secret lies beside the folder."""
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(72))
    network = bases()["network"]
    kernel = constant(network, "conv.kernel")
    (folder / "weights.bin").write_bytes(b"head" + kernel.raw_data + b"tail")
    kernel.ClearField("raw_data")
    kernel.data_location = TensorProto.EXTERNAL
    for key, text in (("location", "weights.bin"), ("offset", "4"), ("length", "72")):
        kernel.external_data.add(key=key, value=text)
    (folder / "model.onnx").write_bytes(network.SerializeToString())
    return folder / "model.onnx"


def relocated(path: Path, **entries: str) -> Path:
    model = onnx.load(path, load_external_data=False)
    data = constant(model, "conv.kernel").external_data
    kept = {e.key: e.value for e in data} | entries
    del data[:]
    for key, text in kept.items():
        data.add(key=key, value=text)
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data_is_read_from_the_models_folder(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = bases()["network"]
    monkeypatch.chdir("/")  # and not from the working folder
    loaded = read_model(outside)
    assert constant(loaded, "conv.kernel").raw_data == constant(network, "conv.kernel").raw_data
    x = np.ones((2, 4, 4, 1), np.float32)
    (y,) = InferenceSession(outside, kernels="function").run(None, {"image": x})
    (wanted,) = InferenceSession(network, kernels="function").run(None, {"image": x})
    assert np.array_equal(y, wanted)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "../secret"}, "own folder"),
        ({"location": "x/../../secret"}, "own folder"),
        ({"location": "{outside}/secret"}, "own folder"),
        ({"location": "..\\secret"}, "own folder"),
        ({"location": "C:\\secret"}, "own folder"),
        ({"location": "\\\\host\\share"}, "own folder"),
        ({"location": "weights.bin\0x"}, "own folder"),
        ({"location": ""}, "own folder"),
        ({"location": "link"}, "a link to outside"),
        ({"location": "folder_link/secret"}, "a link to outside"),
        ({"location": "circle"}, "cannot be found"),
        ({"location": "absent"}, "cannot be found"),
        ({"location": "."}, "own folder"),
        ({"location": "empty"}, "no regular file|cannot be read"),
        ({"location": "pipe"}, "no regular file"),
        ({"offset": "-4"}, "a whole number"),
        ({"offset": "1e3"}, "a whole number"),
        ({"offset": "9" * 5000}, "a whole number"),
        ({"offset": "60"}, "is shorter"),
        ({"length": "71"}, "stated to hold 71 bytes"),
    ],
)
def test_external_data_elsewhere(outside: Path, entries: dict[str, str], message: str) -> None:
    folder = outside.parent
    (folder / "link").symlink_to("../secret")
    (folder / "folder_link").symlink_to("..")
    (folder / "circle").symlink_to("circle")
    os.mkfifo(folder / "pipe")
    (folder / "empty").mkdir()
    entries = {key: text.replace("{outside}", str(folder.parent)) for key, text in entries.items()}
    with pytest.raises(ModelFileError, match=message):
        read_model(relocated(outside, **entries))


def test_external_data_of_bytes_is_nowhere(outside: Path) -> None:
    with pytest.raises(ModelFileError, match="in another file"):
        read_model(outside.read_bytes())
    with pytest.raises(ModelFileError, match="in another file"):
        InferenceSession(onnx.load(outside, load_external_data=False))
