"""Reading and writing model files: checked on the way in, whole or not at all on the way out."""

from __future__ import annotations

import os
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import ModelProto

from sparse_qonnx.aside import aside_file
from sparse_qonnx.checks import checked
from sparse_qonnx.checks.external import inline_external_data
from sparse_qonnx.errors import ModelFileError
from sparse_qonnx.limits import Limits, current

_PIECE = 1 << 20
"""Bytes that are read at a time."""


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
    """The bytes of a file; no more of them than are allowed are ever read, whatever it is.

    In pieces, since reading asks for memory for as much as is to be read, not as there is.
    """
    pieces, left = [], limits.file_bytes + 1
    try:
        with path.open("rb") as stream:
            while left > 0 and (piece := stream.read(min(left, _PIECE))):
                pieces.append(piece)
                left -= len(piece)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelFileError(where, f"cannot be read: {reason}", fix="check the path") from error
    return b"".join(pieces)


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
