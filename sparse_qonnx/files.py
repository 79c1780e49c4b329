"""Reading and writing model files: checked on the way in, whole or not at all on the way out."""

from __future__ import annotations

import os
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import ModelProto

from sparse_qonnx.checks import checked
from sparse_qonnx.checks.external import inline_external_data
from sparse_qonnx.errors import ModelFileError
from sparse_qonnx.limits import Limits, current
from sparse_qonnx.system.atomic import atomic_file
from sparse_qonnx.system.regular import read_regular, reason


def read_model(source: str | os.PathLike[str] | bytes | ModelProto) -> ModelProto:
    """A model from a path, from bytes, or in memory, checked and with every type stated that can be inferred.

    External data is read into it, from files in the model's own folder only. What a model may ask for is in
    `sparse_qonnx.limits`. A model in memory is returned as it is where nothing was missing in it.

    Raises:
        ModelFileError: if the file is missing, not ONNX, not a valid model, or asks for more than the limits allow.
        UnsupportedNodeError: if an operator of this package has attributes or inputs that it cannot have.
        PrecisionError: if a constant holds NaN or infinity.
    """
    limits = current()
    if isinstance(source, ModelProto):
        return checked(source, "model", limits)
    where = "model bytes" if isinstance(source, bytes) else f"model file {os.fspath(source)!r}"
    model = _parsed(source if isinstance(source, bytes) else _read(Path(source), where, limits), where, limits)
    if not isinstance(source, bytes):
        inline_external_data(model, Path(source).parent, where, limits)
    return checked(model, where, limits)


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
