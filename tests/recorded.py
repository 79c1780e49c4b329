"""C++ through the recorder: netlists of statements and of single kernels."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from sparse_qonnx import _paths
from sparse_qonnx.hls.headers import find_compiler
from sparse_qonnx.rtl.record import FLAGS

BACKEND = _paths.hls_backend()
HERE = Path(__file__).parent
STRICT = ("-pedantic", "-Wall", "-Wextra", "-Werror")


class Refused(Exception):  # noqa: N818
    """The recorder ended with a message."""


def functions(name: str) -> list[str]:
    """The names of the C++ functions with x and y in a header in tests/recorder."""
    return re.findall(r"inline void (\w+)\(const in_t\*", (HERE / "recorder" / name).read_text())


def layer(
    name: str,
    inputs: Mapping[str, tuple[str, int]],
    outputs: Mapping[str, tuple[str, int]],
    body: str,
    most: int = 10**6,
) -> str:
    """A layer: arrays by name, each a type and a size, and the statements that use them."""
    lines = [f'if (count < 2 || std::string("{name}") == words[1]) {{']
    lines.append(f'sparse_qonnx::netlist::begin_layer("{name}", "kernel", {most});')
    for array, (kind, size) in inputs.items():
        lines.append(f'const sparse_qonnx::netlist::input_array<{kind} > {array}_("{array}", {size});')
        lines.append(f"const {kind}* {array} = {array}_.get(); (void){array};")
    for array, (kind, size) in outputs.items():
        lines.append(f'sparse_qonnx::netlist::output_array<{kind} > {array}_("{array}", {size});')
        lines.append(f"{kind}* {array} = {array}_.get(); (void){array};")
    lines += [body, *(f"{array}_.show();" for array in outputs), "sparse_qonnx::netlist::end_layer(); }"]
    return "\n".join(lines)


def recorder(folder: Path, layers: Iterable[str], headers: Iterable[str], prelude: str = "") -> Path:
    """A program that records such layers."""
    source, program = folder / "recorded.cpp", folder / "recorded"
    includes = "".join(f'#include "{name}"\n' for name in ("layer.h", *headers))
    main = 'int main(int count, char** words) {\n(void)words;\nstd::printf("sparse_qonnx_netlist 1\\n");\n'
    main += "\n".join(layers) + '\nstd::printf("end\\n");\n}\n'
    source.write_text(f"{includes}using namespace sparse_qonnx;\n{prelude}\n{main}")
    folders = (BACKEND / "sim" / "netlist", BACKEND / "kernels", HERE / "recorder")
    command = [find_compiler(), *FLAGS, *STRICT, *(f"-I{path}" for path in folders), "-o", str(program), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
    return program


def recorded(program: Path, *layer: str) -> str:
    """The netlist of all layers of a program, or of one."""
    done = subprocess.run([str(program), *layer], capture_output=True, text=True)
    if done.returncode != 0:
        raise Refused(done.stderr.strip())
    return done.stdout


def lines(netlist: str, *words: str) -> list[str]:
    """The lines that begin with one of some words."""
    return [line for line in netlist.splitlines() if line.split(" ")[0] in words]
