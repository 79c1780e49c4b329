"""Reading and writing model files: checked on the way in, whole or not at all on the way out."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto

from sparse_qonnx.aside import aside_file
from sparse_qonnx.errors import ModelFileError


def read_model(source: str | os.PathLike[str] | bytes | ModelProto) -> ModelProto:
    """A model from a path, from bytes, or as it is.

    Raises:
        ModelFileError: if the file is missing, not ONNX, or not a valid model.
    """
    if isinstance(source, ModelProto):
        return source
    where = "model bytes" if isinstance(source, bytes) else f"model file {os.fspath(source)!r}"
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise ModelFileError(where, f"cannot be read: {error.strerror}", fix="check the path") from error
    model = ModelProto()
    try:
        model.ParseFromString(data)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        problem = f"is not a valid ONNX model: {str(error).strip().splitlines()[0] if str(error) else error!r}"
        raise ModelFileError(where, problem, fix="export it again with sparse-qonnx export") from error
    return model


def write_model(model: ModelProto, path: str | os.PathLike[str]) -> None:
    """Write a model aside and move it into place.

    Raises:
        OutputPathError: if the folder does not exist or cannot be written.
    """
    write_bytes(model.SerializeToString(deterministic=True), path)


def write_bytes(data: bytes, path: str | os.PathLike[str]) -> None:
    """Write a file aside and move it into place, so that a reader sees the old file or the whole new one.

    Raises:
        OutputPathError: if the folder does not exist, cannot be written, or is full.
    """
    with aside_file(path) as stream:
        stream.write(data)
