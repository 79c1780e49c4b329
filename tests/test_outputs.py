"""Outputs: what may be one, for every command and function; nothing but the output is ever changed."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparse_qonnx as sq
from sparse_qonnx import cli
from sparse_qonnx.errors import OutputPathError
from sparse_qonnx.files import write_bytes
from sparse_qonnx.hls.folder import MANIFEST
from sparse_qonnx.hls.report import OldReportWarning
from sparse_qonnx.hls.yaml_config import write_config
from sparse_qonnx.streaming import resume, spans
from sparse_qonnx.system.outputs import output_file, output_folder

Write = Callable[[Path], int]


@pytest.fixture
def events(tmp_path: Path, small_events: np.ndarray) -> Path:
    np.save(tmp_path / "x.npy", small_events)
    return tmp_path / "x.npy"


COMMANDS: dict[str, list[str]] = {
    "run": ["run", "MODEL", "--input", "EVENTS", "-o", "OUT"],
    "verify": ["verify", "MODEL", "--input", "EVENTS", "-o", "OUT"],
    "report": ["report", "MODEL", "--no-firmware", "--events", "2", "--pictures", "1", "-o", "OUT"],
    "write-config": ["MODEL", "--write-config", "OUT"],
}


quick = pytest.mark.parametrize("write", ["run", "verify", "write-config"], indirect=True)
"""The report takes seconds, and is written by the same function as the configuration."""


@pytest.fixture(params=list(COMMANDS))
def write(request: pytest.FixtureRequest, small_model: Path, events: Path) -> Write:
    """A command that writes one file: gives its exit code."""
    if request.param == "report":
        pytest.importorskip("jinja2")
    words = {"MODEL": str(small_model), "EVENTS": str(events)}

    def call(output: Path) -> int:
        arguments = [{**words, "OUT": str(output)}.get(word, word) for word in COMMANDS[request.param]]
        return (cli.main_hls if request.param == "write-config" else cli.main)(arguments)

    return call


def tree(folder: Path) -> dict[str, Any]:
    """Everything in a folder: kind, permissions and content, links as they are."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content: Any = path.readlink() if path.is_symlink() else status.st_rdev
        if stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        found[path.relative_to(folder).as_posix()] = (status.st_mode, content)
    return found


def make_device(path: Path) -> None:
    """A node that means /dev/null, but is another one."""
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")


# ---- what may be an output ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a pipe", "link to a device"])
def test_only_files_are_outputs(write: Write, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "out" / "y"
    place.parent.mkdir()
    real = tmp_path / "out" / "real" if "link" in kind else place
    {"pipe": os.mkfifo, "device": make_device, "folder": Path.mkdir}[kind.split()[-1]](real)  # type: ignore[operator]
    if real != place:
        place.symlink_to(real)
    before = tree(tmp_path)
    assert write(place) == 2
    assert f"is a {kind.split()[-1]}" in capsys.readouterr().err
    assert tree(tmp_path) == before


@quick
def test_a_link_is_written_through_and_stays(write: Write, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("there/file")
    (tmp_path / "second").symlink_to("link")
    before = tree(tmp_path)
    assert write(tmp_path / "second") == 0
    after = tree(tmp_path)
    assert {name for name in after if after[name] != before.get(name)} == {"there/file"} and set(after) == set(before)


@quick
def test_a_link_to_nothing_yet_is_written_through(write: Write, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("new")
    assert write(tmp_path / "link") == 0
    assert (tmp_path / "link").is_symlink() and (tmp_path / "new").stat().st_size


@quick
@pytest.mark.parametrize("mode", [0o600, 0o666])
def test_permissions_stay(write: Write, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "y"
    path.write_bytes(b"old")
    path.chmod(mode)
    assert write(path) == 0
    assert stat.S_IMODE(path.stat().st_mode) == mode and path.read_bytes() != b"old"


@quick
def test_permissions_of_a_new_file_are_those_of_any(write: Write, tmp_path: Path) -> None:
    (tmp_path / "any").touch()
    assert write(tmp_path / "y") == 0
    assert (tmp_path / "y").stat().st_mode == (tmp_path / "any").stat().st_mode


@quick
@pytest.mark.parametrize(
    "name", ["x" * 250, "x" * 255, "\U0001f600" * 63, "y [1]*?"], ids=["250", "255", "wide", "odd"]
)
def test_any_name(write: Write, tmp_path: Path, name: str) -> None:
    before = set(tree(tmp_path))
    assert write(tmp_path / name) == 0
    assert set(tree(tmp_path)) == before | {name}


@pytest.mark.parametrize("name", ["x" * 256, "none/y", "x.npy/y", "loop", "nul\0", ""])
def test_names_that_cannot_be(write: Write, tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    before = tree(tmp_path)
    assert write(Path(f"{tmp_path}/{name}") if name else Path()) == 2
    assert tree(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_is_read_only_stays(write: Write, tmp_path: Path) -> None:
    (tmp_path / "y").write_bytes(b"precious")
    (tmp_path / "y").chmod(0o400)
    assert write(tmp_path / "y") == 2
    assert (tmp_path / "y").read_bytes() == b"precious"


def test_the_model_is_no_output(write: Write, small_model: Path, tmp_path: Path) -> None:
    before = small_model.read_bytes()
    (tmp_path / "link").symlink_to(small_model)
    os.link(small_model, tmp_path / "hard")
    for path in (small_model, tmp_path / "link", tmp_path / "hard"):
        assert write(path) == 2
    assert small_model.read_bytes() == before


@pytest.mark.parametrize("command", ["run", "verify", "report"])
def test_the_events_are_no_output(command: str, events: Path, small_model: Path) -> None:
    before = events.read_bytes()
    data = ["--data" if command == "report" else "--input", str(events)]
    assert cli.main([command, str(small_model), *data, "-o", str(events)]) == 2
    assert events.read_bytes() == before


def test_python_functions_refuse_the_same(tmp_path: Path, small_model: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputPathError, match="is a pipe"):
        write_bytes(b"x", tmp_path / "pipe")
    with pytest.raises(OutputPathError, match="is a pipe"):
        sq.export(tmp_path / "model.keras", tmp_path / "pipe")
    with pytest.raises(OutputPathError, match="is a pipe"):
        write_config(small_model, tmp_path / "pipe")
    with pytest.raises(OutputPathError, match="is a pipe"):
        sq.to_hls(small_model, tmp_path / "pipe")
    with pytest.raises(OutputPathError, match="is a file"):
        output_folder(small_model)
    assert output_file(tmp_path / "y") == tmp_path / "y"


# ---- files of others ------------------------------------------------------------------------------------------------


def test_nothing_beside_the_output_is_touched(write: Write, tmp_path: Path) -> None:
    """Names that earlier versions took for their own, and those that this one gives."""
    names = [".y.backup.old", ".y.0000.aside", ".y.notes.sparse-qonnx", "y.part", "y.0123456789abcdef.part", "y.tmp"]
    for name in names:
        (tmp_path / name).write_text("years of work")
        (tmp_path / f".{name}.old").mkdir()
    before = tree(tmp_path)
    assert write(tmp_path / "y") == 0
    after = tree(tmp_path)
    assert after.pop("y")
    assert after == before


def test_a_folder_beside_a_project_is_not_taken_for_it(small_model: Path, tmp_path: Path) -> None:
    (tmp_path / ".fw.2025.old").mkdir()
    (tmp_path / ".fw.2025.old" / "notes").write_text("years of work")
    assert cli.main_hls([str(small_model), "-o", str(tmp_path / "fw")]) == 0
    assert (tmp_path / ".fw.2025.old" / "notes").read_text() == "years of work"


# ---- projects -------------------------------------------------------------------------------------------------------


@pytest.fixture
def firmware(small_model: Path, tmp_path: Path) -> Path:
    sq.to_hls(small_model, tmp_path / "fw")
    return tmp_path / "fw"


def test_force_keeps_what_it_did_not_write(small_model: Path, firmware: Path) -> None:
    own = tree(firmware)
    (firmware / "notes.txt").write_text("years of work")
    (firmware / "firmware" / "mine.h").write_text("// mine")
    (firmware / "sparse_cnn_prj" / "solution1").mkdir(parents=True)
    (firmware / "sparse_cnn_prj" / "solution1" / "log").write_text("hours of synthesis")
    (firmware / "empty").mkdir(mode=0o750)
    (firmware / "link").symlink_to("notes.txt")
    (firmware / "folder").symlink_to("firmware")
    (firmware / "nowhere").symlink_to("none")
    (firmware / "build").mkdir()
    (firmware / "build" / "libsparse_cnn-0123456789abcdef.so").write_text("ours: made by compile()")
    os.mkfifo(firmware / "pipe")
    (firmware / "defines.h").write_text("not ours, in another folder")
    before = tree(firmware)
    sq.to_hls(small_model, firmware, config={"top": "other"}, force=True)
    after = tree(firmware)
    gone = {name for name in before if name not in after}
    assert gone == {name for name in own if name not in after} | {"build/libsparse_cnn-0123456789abcdef.so"}
    kept = {name: what for name, what in before.items() if name not in own and name not in gone}
    assert {name: after[name] for name in kept} == kept
    assert "firmware/sparse_cnn.cpp" in gone and "firmware/other.cpp" in after
    assert [path.name for path in firmware.parent.iterdir()] == ["fw"]


def test_reports_of_a_project_that_was_replaced_are_not_taken_in_silence(small_model: Path, firmware: Path) -> None:
    reports = firmware / "sparse_cnn_prj" / "solution1" / "syn" / "report"
    reports.mkdir(parents=True)
    (reports / "sparse_cnn_csynth.xml").write_text(
        "<profile><AreaEstimates><Resources><LUT>5</LUT></Resources></AreaEstimates></profile>"
    )
    os.utime(reports / "sparse_cnn_csynth.xml", (1, 1))
    project = sq.to_hls(small_model, firmware, force=True)
    with pytest.warns(OldReportWarning, match="older than the firmware"):
        project.report()


def test_force_on_a_file_of_somebody_else_is_refused(small_model: Path, firmware: Path) -> None:
    (firmware / "firmware" / "other.cpp").write_text("years of work")
    before = tree(firmware.parent)
    with pytest.raises(OutputPathError, match=r"holds 'firmware/other.cpp'.*move it away"):
        sq.to_hls(small_model, firmware, config={"top": "other"}, force=True)
    assert tree(firmware.parent) == before


def test_permissions_of_a_project_stay(small_model: Path, firmware: Path) -> None:
    firmware.chmod(0o700)
    (firmware / MANIFEST).chmod(0o600)
    sq.to_hls(small_model, firmware, force=True)
    assert stat.S_IMODE(firmware.stat().st_mode) == 0o700
    assert stat.S_IMODE((firmware / MANIFEST).stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["text", "list", "deep", "number", "pipe", "folder", "no text", "files"])
def test_a_manifest_that_is_none(small_model: Path, firmware: Path, kind: str) -> None:
    manifest = firmware / MANIFEST
    own = json.loads(manifest.read_bytes())
    manifest.unlink()
    contents = {"text": b"hello", "list": b"[1]", "deep": b"[" * 10**5, "number": b"1e999", "no text": b"\xff"}
    contents["files"] = json.dumps({**own, "files": 7}).encode()
    if kind == "pipe":
        os.mkfifo(manifest)
    elif kind == "folder":
        manifest.mkdir()
    else:
        manifest.write_bytes(contents[kind])
    before = tree(firmware.parent)
    assert cli.main_hls([str(small_model), "-o", str(firmware), "--force"]) == 2
    assert tree(firmware.parent) == before


def test_a_manifest_that_names_other_files_reaches_none(small_model: Path, firmware: Path) -> None:
    own = json.loads((firmware / MANIFEST).read_bytes())
    (firmware.parent / "precious").write_text("years of work")
    own["files"] += ["../precious", str(firmware.parent / "precious"), "", ".", 5, None]
    (firmware / MANIFEST).write_text(json.dumps(own))
    sq.to_hls(small_model, firmware, force=True)
    assert (firmware.parent / "precious").read_text() == "years of work"


# ---- runs that go on ------------------------------------------------------------------------------------------------


class StopError(BaseException):
    """Whatever may end a run."""


@pytest.fixture
def interrupted(
    tmp_path: Path, small_model: Path, events: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], tuple[Path, bytes]]:
    """A run that was interrupted after nine of twenty events: the output, and what it must be in the end."""
    monkeypatch.setattr(spans, "SPAN_BYTES", 1)
    arguments = ["run", str(small_model), "--input", str(events), "--batch", "3", "-o"]
    assert cli.main([*arguments, str(tmp_path / "whole.npy")]) == 0
    whole = (tmp_path / "whole.npy").read_bytes()
    done = resume.Resumable.done

    def stopped(self: resume.Resumable, progress: Any) -> None:
        done(self, progress)
        if progress["events"] == 9:
            raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(resume.Resumable, "done", stopped)
        with pytest.raises(StopError):
            cli.main([*arguments, str(tmp_path / "y.npy")])

    def go_on() -> tuple[Path, bytes]:
        assert cli.main([*arguments, str(tmp_path / "y.npy")]) == 0
        return tmp_path / "y.npy", whole

    return go_on


def cut(part: Path) -> None:
    os.truncate(part, part.stat().st_size - 50)


def zeros(part: Path) -> None:
    size = part.stat().st_size
    os.truncate(part, size - 50)
    os.truncate(part, size)


def flip(part: Path) -> None:
    data = bytearray(part.read_bytes())
    data[-5] ^= 1
    part.write_bytes(data)


def header(part: Path) -> None:
    part.write_bytes(part.read_bytes().replace(b"(20, 3)", b"(20, 1)"))


@pytest.mark.filterwarnings("default::sparse_qonnx.streaming.resume.RestartWarning")
@pytest.mark.parametrize("damage", [cut, zeros, flip, header, Path.unlink, lambda p: p.write_bytes(b"")])
def test_a_part_that_was_damaged_is_not_gone_on_with(
    interrupted: Callable[[], tuple[Path, bytes]],
    tmp_path: Path,
    damage: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (part,) = tmp_path.glob("y.npy.*.part")
    damage(part)
    output, whole = interrupted()
    assert output.read_bytes() == whole
    assert "begins again" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"x.npy", "whole.npy", "y.npy"}


def test_a_part_that_is_whole_is_gone_on_with(
    interrupted: Callable[[], tuple[Path, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    output, whole = interrupted()
    assert output.read_bytes() == whole and "begins again" not in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["text", "list", "deep", "pipe", "folder", "count", "part", "link"])
def test_a_state_that_is_none_is_left_alone(
    interrupted: Callable[[], tuple[Path, bytes]], tmp_path: Path, small_model: Path, events: Path, kind: str
) -> None:
    state = tmp_path / "y.npy.state"
    own = json.loads(state.read_bytes())
    state.unlink()
    contents = {"text": b"hello", "list": b"[1]", "deep": b"[" * 10**5, "link": b""}
    contents["count"] = json.dumps({**own, "progress": {"events": 18}}).encode()
    contents["part"] = json.dumps({**own, "part": "whole.npy"}).encode()
    if kind == "pipe":
        os.mkfifo(state)
    elif kind == "folder":
        state.mkdir()
    elif kind == "link":
        state.symlink_to("whole.npy")
    else:
        state.write_bytes(contents[kind])
    before = tree(tmp_path)
    for restart in ([], ["--restart"]):
        arguments = ["run", str(small_model), "--input", str(events), "-o", str(tmp_path / "y.npy"), *restart]
        assert cli.main(arguments) == 2
    assert tree(tmp_path) == before


def test_restart_removes_what_the_interrupted_run_left_and_no_more(
    interrupted: Callable[[], tuple[Path, bytes]], tmp_path: Path, small_model: Path, events: Path
) -> None:
    (part,) = tmp_path.glob("y.npy.*.part")
    shutil.copy(part, tmp_path / "y.npy.0123456789abcdef.part")
    arguments = ["run", str(small_model), "--input", str(events), "-o", str(tmp_path / "y.npy"), "--restart"]
    assert cli.main(arguments) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"x.npy", "whole.npy", "y.npy", "y.npy.0123456789abcdef.part"}


@pytest.mark.filterwarnings("default::sparse_qonnx.streaming.resume.RestartWarning")
def test_verify_begins_again_where_its_report_is_none(
    tmp_path: Path,
    small_model: Path,
    events: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["verify", str(small_model), "--input", str(events), "--batch", "2", "-o", str(tmp_path / "r.json")]
    done = resume.Resumable.done

    def stopped(self: resume.Resumable, progress: Any) -> None:
        done(self, progress)
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(resume.Resumable, "done", stopped)
        with pytest.raises(StopError):
            cli.main(arguments)
    state = json.loads((tmp_path / "r.json.state").read_bytes())
    del state["check"]
    state["progress"] = {"report": {"table": [5], "events": "many"}}
    (tmp_path / "r.json.state").write_text(json.dumps({**state, "check": resume._check(state)}))
    assert cli.main(arguments) == 0
    assert "begins again" in capsys.readouterr().err
