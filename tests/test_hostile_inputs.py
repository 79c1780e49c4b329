"""Events, weights and reports from strangers: every one is used or refused in one line, and nothing else is read."""

from __future__ import annotations

import ast
import io
import os
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sparse_qonnx import cli
from sparse_qonnx.errors import SparseQonnxError, ToolError
from sparse_qonnx.hls.report import parse_cosim, parse_csynth, parse_vivado, read_reports
from sparse_qonnx.streaming.run import _session

Refused = Callable[[Path], str]


@pytest.fixture
def refused(small_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """`run` must refuse these events in one line with exit code 2, and write nothing; gives the line."""

    def call(path: Path, key: str = "") -> str:
        before = {p.name for p in tmp_path.iterdir()}
        arguments = ["run", str(small_model), "--input", f"{path}{key}", "-o", str(tmp_path / "y.npy")]
        assert cli.main(arguments) == 2
        message = capsys.readouterr().err
        assert message.startswith("error:") and message.count("\n") == 1 and "unexpected" not in message
        assert {p.name for p in tmp_path.iterdir()} == before
        return message

    return call


# ---- .npy -----------------------------------------------------------------------------------------------------------


def npy(header: str | bytes, version: bytes = b"\x01\x00", data: bytes = b"\0" * 4096) -> bytes:
    text = header.encode("latin1") if isinstance(header, str) else header
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + data


SHAPE = "'shape': (2, 6, 8, 1)"
HEADERS = {
    "no dict": "[1, 2]",
    "a call": "__import__('os').system('touch /tmp/x')",
    "no shape": "{'descr': '<f4', 'fortran_order': False}",
    "more keys": f"{{'descr': '<f4', 'fortran_order': False, {SHAPE}, 'x': 1}}",
    "unhashable key": "{[1]: 2}",
    "shape text": "{'descr': '<f4', 'fortran_order': False, 'shape': '(2, 6)'}",
    "shape float": "{'descr': '<f4', 'fortran_order': False, 'shape': (2.0, 6, 8, 1)}",
    "shape bool": "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 6, 8, 1)}",
    "shape number": "{'descr': '<f4', 'fortran_order': False, 'shape': 2}",
    "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 6, 8, 1)}",
    "huge": "{'descr': '<f4', 'fortran_order': False, 'shape': (2" + "0" * 5000 + ", 6, 8, 1)}",
    "large": "{'descr': '<f4', 'fortran_order': False, 'shape': (4000000000000000000, 6, 8, 0)}",
    "100 dimensions": "{'descr': '<f4', 'fortran_order': False, 'shape': (2, " + "1, " * 99 + ")}",
    "no type": f"{{'descr': 'nonsense', 'fortran_order': False, {SHAPE}}}",
    "type of f3": f"{{'descr': '<f3', 'fortran_order': False, {SHAPE}}}",
    "type list": f"{{'descr': [('a', '<f4')], 'fortran_order': False, {SHAPE}}}",
    "type number": f"{{'descr': 5, 'fortran_order': False, {SHAPE}}}",
    "type none": f"{{'descr': None, 'fortran_order': False, {SHAPE}}}",
    "objects": f"{{'descr': '|O', 'fortran_order': False, {SHAPE}}}",
    "dates": f"{{'descr': '<M8[ns]', 'fortran_order': False, {SHAPE}}}",
    "text": f"{{'descr': '<U4', 'fortran_order': False, {SHAPE}}}",
    "order text": f"{{'descr': '<f4', 'fortran_order': 'no', {SHAPE}}}",
    "deep": "(" * 5000,
    "deep closed": "[" * 300 + "]" * 300,
    "minus": "-" * 5000 + "1",
    "bytes": b"\xff\xfe\0\0{'descr'",
    "null": "{'descr': '<f4'\0}",
    "empty": "",
}


@pytest.mark.parametrize("name", list(HEADERS))
def test_headers_that_are_malformed(refused: Refused, tmp_path: Path, name: str) -> None:
    (tmp_path / "x.npy").write_bytes(npy(HEADERS[name]))
    refused(tmp_path / "x.npy")


@pytest.mark.parametrize(
    "content",
    [
        npy("{}", version=b"\x03\x00"),
        npy("{}", version=b"\x09\x00"),
        b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\x7f",
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\xff",
        npy(f"{{'descr': '<f4', 'fortran_order': False, {SHAPE}}}", data=b"\0" * 100),
        npy(" " * 60_000),
    ],
)
def test_files_that_end_or_lie(refused: Refused, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    refused(tmp_path / "x.npy")


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_headers_of_numpy_are_read(small_model: Path, tmp_path: Path, dtype: str, version: tuple[int, int]) -> None:
    x = np.zeros((3, 6, 8, 1), dtype)
    with (tmp_path / "x.npy").open("wb") as stream:
        np.lib.format.write_array(stream, np.asfortranarray(x), version=version)
    assert cli.main(["run", str(small_model), "--input", str(tmp_path / "x.npy"), "-o", str(tmp_path / "y.npy")]) == 0


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "long", "null", "missing", "circle"])
def test_only_files_are_read(refused: Refused, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.npy"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        try:
            os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))  # zeros without an end
        except PermissionError:
            pytest.skip("only root makes devices")
    elif kind == "folder":
        path.mkdir()
    elif kind == "circle":
        path.symlink_to("x.npy")
    refused(path.with_name({"long": "x" * 5000, "null": "x\0y"}.get(kind, "x.npy")))


@pytest.mark.parametrize("kind", ["pipe", "folder", "long", "null"])
@pytest.mark.parametrize("what", ["model", "config"])
def test_models_and_configurations_are_files(
    small_model: Path, tmp_path: Path, kind: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / {"long": "x" * 5000, "null": "x\0y"}.get(kind, "x")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    model, config = (path, ()) if what == "model" else (small_model, ("--config", str(path)))
    assert cli.main_hls([str(model), "-o", str(tmp_path / "fw"), *config]) == 2
    assert "cannot be read" in capsys.readouterr().err


# ---- .npz -----------------------------------------------------------------------------------------------------------


def npz(folder: Path, compress: bool) -> tuple[Path, bytearray]:
    x = np.random.default_rng(0).random((20, 6, 8, 1)).astype(np.float32)
    (np.savez_compressed if compress else np.savez)(folder / "x.npz", x=x)
    return folder / "x.npz", bytearray((folder / "x.npz").read_bytes())


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("place", [0.1, 0.3, 0.6, 0.9, 0.97])
def test_members_that_are_damaged(
    small_model: Path, tmp_path: Path, compress: bool, place: float, capsys: pytest.CaptureFixture[str]
) -> None:
    path, data = npz(tmp_path, compress)
    for n in range(int(place * len(data)), int(place * len(data)) + 30):
        data[min(n, len(data) - 1)] ^= 0x55
    path.write_bytes(data)
    code = cli.main(["run", str(small_model), "--input", str(path), "-o", str(tmp_path / "y.npy")])
    assert code == 2 or (code == 0 and not compress), "values that are stored have no checksum that is read"
    assert "unexpected" not in capsys.readouterr().err


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_bomb_of_another_method(refused: Refused, tmp_path: Path, method: int) -> None:
    header = io.BytesIO()
    np.save(header, np.zeros((0, 6, 8, 1), np.float32))
    with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
        archive.writestr("x.npy", npy(f"{{'descr': '<f4', 'fortran_order': False, {SHAPE}}}", data=bytes(10**7)))
    assert "another method than deflate" in refused(tmp_path / "x.npz")


# ---- HDF5 -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def h5(tmp_path: Path) -> Callable[[Callable[..., None]], Path]:
    h5py = pytest.importorskip("h5py")

    def write(fill: Callable[..., None]) -> Path:
        with h5py.File(tmp_path / "x.h5", "w") as file:
            fill(h5py, file)
        return tmp_path / "x.h5"

    return write


def virtual(h5py: object, file: object, source: str = ".") -> None:
    layout = h5py.VirtualLayout((4, 6, 8, 1), "f4")  # type: ignore[attr-defined]
    layout[:] = h5py.VirtualSource(source, "x", (4, 6, 8, 1))  # type: ignore[attr-defined]
    file.create_virtual_dataset("x", layout)  # type: ignore[attr-defined]


def external(h5py: object, file: object) -> None:
    file.create_dataset("x", (4, 6, 8, 1), "f4", external=[("/etc/hostname", 0, 768)])  # type: ignore[attr-defined]


def linked(h5py: object, file: object) -> None:
    file["x"] = h5py.ExternalLink("other.h5", "/x")  # type: ignore[attr-defined,index]


def endless(h5py: object, file: object) -> None:
    file.create_dataset("x", (10**8, 6, 8, 1), "f4", chunks=(1, 6, 8, 1))  # type: ignore[attr-defined]


def unwritten(h5py: object, file: object) -> None:
    file.create_dataset("x", (4, 6, 8, 1), "f4")  # type: ignore[attr-defined]


def half_written(h5py: object, file: object) -> None:
    x = file.create_dataset("x", (4, 6, 8, 1), "f4", chunks=(1, 6, 8, 1))  # type: ignore[attr-defined]
    x[:2] = 1


def huge_chunk(h5py: object, file: object) -> None:
    chunk = (10**6, 6, 8, 10)
    file.create_dataset("x", (10**6, 6, 8, 10), "f4", chunks=chunk, compression="gzip")  # type: ignore[attr-defined]


def nested(h5py: object, file: object) -> None:
    group = file
    for _ in range(3000):
        group = group.create_group("g")  # type: ignore[attr-defined]
    group.create_dataset("x", data=np.zeros((4, 6, 8, 1), "f4"))  # type: ignore[attr-defined]


def times(h5py: object, file: object) -> None:
    space = h5py.h5s.create_simple((3, 6, 8, 1))  # type: ignore[attr-defined]
    h5py.h5d.create(file.id, b"x", h5py.h5t.UNIX_D32LE, space)  # type: ignore[attr-defined]


def strange_name(h5py: object, file: object) -> None:
    space = h5py.h5s.create_simple((3,))  # type: ignore[attr-defined]
    h5py.h5d.create(file.id, b"\xff\x1b[31m\xfe", h5py.h5t.IEEE_F32LE, space)  # type: ignore[attr-defined]


def two(h5py: object, file: object) -> None:
    strange_name(h5py, file)
    file["a\n\x1b"] = np.zeros(3, "f4")  # type: ignore[index]


def text(h5py: object, file: object) -> None:
    file["x"] = np.array([b"a"] * 4)  # type: ignore[index]


def compound(h5py: object, file: object) -> None:
    file["x"] = np.zeros(4, [("a", "f4")])  # type: ignore[index]


def empty(h5py: object, file: object) -> None:
    file["x"] = h5py.Empty("f4")  # type: ignore[attr-defined,index]


def nothing(h5py: object, file: object) -> None:
    file.attrs["x"] = 1  # type: ignore[attr-defined]


H5 = [virtual, external, linked, endless, unwritten, half_written, huge_chunk, nested, times, strange_name, two, text]
H5 += [compound, empty, nothing]


@pytest.mark.parametrize("fill", H5, ids=lambda f: f.__name__)
def test_hdf5_that_is_no_plain_data(
    refused: Refused, h5: Callable[[Callable[..., None]], Path], fill: Callable[..., None]
) -> None:
    refused(h5(fill))


@pytest.mark.parametrize("source", [".", "other.h5"])
def test_a_virtual_dataset_is_not_followed(
    refused: Refused, h5: Callable[[Callable[..., None]], Path], tmp_path: Path, source: str
) -> None:
    """Not even by its name; one that is its own source ends the process in HDF5."""
    path = h5(lambda h5py, file: virtual(h5py, file, source))
    assert "in other files" in refused(path, ":x")  # type: ignore[call-arg]


def test_hdf5_as_people_write_it_is_read(
    small_model: Path, small_events: np.ndarray, tmp_path: Path, h5: Callable[[Callable[..., None]], Path]
) -> None:
    def fill(h5py: object, file: object) -> None:
        group = file.create_group("a/b/c")  # type: ignore[attr-defined]
        group["plain"] = small_events
        group.create_dataset("packed", data=small_events, compression="gzip", shuffle=True, fletcher32=True)
        group.create_dataset("grown", data=small_events, maxshape=(None, 6, 8, 1), chunks=(7, 6, 8, 1))
        group["second name"] = group["plain"]
        file["soft"] = h5py.SoftLink("/a/b/c/plain")  # type: ignore[attr-defined,index]
        file["loop"] = group  # type: ignore[index]
        group["up"] = file["a"]  # type: ignore[index]

    path = h5(fill)
    np.save(tmp_path / "x.npy", small_events)
    outputs = []
    for place in (tmp_path / "x.npy", f"{path}:a/b/c/packed", f"{path}:/a/b/c/grown", f"{path}:a/b/c/second name"):
        arguments = ["run", str(small_model), "--input", str(place), "-o", str(tmp_path / "y.npy")]
        assert cli.main(arguments) == 0
        outputs.append((tmp_path / "y.npy").read_bytes())
    assert len(set(outputs)) == 1


# ---- reports of tools -----------------------------------------------------------------------------------------------


def csynth(lut: str = "5", head: str = "") -> str:
    area = f"<AreaEstimates><Resources><LUT>{lut}</LUT></Resources></AreaEstimates>"
    return f"{head}<profile>{area}</profile>"


LAUGHS = "<!DOCTYPE a [<!ENTITY a '1'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9)
)
XML = {
    "bomb": csynth("&j;", LAUGHS + "]>").encode(),
    "another file": csynth("&x;", "<!DOCTYPE a [<!ENTITY x SYSTEM '/etc/hostname'>]>").encode(),
    "bomb in UTF-16": csynth("&j;", LAUGHS + "]>").encode("utf-16"),
    "text": csynth("many").encode(),
    "infinite": csynth("inf").encode(),
    "digits": csynth("1" * 5000).encode(),
    "superscript": csynth("²").encode(),
    "encoding": csynth(head="<?xml version='1.0' encoding='klingon'?>").encode(),
    "multi-byte encoding": csynth(head="<?xml version='1.0' encoding='euc_kr'?>").encode(),
    "other encoding": csynth(head="<?xml version='1.0' encoding='UTF-16'?>").encode(),
    "deep": b"<a>" * 10**5,
    "cut": csynth().encode()[:-5],
    "null": b"\0" * 50,
    "empty": b"",
}


@pytest.mark.parametrize("name", list(XML))
def test_reports_in_xml(tmp_path: Path, name: str) -> None:
    path = tmp_path / "net_csynth.xml"
    path.write_bytes(XML[name])
    with pytest.raises(ToolError) as caught:
        parse_csynth(path)
    assert len(str(caught.value)) < 1000


def test_reports_in_xml_that_are_read(tmp_path: Path) -> None:
    for content in (csynth().encode(), csynth(head="<?xml version='1.0'?>").encode("utf-16")):
        (tmp_path / "r.xml").write_bytes(content)
        assert parse_csynth(tmp_path / "r.xml") == {"LUT": 5}


@pytest.mark.parametrize("kind", ["pipe", "folder", "missing"])
def test_reports_are_files(tmp_path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(tmp_path / "r")
    elif kind == "folder":
        (tmp_path / "r").mkdir()
    for parse in (parse_csynth, parse_vivado, parse_cosim):
        with pytest.raises(ToolError):
            parse(tmp_path / "r")


@pytest.mark.parametrize(
    "text",
    [
        "| Block RAM Tile | 1.2.3 |",
        "| CLB LUTs | ² |",
        "| CLB LUTs | " + "9" * 5000 + " |",
        "| Instance | Module | Total LUTs |\n| a | b | 5 |",
        "| Instance | Module | Total LUTs | RAMB36 | RAMB18 |\n| a | b | ² | x | y |",
        "| Instance | Module | Total LUTs | RAMB36 | RAMB18 |\n| a | b | 5 | x | 1 |",
        "|" * 10**5,
    ],
)
def test_utilization_that_is_no_number(tmp_path: Path, text: str) -> None:
    (tmp_path / "vivado_synth.rpt").write_text(text)
    with pytest.raises(ToolError):
        parse_vivado(tmp_path / "vivado_synth.rpt")
    with pytest.raises(SparseQonnxError):
        read_reports(tmp_path, "net")


def test_layers_of_a_report_are_compared_as_numbers(tmp_path: Path) -> None:
    reports = tmp_path / "net_prj" / "solution1" / "syn" / "report"
    reports.mkdir(parents=True)
    for module, lut in (("conv1_config_a", "7"), ("conv1_config_b", "9")):
        (reports / f"{module}_csynth.xml").write_text(csynth(lut))
    assert read_reports(tmp_path, "net", {"conv1_config": "conv1"})["Layers"] == {"conv1": {"LUT": 9}}


# ---- the environment ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["missing", "text", "folder", "pipe"])
def test_a_library_elsewhere(
    small_model: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    path = tmp_path / "library.so"
    if kind == "text":
        path.write_text("no library")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    monkeypatch.setenv("SPARSE_QONNX_LIBRARY", str(path))
    _session.cache_clear()
    np.save(tmp_path / "x.npy", np.zeros((2, 6, 8, 1), np.float32))
    assert "SPARSE_QONNX_LIBRARY" in refused(tmp_path / "x.npy")


@pytest.mark.csim
def test_flags_with_an_open_quote(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXXFLAGS", "-O1 '-DX")
    assert cli.main(["verify", str(small_model), "--csim"]) == 2
    assert "CXXFLAGS" in capsys.readouterr().err


@pytest.mark.csim
@pytest.mark.parametrize("name", ["SPARSE_QONNX_AP_TYPES", "CXX", "TMPDIR", "XILINX_HLS", "SPARSE_QONNX_LIMITS"])
@pytest.mark.parametrize("value", ["x" * 5000, "/", "\u202e", "no/such/place"])
def test_an_environment_of_nonsense(
    small_model: Path, name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        "sparse_qonnx.hls.csim.run_child", lambda *_, **__: subprocess.CompletedProcess([], 1, "", "no")
    )
    assert cli.main(["verify", str(small_model), "--csim", "--events", "2"]) == 2
    message = capsys.readouterr().err
    assert "unexpected" not in message and len(message) < 12_000


def test_the_table_is_what_it_says() -> None:
    """Each header but those that are no Python at all would be taken by a parser that is less strict."""
    readable = 0
    for text in HEADERS.values():
        try:
            ast.literal_eval(text if isinstance(text, str) else text.decode("latin1"))
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
            continue
        readable += 1
    assert readable >= 15
