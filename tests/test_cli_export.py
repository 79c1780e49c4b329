"""`sparse-qonnx export`: saved models, builders with weights, input types by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sparse_qonnx import cli
from sparse_qonnx.cli import terminal
from sparse_qonnx.files import read_model
from sparse_qonnx.graph import read_metadata

pytestmark = pytest.mark.keras
pytest.importorskip("keras")

BUILDER = """
import keras
from hgq.layers import QDense
from sparsepixels.layers import InputReduce, QConv2DSparse

def build():
    x = keras.Input((6, 6, 1), name="image")
    y, mask = InputReduce(n=4, learn_n=False, learn_threshold=False, name="reduce")(x)
    y = QConv2DSparse(2, 3, padding="same", name="conv")([y, mask])
    return keras.Model(x, QDense(3, name="dense")(keras.layers.Flatten(name="flatten")(y)))
"""


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_network.py").write_text(BUILDER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    exec(BUILDER, namespace)
    model = namespace["build"]()
    model.save_weights(tmp_path / "trained.weights.h5")
    return tmp_path / "trained.weights.h5"


def test_weights_with_a_builder(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "m.onnx"
    arguments = ["export", "--builder", "my_network:build", "--weights", str(weights), "-o", str(out)]
    assert cli.main([*arguments, "--input-precision", "image=ap_ufixed<9,2>"]) == terminal.OK
    assert read_metadata(read_model(out))["sparse_qonnx.input_precision.image"] == "ap_ufixed<9,2>"
    assert capsys.readouterr().out.endswith("input image: ap_ufixed<9,2>\n")
    assert cli.main(arguments) == terminal.OK
    assert ">, from its quantizers; --input-precision says another\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "got no model"),
        (["--builder", "my_network:build"], "got builder"),
        (["m.keras", "--weights", "w.weights.h5"], "got model and weights"),
        (["--builder", "my_network:built", "--weights", "trained.weights.h5"], "'my_network:built'"),
        (["--builder", "no_such_module:build", "--weights", "trained.weights.h5"], "no_such_module"),
        (["m.keras", "--input-precision", "a=ap_fixed<8,1>", "--input-precision", "ap_fixed<8,1>"], "names no input"),
    ],
)
def test_what_does_not_go_together(
    weights: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", *arguments, "-o", "m.onnx"]) == terminal.ERROR
    error = capsys.readouterr().err
    assert message in error
    assert "Allowed:" in error or "Fix:" in error
    assert not Path("m.onnx").exists()
