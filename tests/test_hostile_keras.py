"""Saved Keras models from strangers: bombs, archives that lie, weights that are in other files."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sparse_qonnx import limits
from sparse_qonnx.errors import ModelFileError
from sparse_qonnx.export.archive import check_archive

h5py = pytest.importorskip("h5py")

Change = Callable[[dict[str, bytes]], None]


def weights(fill: Callable[[Any], None]) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file)
    return stream.getvalue()


def plain(file: Any) -> None:
    file.create_group("layers/dense/vars")["0"] = np.zeros((4, 4), np.float32)


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


@pytest.fixture
def members() -> dict[str, bytes]:
    """What is in a saved model."""
    config = json.dumps({"class_name": "Functional", "config": {}}).encode()
    return {"metadata.json": b"{}", "config.json": config, "model.weights.h5": weights(plain)}


def test_a_whole_archive_is_taken(tmp_path: Path, members: dict[str, bytes]) -> None:
    check_archive(archive(tmp_path / "m.keras", members), "m")


def external(file: Any) -> None:
    file.create_dataset("x", (8,), "f4", external=[("/etc/hostname", 0, 32)])


def linked(file: Any) -> None:
    file["x"] = h5py.ExternalLink("/etc/other.h5", "/x")


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(".", "x", (4,))
    file.create_virtual_dataset("x", layout)


def endless(file: Any) -> None:
    file.create_dataset("x", (10**10,), "f4", chunks=(100,))


def nested(file: Any) -> None:
    group = file
    for _ in range(3000):
        group = group.create_group("g")


CHANGES: dict[str, Change] = {
    "deep JSON": lambda m: m.update({"config.json": b"[" * 10**5}),
    "deep JSON that ends": lambda m: m.update({"config.json": b"[" * 500 + b"]" * 500}),
    "JSON that is none": lambda m: m.update({"config.json": b"\xff"}),
    "weights in another file": lambda m: m.update({"model.weights.h5": weights(external)}),
    "weights behind a link": lambda m: m.update({"model.weights.h5": weights(linked)}),
    "weights that are their own source": lambda m: m.update({"model.weights.h5": weights(virtual)}),
    "weights that nobody wrote": lambda m: m.update({"model.weights.h5": weights(endless)}),
    "weights in 3,000 groups": lambda m: m.update({"model.weights.h5": weights(nested)}),
    "weights that are cut": lambda m: m.update({"model.weights.h5": m["model.weights.h5"][:1000]}),
    "weights that are none": lambda m: m.update({"model.weights.h5": b"\x89HDF\r\n\x1a\n" + b"\0" * 2000}),
    "many members": lambda m: m.update({f"x{n}": b"" for n in range(20)}),
}


@pytest.mark.parametrize("name", ["a member that is a bomb", *CHANGES])
def test_archives_that_are_refused(tmp_path: Path, members: dict[str, bytes], name: str) -> None:
    with limits.using(limits.Limits(file_bytes=2**20, objects=15)):
        if "bomb" in name:
            members["config.json"] = b" " * 2**21
        else:
            CHANGES[name](members)
        path = archive(tmp_path / "m.keras", members)
        assert path.stat().st_size < 2**20
        with pytest.raises(ModelFileError) as caught:
            check_archive(path, "m")
    assert len(str(caught.value)) < 600


def test_an_archive_whose_directory_lies(tmp_path: Path, members: dict[str, bytes]) -> None:
    """It says 100 bytes where there are two million; no more than it says are ever unpacked."""
    path = archive(tmp_path / "m.keras", {**members, "config.json": b" " * 2_000_000})
    data = path.read_bytes()
    assert data.count(struct.pack("<I", 2_000_000)) == 2
    path.write_bytes(data.replace(struct.pack("<I", 2_000_000), struct.pack("<I", 100)))
    with limits.using(limits.Limits(file_bytes=2**20)), pytest.raises(ModelFileError, match="whole"):
        check_archive(path, "m")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_of_another_method(tmp_path: Path, members: dict[str, bytes], method: int) -> None:
    path = archive(tmp_path / "m.keras", members, method)
    with pytest.raises(ModelFileError, match="another method"):
        check_archive(path, "m")


def test_two_members_of_one_name(tmp_path: Path, members: dict[str, bytes]) -> None:
    """One would be checked and the other be read."""
    path = archive(tmp_path / "m.keras", members)
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("model.weights.h5", weights(external))
    with pytest.raises(ModelFileError, match="two members"):
        check_archive(path, "m")


@pytest.mark.keras
@pytest.mark.parametrize("kind", ["pipe", "folder", "long", "bomb"])
def test_through_the_command(
    tmp_path: Path, members: dict[str, bytes], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sparsepixels")
    from sparse_qonnx import cli

    path = tmp_path / (f"{'x' * 5000}.keras" if kind == "long" else "m.keras")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "bomb":
        archive(path, {**members, "config.json": b" " * 2**21})
    arguments = ["export", str(path), "-o", str(tmp_path / "m.onnx"), "--limit", "file_bytes=1000000"]
    assert cli.main(arguments) == 2
    message = capsys.readouterr().err
    assert "unexpected" not in message and ("unpacked" in message) == (kind == "bomb")
    assert cli.main(["verify", str(path), "--keras", str(path)]) == 2
    assert "unexpected" not in capsys.readouterr().err
