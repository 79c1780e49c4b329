"""Our operators, registered through hls4ml's extension API: ONNX handlers, layers, templates, sources."""

from __future__ import annotations

import atexit
import importlib
import re
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from sparse_qonnx._paths import hls_backend
from sparse_qonnx.errors import ConfigurationError, ToolError
from sparse_qonnx.ops import operators, stem_to_name
from sparse_qonnx.system.atomic import scratch_folder

BACKENDS = ("Vitis", "Vivado")
"""hls4ml backends whose projects take the kernels: C++ with `ap_fixed`, arrays as arguments (`io_parallel`)."""
HEADER = "sparse_qonnx_kernels.h"
_INCLUDE = re.compile(r'^#include "([^"]+)"\n', re.MULTILINE)


def require_hls4ml() -> Any:
    """The module hls4ml.

    Raises:
        ToolError: it is not installed.
    """
    try:
        return importlib.import_module("hls4ml")
    except ImportError as error:
        raise ToolError("hls4ml", f"is not installed ({error})", fix="pip install 'sparse-qonnx[hls4ml]'") from error


@cache
def register() -> None:
    """Teach hls4ml the operators of `sparse_qonnx.ops`, once a process.

    Raises:
        ToolError: hls4ml is not installed.
    """
    hls4ml = require_hls4ml()
    header = _write_header()
    for name in operators():
        layer = _layer_class(name)
        hls4ml.converters.register_onnx_layer_handler(name, _handler(layer.__name__))
        hls4ml.model.layers.register_layer(layer.__name__, layer)
        for backend_name in BACKENDS:
            backend = hls4ml.backends.get_backend(backend_name)
            for template in _templates(layer):
                backend.register_template(template)
    for backend_name in BACKENDS:
        hls4ml.backends.get_backend(backend_name).register_source(header)


def _handler(class_name: str) -> Any:
    """What reads a prepared node."""
    from onnx import helper

    def parse(node: Any, input_names: list[str], *_: Any) -> dict[str, Any]:
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if "function" not in given:
            raise ToolError(
                f"node {node.name!r} ({node.op_type})",
                "is not prepared for hls4ml",
                fix="convert what sparse_qonnx.hls4ml_bridge.prepare(model) gives",
            )
        text = {
            k: [s.decode() for s in v] if isinstance(v, list) else v.decode()
            for k, v in given.items()
            if isinstance(v, list | bytes)
        }
        return {
            "name": node.name,
            "class_name": class_name,
            "inputs": list(input_names),
            "outputs": list(node.output),
            "kernel_function": text["function"],
            "kernel_config": text["config"],
            "kernel_tables": text["tables"],
            "table_names": [name for name in text["table_names"] if name],
            "output_types": text["types"],
            "output_shapes": [[int(n) for n in size.split("x")] for size in text["sizes"]],
        }

    return parse


def _layer_class(name: str) -> type:
    """hls4ml's representation of one of our operators; every result has its own exact type."""
    layers = importlib.import_module("hls4ml.model.layers")

    def initialize(self: Any) -> None:
        io_type = self.model.config.get_config_value("IOType")
        if io_type != "io_parallel":
            raise ConfigurationError(
                f"hls4ml layer {self.name!r} ({name})", f"io_type={io_type!r}", allowed="io_parallel"
            )
        convert = self.model.config.backend.convert_precision_string
        for n, output in enumerate(self.outputs):
            self.add_output_variable(
                self.get_attr("output_shapes")[n],
                out_name=output,
                var_name="layer{index}_out" + (f"_{n}" if n else ""),
                type_name="layer{index}_t" + (f"_{n}" if n else ""),
                precision=convert(self.get_attr("output_types")[n]),
            )
            # hls4ml writes the typedefs of a layer's type attributes, and knows one for its results
            self.set_attr(f"result_{n}_t", self.get_output_variable(output).type)

    return type(f"SparseQonnx{name}", (layers.Layer,), {"initialize": initialize, "__doc__": operators()[name].doc})


def _templates(layer: type) -> tuple[type, type]:
    """The configuration struct with its tables, and the call."""
    template = importlib.import_module("hls4ml.backends.template")

    class Config(template.LayerConfigTemplate):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__(layer)

        def format(self, node: Any) -> str:
            parts = [node.get_attr("kernel_tables"), f"struct config{node.index} {{", node.get_attr("kernel_config")]
            return "\n".join([*(part for part in parts if part), "};\n"])

    class Call(template.FunctionCallTemplate):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__(layer, include_header=[f"nnet_utils/{HEADER}"])

        def format(self, node: Any) -> str:
            operands = [node.get_input_variable(name) for name in node.inputs]
            operands += [node.get_output_variable(name) for name in node.outputs]
            types = ", ".join([*(v.type.name for v in operands), f"config{node.index}"])
            arguments = ", ".join([*(v.name for v in operands), *node.get_attr("table_names")])
            return f"sparse_qonnx::{node.get_attr('kernel_function')}<{types}>({arguments});"

    return Config, Call


# ---- the kernels as one header, as hls4ml copies sources into one folder ---------------------------------------------


def _write_header() -> Path:
    until_exit = ExitStack()
    atexit.register(until_exit.close)
    folder = until_exit.enter_context(scratch_folder())
    target = folder / HEADER
    target.write_text(kernels_header(), encoding="utf-8")
    return target


def kernels_header() -> str:
    """The kernels of our operators and everything they include, each header once."""
    kernels = hls_backend() / "kernels"
    stems = [path for path in sorted(kernels.glob("*.h")) if stem_to_name(path.stem) in operators()]
    done: set[Path] = set()
    parts = [_inlined(path.resolve(), done) for path in [kernels / "common" / "constants.h", *stems]]
    guard = "SPARSE_QONNX_KERNELS_H_"
    return f"#ifndef {guard}\n#define {guard}\n\n" + "\n".join(parts) + f"\n#endif  // {guard}\n"


def _inlined(path: Path, done: set[Path]) -> str:
    """A header with the headers beside it in place of their includes."""
    if path in done:
        return ""
    done.add(path)

    def replaced(match: re.Match[str]) -> str:
        included = (path.parent / match[1]).resolve()
        return _inlined(included, done) if included.is_file() else match[0]

    return _INCLUDE.sub(replaced, path.read_text(encoding="utf-8"))
