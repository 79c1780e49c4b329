"""One case: files that follow from a seed and a number, what is done with them, and what must hold afterwards."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fuzz_files.bases import bases
from fuzz_files.inputs import damage, seeds, trees
from sparse_qonnx import cli
from sparse_qonnx.datasets import open_events
from sparse_qonnx.datasets.files import ArrayFile
from sparse_qonnx.errors import ModelFileError, SparseQonnxError
from sparse_qonnx.export.archive import check_archive
from sparse_qonnx.files import read_model, write_model
from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.config import HlsConfig
from sparse_qonnx.hls.report import read_reports
from sparse_qonnx.hls.yaml_config import read_config
from sparse_qonnx.streaming import resume, spans

Call = Callable[[Callable[..., int], list[str]], str]
"""Runs a command and gives its outcome; raises for what no command may do."""


class ChangedError(AssertionError):
    """Something was changed that is no output."""


def _check_plain(file: ArrayFile) -> None:
    """Raise AssertionError for values that came from another file, or from nowhere."""
    import h5py

    with h5py.File(file.path, "r") as opened:
        dataset = h5py.Dataset(h5py.h5d.open(opened.id, os.fsencode(file.key)))
        assert not dataset.is_virtual and not dataset.external, "values of another file were read"
        assert dataset.id.get_space_status() == h5py.h5d.SPACE_STATUS_ALLOCATED, "values that nobody wrote were read"


class Cases:
    """Cases in a folder.

    Args:
        folder: everything happens in it.
        call: see `Call`.
        keep: a folder for the files of each case, to look at.
        exported: how many of the Keras archives go through Keras.
    """

    def __init__(self, folder: Path, call: Call, keep: Path | None = None, exported: float = 0) -> None:
        self.folder, self.call, self.keep, self.exported = folder, call, keep, exported
        self.box = folder / "box"
        self.material = folder / "material"
        self.material.mkdir()
        self.model = self.material / "model.onnx"
        write_model(bases()["network"], self.model)
        self.proto = read_model(self.model)
        self.events = self.material / "events.npy"
        self.events.write_bytes(seeds.npy()[0])
        self.outside = trees.look(self.material)
        if exported:
            seeds.saved()  # importing Keras takes longer than a case may
        self._interrupted: dict[str, bytes] = {}
        self._whole = b""
        self._project: Path | None = None
        self._replaces, self._outputs = False, set[str]()
        self._fast = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]

    def kind_of(self, seed: str, case: int) -> str:
        """What a case is about."""
        return random.Random(f"{seed}/{case}/kind").choice(self._fast)

    def run(self, seed: str, case: int) -> str:
        """Make the files, do it, check that nothing else changed; the outcome."""
        kind = self.kind_of(seed, case)
        rng = random.Random(f"{seed}/{case}")
        shutil.rmtree(self.box, ignore_errors=True)
        self.box.mkdir()
        self._replaces = kind == "manifest"
        work = getattr(self, f"_{kind}")(rng)
        if self.keep is not None:
            for path in self.box.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    place = self.keep / f"{seed}-{case}" / path.relative_to(self.box)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, place)
        before = trees.look(self.box)
        try:
            outcome: str = work()
        except SparseQonnxError as error:
            if len(str(error)) > 4000 or not str(error).isprintable():
                raise AssertionError(f"a message of {len(str(error)):,} characters: {str(error)[:300]!r}") from error
            outcome = "refused"
        after = trees.look(self.box)
        foreign = trees.changes(before, after)
        if outcome in {"ok", "mismatch"}:
            foreign = {path for path in foreign if not self._may_change(path, is_new=path not in before)}
        for path in self._outputs & before.keys() & after.keys():
            if before[path][:2] != after[path][:2]:  # kind and permissions, owner
                foreign.add(path)
        if foreign:
            raise ChangedError(f"{outcome}, and these changed: {sorted(foreign)[:5]}; the output is {self._outputs}")
        if trees.changes(self.outside, trees.look(self.material)):
            raise ChangedError("what was read is another")
        return outcome

    def _may_change(self, path: str, is_new: bool) -> bool:
        """Outputs may; what was not there may come into an output folder, or be a folder on the way to it."""
        if path in self._outputs:
            return True
        inside = any(path.startswith(f"{output}/") for output in self._outputs)
        return (inside and (is_new or self._replaces)) or (
            is_new and any(o.startswith(f"{path}/") for o in self._outputs)
        )

    def _file(self, name: str, content: bytes) -> Path:
        self._outputs = set()
        (self.box / name).write_bytes(content)
        return self.box / name

    # ---- events -----------------------------------------------------------------------------------------------------

    def _read(self, rng: random.Random, path: Path) -> Callable[[], str]:
        """Events through the functions that read them, and now and then through a command."""
        self._outputs = {"y.npy"}
        place = str(path) + rng.choice(("", "", "", ":x", ":group/x", ":/x/", ":" + rng.choice(damage.WORDS)))
        place = place.replace("\ud800", "").replace("\0", "")
        if rng.random() < 0.3:
            return lambda: self.call(
                cli.main, ["run", str(self.model), "--input", place, "-o", str(self.box / "y.npy")]
            )
        if rng.random() < 0.02:
            return lambda: self.call(cli.main, ["verify", str(self.model), "--input", place])

        def read() -> str:
            events = open_events(self.proto, [place])
            for start in range(0, min(len(events), 40), 3):
                events.read(start, min(start + 3, len(events)))
            for file in events.files:
                if Path(file.path).suffix == ".h5":
                    _check_plain(file)
            return "ok"

        return read

    def _npy(self, rng: random.Random) -> Callable[[], str]:
        return self._read(rng, self._file("x.npy", damage.damaged_npy(rng, rng.choice(seeds.npy()))))

    def _npz(self, rng: random.Random) -> Callable[[], str]:
        return self._read(rng, self._file("x.npz", damage.damaged_archive(rng, rng.choice(seeds.npz()))))

    def _hdf5(self, rng: random.Random) -> Callable[[], str]:
        base = damage.made_hdf5(rng) if rng.random() < 0.5 else rng.choice(seeds.hdf5())
        content = damage.damaged(rng, base) if rng.random() < 0.4 else base
        return self._read(rng, self._file("x.h5", content))

    # ---- configurations ---------------------------------------------------------------------------------------------

    def _yaml(self, rng: random.Random) -> Callable[[], str]:
        path = self._file("hls.yml", damage.damaged_text(rng, rng.choice(seeds.yaml())))
        self._outputs = {"out.yml", "fw"}
        if rng.random() < 0.1:
            arguments = [str(self.model), "--config", str(path), "--write-config", str(self.box / "out.yml")]
            return lambda: self.call(cli.main_hls, arguments)
        if rng.random() < 0.03:
            return lambda: self.call(cli.main_hls, [str(self.model), "--config", str(path), "-o", str(self.box / "fw")])

        def read() -> str:
            HlsConfig.read(read_config(path))
            return "ok"

        return read

    # ---- interrupted runs -------------------------------------------------------------------------------------------

    def _run_arguments(self) -> list[str]:
        return ["run", str(self.model), "--input", str(self.events), "--batch", "2", "-o", str(self.box / "y.npy")]

    def _interrupt(self) -> None:
        """Make, once, what an interrupted run leaves, and what a whole one writes."""
        if self._interrupted:
            return
        spans.SPAN_BYTES = 1
        self.call(cli.main, self._run_arguments())
        self._whole = (self.box / "y.npy").read_bytes()
        (self.box / "y.npy").unlink()
        done = resume.Resumable.done

        class StopError(BaseException):
            pass

        def stopped(file: resume.Resumable, progress: Any) -> None:
            done(file, progress)
            if progress["events"] >= 4:
                raise StopError

        resume.Resumable.done = stopped  # type: ignore[method-assign]
        with suppress(StopError):
            self.call(cli.main, self._run_arguments())
        resume.Resumable.done = done  # type: ignore[method-assign]
        self._interrupted = {path.name: path.read_bytes() for path in self.box.iterdir()}

    def _state(self, rng: random.Random) -> Callable[[], str]:
        self._interrupt()
        shutil.rmtree(self.box)
        self.box.mkdir()
        for name, content in self._interrupted.items():
            data = content
            if name.endswith(".part") and rng.random() < 0.5:
                data = damage.damaged(rng, content)
            elif name.endswith(".state"):
                data = self._damaged_state(rng, content)
            self._file(name, data)
        self._outputs = {"y.npy", *self._interrupted}

        def go_on() -> str:
            outcome = self.call(cli.main, [*self._run_arguments(), *(["--restart"] if rng.random() < 0.2 else [])])
            if outcome == "ok" and (self.box / "y.npy").read_bytes() != self._whole:
                raise AssertionError("a run that went on gave other values")
            return outcome

        return go_on

    def _damaged_state(self, rng: random.Random, content: bytes) -> bytes:
        """A damaged state; in half of the cases its check is made to fit, as nothing but intent would."""
        if rng.random() < 0.4:
            return content
        state = damage.damaged_json(rng, json.loads(content))
        if isinstance(state, dict) and rng.random() < 0.5:
            state.pop("check", None)
            state = {**state, "check": resume._check(state)}
        return damage.dumped(rng, state)

    # ---- projects ---------------------------------------------------------------------------------------------------

    def _manifest(self, rng: random.Random) -> Callable[[], str]:
        if self._project is None:
            self._project = self.material.parent / "project"
            to_hls(self.proto, self._project)
        shutil.copytree(self._project, self.box / "fw")
        own = json.loads((self.box / "fw" / "manifest.json").read_bytes())
        self._file("fw/manifest.json", damage.dumped(rng, damage.damaged_json(rng, own)))
        foreign = [f"fw/{name}" for name in ("notes", "firmware/mine.h", "sparse_cnn_prj/log", "empty/x", ".hidden")]
        for name in foreign:
            (self.box / name).parent.mkdir(exist_ok=True)
            (self.box / name).write_text("years of work")
        self._outputs = {"fw"}

        def replace() -> str:
            outcome = self.call(cli.main_hls, [str(self.model), "-o", str(self.box / "fw"), "--force"])
            if any((self.box / name).read_text() != "years of work" for name in foreign):
                raise ChangedError("a file of somebody else is another")
            return outcome

        return replace

    def _report(self, rng: random.Random) -> Callable[[], str]:
        place = self.box / "net_prj" / "solution1"
        (place / "syn" / "report").mkdir(parents=True)
        (place / "sim" / "report").mkdir(parents=True)
        for name, text in (
            ("net_prj/solution1/syn/report/net_csynth.xml", seeds.XML),
            ("net_prj/solution1/syn/report/conv_config_csynth.xml", seeds.XML),
            ("net_prj/solution1/sim/report/net_cosim.rpt", seeds.COSIM),
            ("vivado_synth.rpt", rng.choice((seeds.FLAT, seeds.HIERARCHICAL))),
        ):
            data = text.encode()
            self._file(name, damage.damaged_text(rng, data) if rng.random() < 0.5 else data)

        def read() -> str:
            report = read_reports(self.box, "net", {"conv_config": "conv"})
            assert report.table.row_count
            return "ok"

        return read

    # ---- Keras ------------------------------------------------------------------------------------------------------

    def _keras(self, rng: random.Random) -> Callable[[], str]:
        through_keras = rng.random() < self.exported
        base = seeds.saved() if through_keras else seeds.keras()
        path = self._file("m.keras", damage.damaged_archive(rng, base))
        self._outputs = {"m.onnx"}
        if through_keras:
            return lambda: self.call(cli.main, ["export", str(path), "-o", str(self.box / "m.onnx")])

        def check() -> str:
            try:
                check_archive(path, "file")
            except ModelFileError:
                return "refused"
            return "ok"

        return check

    # ---- outputs ----------------------------------------------------------------------------------------------------

    def _outputs_in_a_tree(self, rng: random.Random) -> Callable[[], str]:
        """A command writes to some path in a folder that is full of anything."""
        trees.grow(rng, self.box)
        path = self.box / rng.choice(trees.NAMES)
        if rng.random() < 0.2:
            path = path / rng.choice(trees.NAMES)
        model, command = str(self.model), rng.choice(("run",) * 5 + ("config",) * 3 + ("verify", "hls"))
        target = Path(os.path.realpath(path))
        inside = str(target.relative_to(self.box)) if target.is_relative_to(self.box) else "/outside"
        self._outputs = {inside}
        if command == "hls":
            arguments = [model, "-o", str(path), *rng.choice(([], ["--force"]))]
            return lambda: self.call(cli.main_hls, arguments)
        if command == "config":
            return lambda: self.call(cli.main_hls, [model, "--write-config", str(path)])
        if command == "verify":
            return lambda: self.call(cli.main, ["verify", model, "--input", str(self.events), "-o", str(path)])
        restart = rng.choice(([], [], ["--restart"]))
        return lambda: self.call(cli.main, ["run", model, "--input", str(self.events), "-o", str(path), *restart])


WEIGHTS = {"npy": 5, "npz": 4, "hdf5": 6, "yaml": 5, "state": 3, "manifest": 1, "report": 4, "keras": 3}
WEIGHTS |= {"outputs_in_a_tree": 4}
"""How many of 35 cases are about it."""
