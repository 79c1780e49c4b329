"""Some hundreds of hostile files through every command; `make fuzz-files` runs more."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from fuzz_files.run import run_cases
from native import requires_library
from sparse_qonnx import cli


@pytest.mark.parametrize("options", [[], pytest.param(["--kernels"], marks=requires_library)], ids=["files", "kernels"])
def test_hostile_files_do_no_harm(options: list[str], tmp_path: Path) -> None:
    tally = run_cases(0, 400, "suite", options, timeout=300, until=math.inf, folder=tmp_path)
    assert not tally.harm, tally.harm[0]
    assert tally.files == 400
    assert tally.outcomes["kernel" if options else "load", "ok"] > 50


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
