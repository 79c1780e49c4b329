"""Reading and writing model files: checked on the way in, whole or not at all on the way out."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from google.protobuf.message import DecodeError
from onnx import ModelProto

from sparse_qonnx.checks import checked
from sparse_qonnx.checks.external import external_locations, inline_external_data
from sparse_qonnx.errors import ModelFileError
from sparse_qonnx.limits import Limits, current
from sparse_qonnx.system.atomic import atomic_file
from sparse_qonnx.system.regular import read_regular, reason

if TYPE_CHECKING:
    import onnx_ir as ir


class Wrapper(Protocol):
    """A qonnx `ModelWrapper`, which keeps the model it works on."""

    model: ModelProto


ModelSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | ModelProto | ir.Model | Wrapper"
"""Wherever a model is taken, it may be a path, the bytes of a file, or in memory as onnx, onnx-ir or qonnx have it."""


def is_model(source: object) -> bool:
    """Whether `read_model` takes it."""
    return isinstance(source, str | os.PathLike | bytes | bytearray | memoryview) or _in_memory(source) is not None


def describe_source(source: ModelSource) -> str:
    """How messages name it."""
    if isinstance(source, str | os.PathLike):
        return f"model file {os.fspath(source)!r}"
    return "model bytes" if isinstance(source, bytes | bytearray | memoryview) else "model"


def path_of(source: ModelSource) -> Path | None:
    """The file that it is; None for a model in memory."""
    return Path(source) if isinstance(source, str | os.PathLike) else None


def files_of_model(source: ModelSource) -> list[Path]:
    """The files that `read_model` reads: the model's, and those with its constants; none for a model in memory.

    Raises:
        ModelFileError: it cannot be read.
    """
    path = path_of(source)
    if path is None:
        return []
    limits, where = current(), describe_source(source)
    model = _parsed(_read(path, where, limits), where, limits)
    return [path, *(path.parent / name for name in external_locations(model))]


def read_model(source: ModelSource) -> ModelProto:
    """A model from a path, from bytes, or in memory, checked and with every type stated that can be inferred.

    External data is read into it, from files in the model's own folder only. What a model may ask for is in
    `sparse_qonnx.limits`. A model in memory is returned as it is where nothing was missing in it.

    Raises:
        ModelFileError: if the file is missing, not ONNX, not a valid model, or asks for more than the limits allow.
        UnsupportedNodeError: if an operator of this package has attributes or inputs that it cannot have.
        PrecisionError: if a constant holds NaN or infinity.
    """
    limits, where = current(), describe_source(source)
    if isinstance(source, str | os.PathLike):
        model = _parsed(_read(Path(source), where, limits), where, limits)
        inline_external_data(model, Path(source).parent, where, limits)
        return checked(model, where, limits)
    if isinstance(source, bytes | bytearray | memoryview):
        return checked(_parsed(bytes(source), where, limits), where, limits)
    found = _in_memory(source)
    if found is None:
        allowed = "a path, bytes, an onnx ModelProto, an onnx_ir Model or a qonnx ModelWrapper"
        raise ModelFileError(where, f"is a {type(source).__name__}", allowed=allowed)
    return checked(found, where, limits)


def _in_memory(source: object) -> ModelProto | None:
    """The model that an object of onnx, onnx-ir or qonnx holds; None for any other object."""
    if isinstance(source, ModelProto):
        return source
    if isinstance(wrapped := getattr(source, "model", None), ModelProto):
        return wrapped
    ir = sys.modules.get("onnx_ir")  # without it nobody has a model of it
    if ir is None or not isinstance(source, ir.Model):
        return None
    proto: ModelProto = ir.to_proto(source)
    constants = (value.const_value for value in source.graph.initializers.values())
    folders = {Path(tensor.base_dir) for tensor in constants if isinstance(tensor, ir.ExternalTensor)}
    for folder in folders:
        inline_external_data(proto, folder, "model", current())
    return proto


def _read(path: Path, where: str, limits: Limits) -> bytes:
    """The bytes of a file; no more of them than are allowed are ever read, whatever it is."""
    try:
        return read_regular(path, limits.file_bytes)
    except (OSError, ValueError) as error:
        raise ModelFileError(where, f"cannot be read: {reason(error)}", fix="check the path") from error


def _parsed(data: bytes, where: str, limits: Limits) -> ModelProto:
    limits.check("file_bytes", len(data), where, "bytes or more")
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        problem = f"is not a valid ONNX model: {error}"
        raise ModelFileError(where, problem, fix="export it again with sparse-qonnx export") from error
    if not model.HasField("graph"):
        raise ModelFileError(where, "is not a valid ONNX model: it holds no graph", fix="check the path")
    return model


def write_model(model: ModelProto, path: str | os.PathLike[str]) -> None:
    """Write a model; a reader sees the old file or the whole new one.

    Raises:
        OutputPathError: see `sparse_qonnx.system.outputs.output_file`; or the disk is full.
    """
    write_bytes(model.SerializeToString(deterministic=True), path)


def write_bytes(data: bytes, path: str | os.PathLike[str]) -> None:
    """Write a file; a reader sees the old file or the whole new one.

    Raises:
        OutputPathError: see `output_file`; or the disk is full.
    """
    with atomic_file(path) as stream:
        stream.write(data)
