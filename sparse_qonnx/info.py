"""What is in a file, for people: `sparse-qonnx info`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from onnx import TensorProto, ValueInfoProto
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from sparse_qonnx._paths import find_library, why_no_library
from sparse_qonnx.files import read_model
from sparse_qonnx.graph import all_values, tensor_shape
from sparse_qonnx.passes.infer_grids import Proof, infer_grids, input_types


def describe(path: str | os.PathLike[str]) -> Iterator[RenderableType]:
    """Everything worth knowing about a model file, in the order to print it.

    Raises:
        ModelFileError: if the file cannot be read.
    """
    model = read_model(path)
    proof = infer_grids(model)
    values = all_values(model)
    opsets = ", ".join(f"{o.domain or 'onnx'} {o.version}" for o in model.opset_import)
    yield escape(f"{os.fspath(path)}: {Path(path).stat().st_size:,} bytes, IR {model.ir_version}, {opsets}")
    types = input_types(model)
    for value in model.graph.input:
        stated = types.get(value.name)
        yield escape(f"input {value.name} {_shape(value)}: {stated or 'no fixed-point type stated'}")
    table = Table("node", "operator", "result", "shape", "held in", "exact type", header_style="bold")
    for node in model.graph.node:
        for n, name in enumerate(output for output in node.output if output):
            first = (node.name, node.op_type) if n == 0 else ("", "")
            cells = (*first, name, _shape(values.get(name)), _element(values.get(name)), _exact(proof, name))
            table.add_row(*(escape(cell) for cell in cells))
    yield table
    parameters = sum(t.ByteSize() for t in model.graph.initializer)
    yield f"{len(model.graph.node)} nodes, {len(model.functions)} function bodies, {parameters:,} bytes of constants"
    library = find_library()
    yield escape(f"native kernels: {library if library is not None else why_no_library()}")


def _shape(value: ValueInfoProto | None) -> str:
    if value is None:
        return "?"
    return f"[{', '.join('?' if size is None else str(size) for size in tensor_shape(value))}]"


def _element(value: ValueInfoProto | None) -> str:
    return "?" if value is None else TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()


def _exact(proof: Proof, name: str) -> str:
    if name.endswith("coords"):
        return "row, column"
    grid = proof.grids.get(name)
    return "none: floating point" if grid is None else grid.describe()
