"""What a synthesis tool sees of the kernels: the text that is written, without anything of the instruments."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from sparse_qonnx import _paths
from sparse_qonnx.hls import to_hls
from sparse_qonnx.hls.headers import find_compiler
from sparse_qonnx.reference import run_reference
from test_hls_variants import CASES, images, network

KERNELS = _paths.hls_backend() / "kernels"
HEADERS = sorted(p.relative_to(KERNELS).as_posix() for p in KERNELS.rglob("*.h"))
XILINX = ("ap_fixed.h", "ap_int.h", "hls_stream.h")
LOOP = re.compile(r"for \([^;\n]*;[^;\n]*;[^{\n]*\) \{")


def seen(header: str, folder: Path) -> dict[str, str]:
    """The preprocessed text of a header and of those of ours that it includes, by file; Xilinx's own are empty."""
    for name in XILINX:
        (folder / name).write_text("")
    command = [find_compiler(), "-std=c++11", "-E", "-D__SYNTHESIS__", "-I", str(folder), str(KERNELS / header)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]
    texts: dict[str, list[str]] = {}
    file = ""
    for line in done.stdout.splitlines():
        marker = re.match(r'# \d+ "(.*?)"', line)
        if marker:
            file = marker.group(1)
        elif Path(file).is_relative_to(KERNELS):
            texts.setdefault(Path(file).relative_to(KERNELS).as_posix(), []).append(line.strip())
    return {name: "\n".join(filter(None, lines)) for name, lines in texts.items()}


def pragmas(text: str) -> list[str]:
    return re.findall(r"#pragma HLS .*", text)


@pytest.mark.parametrize("header", HEADERS)
def test_only_the_instruments_macros_are_gone(header: str, tmp_path: Path) -> None:
    """Every pragma is where it was: in the same order, and directly behind the head of its loop or function."""
    source = (KERNELS / header).read_text()
    text = seen(header, tmp_path).get(header, "")
    assert pragmas(text) == pragmas(source)
    assert "SPARSE_QONNX" not in text and "netlist" not in text
    heads = re.findall(rf"({LOOP.pattern})(?=\n*([^\n]*))", text)
    in_source = re.findall(rf"({LOOP.pattern})(?=\n *([^\n]*))", source)
    assert len(heads) == len(in_source)
    for (head, first), (_, written) in zip(heads, in_source, strict=True):
        if written.startswith("#pragma"):
            assert first == written, head


def test_the_four_loops_of_a_convolution_are_perfectly_nested(tmp_path: Path) -> None:
    text = seen("sparse_conv.h", tmp_path)["sparse_conv.h"]
    steps = ("output_step", "filter_step", "input_step", "channel_step")
    nest = r"\s*".join(rf"for \(unsigned {step} = 0;[^{{]*\{{" for step in steps)
    assert re.search(nest + r"\s*#pragma HLS PIPELINE II = 1\n", text)


@pytest.mark.csim
def test_the_synthesized_text_gives_the_same_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With __SYNTHESIS__ defined for the kernels nothing is skipped and no index is brought into range."""
    view = tmp_path / "view.h"
    view.write_text("".join(f'#include "{name}"\n' for name in XILINX) + "#define __SYNTHESIS__\n")
    monkeypatch.setenv("CXXFLAGS", f"-O0 -include {view}")
    model, x = network("average"), images(30)
    project = to_hls(model, tmp_path / "firmware", config={"layers": CASES["middle"]})
    names = [name for name in project.tensors if name != "image"]
    wanted, found = run_reference(model, {"image": x}, names), project.predict_tensors(x, names)
    for name in names:
        np.testing.assert_array_equal(found[name].astype(wanted[name].dtype), wanted[name], err_msg=name)
