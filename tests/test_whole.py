"""Whole or not at all: what is written, what waits, what is refused, and what is cleared."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from processes import python
from sparse_qonnx.errors import OutputPathError
from sparse_qonnx.files import write_bytes
from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.folder import MANIFEST
from sparse_qonnx.system import atomic
from sparse_qonnx.system.atomic import SUFFIX, atomic_file, atomic_folder, remove_folder, scratch_folder
from sparse_qonnx.system.locks import locked


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


HOLD = """
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(descriptor, fcntl.LOCK_SH if sys.argv[2:] else fcntl.LOCK_EX)
print("ready", flush=True)
time.sleep(60)
"""


# ---- files ----------------------------------------------------------------------------------------------------------


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "y.npy"
    write_bytes(b"old", target)
    with pytest.raises(TypeError), atomic_file(target) as stream:
        stream.writelines([b"new", "no bytes"])  # type: ignore[list-item]
    assert target.read_bytes() == b"old" and names(tmp_path) == ["y.npy"]


def test_a_full_disk_is_an_error_of_ours() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full")
    with pytest.raises(OutputPathError, match="No space left"), atomic.as_output_error("output"), full.open("wb") as f:
        f.write(b"x" * 10_000)


def test_links_are_followed_and_permissions_are_those_of_any_file(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "y")
    write_bytes(b"new", tmp_path / "link")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "there" / "y").read_bytes() == b"new" and (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "y").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", ["x" * 255, "\U0001f600" * 63, ".y", "y [1]*?"])
def test_any_name(tmp_path: Path, name: str) -> None:
    write_bytes(b"1", tmp_path / name)
    write_bytes(b"2", tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"2" and names(tmp_path) == [name]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF])
def test_without_locks_all_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    write_bytes(b"new", tmp_path / "y")
    with atomic_folder(tmp_path / "fw"):
        pass
    with locked(tmp_path / "y", "y"):
        pass
    assert names(tmp_path) == ["fw", "y"]


# ---- folders --------------------------------------------------------------------------------------------------------


def fill(target: Path, content: str, replace: bool = False) -> None:
    with atomic_folder(target, discard=remove_folder if replace else None) as folder:
        (folder / "file").write_text(content)


@pytest.mark.parametrize("exchange", [True, False])
def test_folders_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(atomic, "_renameat2", lambda: None)
    fill(tmp_path / "fw", "old")
    fill(tmp_path / "fw", "new", replace=True)
    assert (tmp_path / "fw" / "file").read_text() == "new" and names(tmp_path) == ["fw"]


def test_a_folder_that_came_in_the_meantime_stays(tmp_path: Path) -> None:
    with pytest.raises(OutputPathError, match="not empty"), atomic_folder(tmp_path / "fw"):
        fill(tmp_path / "fw", "another's")
    assert (tmp_path / "fw" / "file").read_text() == "another's" and names(tmp_path) == ["fw"]


def test_without_exchange_an_error_between_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename
    monkeypatch.setattr(atomic, "_renameat2", lambda: None)
    fill(tmp_path / "fw", "old")

    failures = [OSError(errno.EIO, "broken")]

    def fails(self: Path, target: Path) -> Path:
        if failures and self.suffix == SUFFIX and Path(target).name == "fw":
            raise failures.pop()
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OutputPathError, match="broken"):
        fill(tmp_path / "fw", "new", replace=True)
    assert (tmp_path / "fw" / "file").read_text() == "old" and names(tmp_path) == ["fw"]


def test_a_signal_while_clearing_is_raised_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rmtree, signals = atomic.shutil.rmtree, [KeyboardInterrupt]

    def interrupted(path: Path, **options: bool) -> None:
        if signals:
            raise signals.pop()
        rmtree(path, **options)

    monkeypatch.setattr(atomic.shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), scratch_folder(tmp_path) as folder:
        (folder / "file").write_text("x")
    assert names(tmp_path) == []


def test_temporary_files_go_where_tmpdir_says(tmp_path: Path) -> None:
    code = """
from sparse_qonnx.system.atomic import scratch_folder
with scratch_folder() as f:
    print(f.parent, f.stat().st_mode)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(tmp_path), str(0o40700)] and names(tmp_path) == []


def test_nothing_is_tried_out_in_tmpdir(tmp_path: Path) -> None:
    """As Python's own `tempfile` does: a process killed while it does leaves its trial file behind."""
    code = """
import os, sys
from sparse_qonnx.system.atomic import scratch_folder
made = []
sys.addaudithook(lambda event, a: made.append(a[0]) if event == "open" and a[2] & os.O_CREAT else None)
with scratch_folder():
    print(made)
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


# ---- projects -------------------------------------------------------------------------------------------------------


@pytest.fixture
def firmware(small_model: Path, tmp_path: Path) -> Path:
    to_hls(small_model, tmp_path / "fw")
    return tmp_path / "fw"


def test_a_project_in_use_is_not_replaced(small_model: Path, firmware: Path) -> None:
    before = (firmware / MANIFEST).stat()
    holder = python(HOLD, firmware / MANIFEST, "shared")
    with pytest.raises(OutputPathError, match=r"fw'.*in use by another process.*wait"):
        to_hls(small_model, firmware, force=True)
    assert os.path.samestat(before, (firmware / MANIFEST).stat()) and names(firmware.parent) == ["fw"]
    holder.kill()
    holder.wait()
    to_hls(small_model, firmware, force=True)
    assert not os.path.samestat(before, (firmware / MANIFEST).stat())


@pytest.mark.csim
def test_a_project_replaced_by_another_is_not_simulated_as_the_first(small_model: Path, tmp_path: Path) -> None:
    first = to_hls(small_model, tmp_path / "fw")
    to_hls(small_model, tmp_path / "fw", backend="Vivado", force=True)
    with pytest.raises(OutputPathError, match=r"was replaced by a project of another model.*write it again"):
        first.predict(np.zeros((1, 6, 8, 1), np.float32))


@pytest.mark.csim
def test_who_wants_the_same_library_waits_and_finds_it(small_model: Path, tmp_path: Path) -> None:
    compiler = tmp_path / "c++"
    script = f"#!/bin/sh\necho call >> {tmp_path}/calls\nsleep 0.5\n"
    compiler.write_text(script + 'for word; do last=$word; done; printf "%s" "$TMPDIR" > "$last"\n')
    compiler.chmod(0o755)
    project = to_hls(small_model, tmp_path / "fw")
    code = f"""
import sys
from pathlib import Path
from sparse_qonnx.hls.csim import compile_library
print("ready", flush=True)
print(compile_library(Path({str(project.folder)!r}), {project.graph.top!r}))
"""
    environment = {**os.environ, "CXX": str(compiler), "TMPDIR": str(tmp_path)}
    processes = [python(code, env=environment) for _ in range(3)]
    paths = {process.communicate()[0] for process in processes}
    assert len(paths) == 1 and (tmp_path / "calls").read_text() == "call\n"
    (library,) = (project.folder / "build").iterdir()
    assert paths == {f"{library}\n"}
    assert Path(library.read_text()).parent == tmp_path, "the compiler's own files lie where TMPDIR says"
    assert names(tmp_path) == ["c++", "calls", "fw"]


def test_one_synthesis_at_a_time(
    firmware: Path, small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "bin" / "vitis_hls"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexit 0\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    project = to_hls(small_model, firmware, force=True)
    holder = python(HOLD, firmware / "build_prj.tcl")
    with pytest.raises(OutputPathError, match=r"synthesis in .*in use"):
        project.build(("csim",))
    holder.kill()
    holder.wait()
    project.build(("csim",))


def test_two_processes_that_write_one_folder(small_model: Path, tmp_path: Path) -> None:
    """Only one of those that do not replace comes through; those that replace leave one whole project."""
    code = f"""
import sys
from sparse_qonnx.errors import OutputPathError
from sparse_qonnx.hls import to_hls
print("ready", flush=True)
sys.stdin.read()
try:
    to_hls({str(small_model)!r}, {str(tmp_path / "fw")!r}, force=sys.argv[1] == "force")
    print("written")
except OutputPathError as error:
    print("refused")
"""
    for mode, allowed in (("new", [["refused", "written"]]), ("force", [["written"] * 2, ["refused", "written"]])):
        processes = [python(code, mode, stdin=subprocess.PIPE) for _ in range(2)]
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        said = sorted(process.communicate()[0].strip() for process in processes)
        assert said in allowed
        to_hls(small_model, tmp_path / "whole", force=True)
        files = [{p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in tmp_path.iterdir()]
        assert len(files) == 2 and files[0] == files[1]


# ---- at any moment ---------------------------------------------------------------------------------------------------


@pytest.mark.csim
@pytest.mark.xdist_group("kill")
def test_commands_killed_at_some_moments(repository: Path, tmp_path: Path) -> None:
    """`make kill` does it at every moment."""
    some = ["--times", "3", "--changes", "2", "--fills", "2", "--commands", "run, replacing", "qonnx-to-hls --csim"]
    command = [sys.executable, str(repository / "tests" / "kill" / "run.py"), *some]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 between" in done.stdout
