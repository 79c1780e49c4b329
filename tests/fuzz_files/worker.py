"""The process that may die: runs cases one after the other and says on its standard output what it is about to do.

A line before each command, `case command`, and one after it, `case command outcome detail`; the rest is `run.py`'s.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # it is always run as a script
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from onnx import ModelProto

from fuzz_files.bases import bases
from fuzz_files.inputs.cases import Cases
from fuzz_files.kernels import kernel_case
from fuzz_files.mutate import mutant
from fuzz_files.names import CANARY
from sparse_qonnx import cli
from sparse_qonnx.datasets.random import random_inputs
from sparse_qonnx.errors import SparseQonnxError
from sparse_qonnx.files import read_model

OK, REFUSED, MISMATCH = "ok", "refused", "mismatch"
UNHANDLED, INJECTION, TERMINAL = "unhandled exception", "injection", "terminal"

SHARES = {"info": 0.15, "function": 0.04, "native": 0.12, "verify": 0.02, "report": 0.002, "hls": 0.08}
SHARES |= {"csim": 0.005, "exact": 0.005}
"""How often each command meets a file that loads; `exact` is `verify --csim`."""

MEMORY = 6 * 2**30
LONGEST_OUTPUT = 100_000


class Worker:
    """Runs cases in a folder of its own."""

    def __init__(
        self,
        seed: str,
        folder: Path,
        tell: Callable[[str], None],
        shares: dict[str, float],
        inputs: dict[str, Any] | None = None,
    ) -> None:
        self.seed, self.folder, self.tell, self.shares = seed, folder, tell, shares
        self.bases = list(bases().values())
        self.path = folder / "model.onnx"
        self.inside: set[Path] = set()
        if inputs is not None:
            self.cases = Cases(folder, call_checked, **inputs)

    def run(self, case: int) -> None:
        """One file through load, and through some of the other commands."""
        rng = random.Random(f"{self.seed}/{case}")
        data = mutant(rng.choice(self.bases), rng)
        self.path.write_bytes(data)
        loaded: list[ModelProto] = []
        self.command(case, "load", lambda: loaded.append(read_model(self.path)))
        again = not loaded and rng.random() < 0.005  # every command must refuse what does not load
        for name, share in self.shares.items():
            if again or (loaded and rng.random() < share):
                self.command(case, name, lambda name=name: self.call(name, loaded))

    def kernel(self, case: int) -> None:
        """One native kernel with arguments that no checked file has."""
        self.command(case, "kernel", lambda: kernel_case(random.Random(f"{self.seed}/{case}")))

    def input(self, case: int) -> None:
        """Events, configurations, states, manifests, reports, Keras files, or a folder around an output."""
        self.command(case, self.cases.kind_of(self.seed, case), lambda: self.cases.run(self.seed, case))

    def command(self, case: int, name: str, work: Callable[[], Any]) -> None:
        """Run, classify, tell."""
        self.tell(f"{case} {name}")
        outcome, detail = OK, ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = work() or OK
            outcome, detail = result if isinstance(result, tuple) else (result, "")
        except SparseQonnxError as error:
            outcome, detail = REFUSED, type(error).__name__
            if len(str(error)) > LONGEST_OUTPUT or not str(error).isprintable():
                outcome, detail = TERMINAL, str(error)[:500]
        except BaseException as error:  # this is what is looked for
            if isinstance(error, KeyboardInterrupt):
                raise
            lines = traceback.format_exception(error)
            outcome, detail = UNHANDLED, "".join(lines)[-3000:]
        if self.canaries():
            outcome, detail = INJECTION, ", ".join(map(str, self.canaries()))
        self.tell(f"{case} {name} {json.dumps([outcome, detail])}")

    def canaries(self) -> list[Path]:
        return [
            path
            for name in ("CANARY", "CANARY.h")
            for path in (self.folder / name, self.folder / "p" / name, Path("/tmp") / name)
            if path.exists()
        ]

    # ---- commands ---------------------------------------------------------------------------------------------------

    def call(self, name: str, loaded: list[ModelProto]) -> str | tuple[str, str]:
        arguments: list[str] = []
        if name in ("function", "native", "verify", "csim"):
            model = loaded[0] if loaded else None
            arguments = self.events(model)
        project = self.folder / "p"
        lines = {
            "info": (cli.main, "info", str(self.path)),
            "function": (cli.main, "run", str(self.path), *arguments, "-o", "y.npy", "--kernels", "function"),
            "native": (cli.main, "run", str(self.path), *arguments, "-o", "y.npy"),
            "verify": (cli.main, "verify", str(self.path), *arguments),
            "report": (cli.main, "report", str(self.path), "-o", "r.html"),
            "exact": (cli.main, "verify", str(self.path), "--csim", "--events", "16"),
            "hls": (cli.main_hls, str(self.path), "-o", str(project), "--force"),
            "csim": (
                cli.main_hls,
                str(self.path),
                "-o",
                str(project),
                "--force",
                *(a.replace("--input", "--csim", 1) for a in arguments),
            ),
        }
        main, *line = lines[name]
        code, output = capture(lambda: main(line))
        if not fit_for_a_terminal(output):
            return TERMINAL
        if code == 2:
            if not output.lstrip().startswith("error:"):
                raise AssertionError(f"refused without a message: {output[:300]!r}")
            if "cannot compile" in output:
                raise AssertionError(output)
            return REFUSED
        if name in ("hls", "csim"):
            self.check_project(project, thorough=name == "csim")
        if name == "report":
            Page().feed(Path("r.html").read_text(encoding="utf-8"))
        return (MISMATCH, output) if code else OK

    def events(self, model: ModelProto | None) -> list[str]:
        inputs = {"x": np.zeros((2, 1), np.float32)} if model is None else random_inputs(model, fixed_batch(model) or 2)
        arguments = []
        for n, (name, values) in enumerate(inputs.items()):
            path = self.folder / f"x{n}.npy"
            np.save(path, values)
            arguments += [f"--input={name}={path}" if len(inputs) > 1 else f"--input={path}"]
        return arguments

    def check_project(self, project: Path, thorough: bool) -> None:
        """Names of the file are identifiers or in comments, whatever they are made of."""
        for path in project.rglob("*"):
            if path.suffix in (".cpp", ".h") and "kernels" not in path.parts:
                for line in path.read_text(encoding="ascii").splitlines():
                    check_line(path.name, line)
        if thorough:
            self.check_scripts(project)

    def check_scripts(self, project: Path) -> None:
        """The tools' scripts, run by what reads them; the folder is watched."""
        from test_hls_scripts import STUB

        driver = self.folder / "driver.tcl"
        driver.write_text(f"{STUB}\nset vitis 1\nsource build_prj.tcl\n")
        for command in (["tclsh", str(driver)], ["make", "-n", "csim", "test", "clean"]):
            if shutil.which(command[0]):
                subprocess.run(command, cwd=project, capture_output=True, timeout=60, check=True)


class Page(HTMLParser):
    """Raises AssertionError for a page that could do anything: names are shown, they are not elements."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "object", "embed", "form", "base"), tag
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            is_inside = str(value).startswith(("#", "data:image/", "data:,"))
            assert is_inside or name not in ("src", "href", "xlink:href"), (tag, value)


def fixed_batch(model: ModelProto) -> int:
    """The batch size that a file states as a number; 0 where it is symbolic."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    return min(dims[0].dim_value, 8) if dims else 0


def check_line(where: str, line: str) -> None:
    """Raise AssertionError for a line that no generated file has."""
    code = line.split("//", 1)[0]
    directives = r'#(ifndef|define|endif|ifdef|else|include "[\w./]+\.h"|include <\w+>|pragma HLS [\w =,]+)'
    assert line.isprintable() and line.isascii(), (where, line)
    assert not line.endswith("\\") and "??/" not in line, (where, line)
    if code.lstrip().startswith("#"):
        assert re.match(directives, code.lstrip()), (where, line)
    assert not re.search(r"system\s*\(|`|\$|@", code), (where, line)


def fit_for_a_terminal(text: str) -> bool:
    return len(text) < LONGEST_OUTPUT and all(part.isprintable() for part in text.split("\n"))


def capture(main: Callable[[], int]) -> tuple[int, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main()
    return code, err.getvalue() + out.getvalue()


def call_checked(main: Callable[..., int], line: list[str]) -> str:
    """Run a command; what it may come to, or AssertionError."""
    try:
        code, output = capture(lambda: main(line))
    except SystemExit as stopped:
        code, output = int(stopped.code or 0), "error: usage"
    assert "This is a fault of sparse-qonnx" not in output, output[-2000:]
    assert fit_for_a_terminal(output), output[:2000]
    if code == 2:
        assert sum(text.startswith("error:") for text in output.splitlines()) == 1, output[:2000]
        return REFUSED
    assert code in (0, 1), code
    assert code == 0 or "verify" in line, "code 1 is a difference that was found"
    return MISMATCH if code else OK


@contextmanager
def working_folder() -> Iterator[Path]:
    """A new folder, also the working one, with the Python module that must never be imported."""
    root = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fuzz-files-", dir=root) as name:
        folder = Path(name)
        (folder / f"{CANARY}.py").write_text("from pathlib import Path\nPath('CANARY').touch()\n")
        sys.path.append(name)
        os.chdir(folder)
        yield folder


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", required=True)
    parser.add_argument("--cases", nargs=2, type=int, required=True)
    parser.add_argument("--kernels", action="store_true")
    parser.add_argument("--inputs", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", nargs="*", default=list(SHARES))
    parser.add_argument("--share", nargs=2, action="append", default=[])
    parser.add_argument("--stderr", required=True)
    args = parser.parse_args()
    if "libasan" not in os.environ.get("LD_PRELOAD", ""):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    errors = os.open(args.stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    with working_folder() as folder:
        given = {name: float(share) for name, share in args.share}
        shares = {name: share for name, share in (SHARES | given).items() if name in args.only}
        inputs = {"keep": args.keep, "exported": given.get("keras", 0)} if args.inputs else None
        worker = Worker(args.seed, folder, lambda line: print(line, file=channel), shares, inputs)
        for case in range(*args.cases):
            (worker.input if args.inputs else worker.kernel if args.kernels else worker.run)(case)
    return 0


if __name__ == "__main__":
    sys.exit(main())
