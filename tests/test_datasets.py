"""Events in files: every format gives the same slices, and what is damaged is named."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sparse_qonnx.datasets import open_events
from sparse_qonnx.datasets.files import open_array
from sparse_qonnx.errors import InputDataError
from sparse_qonnx.files import read_model

SHAPE = (20, 6, 8, 1)


def write(folder: Path, kind: str, x: np.ndarray) -> str:
    """Events in a file of that kind; what `--input` takes."""
    path = folder / f"x.{kind.partition(' ')[0]}"
    match kind:
        case "npy":
            np.save(path, x)
        case "npy Fortran":
            np.save(path, np.asfortranarray(x))
        case "npz":
            np.savez(path, x=x)
        case "npz two":
            np.savez(path, other=x[:3], x=x)
            return f"{path}:x"
        case "npz compressed":
            np.savez_compressed(path, x=x)
        case "h5" | "h5 chunks":
            h5py = pytest.importorskip("h5py")
            with h5py.File(path, "w") as file:
                options = {"chunks": (3, *x.shape[1:]), "compression": "gzip"} if "chunks" in kind else {}
                file.create_dataset("run/x", data=x, **options)
                file.create_dataset("run/labels", data=np.arange(len(x)))
            return f"{path}:run/x"
    return str(path)


KINDS = ["npy", "npy Fortran", "npz", "npz two", "npz compressed", "h5", "h5 chunks"]


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
@pytest.mark.parametrize("kind", KINDS)
def test_any_slice_of_any_format(
    tmp_path: Path, small_model: Path, small_events: np.ndarray, kind: str, dtype: str
) -> None:
    events = open_events(read_model(small_model), [write(tmp_path, kind, small_events.astype(dtype))])
    assert len(events) == 20
    for start, stop in ((0, 20), (3, 4), (4, 11), (19, 20), (0, 1), (7, 7)):  # a compressed file goes back, too
        (found,) = events.read(start, stop).values()
        assert found.dtype == np.float32
        assert np.array_equal(found, small_events[start:stop])


def test_patterns_and_several_files_follow_one_another(
    tmp_path: Path, small_model: Path, small_events: np.ndarray
) -> None:
    for name, part in (("b", small_events[5:6]), ("a", small_events[:5]), ("c", small_events[6:])):
        np.save(tmp_path / f"run {name}.npy", part)
    np.savez(tmp_path / "more.npz", small_events)
    events = open_events(read_model(small_model), [f"image={tmp_path}/run*.npy", str(tmp_path / "more.npz")])
    assert len(events) == 40
    twice = np.concatenate([small_events, small_events])
    for start in range(0, 40, 4):
        assert np.array_equal(events.read(start, start + 4)["image"], twice[start : start + 4])


def test_names_with_colons_and_brackets(tmp_path: Path, small_model: Path, small_events: np.ndarray) -> None:
    path = tmp_path / "x[1]:y.npy"
    np.save(path, small_events)
    assert len(open_events(read_model(small_model), [str(path)])) == 20


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_was_cut_off(tmp_path: Path, small_model: Path, small_events: np.ndarray, kind: str) -> None:
    place = write(tmp_path, kind, small_events)
    path = next(tmp_path.iterdir())
    os.truncate(path, path.stat().st_size - 700)
    with pytest.raises(InputDataError, match="x\\."):
        open_events(read_model(small_model), [place]).read(0, 20)


def test_a_damaged_compressed_member(tmp_path: Path, small_model: Path, small_events: np.ndarray) -> None:
    place = write(tmp_path, "npz compressed", small_events)
    data = bytearray(Path(place).read_bytes())
    with zipfile.ZipFile(place) as archive:
        middle = archive.infolist()[0].header_offset + 200
    data[middle : middle + 40] = bytes(40)
    Path(place).write_bytes(data)
    with pytest.raises(InputDataError, match=r"x\.npz"):
        open_events(read_model(small_model), [place]).read(0, 20)


def test_a_file_that_changes_meanwhile(tmp_path: Path, small_model: Path, small_events: np.ndarray) -> None:
    events = open_events(read_model(small_model), [write(tmp_path, "npy", small_events)])
    events.read(0, 5)
    write(tmp_path, "npy", small_events[:10])
    with pytest.raises(InputDataError, match="was changed"):
        events.read(5, 10)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["{0}/none*.npy"], "fits no file"),
        (["{0}/two.npz"], "holds 2 arrays. Allowed: .*two.npz:x, .*two.npz:y"),
        (["{0}/two.npz:z"], "has no array 'z'"),
        (["{0}/x.npy:z"], "has no array 'z'"),
        (["{0}/empty.npz"], "holds no arrays"),
        (["{0}/number.npy"], "single number"),
        (["{0}/x.npy", "{0}/wide.npy"], "wide.npy.*has shape"),
        (["picture={0}/x.npy"], "cannot be read: No such file"),
    ],
)
def test_refusals(
    tmp_path: Path, small_model: Path, small_events: np.ndarray, arguments: list[str], problem: str
) -> None:
    np.save(tmp_path / "x.npy", small_events)
    np.save(tmp_path / "wide.npy", np.zeros((2, 6, 9, 1), np.float32))
    np.save(tmp_path / "number.npy", np.float32(1))
    np.savez(tmp_path / "two.npz", x=small_events, y=small_events)
    with zipfile.ZipFile(tmp_path / "empty.npz", "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(InputDataError, match=problem):
        open_events(read_model(small_model), [text.format(tmp_path) for text in arguments])


def test_a_header_that_promises_more_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with path.open("wb") as stream:
        fields = {"descr": "<f4", "fortran_order": False, "shape": (10**12, 6, 8, 1)}
        np.lib.format.write_array_header_1_0(stream, fields)
        stream.write(bytes(1000))
    with pytest.raises(InputDataError, match="its header says"):
        open_array(str(path))
