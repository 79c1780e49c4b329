"""Where the `ap_fixed` headers and the C++ compiler come from."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
from pathlib import Path

from sparse_qonnx.errors import ConfigurationError, ToolError

HEADERS_VARIABLE = "SPARSE_QONNX_AP_TYPES"
"""Environment variable that overrides the folder with `ap_fixed.h`."""

# Folders with the headers inside packages that carry them; the packages themselves are never imported.
_PACKAGES = (
    ("da4ml", "codegen/hls/source/ap_types/include"),
    ("hls4ml", "templates/vivado/ap_types"),
)
_TOOL_VARIABLES = ("XILINX_HLS", "XILINX_VITIS", "XILINX_VIVADO")
_TOOL_PROGRAMS = ("vitis_hls", "vitis-run", "vivado_hls")


def _candidates() -> list[Path]:
    override = os.environ.get(HEADERS_VARIABLE)
    if override:
        return [Path(override)]
    folders = [Path(os.environ[name]) / "include" for name in _TOOL_VARIABLES if os.environ.get(name)]
    for program in _TOOL_PROGRAMS:
        path = shutil.which(program)
        if path:
            folders.append(Path(path).resolve().parent.parent / "include")
    for package, inside in _PACKAGES:
        spec = importlib.util.find_spec(package)
        for location in (spec.submodule_search_locations or ()) if spec is not None else ():
            folders.append(Path(location) / inside)
    return folders


def find_ap_headers() -> Path:
    """The folder with `ap_fixed.h`: of an installed Xilinx tool, else of a Python package that carries the headers.

    Raises:
        ToolError: none was found.
    """
    for folder in _candidates():
        if os.path.isfile(folder / "ap_fixed.h"):  # noqa: PTH113  # Path.is_file raises for names that are too long
            return folder
    raise ToolError(
        "C-simulation",
        "Xilinx's ap_fixed headers were not found",
        allowed=f"an installed Vitis or Vivado HLS, the package da4ml or hls4ml, or a folder in ${HEADERS_VARIABLE}",
        fix='pip install "sparse-qonnx[csim]"',
    )


def find_compiler() -> str:
    """The program that compiles C++: the first word of $CXX, else g++.

    Raises:
        ToolError: it is not installed.
    """
    return compiler_command()[0]


def compiler_command() -> list[str]:
    """The C++ compiler with its arguments: $CXX, such as `ccache g++ -O1` or a path with spaces, else g++.

    Raises:
        ToolError: it is not installed.
        ConfigurationError: $CXX cannot be read.
    """
    stated = os.environ.get("CXX", "").strip() or "g++"
    words = [stated] if shutil.which(stated) else words_of("CXX", "g++")
    path = shutil.which(words[0])
    if path is None:
        raise ToolError("C-simulation", f"the C++ compiler {words[0]!r} was not found", fix="install g++ or set CXX")
    return [path, *words[1:]]


def words_of(variable: str, default: str = "") -> list[str]:
    """The words of an environment variable, quoted as in a shell.

    Raises:
        ConfigurationError: a quotation does not end.
    """
    text = os.environ.get(variable, "")
    try:
        return shlex.split(text) or shlex.split(default)
    except ValueError as error:
        problem = f"is {text!r}, which cannot be read: {error}"
        raise ConfigurationError(
            f"${variable}", problem, allowed="words as in a shell", fix="mend its quotes"
        ) from error
