"""HDF5 files as data and nothing more: plain datasets of the file itself, bounded before a value is read.

HDF5 can also say that values lie in other files, in other datasets or nowhere: virtual and external datasets, external
links, chunks that nobody wrote. A file from a stranger would read any file of its reader, or never end. None of that
is followed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import Any

from sparse_qonnx.errors import InputDataError, SparseQonnxError, ToolError
from sparse_qonnx.limits import Limits, current

_OVERHEAD = 4096
"""Bytes by which a chunk in the file may be larger than in memory."""
_MOST_FILTERS = 4


def import_h5py(what: str = "HDF5 input") -> Any:
    """The package h5py.

    Args:
        what: what needs it, for the message.

    Raises:
        ToolError: it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        fix = "pip install 'sparse-qonnx[hdf5]'"
        raise ToolError(what, "needs the package h5py, which is not installed", fix=fix) from error
    return h5py


def dataset_names(file: Any, where: str, error: type[SparseQonnxError] = InputDataError) -> Iterator[str]:
    """The path of every dataset that lies in an HDF5 file itself, one of several where a group has more names.

    Bytes that are no UTF-8 are escaped as in file names.

    Args:
        file: an open `h5py.File`.
        where: how messages name it.
        error: what is raised where there is more than the limits allow.
    """
    h5py, limits = import_h5py(), current()
    seen, waiting, count = set(), [(b"", file.id, 1)], 0
    while waiting:
        prefix, group, depth = waiting.pop()
        limits.check("nesting", depth, where, "groups in each other", error=error)
        for name in group:
            count += 1
            limits.check("objects", count, where, error=error)
            if group.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                continue  # a link to another file, or a second name
            info = h5py.h5o.get_info(group, name)
            if info.type == h5py.h5o.TYPE_DATASET:
                yield os.fsdecode(prefix + name)
            elif info.type == h5py.h5o.TYPE_GROUP and info.addr not in seen:
                seen.add(info.addr)
                waiting.append((prefix + name + b"/", h5py.h5g.open(group, name), depth + 1))


def is_inside(file: Any, name: str) -> bool:
    """Whether a path leads to a dataset without leaving the file: every step of it is a plain one."""
    h5py = import_h5py()
    group, (*groups, last) = file.id, os.fsencode(name).split(b"/")
    for step in groups:
        if not _leads_to(h5py, group, step, h5py.h5o.TYPE_GROUP):
            return False
        group = h5py.h5g.open(group, step)
    return _leads_to(h5py, group, last, h5py.h5o.TYPE_DATASET)


def _leads_to(h5py: Any, group: Any, name: bytes, kind: int) -> bool:
    if name in (b"", b".") or not group.links.exists(name):
        return False
    is_hard = group.links.get_info(name).type == h5py.h5l.TYPE_HARD
    return bool(is_hard and h5py.h5o.get_info(group, name).type == kind)


def open_dataset(file: Any, name: str, where: str, error: type[SparseQonnxError] = InputDataError) -> Any:
    """A dataset of an open file, whose values are all in that file.

    Raises:
        InputDataError, or `error`: its values are elsewhere or nowhere, or it asks for more than the limits allow.
    """
    h5py, limits = import_h5py(), current()
    dataset = h5py.Dataset(h5py.h5d.open(file.id, os.fsencode(name)))
    if dataset.is_virtual or dataset.external:
        problem, fix = "has its values in other files", "copy them into a plain dataset"
        raise error(where, f"dataset {name!r} {problem}", allowed="values in the file itself", fix=fix)
    if dataset.shape is None:
        raise error(where, f"dataset {name!r} is empty", allowed="events [B, ...]")
    needed = math.prod(dataset.shape) * dataset.id.get_type().get_size()
    if dataset.chunks is not None:
        _check_chunks(dataset, name, where, limits, error)
    elif needed > dataset.id.get_storage_size() or needed > file.id.get_filesize():
        problem = f"dataset {name!r} needs {needed:,} bytes, the file holds {dataset.id.get_storage_size():,} of them"
        raise error(where, problem, fix="write the file again")
    return dataset


def _check_chunks(dataset: Any, name: str, where: str, limits: Limits, error: type[SparseQonnxError]) -> None:
    """Every chunk must be in the file, none may be large, nor be made of much more bytes than it has."""
    chunk = math.prod(dataset.chunks)
    limits.check("tensor_values", chunk, where, f"values in a chunk of dataset {name!r}", error=error)
    filters = dataset.id.get_create_plist().get_nfilters()
    if filters > _MOST_FILTERS:
        raise error(where, f"dataset {name!r} has {filters} filters", allowed=f"at most {_MOST_FILTERS}")
    most = chunk * dataset.id.get_type().get_size() + _OVERHEAD
    sizes: list[int] = []
    dataset.id.chunk_iter(lambda info: sizes.append(info.size))
    if max(sizes, default=0) > most:
        raise error(where, f"a chunk of dataset {name!r} has {max(sizes):,} bytes", allowed=f"at most {most:,}")
    wanted = math.prod(-(-n // size) for n, size in zip(dataset.shape, dataset.chunks, strict=True))
    if len(sizes) < wanted:
        problem = f"{len(sizes):,} of {wanted:,} chunks of dataset {name!r} were written"
        raise error(where, problem, fix="write the file again")


def check_weights(source: Any, where: str, error: type[SparseQonnxError]) -> None:
    """Check every dataset of a file that another package is going to read.

    Args:
        source: a path, or an open binary file.
        where: how messages name it.
        error: what is raised.

    Raises:
        SparseQonnxError: of the given type; and what h5py raises for a file that is damaged.
    """
    h5py = import_h5py()
    total = 0
    with h5py.File(source, "r") as file:
        for name in dataset_names(file, where, error):
            dataset = open_dataset(file, name, where, error)
            total += math.prod(dataset.shape) * dataset.id.get_type().get_size()
            current().check("file_bytes", total, where, "bytes of weights", error=error)
        _refuse_links(h5py, file, where, error)


def _refuse_links(h5py: Any, file: Any, where: str, error: type[SparseQonnxError]) -> None:
    """Other packages follow links to other files."""
    found: list[bytes] = []

    def look(name: bytes, info: Any) -> None:
        if info.type == h5py.h5l.TYPE_EXTERNAL:
            found.append(name)

    file.id.links.visit(look, info=True)
    if found:
        raise error(where, f"links {os.fsdecode(found[0])!r} to another file", allowed="values in the file itself")
