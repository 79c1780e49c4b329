"""What is in a file, for people: `sparse-qonnx info`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from onnx import TensorProto, ValueInfoProto
from rich import box
from rich.console import RenderableType
from rich.table import Table

from sparse_qonnx._paths import find_library, why_no_library
from sparse_qonnx.files import ModelSource, read_model
from sparse_qonnx.graph import all_values, tensor_shape
from sparse_qonnx.numerators import Numerators, read_numerators
from sparse_qonnx.passes.infer_grids import Proof, infer_grids, input_types
from sparse_qonnx.roles import coordinates
from sparse_qonnx.text import marked_up


def describe(source: ModelSource) -> Iterator[RenderableType]:
    """Everything worth knowing about a model, in the order to print it.

    Raises:
        ModelFileError: if the file cannot be read.
    """
    model = read_model(source)
    proof = infer_grids(model)
    values, places = all_values(model), coordinates(model)
    opsets = ", ".join(f"{o.domain or 'onnx'} {o.version}" for o in model.opset_import)
    name, size = model.graph.name, model.ByteSize()
    if isinstance(source, str | os.PathLike):
        name, size = os.fspath(source), Path(source).stat().st_size
    yield marked_up(f"{name}: {size:,} bytes, IR {model.ir_version}, {opsets}")
    types = input_types(model)
    for value in model.graph.input:
        stated = types.get(value.name)
        yield marked_up(f"input {value.name} {_shape(value)}: {stated or 'no fixed-point type stated'}")
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    for title in ("result", "operator", "shape", "held in", "exact type"):
        table.add_column(title, overflow="fold", no_wrap=title in ("held in", "exact type"))
    numerators = read_numerators(model)
    for node in model.graph.node:
        for n, name in enumerate(output for output in node.output if output):
            operator = node.op_type if n == 0 else ""
            said = numerators.get(name)
            shown, held = (name, "") if said is None else (said.value, f", {said.divisor} times")
            element = _element(values.get(name)) + held
            exact = "row, column" if name in places else _exact(proof, name, said)
            cells = (shown, operator, _shape(values.get(name)), element, exact)
            table.add_row(*(marked_up(cell) for cell in cells))
    yield table
    parameters = sum(t.ByteSize() for t in model.graph.initializer)
    yield f"{len(model.graph.node)} nodes, {len(model.functions)} function bodies, {parameters:,} bytes of constants"
    library = find_library()
    yield marked_up(f"native kernels: {library if library is not None else why_no_library()}")


def _shape(value: ValueInfoProto | None) -> str:
    if value is None:
        return "?"
    return f"[{', '.join('?' if size is None else str(size) for size in tensor_shape(value))}]"


def _element(value: ValueInfoProto | None) -> str:
    return "?" if value is None else TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()


def _exact(proof: Proof, name: str, numerators: Numerators | None) -> str:
    grid = proof.grids.get(name)
    if grid is None:
        return "floating point"
    return grid.describe() if numerators is None else numerators.grid_of_values(grid).describe()
