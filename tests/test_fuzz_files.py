"""Some hundreds of hostile files through every command; `make fuzz-files` runs more."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from fuzz_files.inputs.cases import WEIGHTS, Cases, ChangedError
from fuzz_files.run import run_cases
from fuzz_files.worker import call_checked
from native import requires_library
from sparse_qonnx import cli
from sparse_qonnx.errors import ModelFileError, ToolError
from sparse_qonnx.export.archive import check_archive
from sparse_qonnx.hls.report import parse_csynth, parse_vivado

OPTIONS = [([], "load", 50), (["--inputs"], "outputs_in_a_tree", 10)]
KERNELS = pytest.param(["--kernels"], "kernel", 50, marks=requires_library)


@pytest.mark.parametrize(("options", "command", "done"), [*OPTIONS, KERNELS], ids=["files", "inputs", "kernels"])
def test_hostile_files_do_no_harm(options: list[str], command: str, done: int, tmp_path: Path) -> None:
    tally = run_cases(0, 400, "suite", options, timeout=300, until=math.inf, folder=tmp_path)
    assert not tally.harm, tally.harm[0]
    assert tally.files == 400
    assert tally.outcomes[command, "ok"] > done


def test_every_kind_of_input_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a harm is noticed: a reader that raises, a command that touches another file."""
    cases = Cases(tmp_path, call_checked)
    kinds = {cases.kind_of("x", n) for n in range(500)}
    assert kinds == set(WEIGHTS)
    number = next(n for n in range(500) if cases.kind_of("x", n) == "yaml")
    monkeypatch.setattr("fuzz_files.inputs.cases.read_config", lambda _: 1 / 0)
    monkeypatch.setattr(cli, "main_hls", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cases.run("x", number)

    def touches(words: list[str]) -> int:
        (tmp_path / "box" / "other").write_text("harm")
        return 0

    monkeypatch.setattr(cli, "main", touches)
    monkeypatch.setattr(cli, "main_hls", touches)
    number = next(n for n in range(500) if cases.kind_of("x", n) == "outputs_in_a_tree")
    with pytest.raises(ChangedError, match="other"):
        cases.run("x", number)


INPUTS = sorted((Path(__file__).parent / "fuzz_files" / "inputs" / "corpus").iterdir())


@pytest.mark.parametrize("path", INPUTS, ids=[path.name for path in INPUTS])
def test_inputs_that_once_did_harm(
    path: Path, tmp_path: Path, small_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is read as what its name ends in."""
    model, out = str(small_model), str(tmp_path / "out")
    match path.suffix:
        case ".npy" | ".npz" | ".h5":
            code = cli.main(["run", model, "--input", str(path), "-o", out])
        case ".yml":
            code = cli.main_hls([model, "-o", out, "--config", str(path)])
        case ".keras":
            with pytest.raises(ModelFileError):
                check_archive(path, "file")
            return
        case _:
            with pytest.raises(ToolError):
                (parse_csynth if path.suffix == ".xml" else parse_vivado)(path)
            return
    said = capsys.readouterr().err
    assert code == 2 and said.startswith("error: ") and said.count("\n") == 1 and "unexpected" not in said


CORPUS = sorted((Path(__file__).parent / "fuzz_files" / "corpus").glob("*.onnx"))


@pytest.mark.parametrize("path", CORPUS, ids=[path.stem for path in CORPUS])
def test_files_that_once_did_harm(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Found by fuzzing: every command does its work or says in one line why it does not."""
    commands: list[tuple[Callable[[list[str]], int], list[str]]] = [
        (cli.main, ["info", str(path)]),
        (cli.main_hls, [str(path), "-o", str(tmp_path / "firmware")]),
    ]
    x = {f"--input={name}={tmp_path / f'{n}.npy'}": shape for n, (name, shape) in enumerate(_shapes(path).items())}
    for option, shape in x.items():
        np.save(option.rsplit("=", 1)[1], np.zeros([2, *shape[1:]], np.float32))
    commands += [
        (cli.main, ["run", str(path), *x, "-o", str(tmp_path / "y.npy"), "--kernels", "function"]),
        (cli.main, ["verify", str(path), *x]),
    ]
    for main, arguments in commands:
        code = main(arguments)
        said = capsys.readouterr().err
        assert code == 0 or (code == 2 and said.startswith("error: ") and said.count("\n") == 1), (arguments, said)


def _shapes(path: Path) -> dict[str, list[int]]:
    """Of the inputs, as the file states them, with 1 for what has no number."""
    ends = onnx.load(path, load_external_data=False).graph.input
    return {value.name: [d.dim_value or 1 for d in value.type.tensor_type.shape.dim] for value in ends}
