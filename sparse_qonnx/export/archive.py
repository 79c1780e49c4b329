"""A `.keras` file before Keras unpacks it: how much is in it, and whether its weights are what they seem."""

from __future__ import annotations

import io
import json
import lzma
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from sparse_qonnx.datasets.hdf5 import check_weights
from sparse_qonnx.errors import ModelFileError
from sparse_qonnx.limits import current

_DAMAGED = (OSError, EOFError, ValueError, LookupError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
_PIECE = 1 << 20
_CHECK = "check that the file is whole"


def check_archive(path: Path, where: str) -> None:
    """Refuse an archive that unpacks to more than the limits allow, or whose weights are in other files.

    Sizes are those of the archive's directory first, then those that really come out: the directory can lie.

    Raises:
        ModelFileError: naming the member.
    """
    limits = current()
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            limits.check("objects", len(members), where, "members")
            limits.check("file_bytes", sum(m.file_size for m in members), where, "bytes when it is unpacked")
            names = [m.filename for m in members]
            if len(set(names)) != len(names):
                raise ModelFileError(where, "holds two members of one name", fix=_CHECK)
            for member in members:
                data = _unpacked(archive, member, where)
                if member.filename.endswith(".json"):
                    _check_json(data, f"{where}, member {member.filename!r}")
                elif member.filename.endswith(".h5"):
                    check_weights(io.BytesIO(data), f"{where}, member {member.filename!r}", ModelFileError)
    except (*_DAMAGED, struct.error) as error:
        raise ModelFileError(where, f"is not a Keras archive that is whole: {error}", fix=_CHECK) from error


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> bytes:
    """A member's content. Deflate alone is unpacked piece by piece, and never to more than the directory says."""
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ModelFileError(where, f"member {member.filename!r} is compressed by another method", allowed="deflate")
    with archive.open(member) as stream:
        return b"".join(iter(lambda: stream.read(_PIECE), b""))


def _check_json(data: bytes, where: str) -> None:
    """A configuration that is JSON, and not deep."""
    try:
        waiting: list[tuple[Any, int]] = [(json.loads(data), 1)]
    except (ValueError, RecursionError) as error:
        raise ModelFileError(where, "is not JSON", fix=_CHECK) from error
    limits = current()
    while waiting:
        value, depth = waiting.pop()
        limits.check("configuration_depth", depth, where, "lists and mappings in each other")
        if isinstance(value, dict):
            waiting.extend((inner, depth + 1) for inner in value.values())
        elif isinstance(value, list):
            waiting.extend((inner, depth + 1) for inner in value)
